"""PiAPI's tasks besides face swaps and Flux: what they take, what they make, and how their outputs look.

The outputs are shaped as the vendor's pages and public clients show them; nearly every model has its own shape.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from airflow_provider_faceswap.sandbox.drawing.pictures import (
    decode,
    edited,
    encode,
    fitted,
    foreground,
    marked,
    resized,
)
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.drawing.samples import draw_clip
from airflow_provider_faceswap.sandbox.drawing.solid import tetrahedron
from airflow_provider_faceswap.sandbox.drawing.sound import silence
from airflow_provider_faceswap.sandbox.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_faceswap.sandbox.drawing.pictures import Picture

#: Side of one picture of a Midjourney grid, and of a drawn portrait; small, so that it is drawn at once.
_CELL, _SIDE = 256, 384
_MOST_SIDE = 2048
_MARK = "SANDBOX"


@dataclass(frozen=True)
class Work:
    """What one task type of one model does.

    :param price: points.
    :param draw: makes the files from the input and from its loaded media.
    :param output: the ``output`` of a finished task, from the links to its files.
    :param media: inputs that are loaded: their names, and what they are (``image``, ``video``, or ``origin``, a
        finished task).
    :param required: inputs that must be given.
    :param waiting: the ``output`` of a task that has not ended.
    :param kind: name in the ledger; by default the task type.
    """

    price: int
    draw: Callable[[dict[str, Any], list[bytes]], list[Output]]
    output: Callable[[list[str]], dict[str, Any]]
    media: dict[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    waiting: dict[str, Any] | None = None
    kind: str = ""


def _at(urls: list[str], number: int) -> str:
    """A link, or the empty text that the vendor has in its place."""
    return urls[number] if number < len(urls) else ""


def _image(urls: list[str]) -> dict[str, Any]:
    return {"image_url": _at(urls, 0), "image_base64": ""}


def _cut_out(_: dict[str, Any], media: list[bytes]) -> list[Output]:
    picture = decode(media[0])
    return [encode(np.dstack([picture, foreground(picture)]), "png")]


def _enlarged(given: dict[str, Any], media: list[bytes]) -> list[Output]:
    picture, scale = decode(media[0]), given.get("scale")
    factor = scale if isinstance(scale, int) and scale in (2, 4) else 2
    size = fitted(picture.shape[1] * factor, picture.shape[0] * factor, _MOST_SIDE)
    return [encode(resized(picture, *size), "png")]


def _segmented(_: dict[str, Any], media: list[bytes]) -> list[Output]:
    return [encode(foreground(decode(media[0])), "png")]


def _prompt(given: dict[str, Any]) -> str:
    names = ("prompt", "gpt_description_prompt", "lyrics")
    return next((given[name] for name in names if isinstance(given.get(name), str)), "")


# Kling shows each file twice: with a watermark, and without.


def _kling_video(given: dict[str, Any], media: list[bytes]) -> list[Output]:
    words = _prompt(given) or str(len(media))
    cover = encode(draw_portrait(words, 320, 320), "png")
    return [draw_clip(words, _MARK), draw_clip(words), cover]


def _try_on(_: dict[str, Any], media: list[bytes]) -> list[Output]:
    worn = edited(decode(media[0]), "blue")
    return [encode(marked(worn, _MARK), "png"), encode(worn, "png")]


def _resource(marked_url: str, clean_url: str, duration: int) -> dict[str, Any]:
    return {
        "resource": marked_url,
        "resource_without_watermark": clean_url,
        "height": 320,
        "width": 320,
        "duration": duration,
    }


def _works(kind: str, **files: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "status": 99, "works": [{"status": 99, "type": kind, **files}]}


def _kling_video_output(urls: list[str]) -> dict[str, Any]:
    video = _resource(_at(urls, 0), _at(urls, 1), 5100)
    return _works("m2v_txt2video", cover=_resource(_at(urls, 2), "", 0), video=video)


def _try_on_output(urls: list[str]) -> dict[str, Any]:
    return _works("tryon", image=_resource(_at(urls, 0), _at(urls, 1), 0))


_NO_WORKS: dict[str, Any] = {"type": "", "status": 0, "works": None}


# Midjourney: the first file is the grid, the other four are its pictures.


def _grid(pictures: list[Picture]) -> list[Output]:
    whole = np.vstack([np.hstack(pictures[:2]), np.hstack(pictures[2:])])
    return [encode(picture, "png") for picture in (whole, *pictures)]


def _imagined(given: dict[str, Any], _: list[bytes]) -> list[Output]:
    return _grid([draw_portrait(_prompt(given), _CELL, _CELL, take=number) for number in range(4)])


def _varied(_: dict[str, Any], media: list[bytes]) -> list[Output]:
    picture = decode(media[0])
    return _grid([edited(picture, tint) for tint in ("", "navy", "orange", "green")])


def _picked(_: dict[str, Any], media: list[bytes]) -> list[Output]:
    picture = decode(media[0])
    return [encode(cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), "png")]


def _midjourney(urls: list[str]) -> dict[str, Any]:
    followed = (*(f"{action}{number}" for action in ("upscale", "variation") for number in range(1, 5)),)
    return {
        "image_url": _at(urls, 0),
        "image_urls": None,
        "temporary_image_urls": urls[1:] or None,
        "discord_image_url": "",
        "actions": ["reroll", *followed] if len(urls) > 1 else [],
        "progress": 100,
        "intermediate_image_urls": None,
    }


_NO_GRID: dict[str, Any] = {
    "image_url": "",
    "image_urls": None,
    "temporary_image_urls": None,
    "discord_image_url": "",
    "actions": None,
    "progress": 0,
    "intermediate_image_urls": None,
}


def _clip(given: dict[str, Any], _: list[bytes]) -> list[Output]:
    return [draw_clip(_prompt(given))]


def _sound(given: dict[str, Any], _: list[bytes]) -> list[Output]:
    return [silence(_prompt(given))]


def _song(given: dict[str, Any], _: list[bytes]) -> list[Output]:
    cover = encode(draw_portrait(_prompt(given), _CELL, _CELL), "jpg")
    return [silence(_prompt(given)), cover]


def _song_output(urls: list[str]) -> dict[str, Any]:
    return {"clips": {"clip-1": {"id": "clip-1", "audio_url": _at(urls, 0), "image_url": _at(urls, 1)}}}


def _model(_: dict[str, Any], media: list[bytes]) -> list[Output]:
    picture = decode(media[0])
    alone = encode(np.dstack([picture, foreground(picture)]), "png")
    return [alone, draw_clip("model"), tetrahedron(str(len(media[0])))]


def _model_output(urls: list[str]) -> dict[str, Any]:
    names = ("no_background_image", "combined_video", "model_file")
    return {name: _at(urls, number) for number, name in enumerate(names)}


def _raw_video(urls: list[str]) -> dict[str, Any]:
    return {"video_raw": {"url": _at(urls, 0), "width": 320, "height": 320}, "last_frame": None}


_FOLLOW_UP: dict[str, Any] = {
    "media": {"origin_task_id": "origin"},
    "required": ("origin_task_id", "index"),
    "waiting": _NO_GRID,
}
#: Model and task type -> what it does. The prices are the sandbox's own.
WORKS: dict[tuple[str, str], Work] = {
    ("Qubico/image-toolkit", "background-remove"): Work(
        10_000, _cut_out, _image, {"image": "image"}, ("image",)
    ),
    ("Qubico/image-toolkit", "upscale"): Work(20_000, _enlarged, _image, {"image": "image"}, ("image",)),
    ("Qubico/image-toolkit", "segment"): Work(
        20_000, _segmented, _image, {"image": "image"}, ("image", "prompt")
    ),
    ("Qubico/video-toolkit", "upscale"): Work(
        300_000,
        # A larger video would only cost time.
        lambda _, media: [Output(media[0], "mp4")],
        lambda urls: {"video_url": _at(urls, 0)},
        {"video": "video"},
        ("video",),
        kind="video_upscale",
    ),
    ("kling", "video_generation"): Work(
        1_300_000,
        _kling_video,
        _kling_video_output,
        {"image_url": "image"},
        ("prompt",),
        waiting=_NO_WORKS,
    ),
    ("kling", "ai_try_on"): Work(
        700_000,
        _try_on,
        _try_on_output,
        {"model_input": "image", "dress_input": "image"},
        ("model_input",),
        waiting=_NO_WORKS,
    ),
    ("midjourney", "imagine"): Work(700_000, _imagined, _midjourney, required=("prompt",), waiting=_NO_GRID),
    ("midjourney", "upscale"): Work(100_000, _picked, _midjourney, **_FOLLOW_UP),
    ("midjourney", "variation"): Work(700_000, _varied, _midjourney, **_FOLLOW_UP),
    ("seedance", "seedance-2"): Work(
        1_000_000,
        _clip,
        lambda urls: {"video": _at(urls, 0)},
        required=("prompt",),
        waiting={"video": ""},
    ),
    ("luma", "video_generation"): Work(2_000_000, _clip, _raw_video, required=("prompt",)),
    ("Qubico/diffrhythm", "txt2audio-base"): Work(
        200_000, _sound, lambda urls: {"audio_url": _at(urls, 0)}, required=("lyrics",)
    ),
    ("music-s", "generate_music"): Work(500_000, _song, _song_output, required=("gpt_description_prompt",)),
    ("Qubico/trellis", "image-to-3d"): Work(300_000, _model, _model_output, {"image": "image"}, ("image",)),
}
