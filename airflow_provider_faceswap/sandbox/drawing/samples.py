"""Input pictures for anybody: portraits by name, groups, a landscape, a short clip."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_faceswap.sandbox.drawing.encoding import encode
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_clip_frame, draw_landscape, draw_portrait
from airflow_provider_faceswap.sandbox.drawing.video import write_video

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.server.state import Output

_NAME = re.compile(r"^(?P<name>[\w-]{1,64})\.(?P<suffix>png|jpg|webp|mp4)$")
_GROUP = re.compile(r"^group-(?P<count>[1-6])$")
_CLIP_FRAMES, _CLIP_RATE, _CLIP_SIDE = 24, 12.0, 320


@lru_cache(maxsize=256)
def draw_sample(filename: str) -> Output | None:
    """The sample of this name, or ``None`` if there is no such sample.

    :param filename: ``<any name>.png|jpg|webp`` for a portrait of that person, ``group-N.jpg`` for N people
        side by side, ``landscape.jpg`` for a picture without people, ``clip.mp4`` for two seconds of video.
    """
    match = _NAME.match(filename)
    if match is None:
        return None
    name, suffix = match["name"], match["suffix"]
    if suffix == "mp4":
        if name != "clip":
            return None
        frames = [draw_clip_frame("clip", _CLIP_SIDE, n / _CLIP_FRAMES) for n in range(_CLIP_FRAMES)]
        return write_video(frames, _CLIP_RATE)
    group = _GROUP.match(name)
    if group is not None:
        people = [draw_portrait(f"{name} {number}", 300, 420) for number in range(int(group["count"]))]
        return encode(np.hstack(people), suffix)
    if name == "landscape":
        return encode(draw_landscape("landscape", 768, 512), suffix)
    return encode(draw_portrait(name, 512, 640), suffix)
