"""Archive: an output becomes a file in object storage, with a manifest beside it."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow.providers.common.compat.sdk import conf

from airflow_provider_faceswap.archive.manifest import Archived, Manifest, RunInfo
from airflow_provider_faceswap.archive.names import check_filename, folder_of, names_of
from airflow_provider_faceswap.archive.place import Overwrite, Place, TakenError
from airflow_provider_faceswap.archive.reuse import already_at, copied, is_reused
from airflow_provider_faceswap.exceptions import ArchiveError, FaceSwapError, NotAnImageError, TooLargeError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.file_structure import examine
from airflow_provider_faceswap.foundation.redaction import bare_url, error_line
from airflow_provider_faceswap.http.body import Downloaded
from airflow_provider_faceswap.http.download import download
from airflow_provider_faceswap.http.patience import Patience
from airflow_provider_faceswap.media.limits import max_transfer_seconds, open_hosts
from airflow_provider_faceswap.storage.places import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.archive.names import Names
    from airflow_provider_faceswap.archive.sources import ArchiveSource
    from airflow_provider_faceswap.archive.thumbnails import ThumbnailKeeper

_log = logging.getLogger(__name__)

_HALF = "Nothing was archived. The job is paid for; retry before its link expires."

#: A result up to this many bytes is checked in memory, a larger one on the worker's disk.
IN_MEMORY = 8 * 1024 * 1024


@dataclass(frozen=True)
class Archive:
    """
    A folder that results are archived in.

    :param folder: Where the files go.
    :param filename: Their name below it. A suffix is added if it has none, and a number if one job has several
        outputs. Default: kind, some words of the prompt or of the input's name, vendor and job id; or the hash for a
        bare link.
    :param overwrite: What to do if there is a file with that name and its manifest. A file without one was left by
        an attempt that stopped early, and is always replaced. ``error`` accepts the identical file from an
        earlier attempt of the same task. ``skip`` keeps the same output of the same job, and writes another one under
        a name of its own.
    :param max_bytes: The largest result that is accepted.
    :param open_hosts: Private or plain http hosts that downloads may reach.
    :param run: The task attempt that manifests name.
    :param patience: With links that do not work yet.
    :param thumbnails: What makes the thumbnails; ``None`` for none.
    :raises InvalidRequestError: The filename is empty, or leads out of the folder.
    """

    folder: ObjectStoragePath
    filename: str | None
    overwrite: Overwrite
    max_bytes: int
    open_hosts: Collection[str]
    run: RunInfo
    patience: Patience = field(default_factory=Patience)
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
        if is_reused(source) and (there := already_at(source, partial(self._place_of, source))):
            return there
        fetched = self._fetch(source, file)
        found = examine(file)
        if (media := found.media) is None:
            raise NotAnImageError(
                f"{_described(source)} is neither a picture nor a video, nor a sound or a 3D model"
            )
        if found.flaw:
            raise ArchiveError(f"{_described(source)} {found.flaw}", advice=_HALF)
        width, height = found.size or (None, None)
        names = names_of(source, self.filename, sha256=fetched.sha256, suffix=media.suffix)
        # Before the file: between a file and its manifest there may be a few seconds only.
        folder = (self.folder / names.name).parent
        thumbnails = self.thumbnails.keep(source, file, folder) if self.thumbnails else {}

        def manifest(place: Place) -> Manifest:
            archived = Archived(
                uri=str(place.path),
                manifest_uri=str(place.manifest_path),
                media_type=media.name,
                bytes=fetched.size,
                sha256=fetched.sha256,
                width=width,
                height=height,
            )
            return Manifest.of(source, archived, self.run).model_copy(update={"thumbnails": thumbnails})

        return self._put(names, file, manifest)

    def _place_of(
        self, source: ArchiveSource, archived: Manifest, path: ObjectStoragePath
    ) -> ObjectStoragePath:
        """Where the picture of a reused source is to be, which is archived already: there, if that is in this folder."""
        folder = place_of(str(self.folder)).rstrip("/") + "/"
        if self.filename is None and place_of(str(path)).startswith(folder):
            return path
        names = names_of(source, self.filename, sha256=archived.file.sha256, suffix=path.suffix)
        return self.folder / names.name

    def _put(self, names: Names, file: BinaryIO, manifest: Callable[[Place], Manifest]) -> Archived:
        """
        Write the file and its manifest.

        :param manifest: Makes the manifest of the file at a place.
        """
        place = Place(self.folder / names.name)
        new = manifest(place)
        try:
            for name in names.former if self._may_be_there else ():
                former = Place(self.folder / name)
                # Not "replace": a retry over an upgrade would write a second file beside the one of the first attempt.
                rule = "skip" if self.overwrite == "replace" else self.overwrite
                if (existing := former.existing(manifest(former), rule)) is not None:
                    return existing
            try:
                return place.put(file, new, self.overwrite)
            except TakenError:
                if self.overwrite != "skip":
                    raise
            other = Place(self.folder / names.for_origin(new.key).name)
            _log.warning("%s has another picture; this one is archived as %s", place.path, other.path)
            return other.put(file, manifest(other), self.overwrite)
        except FaceSwapError:
            raise
        except Exception as error:  # noqa: BLE001 - every object store has its own errors
            raise ArchiveError(f"{place.path} could not be written ({error_line(error)})") from None

    @property
    def _may_be_there(self) -> bool:
        """True if the file may be there under another name: looking for it is a request to the storage."""
        return self.overwrite != "replace" or (self.run.try_number or 1) > 1

    def _fetch(self, source: ArchiveSource, into: BinaryIO) -> Downloaded:
        if is_reused(source):
            return copied(source, into, self.max_bytes)
        if source.url is not None:
            fetch = partial(
                download,
                source.url,
                into,
                max_bytes=self.max_bytes,
                open_hosts=self.open_hosts,
                seconds=max_transfer_seconds(),
            )
            return self.patience.of(fetch, source.patience(CLOCK.moment()))
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
