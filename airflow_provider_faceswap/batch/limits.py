"""How many jobs may be at one account at the same time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from airflow_provider_faceswap.hooks.base import JobHook


class AccountLimit:
    """
    The jobs of one account. Of the items that wait, the one with the lowest position is next, so that items end early.

    :param number: How many there may be at the same time; ``None`` for any number.
    """

    def __init__(self, number: int | None) -> None:
        self._free = number
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    @asynccontextmanager
    async def job_of(self, position: int) -> AsyncIterator[None]:
        """
        Wait until an item may have a job. The block is the time of the job.

        :param position: Of the item.
        """
        if self._free is None:
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
        self._free = (self._free or 0) + 1


def limits_of(hooks: Iterable[JobHook], wanted: int, log: Any) -> dict[str, int]:
    """
    How many jobs each connection's account may run at once, if its vendor says so.

    :param wanted: What the task asks for; a lower limit is logged.
    :param log: The task's logger.
    """
    limits: dict[str, int] = {}
    for hook in hooks:
        if (allowed := hook.concurrency_limit()) is None:
            continue
        limits[hook.conn_id] = max(1, allowed)
        if allowed < wanted:
            log.info("%s allows %d jobs at once for this account", hook.vendor.name, allowed)
    return limits


def concurrency_of(hooks: Iterable[JobHook], limits: Mapping[str, int], wanted: int) -> int:
    """
    The number of items at the same time: no more than their accounts can have jobs.

    :param limits: By connection.
    """
    accounts = {hook.conn_id for hook in hooks}
    return max(1, min(wanted, sum(limits.values())) if accounts == limits.keys() else wanted)
