"""Input pictures for tests: portraits by name, groups, a landscape, a short clip."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from airflow_provider_faceswap.sandbox.drawing.pictures import Picture, encode, marked
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.drawing.swapping import write_video

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.output import Output

_NAME = re.compile(r"(?P<name>(?:group-(?P<count>[1-6]))|[\w-]{1,64})\.(?P<suffix>png|jpg|webp)")


@lru_cache(maxsize=256)
def draw_sample(filename: str) -> Output | None:
    """The sample of this name, or ``None`` if there is no such sample.

    :param filename: ``<any name>.png|jpg|webp`` for a portrait of that person, ``group-N.jpg`` for N people
        side by side, ``landscape.jpg`` for a picture without people, ``clip.mp4`` for two seconds of video.
    """
    if filename == "clip.mp4":
        return draw_clip("clip")
    match = _NAME.fullmatch(filename)
    if match is None:
        return None
    name = match["name"]
    if match["count"]:
        people = [draw_portrait(f"{name} {number}", 300, 420) for number in range(int(match["count"]))]
        return encode(np.hstack(people), match["suffix"])
    return encode(_landscape() if name == "landscape" else draw_portrait(name, 512, 640), match["suffix"])


def draw_clip(words: str, mark: str = "") -> Output:
    """Two seconds of a portrait that sways, 320 pixels wide and high.

    :param mark: a watermark.
    """
    portrait = draw_portrait(words, 360, 360)
    swing = (20 + 20 * np.sin(np.linspace(0, 2 * np.pi, 24, endpoint=False))).astype(int)
    return write_video([marked(portrait[20:340, left : left + 320], mark) for left in swing], 12.0)


def _landscape() -> Picture:
    """Two hills below a sky, without anybody."""
    sky = np.full((512, 768, 3), (232, 210, 180), np.uint8)
    far = cv2.ellipse(sky, (200, 500), (420, 220), 0, 0, 360, (142, 156, 112), -1, cv2.LINE_AA)
    return cv2.ellipse(far, (620, 560), (460, 210), 0, 0, 360, (66, 112, 64), -1, cv2.LINE_AA)
