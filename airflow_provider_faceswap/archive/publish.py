"""Publish: an archived file and its manifest go from one folder to another, or are deleted."""

from __future__ import annotations

import hashlib
import io
import logging
import posixpath
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pydantic import BaseModel, ValidationError

from airflow_provider_faceswap.archive.manifest import Approval, Archived, Manifest, RunInfo
from airflow_provider_faceswap.archive.place import Overwrite, Place
from airflow_provider_faceswap.archive.store import IN_MEMORY
from airflow_provider_faceswap.archive.thumbnails import thumbnail_name
from airflow_provider_faceswap.exceptions import ArchiveError, FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.foundation.text import safe_text
from airflow_provider_faceswap.storage.disk import CHUNK
from airflow_provider_faceswap.storage.files import path_of, read, write
from airflow_provider_faceswap.storage.places import place_of

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_log = logging.getLogger(__name__)

_NOT_PUBLISHED = "Nothing was published. Give what an archive task returned: source=archive.output."
_NO_ANSWER = (
    "Nothing was published. Give what the task returned that asks the person: approval=approve.output."
)
#: Manifests that are read at a time, to find which of them name a thumbnail.
_READ_AT_ONCE = 64
#: The end of a manifest's name.
_MANIFEST = ".json"


def staged_files(value: Any) -> tuple[list[Archived], bool]:
    """
    The archived files that an argument names.

    :param value: What an archive task returned, or a list of these; ``None`` in a list is a skipped task.
    :returns: The files, and whether the argument was a list.
    :raises InvalidRequestError: It is something else.
    """
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping | BaseModel):
        values = value[:] if isinstance(value, Sequence) else value
        return [file for one in values if one is not None for file in staged_files(one)[0]], True
    try:
        return [Archived.model_validate(value)], False
    except ValidationError:
        raise InvalidRequestError(
            f"source: must be what an archive task returned, or a list of these, got {type(value).__name__}",
            advice=_NOT_PUBLISHED,
        ) from None


def approval_of(value: Any) -> Approval:
    """
    What a task of Airflow's *human in the loop* operators returned.

    :raises InvalidRequestError: It is something else.
    """
    options = value.get("chosen_options") if isinstance(value, Mapping) else None
    if not isinstance(options, list | tuple) or len(options) != 1 or not isinstance(options[0], str):
        raise InvalidRequestError(
            f"approval: must be one answer of a person, got {type(value).__name__}", advice=_NO_ANSWER
        )
    person, moment = value.get("responded_by_user"), value.get("responded_at")
    if hasattr(moment, "isoformat"):
        moment = moment.isoformat()
    return Approval(
        option=safe_text(options[0]),
        by={name: safe_text(str(person.get(name) or "")) for name in ("id", "name")}
        if isinstance(person, Mapping)
        else None,
        at=str(moment) if moment else None,
    )


@dataclass(frozen=True)
class Publication:
    """
    A folder that archived files are published to.

    :param folder: Where they go, under their own names.
    :param run: The task attempt that the new manifests name.
    :param approval: Who approved them; ``None`` if nobody was asked.
    :param overwrite: What to do if a name is taken.
    """

    folder: ObjectStoragePath
    run: RunInfo
    approval: Approval | None = None
    overwrite: Overwrite = "replace"

    def publish(self, staged: Archived) -> Archived:
        """
        Copy a file with its thumbnails, and write its manifest.

        :param staged: The file as its archive task returned it.
        :returns: The copy.
        :raises ArchiveError: It could not be copied, or is not the file any more that was archived.
        """
        place = Place(self.folder / _name(staged.uri))
        if place_of(str(place.path)) == place_of(staged.uri):
            raise InvalidRequestError(
                f"destination: {self.folder} is the folder that {_name(staged.uri)} is in",
                advice="Nothing was published. Give another folder.",
            )
        try:
            manifest = _manifest_of(staged)
            if manifest is None:
                # A move of an earlier attempt may have come so far.
                return self._published_before(place, staged)
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
                file = cast("BinaryIO", spool)
                _fetch(staged, file)
                new = manifest.model_copy(
                    update={
                        "file": manifest.file.model_copy(
                            update={"uri": str(place.path), "manifest_uri": str(place.manifest_path)}
                        ),
                        "airflow": self.run,
                        "approval": self.approval,
                    }
                )
                _copy_thumbnails(manifest, _folder(staged.uri), self.folder)
                return place.put(file, new, self.overwrite)
        except FaceSwapError:
            raise
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise ArchiveError(
                f"{staged.uri} could not be published ({error_line(error)})",
                advice="Nothing of it was published, and it is still there. Retry.",
            ) from None

    def _published_before(self, place: Place, staged: Archived) -> Archived:
        with suppress(FileNotFoundError):
            text = read(place.manifest_path)
            found = Manifest.parse(text)
            if (
                found.file.sha256 == staged.sha256
                and found.is_of(place.path)
                and (found.airflow.is_earlier_attempt_of(self.run) or found.airflow == self.run)
            ):
                _log.info("%s was published by an earlier attempt", place.path)
                return found.file
        raise ArchiveError(
            f"{staged.uri} is not there any more",
            advice="Nothing was published. Archive it again: clear its archive task.",
        )


