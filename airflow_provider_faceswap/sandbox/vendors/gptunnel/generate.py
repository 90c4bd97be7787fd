"""GPTunneL's synchronous route of the media API: the response to the submission is the picture."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.sandbox.drawing.pictures import decode, edited, encode, frame
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError
from airflow_provider_faceswap.sandbox.server.jobs import View
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse
from airflow_provider_faceswap.sandbox.vendors.gptunnel.answers import (
    FORBIDDEN,
    checked_body,
    error,
    new_id,
    ordered_failure,
    required_text,
)

if TYPE_CHECKING:
    from starlette.responses import Response

    from airflow_provider_faceswap.sandbox.output import Output
    from airflow_provider_faceswap.sandbox.server.inputs import Inputs

_KIND = "generate"
_PRICE = 8.0
_LIFETIME = 24 * 3600.0
_MODELS = ("seedream-4",)
#: Longest sides, smaller than those that the names stand for.
_SIZES = {"1K": 384, "2K": 512, "3K": 640, "4K": 768}
_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")


def _checked(body: dict[str, Any]) -> None:
    """Refuse a body that the page does not allow."""
    model = required_text(body, "model")
    required_text(body, "prompt")
    if model not in _MODELS:
        raise RefusedError(error(400, f"Model {model!r} is not available for generate"))
    for name, allowed in (("size", _SIZES), ("aspect_ratio", _RATIOS), ("response_format", ("url",))):
        if body.get(name) is not None and body[name] not in allowed:
            raise RefusedError(error(400, f"'{name}' must be one of: {', '.join(allowed)}"))
    images = body.get("images") or []
    if not isinstance(images, list) or not all(
        str(link).startswith(("http://", "https://")) for link in images
    ):
        raise RefusedError(error(400, "'images' must be links"))
    if FORBIDDEN in body["prompt"]:
        raise RefusedError(error(400, "The prompt was refused by content moderation"))


def _drawn(inputs: Inputs, body: dict[str, Any]) -> list[Output]:
    if links := body.get("images"):
        return [encode(edited(decode(inputs.read(links[0])), body["prompt"]), "png")]
    width, height = frame(body.get("aspect_ratio") or "1:1", _SIZES[body.get("size") or "2K"])
    return [encode(draw_portrait(body["prompt"], width, height), "png")]


async def _generate(call: Call) -> Response:
    body = checked_body(call)
    _checked(body)
    failure = ordered_failure(call)[0] or call.ordered_failure()
    if failure is not None:
        raise RefusedError(error(400, failure))
    call.pay(_PRICE)
    inputs = call.inputs
    job = call.accept(new_id(), _KIND, _PRICE, lambda: _drawn(inputs, body), body, lifetime=_LIFETIME).job
    # The response is the result: the job takes as long as its drawing.
    job.seconds = 0.0
    await asyncio.wait([asyncio.wrap_future(job.work)])
    view = View(job, call.sandbox.now())
    if view.failure is not None:
        raise RefusedError(error(400, view.failure))
    return JSONResponse(
        {"id": job.job_id, "model": body["model"], "result": view.urls[0], "cost": f"{_PRICE:.2f}"}
    )


ENDPOINTS = [Endpoint("/v1/media/generate", "POST", "create", _generate, kind=_KIND)]
