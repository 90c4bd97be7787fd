"""One step of one item: its job, submitted or resumed at the first connection that can, and waited for."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.archive.reuse import mark_of
from airflow_provider_faceswap.batch.report import RunningJob, describe
from airflow_provider_faceswap.batch.results import StepResult
from airflow_provider_faceswap.exceptions import (
    BudgetBusyError,
    FaceSwapError,
    RateLimitError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.lifecycle.failover import ANOTHER_MAY
from airflow_provider_faceswap.lifecycle.outcomes import Outcome
from airflow_provider_faceswap.lifecycle.purchase import NotSubmittedError, Purchase
from airflow_provider_faceswap.lifecycle.waiting import result_of, wait_async
from airflow_provider_faceswap.telemetry.metrics import cost_of, failures_counted, job_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_faceswap.batch.item_log import BufferedItemLog
    from airflow_provider_faceswap.batch.items import BatchItem
    from airflow_provider_faceswap.batch.money import StepFunds
    from airflow_provider_faceswap.batch.options import PreparedStep
    from airflow_provider_faceswap.batch.runner import BatchRunner
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Job, Submission
    from airflow_provider_faceswap.vendors.messages import Request

#: Seconds until a submission that was refused for the moment is sent again; they double up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0


class InputError(Exception):
    """
    The request could not be made, although its job could be identified: nothing was submitted.

    :param error: Why.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.error = error


