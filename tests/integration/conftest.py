"""Real sockets to the sandbox, with a clock that is ahead of the real one."""

from __future__ import annotations

import time

import httpx
import pytest

from airflow_provider_faceswap.foundation.clock import CLOCK, Clock


def really(seconds: float) -> float:
    """The seconds that a sleep takes."""
    return min(seconds, 0.05 + seconds / 100)


class HastyClock(Clock):
    """
    About a second for every hundredth that really passes: the sandbox's jobs take a fifth of a second.

    A long sleep really takes longer than a short one. Otherwise whoever sleeps long would bring the deadlines of all
    others forward, and a busy machine would miss them.
    """

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return time.time() + self.offset

    def monotonic(self) -> float:
        return self.now()

    def _passed(self, until: float) -> None:
        """Be at that moment at least: many sleep at a time, and their time passes once."""
        self.offset = max(self.offset, until - time.time())

    def pause(self, seconds: float, stop: object) -> None:
        del stop
        self.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        until = self.now() + seconds
        time.sleep(really(seconds))
        self._passed(until)

    async def asleep(self, seconds: float) -> None:
        import asyncio

        until = self.now() + seconds
        await asyncio.sleep(really(seconds))
        self._passed(until)


@pytest.fixture(autouse=True)
def hasty(monkeypatch, no_waiting_between_tries):
    clock = HastyClock()
    monkeypatch.setattr(CLOCK, "source", clock)
    return clock


@pytest.fixture
def fault(sandbox):
    """Order a fault: ``fault("gptunnel", "create", type="drop", when="after")``."""

    def order(vendor: str, operation: str, times: int | None = 1, **what: object) -> None:
        httpx.post(
            f"{sandbox.url}/sandbox/faults",
            json={"vendor": vendor, "operation": operation, "times": times, "fault": what},
        ).raise_for_status()

    return order


@pytest.fixture
def ledger(sandbox):
    """What the vendors have charged, now."""
    return lambda: httpx.get(f"{sandbox.url}/sandbox/ledger").json()
