"""Threads of the gallery's own, for a database and storages that may be slow or silent."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextvars import copy_context
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: The api-server has forty threads for all of its routes, and the workers' heartbeats need them too.
THREADS = 6
#: Threads with those whose call nobody waits for any more, because a storage is silent.
MAX_THREADS = 24
#: Seconds that a person waits for a page or a file.
SECONDS = 10.0


class Threads:
    """
    A few daemon threads: a storage that never answers keeps one of them, and not the end of the process.

    :param number: How many work at a time. One whose call takes too long is replaced, up to :data:`MAX_THREADS`.
    """

    def __init__(self, number: int = THREADS) -> None:
        self._number = number
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._lock = Lock()
        self._alive = 0
        self._stuck: set[Future[Any]] = set()

    async def run(self, call: Callable[[], T]) -> T:
        """
        The result of a call that blocks.

        :raises TimeoutError: It takes longer than :data:`SECONDS`, or none of the threads is free for as long.
        """
        future: Future[T] = Future()
        self._start_one()
        context = copy_context()
        self._queue.put((future, lambda: context.run(call)))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), SECONDS)
        except TimeoutError:
            with self._lock:
                if future.running():
                    self._stuck.add(future)
            raise

    def _start_one(self) -> None:
        with self._lock:
            if self._alive - len(self._stuck) < self._number and self._alive < MAX_THREADS:
                self._alive += 1
                Thread(target=self._work, name="faceswap-gallery", daemon=True).start()

    def _work(self) -> None:
        while True:
            future, call = self._queue.get()
            # False if nobody waits for it any more.
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - raised where the result is wanted
                future.set_exception(error)
            with self._lock:
                self._stuck.discard(future)
                if self._alive - len(self._stuck) > self._number:
                    self._alive -= 1
                    return
