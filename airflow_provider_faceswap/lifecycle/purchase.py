"""Submit a job, or resume the one that was submitted before: the step that makes a retry free."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_provider_faceswap.exceptions import (
    FaceSwapError,
    JobLostError,
    SubmissionUncertainError,
    VendorError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.jobs import JobState
from airflow_provider_faceswap.lifecycle.clears import recovered
from airflow_provider_faceswap.lifecycle.ledger import OvertakenError, Record, Stage
from airflow_provider_faceswap.lifecycle.submitter import NotSubmittedError, PurchasePolicy, Submitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_faceswap.jobs import Job, Submission

__all__ = ["NotSubmittedError", "Purchase", "PurchasePolicy"]

T = TypeVar("T")


class Purchase(Submitter):
    """One logical job of one task instance: resumed from its record, or submitted."""

    def resume_or_submit(self) -> tuple[Submission, Job | None]:
        """
        Resume the recorded job, or submit one.

        :returns: The submission, and the job as last seen, ``None`` if it cannot be polled now.
        :raises SubmissionUncertainError: A job may have been submitted, and its id is unknown.
        :raises JobLostError: The job was submitted, and the vendor no longer has it.
        :raises JobFailedError: The task has submitted as many jobs as it may.
        :raises NotSubmittedError: ``may_submit`` returned false.
        :raises VendorError: The vendor accepted nothing.
        """
        return self._on_record(self._resume_or_submit)

    def resume(self) -> tuple[Submission, Job | None] | None:
        """
        Resume the recorded job, and submit none.

        :returns: As :meth:`resume_or_submit`; ``None`` if there is no job to resume. The record is settled then.
        """
        return self._on_record(self._resume_only)

    def _on_record(self, step: Callable[[Record | None], T]) -> T:
        """Take a step that depends on the record; again if another attempt changes the record before it is written."""
        while True:
            try:
                return step(self.ledger.read())
            except OvertakenError:
                self.log.warning("Another attempt of this task has changed its record: reading it again")

    def _resume_only(self, record: Record | None) -> tuple[Submission, Job | None] | None:
        if record is None or not record.may_be_paid:
            return None
        if why := self._replaced_because(record):
            self._abandon(record, why)
        elif (resumed := self._resume(record)) is not None:
            return resumed
        self.ledger.replace(record, record.over("given up"))
        return None

    def _resume_or_submit(self, record: Record | None) -> tuple[Submission, Job | None]:
        if record is None and self.unrecorded_since is not None and self.policy.on_clear != "resubmit":
            record = recovered(self, self._marks, self.unrecorded_since)
            self.ledger.replace(None, record)
        if record is None:
            self._check_vanished()
        elif why := self._replaced_because(record):
            # All that can refuse the new job comes before the cancel of the old one.
            self._check_cap(record)
            if not self.may_submit():
                raise NotSubmittedError
            self._abandon(record, why)
        elif (resumed := self._resume(record)) is not None:
            return resumed
        return self._submit(record)

    def _replaced_because(self, record: Record) -> str:
        """Why another job replaces the recorded one, whatever became of that; empty if it is to be resumed."""
        if not record.is_of(self._marks):
            return "The arguments have changed"
        if record.epoch != self.epoch and self.policy.on_clear == "resubmit":
            return "on_clear='resubmit': the task was cleared"
        return ""

    def _check_vanished(self) -> None:
        """Refuse to take a vanished record for none."""
        if not self.ledger.vanished:
            return
        lost = "records of this task have vanished from their store"
        if self.policy.on_uncertain == "fail":
            raise SubmissionUncertainError(
                f"{lost}, so this job may have been submitted before", vendor=self.template.vendor
            )
        self.log.warning("on_uncertain='resubmit': submitting, which may pay twice, because %s", lost)

    def _abandon(self, record: Record, why: str) -> None:
        """Request the cancellation of the recorded job, which another one replaces."""
        if record.stage is Stage.INTENT:
            self.log.warning(
                "%s since a job of unknown id may have been submitted. A new job is submitted.", why
            )
        if record.stage is not Stage.SUBMITTED or record.job_id is None:
            return
        confirmed = self._cancel(record.job_id, record)
        self.log.warning(
            "%s since job %s was submitted; %s. A new job is submitted.",
            why,
            record.job_id,
            "its cancellation was confirmed" if confirmed else "it could not be cancelled and may be charged",
        )

    def _cancel(self, job_id: str, record: Record) -> bool:
        """Cancel a job at the connection that it was submitted at, which may be another one than now."""
        place = (record.vendor, record.conn_id)
        if place == (self.template.vendor, self.template.conn_id):
            return self.client.cancel(job_id, record.kind)
        if self.client_of is None:
            return False
        try:
            return self.client_of(*place).cancel(job_id, record.kind)
        except FaceSwapError as error:
            self.log.warning("The cancellation of job %s was not confirmed: %s", job_id, error)
            return False

    def _resume(self, record: Record) -> tuple[Submission, Job | None] | None:
        """Resume a recorded job; ``None`` if a new one may be submitted."""
        cleared = record.epoch != self.epoch
        if record.stage is Stage.INTENT:
            return self._resume_intent(record)
        if record.job_id is None:
            return None
        submission = self.template.submission(
            record.job_id,
            submitted_at=record.submitted_at,
            deadline=None if cleared else record.deadline,
            cost=record.cost,
            reused=True,
        )
        try:
            job = self._last_seen(record, submission)
        except JobLostError as error:
            if not cleared:
                raise
            self.log.warning("The task was cleared, so a new job may be submitted, after: %s", error)
            return None
        if self.funds is not None:
            self.funds.ended(record.reservation, job, record.cost)
        if job is not None and job.state in {JobState.FAILED, JobState.CANCELED}:
            self.log.warning("Job %s is %s; a new one may be submitted", record.job_id, job.state)
            return None
        if cleared and job is not None and self._is_gone(submission, job):
            self.log.warning(
                "Job %s succeeded, but the vendor no longer has its result. A new job is submitted.",
                job.job_id,
            )
            return None
        state = job.state if job else "could not be polled now"
        self.log.info("Resuming job %s (%s), which is already paid for", record.job_id, state)
        # A cleared task's finished job may have ended in the triggerer, which cannot write the record.
        ended = cleared and job is not None and job.state.terminal
        submission = submission.model_copy(update={"counted": record.counted or ended})
        if cleared:
            self.ledger.replace(record, record.cleared(self.epoch, submission))
        return submission, job

    def _is_gone(self, submission: Submission, job: Job) -> bool:
        """True if the result can no longer be fetched. An inline result is in the job itself."""
        kept = self.client.vendor.kind(submission.kind).retention
        ended = job.finished_at or submission.submitted_at
        if kept is None or not job.urls or job.state is not JobState.SUCCEEDED:
            return False
        return CLOCK.moment() > ended + kept

    def _resume_intent(self, record: Record) -> tuple[Submission, Job] | None:
        adopted = self._adopt(record)
        if adopted is not None:
            return adopted
        if self.policy.on_uncertain == "resubmit":
            self.log.warning(
                "An earlier attempt may have submitted a job; on_uncertain='resubmit': submitting again"
            )
            return None
        raise SubmissionUncertainError(
            f"an earlier attempt was about to submit a {record.kind} and did not record its id",
            vendor=record.vendor,
        )

    def _last_seen(self, record: Record, submission: Submission) -> Job | None:
        if self.client.vendor.kind(record.kind).polled:
            return self._poll(submission, record.kind)
        return record.ended_job(submission.job_id)

    def _poll(self, submission: Submission, kind: str) -> Job | None:
        """Poll a paid job; ``None`` if that fails, whatever the error: the wait has a budget for failed polls."""
        try:
            return self.client.fetch(submission.job_id, kind)
        except JobLostError:
            age = CLOCK.now() - submission.submitted_at.timestamp()
            if age < self.client.vendor.not_found_grace:
                return None
            raise
        except VendorError as error:
            self.log.warning("Job %s could not be polled: %s", submission.job_id, error)
            return None
