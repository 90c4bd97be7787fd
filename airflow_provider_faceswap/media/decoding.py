"""A picture opened by Pillow, within limits: listed formats only, and the size is checked before anything is decoded."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.media.limits import max_decoded_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_faceswap.media.image import Image

#: Pillow's names of the formats that may be opened. Others start programs, such as Ghostscript for EPS, read other files,
#: or have decoders that few people look at.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "AVIF", "TIFF", "JPEG2000", "PPM", "BMP")
#: Formats whose decoders need twice the memory of the others: a pixel counts twice.
_COSTLY = frozenset({"WEBP", "AVIF", "JPEG2000"})


class Opened(NamedTuple):
    """
    A picture whose pixels are not decoded yet.

    :param picture: As Pillow opens it. A large JPEG may have got smaller.
    :param size: Its width and height in the file.
    """

    picture: Any
    size: tuple[int, int]


@contextmanager
def opened(image: Image, *, side: int | None = None) -> Iterator[Opened]:
    """
    Open a picture.

    :param side: The pixels that the longer side needs at least. A JPEG is then decoded to a smaller size at once, so
        that it may be larger than other pictures.
    :raises InvalidRequestError: Pillow cannot open it, or it has too many pixels.
    """
    from PIL import Image as Pictures

    try:
        Pictures.init()
        picture = Pictures.open(image.file, formats=[name for name in FORMATS if name in Pictures.OPEN])
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds of errors for a damaged file
        raise cannot_open(error) from None
    with picture:
        width, height = picture.size
        # A progressive JPEG is held in memory as a whole, whatever size it is decoded to.
        if side is not None and max(width, height) > side and not picture.info.get("progressive"):
            scale = side / max(width, height)
            picture.draft(None, (max(1, round(width * scale)), max(1, round(height * scale))))
        limit = max_decoded_pixels() // (2 if picture.format in _COSTLY else 1)
        if picture.size[0] * picture.size[1] > limit:
            raise InvalidRequestError(
                f"the picture has {width} x {height} pixels, and at most {limit} pixels are decoded here",
                advice="Nothing was bought. Give a smaller picture, or raise [faceswap] max_decoded_pixels.",
            )
        yield Opened(picture, (width, height))


def cannot_open(error: Exception) -> InvalidRequestError:
    """The error for a picture that Pillow fails on."""
    return InvalidRequestError(
        f"the picture cannot be opened ({type(error).__name__})",
        advice="Nothing was bought. Give another picture, or convert this one to PNG or JPEG.",
    )
