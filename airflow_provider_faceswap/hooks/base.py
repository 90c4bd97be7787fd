"""From a connection to a vendor's jobs: the sync and the async face of one hook."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InvalidRequestError,
    MalformedResponseError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.hooks.account import AccountHook
from airflow_provider_faceswap.hooks.connection import shown
from airflow_provider_faceswap.http.client import attempts, shared_client
from airflow_provider_faceswap.lifecycle.outcomes import Outcome
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.lifecycle.waiting import wait
from airflow_provider_faceswap.media.inputs import PREFLIGHTS, MediaPreparer, with_uploaded_links
from airflow_provider_faceswap.telemetry import lineage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

    from airflow_provider_faceswap.jobs import Job
    from airflow_provider_faceswap.media.inputs import Preflight
    from airflow_provider_faceswap.vendors.messages import Request


class JobHook(AccountHook):
    """
    A vendor's jobs, through an Airflow connection.

    The connection's password is the API key; its host, where given, is a full base URL, and its port, where
    given, that of the base URL.

    :param conn_id: The connection; each hook has a default of its own.
    """

    # -- jobs, sync -----------------------------------------------------------------------------------

    def prepare(self, kind: str, *, preflight: Preflight = "auto", **arguments: Any) -> Request:
        """
        Check the arguments and build the request, without sending anything to the vendor.

        What the connection gives for all jobs fills what is not set. A picture may be a link, the URI or path of a
        file in object storage, what the archive operator returned, or an :class:`~.images.Image`.

        :param preflight: ``auto`` checks pictures that pass through here, ``check`` links as well, ``fit`` also
            makes fit what the vendor would refuse, ``off`` leaves all to the vendor.
        :raises InvalidRequestError: An argument is wrong.
        """
        self.endpoint()
        return self._prepare(kind, arguments, preflight)

    def _prepare(self, kind: str, arguments: Mapping[str, Any], preflight: Preflight = "auto") -> Request:
        if preflight not in PREFLIGHTS:
            raise InvalidRequestError(f"preflight: must be one of {', '.join(PREFLIGHTS)}, got {preflight!r}")
        spec = self.vendor.kind(kind)
        known = spec.arguments.model_fields
        given = {key: value for key, value in arguments.items() if value is not None}
        if "webhook" in given and "webhook_secret" in known:
            given.setdefault("webhook_secret", self._extra.get("webhook_secret"))
        for name in self.vendor.connection_arguments:
            if name in known and name not in given and self._extra.get(name) is not None:
                given[name] = self._extra[name]
        secret = str(given.get("webhook_secret") or "")
        if self._endpoint is not None and secret not in {"", *self._endpoint.secrets}:
            # The vendor echoes it in its answers, wherever it was given.
            self._endpoint = replace(self._endpoint, secrets=(*self._endpoint.secrets, secret))
        journey = MediaPreparer(self.vendor, preflight)
        sent, named = journey.arguments(spec.media, given)
        request = self.vendor.create(kind, sent)
        if sent == named and not journey.uploads:
            return request
        known_as = self.vendor.create(kind, named).body
        return replace(request, known_as=known_as, uploads=journey.uploads)

    def _deliver(self, request: Request) -> Request:
        """
        Store at the vendor what a request needs there.

        :raises VendorError: It was refused, and nothing was bought.
        """
        if not request.uploads:
            return request
        links = {}
        for name, data in request.uploads.items():
            upload = self.vendor.upload(name.rpartition("/")[2], data)
            links[name] = self.read(upload, self.vendor.read_upload)
        return with_uploaded_links(request, links)

    @contextmanager
    def ready(self, kind: str, request: Request) -> Iterator[Callable[[], Job]]:
        """
        Do all that comes before a submission: store its pictures at the vendor, make a client, wait for the rate limit.

        Write the intent inside the block. A crash before the block cannot have submitted a job.

        :returns: The function that sends the submission; call it once, inside the block. It raises ``VendorError``
            if the vendor accepted nothing, and ``SubmissionUncertainError`` if it may have.
        :raises VendorError: A picture was refused, and nothing was submitted.
        """
        request = self._deliver(request)
        endpoint = self.endpoint()
        with self._client(fresh=True) as http:
            endpoint.limiter.turn(endpoint.rate)
            yield partial(self._submit, kind, request, http)

    def _submit(self, kind: str, request: Request, http: httpx.Client) -> Job:
        """
        Send a submission. Each accepted one is paid for.

        It is sent again only after "too many requests", "unavailable", or a connection that never opened; each time
        by a client with no open connection, so that nothing is sent twice.

        :param http: A client with no open connection.
        """
        endpoint = self.endpoint()
        for attempt in attempts():
            first = attempt.num == 1
            with attempt, nullcontext(http) if first else self._client(fresh=True) as client:
                reply = endpoint.send(client, request, paid=True, queued=not first)
                job = self.vendor.read_created(kind, reply)
        return job

    def submit(self, kind: str, **arguments: Any) -> Job:
        """
        Create a paid job.

        :param kind: ``face_swap``, ``image``, ...; what the vendor file's table lists.
        :param arguments: Neutral names, as on the operators; ``None`` means unset.
        :raises InvalidRequestError: An argument is wrong; nothing was sent.
        :raises VendorError: The vendor accepted nothing.
        :raises SubmissionUncertainError: The vendor may have accepted it.
        """
        with self.ready(kind, self.prepare(kind, **arguments)) as submit:
            job = submit()
        lineage.collect(self, lineage.job_lineage(None, arguments))
        return job

    def fetch(self, job_id: str, kind: str) -> Job:
        """
        Read a job.

        :raises JobLostError: The vendor does not know it.
        :raises VendorError: It could not be read; the job itself goes on.
        """
        with _about(self.vendor.name, job_id):
            return self.read(
                self.vendor.fetch(kind, job_id),
                lambda reply: self.vendor.read_job(kind, reply, job_id=job_id),
            )

    def wait(self, job: Job, *, timeout: float = 600.0, poll_interval: float | None = None) -> Job:
        """
        Wait for a job in this process, asking at the times that suit its kind.

        :param job: What :meth:`submit` returned, or :meth:`fetch`.
        :param timeout: Seconds from now; the job itself goes on after it.
        :param poll_interval: Least seconds between two questions.
        :returns: The job, succeeded, with its links and, where the vendor ever told, its cost.
        :raises JobTimeoutError: It is still running; wait again, or later, by its id.
        :raises FaceSwapError: It failed, was cancelled, or cannot be read; subclasses say which.
        """
        template = SubmissionTemplate(job.vendor, job.kind, self.conn_id, timeout)
        submission = template.submission(job.job_id, submitted_at=job.created_at)
        ending = wait(self, submission, first=job, poll_interval=poll_interval, log=self.log.info)
        if ending.outcome is not Outcome.SUCCEEDED or ending.job is None:
            raise ending.to_error(job.cost)
        lineage.collect(self, lineage.output_lineage(ending.job.urls))
        # Some vendors tell the cost with the create and never again.
        return ending.job.model_copy(update={"cost": ending.job.cost or job.cost})

    def cancel(self, job_id: str, kind: str) -> bool:
        """
        Ask once for a cancel, best effort.

        :returns: True where the vendor confirmed it; False means that the job may go on and be charged.
        """
        request = self.vendor.cancel(kind, job_id)
        if request is None:
            return False
        try:
            with self._client() as http:
                return self.vendor.read_canceled(self.endpoint().send(http, request, queued=False))
        except FaceSwapError as error:
            self.log.warning("The cancel of job %s was not confirmed: %s", job_id, error)
            return False

    # -- jobs, async ----------------------------------------------------------------------------------

    async def asubmit(self, kind: str, **arguments: Any) -> Job:
        """Create a paid job, as :meth:`submit` does."""
        await self.aendpoint()
        # Pictures may have to be read from a storage, which blocks.
        request = await asyncio.to_thread(self._prepare, kind, arguments)
        job = await self.abuy(kind, request)
        lineage.collect(self, lineage.job_lineage(None, arguments))
        return job

    async def abuy(self, kind: str, request: Request) -> Job:
        """Make a prepared request ready, and send it, as :meth:`ready` and :meth:`buy` do."""
        async with shared_client(self.conn_id) as shared:
            endpoint = await self.aendpoint()
            request = await asyncio.to_thread(self._deliver, request)
            async for attempt in attempts():
                with attempt:
                    reply = await endpoint.asend(shared, request, paid=True)
                    job = self.vendor.read_created(kind, reply)
        return job

    async def afetch(self, job_id: str, kind: str) -> Job:
        """Read a job, as :meth:`fetch` does; a key that was changed meanwhile is taken up."""
        with _about(self.vendor.name, job_id):
            try:
                return await self._afetch(job_id, kind)
            except AuthenticationError:
                before, self._endpoint = self._endpoint, None
                if await self.aendpoint(instead_of=before) == before:
                    raise
                return await self._afetch(job_id, kind)

    async def _afetch(self, job_id: str, kind: str) -> Job:
        request = self.vendor.fetch(kind, job_id)
        async with shared_client(self.conn_id) as shared:
            endpoint = await self.aendpoint()
            async for attempt in attempts():
                with attempt:
                    reply = await endpoint.asend(shared, request)
                    job = self.vendor.read_job(kind, reply, job_id=job_id)
        return job

    async def acancel(self, job_id: str, kind: str) -> bool:
        """Ask once for a cancel, as :meth:`cancel` does."""
        request = self.vendor.cancel(kind, job_id)
        if request is None:
            return False
        try:
            async with shared_client(self.conn_id) as shared:
                endpoint = await self.aendpoint()
                return self.vendor.read_canceled(await endpoint.asend(shared, request, queued=False))
        except FaceSwapError as error:
            self.log.warning("The cancel of job %s was not confirmed: %s", job_id, error)
            return False

    # -- connection test ------------------------------------------------------------------------------

    def test_connection(self) -> tuple[bool, str]:
        """
        Prove key, host and fields with a free call, for the connection form's *Test* button.

        :returns: Whether all is well, and one line for a person: the account, or what is wrong and where.
        """
        asked = ""
        try:
            self._check_fields()
            asked = f" (asked: {shown(self.endpoint().base_url)})"
            return True, f"{self.vendor.name}: {self.account()}{asked}"
        except FaceSwapError as error:
            if isinstance(error, InvalidRequestError | MalformedResponseError) and error.status_code:
                # The question is always the same, so it is who answers that is not what it should be.
                error.advice = "Nothing was bought. Is the connection's host this vendor's API?"
            # The id is one that Airflow made up for the test.
            why = str(error).replace(f"connection {self.conn_id!r}", "this connection")
            return False, f"{why}{asked}"

    def _check_fields(self) -> None:
        """
        Build a request from what the connection gives for all jobs, and send nothing.

        :raises InvalidRequestError: One of its fields is wrong, which would else be said by the first job.
        """
        self.endpoint()
        picture = "https://example.com/picture.png"
        try:
            self.prepare("face_swap", target_image=picture, face_image=picture)
        except InvalidRequestError as error:
            error.advice = "Nothing was bought. Correct the connection."
            raise


@contextmanager
def _about(vendor: str, job_id: str) -> Iterator[None]:
    """
    Name the job in whatever goes wrong while it is read.

    A connection that is not found may be so for the moment: Airflow says that of a secrets backend that is down.
    """
    try:
        yield
    except FaceSwapError as error:
        error.job_id = error.job_id or job_id
        raise
    except AirflowNotFoundException as error:
        raise VendorUnavailableError(
            str(error),
            vendor=vendor,
            job_id=job_id,
            advice="The job goes on. Put the connection back, and retry.",
        ) from None


def hook_for(vendor: str, conn_id: str) -> JobHook:
    """
    Make the hook of a vendor, as the provider info registers it.

    :param vendor: The vendor's name, which is the connection type.
    :raises InvalidRequestError: No such vendor.
    """
    from airflow_provider_faceswap.get_provider_info import get_provider_info

    for entry in get_provider_info()["connection-types"]:
        if entry["connection-type"] == vendor:
            module, _, name = entry["hook-class-name"].rpartition(".")
            hook: JobHook = getattr(import_module(module), name)(conn_id)
            return hook
    raise InvalidRequestError(
        f"connection {conn_id!r} is of type {vendor!r}, which is none of this package",
        advice="Nothing was bought. Use a connection of type gptunnel, tengrai or piapi.",
    )


def hook_for_connection(conn_id: str) -> JobHook:
    """
    Make the hook that a connection's type asks for.

    :raises AirflowNotFoundException: There is no such connection.
    :raises InvalidRequestError: Its type is none of this package's.
    """
    return hook_for(BaseHook.get_connection(conn_id).conn_type or "", conn_id)
