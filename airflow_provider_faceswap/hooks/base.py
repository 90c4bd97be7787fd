"""The hook: one vendor's jobs through an Airflow connection, sync and async."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.rendered import is_set
from airflow_provider_faceswap.foundation.validation import as_conn_id, given_id
from airflow_provider_faceswap.hooks.account import balances_of, concurrency_limit_of, described
from airflow_provider_faceswap.hooks.connection import VendorConnection
from airflow_provider_faceswap.hooks.connection_check import check_connection
from airflow_provider_faceswap.hooks.handover import as_result
from airflow_provider_faceswap.hooks.job_errors import logging_failure, naming_job
from airflow_provider_faceswap.hooks.preparation import build_submission, upload_files
from airflow_provider_faceswap.hooks.private_host import check_private_host, warn_of_private_host
from airflow_provider_faceswap.hooks.registry import hook_for, hook_for_connection, register, types_of
from airflow_provider_faceswap.http.api import ApiClient
from airflow_provider_faceswap.lifecycle.outcomes import Outcome
from airflow_provider_faceswap.lifecycle.provenance import private_texts, provenance
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.lifecycle.waiting import wait
from airflow_provider_faceswap.telemetry import lineage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractContextManager

    from airflow_provider_faceswap.http.endpoint import Endpoint
    from airflow_provider_faceswap.jobs import Balance, Job
    from airflow_provider_faceswap.media.preflight import Preflight
    from airflow_provider_faceswap.vendors.base import Vendor
    from airflow_provider_faceswap.vendors.messages import Reply, Request

__all__ = ["JobHook", "hook_for", "hook_for_connection"]

T = TypeVar("T")


class JobHook(BaseHook):
    """
    A vendor's jobs, through an Airflow connection.

    The connection's password is the API key. Its host, if set, is the full base URL; its port, if set, is the base
    URL's. ``with`` keeps one HTTP client for the sync calls inside the block.

    :param conn_id: The connection; each hook has its own default.
    """

    vendor: ClassVar[Vendor]
    conn_name_attr = "conn_id"
    default_conn_name = ""

    def __init__(self, conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = as_conn_id(conn_id) if is_set(conn_id) else self.default_conn_name
        #: Connection types whose password this hook may send.
        self.conn_types = types_of(type(self))
        #: The parts of manifests of the jobs that this hook has submitted, by their ids.
        self._provenance: dict[str, dict[str, Any]] = {}
        connection = VendorConnection(self.vendor, self.conn_id, self.conn_types)
        self._api = ApiClient(f"{self.vendor.name}:{self.conn_id}", connection)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        register(cls)

    def __enter__(self) -> Self:
        self._api.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._api.__exit__()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Self]:
        """Keep this event loop's shared async client open inside the block."""
        async with self._api.session():
            yield self

    def endpoint(self) -> Endpoint:
        """The connection's endpoint. The connection is read on the first call only."""
        return self._api.endpoint()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may show: the key and webhook secrets, as far as they are known yet."""
        return self._api.secrets

    def read(self, request: Request, parse: Callable[[Reply], T]) -> T:
        """
        Send a request that only reads; it is repeated if that can help.

        :param parse: Makes the return value from the reply.
        :raises VendorError: The vendor refused, is unavailable, or its reply cannot be understood.
        """
        return self._api.read(request, parse)

    # -- submit ---------------------------------------------------------------------------------------

    def prepare(self, kind: str, *, preflight: Preflight = "auto", **arguments: Any) -> Request:
        """
        Check the arguments and build the submission. Nothing is sent to the vendor.

        The connection's defaults fill arguments that are not set. A picture may be a link, the URI or path of a file
        in object storage, the result of the archive operator, or an :class:`~.images.Image`.

        :param preflight: ``auto`` checks pictures that this process reads; ``check`` also checks links; ``fit`` also
            converts and shrinks pictures that the vendor would refuse; ``off`` checks no picture.
        :raises InvalidRequestError: An argument is wrong.
        """
        for text in private_texts(arguments):
            self._api.hide(text)
        return build_submission(self.vendor, self.endpoint().options, kind, arguments, preflight)

    def ready(self, kind: str, request: Request) -> AbstractContextManager[Callable[[], Job]]:
        """
        Do all that comes before a submission: upload its pictures, make a client, wait for the rate limit.

        Write the intent inside the block. A crash before the block cannot have submitted a job.

        :returns: The function that sends the submission; call it once, inside the block. It raises ``VendorError``
            if the vendor accepted nothing, and ``SubmissionUncertainError`` if it may have.
        :raises InvalidRequestError: The connection's host is private, and results from there could not be downloaded.
        :raises VendorError: The vendor refused a picture; nothing was submitted.
        """
        check_private_host(self.endpoint())
        return self._ready(kind, request)

    def _ready(self, kind: str, request: Request) -> AbstractContextManager[Callable[[], Job]]:
        request = upload_files(self.vendor, request, self.read)
        return self._api.submitting(request, partial(self._read_submitted, kind))

    def _read_submitted(self, kind: str, reply: Reply) -> Job:
        return self.vendor.read_submitted(kind, reply).believed(CLOCK.moment())

    def submit(self, kind: str, **arguments: Any) -> Job:
        """
        Submit a paid job.

        The log has its id at once. A hook keeps no record: return the id, or :meth:`to_xcom` of the job, so that a
        later task can go on with it.

        :param kind: One of this vendor's job kinds, such as ``face_swap``; see ``vendor.kinds``.
        :param arguments: The same keyword arguments as for this vendor's operators; ``None`` means not set.
        :raises InvalidRequestError: An argument is wrong; nothing was sent.
        :raises VendorError: The vendor did not accept the job.
        :raises SubmissionUncertainError: The vendor may have accepted the job.
        """
        request = self.prepare(kind, **arguments)
        warn_of_private_host(self.endpoint(), self.log)
        with self._ready(kind, request) as submit:
            job = submit()
            self._accepted(job, arguments)
        lineage.collect(self, lineage.job_lineage(None, arguments))
        return job

    async def asubmit(self, kind: str, **arguments: Any) -> Job:
        """Submit a paid job, as :meth:`submit` does."""
        await self._api.aendpoint()
        # Resolving a name, and reading and uploading pictures, blocks.
        request = await asyncio.to_thread(self.prepare, kind, **arguments)
        await asyncio.to_thread(warn_of_private_host, self.endpoint(), self.log)
        request = await asyncio.to_thread(upload_files, self.vendor, request, self.read)
        job = await self._api.asubmit(request, partial(self._read_submitted, kind))
        self._accepted(job, arguments)
        lineage.collect(self, lineage.job_lineage(None, arguments))
        return job

    def _accepted(self, job: Job, arguments: Mapping[str, Any]) -> None:
        """Log the job, whatever happens next, and keep what its manifest will say."""
        cost = f", {job.cost}" if job.cost else ""
        self.log.info("%s accepted %s as job %s%s", job.vendor, job.kind, job.job_id, cost)
        self._provenance[job.job_id] = provenance(arguments)

    def to_xcom(self, job: Job) -> dict[str, Any]:
        """
        The job as what a job operator returns. Return this from a ``@task``.

        The archive operator, the job sensor and the arguments of other operators take it, and a manifest names the
        job. A bare link has none of that. Like a link, it may be signed: keep it out of the log with
        ``@task(show_return_value_in_logs=False)``.

        :param job: The result of :meth:`submit`, :meth:`fetch` or :meth:`wait`.
        """
        return as_result(
            job,
            conn_id=self.conn_id,
            retention=self.vendor.kind(job.kind).retention,
            provenance=self._provenance.get(job.job_id, {}),
        )

    # -- fetch and wait -------------------------------------------------------------------------------

    def fetch(self, job_id: str, kind: str) -> Job:
        """
        Poll a job.

        :raises JobLostError: The vendor has no such job.
        :raises VendorError: The job could not be read; it is still running, or over, at the vendor.
        """
        with naming_job(job_id := given_id(job_id), self.vendor.name):
            parse = partial(self.vendor.read_job, kind, job_id=job_id)
            return self._api.read(self.vendor.fetch(kind, job_id), parse).believed(CLOCK.moment())

    async def afetch(self, job_id: str, kind: str) -> Job:
        """Poll a job, as :meth:`fetch` does; a refused key is read again from the connection."""
        with naming_job(job_id := given_id(job_id), self.vendor.name):
            parse = partial(self.vendor.read_job, kind, job_id=job_id)
            return (await self._api.aread(self.vendor.fetch(kind, job_id), parse)).believed(CLOCK.moment())

    def wait(self, job: Job, *, timeout: float = 600.0, poll_interval: float | None = None) -> Job:
        """
        Wait for a job in this process, on the schedule of its kind.

        :param job: The result of :meth:`submit` or :meth:`fetch`.
        :param timeout: Seconds from now. The job is not cancelled after that.
        :param poll_interval: Minimum seconds between two polls.
        :returns: The succeeded job, with its links, and its cost if the vendor ever reported one.
        :raises JobTimeoutError: The job is still running. Call this again, or resume the job later by its id.
        :raises FaceSwapError: The job failed, was cancelled, or cannot be read; subclasses say which.
        """
        template = SubmissionTemplate(job.vendor, job.kind, self.conn_id, timeout)
        submission = template.submission(job.job_id, submitted_at=job.created_at)
        waited = wait(self, submission, first=job, poll_interval=poll_interval, log=self.log.info)
        if waited.outcome is not Outcome.SUCCEEDED or waited.job is None:
            raise waited.to_error(job.cost)
        lineage.collect(self, lineage.output_lineage(waited.job.urls))
        # Some vendors report the cost only in the reply to the submission.
        return waited.job.model_copy(update={"cost": waited.job.cost or job.cost})

    # -- cancellation -------------------------------------------------------------------------------------

    def cancel(self, job_id: str, kind: str) -> bool:
        """
        Request a cancellation once, best-effort.

        :returns: True if the vendor confirmed it. False means that the job may still run and be charged.
        """
        if (cancellation := self.vendor.cancellation) is None:
            return False
        request = cancellation.request(kind, job_id := given_id(job_id))
        with logging_failure(self.log, job_id):
            return cancellation.read(job_id, self._api.send_once(request))
        return False

    async def acancel(self, job_id: str, kind: str) -> bool:
        """Request a cancellation once, as :meth:`cancel` does."""
        if (cancellation := self.vendor.cancellation) is None:
            return False
        request = cancellation.request(kind, job_id := given_id(job_id))
        with logging_failure(self.log, job_id):
            return cancellation.read(job_id, await self._api.asend_once(request))
        return False

    # -- account --------------------------------------------------------------------------------------

    def account(self) -> str:
        """
        Describe the account in one line; free.

        :raises VendorError: The key is wrong, or the vendor is unavailable.
        """
        return described(self)

    def balances(self) -> tuple[Balance, ...]:
        """
        Read the account's balances, the usual unit first; free.

        :raises InvalidRequestError: This vendor does not report a balance.
        :raises VendorError: The key is wrong, or the vendor is unavailable.
        """
        return balances_of(self)

    def concurrency_limit(self) -> int | None:
        """How many jobs the account may run at once; ``None`` if the vendor does not report it, or it cannot be read now."""
        return concurrency_limit_of(self)

    def test_connection(self) -> tuple[bool, str]:
        """
        Test key, host and fields with a free request, for the *Test* button of the connection form.

        :returns: Whether it succeeded, and one line: the account, or what is wrong.
        """
        return check_connection(self)
