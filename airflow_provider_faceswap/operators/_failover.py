"""Base of the operators that submit one job at the first of several connections."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError, JobFailedError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.rendered import is_set
from airflow_provider_faceswap.foundation.validation import as_conn_id
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.lifecycle.clears import deleted_record_error
from airflow_provider_faceswap.lifecycle.failover import ANOTHER_MAY, FailoverRecords
from airflow_provider_faceswap.lifecycle.ledger import attempt_of
from airflow_provider_faceswap.lifecycle.outcomes import read_event
from airflow_provider_faceswap.lifecycle.provenance import materialized, request_arguments
from airflow_provider_faceswap.lifecycle.purchase import NotSubmittedError
from airflow_provider_faceswap.lifecycle.submissions import latest_deadline
from airflow_provider_faceswap.operators._earlier_job import names_earlier_job, naming
from airflow_provider_faceswap.operators._failure import failure_shown
from airflow_provider_faceswap.operators._spending import budget_at
from airflow_provider_faceswap.operators.base import JobOperator
from airflow_provider_faceswap.storage.task_records import store_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Job, Submission
    from airflow_provider_faceswap.lifecycle.ledger import Ledger
    from airflow_provider_faceswap.lifecycle.purchase import Purchase
    from airflow_provider_faceswap.operators._keywords import FailoverArguments


class FailoverOperator(JobOperator):
    """
    Submit one job at the first vendor that succeeds.

    The next connection is tried if a vendor accepts nothing (key, balance, limits, not reachable, a picture that it
    does not accept) or reports the job as failed. It is not tried if the input is at fault (no face, content refused, a
    bad argument), or if a paid job may still be running: that job is waited for, or left resumable.

    :param conn_ids: Connections of this package's types, the preferred one first. With ``resume_job_id``, the first
        must be the account of that job; no other is tried.
    """

    template_fields: Sequence[str] = ("conn_ids", "resume_job_id")

    def __init__(self, *, conn_ids: Sequence[str], **kwargs: Unpack[FailoverArguments]) -> None:
        # Connection ids that another task chooses are not known yet.
        known = _checked(conn_ids) if isinstance(conn_ids, str | list | tuple) else ["unknown"]
        super().__init__(conn_id=known[0], **kwargs)
        self.conn_ids = conn_ids

    @property
    def hook(self) -> JobHook:
        """A hook on the preferred connection."""
        return hook_for_connection(self.conn_id)

    @failure_shown
    def execute(self, context: Context) -> dict[str, Any]:
        """Resume the job that an earlier attempt has at any connection, else try the connections in order."""
        self._begun_at = CLOCK.now()
        conn_ids = _checked(materialized(self.conn_ids))
        if self.resumes:
            return self._run(context, hook_for_connection(conn_ids[0]))
        paid = self._records(context).paid(conn_ids)
        if self.reuse == "archive" and not paid and (reused := self._reused_at_any(context, conn_ids)):
            return reused
        return self._run_at_first(context, conn_ids, [*paid, *(one for one in conn_ids if one not in paid)])

    @failure_shown
    def execute_complete(
        self, context: Context, event: Any = None, submission: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Handle the trigger's event. After a failed job, the connections without one in this attempt are tried."""
        self._begun_at = CLOCK.now()
        waited_for, waited = read_event(event, submission)
        failed = {waited_for.conn_id}
        try:
            return self._complete(context, waited_for, waited)
        except NotSubmittedError:
            conn_ids = _checked(materialized(self.conn_ids))
            rest = self._without_failed_job(context, conn_ids, failed)
        except FaceSwapError as error:
            conn_ids = _checked(materialized(self.conn_ids))
            rest = [] if self.resumes else self._without_failed_job(context, conn_ids, failed)
            if not rest or not self._another_may(context, [*conn_ids, *failed], error):
                raise
            self._log_next(rest[0], waited_for.conn_id, error)
        return self._run_at_first(context, conn_ids, rest, failed)

    def _price_is_in(self, unit: str, context: Context) -> bool:
        """Whether the price, which is in the unit of the first connection, is in the unit of a budget."""
        try:
            first = hook_for_connection(_checked(materialized(self.conn_ids))[0])
        except FaceSwapError:
            return False
        budget = budget_at(self, self.budget, first, context)
        return budget is None or budget.unit == unit

    def _turn_to(self, hook: JobHook) -> None:
        """Take kind and arguments as the vendor of this connection names them, if vendors differ in that."""

    def _reused_at_any(self, context: Context, conn_ids: Iterable[str]) -> dict[str, Any] | None:
        """What was archived before, of any of the connections, so that the first does not buy it again."""
        for conn_id in conn_ids:
            try:
                hook = hook_for_connection(conn_id)
                self._turn_to(hook)
                given = request_arguments(self._rendered_arguments(context))
                request = hook.prepare(self.kind, preflight=self.preflight, **given)
                result = self._archived(context, hook, self._key(context, hook, request))
            except FaceSwapError as error:
                # Its own turn decides whether that is an error.
                self.log.debug("Nothing is looked for at connection %s: %s", conn_id, error.message)
                continue
            if result is not None:
                return self._reused(context, hook, result)
        return None

    def _run_at_first(
        self, context: Context, conn_ids: Sequence[str], places: Sequence[str], failed: Iterable[str] = ()
    ) -> dict[str, Any]:
        """
        Submit at the first connection whose vendor succeeds.

        :param places: The connections to try, in order. After a failed job this starts again, with those that have had
            no failed job in this attempt: one that was busy before may not be now.
        :param failed: Connections whose job has failed in this attempt.
        """
        failed, left = set(failed), list(places)
        while True:
            conn_id = left.pop(0)
            try:
                return self._run_at(context, conn_id)
            except NotSubmittedError:
                self.log.info(
                    "Connection %s is not in conn_ids any more: nothing is submitted there", conn_id
                )
                left = left or self._without_failed_job(context, conn_ids, failed)
            except FaceSwapError as error:
                if error.job_id is not None:
                    failed.add(conn_id)
                    left = self._without_failed_job(context, conn_ids, failed)
                if not left or not self._another_may(context, [*conn_ids, conn_id], error):
                    raise
                self._log_next(left[0], conn_id, error)

    def _run_at(self, context: Context, conn_id: str) -> dict[str, Any]:
        """
        Submit at one connection.

        :raises NotSubmittedError: The connection was taken out of ``conn_ids``, and has no job to resume.
        """
        with names_earlier_job(self._ledger(context, conn_id)):
            hook = hook_for_connection(conn_id)
        return self._run(context, hook)

    def _resume_or_submit(self, context: Context, purchase: Purchase) -> tuple[Submission, Job | None]:
        """
        Resume the connection's job, or submit one, if no other connection may have a paid job of this task.

        :raises NotSubmittedError: The connection was taken out of ``conn_ids``, and has no job to resume.
        """
        records, conn_id = self._records(context), purchase.template.conn_id
        conn_ids = _checked(materialized(self.conn_ids))
        if conn_id not in conn_ids:
            resumed = purchase.resume()
            if resumed is None:
                raise NotSubmittedError
            return resumed

        def may_submit() -> bool:
            self._check_others(context, conn_ids, conn_id)
            return True

        records.add(conn_id)
        return replace(purchase, may_submit=may_submit).resume_or_submit()

    def _check_others(self, context: Context, conn_ids: Sequence[str], conn_id: str) -> None:
        """
        Check that no other connection may have a paid job of this task.

        :raises FaceSwapError: One may have; the error names it.
        """
        for place, record in self._records(context).paid(conn_ids).items():
            if place != conn_id:
                error = FaceSwapError(
                    f"connection {place!r} may have a paid job of this task", vendor=record.vendor, advice=""
                )
                advice = f"So nothing was bought at connection {conn_id!r}. A retry resumes that job."
                raise naming(error.replaced(advice=advice), record)

    def _without_failed_job(
        self, context: Context, conn_ids: Sequence[str], failed: Iterable[str]
    ) -> list[str]:
        """The connections, in order, that have had no failed job in this attempt."""
        attempt = attempt_of(context)

        def had_one(conn_id: str) -> bool:
            record = self._ledger(context, conn_id).read()
            return record is not None and record.job_id is not None and record.attempt == attempt != 0

        return [one for one in conn_ids if one not in failed and not had_one(one)]

    def _another_may(self, context: Context, conn_ids: Sequence[str], error: FaceSwapError) -> bool:
        """
        True if another vendor may do the job.

        The error says whether that can help, and the records whether it may pay.
        """
        if not isinstance(error, ANOTHER_MAY) or self._is_late():
            return False
        records = self._records(context)
        if not records.remember:
            return error.job_id is None or isinstance(error, JobFailedError)
        return not records.paid(conn_ids)

    def _log_next(self, conn_id: str, failed: str, error: FaceSwapError) -> None:
        vendor = f" ({error.vendor})" if error.vendor else ""
        text = str(error).removeprefix(f"{error.vendor}: ")
        self.log.warning("Trying %s next: connection %s%s: %s", conn_id, failed, vendor, text)

    def _is_late(self) -> bool:
        """True if a job that is submitted now could only time out."""
        latest = latest_deadline(self._begun_at, self.execution_timeout)
        return latest is not None and CLOCK.moment() >= latest

    def _records(self, context: Context) -> FailoverRecords:
        return FailoverRecords(store_of(context))

    def _ledger(self, context: Context, conn_id: str) -> Ledger:
        """
        The record for one connection.

        Each connection has its own, because jobs at different vendors are independent.
        """
        return self._records(context).ledger(conn_id)

    def _unrecorded_since(self, context: Context) -> datetime | None:
        """
        Decide for all connections at once, because a job may be at any of them.

        :raises SubmissionUncertainError: A clear may have deleted the records of several connections.
        """
        since = super()._unrecorded_since(context)
        conn_ids = _checked(materialized(self.conn_ids))
        if since is None or len(conn_ids) == 1:
            return since
        if self.on_clear == "reuse" and not any(self._ledger(context, one).read() for one in conn_ids):
            raise deleted_record_error(
                advice=f"The connections are: {', '.join(conn_ids)}. To use a job that is in a list, set resume_job_id."
            )
        return None


def _checked(conn_ids: Any) -> list[str]:
    """
    Check that this is a list of connection ids.

    :raises InvalidRequestError: It is something else, or empty.
    """
    if not isinstance(conn_ids, list | tuple) or not conn_ids or not all(_is_id(one) for one in conn_ids):
        raise InvalidRequestError("conn_ids: must be a list of at least one connection id")
    return [as_conn_id(conn_id, "conn_ids") for conn_id in conn_ids]


def _is_id(value: Any) -> bool:
    """True for a text, and for a number that native rendering has made of one."""
    return is_set(value) and isinstance(value, str | int) and not isinstance(value, bool)
