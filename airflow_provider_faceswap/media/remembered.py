"""Pictures of a batch that are read from storage once, although each request is made when it is checked and when it is sent."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING

from airflow_provider_faceswap.media.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import ObjectStoragePath

#: Bytes of pictures that are kept in memory, those that were used last.
MOST_BYTES = 48 * 1024 * 1024


class RememberedPictures:
    """
    The pictures that a batch has read.

    Of a picture that a vendor fetches by a signed link, only its placeholder is kept, so that a hundred thousand of them need
    few bytes. One that goes inside a request is kept whole, and read again once too many others were read.

    :param most_bytes: Of the pictures that are kept whole.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self._left = MOST_BYTES if most_bytes is None else most_bytes
        self._images: OrderedDict[str, Image] = OrderedDict()
        self._placeholders: dict[bytes, str] = {}
        self._lock = Lock()

    def read(self, path: ObjectStoragePath) -> Image:
        """The picture at a path, as :meth:`Image.read` reads it."""
        name = str(path)
        with self._lock:
            if (known := self._images.get(name)) is not None:
                self._images.move_to_end(name)
                return known
        image = Image.read(path)
        with self._lock:
            if name not in self._images:
                self._images[name] = image
                self._left -= len(image.data)
            while self._left < 0:
                _, oldest = self._images.popitem(last=False)
                self._left += len(oldest.data)
        return image

    def placeholder(self, path: ObjectStoragePath, conditions: object) -> str | None:
        """
        What stands for a picture that is sent unchanged, by its signed link; ``None`` if it was not read yet.

        :param conditions: What it was checked against.
        """
        return self._placeholders.get(_key(path, conditions))

    def keep(self, path: ObjectStoragePath, conditions: object, placeholder: str) -> str:
        """Keep what stands for a picture."""
        with self._lock:
            self._placeholders[_key(path, conditions)] = placeholder
        return placeholder


def _key(path: ObjectStoragePath, conditions: object) -> bytes:
    return hashlib.blake2b(f"{path}\n{conditions}".encode(errors="replace"), digest_size=16).digest()


_current: ContextVar[RememberedPictures | None] = ContextVar("pictures", default=None)


@contextmanager
def remembering(pictures: RememberedPictures) -> Iterator[None]:
    """Take the pictures of the requests that are made inside the block from those that are remembered."""
    token = _current.set(pictures)
    try:
        yield
    finally:
        _current.reset(token)


def remembered() -> RememberedPictures:
    """The pictures that are remembered here; none outside a batch."""
    return _current.get() or RememberedPictures(0)
