"""Thousands of jobs in one task: as many at once as the vendor takes, each paid once, each archived at once."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from airflow_provider_faceswap.batch.item_records import ItemRecords
from airflow_provider_faceswap.batch.report import BatchReport, BufferedItemLog, failure, shown, words
from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InsufficientBalanceError,
    PermissionDeniedError,
    RateLimitError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.lifecycle.purchase import NotSubmittedError, Purchase
from airflow_provider_faceswap.lifecycle.waiting import result_of, wait_async
from airflow_provider_faceswap.telemetry.metrics import cost_of, failures_counted, job_ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from airflow_provider_faceswap.archive.store import Archived
    from airflow_provider_faceswap.batch.sharded_store import ShardedStore
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Job, JobResult, Submission
    from airflow_provider_faceswap.lifecycle.purchase import PurchasePolicy
    from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
    from airflow_provider_faceswap.vendors.messages import Request

T = TypeVar("T")

#: Seconds between two lines of progress.
REPORT_INTERVAL = 10.0
#: Items read at a time.
CHUNK = 256
#: Threads for creates, and as many for what else blocks; more jobs than these may wait at the vendor.
MOST_THREADS = 64
#: Seconds before a create that was refused for the moment is tried again, doubling up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0

#: The account's trouble, not the item's: no other item is started.
_OF_THE_ACCOUNT = (AuthenticationError, InsufficientBalanceError, PermissionDeniedError)


@dataclass
class BatchRunner:
    """
    One run through the items.

    :param hook: On the connection; its endpoint is known already.
    :param prepare: Makes an item's request.
    :param keep: Archives a result.
    :param report: Takes one JSON line for each item.
    """

    hook: JobHook
    kind: str
    records: ShardedStore | None
    policy: PurchasePolicy
    epoch: int
    concurrency: int
    timeout: float
    poll_interval: float | None
    template: Callable[[Mapping[str, Any]], SubmissionTemplate]
    prepare: Callable[[Mapping[str, Any]], Request]
    keep: Callable[[JobResult], list[Archived]]
    report: BinaryIO
    tally: BatchReport
    log: Any

    def __post_init__(self) -> None:
        #: Set once nothing more may be bought, whatever the reason.
        self.ending = False
        #: Jobs that were bought and whose ids could not be recorded.
        self.unrecorded: list[str] = []
        self.running = self.tally.running
        self._items = ItemRecords(self.records, self.epoch)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        number = min(self.concurrency, MOST_THREADS)
        self._buyers = ThreadPoolExecutor(number, thread_name_prefix="faceswap-buy")
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="faceswap-batch")

    def go(self, items: Iterable[Mapping[str, Any]]) -> None:
        """
        Run on an event loop in a thread of its own, until the end.

        Signals strike the main thread, and ``execution_timeout`` raises from one. So it does nothing but wait: what
        is raised there breaks into nothing half done, and ends the batch in order.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="faceswap-loop") as thread:
            try:
                thread.submit(copy_context().run, asyncio.run, self.run(items)).result()
            except BaseException:
                self._break_off()
                raise

    def cancel_all(self, jobs: Mapping[str, str], seconds: float) -> int:
        """
        Cancel jobs from another thread, many at a time and not for long.

        :param jobs: Ids and kinds.
        :param seconds: For all of them together.
        :returns: How many the vendor confirmed.
        """
        threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="faceswap-cancel")
        sent = [threads.submit(self.hook.cancel, job_id, kind) for job_id, kind in jobs.items()]
        ended = wait(sent, timeout=seconds).done
        threads.shutdown(wait=False, cancel_futures=True)
        return sum(cancel.exception() is None and cancel.result() for cancel in ended)

    def _break_off(self) -> None:
        self.ending = True
        if self._loop is not None and self._main is not None:
            with suppress(RuntimeError):  # it is closed: the batch has ended by itself
                self._loop.call_soon_threadsafe(self._main.cancel)

    async def run(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Go through all items; what came of them is in the tally and in the report."""
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        feed: asyncio.Queue[tuple[int, Mapping[str, Any]] | None] = asyncio.Queue(maxsize=self.concurrency)
        try:
            async with self.hook.session(), asyncio.TaskGroup() as group:
                telling = group.create_task(self._tell())
                workers = [group.create_task(self._work(feed)) for _ in range(self.concurrency)]
                async for numbered in self._ahead(items):
                    await feed.put(numbered)
                for _ in workers:
                    await feed.put(None)
                await asyncio.gather(*workers)
                telling.cancel()
        finally:
            self.ending = True
            self._threads.shutdown(wait=False, cancel_futures=True)
            # A create that was sent is waited for, whatever has ended the batch: only its thread will know the id.
            self._buyers.shutdown(wait=True, cancel_futures=True)

    async def _ahead(
        self, items: Iterable[Mapping[str, Any]]
    ) -> AsyncIterator[tuple[int, Mapping[str, Any]]]:
        """The items in chunks read by a thread, as a file in object storage may be slow."""
        numbered = enumerate(items)

        def chunk() -> list[tuple[int, Mapping[str, Any]]]:
            return list(islice(numbered, CHUNK))

        while found := await self._in_thread(chunk):
            for pair in found:
                yield pair

    async def _work(self, feed: asyncio.Queue[tuple[int, Mapping[str, Any]] | None]) -> None:
        while (numbered := await feed.get()) is not None:
            position, item = numbered
            if self.tally.stopped is not None or self.ending:
                self._note(position, item, {"status": "not started"})
                continue
            await self._item(position, item)

    async def _item(self, position: int, item: Mapping[str, Any]) -> None:
        log = BufferedItemLog(self.log, position, lambda: self.ending)
        try:
            request = await self._in_thread(lambda: self.prepare(item))
            name = self._items.name_of(self.hook, self.kind, request)
        except Exception as error:  # noqa: BLE001 - a storage raises what its own library has
            # The picture was there when all were checked.
            self._note(position, item, self._failed(log, error))
            return
        if (before := await self._in_thread(lambda: self._items.before(name))) is not None:
            self.tally.reused += before["status"] == "archived"
            self._note(position, item, before)
            return
        submission: Submission | None = None
        try:
            submission, job = await self._obtain(self._purchase(log, item, request, name), log)
            end = await self._see_through(submission, job, name)
        except NotSubmittedError:
            self._note(position, item, {"status": "not started"})
            return
        except Exception as error:
            if submission is None and type(error) is FaceSwapError:
                raise  # the ledger's: without it nothing may be bought
            if isinstance(error, _OF_THE_ACCOUNT) and error.job_id is None:
                self.tally.stopped = self.tally.stopped or error
            end = self._failed(log, error, submission)
        self._note(position, item, end)
        await self._in_thread(lambda: self._items.remember(name, end))

    def _failed(
        self, log: BufferedItemLog, error: Exception, submission: Submission | None = None
    ) -> dict[str, Any]:
        """How an item failed; one whose error nobody foresaw stops none of the others."""
        secrets = self._secrets(error)
        if not isinstance(error, FaceSwapError):
            log.warning("failed by an error of another library: %s", words(error, secrets))
        return failure(error, job_id=submission.job_id if submission else None, secrets=secrets)

    def _secrets(self, error: Exception) -> tuple[str, ...]:
        """What an error might repeat, and must not; one of this package does not."""
        return () if isinstance(error, FaceSwapError) else self.hook.endpoint().secrets

    def _purchase(
        self, log: BufferedItemLog, item: Mapping[str, Any], request: Request, name: str
    ) -> Purchase:
        return Purchase(
            self.hook,
            self._items.ledger(name),
            request,
            self.template(item),
            epoch=self.epoch,
            policy=self.policy,
            log=log,
            may_submit=lambda: not self.ending,
        )

    async def _see_through(self, submission: Submission, job: Job | None, name: str) -> dict[str, Any]:
        """Wait for a job, and archive what it made."""
        ending = await wait_async(
            self.hook,
            submission,
            first=job,
            poll_interval=self.poll_interval,
            # A line for each of thousands of jobs would hide the others.
            log=lambda _: None,
        )
        self.running.pop(submission.job_id, None)
        job_ended(submission, ending)
        if ending.is_final:
            self._items.over(name)
        cost = cost_of(submission, ending)
        if cost is not None and not submission.reused:
            self.tally.cost[cost.unit] = self.tally.cost.get(cost.unit, 0.0) + cost.amount
        result = result_of(self.hook, submission, ending)
        kept = await self._in_thread(partial(self.keep, result))
        return {
            "status": "archived",
            "job_id": result.job_id,
            "cost": result.cost.model_dump() if result.cost else None,
            "attempt_reused": result.attempt_reused,
            "files": [{"uri": file.uri, "sha256": file.sha256, "bytes": file.bytes} for file in kept],
        }

    async def _obtain(self, purchase: Purchase, log: BufferedItemLog) -> tuple[Submission, Job | None]:
        """Buy or take up; what the vendor refuses for the moment is tried again, until the item's time is over."""
        until, pause = CLOCK.now() + self.timeout, FIRST_PAUSE
        buy = partial(self._buy, purchase, log)
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._buyers, buy)
            except (RateLimitError, VendorUnavailableError) as error:
                asked = getattr(error, "retry_after", None)
                seconds = pause if asked is None else max(asked, FIRST_PAUSE)
                if CLOCK.now() + seconds > until or self.tally.stopped is not None or self.ending:
                    raise
                log.warning("not accepted now, trying again in %.0f s: %s", seconds, error.message)
                await CLOCK.asleep(seconds)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _buy(self, purchase: Purchase, log: BufferedItemLog) -> tuple[Submission, Job | None]:
        """Buy or take up, in a thread, which goes on to its end whatever becomes of the batch meanwhile."""
        try:
            with failures_counted(self.hook.vendor.name, self.kind):
                submission, job = purchase.resume_or_submit()
        except NotSubmittedError:
            raise
        except Exception as error:
            log.tell()
            unrecorded = error.job_id if type(error) is FaceSwapError else None
            if unrecorded is not None:
                self.unrecorded.append(unrecorded)
                self.running[unrecorded] = self.kind
            if unrecorded is not None or self.ending:  # nobody else may be left to tell it
                log.warning("%s", words(error, self._secrets(error)))
            raise
        self.running[submission.job_id] = submission.kind
        return submission, job

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # -- telling --------------------------------------------------------------------------------------

    def _note(self, position: int, item: Mapping[str, Any], end: Mapping[str, Any]) -> None:
        self.tally.told += 1
        if end["status"] == "archived":
            self.tally.archived += 1
        elif end["status"] == "failed":
            self.tally.failed += 1
            self.tally.errors[end["error"]] += 1
        line = {
            "position": position,
            **{key: value for key, value in end.items() if key not in {"final", "epoch"}},
        }
        self.report.write((json.dumps({**line, "item": shown(item)}, ensure_ascii=False) + "\n").encode())

    async def _tell(self) -> None:
        begun, before = CLOCK.now(), None
        while True:
            await CLOCK.asleep(REPORT_INTERVAL)
            before = self.tally.reused if before is None else before
            self.log.info(self.tally.line(CLOCK.now() - begun, self.tally.ended - before))
