"""Buy a job, or take up the one that was bought: what makes a retry free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from airflow_provider_faceswap.exceptions import JobFailedError, SubmissionUncertainError, VendorError
from airflow_provider_faceswap.jobs import JobState
from airflow_provider_faceswap.ledger import Record, Stage, fingerprint

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Cost, Job, Submission
    from airflow_provider_faceswap.ledger import Ledger
    from airflow_provider_faceswap.vendors.wire import Request


@dataclass(frozen=True, slots=True)
class Terms:
    """
    What a task may do with money.

    :param on_uncertain: Where a create got no answer: fail, or buy anew, which may pay twice.
    :param on_clear: Where the task was cleared: take its job up again, or buy anew.
    :param max_submissions: Creates of one task instance between clears.
    """

    on_uncertain: Literal["fail", "resubmit"]
    on_clear: Literal["reuse", "resubmit"]
    max_submissions: int


class MakeSubmission(Protocol):
    """Puts a job id together with what the task knows."""

    def __call__(
        self,
        job_id: str,
        *,
        submitted_at: datetime | None = None,
        deadline: datetime | None = None,
        cost: Cost | None = None,
        reused: bool = False,
    ) -> Submission:
        """Make it; a missing time is now, a missing deadline the task's timeout from now."""


@dataclass(frozen=True)
class Purchase:
    """
    One logical job of one task instance.

    :param epoch: Changes when the task is cleared, and at nothing else.
    :param log: The task's logger.
    """

    hook: JobHook
    ledger: Ledger
    kind: str
    request: Request
    epoch: int
    terms: Terms
    submission: MakeSubmission
    log: Any

    def obtain(self) -> tuple[Submission, Job | None]:
        """
        Take up the job that the ledger knows, or buy one.

        :returns: The submission, and the job as last seen.
        :raises SubmissionUncertainError: It may have been bought, and nobody knows its id.
        :raises JobLostError: It was bought, and the vendor no longer knows it.
        :raises JobFailedError: The task has bought as many as it may.
        :raises VendorError: The vendor accepted nothing.
        """
        if not self.ledger.remembers:
            self.log.warning("There is no task state store: a retry of this task may pay for a second job.")
        mark = fingerprint(self.hook.vendor.name, self.hook.conn_id, self.kind, self.request)
        record = self.ledger.read()
        if record is not None and record.fingerprint != mark:
            self._drop(record)
        elif record is not None:
            taken = self._take_up(record)
            if taken is not None:
                return taken
        purchases = record.purchases if record is not None and record.epoch == self.epoch else 0
        intent, job = self._buy(mark, purchases)
        submission = self.submission(job.job_id, submitted_at=job.created_at, cost=job.cost)
        self.ledger.write(intent.submitted(submission))
        cost = f", {job.cost.amount:g} {job.cost.unit}" if job.cost else ""
        self.log.info("%s accepted %s as job %s%s", job.vendor, job.kind, job.job_id, cost)
        return submission, job

    def _buy(self, mark: str, purchases: int) -> tuple[Record, Job]:
        """Write the intent, then send the create; the intent comes back as it was written."""
        vendor = self.hook.vendor.name
        while purchases < self.terms.max_submissions:
            purchases += 1
            intent = Record(
                fingerprint=mark,
                stage=Stage.INTENT,
                epoch=self.epoch,
                purchases=purchases,
                vendor=vendor,
                kind=self.kind,
                conn_id=self.hook.conn_id,
            )
            self.ledger.write(intent)
            try:
                return intent, self.hook.buy(self.kind, self.request)
            except SubmissionUncertainError as error:
                if self.terms.on_uncertain == "fail" or purchases >= self.terms.max_submissions:
                    raise
                self.log.warning("on_uncertain='resubmit', which may pay twice: buying anew after: %s", error)
            except VendorError:
                # Certainly not accepted: neither an intent to worry about, nor a purchase to count.
                self.ledger.write(intent.refused())
                raise
        raise JobFailedError(
            f"this task has bought {purchases} jobs, as many as max_submissions allows",
            vendor=vendor,
            advice="Nothing was bought now. Clear the task, or raise max_submissions, to buy again.",
        )

    def _drop(self, record: Record) -> None:
        """The arguments have changed since: the old job is nobody's any more."""
        if record.stage is Stage.INTENT:
            self.log.warning(
                "An earlier try may have bought a job with other arguments; a new one is bought."
            )
        if record.stage is not Stage.SUBMITTED or record.job_id is None:
            return
        confirmed = self.hook.cancel(record.job_id, record.kind)
        self.log.warning(
            "The arguments have changed since job %s was bought; %s. A new job is bought.",
            record.job_id,
            "its cancel was confirmed" if confirmed else "it could not be cancelled and may be charged",
        )

    def _take_up(self, record: Record) -> tuple[Submission, Job] | None:
        """Go on with a recorded job; ``None`` where a new one may be bought."""
        if record.stage is Stage.INTENT:
            if self.terms.on_uncertain == "resubmit":
                self.log.warning("An earlier try may have bought a job; on_uncertain='resubmit': buying anew")
                return None
            raise SubmissionUncertainError(
                f"an earlier try was about to buy a {record.kind} and did not get to record its id",
                vendor=record.vendor,
            )
        if record.job_id is None:
            return None
        cleared = record.epoch != self.epoch
        if cleared and self.terms.on_clear == "resubmit":
            self.log.info("The task was cleared and on_clear='resubmit': leaving job %s", record.job_id)
            return None
        job = self.hook.fetch(record.job_id, record.kind)
        if job.state in {JobState.FAILED, JobState.CANCELED}:
            self.log.info("Job %s is %s; a new one may be bought", record.job_id, job.state)
            return None
        self.log.info("Taking up job %s (%s), which is paid for", record.job_id, job.state)
        submission = self.submission(
            record.job_id,
            submitted_at=record.submitted_at,
            deadline=None if cleared else record.deadline,
            cost=record.cost,
            reused=True,
        )
        if cleared:
            self.ledger.write(record.cleared(self.epoch, submission))
        return submission, job
