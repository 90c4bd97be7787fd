"""GPTunneL's Midjourney API: grids of four pictures, and what can be made from them."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from starlette.responses import JSONResponse
from starlette.routing import Route

from airflow_provider_faceswap.sandbox.drawing.pictures import as_picture, decode, encode, frame
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.output import Output, format_of
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError, View
from airflow_provider_faceswap.sandbox.server.files import gone_response, picture_response
from airflow_provider_faceswap.sandbox.server.inputs import UnreadableInputError, decoded
from airflow_provider_faceswap.sandbox.server.state import DONE, FAILED, RUNNING, Job
from airflow_provider_faceswap.sandbox.vendors.gptunnel import (
    NO_USAGE,
    UNIT,
    WORDS,
    GPTunneL,
    envelope,
    job_kind,
    new_id,
    optional_flag,
    pay,
    required_object,
    required_text,
    usage,
    wanted_job,
)
from airflow_provider_faceswap.sandbox.vendors.gptunnel_media import FORBIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_faceswap.sandbox.drawing.pictures import Picture
    from airflow_provider_faceswap.sandbox.server.state import Sandbox

PRICE = 18.0
KINDS = frozenset({"imagine", "upsample", "variation", "inpaint"})
_CELL = 512
_RATIO = re.compile(r"--ar\s+(\d{1,2}:\d{1,2})\b")
_GRID_ACTIONS = (
    # The vendor spells it so.
    *(f"upsamle_{number}" for number in range(1, 5)),
    *(f"variation_{number}" for number in range(1, 5)),
    "reroll",
)
_SINGLE_ACTIONS = ("high_variation", "low_variation")

Take = tuple[int, int]
"""Which person of a prompt is drawn, and in which mood."""


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
    price: float,
    paint: Callable[[], list[Output]],
    *,
    prompt: str,
    takes: list[Take],
    parent: Job | None = None,
) -> Response:
    """Take a Midjourney job on and answer it."""
    pay(call, price)
    failure = call.planted_failure()
    if failure is None and FORBIDDEN in prompt:
        failure = "The prompt was refused by content moderation"
    job = call.sandbox.accept(
        new_id(),
        GPTunneL.name,
        kind,
        amount=price,
        unit=UNIT,
        paint=paint,
        request=call.fields(),
        base_url=call.base_url,
        failure=failure,
        facts={"prompt": prompt, "takes": takes, "parent": parent.id if parent else None},
    )
    return JSONResponse(_task(job, View(job.created_at)) | {"status": "idle", "usage": usage(price)})


def _task(job: Job, view: View) -> dict[str, Any]:
    """The task object of create and result."""
    phase = view.phase(job)
    percent = 100 if view.empty else job.percent(view.now)
    shown = phase in (RUNNING, DONE) and not view.empty and view.word is None
    actions = _GRID_ACTIONS if len(job.facts["takes"]) > 1 else _SINGLE_ACTIONS
    return {
        "id": job.id,
        "parentId": job.facts["parent"],
        "object": "task",
        "type": job.kind,
        "actions": list(actions) if phase == DONE else [],
        "percent": percent,
        "status": view.word or WORDS[phase],
        # Before the end the link shows a preview.
        "result": f"{job.base_url}/task/image/{job.id}?cache={percent}" if shown else None,
        "error": job.failure_text() if phase == FAILED else None,
        "usage": NO_USAGE,
    }


async def _imagine(call: Call) -> Response:
    body = required_object(call)
    prompt = required_text(body, "prompt")
    optional_flag(body, "useWalletBalance")
    takes: list[Take] = [(number, 0) for number in range(4)]
    size = _size(prompt)
    return _accept(
        call,
        "imagine",
        PRICE,
        lambda: [encode(_draw(prompt, takes, size), "png")],
        prompt=prompt,
        takes=takes,
    )


def _parent(call: Call, body: dict[str, Any]) -> tuple[Job, Picture]:
    """The finished job that a further one is made from, and its picture."""
    job = call.sandbox.find(GPTunneL.name, required_text(body, "taskId"))
    if job is None or job.kind not in KINDS:
        raise RefusedError(envelope(400, "Task not found"))
    outputs = job.outputs(call.sandbox.now())
    if not outputs:
        raise RefusedError(envelope(400, "The task is not done"))
    return job, decode(outputs[0].data)


def _number(body: dict[str, Any]) -> int:
    """The ``image`` field: which of the four."""
    number = body.get("image")
    if number is None:
        raise RefusedError(envelope(400, "'image' is a required property"))
    if isinstance(number, bool) or number not in (1, 2, 3, 4):
        raise RefusedError(envelope(400, "'image' must be an integer from 1 to 4"))
    return int(number)


async def _upsample(call: Call) -> Response:
    body = required_object(call)
    parent, picture = _parent(call, body)
    number = _number(body)
    takes = parent.facts["takes"]
    if len(takes) == 1:
        raise RefusedError(envelope(400, "The task is not a grid"))

    def paint() -> list[Output]:
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        down, across = divmod(number - 1, 2)
        chosen = picture[down * height :, across * width :][:height, :width]
        return [encode(cv2.resize(chosen, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), "png")]

    prompt = parent.facts["prompt"]
    return _accept(call, "upsample", 0.0, paint, prompt=prompt, takes=[takes[number - 1]], parent=parent)


async def _variation(call: Call) -> Response:
    body = required_object(call)
    parent, _ = _parent(call, body)
    takes = parent.facts["takes"]
    if len(takes) == 1:
        if body.get("mode") not in ("high", "low"):
            raise RefusedError(envelope(400, "'mode' must be 'high' or 'low' for a single image"))
        person, mood = takes[0]
    else:
        person, mood = takes[_number(body) - 1]
    new: list[Take] = [(person, 4 * mood + step) for step in range(1, 5)]
    prompt = parent.facts["prompt"]
    size = _size(prompt)
    return _accept(
        call,
        "variation",
        PRICE,
        lambda: [encode(_draw(prompt, new, size), "png")],
        prompt=prompt,
        takes=new,
        parent=parent,
    )


def _mask(body: dict[str, Any], picture: Picture) -> Picture:
    """The inpaint mask: base64 of a black and white PNG of the parent's size."""
    trouble = RefusedError(
        envelope(400, "'mask' must be a black and white base64 PNG of the same size as the parent image")
    )
    try:
        data = decoded(required_text(body, "mask"))
    except UnreadableInputError as error:
        raise trouble from error
    mask = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        if format_of(data) == "png"
        else None
    )
    if mask is None or mask.shape[:2] != picture.shape[:2]:
        raise trouble
    return mask


