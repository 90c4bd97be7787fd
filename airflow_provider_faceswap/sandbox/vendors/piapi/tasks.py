"""PiAPI's tasks: the checks of a request, and the pictures of its result."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_faceswap.sandbox.drawing.pictures import decode, edited, encode, fitted
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.drawing.swapping import swap, swap_several, swap_video
from airflow_provider_faceswap.sandbox.output import JobFailedError, Output, format_of
from airflow_provider_faceswap.sandbox.server.inputs import Inputs, UnreadableInputError
from airflow_provider_faceswap.sandbox.vendors.piapi.models import WORKS, Work

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.drawing.pictures import Picture

#: What an input can be: its formats, and the suffixes of links to it.
_FORMATS = {"image": ("png", "jpg", "webp"), "video": ("mp4",)}
_SUFFIXES = {"image": (".jpg", ".jpeg", ".png", ".webp"), "video": (".mp4",)}
_MOST_SIDE = 2048
#: A prompt that contains it is refused by the imitated moderation.
_FORBIDDEN = "forbidden-content"

_IMAGE_TOOLKIT, _VIDEO_TOOLKIT = "Qubico/image-toolkit", "Qubico/video-toolkit"
_FLUX = ("txt2img", "img2img", "kontext")
_FLUX_ADVANCED = (
    "txt2img-lora",
    "img2img-lora",
    "controlnet-lora",
    "fill-inpaint",
    "fill-outpaint",
    "redux-variation",
    "kontext",
)
_GEMINI = ("gemini-2.5-flash-image", "nano-banana-pro")
_SWAPS = {
    (_IMAGE_TOOLKIT, "face-swap"): ("face_swap", 100_000),
    (_IMAGE_TOOLKIT, "multi-face-swap"): ("multi_face_swap", 150_000),
    (_VIDEO_TOOLKIT, "face-swap"): ("video_face_swap", 300_000),
}
_DRAWINGS = {
    **{
        (model, task_type): (task_type, 20_000)
        for model in ("Qubico/flux1-schnell", "Qubico/flux1-dev")
        for task_type in _FLUX
    },
    **{("Qubico/flux1-dev-advanced", task_type): (task_type, 20_000) for task_type in _FLUX_ADVANCED},
    **{("gemini", task_type): (task_type, 300_000) for task_type in _GEMINI},
}
_FAMILIES = {_IMAGE_TOOLKIT: "image_toolkit", _VIDEO_TOOLKIT: "video_toolkit", "gemini": "gemini"}
_MOST_PIXELS = 1_048_576
_MOST_BATCH = 4
#: Files of a Midjourney grid: the grid and its four pictures.
_GRID_FILES = 5
#: Index lists such as 0,1.
_INDEX = re.compile(r"^\d{1,2}(,\d{1,2})*$")


class TaskError(ValueError):
    """A request that PiAPI refuses with 400; the text is its message."""


@dataclass(frozen=True)
class Task:
    """One checked request.

    :param model: as requested.
    :param task_type: as requested.
    :param kind: the sandbox's name for the task, such as ``multi_face_swap``.
    :param price: points.
    :param input: the input as requested.
    :param media: inputs that are loaded, and what they are.
    :param work: what it does, if it is neither a face swap nor Flux or Gemini.
    :param config: the echoed configuration, webhook secret included.
    """

    model: str
    task_type: str
    kind: str
    price: int
    input: dict[str, Any]
    media: dict[str, str]
    work: Work | None
    config: dict[str, Any] = field(repr=False)

    @property
    def family(self) -> str:
        """Name of the model in the task history."""
        return _FAMILIES.get(self.model) or ("flux" if "flux" in self.model else self.model.split("/")[-1])

    @property
    def urls_only(self) -> bool:
        """Whether the output has a list of links only, as Gemini's has."""
        return self.model == "gemini"


