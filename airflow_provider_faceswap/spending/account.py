"""
One period of a budget: reserve, and settle.

A reservation is an object that is written before the sum of all is read. If the sum is over the cap, it is withdrawn. So of
two processes at least one sees the other: both may back off, and never do both go over.
"""

from __future__ import annotations

import logging
import random
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import BudgetBusyError, FaceSwapError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.spending.book import FOLD_AT, Book, Entry, Stage
from airflow_provider_faceswap.spending.room import left_for, may_be_withdrawn, refusal_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.spending.book import Standing
    from airflow_provider_faceswap.spending.periods import Period
    from airflow_provider_faceswap.spending.room import Cap

_log = logging.getLogger(__name__)

#: Times that a reservation is made again because younger ones of others may be withdrawn.
TRIES = 12
#: Seconds to wait, in all, for the cost of another job, if it is the first of its kind.
PATIENCE = 60.0
#: Seconds between two looks, at first and at most; they double.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

#: The next step after an error of the storage: before a purchase, and after one.
_NOT_RESERVED = "Nothing was bought. Retry when its storage works again."
_STAYS = "The reservation holds its money. Settle it when its storage works again: airflow faceswap budget."


@dataclass(frozen=True)
class Reservation:
    """
    Money that is held for a job, or for a block of jobs.

    :param key: What tells it from all others.
    :param amount: ``None`` if the price is not known yet.
    :param share: The share of the cap that is spent or reserved, with this one; and without it.
    """

    key: str
    amount: Decimal | None
    share: float
    before: float


