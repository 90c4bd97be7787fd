"""How many jobs may be at one account at the same time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_provider_faceswap.hooks.base import JobHook


class AccountLimit:
    """
    The jobs of one account. Of the items that wait, the one with the lowest position is next, so that items end early.

    :param read: Reads how many there may be at the same time; ``None`` for any number. It is called for the first job: an
        item that is archived already needs none.
    :ivar number: What it returned; ``None`` before.
    """

    def __init__(self, read: Callable[[], Awaitable[int | None]]) -> None:
        self._read = read
        self._reading = asyncio.Lock()
        self._is_known = False
        self.number: int | None = None
        self._free = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    @asynccontextmanager
    async def job_of(self, position: int) -> AsyncIterator[None]:
        """
        Wait until an item may have a job. The block is the time of the job.

        :param position: Of the item.
        """
        async with self._reading:
            if not self._is_known:
                self.number = await self._read()
                self._free, self._is_known = self.number or 0, True
        if self.number is None:
            yield
            return
        await self._take(position)
        try:
            yield
        finally:
            self._give()

    async def _take(self, position: int) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (position, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give()
            raise

    def _give(self) -> None:
        while self._waiting:
            _, _, turn = heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


def allowed_jobs(hook: JobHook, wanted: int, log: Any) -> int | None:
    """
    How many jobs the account of a connection may run at once; ``None`` if its vendor does not say so.

    :param wanted: What the task asks for; a lower limit is logged.
    :param log: The task's logger.
    """
    if (allowed := hook.concurrency_limit()) is None:
        return None
    if allowed < wanted:
        log.info("%s allows %d jobs at once for this account", hook.vendor.name, allowed)
    return max(1, allowed)