def read_task(body: object) -> Task:
    """Check a create body.

    :param body: the decoded JSON.
    :raises TaskError: if it would be refused.
    """
    if not isinstance(body, dict):
        raise TaskError("invalid request: body must be a JSON object")
    model, task_type, given = body.get("model"), body.get("task_type"), body.get("input")
    for name, value in (("model", model), ("task_type", task_type)):
        if not isinstance(value, str) or not value:
            raise TaskError(f"invalid request: {name} is required")
    if not isinstance(given, dict):
        raise TaskError("invalid request: input is required")
    wanted = (str(model), str(task_type))
    work = WORKS.get(wanted)
    if work is not None:
        for name in work.required:
            _text(given, name)
        media = {name: what for name, what in work.media.items() if given.get(name)}
        named = (work.kind or wanted[1].replace("-", "_"), work.price)
    elif wanted in _SWAPS:
        named = _SWAPS[wanted]
        _check_swap(named[0], given)
        target = {"target_video": "video"} if named[0] == "video_face_swap" else {"target_image": "image"}
        media = {**target, "swap_image": "image"}
    elif wanted in _DRAWINGS:
        named = _DRAWINGS[wanted]
        _check_drawing(wanted, given)
        media = {"image": "image"} if given.get("image") else {}
    else:
        known = {known_model for known_model, _ in (*_SWAPS, *_DRAWINGS, *WORKS)}
        what = "task_type" if model in known else "model"
        raise TaskError(f"invalid request: unknown {what} {body[what]!r}")
    return Task(*wanted, *named, given, media, work, _config(body.get("config")))


def _config(given: object) -> dict[str, Any]:
    """The configuration as the task echoes it."""
    if given is not None and not isinstance(given, dict):
        raise TaskError("invalid request: config must be an object")
    settings: dict[str, Any] = given or {}
    webhook = settings.get("webhook_config") or {}
    if not isinstance(webhook, dict) or not all(isinstance(value, str) for value in webhook.values()):
        raise TaskError("invalid request: webhook_config must hold strings")
    mode = settings.get("service_mode", "")
    if mode not in ("", "public", "private"):
        raise TaskError("invalid request: service_mode must be public or private")
    return {
        "service_mode": mode,
        "webhook_config": {"endpoint": webhook.get("endpoint", ""), "secret": webhook.get("secret", "")},
    }


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise TaskError(f"invalid request: {name} is required")
    return value


def _check_swap(kind: str, given: dict[str, Any]) -> None:
    _text(given, "swap_image")
    _text(given, "target_video" if kind == "video_face_swap" else "target_image")
    if kind != "face_swap":
        _pairs(given)


def _pairs(given: dict[str, Any]) -> list[tuple[int, int]] | None:
    """The index lists as pairs (donor face, receiver face); ``None`` if neither is given."""
    lists: list[list[int] | None] = []
    for name in ("swap_faces_index", "target_faces_index"):
        text = given.get(name)
        if text is None or text == "":
            lists.append(None)
            continue
        if not isinstance(text, str) or not _INDEX.match(text.replace(" ", "")):
            raise TaskError(f"invalid request: {name} must look like 0,1")
        lists.append([int(part) for part in text.replace(" ", "").split(",")])
    swap_faces, target_faces = lists
    if swap_faces is None and target_faces is None:
        return None
    if swap_faces is None or target_faces is None or len(swap_faces) != len(target_faces):
        raise TaskError("invalid request: swap_faces_index and target_faces_index must have the same length")
    return list(zip(swap_faces, target_faces, strict=True))


def _number(given: dict[str, Any], name: str, low: float, high: float) -> None:
    value = given.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise TaskError(f"invalid request: {name} must be from {low:g} to {high:g}")


