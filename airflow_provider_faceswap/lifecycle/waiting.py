"""The two loops that wait for a job, in a worker and on an event loop; :class:`~.polling.Poller` decides for both."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import TYPE_CHECKING, Protocol, TypeVar

from airflow_provider_faceswap.exceptions import FaceSwapError, VendorUnavailableError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import without_queries
from airflow_provider_faceswap.http.limits import ending_by
from airflow_provider_faceswap.jobs import JobState
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, WaitResult
from airflow_provider_faceswap.lifecycle.polling import Poller, Schedule, Wait

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from airflow_provider_faceswap.jobs import Job, JobResult, Submission
    from airflow_provider_faceswap.vendors.base import Vendor
    from airflow_provider_faceswap.vendors.messages import Reply, Request

T = TypeVar("T")

#: Seconds after the deadline that the last poll may take. Soon after that, Airflow ends the deferral with an error that
#: does not name the job.
LAST_POLL_MARGIN = 15.0


class JobClient(Protocol):
    """The client interface needed to submit, poll and cancel a job; hooks implement it."""

    conn_id: str

    @property
    def vendor(self) -> Vendor:
        """What is known of the vendor."""

    def ready(self, kind: str, request: Request) -> AbstractContextManager[Callable[[], Job]]:
        """Do all that comes before a submission; the block gets the function that sends it."""

    def read(self, request: Request, parse: Callable[[Reply], T]) -> T:
        """Send a request that only reads."""

    def fetch(self, job_id: str, kind: str) -> Job:
        """Poll a job."""

    def cancel(self, job_id: str, kind: str) -> bool:
        """Request a cancellation once; true if the vendor confirmed it."""

    async def afetch(self, job_id: str, kind: str) -> Job:
        """Poll a job, on an event loop."""

    async def acancel(self, job_id: str, kind: str) -> bool:
        """Request a cancellation once, on an event loop."""

    def session(self) -> AbstractAsyncContextManager[object]:
        """Keep what the async calls share open inside the block."""


def poller_for(
    client: JobClient,
    submission: Submission,
    *,
    poll_interval: float | None = None,
    not_before: float = 0.0,
    planned_at: float | None = None,
) -> Poller:
    """
    The decisions of a wait for this job, from now on by the monotonic clock.

    The moments may be of another machine's clock. So what is left until one of them is at most what was left when it
    was planned, by the clock that planned it.

    :param poll_interval: Minimum seconds between two polls, ``None`` for the kind's own schedule.
    :param not_before: Epoch seconds; the earliest time of a poll.
    :param planned_at: Epoch seconds; when ``not_before`` and the deadline were planned, by the same clock. Default: at
        the submission.
    """
    submitted_at = submission.submitted_at.timestamp()
    planned_at = submitted_at if planned_at is None else max(planned_at, submitted_at)
    now = max(CLOCK.now(), planned_at)
    zero = now - CLOCK.monotonic()
    return Poller(
        vendor=submission.vendor,
        job_id=submission.job_id,
        schedule=Schedule.of(client.vendor.kind(submission.kind).timing, poll_interval),
        submitted_at=submitted_at - zero,
        deadline=submission.deadline.timestamp() - zero,
        not_before=not_before - zero,
        grace=client.vendor.not_found_grace,
        zero=zero,
    )


def is_over(job: Job | None) -> bool:
    """True if a wait for this job, as last polled, would end at once."""
    return job is not None and job.state.terminal and (job.has_output or job.state is not JobState.SUCCEEDED)


def wait(
    client: JobClient,
    submission: Submission,
    *,
    log: Callable[[str], None],
    first: Job | None = None,
    poll_interval: float | None = None,
    seen: Callable[[Job], None] | None = None,
    cancel_on_timeout: bool = False,
    stop: Event | None = None,
) -> WaitResult:
    """
    Wait in a worker.

    :param log: Called with one line for each change worth logging.
    :param first: The job as just seen; if it is over, nothing is polled.
    :param poll_interval: Minimum seconds between two polls, ``None`` for the kind's own schedule.
    :param seen: Called with the job after each poll, for example to show a progress bar.
    :param cancel_on_timeout: Whether to cancel the job at the deadline, if the vendor supports it.
    :param stop: Ends the wait once it is set.
    :raises FaceSwapError: The wait was ended by ``stop``.
    """
    stop = stop or Event()
    poller = poller_for(client, submission, poll_interval=poll_interval)
    decision = poller.start(CLOCK.monotonic(), first)
    while isinstance(decision, Wait):
        _log_message(log, poller, decision)
        CLOCK.pause(decision.seconds, stop)
        if stop.is_set():
            raise FaceSwapError(
                "this attempt was ended from outside",
                vendor=submission.vendor,
                job_id=submission.job_id,
                advice="Its job is left running. The next attempt resumes it.",
            )
        try:
            with ending_by(max(poller.deadline, CLOCK.monotonic()) + LAST_POLL_MARGIN):
                job = client.fetch(submission.job_id, submission.kind)
        except FaceSwapError as error:
            decision = poller.after_error(error, CLOCK.monotonic())
        else:
            if seen is not None:
                seen(job)
            decision = poller.after_poll(job, CLOCK.monotonic())
    if decision.outcome is Outcome.TIMED_OUT and cancel_on_timeout:
        return decision.after_cancel(confirmed=client.cancel(submission.job_id, submission.kind))
    return decision


async def wait_async(
    client: JobClient,
    submission: Submission,
    *,
    log: Callable[[str], None],
    first: Job | None = None,
    poll_interval: float | None = None,
    not_before: float = 0.0,
    planned_at: float | None = None,
    cancel_on_timeout: bool = False,
) -> WaitResult:
    """
    Wait on an event loop, as :func:`wait` does in a worker.

    :param not_before: Epoch seconds; the earliest time of a poll.
    :param planned_at: Epoch seconds; when another machine planned this wait, by its clock.
    """
    poller = poller_for(
        client, submission, poll_interval=poll_interval, not_before=not_before, planned_at=planned_at
    )
    decision = poller.start(CLOCK.monotonic(), first)
    if isinstance(decision, WaitResult):
        return decision
    async with client.session():
        while isinstance(decision, Wait):
            _log_message(log, poller, decision)
            await CLOCK.asleep(decision.seconds)
            try:
                async with asyncio.timeout(max(0.0, poller.deadline - CLOCK.monotonic()) + LAST_POLL_MARGIN):
                    job = await client.afetch(submission.job_id, submission.kind)
            except TimeoutError:
                late = VendorUnavailableError("no response by the deadline", vendor=submission.vendor)
                decision = poller.after_error(late, CLOCK.monotonic())
            except FaceSwapError as error:
                decision = poller.after_error(error, CLOCK.monotonic())
            else:
                decision = poller.after_poll(job, CLOCK.monotonic())
        if decision.outcome is Outcome.TIMED_OUT and cancel_on_timeout:
            confirmed = await client.acancel(submission.job_id, submission.kind)
            return decision.after_cancel(confirmed=confirmed)
        return decision


def result_of(client: JobClient, submission: Submission, waited: WaitResult) -> JobResult:
    """
    The result of a job that succeeded.

    :raises FaceSwapError: The job did not succeed; subclasses say how it ended.
    """
    if waited.outcome is not Outcome.SUCCEEDED or waited.job is None:
        raise waited.to_error(submission.cost)
    retention = client.vendor.kind(submission.kind).retention
    return submission.result(waited.job, seen_at=CLOCK.moment(), retention=retention)


def done_message(result: JobResult) -> str:
    """The last log line of a wait: how long the job took, and what it cost."""
    seconds = max(0.0, (result.finished_at - result.submitted_at).total_seconds())
    cost = f"{result.cost}" if result.cost else "the vendor did not report its cost"
    paid = ", paid by an earlier attempt" if result.cost and result.attempt_reused else ""
    return f"{result.vendor} job {result.job_id} is done after {seconds:.0f} s: {cost}{paid}"


def _log_message(log: Callable[[str], None], poller: Poller, decision: Wait) -> None:
    if decision.message:
        # It may repeat a signed link from the vendor's response.
        log(without_queries(f"{poller.vendor} job {poller.job_id} {decision.message}"))
