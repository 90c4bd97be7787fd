"""How fast one account may be asked: evenly, and not at all for as long as it wants."""

from __future__ import annotations

from airflow_provider_faceswap.clock import CLOCK

#: Seconds between two requests of a queue that had to wait, where no rate is set: they do not all go at once.
QUEUE_GAP = 0.02
#: Seconds to hold everything after "too many requests" without a word on how long.
HOLD = 2.0


class Pace:
    """
    One queue for all requests of an event loop to one account.

    It decides by the time it is given; only :meth:`turn` waits.
    """

    def __init__(self) -> None:
        self._free_at = 0.0

    def slot(self, now: float, rate: float | None) -> float:
        """
        Take the next place in the queue.

        :param now: Epoch seconds.
        :param rate: Requests a second at most, ``None`` for no limit.
        :returns: Seconds to wait for it.
        """
        at = max(now, self._free_at)
        waiting = at > now
        gap = 1 / rate if rate else 0.0
        self._free_at = at + (max(gap, QUEUE_GAP) if waiting else gap)
        return at - now

    def heed(self, now: float, retry_after: float | None) -> None:
        """
        Hold every later request: the account was told that it asks too much.

        :param retry_after: Seconds, where the vendor said.
        """
        self._free_at = max(self._free_at, now + (HOLD if retry_after is None else retry_after))

    async def turn(self, rate: float | None) -> None:
        """Wait for the next place in the queue."""
        seconds = self.slot(CLOCK.now(), rate)
        if seconds > 0:
            await CLOCK.asleep(seconds)
