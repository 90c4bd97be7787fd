"""One request and its response: counting, the key, injected faults, then the vendor's own handler."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from airflow_provider_faceswap.sandbox.server.bodies import read_body
from airflow_provider_faceswap.sandbox.server.connections import (
    DroppedConnection,
    HangingConnection,
    TruncatedResponse,
)
from airflow_provider_faceswap.sandbox.server.inputs import Inputs
from airflow_provider_faceswap.sandbox.server.jobs import Job, View
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from airflow_provider_faceswap.sandbox.output import Output
    from airflow_provider_faceswap.sandbox.server.faults import Fault
    from airflow_provider_faceswap.sandbox.server.registry import Vendor
    from airflow_provider_faceswap.sandbox.server.state import Sandbox


class RefusedError(Exception):
    """Raised when a handler refuses the request.

    :param response: the vendor's response.
    """

    def __init__(self, response: Response) -> None:
        super().__init__("refused")
        self.response = response


@dataclass
class Call:
    """One request to a vendor.

    :param request: the request, its body already read.
    :param body: the raw body.
    :param job: the job that the request names, if it exists.
    :param fault: the fault that applies to this request, if any.
    """

    request: Request
    body: bytes
    sandbox: Sandbox
    vendor: Vendor
    job: Job | None = None
    fault: Fault | None = None

    @property
    def base_url(self) -> str:
        """Root URL as the caller wrote it, without a slash at the end."""
        return str(self.request.base_url).rstrip("/")

    @property
    def inputs(self) -> Inputs:
        """A reader for the pictures that the request names."""
        return Inputs(self.sandbox, self.base_url)

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

    def argument(self, name: str) -> str | None:
        """A string in the path, the query or the body; ``None`` if it is missing, empty or not a string."""
        request = self.request
        value = request.path_params.get(name) or request.query_params.get(name) or self.fields().get(name)
        return value if isinstance(value, str) and value else None

    def pay(self, price: float) -> None:
        """Check that the account can pay for a job.

        :raises RefusedError: with the vendor's 402 if it cannot.
        """
        if self.sandbox.balance(self.vendor.unit) < price:
            raise RefusedError(self.vendor.error(402))

    def accept(
        self,
        job_id: str,
        kind: str,
        price: float,
        draw: Callable[[], list[Output]],
        request: dict[str, Any],
        *,
        lifetime: float | None = None,
        failure: str | None = None,
        born_failed: bool = False,
        facts: dict[str, Any] | None = None,
    ) -> View:
        """Accept a job: start the drawing, charge the account.

        :param draw: makes the files, in a worker thread; raises
            :class:`~airflow_provider_faceswap.sandbox.output.JobFailedError` if it cannot.
        :param failure: why the job will fail, if that is already known; an injected failure comes first.
        :returns: the job as the response to create shows it.
        """
        failure = self.ordered_failure() or failure
        job = Job(
            job_id,
            self.vendor.name,
            kind,
            price,
            self.vendor.unit,
            self.vendor.refunds,
            self.sandbox.now(),
            self.sandbox.job_seconds,
            request,
            self.base_url,
            self.sandbox.start(draw, failure),
            lifetime,
            failure,
            born_failed,
            facts=facts or {},
        )
        self.sandbox.accept(job)
        return View(job, job.created_at, fresh=True)

    def view(self, job: Job) -> View:
        """The job as the response to a read shows it."""
        word = self.ordered("unknown_status")
        return View(
            job,
            self.sandbox.now(),
            word=None if word is None else str(word["word"]),
            empty=self.ordered("no_output") is not None,
        )

    def ordered(self, fault_type: str) -> dict[str, Any] | None:
        """Details of the fault if it is of this type."""
        return self.fault.details if self.fault is not None and self.fault.type == fault_type else None

    def ordered_failure(self) -> str | None:
        """The text of an injected failure for a job that is created now."""
        details = self.ordered("fail_job")
        return None if details is None else str(details["message"])


@dataclass(frozen=True)
class Endpoint:
    """One path of one vendor.

    :param path: as Starlette writes it.
    :param method: HTTP method.
    :param operation: one of :data:`~airflow_provider_faceswap.sandbox.server.faults.OPERATIONS`.
    :param handler: answers the call, or raises :class:`RefusedError`.
    :param kind: kind of the job that is created, or a function that reads it from the call.
    :param job: name of the argument with the identifier of the job that the call is about.
    """

    path: str
    method: str
    operation: str
    handler: Callable[[Call], Awaitable[Response]]
    kind: str | Callable[[Call], str | None] | None = None
    job: str | None = None

    def route(self, sandbox: Sandbox, vendor: Vendor) -> Route:
        """The Starlette route that serves this path."""

        async def serve(request: Request) -> Response:
            sandbox.requests[vendor.name][self.operation] += 1
            # Before the body is read: a wrong key must not cost the memory of a large body.
            if not vendor.authorizes(request.headers, sandbox.settings.key):
                return vendor.error(401)
            body = await read_body(request)
            if body is None:
                return vendor.error(413)
            call = Call(request, body, sandbox, vendor)
            kind = self.kind(call) if callable(self.kind) else self.kind
            if self.job is not None:
                call.job = sandbox.find(vendor.name, call.argument(self.job) or "")
                kind = None if call.job is None else call.job.kind
            call.fault = sandbox.faults.take((vendor.name,), self.operation, kind)
            return await answer(
                request, call.fault, vendor.error, vendor.unknown_job, lambda: self.handler(call)
            )

        return Route(self.path, serve, methods=[self.method])


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
