"""The two loops that wait for a job: what they decide is decided by :class:`~.polling.Watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_faceswap.clock import CLOCK
from airflow_provider_faceswap.endings import Ending, Word
from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.polling import Schedule, Wait, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_faceswap.clock import Clock
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Submission


def watch_for(
    hook: JobHook, submission: Submission, *, poll_interval: float | None = None, not_before: float = 0.0
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
    hook: JobHook,
    kind: str,
    watch: Watch,
    *,
    log: Callable[[str], None],
    cancel_on_timeout: bool = False,
    clock: Clock | None = None,
) -> Ending:
    """
    Wait in a worker.

    :param log: Takes one line for each change worth telling.
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
            decision = watch.saw(job, clock.now())
    if decision.word is Word.TIMED_OUT and cancel_on_timeout:
        return decision.after_cancel(confirmed=hook.cancel(watch.job_id, kind))
    return decision


async def await_job(
    hook: JobHook,
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
                job = await hook.afetch(watch.job_id, kind)
            except FaceSwapError as error:
                decision = watch.missed(error, clock.now())
            else:
                decision = watch.saw(job, clock.now())
        if decision.word is Word.TIMED_OUT and cancel_on_timeout:
            return decision.after_cancel(confirmed=await hook.acancel(watch.job_id, kind))
        return decision


def _tell(log: Callable[[str], None], watch: Watch, decision: Wait) -> None:
    if decision.news:
        log(f"{watch.vendor} job {watch.job_id} {decision.news}")
