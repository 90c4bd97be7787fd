"""GPTunneL's manners, its face swap and its balance.

The media API and the Midjourney API of the same vendor are in files of their own.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from airflow_provider_faceswap.sandbox.drawing.pictures import decode, encode
from airflow_provider_faceswap.sandbox.drawing.swapping import swap
from airflow_provider_faceswap.sandbox.output import JobFailedError, Output, format_of
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError, View
from airflow_provider_faceswap.sandbox.server.inputs import Inputs, UnreadableInputError, decoded
from airflow_provider_faceswap.sandbox.server.state import (
    CANCELED,
    DONE,
    FAILED,
    QUEUED,
    RUNNING,
    Job,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

UNIT = "RUB"
SWAP_PRICE = 15.0
SWAP_LIFETIME = 3 * 24 * 3600.0
WORDS = {QUEUED: "idle", RUNNING: "processing", DONE: "done", FAILED: "failed", CANCELED: "canceled"}

_TYPES = {
    400: "invalid_request_error",
    401: "unauthorized_request_error",
    402: "insufficient_balance_error",
    403: "forbidden_request_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}


def envelope(status: int, message: str) -> JSONResponse:
    """The error envelope of every family but media (documented for 400, 401 and 402)."""
    kind = _TYPES.get(status, "server_error")
    error = {"message": message, "type": kind, "param": None, "code": None}
    return JSONResponse({"error": error}, status_code=status)


class GPTunneL:
    """Manners of GPTunneL: the bare key in ``Authorization``, errors in an ``error`` object."""

    name = "gptunnel"

    def authorized(self, headers: Mapping[str, str], key: str) -> bool:
        """The raw key, without a scheme word."""
        return secrets.compare_digest(headers.get("authorization", "").encode(), key.encode())

    def unauthorized(self) -> Response:
        """401 with the documented text."""
        return envelope(401, "Unauthorized")

    def trouble(self, status: int) -> Response:
        """The envelope with this status."""
        return envelope(status, f"The request failed with status {status}")

    def unknown_job(self) -> Response:
        """What an unknown task gives is not documented; a 400 is the likeliest."""
        return envelope(400, "Task not found")


def new_id() -> str:
    """24 lowercase hex characters, as all GPTunneL identifiers are."""
    return secrets.token_hex(12)


def usage(price: float, tokens: int = 1) -> dict[str, float]:
    """The ``usage`` object; whole roubles stay whole numbers."""
    cost = int(price) if price == int(price) else price
    return {
        "prompt_tokens": 0,
        "completion_tokens": tokens,
        "total_tokens": tokens,
        "prompt_cost": 0,
        "completion_cost": cost,
        "total_cost": cost,
    }


NO_USAGE = usage(0, tokens=0)


def required_object(call: Call) -> dict[str, Any]:
    """The body, which must be a JSON object.

    :raises RefusedError: with a 400 envelope.
    """
    body = call.json()
    if not isinstance(body, dict):
        raise RefusedError(envelope(400, "The request body must be a JSON object"))
    return body


def required_text(body: dict[str, Any], name: str) -> str:
    """A required string of the body.

    :raises RefusedError: with the documented 400 text if it is missing.
    """
    value = body.get(name)
    if value is None or value == "":
        raise RefusedError(envelope(400, f"'{name}' is a required property"))
    if not isinstance(value, str):
        raise RefusedError(envelope(400, f"'{name}' must be a string"))
    return value


def optional_flag(body: dict[str, Any], name: str) -> None:
    """Check an optional boolean.

    :raises RefusedError: with a 400 envelope.
    """
    if body.get(name) is not None and not isinstance(body[name], bool):
        raise RefusedError(envelope(400, f"'{name}' must be a boolean"))


def pay(call: Call, price: float) -> None:
    """Refuse a job the account cannot pay.

    :raises RefusedError: with the documented 402 envelope.
    """
    if not call.sandbox.can_pay(UNIT, price):
        raise RefusedError(envelope(402, "Organization balance is too low to use API"))


def job_kind(parameter: str) -> Any:
    """Makes the function that tells the kind of the job a read is about."""

    def kind(call: Call) -> str | None:
        wanted = call.request.query_params.get(parameter) or call.fields().get(parameter)
        job = call.sandbox.find(GPTunneL.name, str(wanted))
        return None if job is None else job.kind

    return kind


def wanted_job(call: Call, kinds: frozenset[str]) -> Job:
    """The job named by the query's ``taskId``.

    :raises RefusedError: with a 400 envelope if it is not named or not known to this family.
    """
    task = call.request.query_params.get("taskId")
    if not task:
        raise RefusedError(envelope(400, "'taskId' is a required property"))
    job = call.sandbox.find(GPTunneL.name, task)
    if job is None or job.kind not in kinds:
        raise RefusedError(envelope(400, "Task not found"))
    return job


def _image(body: dict[str, Any], name: str) -> str:
    """An image field of a face swap: a link or a whole data URI, png or jpeg."""
    value = required_text(body, name)
    if value.startswith(("http://", "https://")):
        return value
    if not value.startswith("data:image/"):
        raise RefusedError(envelope(400, f"'{name}' must be a link to a png or jpeg image"))
    try:
        data = decoded(value)
    except UnreadableInputError as error:
        raise RefusedError(envelope(400, f"'{name}': {error}")) from error
    if format_of(data) not in ("png", "jpg"):
        raise RefusedError(envelope(400, f"'{name}' must be a png or jpeg image"))
    return value


def _swapped(inputs: Inputs, receiver: str, donor: str) -> list[Output]:
    """The files of a face swap."""
    pictures = []
    for reference in (receiver, donor):
        data = inputs.read(reference)
        if format_of(data) not in ("png", "jpg"):
            raise JobFailedError("Only png and jpeg images are supported")
        pictures.append(decode(data))
    return [encode(swap(pictures[0], pictures[1]), "png")]


async def _create(call: Call) -> Response:
    body = required_object(call)
    receiver, donor = _image(body, "sourceImage"), _image(body, "faceImage")
    for flag in ("useWalletBalance", "enhanceFace", "enhanceBackground"):
        optional_flag(body, flag)
    if body.get("webhook") is not None and not isinstance(body["webhook"], str):
        raise RefusedError(envelope(400, "'webhook' must be a string"))
    pay(call, SWAP_PRICE)
    inputs = Inputs(call.sandbox, call.base_url)
    job = call.sandbox.accept(
        new_id(),
        GPTunneL.name,
        "face_swap",
        amount=SWAP_PRICE,
        unit=UNIT,
        paint=lambda: _swapped(inputs, receiver, donor),
        request=body,
        base_url=call.base_url,
        lifetime=SWAP_LIFETIME,
        failure=call.planted_failure(),
    )
    return JSONResponse(
        {
            "id": job.id,
            "parentId": None,
            "object": "task",
            "type": "@FaceSwap",
            "percent": 0,
            "status": "idle",
            "error": None,
            "usage": usage(SWAP_PRICE),
        }
    )


async def _result(call: Call) -> Response:
    job = wanted_job(call, frozenset({"face_swap"}))
    view = View.of(call)
    phase = view.phase(job)
    answer: dict[str, Any] = {
        "id": job.id,
        "parentId": None,
        "object": "task",
        "type": "@FaceSwap",
        "percent": 100 if view.empty else job.percent(view.now),
        "status": view.word or WORDS[phase],
        "error": job.failure_text() if phase == FAILED else None,
        "usage": NO_USAGE,
    }
    urls = view.urls(job)
    if urls:
        answer["result"] = urls[0]
    return JSONResponse(answer)


async def _balance(call: Call) -> Response:
    return JSONResponse(
        {
            "orgId": "ddc0652cde46d307200011c4",
            "object": "balance",
            "balance": call.sandbox.balance(UNIT),
            "creditLimit": 0,
        }
    )


def endpoints() -> list[Endpoint]:
    """The paths of this file."""
    return [
        Endpoint("/v1/faceswap/create", "POST", "create", _create, lambda _: "face_swap"),
        Endpoint("/v1/faceswap/result", "GET", "fetch", _result, job_kind("taskId")),
        Endpoint("/v1/balance", "GET", "account", _balance),
    ]
