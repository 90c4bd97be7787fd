"""
A store for many small records, kept together in a few values of another store.

One call for each step of each of thousands of jobs would cost more than the jobs. So records are grouped into
shards, and one writer thread writes what many threads changed at about the same time. A caller waits until the shard
with its own change is written. A failed write raises in every caller that waits for it; the next write tries the same
shards again, because they may contain the id of a paid job.
"""

from __future__ import annotations

import time
from collections import Counter
from threading import Lock, RLock, Thread
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_faceswap.batch.write_queue import Change, WriteQueue

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from types import TracebackType

    from airflow_provider_faceswap.lifecycle.ledger import Store

#: Records in one value of the store. Airflow warns about a value over 65,535 bytes and its API refuses one, which
#: leaves two thousand bytes for each record. A record needs about half of that.
SHARD = 32
#: Seconds between two writes. Changes made in that time are written together.
GAP = 0.1
#: Finished shards that stay in memory: a retry reads its records in about the order of their shards.
SPARE = 4
#: How far beyond a missing shard another one is looked for. A store may have deleted old shards: with the rule of a
#: bucket, for example.
LOOK_BEYOND = (1, 2, 3, 4, 8, 16, 32, 64)
#: Seconds that the last write may take.
LAST_WRITE_TIMEOUT = 60.0


