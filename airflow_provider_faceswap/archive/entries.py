"""What is in the objects of an archive's index, which anybody may have written: what does not fit is none."""

from __future__ import annotations

import errno
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, OnErrorOmit

from airflow_provider_faceswap.archive.manifest import Manifest
from airflow_provider_faceswap.foundation.text import safe_json
from airflow_provider_faceswap.jobs import Cost
from airflow_provider_faceswap.storage.files import holds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_faceswap.archive.place import Place

#: Seconds. No job takes as long, so a claim never ends later.
LONGEST_CLAIM = 30 * 86_400.0
#: Seconds by which the clocks of two machines may differ.
_SKEW = 3600.0
#: What a storage says of a name that is no file: it is a folder, is below a file, or is too long.
_NO_FILE = frozenset({errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})


class Entry(BaseModel):
    """
    The content of an entry.

    :param files: The names of the files, below the archive's folder.
    :param manifests: As they were when the entry was written. One that this version cannot read is left out.
    """

    model_config = ConfigDict(frozen=True)

    files: tuple[str, ...] = Field(min_length=1)
    manifests: tuple[OnErrorOmit[Manifest], ...] = ()

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """
        Read an entry's object.

        :raises ValueError: It is not an entry.
        """
        try:
            return cls.model_validate(safe_json(json.loads(text)))
        except RecursionError:
            raise ValueError("nested too deep") from None


class Claim(BaseModel):
    """
    The content of a claim.

    :param owner: The task instance, the same in all its attempts.
    :param until: When it ends, in seconds since 1970.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    owner: str
    until: float

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read a claim's object. One that is damaged has ended."""
        try:
            return cls.model_validate_json(text)
        except ValueError:
            return cls(owner="", until=0.0)

    def is_held(self, now: float) -> bool:
        """True until its end. One that would last longer than any job was not written by this package."""
        return now < self.until <= now + LONGEST_CLAIM + _SKEW


class ReusableJob(BaseModel):
    """What a reused result takes from a manifest."""

    model_config = ConfigDict(frozen=True)

    vendor: str = Field(min_length=1)
    kind: str = Field(min_length=1)
    job_id: str = Field(min_length=1)
    conn_id: str | None = None
    cost: Cost | None = None
    submitted_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    arguments: dict[str, Any] | None = None
    archived_at: AwareDatetime

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """
        The job of a manifest.

        :raises ValueError: It names none, or not all that a result needs.
        """
        if manifest.job is None:
            raise ValueError("no job")
        return cls.model_validate({**manifest.job, "archived_at": manifest.archived_at})


def is_no_file(error: OSError) -> bool:
    """True if an error says that a name is not one of a file, and not that the storage fails."""
    return isinstance(error, FileNotFoundError) or error.errno in _NO_FILE


def is_below(name: str) -> bool:
    """True for the name of a file below the archive's folder."""
    if not name or "://" in name or "::" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def are_whole(key: str, places: Sequence[Place], manifests: Sequence[Manifest]) -> bool:
    """
    True if these are the manifests of all files that a request has made, and of the files at these places.

    :raises Exception: A file could not be read.
    """
    if len(places) != len(manifests):
        return False
    return all(
        manifest.request == key
        and _is_usable(manifest)
        and manifest.is_of(place.path)
        and (manifest.source.output, manifest.source.outputs) == (number, len(places))
        and holds(place.path, manifest.file.bytes, manifest.file.sha256)
        for number, (place, manifest) in enumerate(zip(places, manifests, strict=True), 1)
    )


def _is_usable(manifest: Manifest) -> bool:
    try:
        ReusableJob.of(manifest)
    except ValueError:
        return False
    return manifest.file.bytes > 0
