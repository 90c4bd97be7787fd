"""An operator's money: the budget that its jobs are bought from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import BudgetBusyError, BudgetExceededError, FaceSwapError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.rendered import is_set
from airflow_provider_faceswap.lifecycle.ledger import attempt_of, epoch_of
from airflow_provider_faceswap.operators._settlement import SettlingOperator
from airflow_provider_faceswap.spending.amounts import as_amount
from airflow_provider_faceswap.spending.budget import budget_for, budgets_of
from airflow_provider_faceswap.spending.funds import Buyer, Funds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Submission
    from airflow_provider_faceswap.lifecycle.ledger import Record
    from airflow_provider_faceswap.lifecycle.outcomes import WaitResult


class SpendingOperator(SettlingOperator):
    """
    Operator that buys a job, from a budget if there is one.

    :param budget: The :class:`~airflow_provider_faceswap.budgets.Budget`, its JSON, or a list of these with one for each
        unit. Default: ``[faceswap] budget``.
    :param price: What a job costs, in the budget's unit, until the budget has seen a cost of this kind.
    """

    def __init__(self, *, budget: Any = None, price: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        budgets_of(budget)
        self.budget = budget
        self.price = price
        self._given_price()
        #: What this process buys from.
        self._bought_from: Funds | None = None

    def _given_price(self) -> Any:
        return as_amount("price", self.price) if is_set(self.price) else None

    def _funds(self, context: Context, hook: JobHook, kind: str | None = None) -> Funds | None:
        """
        The money for this task's job at a connection; ``None`` without a budget.

        :param kind: That of a job which was submitted before; default: the operator's.
        :raises InvalidRequestError: ``[faceswap] budget`` is wrong.
        """
        unit = hook.vendor.cost_unit
        budget = budget_for(self.budget, unit)
        if budget is None:
            return None
        if "{{" in budget.uri or "{%" in budget.uri:
            budget = budget.at(self.render_template(budget.uri, context))
        # Without a record, an attempt cannot know what the one before has bought: it makes a reservation of its own.
        remembers = self._ledger(context, hook.conn_id).remembers
        more = (hook.conn_id,) if remembers else (hook.conn_id, attempt_of(context))
        return Funds(
            budget,
            Buyer.of(context["ti"], epoch_of(context), *more),
            hook.vendor.name,
            kind or self.kind,
            hook.conn_id,
            unit,
            self._given_price(),
        )

    def _close(self, context: Context, submission: Submission, waited: WaitResult) -> Record | None:
        """Settle the record of this job, and its reservation."""
        record = super()._close(context, submission, waited)
        # Without a store of records, only the process that reserved knows it.
        reservation = getattr(record or self._bought_from, "reservation", None)
        funds = self._funds(context, self._hook_of(submission), submission.kind) if reservation else None
        if funds is not None:
            funds.ended(reservation, waited.job, submission.cost)
        return record

    def _later(self, error: FaceSwapError) -> FaceSwapError:
        """The error to raise: one that waits for a budget's next period, if this task's retry policy can."""
        policy = getattr(self, "retry_policy", None)
        end = error.period_end if isinstance(error, BudgetExceededError) else None
        if end is None or not getattr(policy, "reschedules", False):
            return error
        seconds = max(0.0, end.timestamp() - CLOCK.now())
        return BudgetBusyError(error.message, vendor=error.vendor, advice=error.advice, retry_after=seconds)
