"""Keep a result: the picture in object storage, and beside it a manifest that says where it came from."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_faceswap import __version__
from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    FaceSwapError,
    InvalidRequestError,
    NotAnImageError,
    TooLargeError,
)
from airflow_provider_faceswap.foundation.redaction import bare_url, without_queries
from airflow_provider_faceswap.http.download import Downloaded, download
from airflow_provider_faceswap.lifecycle.provenance import chain_of
from airflow_provider_faceswap.media.file_types import HEAD, dimensions, sniff
from airflow_provider_faceswap.storage.files import write

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from airflow.sdk import ObjectStoragePath

#: What ends a name as a suffix; a date, a version or a time has a dot too.
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}")

Overwrite = Literal["error", "skip", "replace"]

_log = logging.getLogger(__name__)

#: A result up to this many bytes is checked in memory, a larger one on the worker's disk.
IN_MEMORY = 8 * 1024 * 1024


class Archived(BaseModel):
    """
    A kept result.

    :param uri: Where the picture is.
    :param manifest_uri: Where its manifest is.
    :param bytes: Its size.
    :param sha256: In hex.
    :param width: Pixels; ``None`` for a video, or where the header does not tell.
    """

    model_config = ConfigDict(frozen=True)

    uri: str
    manifest_uri: str
    media_type: str
    bytes: int
    sha256: str
    width: int | None
    height: int | None


class Piece(BaseModel):
    """
    One output to be kept.

    :param url: Its link, with the query; absent where the vendor sent the picture itself.
    :param result: What the job operator returned; absent for a bare URL.
    :param position: Its place among the job's outputs, from 0.
    :param of: How many outputs the job has.
    :param number: What its file's name ends in, where it shares the name with others.
    """

    model_config = ConfigDict(frozen=True)

    url: str | None
    result: dict[str, Any] | None
    position: int = 0
    of: int = 1
    number: int | None = None


class _Manifest(BaseModel):
    """What a manifest says of which picture it belongs to."""

    file: Archived
    source: dict[str, Any]
    job: dict[str, Any] | None
    airflow: dict[str, Any] = {}

    @property
    def origin(self) -> str:
        """The job and the output that the picture is; of a bare link, its place."""
        if self.job is None:
            return str(self.source.get("url"))
        return f"output {self.source.get('output')} of {self.job.get('vendor')} job {self.job.get('job_id')}"

    def is_of(self, other: _Manifest) -> bool:
        """True where both are of the same picture, to the byte."""
        return (self.origin, self.file.sha256) == (other.origin, other.file.sha256)

    def is_of_an_earlier_try(self, other: _Manifest) -> bool:
        """True where it was written by another try of the same task, before the other one's."""
        before, now = (manifest.airflow.get("try_number") for manifest in (self, other))
        if not isinstance(before, int) or not isinstance(now, int):
            return False
        return before < now and {**self.airflow, "try_number": now} == other.airflow


