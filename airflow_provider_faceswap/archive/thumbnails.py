"""The thumbnails of an archived result: its output and the pictures that its job was given."""

from __future__ import annotations

import hashlib
import io
import logging
from collections import Counter, OrderedDict
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
#: Inputs that are remembered, each with the hash of its thumbnail. A face is often that of many swaps.
_REMEMBERED = 64
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
        self._inputs: OrderedDict[tuple[str, str], KeptThumbnail] = OrderedDict()
        self._slow: Counter[str] = Counter()

    def keep(
        self, source: ArchiveSource, file: BinaryIO, folder: ObjectStoragePath
    ) -> dict[str, KeptThumbnail]:
        """
        Write the thumbnails of a result. Nothing here fails the archive.

        :param file: The output.
        :param folder: The folder of the output.
        :returns: Role to thumbnail; without a hash, there is none, and it says why.
        """
        kept: dict[str, KeptThumbnail] = {}
        try:
            kept[OUTPUT] = _kept(partial(thumbnail, file), folder)
            for role, value in inputs_of(source).items():
                kept[role] = self._of_input(value, source, folder)
        except Exception as error:  # noqa: BLE001 - the picture is paid for, and is archived without them
            _log.warning("The thumbnails are not complete (%s)", type(error).__name__)
        return kept

    def _of_input(self, value: Any, source: ArchiveSource, folder: ObjectStoragePath) -> KeptThumbnail:
        """The thumbnail of an input; the same picture is fetched and written once."""
        if not isinstance(value, str) or value.startswith("sha256:"):
            return _kept(partial(self._made, value, source), folder)
        key = (value, str(folder))
        with self._lock:
            if (known := self._inputs.get(key)) is not None:
                return known
        made = _kept(partial(self._made, value, source), folder)
        with self._lock:
            self._inputs[key] = made
            if len(self._inputs) > _REMEMBERED:
                self._inputs.popitem(last=False)
        return made

    def _made(self, value: Any, source: ArchiveSource) -> Thumbnail:
        host = urlsplit(value).netloc if isinstance(value, str) else ""
        with self._lock:
            if self._slow[host] >= _SLOW:
                raise NoThumbnailError("other pictures of its host could not be read in time")
        try:
            return thumbnail(fetched_input(value, source, self._fetch))
        except TooSlowError:
            with self._lock:
                self._slow[host] += 1
            raise


def _kept(make: Callable[[], Thumbnail], folder: ObjectStoragePath) -> KeptThumbnail:
    """Make a thumbnail and write it."""
    try:
        made = make()
        sha256 = hashlib.sha256(made.data).hexdigest()
        write(folder / thumbnail_name(sha256), io.BytesIO(made.data), "image/jpeg")
    except NoThumbnailError as error:
        return KeptThumbnail(missing=str(error))
    except Exception as error:  # noqa: BLE001 - every object store has its own errors
        return KeptThumbnail(missing=f"it could not be written ({type(error).__name__})")
    return KeptThumbnail(sha256=sha256, bytes=len(made.data), width=made.width, height=made.height)


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
