"""How fast one account may be asked: evenly, and not at all for as long as it wants."""

from __future__ import annotations

from threading import Lock

from airflow_provider_faceswap.foundation.clock import CLOCK

#: Seconds between two requests of a queue that had to wait, where no rate is set: they do not all go at once.
QUEUE_GAP = 0.02
#: Seconds to hold all questions after "too many requests" without a word on how long.
HOLD = 2.0
#: The most seconds to hold all questions, however long the vendor asks for: the job that was told so goes by that in
#: its own schedule, and the others have deadlines of their own.
LONGEST_HOLD = 30.0


class RateLimiter:
    """
    One queue for all requests of a process to one account.

    It decides by the time it is given; only :meth:`turn` and :meth:`aturn` wait.
    """

    def __init__(self) -> None:
        self._free_at = 0.0
        self._held_until = 0.0
        # A batch buys in threads and asks on an event loop.
        self._lock = Lock()

    def slot(self, now: float, rate: float | None, *, patient: bool = True) -> float:
        """
        Take the next place in the queue.

        :param now: Epoch seconds.
        :param rate: Requests a second at most, ``None`` for no limit.
        :param patient: Whether a hold is waited out too.
        :returns: Seconds to wait for it.
        """
        with self._lock:
            at = max(now, self._free_at, self._held_until if patient else 0.0)
            gap = 1 / rate if rate else 0.0
            if patient:
                self._free_at = at + (max(gap, QUEUE_GAP) if at > now else gap)
            elif rate:
                self._free_at = at + gap
            return at - now

    def heed(self, now: float, retry_after: float | None) -> None:
        """
        Hold every later question for a moment: the account was told that it asks too much.

        :param retry_after: Seconds, where the vendor said.
        """
        seconds = HOLD if retry_after is None else min(retry_after, LONGEST_HOLD)
        self._held_until = max(self._held_until, now + seconds)

    def turn(self, rate: float | None) -> None:
        """
        Wait for the next place in the queue, in a thread that can wait.

        A hold is no matter of this one: whoever sends from a thread hears for itself how long to wait, and goes by
        its own deadline.
        """
        if rate:
            CLOCK.sleep(self.slot(CLOCK.now(), rate, patient=False))

    async def aturn(self, rate: float | None) -> None:
        """Wait for the next place in the queue."""
        seconds = self.slot(CLOCK.now(), rate)
        if seconds > 0:
            await CLOCK.asleep(seconds)


_paces: dict[str, RateLimiter] = {}


def rate_limiter_for(conn_id: str) -> RateLimiter:
    """The queue of this process for a connection's account."""
    return _paces.setdefault(conn_id, RateLimiter())