class Archive:
    """
    A place to keep results.

    :param folder: Where pictures go.
    :param filename: Their name below it; a suffix is added where it has none, and a number where one job has
        several outputs. Default: vendor, kind and job id, or the hash for a bare URL.
    :param overwrite: What to do where the name is taken, by a picture and its manifest: a picture without one
        was not finished, and is written again whatever the rule. ``error`` is not for the very picture that is
        to be kept, where an earlier try of the same task has left it.
    :param max_bytes: The largest result taken.
    :param open_hosts: Hosts that downloads may reach though they are private or plain http.
    :param run: What the manifest says of the Airflow run.
    :raises InvalidRequestError: The filename is none, or leads out of the folder.
    """

    def __init__(
        self,
        folder: ObjectStoragePath,
        *,
        filename: str | None,
        overwrite: Overwrite,
        max_bytes: int,
        open_hosts: Collection[str],
        run: Mapping[str, Any],
    ) -> None:
        self._folder = folder
        self._filename = None if filename is None else _checked(filename)
        self._overwrite = overwrite
        self._max_bytes = max_bytes
        self._open_hosts = open_hosts
        self._run = run

    def keep(self, piece: Piece, inline: Callable[[], bytes]) -> Archived:
        """
        Download, check, write, and leave a manifest.

        :param inline: Gives the picture where the piece has no link.
        :raises ArchiveError: It could not be kept; nothing half-written is left under the final name.
        """
        try:
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
                return self._keep(piece, inline, cast("BinaryIO", spool))
        except FaceSwapError as error:
            error.job_id = error.job_id or _job_id(piece)
            raise
        except Exception as error:  # noqa: BLE001 - a full disk, a broken result: the job is paid all the same
            raise ArchiveError(
                f"{self._named(piece)} could not be kept ({type(error).__name__}: {without_queries(str(error))})",
                job_id=_job_id(piece),
            ) from None

    def _keep(self, piece: Piece, inline: Callable[[], bytes], file: BinaryIO) -> Archived:
        fetched = self._fetch(piece, inline, file)
        media = sniff(file.read(HEAD))
        if media is None:
            raise NotAnImageError(f"{self._named(piece)} is neither a picture nor a video")
        size = dimensions(file) if media.is_picture else None
        path = self._folder / self._name(piece, fetched, media.suffix)
        manifest = path.with_name(path.name + ".json")
        kept = Archived(
            uri=str(path),
            manifest_uri=str(manifest),
            media_type=media.name,
            bytes=fetched.size,
            sha256=fetched.sha256,
            width=size[0] if size else None,
            height=size[1] if size else None,
        )
        told = self._manifest(piece, kept)
        try:
            if (there := self._settled(path, manifest, _Manifest.model_validate(told))) is not None:
                return there
            # The manifest comes last: a picture without one was not finished, and is written again.
            write(path, file)
            write(manifest, io.BytesIO(json.dumps(told, indent=2, ensure_ascii=False).encode()))
        except FaceSwapError:
            raise
        except Exception as error:  # every storage raises what its own library has
            raise ArchiveError(
                f"{path} could not be written ({type(error).__name__}: {without_queries(str(error))})"
            ) from error
        return kept

    def _settled(
        self, path: ObjectStoragePath, manifest: ObjectStoragePath, new: _Manifest
    ) -> Archived | None:
        """
        Follow the rule where the name is taken.

        :returns: What stays there; ``None`` where the picture is to be written.
        :raises ArchiveError: The rule forbids that.
        """
        old = self._read(manifest)
        if old is None:
            return None
        if self._overwrite != "replace" and path.exists():
            if self._overwrite == "skip":
                return old.file
            if old.is_of(new) and old.is_of_an_earlier_try(new):
                _log.info("%s was kept by an earlier try, and stays", path)
                return old.file
            raise ArchiveError(
                f"{path} exists already",
                advice="Give another filename, or overwrite='replace' or 'skip'.",
            )
        if not old.is_of(new):
            if old.job is not None and old.origin != new.origin:
                _log.warning("%s, which was %s, is replaced by %s", path, old.origin, new.origin)
            # Else a try that breaks off after the picture would leave it with the manifest of another. A storage
            # that lets nothing be deleted is written to all the same, as the picture is paid.
            with suppress(Exception):
                manifest.fs.rm_file(manifest.path)
        return None

    def _read(self, manifest: ObjectStoragePath) -> _Manifest | None:
        """
        Read the manifest that is there; ``None`` where there is none.

        :raises ArchiveError: It is none of ours, and may not be replaced.
        """
        try:
            # Past the path's own reading, which would tell Airflow's lineage of it; and by a range, as the library
            # of S3 would else ask for the size first.
            return _Manifest.model_validate_json(manifest.fs.cat_file(manifest.path, start=0))
        except FileNotFoundError:
            return None
        except Exception as error:
            if self._overwrite == "replace":
                # Some storages may be written to and not read; the picture is paid.
                return None
            if isinstance(error, ValidationError):
                raise ArchiveError(
                    f"{manifest} is there already, and is no manifest",
                    advice="Give another filename, or overwrite='replace'.",
                ) from None
            raise

    def _fetch(self, piece: Piece, inline: Callable[[], bytes], into: BinaryIO) -> Downloaded:
        if piece.url is not None:
            return download(piece.url, into, max_bytes=self._max_bytes, open_hosts=self._open_hosts)
        data = inline()
        if len(data) > self._max_bytes:
            raise TooLargeError(
                f"the inline picture has {len(data)} bytes, over the cap of {self._max_bytes}"
            )
        into.write(data)
        into.seek(0)
        return Downloaded(len(data), hashlib.sha256(data).hexdigest())

    def _named(self, piece: Piece) -> str:
        return bare_url(piece.url) if piece.url else f"the output of job {_job_id(piece)}"

    def _name(self, piece: Piece, fetched: Downloaded, suffix: str) -> str:
        """The file's name: no part of it may lead out of the folder."""
        if self._filename is not None:
            name = self._filename
            stem = str(name)
            if _SUFFIX.fullmatch(name.suffix):
                stem, suffix = stem.removesuffix(name.suffix), name.suffix
        elif piece.result:
            told = (str(piece.result.get(part) or "") for part in ("vendor", "kind", "job_id"))
            stem = "-".join("".join(c if c.isalnum() or c in "-_." else "_" for c in part) for part in told)
        else:
            stem = fetched.sha256[:16]
        number = piece.number or (piece.position + 1 if piece.of > 1 else None)
        return f"{stem}{f'-{number}' if number else ''}{suffix}"

    def _manifest(self, piece: Piece, kept: Archived) -> dict[str, Any]:
        """The whole provenance that is known; nothing in it opens anything."""
        chain = chain_of(piece.result) if piece.result else []
        job = {**chain[0], **_terms(piece.result)} if chain and piece.result else None
        return {
            "version": 1,
            "file": kept.model_dump(),
            "source": {
                "url": bare_url(piece.url) if piece.url else None,
                "output": piece.position + 1,
                "outputs": piece.of,
            },
            "job": job,
            "parents": chain[1:],
            "airflow": dict(self._run),
            "archived_at": datetime.now(UTC).isoformat(),
            "package": {"name": "airflow-provider-faceswap", "version": __version__},
        }


def _checked(filename: str) -> PurePosixPath:
    """
    A filename as a path below the folder.

    :raises InvalidRequestError: It is none, leads out of the folder, or is more than a path to the storage.
    """
    if not isinstance(filename, str) or filename.strip() in {"", "None"}:
        raise InvalidRequestError(
            f"filename: must be a name, got {filename!r}",
            advice="Nothing was archived. Give a name, or leave the argument out: each picture then has its job's.",
        )
    name = PurePosixPath(filename)
    if name.is_absolute() or ".." in name.parts or not name.name:
        raise InvalidRequestError(f"filename: must stay below the destination, got {filename!r}")
    if "::" in filename or "://" in filename:
        raise InvalidRequestError(f"filename: must have no '::' and no '://', got {filename!r}")
    return name


def _terms(result: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: (result or {}).get(key) for key in ("expires_at", "attempt_reused")}


def _job_id(piece: Piece) -> str | None:
    return str(piece.result["job_id"]) if piece.result else None
