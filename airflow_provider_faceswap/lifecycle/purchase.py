"""Buy a job, or take up the one that was bought: what makes a retry free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

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
from airflow_provider_faceswap.lifecycle.outcomes import worth_asking_again
from airflow_provider_faceswap.lifecycle.reconcile import find_again
from airflow_provider_faceswap.telemetry.metrics import purchase_failed

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Cost, Job, Submission
    from airflow_provider_faceswap.lifecycle.ledger import Ledger
    from airflow_provider_faceswap.vendors.messages import Request


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

        :returns: The submission, and the job as last seen, ``None`` where it could not be seen now.
        :raises SubmissionUncertainError: It may have been bought, and nobody knows its id.
        :raises JobLostError: It was bought, and the vendor no longer knows it.
        :raises JobFailedError: The task has bought as many as it may.
        :raises VendorError: The vendor accepted nothing.
        """
        try:
            return self._obtain()
        except FaceSwapError as error:
            purchase_failed(self.hook.vendor.name, self.kind, error)
            raise

    def _obtain(self) -> tuple[Submission, Job | None]:
        mark = fingerprint(self.hook.vendor.name, self.hook.conn_id, self.kind, self.request)
        record = self.ledger.read()
        if record is not None and record.fingerprint != mark:
            self._leave(record, "The arguments have changed")
        elif record is not None:
            taken = self._take_up(record)
            if taken is not None:
                return taken
        return self._buy(mark, record)

    def _buy(self, mark: str, before: Record | None) -> tuple[Submission, Job]:
        """
        Write the intent, send the create, write the id.

        :param before: The record of the job before this one.
        """
        vendor = self.hook.vendor.name
        purchases = before.purchases if before is not None and before.epoch == self.epoch else 0
        while purchases < self.terms.max_submissions:
            purchases += 1
            with self.hook.ready(self.request) as (request, turn):
                intent = Record(
                    fingerprint=mark,
                    stage=Stage.INTENT,
                    epoch=self.epoch,
                    purchases=purchases,
                    vendor=vendor,
                    kind=self.kind,
                    conn_id=self.hook.conn_id,
                    begun_at=CLOCK.moment(),
                    earlier=before.ids if before is not None else (),
                )
                self.ledger.write(intent)
                try:
                    job = self.hook.buy(self.kind, request, turn)
                except SubmissionUncertainError as error:
                    doubt = error
                except VendorError:
                    # Certainly not accepted: neither an intent to worry about, nor a purchase to count.
                    self.ledger.write(intent.refused())
                    raise
                else:
                    return self._book(intent, job)
            adopted = self._adopt(intent, named=doubt.job_id)
            if adopted is not None:
                return adopted
            if self.terms.on_uncertain == "fail" or purchases >= self.terms.max_submissions:
                raise doubt
            self.log.warning("on_uncertain='resubmit', which may pay twice: buying anew after: %s", doubt)
        raise JobFailedError(
            f"this task has bought {purchases} jobs, as many as max_submissions allows",
            vendor=vendor,
            advice="Nothing was bought now. Clear the task, or raise max_submissions, to buy again.",
        )

    def _book(self, intent: Record, job: Job, *, reused: bool = False) -> tuple[Submission, Job]:
        """Write down which job the intent has become; the log has its id even where the record fails."""
        cost = f", {job.cost.amount:g} {job.cost.unit}" if job.cost else ""
        self.log.info("%s accepted %s as job %s%s", job.vendor, job.kind, job.job_id, cost)
        submission = self.submission(job.job_id, submitted_at=job.created_at, cost=job.cost, reused=reused)
        self.ledger.write(intent.submitted(submission))
        return submission, job

    def _adopt(self, intent: Record, *, named: str | None = None) -> tuple[Submission, Job] | None:
        """
        Take up the job that this intent has become; ``None`` where that is not certain.

        :param named: The id in an answer that does not say whether the job was accepted; else the vendor's list is
            looked through.
        """
        job = self._read(named) if named else None
        if job is None:
            job = find_again(
                self.hook, self.kind, self.request, intent.begun_at, known=intent.earlier, log=self.log
            )
        if job is None:
            return None
        self.log.warning("The create got no clear answer, but the vendor has its job: %s", job.job_id)
        if intent.epoch != self.epoch:
            intent = intent.model_copy(update={"epoch": self.epoch, "purchases": 0})
        return self._book(intent, job, reused=True)

    def _read(self, job_id: str) -> Job | None:
        try:
            return self.hook.fetch(job_id, self.kind)
        except FaceSwapError:
            return None

    def _leave(self, record: Record, why: str) -> None:
        """Buy anew although a job may be running: cancel it, best effort."""
        if record.stage is Stage.INTENT:
            self.log.warning(
                "%s since a job may have been bought that nobody knows. A new job is bought.", why
            )
        if record.stage is not Stage.SUBMITTED or record.job_id is None:
            return
        confirmed = self.hook.cancel(record.job_id, record.kind)
        self.log.warning(
            "%s since job %s was bought; %s. A new job is bought.",
            why,
            record.job_id,
            "its cancel was confirmed" if confirmed else "it could not be cancelled and may be charged",
        )

    def _take_up(self, record: Record) -> tuple[Submission, Job | None] | None:
        """Go on with a recorded job; ``None`` where a new one may be bought."""
        cleared = record.epoch != self.epoch
        if cleared and self.terms.on_clear == "resubmit":
            self._leave(record, "on_clear='resubmit': the task was cleared")
            return None
        if record.stage is Stage.INTENT:
            return self._take_up_intent(record)
        if record.job_id is None:
            return None
        submission = self.submission(
            record.job_id,
            submitted_at=record.submitted_at,
            deadline=None if cleared else record.deadline,
            cost=record.cost,
            reused=True,
        )
        job = self._look_at(submission, record.kind)
        if job is not None and job.state in {JobState.FAILED, JobState.CANCELED}:
            self.log.warning("Job %s is %s; a new one may be bought", record.job_id, job.state)
            return None
        if cleared and job is not None and self._is_gone(submission, job):
            self.log.warning(
                "Job %s has succeeded, but its vendor keeps no result for so long; a new one is bought",
                job.job_id,
            )
            return None
        state = job.state if job else "not to be seen now"
        self.log.info("Taking up job %s (%s), which is paid for", record.job_id, state)
        # A cleared task's job that is over may have ended in the triggerer, which cannot write it down.
        ended = cleared and job is not None and job.state.terminal
        submission = submission.model_copy(update={"counted": record.counted or ended})
        if cleared:
            self.ledger.write(record.cleared(self.epoch, submission))
        return submission, job

    def _is_gone(self, submission: Submission, job: Job) -> bool:
        """Whether a result can no longer be had; inline ones stand in the job itself."""
        kept = self.hook.vendor.kind(submission.kind).retention
        ended = job.finished_at or submission.submitted_at
        if kept is None or not job.urls or job.state is not JobState.SUCCEEDED:
            return False
        return CLOCK.moment() > ended + kept

    def _take_up_intent(self, record: Record) -> tuple[Submission, Job] | None:
        adopted = self._adopt(record)
        if adopted is not None:
            return adopted
        if self.terms.on_uncertain == "resubmit":
            self.log.warning("An earlier try may have bought a job; on_uncertain='resubmit': buying anew")
            return None
        raise SubmissionUncertainError(
            f"an earlier try was about to buy a {record.kind} and did not get to record its id",
            vendor=record.vendor,
        )

    def _look_at(self, submission: Submission, kind: str) -> Job | None:
        """See how a paid job stands; ``None`` where the vendor cannot say now, which is no reason to give up."""
        try:
            return self.hook.fetch(submission.job_id, kind)
        except JobLostError:
            age = CLOCK.now() - submission.submitted_at.timestamp()
            if age < self.hook.vendor.not_found_grace:
                return None
            raise
        except VendorError as error:
            if not worth_asking_again(error):
                raise
            self.log.warning("Job %s could not be seen: %s", submission.job_id, error)
            return None
