"""The prices that one batch knows, by vendor and kind. Safe to use from many threads."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_faceswap.spending.funds import Funds


class BatchPrices:
    """The prices of a batch from one budget. What was known once stays known until a job costs more."""

    def __init__(self) -> None:
        self._lock = Lock()
        #: By vendor, kind, and the price that the Dag gives.
        self._known: dict[tuple[str, str, Decimal | None], Decimal] = {}
        #: The highest cost that this batch has seen.
        self._seen: dict[tuple[str, str], Decimal] = {}

    def of(self, funds: Funds, *, again: bool = False) -> Decimal | None:
        """
        The price of a job; ``None`` if it is not known.

        :param again: Ask the budget, whose price may be higher by now.
        :raises FaceSwapError: The budget could not be read.
        """
        kind = (funds.vendor, funds.priced_as, funds.price)
        price = None if again else self._known.get(kind)
        if price is None and (price := funds.known_price()) is not None:
            with self._lock:
                self._known[kind] = price
        return price

    def is_highest(self, funds: Funds, amount: Decimal) -> bool:
        """Whether a cost is the highest of its kind that this batch has seen."""
        kind = (funds.vendor, funds.priced_as)
        with self._lock:
            is_highest = amount > self._seen.get(kind, 0)
            self._seen[kind] = max(amount, self._seen.get(kind, amount))
        return is_highest

    def forget(self, funds: Funds) -> None:
        """Ask the budget for the price of this kind before the next job."""
        with self._lock:
            self._known = {
                key: price for key, price in self._known.items() if key[:2] != (funds.vendor, funds.priced_as)
            }
