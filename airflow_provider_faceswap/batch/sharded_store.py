"""
The records of many logical jobs, in a few values of one store.

One call of the store for each step of each of thousands of jobs would cost more than the jobs. So records stand
together in shards, and what many threads change at about the same time is written in one go: each waits until
its own change is written. A write that fails is told to those who wait for it, and the next one is tried again: it
may have the id of a job that was bought meanwhile. A shard whose jobs are all over is not held in memory any more.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_faceswap.lifecycle.ledger import Store

#: Records in one value of the store. Airflow warns of a value over 65535 bytes, and its API takes none: so there are
#: two thousand for each record, which needs about half of them.
SHARD = 32
#: Seconds between two writes: what comes meanwhile is written together.
GAP = 0.1
#: Shards held although nothing in them is going on: a retry reads its records in about the order of their shards.
SPARE = 4
#: Seconds that the last write may take.
PATIENCE = 60


class ShardedStore:
    """
    A store for many records; safe to use from many threads, inside a ``with`` block.

    :param store: Where the shards go.
    :param key: What the shards' keys start with.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._shards: dict[int, dict[str, Any]] = {}
        #: How many shards there are, and in which of them each record is.
        self._number = 0
        self._where: dict[str, int] = {}
        self._open: set[str] = set()
        self._dirty: set[int] = set()
        self._being_written: set[int] = set()
        #: How many changes there were, up to which of them a write was tried, was done, was refused.
        self._changes = self._tried = self._written = self._refused = 0
        self._refusal: BaseException | None = None
        #: Whether the writer is at work; without it each writes for itself.
        self._writing = False
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._write_on, name="faceswap-records", daemon=True)

    def __enter__(self) -> Self:
        """
        Read what an earlier try left.

        :raises Exception: Whatever the store raises: "could not be read" is never "no record".
        """
        while (shard := self._store.get(f"{self._key}.{self._number}")) is not None:
            self._shards[self._number] = dict(shard)
            self._where.update(dict.fromkeys(shard, self._number))
            self._number += 1
            self._let_go()
        self._writing = True
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """
        Write the rest.

        :raises Exception: It could not be written, and nothing else is being raised.
        """
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._writer.join(timeout=PATIENCE)
        if error is None and not self.whole:
            raise self._refusal or TimeoutError("the store does not answer")

    @property
    def whole(self) -> bool:
        """Whether the store has everything that it was given."""
        with self._changed:
            return not (self._dirty or self._being_written)

    def get(self, key: str, default: Any = None) -> Any:
        """
        The record under this name.

        :raises Exception: Whatever the store raises.
        """
        with self._changed:
            number = self._where.get(key)
            return default if number is None else self._shard(number).get(key, default)

    def set(self, key: str, value: Any) -> None:
        """
        Write a record; it is in the store when this returns.

        Where it raises, a record that names a job is kept all the same, and goes with the next write. One without a
        job is taken back: it says that something is about to be bought, and now nothing will be.

        :raises Exception: Whatever the store raises.
        """
        with self._changed:
            before = self.get(key)
            self._open.add(key)
            mine = self._put(key, value)
            self._changed.wait_for(lambda: max(self._written, self._refused) >= mine or not self._writing)
            if max(self._written, self._refused) < mine:
                self._write()
            if self._written < mine and self._refusal is not None:
                if value.get("job_id") is None:
                    self._take_back(key, before)
                raise self._refusal

    def finish(self, key: str, value: Any) -> None:
        """Write the last of a record soon, and do not wait: losing it costs one more look at its job."""
        with self._changed:
            self._open.discard(key)
            self._put(key, value)

    def _put(self, key: str, value: Any) -> int:
        number = self._where.get(key)
        if number is None:
            number = max(self._number - 1, 0)
            if self._number == 0 or len(self._shard(number)) >= SHARD:
                number = self._number
                self._shards[number] = {}
                self._number += 1
            self._where[key] = number
        self._shard(number)[key] = {name: part for name, part in value.items() if part is not None}
        self._dirty.add(number)
        self._changes += 1
        self._changed.notify_all()
        return self._changes

    def _take_back(self, key: str, before: Any) -> None:
        """Make a record what it was; the store hears of it with the next write."""
        self._open.discard(key)
        number = self._where[key]
        self._dirty.add(number)
        if before is not None:
            self._shard(number)[key] = before
        else:
            del self._shard(number)[key], self._where[key]

    def _shard(self, number: int) -> dict[str, Any]:
        """One shard, read again where it was let go."""
        if number not in self._shards:
            self._shards[number] = dict(self._store.get(f"{self._key}.{number}"))
            self._let_go(but=number)
        return self._shards[number]

    def _let_go(self, but: int = -1) -> None:
        """Forget shards that are written and in which nothing goes on, but for the youngest few."""
        idle = [
            number
            for number, shard in self._shards.items()
            if number not in self._dirty | self._being_written
            and number != but
            and self._open.isdisjoint(shard)
        ]
        for number in idle[: -SPARE or None]:
            del self._shards[number]

    def _write_on(self) -> None:
        """Write whatever is new, until the end; then once more, and no longer."""
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(lambda: self._tried < self._changes or self._closing.is_set())
                closing = self._closing.is_set()
            self._write()
            self._closing.wait(GAP)
        with self._changed:
            self._writing = False
            self._changed.notify_all()

    def _write(self) -> None:
        """Write every shard that has changed, once; whether that went well is in the counters."""
        with self._changed:
            shards = {number: dict(self._shards[number]) for number in sorted(self._dirty)}
            self._being_written, self._dirty = self._dirty, set()
            reached = self._tried = self._changes
        refusal: BaseException | None = None
        try:
            for number, shard in shards.items():
                self._store.set(f"{self._key}.{number}", shard)
        except BaseException as error:  # noqa: BLE001 - whatever it is, somebody waits for it
            refusal = error
        with self._changed:
            if refusal is None:
                self._written = reached
            else:
                self._refused, self._refusal = reached, refusal
                self._dirty |= self._being_written
            self._being_written = set()
            self._let_go()
            self._changed.notify_all()
