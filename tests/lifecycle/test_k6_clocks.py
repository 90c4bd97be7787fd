"""
K6: durations are measured with the monotonic clock, and a moment of another machine's clock is bounded.

The system's time steps by an hour in the middle of a wait, in a worker and on an event loop.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.http.rate_limiter import RateLimiter
from airflow_provider_faceswap.jobs import Submission
from airflow_provider_faceswap.lifecycle.outcomes import Outcome
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.lifecycle.waiting import wait, wait_async
from airflow_provider_faceswap.triggers.job import SAFE_RESUME_DELAY, JobTrigger

HOUR = 3600.0
RESULT = "https://results.test/r.png"
#: The first poll, with all of its jitter, of a kind that takes two seconds at least.
FIRST_POLL = 2 * 1.5 * 1.1

each_step = pytest.mark.parametrize("step", [-HOUR, HOUR, -86_400.0, 86_400.0])


def submission(clock, life=100.0):
    sent = datetime.fromtimestamp(clock.now(), UTC)
    return Submission(
        vendor="gptunnel",
        kind="face_swap",
        job_id="65819c485337280001a609e7",
        conn_id="gptunnel_default",
        submitted_at=sent,
        deadline=sent + timedelta(seconds=life),
    )


@pytest.fixture(params=["worker", "loop"])
def waits(request):
    """Wait in either world; the result."""

    def play(job, **options):
        options = {"log": lambda _: None, **options}
        if request.param == "worker":
            return wait(GPTunnelHook(), job, **options)
        return asyncio.run(wait_async(GPTunnelHook(), job, **options))

    return play


@each_step
@pytest.mark.parametrize("sleeps", [0, 1, 4])
def test_a_step_in_the_middle_of_a_wait_moves_no_deadline(vendor, answer, clock, waits, step, sleeps):
    vendor.will(*[answer("processing") for _ in range(60)])
    clock.steps = [*[0.0] * sleeps, step]
    assert waits(submission(clock)).outcome is Outcome.TIMED_OUT
    assert sum(clock.slept) == pytest.approx(100)
    assert max(clock.slept) <= 20 * 1.1


@each_step
def test_a_step_in_the_middle_of_a_wait_changes_no_poll(vendor, answer, clock, waits, step):
    vendor.will(*[answer("processing") for _ in range(3)], answer("done", percent=100, result=RESULT))
    clock.steps = [step]
    assert waits(submission(clock)).outcome is Outcome.SUCCEEDED
    assert sum(clock.slept) < 15


@each_step
def test_a_rate_limit_is_kept_whatever_the_systems_time_does(clock, step):
    limiter = RateLimiter()
    for _ in range(3):
        limiter.wait(2)
    clock.step(step)
    limiter.wait(2)
    asyncio.run(limiter.await_turn(2))
    assert sum(clock.slept) == pytest.approx(2.0)


@each_step
def test_a_pause_after_too_many_requests_is_as_long_as_it_was(clock, step):
    limiter = RateLimiter()
    limiter.pause(clock.monotonic(), 7.0)
    clock.step(step)
    asyncio.run(limiter.await_turn(None))
    assert clock.slept == [7.0]


def test_a_step_back_does_not_make_the_other_requests_of_a_process_wait(vendor, answer, clock, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_GPTUNNEL_DEFAULT",
        '{"conn_type": "gptunnel", "host": "https://vendor.test", "password": "k",'
        ' "extra": {"requests_per_second": 1}}',
    )
    vendor.will(*[answer("processing") for _ in range(4)])
    with GPTunnelHook() as hook:
        for _ in range(2):
            hook.fetch("65819c485337280001a609e7", "face_swap")
        clock.step(-HOUR)
        for _ in range(2):
            hook.fetch("65819c485337280001a609e7", "face_swap")
    assert sum(clock.slept) <= 3.0


# -- two machines ---------------------------------------------------------------------------------------------


def fired(trigger):
    async def collect():
        return [event async for event in trigger.run()]

    [event] = asyncio.run(collect())
    return event.payload["ending"]["word"]


def deferred(clock, life=60.0, **more):
    """A trigger as a worker stores it."""
    kwargs = {"resume_after": clock.now() + SAFE_RESUME_DELAY, **more}
    return JobTrigger(submission=submission(clock, life).model_dump(mode="json"), **kwargs)


@pytest.mark.parametrize("behind", [5.0, 904.0, HOUR, 86_400.0])
@pytest.mark.parametrize("end_in_place", [False, True])
def test_a_triggerer_whose_clock_is_behind_adds_nothing_to_the_first_poll(
    vendor, answer, clock, behind, end_in_place
):
    trigger = deferred(clock, end_in_place=end_in_place)
    clock.step(-behind)
    vendor.will(answer("failed", error="broke"))
    assert fired(trigger) == "failed"
    assert clock.slept[0] <= max(SAFE_RESUME_DELAY, FIRST_POLL)
    assert sum(clock.slept) == pytest.approx(SAFE_RESUME_DELAY)


@pytest.mark.parametrize("behind", [5.0, 904.0, HOUR])
def test_a_triggerer_whose_clock_is_behind_keeps_the_time_limit_of_the_job(vendor, answer, clock, behind):
    trigger = deferred(clock)
    clock.step(-behind)
    vendor.will(*[answer("processing") for _ in range(60)])
    assert fired(trigger) == "timed_out"
    assert sum(clock.slept) == pytest.approx(60.0)


@pytest.mark.parametrize("ahead", [5.0, 904.0, HOUR])
def test_a_triggerer_whose_clock_is_ahead_polls_once_at_least(vendor, answer, clock, ahead):
    trigger = deferred(clock)
    clock.step(ahead)
    vendor.will(answer("done", percent=100, result=RESULT))
    assert fired(trigger) == "succeeded"
    assert sum(clock.slept) <= SAFE_RESUME_DELAY


def test_a_trigger_that_moves_between_two_clocks_goes_on_within_its_limit(vendor, answer, clock):
    trigger = deferred(clock)
    clock.time += 30
    clock.step(-HOUR)
    vendor.will(*[answer("processing") for _ in range(60)])
    assert fired(trigger) == "timed_out"
    assert sum(clock.slept) <= 60.0 + 1e-3  # the remainder is a difference of large numbers


@each_step
def test_the_event_of_a_failed_job_comes_at_the_safe_moment_whatever_the_systems_time_does(
    vendor, answer, clock, step
):
    trigger = deferred(clock, end_in_place=True)
    clock.steps = [step]
    vendor.will(answer("failed", error="broke"))
    assert fired(trigger) == "failed"
    assert sum(clock.slept) == pytest.approx(SAFE_RESUME_DELAY)


@pytest.mark.parametrize("behind", [0.0, 904.0, HOUR])
def test_a_deadline_of_an_earlier_attempt_is_never_later_than_the_tasks_own_limit(clock, behind):
    template = SubmissionTemplate("gptunnel", "face_swap", "c", 600.0)
    first = template.submission("j1")
    clock.step(-behind)
    resumed = template.submission("j1", submitted_at=first.submitted_at, deadline=first.deadline, reused=True)
    assert resumed.deadline - datetime.fromtimestamp(clock.now(), UTC) <= timedelta(seconds=600)
