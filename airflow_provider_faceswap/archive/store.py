"""Archive: an output becomes a file in object storage, with a manifest beside it."""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from airflow.providers.common.compat.sdk import conf

from airflow_provider_faceswap.archive.manifest import Archived, Manifest, RunInfo
from airflow_provider_faceswap.archive.names import check_filename, folder_of, name_of
from airflow_provider_faceswap.exceptions import ArchiveError, FaceSwapError, NotAnImageError, TooLargeError
from airflow_provider_faceswap.foundation.file_types import HEAD, dimensions, sniff
from airflow_provider_faceswap.foundation.redaction import bare_url, error_line
from airflow_provider_faceswap.http.download import Downloaded, download
from airflow_provider_faceswap.media.inputs import open_hosts
from airflow_provider_faceswap.storage.files import write

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.archive.sources import ArchiveSource
    from airflow_provider_faceswap.archive.thumbnails import ThumbnailKeeper

Overwrite = Literal["error", "skip", "replace"]

_log = logging.getLogger(__name__)

#: A result up to this many bytes is checked in memory, a larger one on the worker's disk.
IN_MEMORY = 8 * 1024 * 1024


@dataclass(frozen=True)
class Archive:
    """
    A folder that results are archived in.

    :param folder: Where the files go.
    :param filename: Their name below it. A suffix is added if it has none, and a number if one job has several
        outputs. Default: vendor, kind and job id, or the hash for a bare link.
    :param overwrite: What to do if there is a file with that name and its manifest. A file without one was left by
        an attempt that stopped early, and is always replaced. ``error`` accepts the identical file from an
        earlier attempt of the same task.
    :param max_bytes: The largest result that is accepted.
    :param open_hosts: Private or plain http hosts that downloads may reach.
    :param run: The task attempt that manifests name.
    :param thumbnails: What makes the thumbnails; ``None`` for none.
    :raises InvalidRequestError: The filename is empty, or leads out of the folder.
    """

    folder: ObjectStoragePath
    filename: str | None
    overwrite: Overwrite
    max_bytes: int
    open_hosts: Collection[str]
    run: RunInfo
    thumbnails: ThumbnailKeeper | None = None

    def __post_init__(self) -> None:
        if self.filename is not None:
            check_filename(self.filename)

    def keep(self, source: ArchiveSource) -> Archived:
        """
        Download, check, and write an output and its manifest.

        :raises ArchiveError: It could not be archived; there is no half-written file under the final name.
        """
        try:
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
                return self._keep(source, cast("BinaryIO", spool))
        except FaceSwapError as error:
            if error.job_id or source.job_id is None:
                raise
            raise error.replaced(job_id=source.job_id) from None
        except Exception as error:  # noqa: BLE001 - such as a full disk: the job is paid all the same
            raise ArchiveError(
                f"{_described(source)} could not be archived ({error_line(error)})",
                job_id=source.job_id,
            ) from None

    def _keep(self, source: ArchiveSource, file: BinaryIO) -> Archived:
        fetched = self._fetch(source, file)
        media = sniff(file.read(HEAD))
        if media is None:
            raise NotAnImageError(f"{_described(source)} is neither a picture nor a video")
        width, height = (dimensions(file) if media.is_picture else None) or (None, None)
        name = name_of(source, self.filename, sha256=fetched.sha256, suffix=media.suffix)
        path = self.folder / name
        manifest_path = path.with_name(path.name + ".json")
        archived = Archived(
            uri=str(path),
            manifest_uri=str(manifest_path),
            media_type=media.name,
            bytes=fetched.size,
            sha256=fetched.sha256,
            width=width,
            height=height,
        )
        manifest = Manifest.of(source, archived, self.run)
        try:
            if (existing := self._existing(path, manifest_path, manifest)) is not None:
                return existing
            # The manifest comes last: a file without one was left by an attempt that stopped early.
            write(path, file)
            if self.thumbnails is not None:
                kept = self.thumbnails.keep(source, file, path.parent)
                manifest = manifest.model_copy(update={"thumbnails": kept})
            write(manifest_path, io.BytesIO(manifest.to_json()))
        except FaceSwapError:
            raise
        except Exception as error:  # noqa: BLE001 - every object store has its own errors
            raise ArchiveError(f"{path} could not be written ({error_line(error)})") from None
        return archived

    def _existing(
        self, path: ObjectStoragePath, manifest_path: ObjectStoragePath, new: Manifest
    ) -> Archived | None:
        """
        Apply ``overwrite``.

        :returns: The existing file if it stays; ``None`` if the new one is to be written.
        :raises ArchiveError: There is a file, and it may not be replaced.
        """
        old = self._read(manifest_path)
        if old is None:
            return None
        if self.overwrite != "replace" and path.exists():
            if self.overwrite == "skip":
                return old.file
            if old.is_same_picture(new) and old.airflow.is_earlier_attempt_of(new.airflow):
                _log.info("%s was archived by an earlier attempt and is not written again", path)
                return old.file
            raise ArchiveError(
                f"{path} already exists",
                advice="Give another filename, or overwrite='replace' or 'skip'.",
            )
        if not old.is_same_picture(new):
            if old.job is not None and old.origin != new.origin:
                _log.warning("%s, which was %s, is replaced by %s", path, old.origin, new.origin)
            # If this attempt stops between the two writes, the new file must not be beside the old manifest.
            # A store that does not allow deleting is still written to, because the picture is paid for.
            with suppress(Exception):
                manifest_path.fs.rm_file(manifest_path.path)
        return None

    def _read(self, path: ObjectStoragePath) -> Manifest | None:
        """
        Read the existing manifest, if there is one.

        :raises ArchiveError: It is some other file, and may not be replaced.
        """
        try:
            # Not through the path's own reading, which would report it to Airflow's lineage; and by a range, because
            # the S3 library would otherwise ask for the size first.
            return Manifest.parse(path.fs.cat_file(path.path, start=0))
        except FileNotFoundError:
            return None
        except Exception as error:
            if self.overwrite == "replace":
                # Some stores may be written to but not read. The picture is paid for.
                return None
            if isinstance(error, ValueError):
                raise ArchiveError(
                    f"{path} already exists and is not a manifest",
                    advice="Give another filename, or overwrite='replace'.",
                ) from None
            raise

    def _fetch(self, source: ArchiveSource, into: BinaryIO) -> Downloaded:
        if source.url is not None:
            return download(source.url, into, max_bytes=self.max_bytes, open_hosts=self.open_hosts)
        size = len(source.data)
        if size > self.max_bytes:
            raise TooLargeError(f"the inline picture is larger than the limit of {self.max_bytes} bytes")
        into.write(source.data)
        into.seek(0)
        return Downloaded(size, hashlib.sha256(source.data).hexdigest())


def archive_at(
    destination: Any,
    conn_id: str | None,
    *,
    run: RunInfo | None,
    filename: str | None = None,
    overwrite: Overwrite = "replace",
    max_bytes: int | None = None,
    thumbnails: ThumbnailKeeper | None = None,
) -> Archive:
    """
    An archive with the settings of this Airflow.

    :param destination: A folder, as a URI or an object storage path.
    :param run: The task attempt that manifests name; ``None`` outside a task.
    :param max_bytes: Default: ``[faceswap] max_archive_bytes``.
    :param thumbnails: What makes the thumbnails; ``None`` for none.
    :raises InvalidRequestError: The destination or the filename is wrong.
    """
    return Archive(
        folder_of(destination, conn_id),
        filename=filename,
        overwrite=overwrite,
        max_bytes=max_bytes or conf.getint("faceswap", "max_archive_bytes", fallback=256 * 1024 * 1024),
        open_hosts=open_hosts(),
        run=run or RunInfo(),
        thumbnails=thumbnails,
    )


def _described(source: ArchiveSource) -> str:
    return bare_url(source.url) if source.url else f"the output of job {source.job_id}"
