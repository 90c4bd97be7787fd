"""The one trigger: it waits for a job of any vendor, and never buys one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.hooks.base import hook_for
from airflow_provider_faceswap.jobs import Submission
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, kill_message
from airflow_provider_faceswap.lifecycle.waiting import done_message, result_of, wait_async
from airflow_provider_faceswap.links import result_links
from airflow_provider_faceswap.telemetry.metrics import job_ended
from airflow_provider_faceswap.triggers._airflow_internals import ENDED_STATES, end_with_success, task_state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.lifecycle.outcomes import WaitResult

#: Seconds after a deferral before which a task must not be resumed on a worker: the scheduler may notice up
#: to five seconds late that the deferring process has ended, and then takes the resumed task for a lost one.
SAFE_RESUME_DELAY = 7.0
#: Seconds beyond the job's own deadline at which Airflow ends the deferral, should the triggerer be gone.
FRAMEWORK_MARGIN = 60.0

#: Seconds for a cancel, the question before it included.
PATIENCE = 20.0

#: A cancel goes on here when Airflow cancels ``on_kill`` again, which it does after about a second.
_cancels: set[asyncio.Task[None]] = set()


class JobTrigger(BaseTrigger):
    """
    Poll one job until it ends or its deadline passes, then fire one event.

    The arguments are stored in clear: ids and plain values, never a key.

    :param submission: :class:`~airflow_provider_faceswap.jobs.Submission` as plain JSON.
    :param poll_interval: Least seconds between two questions, ``None`` for the kind's own schedule.
    :param resume_after: Epoch seconds; no event that resumes the task on a worker is fired earlier.
    :param cancel_on_kill: Cancel the job when a person ends the deferred task, where the vendor can.
    :param cancel_on_timeout: Cancel the job at its deadline, where the vendor can.
    :param end_in_place: End the task from here on success, where this Airflow can; a worker is resumed
        for everything else.
    """

    def __init__(
        self,
        *,
        submission: Mapping[str, Any],
        poll_interval: float | None = None,
        resume_after: float = 0.0,
        cancel_on_kill: bool = True,
        cancel_on_timeout: bool = False,
        end_in_place: bool = False,
    ) -> None:
        super().__init__()
        self.submission = Submission.model_validate(submission)
        self.poll_interval = poll_interval
        self.resume_after = resume_after
        self.cancel_on_kill = cancel_on_kill
        self.cancel_on_timeout = cancel_on_timeout
        self.end_in_place = end_in_place
        self._cancel: asyncio.Task[None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path and the arguments, all plain JSON."""
        return (
            "airflow_provider_faceswap.triggers.job.JobTrigger",
            {
                "submission": self.submission.model_dump(mode="json"),
                "poll_interval": self.poll_interval,
                "resume_after": self.resume_after,
                "cancel_on_kill": self.cancel_on_kill,
                "cancel_on_timeout": self.cancel_on_timeout,
                "end_in_place": self.end_in_place,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, fire, return. It may be run again on another triggerer: it only reads."""
        hook = hook_for(self.submission.vendor, self.submission.conn_id)
        ending = await wait_async(
            hook,
            self.submission,
            poll_interval=self.poll_interval,
            # If every outcome needs a worker, an earlier poll is a wasted one.
            not_before=0.0 if self.end_in_place else self.resume_after,
            log=self.log.info,
            cancel_on_timeout=self.cancel_on_timeout,
        )
        in_place = await self._end_here(hook, ending)
        if in_place is not None:
            yield in_place
            return
        self.log.info(
            "%s job %s has ended (%s); its task goes on in a worker",
            self.submission.vendor,
            self.submission.job_id,
            ending.outcome.replace("_", " "),
        )
        await CLOCK.asleep(max(0.0, self.resume_after - CLOCK.now()))
        yield TriggerEvent(ending.to_event(self.submission))

    async def _end_here(self, hook: JobHook, ending: WaitResult) -> TriggerEvent | None:
        """End the task with its result; ``None`` where a worker has to: for a failure, for its class."""
        # In dag.test() there is no task instance, and no ending from a trigger.
        if not self.end_in_place or self.task_instance is None:
            return None
        if ending.outcome is not Outcome.SUCCEEDED:
            return None
        result = result_of(hook, self.submission, ending)
        told = result.to_xcom()
        try:
            event = await end_with_success(self.task_instance, told, result_links(told, self.task_instance))
        except Exception as error:  # noqa: BLE001 - whatever it is, the job is done, and a worker can say so
            self.log.warning(
                "The result could not be stored from here (%s); its task goes on in a worker",
                type(error).__name__,
            )
            return None
        if event is not None:
            # In a thread: a metrics backend may look up its host.
            await asyncio.to_thread(job_ended, self.submission, ending, in_triggerer=True)
            self.log.info(done_message(result))
        return event

    async def on_kill(self) -> None:
        """
        Cancel the job if a person ended the task.

        Airflow calls this also when the trigger merely moves to another triggerer, so the task's state is
        asked first; and it cancels this call after about a second, so the work is shielded.
        """
        if not self.cancel_on_kill or self.task_instance is None:
            return
        if self._cancel is None:
            self._cancel = asyncio.create_task(self._cancel_if_ended())
            _cancels.add(self._cancel)
            self._cancel.add_done_callback(_cancels.discard)
        await asyncio.shield(self._cancel)

    async def _cancel_if_ended(self) -> None:
        job, state, confirmed = self.submission, None, False
        try:
            async with asyncio.timeout(PATIENCE):
                state = await task_state(self.task_instance)
                if state in ENDED_STATES:
                    confirmed = await hook_for(job.vendor, job.conn_id).acancel(job.job_id, job.kind)
        except Exception as error:  # noqa: BLE001 - whatever it is, what becomes of the job has to be said
            self.log.warning("The cancel of job %s failed: %s", job.job_id, type(error).__name__)
        if state in ENDED_STATES:
            self.log.warning(kill_message(job, state, confirmed=confirmed))
        else:
            self.log.info(
                "%s job %s goes on: its task is %s", job.vendor, job.job_id, state or "in a state not known"
            )


def deferral_timeout(submission: Submission) -> timedelta:
    """How long Airflow lets a task be deferred for this job: to its deadline, and the trigger's own time to say so."""
    left = max(0.0, submission.deadline.timestamp() - CLOCK.now())
    return timedelta(seconds=left + SAFE_RESUME_DELAY + FRAMEWORK_MARGIN)
