"""The two loops that wait for a job: what they decide is decided by :class:`~.polling.Watch`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from airflow_provider_faceswap.exceptions import FaceSwapError, VendorUnavailableError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import without_queries
from airflow_provider_faceswap.lifecycle.outcomes import Ending, Word
from airflow_provider_faceswap.lifecycle.polling import Schedule, Wait, Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from airflow_provider_faceswap.foundation.clock import Clock
    from airflow_provider_faceswap.jobs import Job, JobResult, Submission
    from airflow_provider_faceswap.vendors.base import Vendor

#: Seconds beyond the deadline for the last question: soon after, Airflow ends the deferral without a word on the job.
LAST_LOOK = 30.0


class Asked(Protocol):
    """Who is asked how a job stands: as much of a hook as waiting needs."""

    @property
    def vendor(self) -> Vendor:
        """What is known of the vendor."""

    def fetch(self, job_id: str, kind: str) -> Job:
        """Read a job."""

    def cancel(self, job_id: str, kind: str) -> bool:
        """Ask once for a cancel; true where it was confirmed."""

    async def afetch(self, job_id: str, kind: str) -> Job:
        """Read a job, on an event loop."""

    async def acancel(self, job_id: str, kind: str) -> bool:
        """Ask once for a cancel, on an event loop."""

    def session(self) -> AbstractAsyncContextManager[object]:
        """Keep what the async calls share open inside the block."""


def watch_for(
    hook: Asked, submission: Submission, *, poll_interval: float | None = None, not_before: float = 0.0
) -> Watch:
    """
    The decisions of a wait for this job.

    :param poll_interval: Least seconds between two questions, ``None`` for the kind's own schedule.
    :param not_before: Epoch seconds; no question earlier.
    """
    return Watch(
        vendor=submission.vendor,
        job_id=submission.job_id,
        schedule=Schedule.of(hook.vendor.kind(submission.kind).timing, poll_interval),
        submitted_at=submission.submitted_at.timestamp(),
        deadline=submission.deadline.timestamp(),
        not_before=not_before,
        grace=hook.vendor.not_found_grace,
    )


def wait(
    hook: Asked,
    kind: str,
    watch: Watch,
    *,
    log: Callable[[str], None],
    seen: Callable[[Job], None] | None = None,
    cancel_on_timeout: bool = False,
    clock: Clock | None = None,
) -> Ending:
    """
    Wait in a worker.

    :param log: Takes one line for each change worth telling.
    :param seen: Takes the job each time it was read, for whoever shows a bar.
    :param cancel_on_timeout: Whether the deadline cancels the job, where the vendor can.
    """
    clock = clock or CLOCK
    decision: Wait | Ending = watch.start(clock.now())
    while isinstance(decision, Wait):
        _tell(log, watch, decision)
        clock.sleep(decision.seconds)
        try:
            job = hook.fetch(watch.job_id, kind)
        except FaceSwapError as error:
            decision = watch.missed(error, clock.now())
        else:
            if seen is not None:
                seen(job)
            decision = watch.saw(job, clock.now())
    if decision.word is Word.TIMED_OUT and cancel_on_timeout:
        return decision.after_cancel(confirmed=hook.cancel(watch.job_id, kind))
    return decision


async def await_job(
    hook: Asked,
    kind: str,
    watch: Watch,
    *,
    log: Callable[[str], None],
    cancel_on_timeout: bool = False,
    clock: Clock | None = None,
) -> Ending:
    """Wait on an event loop, as :func:`wait` does in a worker."""
    clock = clock or CLOCK
    async with hook.session():
        decision: Wait | Ending = watch.start(clock.now())
        while isinstance(decision, Wait):
            _tell(log, watch, decision)
            await clock.asleep(decision.seconds)
            try:
                async with asyncio.timeout(max(0.0, watch.deadline - clock.now()) + LAST_LOOK):
                    job = await hook.afetch(watch.job_id, kind)
            except TimeoutError:
                late = VendorUnavailableError("no answer by the deadline", vendor=watch.vendor)
                decision = watch.missed(late, clock.now())
            except FaceSwapError as error:
                decision = watch.missed(error, clock.now())
            else:
                decision = watch.saw(job, clock.now())
        if decision.word is Word.TIMED_OUT and cancel_on_timeout:
            return decision.after_cancel(confirmed=await hook.acancel(watch.job_id, kind))
        return decision


def done(result: JobResult) -> str:
    """The line that ends the ones of a wait: how long the job took, and what it cost."""
    seconds = max(0.0, (result.finished_at - result.submitted_at).total_seconds())
    cost = f"{result.cost}" if result.cost else "its cost was not told"
    paid = ", paid by an earlier try" if result.cost and result.attempt_reused else ""
    return f"{result.vendor} job {result.job_id} is done after {seconds:.0f} s: {cost}{paid}"


def _tell(log: Callable[[str], None], watch: Watch, decision: Wait) -> None:
    if decision.news:
        # The words in it are a vendor's: whatever they are, no signed link gets into a log.
        log(without_queries(f"{watch.vendor} job {watch.job_id} {decision.news}"))
