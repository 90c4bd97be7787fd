"""An operator's money: the budget that its jobs are bought from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import (
    BudgetBusyError,
    BudgetExceededError,
    FaceSwapError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.lifecycle.ledger import attempt_of, epoch_of
from airflow_provider_faceswap.operators._settlement import SettlingOperator
from airflow_provider_faceswap.spending.amounts import as_price

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_faceswap.batch.money import BatchMoney
    from airflow_provider_faceswap.batch.options import JobOptions
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Submission
    from airflow_provider_faceswap.lifecycle.ledger import Record
    from airflow_provider_faceswap.lifecycle.outcomes import WaitResult
    from airflow_provider_faceswap.spending.budget import Budget
    from airflow_provider_faceswap.spending.funds import Funds


def check_budget(value: Any) -> None:
    """
    Check the budget that an operator was given.

    :raises InvalidRequestError: It is none.
    """
    if value is not None:
        # A Dag file without a budget does not pay for this import.
        from airflow_provider_faceswap.spending.budget import budgets_of

        budgets_of(value)


def budget_at(operator: BaseOperator, value: Any, hook: JobHook, context: Context) -> Budget | None:
    """
    The budget for an operator's jobs at a connection; ``None`` if there is none.

    :param value: The operator's own.
    :raises InvalidRequestError: It, or ``[faceswap] budget``, is wrong.
    """
    from airflow_provider_faceswap.spending.budget import budget_for

    budget = budget_for(value, hook.vendor.cost_unit)
    if budget is not None and ("{{" in budget.uri or "{%" in budget.uri):
        return budget.at(operator.render_template(budget.uri, context))
    return budget


def batch_money(
    operator: BaseOperator,
    value: Any,
    context: Context,
    jobs: JobOptions,
    *,
    remembers: bool,
    keeps: bool = False,
) -> BatchMoney:
    """
    The budgets of a batch, by connection.

    :param value: The operator's own.
    :param remembers: Whether the next attempt knows what this one has bought.
    :param keeps: Whether no clear can have deleted what an earlier attempt has recorded.
    :raises InvalidRequestError: A step cannot be bought from its budget.
    """
    from airflow_provider_faceswap.batch.money import BatchMoney

    found = {hook.conn_id: budget_at(operator, value, hook, context) for hook in jobs.hooks}
    money = BatchMoney(
        {conn_id: budget for conn_id, budget in found.items() if budget is not None},
        context["ti"],
        jobs.epoch,
        *(() if remembers else (jobs.attempt,)),
        before_clears=remembers and keeps,
    )
    money.check(jobs.steps)
    return money


def later(operator: BaseOperator, error: FaceSwapError) -> FaceSwapError:
    """The error to raise: one that waits for a budget's next period, if the task's retry policy can."""
    end = error.period_end if isinstance(error, BudgetExceededError) else None
    if end is None or not getattr(getattr(operator, "retry_policy", None), "reschedules", False):
        return error
    seconds = max(0.0, end.timestamp() - CLOCK.now())
    return BudgetBusyError(error.message, vendor=error.vendor, advice=error.advice, retry_after=seconds)


class SpendingOperator(SettlingOperator):
    """
    Operator that buys a job, from a budget if there is one.

    :param budget: The :class:`~airflow_provider_faceswap.budgets.Budget`, its JSON, or a list of these with one for each
        unit. Default: ``[faceswap] budget``.
    :param price: What a job costs, in the budget's unit, until the budget has seen a cost of this kind and model. With
        several connections, in the unit of the first: what a job costs in another unit is not known then.
    """

    def __init__(self, *, budget: Any = None, price: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_budget(budget)
        self.budget = budget
        self.price = price
        as_price(price)
        #: What this process buys from.
        self._bought_from: Funds | None = None

    def _funds(self, context: Context, hook: JobHook, kind: str, model: str) -> Funds | None:
        """
        The money for this task's job at a connection; ``None`` without a budget.

        :param model: That of the job, if its kind has several.
        :raises InvalidRequestError: ``[faceswap] budget`` is wrong.
        """
        budget = budget_at(self, self.budget, hook, context)
        if budget is None:
            return None
        # Without a record, an attempt cannot know what the one before has bought: it makes a reservation of its own.
        remembers = self._ledger(context, hook.conn_id).remembers
        more = (hook.conn_id,) if remembers else (hook.conn_id, attempt_of(context))
        from airflow_provider_faceswap.spending.funds import Buyer, Funds

        return Funds(
            budget,
            Buyer.of(context["ti"], epoch_of(context), *more),
            hook.vendor.name,
            kind,
            hook.conn_id,
            hook.vendor.cost_unit,
            as_price(self.price) if self._price_is_in(budget.unit, context) else None,
            model=model,
        )

    def _price_is_in(self, unit: str, context: Context) -> bool:  # noqa: ARG002 - a task at one connection has one unit
        """Whether the price is in the unit of a budget."""
        return True

    def _close(self, context: Context, submission: Submission, waited: WaitResult) -> Record | None:
        """Settle the record of this job, and its reservation."""
        record = super()._close(context, submission, waited)
        # Without a store of records, only the process that reserved knows it.
        reservation = getattr(record or self._bought_from, "reservation", None)
        hook = self._hook_of(submission)
        funds = self._funds(context, hook, submission.kind, self._bought_model()) if reservation else None
        if funds is not None:
            funds.ended(reservation, waited.job, submission.cost)
        return record

    def _bought_model(self) -> str:
        """The model of the job, whichever process submitted it."""
        model = getattr(self, "model", "") if self._bought_from is None else self._bought_from.model
        return model if isinstance(model, str) else ""

    def _later(self, error: FaceSwapError) -> FaceSwapError:
        return later(self, error)
