"""The two loops that wait: they sleep and ask as the watch says, and are the same in both worlds."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    JobLostError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK, Clock
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from airflow_provider_faceswap.jobs import Job, Submission
from airflow_provider_faceswap.lifecycle import polling, waiting
from airflow_provider_faceswap.lifecycle.outcomes import Outcome
from airflow_provider_faceswap.lifecycle.polling import Schedule
from airflow_provider_faceswap.lifecycle.waiting import done_message, poller_for, wait, wait_async
from tests.conftest import DrivenClock

NOW = 1_800_000_000.0
LINK = "https://a.test/x.png"


def a_job(state="running", **more):
    return Job(vendor="gptunnel", kind="face_swap", job_id="j1", state=state, status=state, **more)


DONE = a_job("succeeded", urls=(LINK,))


class ScriptedHook:
    """Answers each read with the next word of a script; the last one goes on."""

    vendor = GPTunnelHook.vendor

    def __init__(self, *script, cancels=True):
        self.script = list(script)
        self.asked = []
        self.canceled = []
        self.cancels = cancels
        self.open = 0
        self.open_while_asked = []

    def _next(self, job_id, kind):
        self.asked.append((job_id, kind))
        self.open_while_asked.append(self.open)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def fetch(self, job_id, kind):
        return self._next(job_id, kind)

    async def afetch(self, job_id, kind):
        return self._next(job_id, kind)

    def cancel(self, job_id, kind):
        self.canceled.append((job_id, kind))
        return self.cancels

    async def acancel(self, job_id, kind):
        return self.cancel(job_id, kind)

    @asynccontextmanager
    async def session(self):
        self.open += 1
        try:
            yield self
        finally:
            self.open -= 1


def a_submission(life=600.0):
    sent = datetime.fromtimestamp(NOW, UTC)
    return Submission(
        vendor="gptunnel",
        kind="face_swap",
        job_id="j1",
        conn_id="c",
        submitted_at=sent,
        deadline=sent + timedelta(seconds=life),
    )


class Steady:
    """Jitter that does not vary."""

    def uniform(self, a, b):
        return 0.0


@pytest.fixture(autouse=True)
def steady(monkeypatch):
    monkeypatch.setattr(polling.Poller, "jitter", Steady())


def driven(monkeypatch):
    clock = DrivenClock()
    monkeypatch.setattr(CLOCK, "source", clock)
    return clock


@pytest.fixture(params=["worker", "loop"])
def world(request, monkeypatch):
    """Wait in either world, with a clock of its own; returns the result, the clock and what was logged."""

    def play(hook, life=600.0, **options):
        clock, lines = driven(monkeypatch), []
        arguments = {"log": lines.append, **options}
        if request.param == "worker":
            end = wait(hook, a_submission(life), **arguments)
        else:
            end = asyncio.run(wait_async(hook, a_submission(life), **arguments))
        return end, clock, lines

    return play


def test_a_job_is_asked_for_after_each_sleep_until_it_ends(world):
    hook = ScriptedHook(a_job("queued"), a_job(), DONE)
    end, clock, _ = world(hook)
    assert (end.outcome, end.job) == (Outcome.SUCCEEDED, DONE)
    assert hook.asked == [("j1", "face_swap")] * 3
    assert clock.slept == [3, 1, 1]


def test_both_worlds_decide_alike_on_any_course(monkeypatch):
    for script in (
        [a_job(), VendorUnavailableError("down"), VendorUnavailableError("down"), DONE],
        [a_job("succeeded"), a_job("succeeded"), DONE],
        [a_job()],
        [VendorUnavailableError("down")],
        [a_job(), a_job("failed")],
        [AuthenticationError("key")],
    ):
        clocks, lines = [driven(monkeypatch)], [[], []]
        first = wait(ScriptedHook(*script), a_submission(), log=lines[0].append)
        clocks.append(driven(monkeypatch))
        second = asyncio.run(wait_async(ScriptedHook(*script), a_submission(), log=lines[1].append))
        assert first == second
        assert clocks[0].slept == clocks[1].slept
        assert lines[0] == lines[1]


def test_a_failed_read_is_decided_by_the_watch_and_does_not_leave_the_loop(world):
    end, _, lines = world(ScriptedHook(VendorUnavailableError("down"), DONE))
    assert end.outcome is Outcome.SUCCEEDED
    assert any("down" in line for line in lines)


def test_a_job_that_is_gone_and_a_key_that_is_refused_end_the_wait(world):
    assert world(ScriptedHook(JobLostError("unknown")))[0].outcome is Outcome.LOST
    assert world(ScriptedHook(AuthenticationError("key")))[0].outcome is Outcome.REFUSED


def test_the_deadline_ends_the_wait_on_time_after_a_last_look(world):
    hook = ScriptedHook(a_job())
    end, clock, _ = world(hook, life=20)
    assert end.outcome is Outcome.TIMED_OUT
    assert clock.now() == NOW + 20
    assert hook.canceled == []
    assert end.cancel_confirmed is None


@pytest.mark.parametrize("confirmed", [True, False])
def test_the_deadline_cancels_once_where_asked_and_tells_whether_it_was_confirmed(world, confirmed):
    hook = ScriptedHook(a_job(), cancels=confirmed)
    end, _, _ = world(hook, life=5, cancel_on_timeout=True)
    assert (end.outcome, end.cancel_confirmed) == (Outcome.TIMED_OUT, confirmed)
    assert hook.canceled == [("j1", "face_swap")]


@pytest.mark.parametrize("script", [[DONE], [a_job("failed")], [VendorUnavailableError("down")]])
def test_no_other_ending_cancels_anything(world, script):
    hook = ScriptedHook(*script)
    end, _, _ = world(hook, cancel_on_timeout=True)
    assert end.outcome is not Outcome.TIMED_OUT
    assert hook.canceled == []
    assert end.cancel_confirmed is None


def test_each_change_is_one_line_that_names_vendor_and_job(world):
    _, _, lines = world(ScriptedHook(a_job("queued"), a_job("queued"), a_job(), a_job(), DONE))
    assert lines == ["gptunnel job j1 is queued, after 3 s", "gptunnel job j1 is running, after 5 s"]


def test_thirty_questions_in_two_states_are_two_lines_and_not_thirty(world):
    course = [a_job("queued")] * 10 + [a_job("running", percent=10 + n) for n in range(10)]
    hook = ScriptedHook(*course, *[VendorUnavailableError("down"), a_job("running")] * 5, DONE)
    end, _, lines = world(hook)
    assert (end.outcome, len(hook.asked)) == (Outcome.SUCCEEDED, 31)
    assert [line.removeprefix("gptunnel job j1 ").split(", after")[0] for line in lines] == [
        "is queued",
        "is running, 10 %",
        "could not be polled (VendorUnavailableError: down), polling again",
    ]


def test_no_line_holds_a_signed_link_whatever_the_vendor_says(world):
    signed = "https://a.test/x.png?X-Amz-Signature=4f8a1c0b97d25e6613aa"
    odd = Job(vendor="gptunnel", kind="k", job_id="j1", state="running", status=f"at {signed}")
    _, _, lines = world(ScriptedHook(odd, VendorUnavailableError(f"down: {signed}"), DONE))
    assert len(lines) == 2
    assert all("https://a.test/x.png" in line for line in lines), "what the vendor says is told"
    assert not [line for line in lines if "4f8a1c0b97d25e6613aa" in line]


@pytest.mark.parametrize(("took", "seconds"), [(12.4, 12), (-3, 0)])
def test_the_last_line_says_how_long_the_job_took(took, seconds):
    sent = datetime.fromtimestamp(NOW, UTC)
    submission = Submission(
        vendor="gptunnel", kind="k", job_id="j1", conn_id="c", submitted_at=sent, deadline=sent
    )
    result = submission.result(DONE, seen_at=sent + timedelta(seconds=took), retention=None)
    assert done_message(result).startswith(f"gptunnel job j1 is done after {seconds} s")


def test_an_error_that_is_none_of_ours_is_not_taken_for_a_failed_read(world):
    with pytest.raises(ZeroDivisionError):
        world(ScriptedHook(ZeroDivisionError()))


def test_the_shared_client_is_open_during_the_wait_and_closed_after_it(monkeypatch):
    for script in ([a_job(), DONE], [a_job(), ZeroDivisionError()]):
        hook = ScriptedHook(*script)
        with suppress(ZeroDivisionError):
            driven(monkeypatch)
            asyncio.run(wait_async(hook, a_submission(), log=print))
        assert hook.open_while_asked == [1, 1]
        assert hook.open == 0


def test_a_wait_that_is_cancelled_stops_at_once_and_closes_its_client(monkeypatch):
    class Endless(DrivenClock):
        async def asleep(self, seconds):
            await asyncio.Event().wait()

    monkeypatch.setattr(CLOCK, "source", Endless())
    hook = ScriptedHook(a_job())

    async def run():
        task = asyncio.create_task(wait_async(hook, a_submission(), log=print))
        await asyncio.sleep(0)
        assert hook.open == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert hook.open == 0
    assert hook.canceled == []


def test_the_real_clock_tells_the_time_and_sleeps(monkeypatch):
    slept = []

    async def asleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("asyncio.sleep", asleep)
    clock = Clock()
    clock.sleep(3)
    coroutine = clock.asleep(4)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert slept == [3, 4]
    assert abs(clock.now() - datetime.now(UTC).timestamp()) < 5


@pytest.mark.parametrize(("hook", "grace"), [(GPTunnelHook, 0.0), (TengraiHook, 15.0)])
@pytest.mark.parametrize(("interval", "floor", "cap"), [(None, 1.0, 10.0), (30, 30, 30)])
def test_a_watch_knows_what_submission_kind_and_vendor_say(clock, hook, grace, interval, floor, cap):
    sent = datetime.fromtimestamp(NOW, UTC)
    submission = Submission(
        vendor=hook.vendor.name,
        kind="face_swap",
        job_id="j1",
        conn_id="c",
        submitted_at=sent,
        deadline=sent + timedelta(minutes=10),
    )
    poller = poller_for(hook(), submission, poll_interval=interval, not_before=NOW + 50)
    timing = hook.vendor.kind("face_swap").timing
    assert poller.schedule == Schedule(shortest=timing.first, floor=floor, cap=max(timing.cap, floor))
    assert (poller.vendor, poller.job_id, poller.grace) == (hook.vendor.name, "j1", grace)
    assert (poller.submitted_at, poller.deadline, poller.not_before) == (NOW, NOW + 600, NOW + 50)
    assert poller.zero == 0.0


class SilentHook(ScriptedHook):
    """Takes a question, and never answers."""

    async def afetch(self, job_id, kind):
        self.asked.append((job_id, kind))
        await asyncio.Event().wait()


def test_a_vendor_that_never_answers_does_not_hold_a_trigger_beyond_its_deadline(monkeypatch):
    monkeypatch.setattr(waiting, "LAST_POLL_MARGIN", 0.01)
    driven(monkeypatch)
    hook = SilentHook(a_job())
    ending = asyncio.run(wait_async(hook, a_submission(life=-1), log=lambda _: None))
    assert ending.outcome is Outcome.TIMED_OUT
    assert "no response by the deadline" in ending.failure.message
    assert len(hook.asked) == 1
