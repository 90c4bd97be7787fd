"""The time, and two ways to let it pass; everything that waits uses this one, so that tests can drive it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """Epoch seconds and two ways to sleep; tests bring one that they drive."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Sleep in a worker."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Sleep on an event loop."""
        await asyncio.sleep(seconds)

    def moment(self) -> datetime:
        """The time as an aware datetime."""
        return datetime.fromtimestamp(self.now(), UTC)


CLOCK = Clock()
