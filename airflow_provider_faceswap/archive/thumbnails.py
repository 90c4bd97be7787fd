"""The thumbnails of an archived result: its output and the pictures that its job was given."""

from __future__ import annotations

import hashlib
import io
import logging
from collections import OrderedDict
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from airflow_provider_faceswap.archive.inputs import fetched_input, inputs_of
from airflow_provider_faceswap.archive.manifest import KeptThumbnail
from airflow_provider_faceswap.media.thumbnails import (
    NoThumbnailError,
    Thumbnail,
    TooSlowError,
    is_installed,
    thumbnail,
)
from airflow_provider_faceswap.storage.files import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.archive.sources import ArchiveSource, FetchJob

_log = logging.getLogger(__name__)

#: The beginning and the end of a thumbnail's name, beside the pictures; a dot keeps it out of most listings. Between
#: them is its hash: one face of a thousand swaps is one file, and two tasks that write at once cannot mix theirs.
_BEGINNING, _END = ".thumbnail-", ".jpg"
#: The role of the output; that of an input is the name of its argument.
OUTPUT = "output"
#: Inputs whose thumbnails are remembered, each about 10 KiB.
_REMEMBERED = 256
#: Inputs of one host that may be too slow, before no other is fetched from it.
_SLOW = 2


class ThumbnailKeeper:
    """
    Makes and writes the thumbnails of the results that one task archives.

    :param fetch: Polls a job before the one whose result is archived; ``None`` if that is not possible.
    """

    def __init__(self, fetch: FetchJob | None = None) -> None:
        self._fetch = fetch
        self._lock = Lock()
        self._inputs: OrderedDict[str, Thumbnail | NoThumbnailError] = OrderedDict()
        self._slow: dict[str, int] = {}
        self._written: set[str] = set()

    def keep(
        self, source: ArchiveSource, file: BinaryIO, folder: ObjectStoragePath
    ) -> dict[str, KeptThumbnail]:
        """
        Write the thumbnails of a result. Nothing here fails the archive.

        :param file: The output.
        :param folder: The folder of the output.
        :returns: Role to thumbnail; without a name, there is none, and it says why.
        """
        kept: dict[str, KeptThumbnail] = {}
        try:
            kept[OUTPUT] = self._kept(partial(thumbnail, file), folder)
            for role, value in inputs_of(source).items():
                kept[role] = self._kept(partial(self._of_input, value, source), folder)
        except Exception as error:  # noqa: BLE001 - the picture is paid for, and is archived without them
            _log.warning("The thumbnails are not complete (%s)", type(error).__name__)
        return kept

    def _kept(self, make: Callable[[], Thumbnail], folder: ObjectStoragePath) -> KeptThumbnail:
        try:
            made = make()
            name = hashlib.sha256(made.data).hexdigest()
            path = folder / thumbnail_name(name)
            if str(path) not in self._written:
                write(path, io.BytesIO(made.data))
                self._written.add(str(path))
        except NoThumbnailError as error:
            return KeptThumbnail(missing=str(error))
        except Exception as error:  # noqa: BLE001 - every object store has its own errors
            return KeptThumbnail(missing=f"it could not be written ({type(error).__name__})")
        return KeptThumbnail(sha256=name, bytes=len(made.data), width=made.width, height=made.height)

    def _of_input(self, value: Any, source: ArchiveSource) -> Thumbnail:
        """The thumbnail of an input; the same picture is fetched once."""
        key = value if isinstance(value, str) and not value.startswith("sha256:") else None
        host = urlsplit(key).netloc if key else ""
        with self._lock:
            known = self._inputs.get(key) if key else None
            if known is None and self._slow.get(host, 0) >= _SLOW:
                known = NoThumbnailError("other pictures of its host could not be read in time")
        if known is None:
            known = self._made(value, source, host)
            if key:
                with self._lock:
                    self._inputs[key] = known
                    if len(self._inputs) > _REMEMBERED:
                        self._inputs.popitem(last=False)
        if isinstance(known, NoThumbnailError):
            raise NoThumbnailError(str(known))
        return known

    def _made(self, value: Any, source: ArchiveSource, host: str) -> Thumbnail | NoThumbnailError:
        try:
            return thumbnail(fetched_input(value, source, self._fetch))
        except TooSlowError as error:
            with self._lock:
                self._slow[host] = self._slow.get(host, 0) + 1
            return error
        except NoThumbnailError as error:
            return error


def thumbnail_name(sha256: str) -> str:
    """The name of a thumbnail's file, by its hash in hex."""
    return f"{_BEGINNING}{sha256}{_END}"


def keeper(wanted: bool, log: Any, fetch: FetchJob | None = None) -> ThumbnailKeeper | None:
    """
    What makes the thumbnails of a task.

    :returns: ``None`` if they are not wanted, or cannot be made, which is logged.
    """
    if not wanted:
        return None
    if not is_installed():
        log.warning(
            "No thumbnails are made, because Pillow is not installed. Install airflow-provider-faceswap[images]."
        )
        return None
    return ThumbnailKeeper(fetch)