def _check_drawing(wanted: tuple[str, str], given: dict[str, Any]) -> None:
    model, task_type = wanted
    _text(given, "prompt")
    if task_type in ("img2img", "img2img-lora"):
        _text(given, "image")
    _number(given, "guidance_scale", 1.5, 5)
    _number(given, "width", 64, _MOST_SIDE)
    _number(given, "height", 64, _MOST_SIDE)
    _number(given, "batch_size", 1, _MOST_BATCH)
    _number(given, "denoise", 0.0001, 1)
    if (given.get("width") or 1024) * (given.get("height") or 1024) > _MOST_PIXELS:
        raise TaskError(f"invalid request: width*height must not exceed {_MOST_PIXELS}")
    if (given.get("batch_size") or 1) > 1 and model != "Qubico/flux1-schnell":
        raise TaskError("invalid request: batch_size is for schnell only")


def check_suffixes(task: Task) -> None:
    """Refuse links whose path does not end in a format that the documentation lists.

    :raises JobFailedError: with the text of a task that create answers as failed.
    """
    for name, what in task.media.items():
        value = str(task.input[name])
        if (
            what in _SUFFIXES
            and value.startswith("http")
            and not urlsplit(value).path.lower().endswith(_SUFFIXES[what])
        ):
            raise JobFailedError(f"failed to get valid {what}")


def load(task: Task, inputs: Inputs) -> list[bytes]:
    """Fetch the inputs of a task, which PiAPI does before it answers create; may block.

    :returns: the receiving picture or video and the donor for a swap, the given media for another task.
    :raises JobFailedError: with the text of a task that create answers as failed.
    """
    return [_loaded(str(task.input[name]), what, task, inputs) for name, what in task.media.items()]


def _loaded(value: str, what: str, task: Task, inputs: Inputs) -> bytes:
    if what == "origin":
        return _picture_of(value, str(task.input["index"]), inputs)
    try:
        data = inputs.read(value)
    except UnreadableInputError as error:
        raise JobFailedError(f"failed to get valid {what}") from error
    if format_of(data) not in _FORMATS[what]:
        raise JobFailedError(f"failed to get valid {what}")
    return data


def _picture_of(task_id: str, index: str, inputs: Inputs) -> bytes:
    """One of the four pictures of a finished grid, counted from 1."""
    origin = inputs.sandbox.jobs.get(task_id)
    files = origin.outputs(inputs.sandbox.now()) if origin is not None else []
    if len(files) != _GRID_FILES:
        raise JobFailedError("the origin task is not a finished grid")
    if index not in ("1", "2", "3", "4"):
        raise JobFailedError("index must be from 1 to 4")
    return files[int(index)].data


def draw_task(task: Task, material: list[bytes]) -> list[Output]:
    """The files of a task.

    :param material: what :func:`load` fetched.
    :raises JobFailedError: if it cannot be made.
    """
    if task.kind == "video_face_swap":
        return [swap_video(material[0], _picture(material[1]))]
    if task.kind == "face_swap":
        return [encode(swap(_picture(material[0]), _picture(material[1])), "png")]
    if task.kind == "multi_face_swap":
        receiver, donor = _picture(material[0]), _picture(material[1])
        return [encode(swap_several(receiver, donor, _pairs(task.input)), "png")]
    prompt = str(task.input.get("prompt", ""))
    if _FORBIDDEN in prompt:
        raise JobFailedError("the prompt was refused by moderation: nsfw")
    if task.work is not None:
        return task.work.draw(task.input, material)
    if material:
        return [encode(edited(_picture(material[0]), prompt), "png")]
    size = fitted(int(task.input.get("width") or 1024), int(task.input.get("height") or 1024))
    count = int(task.input.get("batch_size") or 1)
    return [encode(draw_portrait(prompt, *size, take=number), "png") for number in range(count)]


def _picture(data: bytes) -> Picture:
    """The picture, which must be within the documented size."""
    picture = decode(data)
    if max(picture.shape[:2]) > _MOST_SIDE:
        raise JobFailedError(f"image too large: must be under {_MOST_SIDE}x{_MOST_SIDE}")
    return picture
