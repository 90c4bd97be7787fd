"""One budget in one batch: blocks of money, and the part of each job in them."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.batch.left_blocks import AT, has_uncertain, is_of, left_blocks, split
from airflow_provider_faceswap.batch.prices import BatchPrices
from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.spending.amounts import plain
from airflow_provider_faceswap.spending.blocks import JOBS, MARK, Block
from airflow_provider_faceswap.spending.book import Entry, Stage
from airflow_provider_faceswap.spending.warning import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from decimal import Decimal

    from airflow_provider_faceswap.batch.item_records import ItemRecords
    from airflow_provider_faceswap.batch.money import StepFunds
    from airflow_provider_faceswap.spending.account import Account
    from airflow_provider_faceswap.spending.budget import Budget
    from airflow_provider_faceswap.spending.funds import Buyer

#: Seconds between two writes of what is known about the jobs of a block.
GAP = 1.0
#: What a block says about each of its jobs.
_ABOUT_JOB = ("vendor", "kind", "conn_id", "job_id")


class Purse:
    """
    One budget in one batch. Safe to use from many threads.

    Which job has money of a block is in the record of its intent, which is written before the job is submitted. So the
    block itself need not be written for each job, and the next attempt knows what is free.

    :param buyer: The task instance, since it was last cleared.
    :param log: The logger.
    :param earlier: The marks that the buyer had before.
    :ivar most: How many jobs a block is for.
    """

    def __init__(self, budget: Budget, buyer: Buyer, log: Any, earlier: Iterable[str] = ()) -> None:
        self.budget = budget
        self.buyer = buyer
        self._log = log
        self._earlier = earlier
        self.prices = BatchPrices()
        self.most: Callable[[], int] = lambda: 1
        #: Held while a job of unknown price runs: the budget takes no other reservation then.
        self.unpriced = asyncio.Lock()
        #: Held while money is taken, and with it while a block is reserved.
        self._taking = threading.Lock()
        #: Guards the blocks.
        self._lock = threading.RLock()
        #: By the name of the reservation. Those of another period or of another attempt since a clear are only settled.
        self._blocks: dict[str, Block] = {}
        self._own: set[str] = set()
        #: The block that was reserved last.
        self._last = ""
        self._written_at = CLOCK.monotonic()

    # -- before a purchase --------------------------------------------------------------------------------

    def reserve(self, funds: StepFunds, number: int) -> str:
        """Take the money for one job, as :meth:`~airflow_provider_faceswap.spending.funds.Funds.reserve` reserves it."""
        text = hashlib.sha256(f"{funds.conn_id} {funds.key}".encode()).hexdigest()[:16]
        with self._taking:
            period = self.budget.period(CLOCK.moment(), self.buyer.task).name
            price = self.prices.of(funds)
            if price is not None and (name := self._taken(period, f"{text}-{number}", price, funds)):
                return name
            # Other tasks may have seen a higher one since.
            price = self.prices.of(funds, again=True)
            self._release_free()
            period = self._reserve_block(price)
            return self._taken(period, f"{text}-{number}", price, funds)

    def _taken(self, period: str, job: str, price: Decimal | None, funds: StepFunds) -> str:
        """Take money of a block for a job; empty if none has enough."""
        with self._lock:
            for name in sorted(self._own, key=lambda one: one == self._last):
                block = self._blocks[name]
                enough = block.amount is None and not block.parts if price is None else block.free >= price
                if block.account.period.name != period or not enough:
                    continue
                # The record of the job has this name. So the next attempt knows the price, though the block need not say it.
                end = "" if price is None else f"{AT}{plain(price)}"
                while f"{job}{end}" in block.parts:
                    # Bought before, by an attempt of which no record is left: that money stays held.
                    job += "-again"
                block.hold(f"{job}{end}", price, _about_job(funds.about()))
                return f"{name}{MARK}{job}{end}"
        return ""

    def _release_free(self) -> None:
        """
        Release what no job has, before more is reserved.

        What is too little for one job in each of several blocks may be enough in all. A block of unknown price that no job
        has would keep every job waiting.
        """
        with self._lock:
            for name in list(self._own):
                block = self._blocks[name]
                if not block.free and block.parts:
                    continue
                with suppress(FaceSwapError):  # It stays reserved until the next try.
                    if block.close():
                        self._own.discard(name)
                        del self._blocks[name]

    def _reserve_block(self, price: Decimal | None) -> str:
        """
        Reserve a block.

        :returns: The name of its period.
        """
        jobs = max(1, self.most()) if price is not None else 1
        account = self.budget.account(CLOCK.moment(), self.buyer.task)
        about = {
            **self.buyer.task,
            "unit": self.budget.unit,
            "cap": plain(account.cap.amount),
            "price": None if price is None else plain(price),
            "reserved_at": CLOCK.moment().isoformat(),
            JOBS: {},
        }
        key = f"{self.buyer.mark}-{uuid.uuid4().hex[:8]}"
        made = account.reserve(key, None if price is None else price * jobs, about, each=price)
        warn(self.budget, account, made, about, self._log)
        with self._lock:
            self._last = self._add(
                account, Block(account, Entry(made.key, Stage.RESERVED, made.amount), about)
            )
            self._own.add(self._last)
        return account.period.name

    def _add(self, account: Account, block: Block) -> str:
        name = f"{account.period.name}/{block.entry.key}"
        self._blocks[name] = block
        return name

    # -- after a purchase ---------------------------------------------------------------------------------

    def bought(self, name: str, amount: Decimal | None, about: Mapping[str, Any]) -> None:
        """
        Note that the job of a reservation was accepted.

        :param amount: What the vendor says that it costs; ``None``: the amount that is held.
        :raises Exception: The storage's own error.
        """
        with self._lock:
            block, job = self._of(name)
            block.bought(job, amount, _about_job(about))
            self._note(block)

    def settle(self, name: str, amount: Decimal | None, about: Mapping[str, Any]) -> None:
        """
        Note that the job of a reservation has ended. A second call does nothing.

        :param amount: What was charged; ``None`` if the vendor did not say: the amount that is held.
        :raises Exception: The storage's own error.
        """
        with self._lock:
            block, job = self._of(name)
            part = block.parts.get(job)
            if part is None or part.ended:
                return
            is_other = amount is not None and amount != part.amount
            block.ended(job, amount, _about_job(about))
            # The next attempt knows by the record that the job has ended, and not what it cost.
            self._note(block, now=is_other or block.amount is None)

    def release(self, name: str) -> None:
        """
        Free the money of a reservation, because nothing was bought with it.

        :raises Exception: The storage's own error.
        """
        with self._lock:
            block, job = self._of(name)
            block.give_back(job)

    def _note(self, block: Block, *, now: bool = False) -> None:
        """Write this block if others must know it now, else all that have changed, once in a while."""
        if now or block.total != block.entry.amount:
            self._write(block)
        elif CLOCK.monotonic() - self._written_at >= GAP:
            self.write()

    def write(self) -> None:
        """
        Write every block of whose jobs more is known.

        :raises Exception: The storage's own error.
        """
        with self._lock:
            self._written_at = CLOCK.monotonic()
            for block in list(self._blocks.values()):
                if block.is_changed:
                    self._write(block)

    def _write(self, block: Block) -> None:
        name = f"{block.account.period.name}/{block.entry.key}"
        may_close = name in self._own and name != self._last and not block.open_jobs
        if block.close() if may_close else block.write():
            self._own.discard(name)
            del self._blocks[name]

    def _of(self, name: str) -> tuple[Block, str]:
        """
        The block of a reservation, and the key of the job in it.

        :raises LookupError: There is no such block any more.
        :raises Exception: The storage's own error.
        """
        name, job = split(name)
        if name not in self._blocks:
            period, _, key = name.partition("/")
            account = self.budget.account_of(period)
            entry = account.book.standing().entries.get(key)
            if entry is None or entry.stage is Stage.SPENT:
                # Settled: the second time does nothing.
                return Block(account, Entry(key, Stage.SPENT, None), {}), job
            self._add(account, Block.found(account, entry))
        return self._blocks[name], job

    # -- the attempts before and after ----------------------------------------------------------------------

    def take_up(self, records: ItemRecords) -> None:
        """
        Take up the blocks that an earlier attempt left.

        :raises FaceSwapError: The budget could not be read or written.
        :raises Exception: The error of the records' store.
        """
        account = self.budget.account(CLOCK.moment(), self.buyer.task)
        for block in left_blocks(self.budget, account, self.buyer.mark, self._earlier, records):
            if is_of(block, self.buyer.mark):
                self._own.add(self._add(account, block))
            elif not block.close():
                # Its jobs are settled, and nothing more is bought from it.
                self._add(account, block)
            if has_uncertain(block):
                # The record that says so may be replaced before the next write.
                block.write()

    def close(self) -> None:
        """
        Release what no job has, and settle what is over.

        :raises Exception: A storage's own error.
        """
        with self._lock:
            for name in list(self._own):
                self._blocks[name].close()
            self._own.clear()
            self.write()


def _about_job(about: Mapping[str, Any]) -> dict[str, Any]:
    return {name: about[name] for name in _ABOUT_JOB if about.get(name)}