@dataclass
class StepRun:
    """
    One step of one item.

    :param keys: The key of its record, by connection.
    :param known: The results of the steps before it, as far as they are known without a request.
    :param usable: Makes results with links that work, or with what replaces them; it blocks.
    :param key_of: The key of its request in the archive's index, if it is known.
    :ivar submission: The last job that was submitted or resumed.
    :ivar funds: What the last job is bought from; ``None`` without a budget.
    :ivar conn_id: Of the connection that was tried last.
    """

    runner: BatchRunner
    item: BatchItem
    prepared: PreparedStep
    keys: Mapping[str, str]
    log: BufferedItemLog
    known: Mapping[str, Any]
    usable: Callable[[], Mapping[str, Any]]
    key_of: Callable[[JobHook], str | None]
    submission: Submission | None = None
    funds: StepFunds | None = None
    conn_id: str = ""

    async def go(self) -> StepResult:
        """
        Have the job done.

        :raises NotSubmittedError: Nothing more may be submitted.
        :raises InputError: The request could not be made.
        :raises Exception: The job could not be submitted, or has no result.
        """
        hooks = {
            hook.conn_id: hook for hook in self.prepared.step.hooks if hook.conn_id in self.prepared.requests
        }
        left = list(hooks)
        if len(hooks) > 1:
            paid = await self.runner.in_thread(self._paid)
            left = [*paid, *(conn_id for conn_id in hooks if conn_id not in paid)]
        failed: set[str] = set()
        while True:
            self.conn_id, self.submission = left.pop(0), None
            try:
                return await self._at(hooks[self.conn_id], is_last=not left)
            except FaceSwapError as error:
                if len(hooks) == 1 or not isinstance(error, ANOTHER_MAY):
                    raise
                if error.job_id is not None:
                    failed.add(self.conn_id)
                    left = await self.runner.in_thread(partial(self._without_job, list(hooks), set(failed)))
                paid = await self.runner.in_thread(self._paid)
                if paid or not left:
                    raise
                self.log.warning(
                    "step %s: trying %s next: connection %s: %s",
                    self.prepared.step.name,
                    left[0],
                    self.conn_id,
                    describe(error, self.runner.jobs.secrets),
                )

    # -- the records of several connections -----------------------------------------------------------

    def _paid(self) -> list[str]:
        """The connections whose record may be of a paid job."""
        records = self.runner.item_records
        found = {conn_id: records.ledger(key).read() for conn_id, key in self.keys.items()}
        return [conn_id for conn_id, record in found.items() if record is not None and record.may_be_paid]

    def _without_job(self, conn_ids: list[str], failed: set[str]) -> list[str]:
        """The connections, in order, that have had no failed job in this attempt."""
        return [one for one in conn_ids if one not in failed and not self._had_job(one)]

    def _had_job(self, conn_id: str) -> bool:
        record = self.runner.item_records.ledger(self.keys[conn_id]).read()
        attempt = self.runner.jobs.attempt
        return record is not None and record.job_id is not None and record.attempt == attempt != 0

    def _may_submit(self, conn_id: str) -> bool:
        """
        Whether a job may be submitted now.

        :raises SubmissionUncertainError: Another connection may have a paid job of this step.
        """
        has_money = self.funds is not None and bool(self.funds.reservation)
        if not self.runner.may_submit(conn_id, has_money=has_money):
            return False
        if len(self.keys) > 1 and (others := [place for place in self._paid() if place != conn_id]):
            raise SubmissionUncertainError(
                f"connection {others[0]!r} may have a paid job of this step",
                advice=f"So nothing was bought at connection {conn_id!r}. A retry resumes that job.",
            )
        return True

    # -- one connection -------------------------------------------------------------------------------

    async def _at(self, hook: JobHook, *, is_last: bool) -> StepResult:
        """
        Submit or resume at one connection, and wait.

        :param is_last: Whether no other connection can be tried.
        """
        async with self.runner.limit_of(hook).job_of(self.item.position):
            # A link may be fetched for it.
            purchase = await self.runner.in_thread(partial(self._purchase, hook))
            async with nullcontext() if self.funds is None else self.funds.turn(self.runner.in_thread):
                self.submission, job = await self.obtain(purchase, is_last=is_last)
                return await self.wait(hook, self.submission, job)

    def _purchase(self, hook: JobHook) -> Purchase:
        runner, step = self.runner, self.prepared.step
        kind, request = self.prepared.requests[hook.conn_id]
        template = runner.jobs.template(step, hook, self.item, self.known)
        if runner.index is not None and runner.jobs.is_kept(step) and (key := self.key_of(hook)) is not None:
            template.provenance["reuse"] = mark_of(key, runner.index.folder)
        model = hook.vendor.model_of(kind, request)
        self.funds = runner.money.funds(step, hook, kind, self.keys[hook.conn_id], model=model)
        return Purchase(
            hook,
            runner.item_records.ledger(self.keys[hook.conn_id]),
            request,
            template,
            epoch=runner.jobs.epoch,
            policy=runner.jobs.policy,
            log=self.log,
            may_submit=partial(self._may_submit, hook.conn_id),
            attempt=runner.jobs.attempt,
            made=partial(self._made, hook, request) if step.inputs else None,
            funds=self.funds,
        )

    def _made(self, hook: JobHook, request: Request) -> Request:
        """
        The request that is sent, with the results of earlier steps.

        :param request: The one that identifies the job.
        :raises InputError: It cannot be made.
        """
        try:
            _, sent = self.runner.jobs.request_at(self.prepared.step, hook, self.item, self.usable())
        except (RateLimitError, VendorUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise InputError(error) from None
        return replace(sent, known_as=request.body)

    async def obtain(self, purchase: Purchase, *, is_last: bool) -> tuple[Submission, Job | None]:
        """
        Submit or resume.

        If the vendor cannot accept a submission now, it is repeated until the timeout of the job, unless another connection
        can be tried.
        """
        runner = self.runner
        until, pause = CLOCK.monotonic() + self.prepared.step.timeout, FIRST_PAUSE
        submit = partial(self._submit_or_resume, purchase)
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(runner.submitters, submit)
            except BudgetBusyError:
                if self.funds is None or not await self.funds.may_try_again():
                    raise
            except (RateLimitError, VendorUnavailableError) as error:
                retry_after = getattr(error, "retry_after", None)
                seconds = pause if retry_after is None else max(retry_after, FIRST_PAUSE)
                late = CLOCK.monotonic() + seconds > until
                if late or not is_last or runner.report.stopped is not None or runner.ending:
                    raise
                self.log.warning("not accepted now, submitting again in %.0f s: %s", seconds, error.message)
                await CLOCK.asleep(seconds)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _submit_or_resume(self, purchase: Purchase) -> tuple[Submission, Job | None]:
        """
        Submit or resume, in a thread that runs to its end even if the batch ends first.

        The one place where a step's job is submitted. What has to be decided before it, such as whether there is money left
        or whether the picture is already there, is decided in :meth:`_may_submit` or before :meth:`_at`.
        """
        client, kind, runner = purchase.client, purchase.template.kind, self.runner
        try:
            with failures_counted(client.vendor.name, kind):
                submission, job = purchase.resume_or_submit()
        except (InputError, NotSubmittedError):
            raise
        except Exception as error:
            self.log.flush()
            unrecorded = error.job_id if type(error) is FaceSwapError else None
            if unrecorded is not None:
                runner.unrecorded.append(unrecorded)
                self._runs(unrecorded, purchase)
            if unrecorded is not None or runner.ending:  # nothing later may report it
                self.log.warning("%s", describe(error, runner.jobs.secrets))
            raise
        self._runs(submission.job_id, purchase)
        return submission, job

    def _runs(self, job_id: str, purchase: Purchase) -> None:
        hook = next(hook for hook in self.prepared.step.hooks if hook is purchase.client)
        self.runner.running[job_id] = RunningJob(hook, purchase.template.kind, self.prepared.step.name)

    async def wait(self, hook: JobHook, submission: Submission, job: Job | None) -> StepResult:
        """Wait for a job; the one place where a step's job is known to have ended."""
        runner, step = self.runner, self.prepared.step
        waited = await wait_async(
            hook,
            submission,
            first=job,
            poll_interval=step.poll_interval,
            # A line for each of thousands of jobs would hide the others.
            log=lambda _: None,
        )
        job_ended(submission, waited)
        if waited.is_final:
            runner.running.pop(submission.job_id, None)
            runner.item_records.mark_counted(self.keys[hook.conn_id])
            if len(self.keys) > 1 and waited.outcome is not Outcome.SUCCEEDED:
                # Another connection may be paid only if the record says that this job is over.
                ledger = runner.item_records.ledger(self.keys[hook.conn_id])
                await runner.in_thread(lambda: ledger.settle(submission.job_id, waited.outcome))
            if self.funds is not None:
                await runner.in_thread(partial(self._settle_funds, self.funds, hook, submission, waited.job))
        cost = cost_of(submission, waited)
        runner.report.add_cost(cost.model_dump() if cost else None, earlier=submission.reused, step=step.name)
        result = result_of(hook, submission, waited)
        return StepResult(step.name, hook, result, job=waited.job)

    def _settle_funds(self, funds: StepFunds, hook: JobHook, submission: Submission, job: Job | None) -> None:
        """Settle the reservation of a job that has ended, whichever attempt made it."""
        record = self.runner.item_records.record_of(self.keys[hook.conn_id])
        funds.ended(getattr(record or funds, "reservation", None), job, submission.cost)
