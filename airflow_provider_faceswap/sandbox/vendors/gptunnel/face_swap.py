"""GPTunneL's face swap and balance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.sandbox.drawing.pictures import decode, encode
from airflow_provider_faceswap.sandbox.drawing.swapping import swap
from airflow_provider_faceswap.sandbox.output import JobFailedError, Output, format_of
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError
from airflow_provider_faceswap.sandbox.server.inputs import Inputs, UnreadableInputError, decoded
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse
from airflow_provider_faceswap.sandbox.server.webhooks import Webhook
from airflow_provider_faceswap.sandbox.vendors.gptunnel.answers import (
    WORDS,
    cause,
    checked_body,
    error,
    new_id,
    ordered_failure,
    required_text,
    usage,
    wanted_job,
)

if TYPE_CHECKING:
    from starlette.responses import Response

    from airflow_provider_faceswap.sandbox.drawing.pictures import Picture
    from airflow_provider_faceswap.sandbox.server.jobs import View

_KIND = "face_swap"
_PRICE = 15.0
_LIFETIME = 3 * 24 * 3600.0
_FORMATS = ("png", "jpg")


def _image(body: dict[str, Any], name: str) -> str:
    """An image field: a link, or a whole data URI of a png or jpeg."""
    value = required_text(body, name)
    if value.startswith(("http://", "https://")):
        return value
    if not value.startswith("data:image/"):
        raise RefusedError(error(400, f"'{name}' must be a link to a png or jpeg image"))
    try:
        data = decoded(value)
    except UnreadableInputError as unreadable:
        raise RefusedError(error(400, f"'{name}': {unreadable}")) from unreadable
    if format_of(data) not in _FORMATS:
        raise RefusedError(error(400, f"'{name}' must be a png or jpeg image"))
    return value


def _picture(inputs: Inputs, reference: str) -> Picture:
    data = inputs.read(reference)
    if format_of(data) not in _FORMATS:
        raise JobFailedError("Only png and jpeg images are supported")
    return decode(data)


def _task(view: View, cost: dict[str, float]) -> dict[str, Any]:
    """The task object of create and result."""
    task = {
        "id": view.job.job_id,
        "parentId": None,
        "object": "task",
        "type": "@FaceSwap",
        "percent": view.percent,
        "status": view.status(WORDS),
        "error": None,
        **cause(view, "error"),
        "usage": cost,
    }
    return task | {"result": view.urls[0]} if view.urls else task


async def _create(call: Call) -> Response:
    body = checked_body(call, "useWalletBalance", "enhanceFace", "enhanceBackground")
    receiver, donor = _image(body, "sourceImage"), _image(body, "faceImage")
    if body.get("webhook") is not None and not isinstance(body["webhook"], str):
        raise RefusedError(error(400, "'webhook' must be a string"))
    call.pay(_PRICE)
    inputs = call.inputs

    def draw() -> list[Output]:
        return [encode(swap(_picture(inputs, receiver), _picture(inputs, donor)), "png")]

    failure, facts = ordered_failure(call)
    # Not documented: the body, and that there is one attempt.
    webhook = Webhook(body.get("webhook"), lambda view: _task(view, usage(0, tokens=0)))
    view = call.accept(
        new_id(),
        _KIND,
        _PRICE,
        draw,
        body,
        lifetime=_LIFETIME,
        failure=failure,
        facts=facts,
        webhook=webhook,
    )
    return JSONResponse(_task(view, usage(_PRICE)))


async def _result(call: Call) -> Response:
    return JSONResponse(_task(call.view(wanted_job(call, {_KIND})), usage(0, tokens=0)))


async def _balance(call: Call) -> Response:
    return JSONResponse(
        {
            "orgId": "ddc0652cde46d307200011c4",
            "object": "balance",
            "balance": call.sandbox.balance(call.vendor.unit),
            "creditLimit": 0,
        }
    )


ENDPOINTS = [
    Endpoint("/v1/faceswap/create", "POST", "create", _create, kind=_KIND),
    Endpoint("/v1/faceswap/result", "GET", "fetch", _result, job="taskId"),
    Endpoint("/v1/balance", "GET", "account", _balance),
]