class Account:
    """
    One period of a budget.

    :param folder: The budget's folder.
    """

    def __init__(self, folder: ObjectStoragePath, period: Period, cap: Cap) -> None:
        self.period = period
        self.cap = cap
        self.book = Book(folder / period.name)

    # -- before a purchase --------------------------------------------------------------------------------

    def reserve(
        self, key: str, amount: Decimal | None, about: Mapping[str, Any], *, each: Decimal | None = None
    ) -> Reservation:
        """
        Reserve money, or take up the reservation that an earlier attempt made under this key.

        :param key: Letters, digits and hyphens; the same in every attempt that would buy the same job.
        :param amount: ``None`` if the price is not known: then no other reservation of this budget may have an unknown
            price, so that jobs are bought one at a time until the first cost is known.
        :param each: The price of one job, if this is for several: where there is room for fewer, fewer are reserved.
        :param about: What a person wants to know about it: ``dag_id``, ``run_id``, ``task_id``, ...
        :raises BudgetExceededError: It would go over the cap. Nothing is reserved.
        :raises BudgetBusyError: The cost of another job is not known yet. Nothing is reserved.
        :raises FaceSwapError: The budget could not be read or written.
        """
        began, pause = CLOCK.monotonic(), _FIRST_PAUSE
        for number in count(1):
            entry = Entry(key, Stage.RESERVED, amount)
            standing = self._written(entry, about)
            found = standing.entries[key]
            if found.stage is not Stage.RESERVED or key in standing.totals.covered:
                # Bought before, by an attempt of which no record is left: that money stays held, or is in the totals.
                self._withdraw(entry)
                key += "-again"
                continue
            for other in standing.behind:
                if other.key == key:  # of an attempt that expected another price
                    self._withdraw(other)
            refusal = refusal_of(self.cap, self.period, self.book, standing, found, each=each)
            if refusal is None and (fits := left_for(self.cap, standing, found, each)) == found.amount:
                return self._reservation(standing, found)
            self._withdraw(found)
            if refusal is None:
                amount = fits
                continue
            waited = CLOCK.monotonic() - began
            if isinstance(refusal, BudgetBusyError):
                is_last = waited > PATIENCE
            else:
                is_last = number >= TRIES or not may_be_withdrawn(self.cap, standing, found, each)
            if is_last:
                raise refusal
            CLOCK.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - only to be out of step
            pause = min(pause * 2, _LONGEST_PAUSE)
        raise AssertionError  # pragma: no cover - the loop above ends by itself

    def _written(self, entry: Entry, about: Mapping[str, Any]) -> Standing:
        """The period after an entry was written."""
        with self._reachable("written"):
            self.book.put(entry, about)
        try:
            with self._reachable("read"):
                standing = self.book.standing()
                if entry.key not in standing.entries:
                    raise LookupError("what was written is not listed")
        except FaceSwapError:
            self._withdraw(entry)
            raise
        return standing

    def _reservation(self, standing: Standing, own: Entry) -> Reservation:
        before = standing.sum_of(*Stage, without=own.key)
        cap = self.cap.amount or Decimal(1)
        return Reservation(
            own.key,
            own.amount,
            share=float((before + (own.amount or 0)) / cap),
            before=float(before / cap),
        )

    def _withdraw(self, entry: Entry) -> None:
        try:
            self.book.remove(entry)
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            _log.warning(
                "%s: the reservation %s could not be withdrawn (%s). It holds its money until a retry takes it up, or "
                "airflow faceswap budget settles it.",
                self.cap.shown,
                entry.name,
                error_line(error),
            )

    # -- after a purchase ---------------------------------------------------------------------------------

    def bought(self, key: str, amount: Decimal | None, about: Mapping[str, Any]) -> None:
        """
        Note that the job of a reservation was accepted.

        :param amount: What the vendor says that it costs; ``None``: the amount that was reserved.
        :raises FaceSwapError: The budget could not be read or written.
        """
        with self._reachable("written", _STAYS):
            old = _open(self.book.standing(), key)
            if amount is None and old:
                amount = max(old, key=lambda entry: entry.stage).amount
            new = Entry(key, Stage.BOUGHT, amount)
            self.book.put(new, about)
            self._remove_but(new, old)

    def change(self, old: Entry, new: Entry, about: Mapping[str, Any]) -> None:
        """
        Write a reservation again: what is known about it, its amount, its stage.

        :param old: As it was written last, by this process.
        :raises FaceSwapError: The budget could not be read or written.
        """
        with self._reachable("written", _STAYS):
            self.book.put(new, about)
            self._remove_but(new, [old])

    def settle(self, key: str, amount: Decimal | None, about: Mapping[str, Any]) -> bool:
        """
        Turn a reservation into what was charged. A second call does nothing.

        :param amount: 0 gives all of it back; ``None`` if the vendor did not say: the amount that was reserved.
        :returns: False if there is no such reservation any more.
        :raises FaceSwapError: The budget could not be read or written.
        """
        with self._reachable("written", _STAYS):
            standing = self.book.standing()
            if not (old := _open(standing, key)):
                return False
            if amount is None:
                amount = max(old, key=lambda entry: entry.stage).amount
            if amount is None:
                # It keeps others waiting, until a person says what it was.
                new = Entry(key, Stage.BOUGHT, None)
                self.book.put(new, {**about, "ended": True})
                self._remove_but(new, old)
                return True
            if amount:
                self.book.put(Entry(key, Stage.SPENT, amount), about)
            for entry in old:
                self.book.remove(entry)
        if sum(entry.stage is Stage.SPENT for entry in standing.entries.values()) >= FOLD_AT:
            with suppress(Exception):
                self.book.fold(self.book.standing())
        return True

    def release(self, key: str) -> None:
        """
        Give a reservation back, because nothing was bought with it.

        :raises FaceSwapError: The budget could not be read or written.
        """
        with self._reachable("written", _STAYS):
            for entry in _open(self.book.standing(), key):
                self.book.remove(entry)

    def _remove_but(self, kept: Entry, entries: list[Entry]) -> None:
        for entry in entries:
            if (entry.stage, entry.name) != (kept.stage, kept.name):
                self.book.remove(entry)

    @contextmanager
    def _reachable(self, done: str, advice: str = _NOT_RESERVED) -> Iterator[None]:
        """Make an error of the storage one of the budget."""
        try:
            yield
        except FaceSwapError:
            raise
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise FaceSwapError(
                f"{self.cap.shown} could not be {done} ({error_line(error)})",
                advice=advice,
            ) from None


def _open(standing: Standing, key: str) -> list[Entry]:
    """The entries of a reservation that is not settled yet, or that were left behind when it was."""
    entries = [standing.entries.get(key), *(entry for entry in standing.behind if entry.key == key)]
    return [entry for entry in entries if entry is not None and entry.stage is not Stage.SPENT]
