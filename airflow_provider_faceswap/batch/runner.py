"""Thousands of jobs in one task: many at the same time, each paid for once and archived when it is done."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_faceswap.archive.sources import sources_of
from airflow_provider_faceswap.batch.ending import broken_off, report_left_behind
from airflow_provider_faceswap.batch.item_records import ItemRecords
from airflow_provider_faceswap.batch.report import (
    BatchReport,
    BufferedItemLog,
    FailedItemLog,
    describe,
    failed_end,
    skipped_end,
)
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

    from airflow_provider_faceswap.archive.manifest import Archived
    from airflow_provider_faceswap.archive.store import Archive
    from airflow_provider_faceswap.batch.items import BatchItem
    from airflow_provider_faceswap.batch.manifest import BatchManifest
    from airflow_provider_faceswap.batch.options import JobOptions
    from airflow_provider_faceswap.batch.sharded_store import ShardedStore
    from airflow_provider_faceswap.jobs import Job, JobResult, Submission
    from airflow_provider_faceswap.vendors.messages import Request

T = TypeVar("T")

#: Seconds between two lines of progress.
REPORT_INTERVAL = 10.0
#: Items that are read at a time.
CHUNK = 256
#: Threads for submissions, and as many for other calls that block. More jobs than these may wait at the vendor.
MAX_THREADS = 64
#: Seconds until a submission that was refused for the moment is sent again; they double up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0

#: Errors of the account, which every other item would have too.
_ACCOUNT_ERRORS = (AuthenticationError, InsufficientBalanceError, PermissionDeniedError)
_NOT_STARTED = {"status": "not started"}


@dataclass
class BatchRunner:
    """
    One pass over the items.

    :param records: The store of the items' records; ``None`` if there is none.
    :param concurrency: Maximum number of jobs at the same time.
    :param log: The task's logger.
    :param wrong: What is wrong with an item that is to be left out, by its position.
    """

    jobs: JobOptions
    records: ShardedStore | None
    archive: Archive
    manifest: BatchManifest
    report: BatchReport
    concurrency: int
    log: Any
    wrong: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        #: True once nothing more may be submitted, whatever the reason.
        self.ending = False
        self.running = self.report.running
        self._lines = FailedItemLog(self.log, self.manifest.uri)
        #: Jobs that were submitted and whose ids could not be recorded at once.
        self._unrecorded: list[str] = []
        self.item_records = ItemRecords(self.records, self.jobs.epoch)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        number = min(self.concurrency, MAX_THREADS)
        self._submitters = ThreadPoolExecutor(number, thread_name_prefix="faceswap-submit")
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="faceswap-batch")

    def go(self, items: Iterable[BatchItem]) -> None:
        """
        Go through all items. The counters are in the report, and the end of each item is in the manifest.

        :raises BaseException: The error that stopped the batch early; if there were several, all are in the log.
        """
        try:
            with self.records or nullcontext():
                self._go_in_thread(items)
                report_left_behind(self)
        except BaseException as raised:  # noqa: BLE001 - Airflow's timeout is not an Exception
            errors = raised.exceptions if isinstance(raised, BaseExceptionGroup) else (raised,)
            # The log has the others. A traceback would show what their lines there hide.
            raise broken_off(self, errors) from None

    def unrecorded_jobs(self) -> list[str]:
        """The ids of jobs that a retry cannot find, once the batch is over."""
        if self.records is None:
            return list(self.running)
        return [] if self.records.is_written else self._unrecorded

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
            async with self.jobs.hook.session(), asyncio.TaskGroup() as group:
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
            self._submitters.shutdown(wait=True, cancel_futures=True)

    async def _read(self, items: Iterable[BatchItem]) -> AsyncIterator[BatchItem]:
        """The items, read in chunks by a thread, because a file in object storage may be slow."""
        iterator = iter(items)
        while chunk := await self._in_thread(lambda: list(islice(iterator, CHUNK))):
            for item in chunk:
                yield item

    async def _work(self, queue: asyncio.Queue[BatchItem | None]) -> None:
        while (item := await queue.get()) is not None:
            if self.report.stopped is not None or self.ending:
                self._add(item, _NOT_STARTED)
            else:
                await self._process(item)

    async def _process(self, item: BatchItem) -> None:
        if (reason := self.wrong.get(item.position)) is not None:
            self._add(item, skipped_end(reason))
            return
        log = BufferedItemLog(self.log, item.position, lambda: self.ending)
        try:
            request = await self._in_thread(lambda: self.jobs.request(item))
            key = self.item_records.key_of(self.jobs.hook, self.jobs.kind, request)
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            # The picture was there when all items were checked.
            self._add(item, self._failed(error))
            return
        if (end := await self._in_thread(lambda: self.item_records.earlier_end(key))) is not None:
            self.report.reused += end["status"] == "archived"
            self.report.add_cost(end.get("cost"), earlier=True)
            self._add(item, end)
            return
        submission: Submission | None = None
        try:
            submission, job = await self._obtain(self._purchase(log, item, request, key), log)
            end = await self._finish(item, submission, job, key)
        except NotSubmittedError:
            self._add(item, _NOT_STARTED)
            return
        except Exception as error:
            if submission is None and type(error) is FaceSwapError:
                raise  # the ledger's: without it nothing may be submitted
            if isinstance(error, _ACCOUNT_ERRORS) and error.job_id is None:
                self.report.stopped = self.report.stopped or error
            end = self._failed(error, submission)
        self._add(item, end)
        await self._in_thread(lambda: self.item_records.remember(key, end))

    def _add(self, item: BatchItem, end: Mapping[str, Any]) -> None:
        self.report.add(end)
        self.manifest.add(item, end)
        self._lines.add(item.label, end)

    def _failed(self, error: Exception, submission: Submission | None = None) -> dict[str, Any]:
        """The end of a failed item. An error from another library does not stop the other items."""
        job_id = submission.job_id if submission else None
        secrets = self.jobs.hook.secrets
        return failed_end(error, job_id=job_id, secrets=secrets, resumable=job_id in self.running)

    def _purchase(self, log: BufferedItemLog, item: BatchItem, request: Request, key: str) -> Purchase:
        return Purchase(
            self.jobs.hook,
            self.item_records.ledger(key),
            request,
            self.jobs.template(item),
            epoch=self.jobs.epoch,
            policy=self.jobs.policy,
            log=log,
            may_submit=lambda: not self.ending,
        )

    async def _obtain(self, purchase: Purchase, log: BufferedItemLog) -> tuple[Submission, Job | None]:
        """
        Submit or resume.

        If the vendor cannot accept a submission now, it is repeated until the item's timeout.
        """
        until, pause = CLOCK.monotonic() + self.jobs.timeout, FIRST_PAUSE
        submit = partial(self._submit_or_resume, purchase, log)
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._submitters, submit)
            except (RateLimitError, VendorUnavailableError) as error:
                retry_after = getattr(error, "retry_after", None)
                seconds = pause if retry_after is None else max(retry_after, FIRST_PAUSE)
                if CLOCK.monotonic() + seconds > until or self.report.stopped is not None or self.ending:
                    raise
                log.warning("not accepted now, submitting again in %.0f s: %s", seconds, error.message)
                await CLOCK.asleep(seconds)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _submit_or_resume(self, purchase: Purchase, log: BufferedItemLog) -> tuple[Submission, Job | None]:
        """Submit or resume, in a thread that runs to its end even if the batch ends first."""
        try:
            with failures_counted(self.jobs.hook.vendor.name, self.jobs.kind):
                submission, job = purchase.resume_or_submit()
        except NotSubmittedError:
            raise
        except Exception as error:
            log.flush()
            unrecorded = error.job_id if type(error) is FaceSwapError else None
            if unrecorded is not None:
                self._unrecorded.append(unrecorded)
                self.running[unrecorded] = self.jobs.kind
            if unrecorded is not None or self.ending:  # nothing later may report it
                log.warning("%s", describe(error, self.jobs.hook.secrets))
            raise
        self.running[submission.job_id] = submission.kind
        return submission, job

    async def _finish(
        self, item: BatchItem, submission: Submission, job: Job | None, key: str
    ) -> dict[str, Any]:
        """Wait for a job, and archive its output."""
        waited = await wait_async(
            self.jobs.hook,
            submission,
            first=job,
            poll_interval=self.jobs.poll_interval,
            # A line for each of thousands of jobs would hide the others.
            log=lambda _: None,
        )
        job_ended(submission, waited)
        if waited.is_final:
            self.running.pop(submission.job_id, None)
            self.item_records.mark_counted(key)
        cost = cost_of(submission, waited)
        self.report.add_cost(cost.model_dump() if cost else None, earlier=submission.reused)
        result = result_of(self.jobs.hook, submission, waited)
        files = await self._in_thread(lambda: self._archive_output(item, result))
        return {
            "status": "archived",
            "job_id": result.job_id,
            "cost": result.cost.model_dump() if result.cost else None,
            "attempt_reused": result.attempt_reused,
            "files": [{"uri": file.uri, "sha256": file.sha256, "bytes": file.bytes} for file in files],
        }

    def _archive_output(self, item: BatchItem, result: JobResult) -> list[Archived]:
        def fetch(_vendor: str, _conn_id: str, job_id: str, kind: str) -> Job:
            return self.jobs.hook.fetch(job_id, kind)

        archive = replace(self.archive, filename=item.filename) if item.filename else self.archive
        sources = (source.model_copy(update={"inputs": item.columns}) for source in sources_of(result, fetch))
        return [archive.keep(source) for source in sources]

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _log_progress(self) -> None:
        start, reused = CLOCK.monotonic(), None
        while True:
            await CLOCK.asleep(REPORT_INTERVAL)
            reused = self.report.reused if reused is None else reused
            self.log.info(self.report.line(CLOCK.monotonic() - start, self.report.ended - reused))
