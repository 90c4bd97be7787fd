"""What GPTunneL's APIs have in common: status words, errors, usage, checks of the request."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from airflow_provider_faceswap.sandbox.server.exchange import Call, RefusedError
from airflow_provider_faceswap.sandbox.server.jobs import CANCELED, DONE, FAILED, QUEUED, RUNNING, Job
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_faceswap.sandbox.server.jobs import View

WORDS = {QUEUED: "idle", RUNNING: "processing", DONE: "done", FAILED: "failed", CANCELED: "canceled"}
#: A prompt that contains it is refused by the imitated moderation.
FORBIDDEN = "forbidden-content"

#: Fields of a form that are numbers, and what its texts mean in such a field or in a flag.
_NUMBERS = ("image",)
_VALUES: dict[str, bool | int] = {"true": True, "false": False, **{str(n): n for n in range(1, 5)}}

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


def _form(call: Call, flags: Collection[str]) -> dict[str, Any] | None:
    """The fields of a form; ``None`` if the body is none. A public client posts forms, and is answered."""
    if not call.request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return None
    fields: dict[str, Any] = dict(parse_qsl(call.body.decode(errors="replace")))
    for name in (*flags, *_NUMBERS):
        if name in fields:
            fields[name] = _VALUES.get(str(fields[name]).lower(), fields[name])
    return fields


def checked_body(call: Call, *flags: str) -> dict[str, Any]:
    """The body, JSON or a form.

    :param flags: its optional booleans.
    :raises RefusedError: with 400 if it is neither a JSON object nor a form, or a flag is not a boolean.
    """
    body = _form(call, flags)
    body = call.json() if body is None else body
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


def ordered_failure(call: Call) -> tuple[str | None, dict[str, Any]]:
    """The text of an injected ``fail_in``, and the facts of the job that will fail."""
    details = call.ordered("fail_in")
    return (None, {}) if details is None else (str(details["message"]), {"cause_in": details["field"]})


def cause(view: View, *fields: str) -> dict[str, Any]:
    """The cause of a failure, in the fields that usually have it, or where the fault ``fail_in`` puts it.

    :param fields: the usual ones.
    """
    if (text := view.failure) is None:
        return {}
    match view.job.facts.get("cause_in"):
        case None:
            return dict.fromkeys(fields, text)
        case "error.message":
            return {"error": {"message": text}}
        case field:
            return {"error": None, field: text}


def wanted_job(call: Call, kinds: Collection[str]) -> Job:
    """The job that the query names.

    :raises RefusedError: with 400 if it is not named, or is of another API.
    """
    if call.argument("taskId") is None:
        raise RefusedError(error(400, "'taskId' is a required property"))
    if call.job is None or call.job.kind not in kinds:
        raise RefusedError(unknown_task())
    return call.job
