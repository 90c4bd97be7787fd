"""Submit a job, or resume the one that was submitted before: the step that makes a retry free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_faceswap.exceptions import (
    FaceSwapError,
    JobFailedError,
    JobLostError,
    SubmissionUncertainError,
    VendorError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.jobs import JobState
from airflow_provider_faceswap.lifecycle.ledger import Record, Stage, fingerprint
from airflow_provider_faceswap.lifecycle.reconcile import find_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_faceswap.jobs import Job, Submission
    from airflow_provider_faceswap.lifecycle.ledger import Ledger
    from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
    from airflow_provider_faceswap.lifecycle.waiting import JobClient
    from airflow_provider_faceswap.vendors.messages import Request


class NotSubmittedError(Exception):
    """``may_submit`` returned false: this job was not submitted."""


@dataclass(frozen=True, slots=True)
class PurchasePolicy:
    """
    What a task may spend.

    :param on_uncertain: After a submission without a response: fail, or submit again, which may pay twice.
    :param on_clear: After a clear: resume the job, or submit a new one.
    :param max_submissions: Submissions of one task instance between clears.
    """

    on_uncertain: Literal["fail", "resubmit"]
    on_clear: Literal["reuse", "resubmit"]
    max_submissions: int


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Purchase:
    """
    One logical job of one task instance.

    :param epoch: A number that changes when the task is cleared, and never otherwise.
    :param log: The task's logger.
    :param may_submit: Called just before a submission, before and after its intent is written.
    """

    client: JobClient
    ledger: Ledger
    request: Request
    template: SubmissionTemplate
    epoch: int
    policy: PurchasePolicy
    log: Any
    may_submit: Callable[[], bool] = _always

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
        template = self.template
        mark = fingerprint(template.vendor, template.conn_id, template.kind, self.request)
        record = self.ledger.read()
        if record is not None and record.fingerprint != mark:
            self._abandon(record, "The arguments have changed")
        elif record is not None:
            resumed = self._resume(record)
            if resumed is not None:
                return resumed
        return self._submit(mark, record)

    def _submit(self, mark: str, before: Record | None) -> tuple[Submission, Job]:
        """
        Write the intent, send the submission, write the id.

        :param before: The record of the job before this one.
        """
        submissions = before.purchases if before is not None and before.epoch == self.epoch else 0
        while submissions < self.policy.max_submissions:
            submissions += 1
            with self.client.ready(self.template.kind, self.request) as submit:
                intent = Record(
                    fingerprint=mark,
                    stage=Stage.INTENT,
                    epoch=self.epoch,
                    purchases=submissions,
                    vendor=self.template.vendor,
                    kind=self.template.kind,
                    conn_id=self.template.conn_id,
                    begun_at=CLOCK.moment(),
                    earlier=before.ids if before is not None else (),
                )
                self._write_intent(intent)
                try:
                    job = submit()
                except SubmissionUncertainError as error:
                    uncertain = error
                except VendorError:
                    # Certainly not accepted, so the record keeps no intent and counts no submission.
                    self.ledger.write(intent.refused())
                    raise
                else:
                    return self._record_id(intent, job)
            adopted = self._adopt(intent, named=uncertain.job_id)
            if adopted is not None:
                return adopted
            if self.policy.on_uncertain == "fail" or submissions >= self.policy.max_submissions:
                raise uncertain
            self.log.warning(
                "on_uncertain='resubmit': submitting again, which may pay twice, after: %s", uncertain
            )
        raise JobFailedError(
            f"this task has submitted {submissions} jobs, as many as max_submissions allows",
            vendor=self.template.vendor,
            advice="Nothing was bought now. Clear the task, or raise max_submissions, to submit again.",
        )

    def _write_intent(self, intent: Record) -> None:
        if not self.may_submit():
            raise NotSubmittedError
        self.ledger.write(intent)
        if not self.may_submit():  # writing takes a moment
            self.ledger.write(intent.refused())
            raise NotSubmittedError

    def _record_id(self, intent: Record, job: Job, *, reused: bool = False) -> tuple[Submission, Job]:
        """Record the job that the intent became. The log has its id even if the record cannot be written."""
        cost = f", {job.cost.amount:g} {job.cost.unit}" if job.cost else ""
        self.log.info("%s accepted %s as job %s%s", job.vendor, job.kind, job.job_id, cost)
        # The vendor's clock may be slow: a job that looks old would have no grace for "not found".
        created_at = job.created_at and max(job.created_at, intent.begun_at)
        submission = self.template.submission(
            job.job_id, submitted_at=created_at, cost=job.cost, reused=reused
        )
        self.ledger.write(intent.submitted(submission))
        return submission, job

    def _adopt(self, intent: Record, *, named: str | None = None) -> tuple[Submission, Job] | None:
        """
        Find the job that this intent became; ``None`` unless that is certain.

        :param named: The job id in a response that does not say whether it was accepted. Without one, the vendor's
            list is searched.
        """
        job = self._poll_quietly(named) if named else None
        if job is None:
            job = find_job(
                self.client,
                self.template.kind,
                self.request,
                intent.begun_at,
                known=intent.earlier,
                log=self.log,
            )
        if job is None:
            return None
        self.log.warning("The submission got no clear response, but the vendor has its job: %s", job.job_id)
        if intent.epoch != self.epoch:
            intent = intent.model_copy(update={"epoch": self.epoch, "purchases": 0})
        return self._record_id(intent, job, reused=True)

    def _poll_quietly(self, job_id: str) -> Job | None:
        try:
            return self.client.fetch(job_id, self.template.kind)
        except FaceSwapError:
            return None

    def _abandon(self, record: Record, why: str) -> None:
        """Request the cancellation of the recorded job, which another one replaces."""
        if record.stage is Stage.INTENT:
            self.log.warning(
                "%s since a job of unknown id may have been submitted. A new job is submitted.", why
            )
        if record.stage is not Stage.SUBMITTED or record.job_id is None:
            return
        confirmed = self.client.cancel(record.job_id, record.kind)
        self.log.warning(
            "%s since job %s was submitted; %s. A new job is submitted.",
            why,
            record.job_id,
            "its cancellation was confirmed" if confirmed else "it could not be cancelled and may be charged",
        )

    def _resume(self, record: Record) -> tuple[Submission, Job | None] | None:
        """Resume a recorded job; ``None`` if a new one may be submitted."""
        cleared = record.epoch != self.epoch
        if cleared and self.policy.on_clear == "resubmit":
            self._abandon(record, "on_clear='resubmit': the task was cleared")
            return None
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
        job = self._poll(submission, record.kind)
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
            self.ledger.write(record.cleared(self.epoch, submission))
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
