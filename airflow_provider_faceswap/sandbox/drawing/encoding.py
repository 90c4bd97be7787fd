"""Pictures as bytes and as arrays, and the sizes that aspect ratios stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from airflow_provider_faceswap.sandbox.server.state import JobFailedError, Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    """Height x width x 3 (or 4 with an alpha channel), 8 bits, in OpenCV's order blue, green, red."""

LONGEST = 768
"""Longest side of a drawn picture, in pixels: enough to look at, quick to draw."""

_WRITE_OPTIONS: dict[str, list[int]] = {
    "jpg": [int(cv2.IMWRITE_JPEG_QUALITY), 92],
    "png": [int(cv2.IMWRITE_PNG_COMPRESSION), 4],
    "webp": [int(cv2.IMWRITE_WEBP_QUALITY), 92],
}


def as_picture(array: NDArray[Any]) -> Picture:
    """The array with values rounded and held within 0-255."""
    if array.dtype == np.uint8:
        return np.asarray(array, np.uint8)
    return np.asarray(np.clip(np.rint(array), 0, 255), np.uint8)


def format_of(data: bytes) -> str | None:
    """Format by the first bytes: ``png``, ``jpg``, ``webp``, ``mp4`` or ``None``."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "mp4" if data[4:8] == b"ftyp" else None


def decode(data: bytes) -> Picture:
    """The picture in the bytes of a file, without its alpha channel.

    :raises JobFailedError: if it is none that OpenCV can read.
    """
    if format_of(data) not in ("png", "jpg", "webp"):
        raise JobFailedError("the input is not a png, jpeg or webp image")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise JobFailedError("the input image is damaged")
    return as_picture(picture)


def encode(picture: Picture, suffix: str) -> Output:
    """The picture as a file.

    :param suffix: ``png``, ``jpg`` or ``webp``.
    """
    done, data = cv2.imencode(f".{suffix}", picture, _WRITE_OPTIONS[suffix])
    if not done:
        raise JobFailedError("the picture cannot be written")
    return Output(data.tobytes(), suffix)


def frame(aspect: str, longest: int = LONGEST) -> tuple[int, int]:
    """Width and height of a picture with an aspect ratio.

    :param aspect: such as ``16:9``.
    :param longest: the longer side, in pixels.
    """
    across, down = (int(part) for part in aspect.split(":"))
    if across >= down:
        return longest, _even(longest * down / across)
    return _even(longest * across / down), longest


def fitted(width: int, height: int, longest: int = LONGEST) -> tuple[int, int]:
    """The same shape with a longest side of at most ``longest``."""
    share = min(1.0, longest / max(width, height))
    return _even(width * share), _even(height * share)


def resized(picture: Picture, width: int, height: int) -> Picture:
    """The picture in another size, sharpened by interpolation where it grows."""
    growing = width > picture.shape[1]
    interpolation = cv2.INTER_CUBIC if growing else cv2.INTER_AREA
    return as_picture(cv2.resize(picture, (width, height), interpolation=interpolation))


def grid(pictures: list[Picture]) -> Picture:
    """Four pictures of one size as a 2x2 grid: 1 and 2 above, 3 and 4 below."""
    one, two, three, four = pictures
    return np.vstack([np.hstack([one, two]), np.hstack([three, four])])


def cell(picture: Picture, number: int) -> Picture:
    """One of the four pictures of a grid.

    :param number: 1 to 4.
    """
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    down, across = divmod(number - 1, 2)
    return picture[down * height : (down + 1) * height, across * width : (across + 1) * width].copy()


def _even(length: float) -> int:
    return max(2, 2 * round(length / 2))
