"""One queue for an account: even, bounded, and held as long as the account wants."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.http.rate_limiter import (
    LONGEST_PAUSE,
    PAUSE,
    QUEUE_GAP,
    RateLimiter,
    rate_limiter_for,
)
from tests.conftest import DrivenClock


def slots(limiter, number, rate=None, now=100.0):
    return [limiter.reserve(now, rate) for _ in range(number)]


def test_without_a_bound_nobody_waits():
    assert slots(RateLimiter(), 3) == [0, 0, 0]


def test_a_rate_spreads_requests_evenly():
    assert slots(RateLimiter(), 4, rate=2) == pytest.approx([0, 0.5, 1.0, 1.5])


def test_a_quiet_time_gives_no_credit():
    limiter = RateLimiter()
    assert limiter.reserve(100, 2) == 0
    assert limiter.reserve(200, 2) == 0
    assert limiter.reserve(200, 2) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("retry_after", "held"),
    [(7.0, 7.0), (None, PAUSE), (0.0, 0.0), (86400.0, LONGEST_PAUSE), (float("inf"), LONGEST_PAUSE)],
)
def test_too_many_requests_holds_everybody(retry_after, held):
    limiter = RateLimiter()
    limiter.pause(100.0, retry_after)
    first, second, third = slots(limiter, 3)
    assert first == pytest.approx(held)
    if held:
        assert second - first == pytest.approx(QUEUE_GAP), "they do not all go at once"
        assert third - second == pytest.approx(QUEUE_GAP)


def test_a_shorter_hold_does_not_cut_a_longer_one():
    limiter = RateLimiter()
    limiter.pause(100.0, 30.0)
    limiter.pause(101.0, 2.0)
    assert limiter.reserve(102.0, None) == pytest.approx(28.0)


def test_who_goes_by_a_deadline_of_its_own_keeps_the_rate_and_no_hold():
    limiter = RateLimiter()
    limiter.pause(100.0, 30.0)
    assert [limiter.reserve(100.0, 2, pauses=False) for _ in range(3)] == pytest.approx([0, 0.5, 1.0])
    assert limiter.reserve(100.0, 2) == pytest.approx(30.0)


def test_both_kinds_of_turns_share_one_rate():
    limiter = RateLimiter()
    assert [
        limiter.reserve(100.0, 2, pauses=pauses) for pauses in (True, False, True, False)
    ] == pytest.approx([0, 0.5, 1.0, 1.5])


def test_a_thread_waits_for_its_turn_where_there_is_a_rate(monkeypatch):
    clock = DrivenClock()
    monkeypatch.setattr(CLOCK, "source", clock)
    limiter = RateLimiter()
    for rate in (None, 4, 4, 4):
        limiter.wait(rate)
    assert [seconds for seconds in clock.slept if seconds] == pytest.approx([0.25, 0.25])


def test_one_account_has_one_queue():
    assert rate_limiter_for("one") is rate_limiter_for("one")
    assert rate_limiter_for("one") is not rate_limiter_for("two")


def test_a_turn_is_waited_for(monkeypatch):
    clock = DrivenClock()
    monkeypatch.setattr(CLOCK, "source", clock)

    async def run():
        limiter = RateLimiter()
        for _ in range(3):
            await limiter.await_turn(4)

    asyncio.run(run())
    assert clock.slept == pytest.approx([0.25, 0.25])
