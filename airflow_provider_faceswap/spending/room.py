"""Whether there is room under the cap of a period for a reservation that was written."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_faceswap.exceptions import BudgetBusyError, BudgetExceededError
from airflow_provider_faceswap.spending.amounts import plain
from airflow_provider_faceswap.spending.book import Stage

if TYPE_CHECKING:
    from airflow_provider_faceswap.exceptions import FaceSwapError
    from airflow_provider_faceswap.spending.book import Book, Entry, Standing
    from airflow_provider_faceswap.spending.periods import Period

#: Seconds within which another reservation may still be withdrawn by the process that wrote it.
YOUNG = 3.0


@dataclass(frozen=True)
class Cap:
    """
    What a period may cost.

    :param amount: In ``unit``.
    :param shown: The budget as messages name it.
    """

    amount: Decimal
    unit: str
    shown: str


def left_for(cap: Cap, standing: Standing, own: Entry, each: Decimal | None) -> Decimal | None:
    """
    How much of its amount an entry may keep.

    :param each: The price of one job, if the entry is for several: of these, as many as fit.
    """
    if own.amount is None or not each:
        return own.amount
    return min(own.amount, _left(cap, standing, own) // each * each)


def refusal_of(
    cap: Cap, period: Period, book: Book, standing: Standing, own: Entry, *, each: Decimal | None
) -> FaceSwapError | None:
    """
    Why an entry may not stay; ``None`` if it may, or if it is for several jobs and one of them fits.

    :param standing: The period, read after the entry was written.
    """
    if others := standing.unknown(own.key):
        return BudgetBusyError(
            f"{cap.shown}: the cost of {len(others)} other job{'s' * (len(others) > 1)} is not known yet",
            advice="Nothing was bought. "
            + (
                "One has ended without a cost: settle it with airflow faceswap budget, and set price."
                if any(book.read(other).get("ended") for other in others)
                else "Retry later. If that job is over, settle it with airflow faceswap budget. Where every task has a "
                "price, none waits for the cost of another's job."
            ),
        )
    left, needed = _left(cap, standing, own), each or own.amount
    if left > 0 if needed is None else left >= needed:
        return None
    spent = standing.sum_of(Stage.SPENT)
    held = standing.sum_of(Stage.RESERVED, Stage.BOUGHT, without=own.key)
    needs = "whose price is not known yet" if needed is None else f"of {plain(needed)} {cap.unit}"
    return BudgetExceededError(
        f"{cap.shown}: {plain(spent)} {cap.unit} spent and {plain(held)} {cap.unit} reserved, "
        f"so there is no room for a job {needs}",
        period_end=period.end,
        advice="Nothing was bought. "
        + (
            f"The next period begins at {period.end.isoformat()}. Clear the task then, or raise the amount."
            if period.end
            else "Raise the amount, then clear the task."
        ),
    )


def may_be_withdrawn(cap: Cap, standing: Standing, own: Entry, each: Decimal | None) -> bool:
    """True if others wrote reservations just now, which they may have to withdraw, and this one would fit then."""
    needed = each or own.amount or Decimal(0)
    firm = standing.sum_of(Stage.SPENT, Stage.BOUGHT)
    for entry in standing.entries.values():
        young = own.written is None or entry.written is None or own.written - entry.written < YOUNG
        if entry.key != own.key and entry.stage is Stage.RESERVED and not young:
            firm += entry.amount or 0
    return firm + needed <= cap.amount and firm < cap.amount


def _left(cap: Cap, standing: Standing, own: Entry) -> Decimal:
    return cap.amount - standing.sum_of(*Stage, without=own.key)