async def _inpaint(call: Call) -> Response:
    body = required_object(call)
    parent, picture = _parent(call, body)
    mask = _mask(body, picture)
    prompt = str(body.get("prompt") or parent.facts["prompt"])
    takes: list[Take] = [(take, mood + 1) for take, mood in parent.facts["takes"]]

    def paint() -> list[Output]:
        single = len(takes) == 1
        size = (picture.shape[1], picture.shape[0])
        fresh = _draw(prompt, takes, size if single else (size[0] // 2, size[1] // 2))
        soft = cv2.GaussianBlur(mask, (0, 0), 3).astype(np.float32)[..., None] / 255
        mixed = fresh.astype(np.float32) * soft + picture.astype(np.float32) * (1 - soft)
        return [encode(as_picture(mixed), "png")]

    return _accept(call, "inpaint", PRICE, paint, prompt=prompt, takes=takes, parent=parent)


async def _result(call: Call) -> Response:
    return JSONResponse(_task(wanted_job(call, KINDS), View.of(call)))


def endpoints() -> list[Endpoint]:
    """The paths of this file."""
    creates = {"imagine": _imagine, "upsample": _upsample, "variation": _variation, "inpaint": _inpaint}
    return [
        Endpoint(f"/v1/midjourney/{kind}", "POST", "create", handler, lambda _, kind=kind: kind)  # type: ignore[misc]
        for kind, handler in creates.items()
    ] + [Endpoint("/v1/midjourney/result", "GET", "fetch", _result, job_kind("taskId"))]


def picture_routes(sandbox: Sandbox) -> list[Route]:
    """``/task/image/{id}``: the picture, or a blurred preview before the job is done."""

    async def image(request: Request) -> Response:
        job = sandbox.find(GPTunneL.name, request.path_params["task"])
        sandbox.requests["files"]["download"] += 1
        phase = job.phase(sandbox.now()) if job is not None else None
        if job is None or job.kind not in KINDS or phase not in (RUNNING, DONE):
            return gone_response()
        if phase == DONE:
            return picture_response(job.outputs(sandbox.now())[0])
        try:
            painted = await asyncio.wrap_future(job.work)
        except Exception:  # noqa: BLE001 - a job that will fail has no preview, whatever its trouble
            return gone_response()
        if not painted:
            return gone_response()
        share = job.percent(sandbox.now()) / 100
        return picture_response(await asyncio.to_thread(_preview, painted[0], share))

    return [Route("/task/image/{task}", image)]


def _preview(output: Output, share: float) -> Output:
    """The picture as blurred as it is unfinished."""
    picture = decode(output.data)
    return encode(cv2.GaussianBlur(picture, (0, 0), 2 + 30 * (1 - share)), "png")
