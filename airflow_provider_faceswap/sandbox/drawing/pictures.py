"""Pictures and colours as arrays: reading, writing, resizing, editing."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from airflow_provider_faceswap.sandbox.output import JobFailedError, Output, format_of

#: 8 bits, height x width x 3 (4 with an alpha channel; a mask has none), in OpenCV's order blue, green, red.
Picture = NDArray[Any]
#: Blue, green, red, each 0-255.
Colour = tuple[float, float, float]

#: Longest side of a drawn picture, in pixels: enough to look at, quick to draw.
LONGEST = 768
_WRITE_OPTIONS = {"png": [cv2.IMWRITE_PNG_COMPRESSION, 1], "webp": [cv2.IMWRITE_WEBP_QUALITY, 92]}


def as_picture(array: NDArray[Any]) -> Picture:
    """The array in 8 bits, values rounded and held within 0-255."""
    return np.asarray(np.rint(np.clip(array, 0, 255)), np.uint8)


def decode(data: bytes) -> Picture:
    """The picture in the bytes of a file, without its alpha channel.

    :raises JobFailedError: if OpenCV cannot read it.
    """
    if format_of(data) not in ("png", "jpg", "webp"):
        raise JobFailedError("the input is not a png, jpeg or webp image")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise JobFailedError("the input image is damaged")
    return picture


def encode(picture: Picture, suffix: str) -> Output:
    """The picture as a ``png``, ``jpg`` or ``webp`` file."""
    return Output(cv2.imencode(f".{suffix}", picture, _WRITE_OPTIONS.get(suffix, []))[1].tobytes(), suffix)


def frame(aspect: str, longest: int = LONGEST) -> tuple[int, int]:
    """Width and height of a picture with an aspect ratio such as ``16:9``."""
    across, down = (int(part) for part in aspect.split(":"))
    return fitted(across * longest, down * longest, longest)


def fitted(width: int, height: int, longest: int = LONGEST) -> tuple[int, int]:
    """The same shape with a longest side of at most ``longest``, in even numbers."""
    share = min(1.0, longest / max(width, height))
    return max(2, 2 * round(width * share / 2)), max(2, 2 * round(height * share / 2))


def resized(picture: Picture, width: int, height: int) -> Picture:
    """The picture in another size."""
    interpolation = cv2.INTER_CUBIC if width > picture.shape[1] else cv2.INTER_AREA
    return cv2.resize(picture, (width, height), interpolation=interpolation)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two: ``share`` 0 gives ``one``, 1 gives ``other``."""
    blue, green, red = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return blue, green, red


def colours(names: str) -> list[Colour]:
    """The colours in a text, by their names in CSS or as ``#rrggbb``; other words are ignored."""
    known = [word for word in names.lower().split() if word in ImageColor.colormap or word.startswith("#")]
    return [(float(b), float(g), float(r)) for r, g, b, *_ in map(ImageColor.getrgb, known)]


def edited(picture: Picture, instruction: str) -> Picture:
    """The picture with more contrast, at most as large as a drawn picture, tinted with the instruction's colours."""
    lab = cv2.cvtColor(resized(picture, *fitted(picture.shape[1], picture.shape[0])), cv2.COLOR_BGR2LAB)
    lab[..., 0] = cv2.createCLAHE(clipLimit=1.8, tileGridSize=(4, 4)).apply(lab[..., 0])
    result = cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)
    for colour in colours(instruction.replace("night", "navy").replace("sunset", "orange")):
        result = as_picture(result * 0.72 + lab[..., :1] / 160 * np.array(colour) * 0.28)
    return result


def marked(picture: Picture, text: str) -> Picture:
    """A copy of the picture with a watermark at its lower edge."""
    copy = picture.copy()
    at = (8, copy.shape[0] - 12)
    return cv2.putText(copy, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2, cv2.LINE_AA)


def foreground(picture: Picture) -> Picture:
    """Mask of the main subject: 255 where it is, 0 elsewhere."""
    height, width = picture.shape[:2]
    small = resized(picture, *fitted(width, height, 200))
    mask, (left, top) = np.zeros(small.shape[:2], np.uint8), (small.shape[1] // 9, small.shape[0] // 16)
    inside = (left, top, small.shape[1] - 2 * left, small.shape[0] - top)
    cv2.setRNGSeed(1)
    cv2.grabCut(small, mask, inside, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_RECT)
    return cv2.resize(cv2.GaussianBlur(mask % 2 * 255, (0, 0), 1.0), (width, height))
