"""The end of an operator's job: its record, its result, and its cancellation when the task is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.rendered import is_set
from airflow_provider_faceswap.hooks.base import hook_for
from airflow_provider_faceswap.lifecycle.ledger import Ledger, epoch_of
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, kill_message, left_running_message
from airflow_provider_faceswap.lifecycle.waiting import done_message, result_of
from airflow_provider_faceswap.operators._content import ContentArguments
from airflow_provider_faceswap.storage.task_records import store_of
from airflow_provider_faceswap.telemetry import lineage
from airflow_provider_faceswap.telemetry.metrics import job_ended
from airflow_provider_faceswap.telemetry.openlineage import facets
from airflow_provider_faceswap.triggers._airflow_internals import ENDED_STATES, UNSUPERVISED, task_state_sync

if TYPE_CHECKING:
    from threading import Event

    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Submission
    from airflow_provider_faceswap.lifecycle.ledger import Record
    from airflow_provider_faceswap.lifecycle.outcomes import WaitResult


#: States in which an attempt goes on after a signal; it may be unknown, or the worker's end may be the reason.
_STILL_RUNNING = ("running", None, UNSUPERVISED)


class SettlingOperator(ContentArguments):
    """Operator that settles the job it has waited for."""

    cancel_on_kill: bool
    max_submissions: int
    resume_job_id: Any
    #: The return value, once there is one; the task's links are made from it.
    outcome: dict[str, Any] | None = None
    _running: tuple[Context, Submission] | None = None
    _stop: Event
    _ended = False

    @property
    def resumes(self) -> bool:
        """True if nothing is submitted, and a known job is waited for. A template may render to no job."""
        # A text of blanks is in doubt, so nothing is submitted for it.
        given = self.resume_job_id
        return given != "" if isinstance(given, str) else is_set(given)

    def _hook_of(self, submission: Submission) -> JobHook:
        """A hook on the account of a job, of the operator's own class if it names one."""
        own: type[JobHook] | None = getattr(self, "hook_class", None)
        return own(submission.conn_id) if own else hook_for(submission.vendor, submission.conn_id)

    def _settle(
        self, context: Context, hook: JobHook, submission: Submission, waited: WaitResult
    ) -> dict[str, Any] | None:
        """
        Record the outcome and return the result.

        :returns: ``None`` if the job was cancelled while this attempt was waiting for it, and may be
            replaced.
        :raises FaceSwapError: The job has no result.
        """
        job_ended(submission, waited)
        record = self._close(context, submission, waited) if waited.is_final else None
        if waited.outcome is Outcome.CANCELED and self._may_replace(context, submission, record):
            # The task was ended, which cancelled the job, then cleared: this attempt resumed a job that was
            # being cancelled.
            self.log.warning(
                "Job %s was cancelled while this attempt was waiting for it; submitting a new job",
                submission.job_id,
            )
            return None
        result = result_of(hook, submission, waited)
        self.log.info(done_message(result))
        self.outcome = result.to_xcom()
        lineage.collect(hook, lineage.job_lineage(self.outcome, self.arguments()))
        place = result.url or f"faceswap://{result.vendor}/{result.job_id}"
        lineage.set_outlet_extras(context, self.outlets, lineage.job_event(self.outcome), place)
        return self.outcome

    def _close(self, context: Context, submission: Submission, waited: WaitResult) -> Record | None:
        """Settle the record of this job; ``None`` if there is none, or it cannot be read or written."""
        try:
            return self._ledger(context, submission.conn_id).settle(submission.job_id, waited.outcome)
        except FaceSwapError as error:
            # No harm is done: a later attempt polls the recorded job again.
            self.log.warning(
                "Job %s has ended, but its record could not be closed: %s", submission.job_id, error.message
            )
            return None

    def _may_replace(self, context: Context, submission: Submission, record: Record | None) -> bool:
        """True if this attempt resumed the job, was not ended itself, and may submit another job."""
        if record is None or not submission.reused or self._ended or self.resumes:
            return False
        return record.epoch != epoch_of(context) or record.purchases < self.max_submissions

    def _ledger(self, context: Context, conn_id: str) -> Ledger:
        """The record of the job at a connection."""
        del conn_id
        return Ledger(store_of(context))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Report the pictures, the result, the job and its cost to OpenLineage, without signed links."""
        del task_instance
        return facets(lineage.job_lineage(self.outcome, self.arguments()))

    def on_kill(self) -> None:
        """
        Cancel the job if a person, or the run, ended the task; once, best-effort.

        Airflow also calls this when a worker shuts down, at ``execution_timeout``, and for a running task that was
        cleared. Then the job keeps running, and the next attempt resumes it. A cleared task waits no longer: Airflow would
        kill it only after a minute, and start the next attempt after that.
        """
        if self._running is None or self._ended:
            return
        context, job = self._running
        state = task_state_sync(context["ti"])
        if state not in {*ENDED_STATES, UNSUPERVISED} or not self.cancel_on_kill:
            self.log.info(left_running_message(job, state))
            if state not in {*_STILL_RUNNING, *ENDED_STATES}:
                self._stop.set()
            return
        self._ended = True
        # A hook of its own: the signal may have interrupted a request of the other one.
        confirmed = self._hook_of(job).cancel(job.job_id, job.kind)
        self.log.warning(kill_message(job, state, confirmed=confirmed))
