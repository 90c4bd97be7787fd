"""One request and its answer: counting, the key, ordered faults, then the vendor's own handler."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from airflow_provider_faceswap.sandbox.server.connections import (
    DroppedConnection,
    HangingConnection,
    TruncatedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from airflow_provider_faceswap.sandbox.server.faults import Fault
    from airflow_provider_faceswap.sandbox.server.state import Job, Sandbox


class RefusedError(Exception):
    """A handler refuses the request.

    :param response: the vendor's answer.
    """

    def __init__(self, response: Response) -> None:
        super().__init__("refused")
        self.response = response


class Dialect(Protocol):
    """The manners of one vendor that are the same on all its paths."""

    name: str

    def authorized(self, headers: Mapping[str, str], key: str) -> bool:
        """Whether the request carries the key the way this vendor wants it."""

    def unauthorized(self) -> Response:
        """The answer to a wrong or missing key."""

    def trouble(self, status: int) -> Response:
        """The vendor's own envelope with this HTTP status."""

    def unknown_job(self) -> Response:
        """The answer to a read of a job that does not exist."""


@dataclass
class Call:
    """What a handler needs to know about one request.

    :param request: the request, its body already read.
    :param body: the raw body.
    :param sandbox: all state.
    :param fault: the fault this request meets, if any.
    """

    request: Request
    body: bytes
    sandbox: Sandbox
    fault: Fault | None = None

    @property
    def base_url(self) -> str:
        """Root URL as the caller wrote it, without a slash at the end."""
        return str(self.request.base_url).rstrip("/")

    def json(self) -> Any:
        """The decoded body; ``None`` if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def fields(self) -> dict[str, Any]:
        """The body if it is a JSON object, else an empty one."""
        decoded = self.json()
        return decoded if isinstance(decoded, dict) else {}

    def planted(self, fault_type: str) -> dict[str, Any] | None:
        """Details of the fault if it is of this type."""
        if self.fault is None or self.fault.type != fault_type:
            return None
        return self.fault.details

    def planted_failure(self) -> str | None:
        """Text with which a job created now shall fail."""
        details = self.planted("fail_job")
        return None if details is None else str(details["message"])


@dataclass(frozen=True)
class View:
    """How a job is to be shown: truly, or as a fault wants it.

    :param now: epoch seconds.
    :param word: status word to show instead of the true one.
    :param empty: show the job as a success without a link.
    """

    now: float
    word: str | None = None
    empty: bool = False

    @classmethod
    def of(cls, call: Call) -> View:
        """The view a call gets."""
        word = call.planted("unknown_status")
        return cls(
            call.sandbox.now(),
            None if word is None else str(word["word"]),
            empty=call.planted("no_output") is not None,
        )

    def phase(self, job: Job) -> str:
        """The phase to show; the word of a fault is the caller's business."""
        return "done" if self.empty else job.phase(self.now)

    def urls(self, job: Job) -> list[str]:
        """The links to show."""
        return [] if self.empty or self.word is not None else job.file_urls(self.now)


@dataclass(frozen=True)
class Endpoint:
    """One path of one vendor.

    :param path: as Starlette writes it.
    :param method: HTTP method.
    :param operation: one of :data:`~airflow_provider_faceswap.sandbox.server.faults.OPERATIONS`.
    :param handler: answers the call, or raises :class:`RefusedError`.
    :param kind: kind of the job in question, for faults ordered by kind.
    """

    path: str
    method: str
    operation: str
    handler: Callable[[Call], Awaitable[Response]]
    kind: Callable[[Call], str | None] = lambda _: None

    def route(self, sandbox: Sandbox, dialect: Dialect) -> Route:
        """The Starlette route that serves this path."""

        async def serve(request: Request) -> Response:
            call = Call(request, await request.body(), sandbox)
            sandbox.requests[dialect.name][self.operation] += 1
            if not dialect.authorized(request.headers, sandbox.settings.key):
                return dialect.unauthorized()
            call.fault = sandbox.faults.take((dialect.name,), self.operation, self.kind(call))
            return await answer(call, self.handler, dialect.trouble, dialect.unknown_job)

        return Route(self.path, serve, methods=[self.method])


async def answer(
    call: Call,
    handler: Callable[[Call], Awaitable[Response]],
    trouble: Callable[[int], Response],
    unknown: Callable[[], Response],
) -> Response:
    """Answer a call, with the fault it meets if there is one.

    :param call: the request.
    :param handler: the true answer.
    :param trouble: makes the answer with a given HTTP status.
    :param unknown: makes the answer about something that does not exist.
    """
    fault = call.fault
    if fault is None:
        return await _handled(call, handler)
    instead = _unprocessed(fault, trouble, unknown)
    if instead is not None:
        return instead
    if fault.type == "delay":
        pause = float(fault.details["seconds"])
        with suppress(TimeoutError):
            await asyncio.wait_for(_stopping(call).wait(), pause)
    return _spoilt(call, fault, await _handled(call, handler), trouble)


def _unprocessed(
    fault: Fault, trouble: Callable[[int], Response], unknown: Callable[[], Response]
) -> Response | None:
    """The answer of a fault that keeps the request from its handler, so that nothing is billed."""
    details = fault.details
    if fault.type == "redirect":
        return RedirectResponse(str(details["location"]), status_code=302)
    if fault.type == "not_found":
        return unknown()
    if fault.type == "drop" and details["when"] == "before":
        return DroppedConnection()
    if fault.type == "status" and details.get("billed") is not True:
        return _with_status(details, trouble)
    return None


def _spoilt(call: Call, fault: Fault, response: Response, trouble: Callable[[int], Response]) -> Response:
    """What a fault makes of the true answer."""
    if fault.type == "status":
        return _with_status(fault.details, trouble)
    if fault.type == "drop":
        return DroppedConnection()
    if fault.type == "hang":
        return HangingConnection(float(fault.details["seconds"]), _stopping(call))
    if fault.type == "truncate":
        return TruncatedResponse(response)
    if fault.type == "malformed":
        return Response("<html><body>Bad gateway</body></html>", media_type="application/json")
    return response


def _stopping(call: Call) -> asyncio.Event:
    event = call.request.app.state.stopping
    if not isinstance(event, asyncio.Event):
        raise TypeError("the app has no stopping event")
    return event


async def _handled(call: Call, handler: Callable[[Call], Awaitable[Response]]) -> Response:
    try:
        return await handler(call)
    except RefusedError as refusal:
        return refusal.response


def _with_status(details: dict[str, Any], trouble: Callable[[int], Response]) -> Response:
    """The answer of a ``status`` fault: the given body, or the vendor's own envelope."""
    status = int(details["status"])
    body = details.get("body")
    response: Response
    if body is None:
        response = trouble(status)
    elif isinstance(body, str):
        response = PlainTextResponse(body, status_code=status)
    else:
        response = JSONResponse(body, status_code=status)
    if "retry_after" in details:
        response.headers["Retry-After"] = str(details["retry_after"])
    return response
