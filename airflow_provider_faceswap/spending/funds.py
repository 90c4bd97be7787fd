"""The money for one logical job of a task: reserved in a budget, and settled when the job's end is known."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.iterations import iteration_of
from airflow_provider_faceswap.jobs import JobState
from airflow_provider_faceswap.spending.amounts import as_amount, plain
from airflow_provider_faceswap.spending.warning import warn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from airflow_provider_faceswap.jobs import Cost, Job
    from airflow_provider_faceswap.spending.budget import Budget

_log = logging.getLogger(__name__)

#: Fields of a task instance that a reservation names.
_TASK = ("dag_id", "run_id", "task_id", "map_index", "try_number")


class Holder(Protocol):
    """What holds the money of reservations, by their names."""

    def bought(self, key: str, amount: Decimal | None, about: Mapping[str, Any], /) -> None:
        """The job of a reservation was accepted."""

    def settle(self, key: str, amount: Decimal | None, about: Mapping[str, Any], /) -> Any:
        """The job of a reservation has ended."""

    def release(self, key: str, /) -> None:
        """Nothing was bought with a reservation."""


@dataclass
class Buyer:
    """
    Who buys, for the reservations of a task.

    :param task: ``dag_id``, ``run_id``, ``task_id``, ``map_index``, ``try_number``.
    :param mark: What tells this task instance, since it was last cleared, from all others.
    """

    task: dict[str, Any]
    mark: str

    @classmethod
    def of(cls, instance: Any, epoch: int, *more: object) -> Buyer:
        """
        The buyer of a task instance.

        :param epoch: A number that changes when the task is cleared.
        :param more: What else tells its jobs apart, such as the connection.
        """
        task = {name: getattr(instance, name, None) for name in _TASK}
        ids = [task[name] for name in _TASK[:-1]]
        text = repr([*ids, iteration_of(instance), epoch, *more])
        return cls(task, hashlib.sha256(text.encode()).hexdigest()[:24])


@dataclass
class Funds:
    """
    The money for one logical job.

    A reservation is named ``<period>/<key>``, which a ledger's record keeps.

    :param unit: The unit in which the vendor reports costs; empty if it reports none; ``None`` if it is not known.
    :param price: What a job costs according to the author of the Dag.
    :param log: The logger.
    :param model: The model that the job names, if its kind has several.
    :ivar reservation: The name of the one that was made last.
    """

    budget: Budget
    buyer: Buyer
    vendor: str
    kind: str
    conn_id: str
    unit: str | None
    price: Decimal | None = None
    log: Any = field(default=_log, repr=False)
    model: str = ""
    reservation: str | None = None

    @property
    def priced_as(self) -> str:
        """What the price is of."""
        return f"{self.kind} {self.model}".rstrip()

    def reserve(self, number: int) -> str:
        """
        Reserve the money for a submission.

        :param number: The submission's place among those of the task, from 1: a retry that would send the same one takes
            up its reservation.
        :returns: The reservation's name.
        :raises InvalidRequestError: The vendor charges in another unit, or reports no costs and there is no price.
        :raises BudgetExceededError: It would go over the cap.
        :raises BudgetBusyError: The cost of another job is not known yet.
        :raises FaceSwapError: The budget could not be read or written.
        """
        budget, price = self.budget, self.known_price()
        account = budget.account(CLOCK.moment(), self.buyer.task)
        about = self.about(reserved_at=CLOCK.moment().isoformat())
        made = account.reserve(f"{self.buyer.mark}-{number}", price, about)
        warn(budget, account, made, about, self.log)
        self.reservation = f"{account.period.name}/{made.key}"
        return self.reservation

    def known_price(self) -> Decimal | None:
        """
        What the next job is expected to cost; ``None`` if nothing is known yet.

        :raises InvalidRequestError: The vendor charges in another unit, or reports no costs and there is no price.
        :raises FaceSwapError: The budget could not be read.
        """
        budget = self.budget
        if self.unit and self.unit != budget.unit:
            raise InvalidRequestError(
                f"budget: {self.vendor} charges in {self.unit}, and {budget.shown} is in {budget.unit}",
                vendor=self.vendor,
                advice=f"Nothing was bought. Give a budget in {self.unit}.",
            )
        price = self._price()
        if price is None and self.unit == "":
            raise InvalidRequestError(
                "budget: this vendor reports no costs, so a budget needs price",
                vendor=self.vendor,
                advice=f"Nothing was bought. Set price, in {budget.unit}.",
            )
        return price

    def _price(self) -> Decimal | None:
        """The highest cost that this budget has seen of this kind and model, else the given price."""
        try:
            seen = self.budget.prices().highest(self.vendor, self.priced_as)
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise self.budget.unreadable(error) from None
        return self.price if seen is None else seen

    def bought(self, reservation: str | None, job_id: str, cost: Cost | None) -> None:
        """Note that the job of a reservation was accepted. It never raises: the job is paid for."""

        def note(holder: Holder, key: str) -> None:
            amount = self._amount_of(cost)
            holder.bought(key, amount, self.about(job_id=job_id))
            self._saw(amount)

        self._after(reservation, note)

    def ended(self, reservation: str | None, job: Job | None, cost: Cost | None) -> None:
        """
        Settle the reservation of a job whose end is known. It never raises, and a second call does nothing.

        A failed or cancelled job costs what its vendor says at the end, else what it said at the submission.

        :param cost: What the vendor said at the submission.
        """
        if job is None or not job.state.terminal:
            return

        def settle(holder: Holder, key: str) -> None:
            amount = self._amount_of(job.cost or cost)
            holder.settle(key, amount, self.about(job_id=job.job_id))
            if job.state is JobState.SUCCEEDED:
                self._saw(amount)

        self._after(reservation, settle)

    def release(self, reservation: str | None) -> None:
        """Give a reservation back, because nothing was bought with it. It never raises."""
        self._after(reservation, lambda holder, key: holder.release(key))

    def _after(self, reservation: str | None, step: Any) -> None:
        if not reservation:
            return
        try:
            step(*self._holder_of(reservation))
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            self.log.warning(
                "The reservation %s of %s could not be settled (%s). It holds its money until a retry, or "
                "airflow faceswap budget, settles it.",
                reservation.partition("/")[2],
                self.budget.shown,
                type(error).__name__,
            )

    def _holder_of(self, reservation: str) -> tuple[Holder, str]:
        """What holds the money of a reservation, and its name there."""
        period, _, key = reservation.partition("/")
        return self.budget.account_of(period), key

    def _amount_of(self, cost: Cost | None) -> Decimal | None:
        """What a vendor charged in the budget's unit; ``None`` if it did not say."""
        if cost is None:
            return None
        if cost.unit != self.budget.unit:
            self.log.warning(
                "%s charged %s, and %s is in %s", self.vendor, cost, self.budget.shown, self.budget.unit
            )
            return None
        return as_amount("cost", max(cost.amount, 0))

    def _saw(self, amount: Decimal | None) -> None:
        if amount:
            self.budget.prices().saw(self.vendor, self.priced_as, amount)

    def about(self, **more: Any) -> dict[str, Any]:
        """What a person wants to know about the reservation."""
        return {
            **self.buyer.task,
            "vendor": self.vendor,
            "kind": self.kind,
            "conn_id": self.conn_id,
            "unit": self.budget.unit,
            "cap": plain(as_amount("amount", self.budget.amount)),
            **more,
        }
