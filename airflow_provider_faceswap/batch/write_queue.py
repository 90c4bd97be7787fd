"""
The changes of records that are to be written, and which of them are written next.

A change that a caller waits for is written at once. The end of a job waits for nobody: it is written with the next such change
of its shard, or a second later. Each write of a shard takes the task, Airflow's API and its database some milliseconds, and half
of the writes would be for ends only.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

#: Seconds that the end of a job may wait for another change of its shard.
LATE = 1.0


@dataclass(slots=True, eq=False)
class Change:
    """
    A changed record that is not in the store yet.

    :param before: The record's earlier value, ``None`` if it is new.
    :param revocable: Whether the change is undone if it cannot be written.
    :param awaited: Whether a caller waits until it is written.
    :param written: Completed by the writer.
    """

    shard: int
    key: str
    before: Any
    revocable: bool
    awaited: bool
    written: Future[None] = field(default_factory=Future)


class WriteQueue:
    """The changes that many threads made, for one thread that writes them."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Change | None] = SimpleQueue()
        #: What was taken from the queue and is not to be written yet; and when it is, by the monotonic clock.
        self._waiting: list[Change] = []
        self._due = 0.0

    def put(self, change: Change) -> None:
        """Add a change."""
        self._queue.put(change)

    def close(self) -> None:
        """Say that no change follows."""
        self._queue.put(None)

    def take(self) -> tuple[list[Change], bool]:
        """
        Wait for a change, and take all that are to be written now.

        :returns: They; and whether the queue is closed. They are all that is left then.
        """
        timeout = max(0.0, self._due - time.monotonic()) if self._waiting else None
        changes = self._queued(timeout)
        closed = None in changes
        if not self._waiting:
            self._due = time.monotonic() + LATE
        waiting = [*self._waiting, *(change for change in changes if change is not None)]
        if closed or time.monotonic() >= self._due:
            self._waiting = []
            return waiting, closed
        shards = {change.shard for change in waiting if change.awaited}
        self._waiting = [change for change in waiting if change.shard not in shards]
        return [change for change in waiting if change.shard in shards], closed

    def _queued(self, timeout: float | None) -> list[Change | None]:
        """
        All that is queued.

        :param timeout: Seconds to wait for the first, ``None`` for any time.
        """
        try:
            changes = [self._queue.get(timeout=timeout)]
        except Empty:
            return []
        while not self._queue.empty():
            changes.append(self._queue.get())
        return changes
