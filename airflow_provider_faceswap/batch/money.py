"""The money of a batch: the budget of each step's jobs, and who waits until a price is known."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.spending.funds import Buyer, Funds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from decimal import Decimal

    from airflow_provider_faceswap.batch.steps import PlannedStep
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.spending.budget import Budget

#: A budget that has room for less than so many jobs is close to its cap. No batch reserves for more at the same time.
_CLOSE = 128


class Purse:
    """
    One budget in one batch.

    Close to its cap, one reservation is made at a time. Otherwise jobs that fit would withdraw theirs because of each other.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        #: Held while a job of unknown price runs: the budget takes no other reservation then.
        self.unpriced = asyncio.Lock()
        self._one = threading.Lock()
        self._is_close = True
        self._most = 0.0
        self._priced: set[tuple[str, str]] = set()

    def reserve(self, funds: StepFunds, number: int) -> str:
        """Reserve the money for one job, as :meth:`~airflow_provider_faceswap.spending.funds.Funds.reserve` does."""
        with self._one if self._is_close else nullcontext():
            name = Funds.reserve(funds, number)
            made = funds.made
            if made is None or made.amount is None:
                self._is_close = True
            else:
                self._most = max(self._most, float(made.amount))
                self._is_close = (1 - made.share) * float(self.budget.amount) < _CLOSE * self._most
        return name

    def knows_price(self, funds: Funds) -> bool:
        """
        Whether the price of a job is known. What was known once stays known.

        :raises FaceSwapError: The budget could not be read.
        """
        kind = (funds.vendor, funds.kind)
        if kind not in self._priced and funds.known_price() is not None:
            self._priced.add(kind)
        return kind in self._priced


@dataclass
class StepFunds(Funds):
    """
    The money for one step of one item.

    :ivar is_first: Whether it holds the budget alone, because its price is not known.
    """

    purse: Purse | None = None
    is_first: bool = False

    def reserve(self, number: int) -> str:
        """Reserve the money for a submission."""
        return super().reserve(number) if self.purse is None else self.purse.reserve(self, number)

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
            if not await in_thread(lambda: purse.knows_price(self)):
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
    """

    def __init__(
        self, budgets: Mapping[str, Budget] | None = None, instance: Any = None, epoch: int = 0, *more: object
    ) -> None:
        self._instance, self._epoch, self._more = instance, epoch, more
        purses: dict[Budget, Purse] = {}
        self._purses = {
            conn_id: purses.setdefault(budget, Purse(budget)) for conn_id, budget in (budgets or {}).items()
        }

    def funds(self, step: PlannedStep, hook: JobHook, kind: str, key: str) -> StepFunds | None:
        """
        The money for a step of an item; ``None`` without a budget.

        :param kind: The vendor's kind of the job.
        :param key: That of its record.
        """
        if (purse := self._purses.get(hook.conn_id)) is None:
            return None
        return StepFunds(
            purse.budget,
            Buyer.of(self._instance, self._epoch, hook.conn_id, key, *self._more),
            hook.vendor.name,
            kind,
            hook.conn_id,
            hook.vendor.cost_unit,
            step.price,
            purse=purse,
        )

    def check(self, steps: tuple[PlannedStep, ...]) -> None:
        """
        Check that each step can be bought from its budget.

        :raises InvalidRequestError: A vendor charges in another unit, or reports no costs and there is no price.
        :raises FaceSwapError: A budget could not be read.
        """
        for step in steps:
            for hook in step.hooks:
                if (funds := self.funds(step, hook, step.kind, "")) is not None:
                    funds.known_price()

    def price_of(self, step: PlannedStep, hook: JobHook, kind: str) -> tuple[Decimal | None, str | None]:
        """
        What a job of a step is expected to cost, and the unit; ``None`` for what is not known.

        :param kind: The vendor's kind of the job.
        :raises FaceSwapError: A budget could not be read.
        """
        if (funds := self.funds(step, hook, kind, "")) is None:
            return step.price, hook.vendor.cost_unit or None
        return funds.known_price(), funds.budget.unit

    def sharing(self, conn_id: str) -> set[str]:
        """The connections with the budget of this one."""
        purse = self._purses.get(conn_id)
        return {other for other, its in self._purses.items() if its is purse}
