"""Sensor for a job whose id is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_faceswap.exceptions import FaceSwapError, JobLostError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.validation import as_job_id
from airflow_provider_faceswap.hooks.base import hook_for, hook_for_connection
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, WaitResult, read_event
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.lifecycle.waiting import poller_for, result_of, wait
from airflow_provider_faceswap.links import GalleryLink, ResultLink
from airflow_provider_faceswap.operators._failure import failure_shown
from airflow_provider_faceswap.telemetry import lineage
from airflow_provider_faceswap.telemetry.openlineage import facets
from airflow_provider_faceswap.triggers.job import SAFE_RESUME_DELAY, JobTrigger, wait_in_triggerer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Submission
    from airflow_provider_faceswap.lifecycle.polling import Poller
    from airflow_provider_faceswap.operators._keywords import SensorArguments


class JobSensor(BaseSensorOperator):
    """
    Wait for a job that is already submitted, and return its result.

    It submits nothing and cancels nothing. The return value is what the job's own operator would return, except
    that the cost is known only if the vendor repeats it.

    :param conn_id: A connection of one of this package's types.
    :param job_id: The job's id, or an operator's whole result.
    :param kind: What the job does: ``face_swap``, ``image``, ``imagine``, ...
    :param deferrable: Wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param multiple_outputs: Store each key of the result as an XCom of its own too, for ``task.output["url"]``.
    :raises FaceSwapError: The job failed, was cancelled, or is unknown; subclasses say which.
    :raises AirflowSensorTimeout: The timeout passed; the job keeps running.
    """

    template_fields: Sequence[str] = ("conn_id", "job_id", "kind")
    operator_extra_links: Collection[BaseOperatorLink] = (ResultLink(), GalleryLink())
    ui_color = "#e8e0f7"

    def __init__(
        self,
        *,
        conn_id: str,
        job_id: Any,
        kind: str,
        deferrable: bool | None = None,
        multiple_outputs: bool = True,
        **kwargs: Unpack[SensorArguments],
    ) -> None:
        kwargs.setdefault("poke_interval", 15)
        kwargs.setdefault("timeout", 3600)
        super().__init__(multiple_outputs=multiple_outputs, **kwargs)
        self.conn_id = conn_id
        self.job_id = job_id
        self.kind = kind
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False)
            if deferrable is None
            else deferrable
        )
        self.outcome: dict[str, Any] | None = None
        self._waiting: tuple[Submission, Poller] | None = None

    def execute(self, context: Context) -> Any:
        """Defer, or poke as any sensor does."""
        if self.deferrable:
            submission = self._submission(hook_for_connection(self.conn_id))
            trigger = JobTrigger(
                submission=submission.model_dump(mode="json"),
                resume_after=CLOCK.now() + SAFE_RESUME_DELAY,
                cancel_on_kill=False,
            )
            wait_in_triggerer(self, trigger)
        return super().execute(context)

    @failure_shown
    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002 - Airflow passes it
        """Poll once."""
        hook = hook_for_connection(self.conn_id)
        if self._waiting is None:
            submission = self._submission(hook)
            self._waiting = submission, poller_for(hook, submission)
        submission, poller = self._waiting
        try:
            job = hook.fetch(submission.job_id, submission.kind)
        except FaceSwapError as error:
            if self.reschedule and isinstance(error, JobLostError):
                # Each poll is made by a new process, which would treat every job as new.
                raise
            decision = poller.after_error(error, CLOCK.monotonic())
        else:
            decision = poller.after_poll(job, CLOCK.monotonic())
        if not isinstance(decision, WaitResult):
            if decision.message:
                self.log.info("%s job %s %s", submission.vendor, submission.job_id, decision.message)
            return PokeReturnValue(is_done=False)
        if decision.outcome in {Outcome.TIMED_OUT, Outcome.UNREADABLE}:
            # Airflow enforces the sensor's own timeout.
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._result(hook, submission, decision))

    @failure_shown
    def execute_complete(
        self, context: Context, event: Any = None, submission: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Handle the trigger's event. Only a known outcome of this job is accepted."""
        del context
        waited_for, waited = read_event(event, submission)
        hook = hook_for(waited_for.vendor, waited_for.conn_id)
        if waited.outcome is Outcome.SUCCEEDED:
            # The event carries no link, because events are logged: poll once more for it.
            waited = wait(hook, waited_for, log=self.log.info)
        return self._result(hook, waited_for, waited)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Report the result, the job and its cost to OpenLineage, without signed links."""
        del task_instance
        return facets(lineage.job_lineage(self.outcome, {}))

    def _submission(self, hook: JobHook) -> Submission:
        job_id = as_job_id("job_id", self.job_id)
        kind = str(self.kind).strip()
        hook.vendor.fetch(kind, job_id)  # refuses a kind that is unknown, or cannot be polled
        template = SubmissionTemplate(hook.vendor.name, kind, hook.conn_id, self.timeout)
        return template.submission(job_id, reused=True)

    def _result(self, hook: JobHook, submission: Submission, waited: WaitResult) -> dict[str, Any]:
        if waited.outcome is Outcome.TIMED_OUT:
            # Airflow skips the task after this error if soft_fail is set, and never retries it.
            raise AirflowSensorTimeout(str(waited.to_error()))
        result = result_of(hook, submission, waited)
        self.outcome = result.to_xcom()
        return self.outcome
