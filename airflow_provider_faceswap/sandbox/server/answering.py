"""How a request is answered: normally, or as the fault says that applies to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse, RedirectResponse, Response

from airflow_provider_faceswap.sandbox.server.connections import (
    DroppedConnection,
    HangingConnection,
    TruncatedResponse,
)
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from airflow_provider_faceswap.sandbox.server.faults import Fault


class RefusedError(Exception):
    """Raised when a handler refuses the request.

    :param response: the vendor's response.
    """

    def __init__(self, response: Response) -> None:
        super().__init__("refused")
        self.response = response


async def answer(
    request: Request,
    fault: Fault | None,
    error: Callable[[int], Response],
    unknown: Callable[[], Response],
    handle: Callable[[], Awaitable[Response]],
) -> Response:
    """Answer a request, with the fault that applies to it if there is one.

    :param error: makes the response with a given HTTP status.
    :param unknown: makes the response about something that does not exist.
    :param handle: makes the normal response, or raises :class:`RefusedError`.
    """
    if fault is not None and (instead := _unprocessed(fault, error, unknown)) is not None:
        return instead
    stopping: asyncio.Event = request.app.state.stopping
    if fault is not None and fault.type == "delay":
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), float(fault.details["seconds"]))
    try:
        response = await handle()
    except RefusedError as refusal:
        response = refusal.response
    return response if fault is None else _spoilt(fault, response, error, stopping)


def _unprocessed(
    fault: Fault, error: Callable[[int], Response], unknown: Callable[[], Response]
) -> Response | None:
    """The response of a fault that keeps the request from its handler, so that nothing is charged."""
    details = fault.details
    if fault.type == "redirect":
        return RedirectResponse(str(details["location"]), status_code=302)
    if fault.type == "not_found":
        return unknown()
    if fault.type == "drop" and details["when"] == "before":
        return DroppedConnection()
    if fault.type == "status" and details.get("billed") is not True:
        return _with_status(details, error)
    return None


def _spoilt(
    fault: Fault, response: Response, error: Callable[[int], Response], stopping: asyncio.Event
) -> Response:
    """The normal response, changed by a fault."""
    if fault.type == "status":
        return _with_status(fault.details, error)
    if fault.type == "drop":
        return DroppedConnection()
    if fault.type == "hang":
        return HangingConnection(float(fault.details["seconds"]), stopping)
    if fault.type == "truncate":
        return TruncatedResponse(response)
    if fault.type == "malformed":
        return Response("<html><body>Bad gateway</body></html>", media_type="application/json")
    return response


def _with_status(details: dict[str, Any], error: Callable[[int], Response]) -> Response:
    """The response of a ``status`` fault: the given body, or the vendor's own error."""
    status, body = int(details["status"]), details.get("body")
    response: Response
    if body is None:
        response = error(status)
    elif isinstance(body, str):
        response = PlainTextResponse(body, status_code=status)
    else:
        response = JSONResponse(body, status_code=status)
    if "retry_after" in details:
        response.headers["Retry-After"] = str(details["retry_after"])
    return response
