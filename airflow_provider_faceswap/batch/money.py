"""The money of a batch: the budget of each step's jobs, and who waits until a price is known."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.batch.purse import Purse
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.spending.blocks import MARK
from airflow_provider_faceswap.spending.funds import Buyer, Funds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from decimal import Decimal

    from airflow_provider_faceswap.batch.item_records import ItemRecords
    from airflow_provider_faceswap.batch.steps import PlannedStep
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.spending.budget import Budget
    from airflow_provider_faceswap.spending.funds import Holder

_log = logging.getLogger(__name__)


@dataclass
class StepFunds(Funds):
    """
    The money for one step of one item: a part of a block.

    :param key: The key of its record.
    :ivar is_first: Whether it holds the budget alone, because its price is not known.
    """

    purse: Purse | None = None
    key: str = ""
    is_first: bool = False

    def reserve(self, number: int) -> str:
        """Reserve the money for a submission."""
        if self.purse is None:
            return super().reserve(number)
        self.reservation = self.purse.reserve(self, number)
        return self.reservation

    def _holder_of(self, reservation: str) -> tuple[Holder, str]:
        if self.purse is None or MARK not in reservation:  # one of its own, which an earlier version made
            return super()._holder_of(reservation)
        return self.purse, reservation

    def _saw(self, amount: Decimal | None) -> None:
        if self.purse is None:
            super()._saw(amount)
        elif amount and self.purse.prices.is_highest(self, amount):
            super()._saw(amount)
            self.purse.prices.forget(self)

    @asynccontextmanager
    async def turn(self, in_thread: Callable[[Callable[[], bool]], Awaitable[bool]]) -> AsyncIterator[None]:
        """
        Wait until no job of unknown price runs. The block is the time of this job.

        :param in_thread: Does what blocks.
        """
        purse = self.purse
        if purse is None:
            yield
            return
        async with purse.unpriced:
            if not await in_thread(lambda: purse.prices.of(self) is not None):
                self.is_first = True
                yield
                return
        yield

    async def may_try_again(self) -> bool:
        """Whether the budget was busy with a job of this batch, which has ended now."""
        if self.purse is None or self.is_first or not self.purse.unpriced.locked():
            return False
        async with self.purse.unpriced:
            return True


class BatchMoney:
    """
    The budgets of a batch.

    :param budgets: By connection; one without a budget is left out.
    :param instance: The task instance.
    :param epoch: Changes when the task is cleared, and never otherwise.
    :param more: What else tells the reservations of this attempt apart, if nothing remembers them.
    :param log: The logger.
    :param before_clears: Whether the records of the attempts before the task was cleared are certainly there: then what
        these attempts have left is taken up, too.
    """

    def __init__(
        self,
        budgets: Mapping[str, Budget] | None = None,
        instance: Any = None,
        epoch: int = 0,
        *more: object,
        log: Any = _log,
        before_clears: bool = False,
    ) -> None:
        self._log = log
        self._buyer = Buyer.of(instance, epoch, *more)
        epochs = range(epoch) if before_clears else ()
        earlier = [Buyer.of(instance, one, *more).mark for one in epochs]
        purses: dict[Budget, Purse] = {}
        self._purses = {
            conn_id: purses.setdefault(budget, Purse(budget, self._buyer, log, earlier))
            for conn_id, budget in (budgets or {}).items()
        }
        self._all = list(purses.values())

    def funds(
        self, step: PlannedStep, hook: JobHook, kind: str, key: str = "", *, model: str = ""
    ) -> StepFunds | None:
        """
        The money for a step of an item; ``None`` without a budget.

        :param kind: The vendor's kind of the job.
        :param key: That of its record.
        :param model: That of the job, if its kind has several.
        """
        if (purse := self._purses.get(hook.conn_id)) is None:
            return None
        first = self._purses.get(step.hooks[0].conn_id, purse)
        return StepFunds(
            purse.budget,
            self._buyer,
            hook.vendor.name,
            kind,
            hook.conn_id,
            hook.vendor.cost_unit,
            # It is in the unit of the step's first connection.
            step.price if purse.budget.unit == first.budget.unit else None,
            self._log,
            model=model,
            purse=purse,
            key=key,
        )

    def check(self, steps: tuple[PlannedStep, ...]) -> None:
        """
        Check that each step can be bought from its budget.

        :raises InvalidRequestError: A vendor charges in another unit, or reports no costs and there is no price.
        :raises FaceSwapError: A budget could not be read.
        """
        for step in steps:
            for hook in step.hooks:
                if (funds := self.funds(step, hook, step.kind)) is not None:
                    funds.known_price()

    def price_of(
        self, step: PlannedStep, hook: JobHook, kind: str, model: str
    ) -> tuple[Decimal | None, str | None]:
        """
        What a job of a step is expected to cost, and the unit; ``None`` for what is not known.

        :param kind: The vendor's kind of the job.
        :raises FaceSwapError: A budget could not be read.
        """
        if (funds := self.funds(step, hook, kind, model=model)) is None:
            return step.price, hook.vendor.cost_unit or None
        return funds.known_price(), funds.budget.unit

    def begin(self, records: ItemRecords, most: Callable[[], int]) -> None:
        """
        Take up what earlier attempts have left.

        :param most: How many jobs may still be submitted, and at the same time.
        :raises FaceSwapError: A budget could not be read or written.
        :raises Exception: The error of the records' store.
        """
        for purse in self._all:
            purse.most = most
            purse.take_up(records)

    def write(self) -> None:
        """Write what is known about the jobs. It never raises."""
        for purse in self._all:
            self._try(purse.budget, purse.write)

    def close(self) -> None:
        """Release what no job has. It never raises."""
        for purse in self._all:
            self._try(purse.budget, purse.close)

    def sharing(self, conn_id: str) -> set[str]:
        """The connections with the budget of this one."""
        purse = self._purses.get(conn_id)
        return {other for other, its in self._purses.items() if its is purse}

    def _try(self, budget: Budget, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            self._log.warning(
                "%s could not be written (%s). What is reserved there stays, until a retry takes it up or airflow faceswap "
                "budget settles it.",
                budget.shown,
                error_line(error),
            )