class ShardedStore:
    """
    A store for many records; safe to use from many threads, inside a ``with`` block.

    :param store: The store that the shards are written to.
    :param key: Prefix of the shards' keys.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        #: Held during a whole write: of two writes of a shard at once, the older copy could be the last.
        self._writing = Lock()
        #: Guards everything below. It is not held while the store is called.
        self._lock = RLock()
        self._shards: dict[int, dict[str, Any]] = {}
        self._count = 0
        #: Shards that are missing before others.
        self._missing: set[int] = set()
        self._shard_of: dict[str, int] = {}
        #: Records whose jobs may still change them.
        self._in_progress: set[str] = set()
        #: By shard, how many of its changes are not in the store yet.
        self._unwritten: Counter[int] = Counter()
        self._queue = WriteQueue()
        self._closed = False
        #: Changes whose write failed, and why.
        self._failed: list[Change] = []
        self._error: BaseException | None = None
        self._writer = Thread(target=self._write_queued, name="faceswap-records", daemon=True)

    def __enter__(self) -> Self:
        """
        Read the records of earlier attempts.

        :raises Exception: The store's own error: a store that cannot be read is not an empty one.
        """
        last = -1
        while True:
            number = self._count
            shard = self._store.get(f"{self._key}.{number}")
            if shard is None and number > last:
                last = self._shard_beyond(number)
            if shard is not None:
                self._shards[number] = dict(shard)
                self._shard_of.update(dict.fromkeys(shard, number))
            elif number <= last:
                self._missing.add(number)
            else:
                break
            self._count += 1
            self._drop_finished_shards()
        self._writer.start()
        return self

    def _shard_beyond(self, number: int) -> int:
        """The number of a shard after a missing one; that of the missing one less one if none is found."""
        for distance in LOOK_BEYOND:
            if self._store.get(f"{self._key}.{number + distance}") is not None:
                return number + distance
        return number - 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """
        Write what is not written yet.

        :raises Exception: The write failed. Not raised if the with block itself raised an exception.
        """
        with self._lock:
            self._closed = True
            self._queue.close()
        self._writer.join(timeout=LAST_WRITE_TIMEOUT)
        if error is None and not self.is_written:
            raise self._error or TimeoutError("the store does not respond")

    @property
    def is_incomplete(self) -> bool:
        """True if a shard is missing before others, so that there were records which cannot be read any more."""
        return bool(self._missing)

    def others(self, keys: Container[str]) -> Iterator[Any]:
        """
        The records with other keys than these.

        :raises Exception: The store's own error.
        """
        with self._lock:
            names = [name for name in self._shard_of if name not in keys]
        return map(self.get, names)

    @property
    def is_written(self) -> bool:
        """True if the store has every change."""
        with self._lock:
            return not self._unwritten

    def __contains__(self, key: str) -> bool:
        """True if there is a record with this key. Nothing is read."""
        with self._lock:
            return key in self._shard_of

    def get(self, key: str, default: Any = None) -> Any:
        """
        The record with this key.

        :raises Exception: The store's own error.
        """
        with self._lock:
            number = self._shard_of.get(key)
            return default if number is None else self._shard(number).get(key, default)

    def set(self, key: str, value: Any) -> None:
        """
        Write a record; it is in the store when this returns.

        If the write fails, a record with a job id is kept and written with the next change. A record without
        a job id is undone: it is an intent, and nothing is submitted if its intent could not be written.

        :raises Exception: The store's own error.
        """
        with self._lock:
            self._in_progress.add(key)
            change = self._change(key, value, revocable=value.get("job_id") is None, awaited=True)
        if self._closed:
            # An id that arrives after the end is written by the thread that has it.
            self._writer.join(timeout=LAST_WRITE_TIMEOUT)
            if self._writer.is_alive():
                raise TimeoutError("the store does not respond")
            self._write([change])
        change.written.result()

    def finish(self, key: str, value: Any) -> None:
        """
        Queue the final value of a record, without waiting for the write, which comes a second later at the latest.

        If it is lost, a retry polls the job once more.
        """
        with self._lock:
            self._in_progress.discard(key)
            self._change(key, value, revocable=False, awaited=False)

    def _change(self, key: str, value: Any, *, revocable: bool, awaited: bool) -> Change:
        if key not in self._shard_of:
            if self._count == 0 or len(self._shard(self._count - 1)) >= SHARD:
                self._shards[self._count] = {}
                self._count += 1
            self._shard_of[key] = self._count - 1
        number = self._shard_of[key]
        shard = self._shard(number)
        change = Change(number, key, shard.get(key), revocable, awaited)
        shard[key] = {name: part for name, part in value.items() if part is not None}
        self._unwritten[number] += 1
        self._queue.put(change)
        return change

    def _shard(self, number: int) -> dict[str, Any]:
        """A shard; one that was dropped is read again."""
        if number not in self._shards:
            self._shards[number] = dict(self._store.get(f"{self._key}.{number}"))
            self._drop_finished_shards(but=number)
        return self._shards[number]

    def _drop_finished_shards(self, but: int = -1) -> None:
        """Free the memory of shards that are written and whose jobs are over, except for the youngest few."""
        finished = [
            number
            for number, shard in self._shards.items()
            if number != but and number not in self._unwritten and self._in_progress.isdisjoint(shard)
        ]
        for number in finished[: -SPARE or None]:
            del self._shards[number]

    # -- the writer -----------------------------------------------------------------------------------

    def _write_queued(self) -> None:
        """Write what is queued, until the store is closed; then once more what could not be written."""
        closed = False
        while not closed:
            changes, closed = self._queue.take()
            if changes or closed:
                self._write(changes)
            if not closed:
                time.sleep(GAP)

    def _write(self, changes: Iterable[Change]) -> None:
        """Write every shard with one of these changes, or with one that failed before, and complete the futures."""
        with self._writing:
            changes = [*self._failed, *(change for change in changes if not change.written.done())]
            with self._lock:
                shards = {change.shard: dict(self._shards[change.shard]) for change in changes}
            try:
                for number, shard in sorted(shards.items()):
                    self._store.set(f"{self._key}.{number}", shard)
            except BaseException as error:  # noqa: BLE001 - its callers raise it
                self._fail(changes, error)
                return
            with self._lock:
                self._failed, self._error = [], None
                self._unwritten -= Counter(change.shard for change in changes)
                self._drop_finished_shards()
            for change in changes:
                if not change.written.done():
                    change.written.set_result(None)

    def _fail(self, changes: list[Change], error: BaseException) -> None:
        """Undo what can be undone. The shards must still be written: the store may have some of them."""
        with self._lock:
            self._failed, self._error = changes, error
            for change in changes:
                if change.revocable and not change.written.done():
                    self._undo(change)
        for change in changes:
            if not change.written.done():
                change.written.set_exception(error)

    def _undo(self, change: Change) -> None:
        self._in_progress.discard(change.key)
        shard = self._shards[change.shard]
        if change.before is not None:
            shard[change.key] = change.before
        else:
            del shard[change.key], self._shard_of[change.key]
