"""Wait for a job whose id is known, whoever bought it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from airflow_provider_faceswap.links import ResultLink
from airflow_provider_faceswap.telemetry import lineage
from airflow_provider_faceswap.telemetry.openlineage import facets
from airflow_provider_faceswap.triggers.job import SAFE_RESUME_DELAY, JobTrigger, deferral_timeout

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Submission
    from airflow_provider_faceswap.lifecycle.polling import Poller


class JobSensor(BaseSensorOperator):
    """
    Wait for a job that is already bought, and return its result.

    It buys nothing and cancels nothing. The return value is what the job's own operator would return, except
    that the cost is known only where the vendor repeats it.

    :param conn_id: A connection of one of this package's types.
    :param job_id: The job's id, or an operator's whole result.
    :param kind: What the job does, as its operator says: ``face_swap``, ``image``, ``imagine``, ...
    :param deferrable: Wait in the triggerer. Default: ``[operators] default_deferrable``.
    :raises FaceSwapError: The job failed, was cancelled, or is unknown; subclasses say which.
    :raises AirflowSensorTimeout: The timeout passed; the job goes on.
    """

    template_fields: Sequence[str] = ("conn_id", "job_id", "kind")
    operator_extra_links: Collection[BaseOperatorLink] = (ResultLink(),)
    ui_color = "#e8e0f7"

    def __init__(
        self, *, conn_id: str, job_id: Any, kind: str, deferrable: bool | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault("poke_interval", 15)
        kwargs.setdefault("timeout", 3600)
        super().__init__(**kwargs)
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
        if not self.deferrable:
            return super().execute(context)
        submission = self._submission(hook_for_connection(self.conn_id))
        self.defer(
            trigger=JobTrigger(
                submission=submission.model_dump(mode="json"),
                resume_after=CLOCK.now() + SAFE_RESUME_DELAY,
                cancel_on_kill=False,
            ),
            method_name="execute_complete",
            kwargs={"submission": submission.model_dump(mode="json")},
            timeout=deferral_timeout(submission),
        )
        raise AssertionError("defer() always raises")

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002 - nothing of it is needed
        """Ask once."""
        hook = hook_for_connection(self.conn_id)
        if self._waiting is None:
            submission = self._submission(hook)
            self._waiting = submission, poller_for(hook, submission)
        submission, poller = self._waiting
        try:
            job = hook.fetch(submission.job_id, self.kind)
        except FaceSwapError as error:
            if self.reschedule and isinstance(error, JobLostError):
                # Each question is of a process of its own, to which every job would be a new one.
                raise
            seen = poller.after_error(error, CLOCK.now())
        else:
            seen = poller.after_poll(job, CLOCK.now())
        if not isinstance(seen, WaitResult):
            if seen.message:
                self.log.info("%s job %s %s", submission.vendor, submission.job_id, seen.message)
            return PokeReturnValue(is_done=False)
        if seen.outcome in {Outcome.TIMED_OUT, Outcome.UNREADABLE}:
            # How long to be patient is the sensor's own timeout, which Airflow looks at.
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._result(hook, submission, seen))

    def execute_complete(
        self, context: Context, event: Any = None, submission: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Take the event of the trigger; only a known ending about this job counts."""
        del context
        waited, ending = read_event(event, submission)
        hook = hook_for(waited.vendor, waited.conn_id)
        if ending.outcome is Outcome.SUCCEEDED:
            # The event carries no link, as events are logged; the job is asked once more for it.
            ending = wait(hook, waited, log=self.log.info)
        return self._result(hook, waited, ending)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What OpenLineage is told: the result, the job and its cost; no signed link."""
        del task_instance
        return facets(lineage.of_job(self.outcome, {}))

    def _submission(self, hook: JobHook) -> Submission:
        job_id = as_job_id("job_id", self.job_id)
        hook.vendor.kind(self.kind)
        template = SubmissionTemplate(hook.vendor.name, self.kind, self.conn_id, self.timeout)
        return template.submission(job_id, reused=True)

    def _result(self, hook: JobHook, submission: Submission, ending: WaitResult) -> dict[str, Any]:
        if ending.outcome is Outcome.TIMED_OUT:
            # What Airflow skips where soft_fail says so, and retries no more.
            raise AirflowSensorTimeout(str(ending.to_error()))
        result = result_of(hook, submission, ending)
        self.outcome = result.to_xcom()
        return self.outcome
