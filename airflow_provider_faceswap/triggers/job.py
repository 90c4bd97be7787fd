"""Trigger that waits for a job of any vendor. It never submits one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.text import stored_form
from airflow_provider_faceswap.hooks.base import hook_for
from airflow_provider_faceswap.hooks.registry import registered_types
from airflow_provider_faceswap.jobs import Submission
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, kill_message, left_running_message
from airflow_provider_faceswap.lifecycle.waiting import done_message, result_of, wait_async
from airflow_provider_faceswap.links import result_links
from airflow_provider_faceswap.telemetry.metrics import job_ended
from airflow_provider_faceswap.triggers._airflow_internals import ENDED_STATES, end_with_success, task_state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from airflow.providers.common.compat.sdk import BaseOperator

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.lifecycle.outcomes import WaitResult

#: Seconds after a deferral during which a task must not be resumed on a worker. The scheduler may notice up to five
#: seconds late that the deferring process has ended, and would then fail a task that was resumed before.
SAFE_RESUME_DELAY = 7.0
#: Seconds after the job's own deadline at which Airflow ends the deferral, in case there is no triggerer.
FRAMEWORK_MARGIN = 60.0
#: Seconds for a cancellation, including the read of the task's state before it.
CANCEL_TIMEOUT = 20.0

#: Cancellations under way. Airflow cancels ``on_kill`` itself after about a second; they continue here.
_cancels: set[asyncio.Task[None]] = set()


class JobTrigger(BaseTrigger):
    """
    Poll one job until it ends or its deadline passes, then fire one event.

    The arguments are stored in clear: ids and plain values, never a key.

    :param submission: :class:`~airflow_provider_faceswap.jobs.Submission` as plain JSON.
    :param poll_interval: Minimum seconds between two polls, ``None`` for the kind's own schedule.
    :param resume_after: Epoch seconds; no event that resumes the task on a worker is fired earlier.
    :param cancel_on_kill: Cancel the job when a person ends the deferred task, if the vendor supports it.
    :param cancel_on_timeout: Cancel the job at its deadline, if the vendor supports it.
    :param end_in_place: On success, end the task in the triggerer, if this Airflow can. Every other outcome resumes
        it on a worker.
    :param conn_types: Connection types of the vendor's hooks besides the vendor's own. A triggerer has not imported a
        user's hook, whose type it could not accept otherwise.
    :param stored: What is stored besides the return value if the task ends in the triggerer: ``multiple_outputs``,
        ``mapped_length``, ``dag_result``. ``None``, as in rows of older versions: nothing.
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
        conn_types: Collection[str] = (),
        stored: Mapping[str, bool] | None = None,
    ) -> None:
        super().__init__()
        self.submission = Submission.model_validate(submission)
        self.poll_interval = poll_interval
        self.resume_after = resume_after
        self.cancel_on_kill = cancel_on_kill
        self.cancel_on_timeout = cancel_on_timeout
        self.end_in_place = end_in_place
        vendor = self.submission.vendor
        self.conn_types = sorted({*conn_types, *registered_types(vendor)} - {vendor})
        self.stored = dict(stored or {})
        self._cancel: asyncio.Task[None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path and the arguments, all plain JSON."""
        arguments: dict[str, Any] = {
            "submission": self.submission.model_dump(mode="json"),
            "poll_interval": self.poll_interval,
            "resume_after": self.resume_after,
            "cancel_on_kill": self.cancel_on_kill,
            "cancel_on_timeout": self.cancel_on_timeout,
            "end_in_place": self.end_in_place,
        }
        # A triggerer of an older version has neither.
        if self.conn_types:
            arguments["conn_types"] = self.conn_types
        if self.stored:
            arguments["stored"] = self.stored
        return "airflow_provider_faceswap.triggers.job.JobTrigger", arguments

    def check_storable(self) -> None:
        """
        Check, before the paid call, that a task could defer with this trigger.

        :raises InvalidRequestError: Airflow could not store it.
        """
        try:
            stored_form(self.serialize())
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(
                f"an argument cannot be stored as JSON, which deferrable=True needs: {error}",
                vendor=self.submission.vendor,
            ) from None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, fire one event, return. It only reads, so another triggerer may run it again."""
        hook = self._hook()
        # The worker's clock and this one may differ: no delay is longer than the worker planned it.
        delay = min(self.resume_after - CLOCK.now(), SAFE_RESUME_DELAY)
        resume_after = CLOCK.monotonic() + delay
        waited = await wait_async(
            hook,
            self.submission,
            poll_interval=self.poll_interval,
            # If every outcome needs a worker, an earlier poll is wasted.
            not_before=0.0 if self.end_in_place else self.resume_after,
            planned_at=self.resume_after - SAFE_RESUME_DELAY,
            log=self.log.info,
            cancel_on_timeout=self.cancel_on_timeout,
        )
        event = await self._succeed_here(hook, waited)
        if event is not None:
            yield event
            return
        self.log.info(
            "%s job %s has ended (%s); its task resumes on a worker",
            self.submission.vendor,
            self.submission.job_id,
            waited.outcome.replace("_", " "),
        )
        await CLOCK.asleep(max(0.0, resume_after - CLOCK.monotonic()))
        yield TriggerEvent(waited.to_event(self.submission))

    def _hook(self) -> JobHook:
        return hook_for(self.submission.vendor, self.submission.conn_id, self.conn_types)

    async def _succeed_here(self, hook: JobHook, waited: WaitResult) -> TriggerEvent | None:
        """
        Store the result and end the task with success.

        :returns: The event; ``None`` if a worker must end the task: a failure has its own error class only
            there.
        """
        # dag.test() sets no task instance, and cannot end a task from a trigger.
        if not self.end_in_place or self.task_instance is None:
            return None
        if waited.outcome is not Outcome.SUCCEEDED:
            return None
        result = result_of(hook, self.submission, waited)
        xcom = result.to_xcom()
        try:
            links = result_links(xcom, self.task_instance)
            event = await end_with_success(self.task_instance, xcom, links, self.stored)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job is done, and a worker can return it
            self.log.warning(
                "The result could not be stored in the triggerer (%s); its task resumes on a worker",
                type(error).__name__,
            )
            return None
        if event is not None:
            # In a thread: a metrics backend may look up its host.
            await asyncio.to_thread(job_ended, self.submission, waited, in_triggerer=True)
            self.log.info(done_message(result))
        return event

    async def on_kill(self) -> None:
        """
        Cancel the job if a person ended the task.

        Airflow also calls this when the trigger moves to another triggerer, so the task's state is read
        first. Airflow cancels this call after about a second, so the work is shielded.
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
            async with asyncio.timeout(CANCEL_TIMEOUT):
                state = await task_state(self.task_instance)
                if state in ENDED_STATES:
                    confirmed = await self._hook().acancel(job.job_id, job.kind)
        except Exception as error:  # noqa: BLE001 - whatever it is, the lines below must be logged
            self.log.warning("The cancellation of job %s failed: %s", job.job_id, type(error).__name__)
        if state in ENDED_STATES:
            self.log.warning(kill_message(job, state, confirmed=confirmed))
        else:
            self.log.info(left_running_message(job, state))


def wait_in_triggerer(operator: BaseOperator, trigger: JobTrigger) -> NoReturn:
    """
    Defer the task until the trigger's event, which the operator's ``execute_complete`` gets.

    Airflow ends the deferral some time after the job's deadline, in case there is no triggerer.
    """
    submission = trigger.submission
    left = max(0.0, submission.deadline.timestamp() - CLOCK.now())
    operator.defer(
        trigger=trigger,
        method_name="execute_complete",
        kwargs={"submission": submission.model_dump(mode="json")},
        timeout=timedelta(seconds=left + SAFE_RESUME_DELAY + FRAMEWORK_MARGIN),
    )
    raise AssertionError("defer() always raises")
