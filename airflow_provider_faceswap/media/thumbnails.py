"""Thumbnails: small JPEGs of pictures, which stay when the vendor's links have expired."""

from __future__ import annotations

import io
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import BinaryIO

from airflow_provider_faceswap.foundation.file_structure import examine
from airflow_provider_faceswap.media.colours import as_rgb

#: Pixels of the longer side.
SIDE = 320
#: JPEG quality. A picture of 320 pixels has about 10 KiB.
QUALITY = 78
#: How many times larger than the thumbnail a picture may stay when its pixels are averaged in whole blocks, before it is
#: resampled. 1.0 is the fastest: of a megapixel it takes 3 ms of a core, where Pillow's own choice takes 8 ms.
REDUCING_GAP = 1.0
#: Pixels of a picture that is decoded. Its pixels take up to four bytes each.
MAX_PIXELS = 50_000_000
#: Pillow's name of each media type that is decoded.
_FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
}
#: Pictures that are decoded at a time in this process, whatever the number of threads: each may take 200 MB.
_DECODING = BoundedSemaphore(2)


class NoThumbnailError(Exception):
    """There is no thumbnail; the message says why, for a person."""


class TooSlowError(NoThumbnailError):
    """The picture could not be read in time."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """
    A thumbnail.

    :param data: A JPEG, upright and without metadata.
    """

    data: bytes
    width: int
    height: int


def is_installed() -> bool:
    """True if Pillow is installed, which makes thumbnails."""
    try:
        import PIL  # noqa: F401 - only whether it is there
    except ImportError:
        return False
    return True


def thumbnail(file: BinaryIO) -> Thumbnail:
    """
    Make the thumbnail of a picture; of an animation, its first frame.

    :param file: At any position; it is left at its beginning.
    :raises NoThumbnailError: It is no picture, it is damaged or too large, or Pillow is not installed.
    """
    found = examine(file)
    if (media := found.media) is None:
        raise NoThumbnailError("its type is not known")
    if media.name not in _FORMATS:
        raise NoThumbnailError(f"a file of type {media.name} has no thumbnail")
    if (size := found.size) is not None and size[0] * size[1] > MAX_PIXELS:
        raise NoThumbnailError(f"it has {size[0]} x {size[1]} pixels, over the limit of {MAX_PIXELS}")
    try:
        with _DECODING:
            return _made(file, _FORMATS[media.name])
    except NoThumbnailError:
        raise
    except ImportError:
        raise NoThumbnailError("Pillow is not installed") from None
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds of errors for a damaged file
        raise NoThumbnailError(f"it cannot be decoded ({type(error).__name__})") from None
    finally:
        file.seek(0)


def _made(file: BinaryIO, form: str) -> Thumbnail:
    from PIL import Image, ImageOps

    with Image.open(file, formats=[form]) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise NoThumbnailError(f"it has {opened.width} x {opened.height} pixels")
        # A JPEG can be decoded at a fraction of its size.
        opened.draft("RGB", (SIDE, SIDE))
        # Pillow averages no blocks of grey with 16 bits.
        gap = None if opened.mode.startswith("I;") else REDUCING_GAP
        opened.thumbnail((SIDE, SIDE), reducing_gap=gap)
        picture = as_rgb(ImageOps.exif_transpose(opened), transparency=False)
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=QUALITY, optimize=True, exif=b"", comment=b"")
        return Thumbnail(out.getvalue(), *picture.size)
