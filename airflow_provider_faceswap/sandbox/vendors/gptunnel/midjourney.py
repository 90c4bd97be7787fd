"""GPTunneL's Midjourney API: grids of four pictures, and what can be made from them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from starlette.routing import Route

from airflow_provider_faceswap.sandbox.drawing.pictures import as_picture, decode, encode, frame
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.output import Output, format_of
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError
from airflow_provider_faceswap.sandbox.server.files import picture_response, storage_error
from airflow_provider_faceswap.sandbox.server.inputs import UnreadableInputError, decoded
from airflow_provider_faceswap.sandbox.server.jobs import DONE, RUNNING, Job, View
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse
from airflow_provider_faceswap.sandbox.server.state import DOWNLOAD, FILES
from airflow_provider_faceswap.sandbox.vendors.gptunnel.answers import (
    FORBIDDEN,
    WORDS,
    cause,
    checked_body,
    error,
    new_id,
    ordered_failure,
    required_text,
    unknown_task,
    usage,
    wanted_job,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_faceswap.sandbox.drawing.pictures import Picture
    from airflow_provider_faceswap.sandbox.server.state import Sandbox

_PRICE = 18.0
_KINDS = frozenset({"imagine", "upsample", "variation", "inpaint"})
_CELL = 512
_RATIO = re.compile(r"--ar\s+(\d{1,2}:\d{1,2})\b")
_GRID_ACTIONS = (
    # The vendor spells it so.
    *(f"upsamle_{number}" for number in range(1, 5)),
    *(f"variation_{number}" for number in range(1, 5)),
    "reroll",
)
_SINGLE_ACTIONS = ("high_variation", "low_variation")

#: Which person of a prompt is drawn, and in which mood.
Take = tuple[int, int]


def _size(prompt: str) -> tuple[int, int]:
    match = _RATIO.search(prompt)
    ratio = match[1] if match else "1:1"
    return frame("1:1" if "0" in ratio.split(":") else ratio, _CELL)


def _draw(prompt: str, takes: list[Take], size: tuple[int, int]) -> Picture:
    """One picture, or a grid of four."""
    words = re.sub(r"--\w+\s+\S+", "", prompt)
    pictures = [draw_portrait(words, *size, take=take, mood=mood) for take, mood in takes]
    if len(pictures) == 1:
        return pictures[0]
    return np.vstack([np.hstack(pictures[:2]), np.hstack(pictures[2:])])


def _accept(
    call: Call,
    kind: str,
    draw: Callable[[], Picture],
    prompt: str,
    takes: list[Take],
    *,
    price: float = _PRICE,
    parent: Job | None = None,
) -> Response:
    """Accept a Midjourney job and answer it."""
    call.pay(price)
    failure, facts = ordered_failure(call)
    if FORBIDDEN in prompt:
        failure = "The prompt was refused by content moderation"
    facts |= {"prompt": prompt, "takes": takes, "parent": parent.job_id if parent else None}
    facts["format"] = (call.ordered("result_format") or {}).get("format", "png")
    view = call.accept(
        new_id(),
        kind,
        price,
        lambda: [encode(draw(), "png")],
        checked_body(call),
        failure=failure,
        facts=facts,
    )
    return JSONResponse(_task(view, usage(price)))


def _task(view: View, cost: dict[str, float]) -> dict[str, Any]:
    """The task object of create and result."""
    job, phase = view.job, view.phase
    shown = phase in (RUNNING, DONE) and not view.empty and view.word is None
    actions = _GRID_ACTIONS if len(job.facts["takes"]) > 1 else _SINGLE_ACTIONS
    return {
        "id": job.job_id,
        "parentId": job.facts["parent"],
        "object": "task",
        "type": job.kind,
        "actions": list(actions) if phase == DONE else [],
        "percent": view.percent,
        "status": view.status(WORDS),
        # Before the end the link shows a preview.
        "result": f"{job.base_url}/task/image/{job.job_id}?cache={view.percent}" if shown else None,
        "error": None,
        **cause(view, "error"),
        "usage": cost,
    }


async def _imagine(call: Call) -> Response:
    prompt = required_text(checked_body(call, "useWalletBalance"), "prompt")
    takes: list[Take] = [(number, 0) for number in range(4)]
    return _accept(call, "imagine", lambda: _draw(prompt, takes, _size(prompt)), prompt, takes)


def _parent(call: Call, body: dict[str, Any]) -> tuple[Job, Picture]:
    """The finished job that a further one is made from, and its picture."""
    job = call.sandbox.find(call.vendor.name, required_text(body, "taskId"))
    if job is None or job.kind not in _KINDS:
        raise RefusedError(unknown_task())
    outputs = job.outputs(call.sandbox.now())
    if not outputs:
        raise RefusedError(error(400, "The task is not done"))
    return job, decode(outputs[0].data)


def _number(body: dict[str, Any]) -> int:
    """The ``image`` field: which of the four."""
    number = body.get("image")
    if number is None:
        raise RefusedError(error(400, "'image' is a required property"))
    if isinstance(number, bool) or number not in (1, 2, 3, 4):
        raise RefusedError(error(400, "'image' must be an integer from 1 to 4"))
    return int(number)


async def _upsample(call: Call) -> Response:
    body = checked_body(call)
    parent, picture = _parent(call, body)
    number, takes = _number(body), parent.facts["takes"]
    if len(takes) == 1:
        raise RefusedError(error(400, "The task is not a grid"))

    def draw() -> Picture:
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        down, across = divmod(number - 1, 2)
        chosen = picture[down * height :, across * width :][:height, :width]
        return cv2.resize(chosen, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)

    one = [takes[number - 1]]
    return _accept(call, "upsample", draw, parent.facts["prompt"], one, price=0.0, parent=parent)


async def _variation(call: Call) -> Response:
    body = checked_body(call)
    parent, _ = _parent(call, body)
    prompt, takes = parent.facts["prompt"], parent.facts["takes"]
    if len(takes) > 1:
        person, mood = takes[_number(body) - 1]
    elif body.get("mode") in ("high", "low"):
        person, mood = takes[0]
    else:
        raise RefusedError(error(400, "'mode' must be 'high' or 'low' for a single image"))
    new: list[Take] = [(person, 4 * mood + step) for step in range(1, 5)]
    return _accept(call, "variation", lambda: _draw(prompt, new, _size(prompt)), prompt, new, parent=parent)


def _mask(body: dict[str, Any], picture: Picture) -> Picture:
    """The inpaint mask: base64 of a black and white PNG of the parent's size."""
    refusal = RefusedError(
        error(400, "'mask' must be a black and white base64 PNG of the same size as the parent image")
    )
    try:
        data = decoded(required_text(body, "mask"))
    except UnreadableInputError as unreadable:
        raise refusal from unreadable
    mask = None
    if format_of(data) == "png":
        mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape[:2] != picture.shape[:2]:
        raise refusal
    return mask


