"""Real sockets to the sandbox, with a clock that is ahead of the real one."""

from __future__ import annotations

import time
from collections import Counter

import httpx
import pytest

from airflow_provider_faceswap.foundation.clock import CLOCK, Clock
from airflow_provider_faceswap.sandbox.unkind import UNKIND


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

    def order(
        vendor: str | None,
        operation: str | None,
        times: int | None = 1,
        *,
        kind: str | None = None,
        per_job: bool = False,
        **what: object,
    ) -> None:
        body = {"vendor": vendor, "operation": operation, "kind": kind, "times": times, "per_job": per_job}
        httpx.post(f"{sandbox.url}/sandbox/faults", json={**body, "fault": what}).raise_for_status()

    return order


@pytest.fixture
def unkind(sandbox, fault):
    """
    Make the sandbox as unkind as the vendors are.

    Call it with the types of faults to leave out, such as ``refuse``; it returns a function that counts how often each
    type of fault has been met.
    """

    def order(*without: str):
        for body in UNKIND:
            what = dict(body["fault"])
            if what["type"] == "not_ready":
                what["seconds"] = 0.5  # these tests' clock is ahead of the sandbox's
            if what["type"] not in without:
                fault(body["vendor"], body["operation"], body["times"], per_job=body["per_job"], **what)
        return met

    def met() -> Counter[str]:
        counted: Counter[str] = Counter()
        for listed in httpx.get(f"{sandbox.url}/sandbox/faults").json()["faults"]:
            counted[listed["fault"]["type"]] += listed["hits"]
        return counted

    return order


@pytest.fixture
def run(context):
    """Run an operator in its worker, waiting there."""

    def execute(operator_class, **arguments):
        context["task_state_store"].values.clear()
        return operator_class(task_id="t", deferrable=False, **arguments).execute(context)

    return execute


@pytest.fixture
def two(sandbox):
    """Two pictures for a swap."""
    return {
        "target_image": f"{sandbox.url}/samples/anna.jpg",
        "face_image": f"{sandbox.url}/samples/boris.jpg",
    }


@pytest.fixture
def ledger(sandbox):
    """What the vendors have charged, now."""
    return lambda: httpx.get(f"{sandbox.url}/sandbox/ledger").json()