def delete(files: Sequence[Archived]) -> list[str]:
    """
    Delete archived files, their manifests, and the thumbnails that no other manifest beside them names.

    A file is deleted only if it is the one that was archived. The manifest goes first: what is left by an attempt that
    stops here is a file without a manifest.

    :returns: The URIs that were deleted.
    :raises ArchiveError: A file could not be deleted.
    """
    deleted: list[str] = []
    thumbnails: dict[str, set[str]] = {}
    for file in files:
        try:
            manifest = _manifest_of(file)
            if manifest is None:
                continue
            for path in (path_of(file.manifest_uri), path_of(file.uri)):
                with suppress(FileNotFoundError):
                    path.fs.rm_file(path.path)
        except FaceSwapError:
            raise
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise ArchiveError(
                f"{file.uri} could not be deleted ({error_line(error)})",
                advice="Retry, or delete it by hand.",
            ) from None
        deleted.append(file.uri)
        named = {one.sha256 for one in manifest.thumbnails.values() if one.sha256}
        thumbnails.setdefault(str(_folder(file.uri)), set()).update(named)
    for folder, hashes in thumbnails.items():
        try:
            _delete_thumbnails(path_of(folder), hashes)
        except Exception as error:  # noqa: BLE001 - the pictures themselves are gone
            _log.warning("The thumbnails in %s could not be deleted (%s)", folder, error_line(error))
    return deleted


def _delete_thumbnails(folder: ObjectStoragePath, hashes: set[str]) -> None:
    if not hashes:
        return
    storage = folder.fs
    storage.invalidate_cache()
    names = [str(name) for name in storage.ls(folder.path, detail=False) if str(name).endswith(_MANIFEST)]
    for start in range(0, len(names), _READ_AT_ONCE):
        # A face of many swaps is found in the first of them. Only a thumbnail that nobody names needs all manifests.
        if not hashes:
            return
        for data in storage.cat(names[start : start + _READ_AT_ONCE], on_error="omit").values():
            with suppress(ValueError):
                hashes = hashes - {
                    one.sha256 for one in Manifest.parse(data).thumbnails.values() if one.sha256
                }
    for sha256 in sorted(hashes):
        path = folder / thumbnail_name(sha256)
        with suppress(FileNotFoundError):
            storage.rm_file(path.path)


def _manifest_of(file: Archived) -> Manifest | None:
    """
    The manifest beside a file; ``None`` if it is gone.

    :raises ArchiveError: It is another file's.
    """
    path = path_of(file.manifest_uri)
    try:
        manifest = Manifest.parse(read(path))
    except FileNotFoundError:
        return None
    except ValueError:
        raise _changed(file) from None
    if not manifest.is_of(path_of(file.uri)) or manifest.file.sha256 != file.sha256:
        raise _changed(file)
    return manifest


def _fetch(file: Archived, into: BinaryIO) -> None:
    """
    Read an archived file.

    :raises ArchiveError: Its content is not what was archived.
    """
    path, digest = path_of(file.uri), hashlib.sha256()
    with path.fs.open(path.path, "rb") as source:
        while part := source.read(CHUNK):
            digest.update(part)
            into.write(part)
    if digest.hexdigest() != file.sha256:
        raise _changed(file)


def _changed(file: Archived) -> ArchiveError:
    return ArchiveError(
        f"{file.uri} is not the file that was archived",
        advice="Nothing of it was published or deleted. Archive it again: clear its archive task.",
    )


def _copy_thumbnails(manifest: Manifest, source: ObjectStoragePath, target: ObjectStoragePath) -> None:
    """Copy the thumbnails. One that cannot be copied is only missing in the gallery."""
    for sha256 in {one.sha256 for one in manifest.thumbnails.values() if one.sha256}:
        name = thumbnail_name(sha256)
        try:
            data = read(source / name)
            write(target / name, io.BytesIO(data), "image/jpeg")
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            _log.warning("The thumbnail %s could not be copied (%s)", name, error_line(error))


def _folder(uri: str) -> ObjectStoragePath:
    return path_of(uri).parent


def _name(uri: str) -> str:
    return posixpath.basename(path_of(uri).path)