async def _inpaint(call: Call) -> Response:
    body = checked_body(call)
    parent, picture = _parent(call, body)
    mask = _mask(body, picture)
    prompt = str(body.get("prompt") or parent.facts["prompt"])
    takes: list[Take] = [(take, mood + 1) for take, mood in parent.facts["takes"]]

    def draw() -> Picture:
        height, width = (side // (1 if len(takes) == 1 else 2) for side in picture.shape[:2])
        fresh = _draw(prompt, takes, (width, height)).astype(np.float32)
        share = cv2.GaussianBlur(mask, (0, 0), 3)[..., None] / 255
        return as_picture(picture + (fresh - picture) * share)

    return _accept(call, "inpaint", draw, prompt, takes, parent=parent)


async def _result(call: Call) -> Response:
    return JSONResponse(_task(call.view(wanted_job(call, _KINDS)), usage(0, tokens=0)))


ENDPOINTS = [
    Endpoint("/v1/midjourney/imagine", "POST", "create", _imagine, kind="imagine"),
    Endpoint("/v1/midjourney/upsample", "POST", "create", _upsample, kind="upsample"),
    Endpoint("/v1/midjourney/variation", "POST", "create", _variation, kind="variation"),
    Endpoint("/v1/midjourney/inpaint", "POST", "create", _inpaint, kind="inpaint"),
    Endpoint("/v1/midjourney/result", "GET", "fetch", _result, job="taskId"),
]


def picture_routes(sandbox: Sandbox) -> list[Route]:
    """``/task/image/{id}``: the picture, or a blurred preview before the job is done."""

    async def image(request: Request) -> Response:
        job, now = sandbox.jobs.get(request.path_params["task"]), sandbox.now()
        sandbox.requests[FILES][DOWNLOAD] += 1
        if job is None or job.kind not in _KINDS or job.phase(now) not in (RUNNING, DONE):
            return storage_error()
        if job.phase(now) == DONE:
            return picture_response(await asyncio.to_thread(_as, job.facts["format"], job.outputs(now)[0]))
        try:
            drawn = await asyncio.wrap_future(job.work)
        except Exception:  # noqa: BLE001 - a job that will fail has no preview, whatever the reason
            return storage_error()
        if not drawn:
            return storage_error()
        return picture_response(await asyncio.to_thread(_preview, drawn[0], job.percent(sandbox.now()) / 100))

    return [Route("/task/image/{task}", image)]


def _as(suffix: str, output: Output) -> Output:
    """The picture in another format. The link does not show which one it is."""
    return output if output.suffix == suffix else encode(decode(output.data), suffix)


def _preview(output: Output, share: float) -> Output:
    """The picture, blurred as much as it is unfinished."""
    return encode(cv2.GaussianBlur(decode(output.data), (0, 0), 2 + 30 * (1 - share)), "png")
