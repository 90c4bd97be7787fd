"""Submit a job: write its intent, send the submission, write its id."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from airflow_provider_faceswap.exceptions import (
    FaceSwapError,
    JobFailedError,
    SubmissionUncertainError,
    VendorError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.lifecycle.ledger import OvertakenError, Record, Stage
from airflow_provider_faceswap.lifecycle.marks import marks_of
from airflow_provider_faceswap.lifecycle.reconcile import find_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_faceswap.jobs import Cost, Job, Submission
    from airflow_provider_faceswap.lifecycle.ledger import Ledger
    from airflow_provider_faceswap.lifecycle.marks import Marks
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


class Funds(Protocol):
    """Money for a job in a budget. Only :meth:`reserve` raises: what follows a purchase must not lose the job."""

    def reserve(self, number: int) -> str:
        """Reserve the money for a submission, by its number since the task was cleared; raises if there is none."""

    def bought(self, reservation: str | None, job_id: str, cost: Cost | None) -> None:
        """The job of a reservation was accepted."""

    def ended(self, reservation: str | None, job: Job | None, cost: Cost | None) -> None:
        """The job of a reservation was polled; if it has ended, it costs what the vendor says, now or before."""

    def release(self, reservation: str | None) -> None:
        """Nothing was bought with a reservation."""


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Submitter:
    """
    One logical job of one task instance.

    :param epoch: A number that changes when the task is cleared, and never otherwise.
    :param log: The task's logger.
    :param may_submit: Called just before a submission, before and after its intent is written.
    :param client_of: Makes the client of another vendor and connection, where an earlier job may have to be cancelled.
    :param attempt: The number of this attempt, as Airflow counts them.
    :param made: Makes the request that is sent, just before that; ``None`` if it is the one that identifies the job.
    :param unrecorded_since: The earliest time of a submission whose record may have been deleted; ``None`` if a missing
        record means that nothing was submitted.
    :param funds: Where the money for each submission is reserved; ``None`` without a budget.
    """

    client: JobClient
    ledger: Ledger
    request: Request
    template: SubmissionTemplate
    epoch: int
    policy: PurchasePolicy
    log: Any
    may_submit: Callable[[], bool] = _always
    client_of: Callable[[str, str], JobClient] | None = None
    attempt: int = 0
    unrecorded_since: datetime | None = None
    made: Callable[[], Request] | None = None
    funds: Funds | None = None

    @cached_property
    def sent(self) -> Request:
        """The request that is sent."""
        return self.request if self.made is None else self.made()

    @cached_property
    def _marks(self) -> Marks:
        template = self.template
        return marks_of(template.vendor, template.conn_id, template.kind, self.request)

    def _spent(self, record: Record | None) -> int:
        """How many jobs this task has submitted since it was cleared."""
        return record.purchases if record is not None and record.epoch == self.epoch else 0

    def _check_cap(self, record: Record | None) -> None:
        if (spent := self._spent(record)) < self.policy.max_submissions:
            return
        advice = "Nothing was bought now. Clear the task, or raise max_submissions, to submit again."
        if record is not None and record.job_id is not None and record.may_be_paid:
            advice += f" Job {record.job_id} is not cancelled: resume it with resume_job_id."
        raise JobFailedError(
            f"this task has submitted {spent} jobs, as many as max_submissions allows",
            vendor=self.template.vendor,
            job_id=record.ids[-1] if record is not None and record.ids else None,
            advice=advice,
        )

    def _submit(self, before: Record | None) -> tuple[Submission, Job]:
        """
        Write the intent, send the submission, write the id.

        :param before: The record of the job before this one.
        """
        self._check_cap(before)
        submissions = self._spent(before)
        while True:
            submissions += 1
            with self.client.ready(self.template.kind, self.sent) as submit:
                intent = Record(
                    **self._marks._asdict(),
                    stage=Stage.INTENT,
                    epoch=self.epoch,
                    purchases=submissions,
                    vendor=self.template.vendor,
                    kind=self.template.kind,
                    conn_id=self.template.conn_id,
                    begun_at=CLOCK.moment(),
                    earlier=before.ids if before is not None else (),
                    attempt=self.attempt,
                )
                intent = self._write_intent(before, intent)
                try:
                    job = submit()
                except SubmissionUncertainError as error:
                    uncertain = error
                except VendorError:
                    # Certainly not accepted, so the record keeps no intent and counts no submission.
                    self._withdraw(intent)
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
            before = intent

    def _write_intent(self, before: Record | None, intent: Record) -> Record:
        """
        Write the intent over the record that was read: all since then may have taken long.

        The money is reserved just before. A crash in between leaves a reservation that the next attempt takes up.
        """
        if not self.may_submit():
            raise NotSubmittedError
        if self.funds is not None:
            intent = intent.model_copy(update={"reservation": self.funds.reserve(intent.purchases)})
        self.ledger.replace(before, intent)
        try:
            allowed = self.may_submit()  # writing takes a moment
        except FaceSwapError:
            self._withdraw(intent)
            raise
        if not allowed:
            self._withdraw(intent)
            raise NotSubmittedError
        return intent

    def _withdraw(self, intent: Record) -> None:
        """Record that the intent became no job."""
        with suppress(OvertakenError):
            self.ledger.replace(intent, intent.refused())
        if self.funds is not None:
            self.funds.release(intent.reservation)

    def _record_id(self, intent: Record, job: Job, *, reused: bool = False) -> tuple[Submission, Job]:
        """Record the job that the intent became. The log has its id even if the record cannot be written."""
        cost = f", {job.cost}" if job.cost else ""
        self.log.info("%s accepted %s as job %s%s", job.vendor, job.kind, job.job_id, cost)
        # The vendor's clock may be slow: a job that looks old would have no grace for "not found".
        created_at = job.created_at and max(job.created_at, intent.begun_at)
        submission = self.template.submission(
            job.job_id, submitted_at=created_at, cost=job.cost, reused=reused
        )
        if intent.epoch != self.epoch:  # adopted after a clear
            record = intent.cleared(self.epoch, submission)
        else:
            record = intent.submitted(submission)
        self._write_id(self._beside_others(intent, record), job)
        if self.funds is not None:
            self.funds.bought(intent.reservation, job.job_id, job.cost)
        return submission, job

    def _write_id(self, record: Record, job: Job) -> None:
        """Write the record of an accepted job, with its output if no poll can have that."""
        if self.client.vendor.kind(job.kind).polled or not job.urls:
            self.ledger.write(record)
            return
        if record.job_id == job.job_id:  # not the one of a concurrent attempt
            record = record.model_copy(update={"urls": job.urls})
        try:
            self.ledger.write(record)
        except FaceSwapError as error:
            # The output is here, and an error would lose it: no later attempt can poll for it.
            self.log.warning(
                "Job %s has ended, and its result is used, although %s", job.job_id, error.message
            )

    def _beside_others(self, intent: Record, record: Record) -> Record:
        """The record to write for a job, so that no job of a concurrent attempt is lost from it."""
        try:
            found = self.ledger.read()
        except FaceSwapError:  # an id is written in any case
            return record
        if found is None or found == intent or found.job_id == record.job_id:
            return record
        if not found.may_be_paid:
            return record.beside(*found.ids)
        self.log.warning(
            "Another attempt of this task has submitted a job meanwhile, or is about to (%s): job %s is recorded "
            "beside it, and both may be charged",
            found.job_id or "its id is not known yet",
            record.job_id,
        )
        return found.beside(*record.ids)

    def _adopt(self, intent: Record, *, named: str | None = None) -> tuple[Submission, Job] | None:
        """
        Find the job that this intent became; ``None`` unless that is certain.

        :param named: The job id in a response that does not say whether the job was accepted. Without an id, the
            vendor's list is searched.
        """
        job = self._poll_quietly(named) if named else None
        if job is None:
            job = find_job(
                self.client,
                self.template.kind,
                self.sent,
                intent.begun_at,
                known=intent.earlier,
                log=self.log,
            )
        if job is None:
            return None
        self.log.warning("The submission got no clear response, but the vendor has its job: %s", job.job_id)
        return self._record_id(intent, job, reused=True)

    def _poll_quietly(self, job_id: str) -> Job | None:
        try:
            return self.client.fetch(job_id, self.template.kind)
        except FaceSwapError:
            return None
