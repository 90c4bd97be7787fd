"""Thousands of jobs in one task: as many at once as the vendor takes, each paid once, each archived at once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_faceswap.clock import CLOCK
from airflow_provider_faceswap.endings import Ending, Word
from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InsufficientBalanceError,
    PermissionDeniedError,
    RateLimitError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.ledger import Ledger, Record, fingerprint
from airflow_provider_faceswap.metrics import cost_of, job_ended
from airflow_provider_faceswap.provenance import provenance
from airflow_provider_faceswap.purchase import Purchase
from airflow_provider_faceswap.waiting import await_job, watch_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from airflow_provider_faceswap.archive import Archived
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Job, JobResult, Submission
    from airflow_provider_faceswap.purchase import Terms
    from airflow_provider_faceswap.shared_records import SharedRecords
    from airflow_provider_faceswap.vendors.wire import Request

T = TypeVar("T")

#: Seconds between two lines of progress.
TELL_EVERY = 10.0
#: Items read at a time.
CHUNK = 256
#: Threads for creates and archiving, which block; more jobs than these may wait at the vendor.
MOST_THREADS = 64
#: Seconds before a create that was refused for the moment is tried again, doubling up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0

#: The account's trouble, not the item's: no other item is started.
_OF_THE_ACCOUNT = (AuthenticationError, InsufficientBalanceError, PermissionDeniedError)


class Quiet:
    """A log that leaves out the ordinary: a line for each step of thousands of jobs is no log."""

    def __init__(self, log: Any, position: int) -> None:
        self._log = log
        self._position = position

    def info(self, text: str, *args: object) -> None:
        """Nothing."""

    def warning(self, text: str, *args: object) -> None:
        """A warning, with the item's place."""
        self._log.warning(f"items[%d]: {text}", self._position, *args)


@dataclass
class Tally:
    """
    What came of a batch so far.

    :param total: Items that were checked before the start.
    :param told: Items that the report has a line of.
    :param cost: By unit.
    :param errors: Failed items by class.
    :param stopped: The account's trouble that ended it early.
    """

    total: int
    told: int = 0
    archived: int = 0
    failed: int = 0
    reused: int = 0
    at_vendor: int = 0
    cost: dict[str, float] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    stopped: FaceSwapError | None = None

    @property
    def ended(self) -> int:
        """Items that are over."""
        return self.archived + self.failed

    @property
    def cost_text(self) -> str:
        """The cost in words."""
        return (
            " and ".join(f"{amount:g} {unit}" for unit, amount in sorted(self.cost.items())) or "no cost told"
        )

    def line(self, seconds: float, fresh: int) -> str:
        """
        One line of progress.

        :param seconds: Since the start.
        :param fresh: Items that ended since the start and not in an earlier try.
        """
        left = f", about {(self.total - self.ended) * seconds / fresh:.0f} s left" if fresh else ""
        return (
            f"{self.archived} of {self.total} archived, {self.failed} failed, {self.at_vendor} at the vendor, "
            f"{self.cost_text} so far{left}"
        )


class MakeItemSubmission(Protocol):
    """Puts a job id together with an item's arguments; see :class:`~.purchase.MakeSubmission`."""

    def __call__(self, arguments: Mapping[str, Any], job_id: str, **known: Any) -> Submission:
        """Make it."""


