"""Thousands of jobs in one task: many at the same time, each paid for once and archived when it is done."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, nullcontext, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_faceswap.batch.ending import broken_off, report_left_behind
from airflow_provider_faceswap.batch.item_log import FailedItemLog
from airflow_provider_faceswap.batch.item_records import ItemRecords
from airflow_provider_faceswap.batch.item_run import NOT_STARTED, ItemRun
from airflow_provider_faceswap.batch.limits import AccountLimit, allowed_jobs
from airflow_provider_faceswap.batch.money import BatchMoney
from airflow_provider_faceswap.batch.report import NO_MONEY, BatchReport, skipped_end
from airflow_provider_faceswap.foundation.clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from airflow_provider_faceswap.archive.index import Index
    from airflow_provider_faceswap.archive.store import Archive
    from airflow_provider_faceswap.batch.items import BatchItem
    from airflow_provider_faceswap.batch.manifest import BatchManifest
    from airflow_provider_faceswap.batch.options import JobOptions
    from airflow_provider_faceswap.batch.sharded_store import ShardedStore
    from airflow_provider_faceswap.exceptions import FaceSwapError
    from airflow_provider_faceswap.hooks.base import JobHook

T = TypeVar("T")

#: Seconds between two lines of progress.
REPORT_INTERVAL = 10.0
#: Items that are read at a time.
CHUNK = 256
#: Threads for submissions, and as many for other calls that block. More jobs than these may wait at the vendor.
MAX_THREADS = 64


@dataclass
class BatchRunner:
    """
    One pass over the items.

    :param records: The store of the items' records; ``None`` if there is none.
    :param concurrency: Maximum number of jobs at the same time.
    :param log: The task's logger.
    :param wrong: What is wrong with an item that is to be left out, by its position.
    :param money: The budgets that jobs are bought from.
    :param index: The archive's, if jobs that were archived before are not to be bought again.
    :param owner: The task instance, the same in all its attempts, for claims in the index.
    """

    jobs: JobOptions
    records: ShardedStore | None
    archive: Archive
    manifest: BatchManifest
    report: BatchReport
    concurrency: int
    log: Any
    wrong: Mapping[int, str] = field(default_factory=dict)
    money: BatchMoney = field(default_factory=BatchMoney)
    index: Index | None = None
    owner: str = ""

    def __post_init__(self) -> None:
        #: True once nothing more may be submitted, whatever the reason.
        self.ending = False
        self.running = self.report.running
        self._lines = FailedItemLog(self.log, self.manifest.uri)
        #: Jobs that were submitted and whose ids could not be recorded at once.
        self.unrecorded: list[str] = []
        self.item_records = ItemRecords(self.records, self.jobs.epoch)
        self._limits: dict[str, AccountLimit] = {}
        #: Connections whose account can take no job.
        self._broken: set[str] = set()
        #: Connections whose budget has nothing left.
        self._without_money: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        number = min(self.concurrency, MAX_THREADS)
        self.submitters = ThreadPoolExecutor(number, thread_name_prefix="faceswap-submit")
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="faceswap-batch")

    def go(self, items: Iterable[BatchItem]) -> None:
        """
        Go through all items. The counters are in the report, and the end of each item is in the manifest.

        :raises BaseException: The error that stopped the batch early; if there were several, all are in the log.
        """
        try:
            with self.records or nullcontext():
                self.money.begin(self.item_records, self._jobs_left)
                try:
                    self._go_in_thread(items)
                finally:
                    self.money.close()
                report_left_behind(self)
        except BaseException as raised:  # noqa: BLE001 - Airflow's timeout is not an Exception
            errors = raised.exceptions if isinstance(raised, BaseExceptionGroup) else (raised,)
            # The log has the others. A traceback would show what their lines there hide.
            raise broken_off(self, errors) from None

    def _jobs_left(self) -> int:
        """How many jobs may still be submitted, at most as many as run at the same time."""
        left = (self.report.total - self.report.seen) * len(self.jobs.steps) - len(self.running)
        known = [limit.number for limit in self._limits.values() if limit.number is not None]
        # More than this if an account has no limit, or has had no job yet.
        allowed = sum(known) if len(known) == len(self.jobs.hooks) else self.concurrency
        return min(self.concurrency, allowed, left)

    def unrecorded_jobs(self) -> list[str]:
        """The ids of jobs that a retry cannot find, once the batch is over."""
        if self.records is None:
            return list(self.running)
        return [] if self.records.is_written else self.unrecorded

    def _go_in_thread(self, items: Iterable[BatchItem]) -> None:
        """
        Run on an event loop in a thread of its own.

        Signals interrupt the main thread, and ``execution_timeout`` raises from a signal. So the main thread only
        waits: an error that is raised there interrupts nothing halfway, and the batch ends in order.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="faceswap-loop") as thread:
            try:
                thread.submit(copy_context().run, asyncio.run, self.run(items)).result()
            except BaseException:
                self.ending = True
                if self._loop is not None and self._main is not None:
                    with suppress(RuntimeError):  # the loop is closed: the batch has ended
                        self._loop.call_soon_threadsafe(self._main.cancel)
                raise

    async def run(self, items: Iterable[BatchItem]) -> None:
        """Go through all items on the running event loop."""
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        queue: asyncio.Queue[BatchItem | None] = asyncio.Queue(maxsize=self.concurrency)
        try:
            async with AsyncExitStack() as sessions, asyncio.TaskGroup() as group:
                for hook in self.jobs.hooks:
                    await sessions.enter_async_context(hook.session())
                progress = group.create_task(self._log_progress())
                workers = [group.create_task(self._work(queue)) for _ in range(self.concurrency)]
                async for item in self._read(items):
                    await queue.put(item)
                for _ in workers:
                    await queue.put(None)
                await asyncio.gather(*workers)
                progress.cancel()
        finally:
            self.ending = True
            self._threads.shutdown(wait=False, cancel_futures=True)
            # Wait for every submission that was sent, whatever ended the batch: only its thread gets the job id.
            self.submitters.shutdown(wait=True, cancel_futures=True)

    async def _read(self, items: Iterable[BatchItem]) -> AsyncIterator[BatchItem]:
        """The items, read in chunks by a thread, because a file in object storage may be slow."""
        iterator = iter(items)
        while chunk := await self.in_thread(lambda: list(islice(iterator, CHUNK))):
            for item in chunk:
                yield item

    async def _work(self, queue: asyncio.Queue[BatchItem | None]) -> None:
        while (item := await queue.get()) is not None:
            if self.report.stopped is not None or self.ending:
                self.add(item, NOT_STARTED)
            elif (reason := self.wrong.get(item.position)) is not None:
                self.add(item, skipped_end(reason))
            else:
                await ItemRun(self, item).go()

    def add(self, item: BatchItem, end: Mapping[str, Any]) -> None:
        """Take note of how an item ended, in the report, the manifest and the log."""
        self.report.add(end)
        self.manifest.add(item, end)
        self._lines.add(item.label, end)

    # -- what the runs of items ask -------------------------------------------------------------------

    def may_submit(self, conn_id: str, *, has_money: bool = False) -> bool:
        """
        Whether a job may be submitted now at a connection.

        :param has_money: Whether its money is reserved: it needs no more of a budget that has none left.
        """
        is_empty = conn_id in self._without_money and not has_money
        return not (self.ending or conn_id in self._broken or is_empty)

    def stop(self, conn_id: str, error: FaceSwapError) -> None:
        """Start no more items, because of an error of an account, which every other item would have too."""
        self.report.stopped = self.report.stopped or error
        if isinstance(error, NO_MONEY):
            self._without_money |= self.money.sharing(conn_id)
        elif self.jobs.is_chain:
            # Items that are between two steps do not send it what it would refuse.
            self._broken.add(conn_id)

    def limit_of(self, hook: JobHook) -> AccountLimit:
        """How many jobs there may be at a connection."""
        read = partial(allowed_jobs, hook, self.concurrency, self.log)
        return self._limits.setdefault(hook.conn_id, AccountLimit(partial(self.in_thread, read)))

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do what blocks, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _log_progress(self) -> None:
        start, reused = CLOCK.monotonic(), None
        while True:
            await CLOCK.asleep(REPORT_INTERVAL)
            reused = self.report.reused if reused is None else reused
            self.log.info(self.report.line(CLOCK.monotonic() - start, self.report.ended - reused))
            await self.in_thread(self.money.write)
