"""Rate limiter for one account; pauses after HTTP 429."""

from __future__ import annotations

from math import inf
from threading import Lock

from airflow_provider_faceswap.foundation.clock import CLOCK

#: Seconds between two requests that had to wait, if no rate is set: they must not all be sent at once.
QUEUE_GAP = 0.02
#: Seconds of a pause after HTTP 429, if the vendor does not say how long.
PAUSE = 2.0
#: Maximum seconds of a pause, whatever the vendor asks for. The job that got the 429 keeps to the vendor's
#: figure in its own schedule; the other jobs have deadlines of their own.
LONGEST_PAUSE = 30.0


class RateLimiter:
    """
    Spaces a process's requests to one account evenly over time.

    Only :meth:`wait` and :meth:`await_turn` read the clock and wait.
    """

    def __init__(self) -> None:
        self._next_at = -inf
        self._paused_until = -inf
        # A batch submits in threads and polls on an event loop.
        self._lock = Lock()

    def reserve(self, now: float, rate: float | None, *, pauses: bool = True) -> float:
        """
        Reserve the next time at which a request may be sent.

        :param now: Seconds of the monotonic clock: the system's time may step back by an hour.
        :param rate: Maximum requests per second, ``None`` for no limit.
        :param pauses: Whether a pause applies to this request.
        :returns: Seconds to wait until then.
        """
        with self._lock:
            at = max(now, self._next_at, self._paused_until if pauses else -inf)
            gap = 1 / rate if rate else 0.0
            if pauses:
                self._next_at = at + (max(gap, QUEUE_GAP) if at > now else gap)
            elif rate:
                self._next_at = at + gap
            return at - now

    def pause(self, now: float, retry_after: float | None) -> None:
        """
        Delay all later requests on event loops, because the vendor received too many.

        :param now: Seconds of the monotonic clock.
        :param retry_after: Seconds the vendor asked to wait, ``None`` if it did not say.
        """
        seconds = PAUSE if retry_after is None else min(retry_after, LONGEST_PAUSE)
        self._paused_until = max(self._paused_until, now + seconds)

    def wait(self, rate: float | None) -> None:
        """
        Wait in a thread until the next request may be sent.

        Pauses do not apply: the sender gets its own HTTP 429, and has its own deadline.
        """
        if rate:
            CLOCK.sleep(self.reserve(CLOCK.monotonic(), rate, pauses=False))

    async def await_turn(self, rate: float | None) -> None:
        """Wait on an event loop until the next request may be sent."""
        seconds = self.reserve(CLOCK.monotonic(), rate)
        if seconds > 0:
            await CLOCK.asleep(seconds)


_limiters: dict[str, RateLimiter] = {}


def rate_limiter_for(conn_id: str) -> RateLimiter:
    """The rate limiter of this process for a connection's account."""
    return _limiters.setdefault(conn_id, RateLimiter())