@dataclass
class Batch:
    """
    One run through the items.

    :param hook: On the connection; its channel is open already.
    :param prepare: Makes an item's request.
    :param keep: Archives a result.
    :param report: Takes one JSON line for each item.
    """

    hook: JobHook
    kind: str
    records: SharedRecords | None
    terms: Terms
    epoch: int
    concurrency: int
    timeout: float
    poll_interval: float | None
    submission: MakeItemSubmission
    prepare: Callable[[Mapping[str, Any]], Request]
    keep: Callable[[JobResult], list[Archived]]
    report: BinaryIO
    tally: Tally
    log: Any

    def __post_init__(self) -> None:
        self.running: dict[str, str] = {}
        self.ended_from_outside = False
        self._seen: Counter[str] = Counter()
        self._over: set[str] = set()
        self._threads = ThreadPoolExecutor(
            min(self.concurrency, MOST_THREADS), thread_name_prefix="faceswap-batch"
        )

    async def run(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Go through all items; what came of them is in the tally and in the report."""
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
            self._threads.shutdown(wait=False, cancel_futures=True)

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
            if self.tally.stopped is not None or self.ended_from_outside:
                self._note(position, item, {"status": "not started"})
                continue
            await self._item(position, item)

    async def _item(self, position: int, item: Mapping[str, Any]) -> None:
        try:
            request = await self._in_thread(lambda: self.prepare(item))
        except FaceSwapError as error:  # its picture was there when all were checked
            self._note(position, item, _failed(error))
            return
        name = self._name(request)
        if (before := await self._in_thread(lambda: self._before(name))) is not None:
            self.tally.reused += before["status"] == "archived"
            self._note(position, item, before)
            return
        try:
            end = await self._swap(Quiet(self.log, position), item, request, name)
        except FaceSwapError as error:
            if type(error) is FaceSwapError:  # the ledger: without it nothing may be bought
                raise
            if isinstance(error, _OF_THE_ACCOUNT) and error.job_id is None:
                self.tally.stopped = self.tally.stopped or error
            end = _failed(error)
        await self._in_thread(lambda: self._remember(name, end))
        self._note(position, item, end)

    async def _swap(self, log: Quiet, item: Mapping[str, Any], request: Request, name: str) -> dict[str, Any]:
        """Buy or take up, wait, archive."""
        purchase = Purchase(
            self.hook,
            Ledger(self.records, name),
            self.kind,
            request,
            epoch=self.epoch,
            terms=self.terms,
            submission=partial(self.submission, item),
            log=log,
        )
        submission, job = await self._obtain(purchase, log)
        self.running[submission.job_id] = submission.kind
        self.tally.at_vendor += 1
        try:
            ending = await self._wait(submission, job)
        finally:
            self.tally.at_vendor -= 1
            self.running.pop(submission.job_id, None)
        job_ended(submission, ending)
        if ending.is_final and self.records is not None:
            self._over.add(name)
        cost = cost_of(submission, ending)
        if cost is not None and not submission.reused:
            self.tally.cost[cost.unit] = self.tally.cost.get(cost.unit, 0.0) + cost.amount
        if ending.word is not Word.SUCCEEDED or ending.job is None:
            raise ending.to_error()
        result = submission.result(
            ending.job,
            seen_at=CLOCK.moment(),
            retention=self.hook.vendor.kind(self.kind).retention,
        )
        kept = await self._in_thread(partial(self.keep, result))
        return {
            "status": "archived",
            "job_id": result.job_id,
            "cost": result.cost.model_dump() if result.cost else None,
            "attempt_reused": result.attempt_reused,
            "files": [{"uri": file.uri, "sha256": file.sha256, "bytes": file.bytes} for file in kept],
        }

    async def _obtain(self, purchase: Purchase, log: Quiet) -> tuple[Submission, Job | None]:
        """Buy or take up; what the vendor refuses for the moment is tried again, until the item's time is over."""
        until, pause = CLOCK.now() + self.timeout, FIRST_PAUSE
        while True:
            try:
                return await self._in_thread(purchase.obtain)
            except (RateLimitError, VendorUnavailableError) as error:
                asked = getattr(error, "retry_after", None)
                wait = pause if asked is None else asked
                if CLOCK.now() + wait > until or self.tally.stopped is not None:
                    raise
                log.warning("not accepted now, trying again in %.0f s: %s", wait, error.message)
                await CLOCK.asleep(wait)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _wait(self, submission: Submission, job: Job | None) -> Ending:
        watch = watch_for(self.hook, submission, poll_interval=self.poll_interval)
        if job is not None and job.state.terminal:
            seen = watch.saw(job, CLOCK.now())
            if isinstance(seen, Ending):
                return seen
        return await await_job(self.hook, self.kind, watch, log=lambda _: None)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # -- names and records ----------------------------------------------------------------------------

    def _name(self, request: Request) -> str:
        """The name of an item's record: its request, and a number where several items are the same."""
        mark = fingerprint(self.hook.vendor.name, self.hook.conn_id, self.kind, request)
        self._seen[mark] += 1
        return f"{mark}.{self._seen[mark]}"

    def _before(self, name: str) -> dict[str, Any] | None:
        """How an earlier try ended this item for good."""
        record = self.records.get(name) if self.records else None
        end: dict[str, Any] = (record or {}).get("end") or {}
        if end.get("epoch") != self.epoch:
            return None
        return end if end["status"] == "archived" or end["final"] else None

    def _remember(self, name: str, end: Mapping[str, Any]) -> None:
        """Keep the item's end beside its record, which says no more than it did: an intent stays an intent."""
        if self.records is not None and (record := self.records.get(name)) is not None:
            if end["status"] == "archived":
                record = Record.model_validate(record).settled(Word.SUCCEEDED).model_dump(mode="json")
            counted = name in self._over or record.get("counted", False)
            self._over.discard(name)
            self.records.finish(
                name, {**record, "counted": counted, "end": {"final": False, **end, "epoch": self.epoch}}
            )

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
            await CLOCK.asleep(TELL_EVERY)
            before = self.tally.reused if before is None else before
            self.log.info(self.tally.line(CLOCK.now() - begun, self.tally.ended - before))


def _failed(error: FaceSwapError) -> dict[str, Any]:
    return {
        "status": "failed",
        "error": type(error).__name__,
        "message": str(error),
        "job_id": error.job_id,
        "final": isinstance(error, AirflowFailException),
    }


def shown(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as the report may show it: links without queries, pictures by their hash."""
    told: dict[str, Any] = provenance(item)["arguments"]
    return told
