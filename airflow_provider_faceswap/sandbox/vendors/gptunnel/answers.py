"""What GPTunneL's APIs have in common: status words, errors, usage, checks of the request."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.sandbox.server.exchange import Call, RefusedError
from airflow_provider_faceswap.sandbox.server.jobs import CANCELED, DONE, FAILED, QUEUED, RUNNING, Job
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Collection

WORDS = {QUEUED: "idle", RUNNING: "processing", DONE: "done", FAILED: "failed", CANCELED: "canceled"}
#: A prompt that contains it is refused by the imitated moderation.
FORBIDDEN = "forbidden-content"

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "unauthorized_request_error",
    402: "insufficient_balance_error",
    403: "forbidden_request_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
#: Documented texts.
_ERROR_TEXTS = {401: "Unauthorized", 402: "Organization balance is too low to use API"}


def error(status: int, message: str | None = None) -> JSONResponse:
    """The error envelope of all APIs but media (documented for 400, 401 and 402)."""
    text = message or _ERROR_TEXTS.get(status, f"The request failed with status {status}")
    kind = _ERROR_TYPES.get(status, "server_error")
    envelope = {"error": {"message": text, "type": kind, "param": None, "code": None}}
    return JSONResponse(envelope, status_code=status)


def unknown_task() -> JSONResponse:
    """The response about an unknown task: it is not documented, and a 400 is the likeliest."""
    return error(400, "Task not found")


def new_id() -> str:
    """24 lowercase hex characters, as all GPTunneL identifiers have."""
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


def checked_body(call: Call, *flags: str) -> dict[str, Any]:
    """The body.

    :param flags: its optional booleans.
    :raises RefusedError: with 400 if it is not a JSON object, or a flag is not a boolean.
    """
    body = call.json()
    if not isinstance(body, dict):
        raise RefusedError(error(400, "The request body must be a JSON object"))
    for name in flags:
        if body.get(name) is not None and not isinstance(body[name], bool):
            raise RefusedError(error(400, f"'{name}' must be a boolean"))
    return body


def required_text(body: dict[str, Any], name: str) -> str:
    """A required string of the body.

    :raises RefusedError: with the documented 400 if it is missing.
    """
    value = body.get(name)
    if value is None or value == "":
        raise RefusedError(error(400, f"'{name}' is a required property"))
    if not isinstance(value, str):
        raise RefusedError(error(400, f"'{name}' must be a string"))
    return value


def wanted_job(call: Call, kinds: Collection[str]) -> Job:
    """The job that the query names.

    :raises RefusedError: with 400 if it is not named, or is of another API.
    """
    if call.argument("taskId") is None:
        raise RefusedError(error(400, "'taskId' is a required property"))
    if call.job is None or call.job.kind not in kinds:
        raise RefusedError(unknown_task())
    return call.job
