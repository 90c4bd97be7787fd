"""
Injectable clock: now, monotonic, sleep, async sleep.

A moment that is stored or shown is of ``now``, which may step at any time. A duration is measured with ``monotonic``.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Event


class Clock:
    """The system's clock."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds of this process since an arbitrary moment; they never step."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep in a worker."""
        time.sleep(seconds)

    def pause(self, seconds: float, stop: Event) -> None:
        """Sleep in a worker, or until the event is set, which a signal handler may do."""
        stop.wait(seconds)

    async def asleep(self, seconds: float) -> None:
        """Sleep on an event loop."""
        await asyncio.sleep(seconds)

    def moment(self) -> datetime:
        """The time as an aware datetime."""
        return datetime.fromtimestamp(self.now(), UTC)


class InjectableClock(Clock):
    """
    The clock that the whole package uses.

    :ivar source: The clock it delegates to. Tests inject one that they drive.
    """

    def __init__(self) -> None:
        self.source = Clock()

    def now(self) -> float:
        """Epoch seconds."""
        return self.source.now()

    def monotonic(self) -> float:
        """Seconds of this process since an arbitrary moment; they never step."""
        return self.source.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep in a worker."""
        self.source.sleep(seconds)

    def pause(self, seconds: float, stop: Event) -> None:
        """Sleep in a worker, or until the event is set, which a signal handler may do."""
        self.source.pause(seconds, stop)

    async def asleep(self, seconds: float) -> None:
        """Sleep on an event loop."""
        await self.source.asleep(seconds)


#: The clock of this process.
CLOCK = InjectableClock()
