"""One request and its response: counting, the key, injected faults, then the vendor's own handler."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from airflow_provider_faceswap.sandbox.server.answering import RefusedError, answer
from airflow_provider_faceswap.sandbox.server.bodies import read_body
from airflow_provider_faceswap.sandbox.server.inputs import Inputs
from airflow_provider_faceswap.sandbox.server.jobs import FAILED, Job, View

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_faceswap.sandbox.output import Output
    from airflow_provider_faceswap.sandbox.server.faults import Fault
    from airflow_provider_faceswap.sandbox.server.registry import Vendor
    from airflow_provider_faceswap.sandbox.server.state import Sandbox
    from airflow_provider_faceswap.sandbox.server.webhooks import Webhook

__all__ = ["Call", "Endpoint", "RefusedError"]


@dataclass
class Call:
    """One request to a vendor.

    :param request: the request, its body already read.
    :param body: the raw body.
    :param operation: what it does.
    :param kind: kind of the job that it is about, when known.
    :param job: the job that the request names, if it exists.
    :param fault: the fault that applies to this request, if any.
    """

    request: Request
    body: bytes
    sandbox: Sandbox
    vendor: Vendor
    operation: str
    kind: str | None = None
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
            raise self.refusal(402)

    def refusal(self, status: int, text: str | None = None) -> RefusedError:
        """The vendor's refusal, its cause hidden if a fault says so.

        :param text: the cause; by default the usual text of that status.
        """
        place = self.hidden_place()
        if place is None or self.vendor.hidden_error is None:
            return RefusedError(self.vendor.error(status, text) if text else self.vendor.error(status))
        return RefusedError(self.vendor.hidden_error(status, text or self.vendor.text("no_credits"), place))

    def hidden_place(self) -> str | None:
        """The only place that shows a cause, if a fault hides causes from this request."""
        details = self.manner("hide_cause")
        return None if details is None else str(details["place"])

    def manner(self, fault_type: str) -> dict[str, Any] | None:
        """Details of a fault of this type, one of :data:`~airflow_provider_faceswap.sandbox.server.faults.MANNERS`."""
        fault = self.sandbox.faults.take((self.vendor.name,), self.operation, self.kind, fault_type)
        return None if fault is None else fault.details

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
        webhook: Webhook | None = None,
    ) -> View:
        """Accept a job: start the drawing, charge the account.

        :param draw: makes the files, in a worker thread; raises
            :class:`~airflow_provider_faceswap.sandbox.output.JobFailedError` if it cannot.
        :param failure: why the job will fail, if that is already known; an injected failure comes first.
        :param webhook: what is sent when the job has ended.
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
        if webhook is not None and webhook.url:
            dropped, delayed = self.manner("drop_webhook"), self.manner("delay_webhook")
            self.sandbox.webhooks.expect(
                job,
                webhook,
                dropped=None if dropped is None else str(dropped["when"]),
                delay=0.0 if delayed is None else float(delayed["seconds"]),
            )
        return View(job, job.created_at, fresh=True, place=self.hidden_place() if born_failed else None)

    def view(self, job: Job) -> View:
        """The job as the response to a read shows it."""
        word = self.ordered("unknown_status")
        return View(
            job,
            self.sandbox.now(),
            word=None if word is None else str(word["word"]),
            empty=self.ordered("no_output") is not None,
            place=self.hidden_place() if job.phase(self.sandbox.now()) == FAILED else None,
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
            call = Call(request, body, sandbox, vendor, self.operation)
            call.kind = self.kind(call) if callable(self.kind) else self.kind
            if self.job is not None:
                call.job = sandbox.find(vendor.name, call.argument(self.job) or "")
                call.kind = None if call.job is None else call.job.kind
            job_id = None if call.job is None else call.job.job_id
            call.fault = sandbox.faults.take((vendor.name,), self.operation, call.kind, job_id=job_id)
            if (refused := call.ordered("refuse")) is not None:
                return call.refusal(int(refused["status"]), vendor.text(refused["reason"])).response
            return await answer(
                request, call.fault, vendor.error, vendor.unknown_job, lambda: self.handler(call)
            )

        return Route(self.path, serve, methods=[self.method])
