"""Every decision of a wait, with times given by the tests."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobLostError,
    JobTimeoutError,
    MalformedResponseError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionUncertainError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.jobs import Job
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, WaitResult
from airflow_provider_faceswap.lifecycle.polling import (
    EMPTY_BUDGET,
    ERROR_BUDGET,
    JITTER,
    LONGEST_ERROR_WAIT,
    Poller,
    Schedule,
    Wait,
)
from airflow_provider_faceswap.vendors.kinds import Timing

QUICK = settings(max_examples=200, deadline=None, derandomize=True, database=None)
SLACK = 1e-6
LINK = "https://a.test/x.png"


class Steady(random.Random):
    """No jitter at all."""

    def uniform(self, a, b):
        return 0.0


class Extreme(random.Random):
    """All of the jitter there is, to one side."""

    def __init__(self, side):
        super().__init__(0)
        self.side = side

    def uniform(self, a, b):
        return (a, b)[self.side]


def a_job(state="running", status=None, **more):
    return Job(vendor="piapi", kind="face_swap", job_id="j1", state=state, status=status or state, **more)


def done():
    return a_job("succeeded", urls=(LINK,))


def watch(schedule=None, *, submitted_at=0.0, deadline=600.0, jitter=None, **more):
    poller = Poller(
        vendor="piapi",
        job_id="j1",
        schedule=schedule or Schedule(shortest=2, floor=1, cap=15),
        submitted_at=submitted_at,
        deadline=deadline,
        **more,
    )
    poller.jitter = jitter or Steady()
    return poller


# -- the schedule ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("poll_interval", "floor", "cap"), [(None, 1.0, 15.0), (5, 5, 15.0), (0.5, 0.5, 15.0), (40, 40, 40)]
)
def test_the_users_interval_is_the_floor_and_never_above_the_cap(poll_interval, floor, cap):
    schedule = Schedule.of(Timing(first=2, cap=15), poll_interval)
    assert schedule == Schedule(shortest=2, floor=floor, cap=cap)


@pytest.mark.parametrize(
    ("age", "wait"),
    [(0, 3), (0.5, 2.5), (2.5, 1), (3, 1), (4, 1), (8, 1.4), (10.125, 1.575), (40, 6), (60, 9), (10_000, 15)],
)
def test_the_gap_grows_with_the_root_of_the_age_then_with_the_age_between_floor_and_cap(age, wait):
    assert Schedule(shortest=2, floor=1, cap=15).wait(age) == pytest.approx(wait)


SECONDS = st.floats(0.1, 120)
SCHEDULES = st.builds(
    lambda first, cap, interval: Schedule.of(Timing(first=first, cap=cap), interval),
    SECONDS,
    SECONDS,
    st.none() | SECONDS,
)


@QUICK
@given(schedule=SCHEDULES, age=st.floats(0, 1e6))
def test_a_gap_is_never_below_the_floor_and_never_above_the_longest_time_of_the_schedule(schedule, age):
    assert schedule.floor <= schedule.wait(age) <= max(schedule.first, schedule.cap, schedule.floor)


@QUICK
@given(schedule=SCHEDULES, ahead=st.floats(0, 1e5))
def test_a_vendor_whose_clock_is_ahead_does_not_make_the_wait_longer(schedule, ahead):
    """The time of the create may be the vendor's own: a job can look as if it came from the future."""
    longest = max(schedule.first, schedule.floor, schedule.cap) * (1 + JITTER) + SLACK
    waiting = watch(schedule, submitted_at=ahead, deadline=1e9)
    assert schedule.wait(-ahead) <= longest
    assert waiting.start(0).seconds <= longest
    assert waiting.after_poll(a_job(), 0).seconds <= longest


@QUICK
@given(schedule=SCHEDULES, young=st.floats(0, 1e5), older=st.floats(0, 1e5))
def test_after_the_first_question_the_gaps_only_grow(schedule, young, older):
    assume(schedule.first <= young <= older)
    assert schedule.wait(young) <= schedule.wait(older)


def test_a_job_of_ten_minutes_is_asked_some_dozens_of_times_and_not_hundreds():
    schedule, age, asked = Schedule(shortest=2, floor=1, cap=15), 0.0, 0
    while age < 600:
        age += schedule.wait(age)
        asked += 1
    assert 30 < asked < 60


# -- the start ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "more", "seconds"),
    [
        (0, {}, 3),
        (0.5, {}, 2.5),
        (30, {}, 0),
        (0, {"not_before": 10}, 10),
        (30, {"not_before": 10}, 0),
        (0, {"not_before": 1}, 3),
        (0, {"deadline": 1}, 1),
        (0, {"deadline": 5, "not_before": 10}, 5),
        (700, {}, 0),
    ],
)
def test_the_first_question_comes_when_the_kind_can_be_done_not_earlier_than_allowed_and_by_the_deadline(
    now, more, seconds
):
    assert watch(**more).start(now) == Wait(seconds)


# -- what was seen --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "word"),
    [
        (done(), Outcome.SUCCEEDED),
        (a_job("succeeded", inline=(b"x",)), Outcome.SUCCEEDED),
        (a_job("failed"), Outcome.FAILED),
        (a_job("canceled"), Outcome.CANCELED),
    ],
)
@pytest.mark.parametrize("now", [1, 600, 10_000])
def test_a_terminal_job_ends_the_wait_at_any_time_even_after_the_deadline(job, word, now):
    end = watch().after_poll(job, now)
    assert (end.outcome, end.job, end.vendor, end.job_id) == (word, job, "piapi", "j1")


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_that_goes_on_is_asked_again_until_the_deadline_and_then_left_going(state):
    waiting = watch()
    assert waiting.after_poll(a_job(state), 100) == Wait(15, f"is {state}, after 100 s")
    assert waiting.after_poll(a_job(state), 599) == Wait(1)
    end = waiting.after_poll(a_job(state), 600)
    assert (end.outcome, end.job.state) == (Outcome.TIMED_OUT, state)
    assert type(end.to_error()) is JobTimeoutError


def test_a_change_of_the_vendors_word_is_told_once():
    waiting = watch()
    seen = [
        waiting.after_poll(a_job("queued", "idle"), 2).message,
        waiting.after_poll(a_job("queued", "idle"), 3).message,
        waiting.after_poll(a_job("running", "processing", percent=40.4), 5).message,
        waiting.after_poll(a_job("running", "processing", percent=49), 7).message,
        waiting.after_poll(Job(vendor="piapi", kind="k", job_id="j1", state="running", status=""), 9).message,
    ]
    assert seen == [
        "is idle, after 2 s",
        "",
        "is processing, 40 %, after 5 s",
        "",
        "is without a status, after 9 s",
    ]


def test_progress_alone_is_told_once_a_quarter_and_never_backwards():
    waiting = watch()
    told = [waiting.after_poll(a_job(percent=percent), 5).message for percent in range(101)]
    assert [news for news in told if news] == [
        f"is running, {percent} %, after 5 s" for percent in (0, 25, 50, 75, 100)
    ]
    assert [waiting.after_poll(a_job(percent=percent), 6).message for percent in (None, 3, 80, 100)] == [
        ""
    ] * 4


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -5.0, 1e300])
def test_a_percent_that_makes_no_sense_ends_no_wait(odd):
    waiting = watch()
    assert "is running" in waiting.after_poll(a_job(percent=odd), 5).message
    for _ in range(3):
        assert waiting.after_poll(a_job(percent=odd), 6).message == ""


def test_the_age_is_the_jobs_own_where_its_vendor_tells_when_it_was_made():
    """A job that is known by its id alone is older than the wait for it."""
    waiting = watch(submitted_at=1000.0, deadline=2000.0)
    made = datetime.fromtimestamp(400, UTC)
    assert waiting.after_poll(a_job(created_at=made), 1010).message == "is running, after 610 s"
    ahead = datetime.fromtimestamp(1500, UTC)
    assert waiting.after_poll(a_job("queued", created_at=ahead), 1010).message == "is queued, after 10 s"


@pytest.mark.parametrize(
    "error",
    [VendorUnavailableError("down"), RateLimitError("slow", retry_after=1), JobLostError("unknown")],
    ids=lambda error: type(error).__name__,
)
def test_one_kind_of_trouble_is_told_once_until_the_vendors_word_changes(error):
    waiting = watch(grace=100)
    waiting.after_poll(a_job("queued"), 1)
    told = []
    for now in range(2, 8):
        told.append(waiting.after_error(error, now).message)
        told.append(waiting.after_poll(a_job("queued"), now).message)
    assert [bool(news) for news in told] == [True] + [False] * 11
    assert error.message in told[0]
    assert waiting.after_error(MalformedResponseError("odd"), 8).message, "another kind is news"
    waiting.after_poll(a_job("running"), 9)
    assert waiting.after_error(error, 10).message, "and so is the same one in another state"


def test_a_success_without_a_link_is_asked_again_a_few_times():
    waiting = watch()
    for _ in range(EMPTY_BUDGET):
        decision = waiting.after_poll(a_job("succeeded"), 5)
        assert isinstance(decision, Wait)
        assert decision.seconds == 2
    assert waiting.after_poll(a_job("succeeded"), 5).outcome is Outcome.NO_OUTPUT


def test_a_link_that_comes_late_is_a_success():
    waiting = watch()
    assert isinstance(waiting.after_poll(a_job("succeeded"), 5), Wait)
    assert waiting.after_poll(done(), 7).outcome is Outcome.SUCCEEDED


def test_a_success_without_a_link_near_the_deadline_is_not_slept_past_it():
    """With a long interval of the user, the wait would else outlive the framework's own deadline."""
    waiting = watch(Schedule(shortest=2, floor=300, cap=300), deadline=10)
    assert waiting.after_poll(a_job("succeeded"), 9).seconds <= 1


# -- what went wrong ------------------------------------------------------------------------------------------

AGAIN = [VendorUnavailableError, RateLimitError, MalformedResponseError, VendorError]
FINAL = [
    AuthenticationError,
    PermissionDeniedError,
    InsufficientBalanceError,
    InvalidRequestError,
    SubmissionUncertainError,
    FaceSwapError,
]


@pytest.mark.parametrize("cls", AGAIN)
def test_a_failed_read_is_no_failed_job(cls):
    waiting = watch()
    waiting.after_poll(a_job(), 5)
    decision = waiting.after_error(cls("no luck"), 6)
    assert isinstance(decision, Wait)
    assert "no luck" in decision.message
    assert cls.__name__ in decision.message


@pytest.mark.parametrize("cls", FINAL)
def test_a_poll_that_stays_refused_ends_the_wait_after_the_budget_and_leaves_the_job_resumable(cls):
    """K5: the key of a paid job may be replaced while it is waited for."""
    waiting = watch()
    waiting.after_poll(a_job("queued"), 5)
    for _ in range(ERROR_BUDGET - 1):
        assert isinstance(waiting.after_error(cls("no luck"), 6), Wait)
    end = waiting.after_error(cls("no luck"), 6)
    assert (end.outcome, end.is_final) == (Outcome.REFUSED, False)
    assert (end.failure.type, end.failure.message) == (cls.__name__, "no luck")
    assert end.job.state == "queued"


def test_failed_reads_have_a_budget_and_wait_longer_each_time():
    waiting = watch(deadline=1e6)
    waits, now = [], 0.0
    while isinstance(
        decision := waiting.after_error(VendorUnavailableError("down", status_code=502), now), Wait
    ):
        waits.append(decision.seconds)
        now += decision.seconds
    assert waits == [min(2.0**n, LONGEST_ERROR_WAIT) for n in range(1, ERROR_BUDGET)]
    assert (decision.outcome, decision.is_final) == (Outcome.UNREADABLE, False)
    error = decision.to_error()
    assert type(error) is VendorUnavailableError
    assert error.status_code == 502
    assert "resume_job_id" in str(error)


def test_a_read_that_succeeds_gives_the_budget_back():
    waiting = watch(deadline=1e6)
    for _ in range(3):
        for _ in range(ERROR_BUDGET - 1):
            assert isinstance(waiting.after_error(VendorUnavailableError("down"), 1), Wait)
        assert isinstance(waiting.after_poll(a_job(), 1), Wait)


@pytest.mark.parametrize(("asked", "seconds"), [(40, 40), (0.2, 1), (None, 15), (0, 15), (10_000, 595)])
def test_too_many_requests_is_waited_out_as_asked(asked, seconds):
    assert watch().after_error(RateLimitError("slow", retry_after=asked), 5).seconds == seconds


def test_too_many_requests_says_nothing_against_the_job_and_costs_no_budget():
    waiting = watch(deadline=1e6)
    for now in range(ERROR_BUDGET * 3):
        assert isinstance(waiting.after_error(RateLimitError("slow", retry_after=1), now), Wait)
    for _ in range(ERROR_BUDGET - 1):
        assert isinstance(waiting.after_error(VendorUnavailableError("down"), 50), Wait)


@pytest.mark.parametrize("cls", AGAIN)
def test_a_failed_read_at_the_deadline_is_a_deadline(cls):
    end = watch().after_error(cls("no luck"), 600)
    assert (end.outcome, end.failure.message) == (Outcome.TIMED_OUT, "no luck")
    assert type(end.to_error()) is JobTimeoutError


@pytest.mark.parametrize(
    ("age", "deadline", "grace", "lost"),
    [(0, 600, 30, False), (29, 600, 30, False), (30, 600, 30, True), (0, 600, 0, True), (20, 20, 30, True)],
)
def test_not_found_means_not_yet_only_in_the_first_seconds(age, deadline, grace, lost):
    decision = watch(deadline=deadline, grace=grace).after_error(JobLostError("unknown"), age)
    if lost:
        assert (decision.outcome, decision.is_final) == (Outcome.LOST, True)
        assert type(decision.to_error()) is JobLostError
    else:
        assert decision.seconds == 2
        assert "not there yet" in decision.message


# -- any course of events at all ------------------------------------------------------------------------------

EVENTS = st.sampled_from(
    [
        a_job("queued"),
        a_job("running"),
        a_job("running", "tomorrow"),
        a_job("succeeded"),
        VendorUnavailableError("down"),
        RateLimitError("slow"),
        RateLimitError("slow", retry_after=7),
        RateLimitError("slow", retry_after=1e9),
        MalformedResponseError("odd"),
        JobLostError("unknown"),
        done(),
        a_job("failed"),
        AuthenticationError("key"),
    ]
)
#: Events that leave the job going, so that only time or a budget can end the wait.
ENDLESS = st.sampled_from(
    [
        a_job("running"),
        a_job("running", "tomorrow"),
        VendorUnavailableError("down"),
        RateLimitError("slow", retry_after=3),
        RateLimitError("slow"),
        a_job("succeeded"),
    ]
)
JITTERS = st.sampled_from([Steady(), Extreme(0), Extreme(1)]) | st.builds(random.Random, st.integers(0, 99))


def run(waiting, events, now):
    """Play a wait to its end; the last event goes on happening. Returns every (moment, wait) and the end."""
    steps = []
    decision = waiting.start(now)
    index = 0
    while isinstance(decision, Wait):
        steps.append((now, decision.seconds))
        assert len(steps) < 20_000, "the wait does not end"
        now += decision.seconds
        event = events[min(index, len(events) - 1)]
        index += 1
        decision = (
            waiting.after_error(event, now)
            if isinstance(event, Exception)
            else waiting.after_poll(event, now)
        )
    return steps, now, decision


@QUICK
@given(
    schedule=SCHEDULES,
    events=st.lists(EVENTS, max_size=25),
    last=ENDLESS,
    life=st.floats(0, 2000),
    age=st.floats(0, 3000),
    grace=st.floats(0, 40),
    jitter=JITTERS,
)
def test_every_wait_ends_and_never_sleeps_past_its_deadline(schedule, events, last, life, age, grace, jitter):
    epoch = 1_800_000_000.0
    deadline = epoch + life
    waiting = watch(schedule, submitted_at=epoch, deadline=deadline, grace=grace, jitter=jitter)
    steps, now, end = run(waiting, [*events, last], epoch + age)
    assert isinstance(end, WaitResult)
    assert end.outcome in Outcome
    for moment, seconds in steps:
        assert seconds >= 0
        assert moment + seconds <= max(deadline, moment) + SLACK
    assert now <= max(deadline, epoch + age) + SLACK


@QUICK
@given(
    schedule=SCHEDULES,
    events=st.lists(EVENTS, max_size=25),
    last=ENDLESS,
    life=st.floats(1, 2000),
    jitter=JITTERS,
)
def test_no_two_questions_are_closer_than_the_floor_unless_the_deadline_clips_them(
    schedule, events, last, life, jitter
):
    waiting = watch(schedule, deadline=life, grace=20, jitter=jitter)
    steps, _, _ = run(waiting, [*events, last], 0.0)
    for moment, seconds in steps[1:]:  # the first wait is no gap between two questions
        assert seconds >= schedule.floor - SLACK or moment + seconds >= life - SLACK


@QUICK
@given(schedule=SCHEDULES, last=ENDLESS, life=st.floats(1, 2000), jitter=JITTERS)
def test_the_job_is_looked_at_once_more_at_the_deadline_before_it_is_left(schedule, last, life, jitter):
    waiting = watch(schedule, deadline=life, jitter=jitter)
    steps, now, end = run(waiting, [last], 0.0)
    if end.outcome is Outcome.TIMED_OUT:
        assert now == pytest.approx(life)
    assert steps


@QUICK
@given(schedule=SCHEDULES, events=st.lists(EVENTS, max_size=40), now=st.floats(0, 1000))
def test_the_budget_of_failed_reads_is_never_overdrawn(schedule, events, now):
    waiting = watch(schedule, deadline=1e9, grace=0)
    in_a_row = 0
    for event in events:
        failed = isinstance(event, Exception)
        decision = waiting.after_error(event, now) if failed else waiting.after_poll(event, now)
        in_a_row = 0 if not failed else in_a_row + (not isinstance(event, RateLimitError))
        if isinstance(decision, WaitResult):
            assert (decision.outcome is Outcome.UNREADABLE) is (
                isinstance(event, VendorUnavailableError | MalformedResponseError)
                and in_a_row >= ERROR_BUDGET
            )
            return
        assert in_a_row < ERROR_BUDGET


@QUICK
@given(schedule=SCHEDULES, age=st.floats(0, 5000), seed=st.integers())
def test_jitter_moves_a_wait_by_a_tenth_at_most(schedule, age, seed):
    plain = schedule.wait(age)
    varied = watch(schedule, deadline=1e9, jitter=random.Random(seed)).after_poll(a_job(), age).seconds
    assert plain * (1 - JITTER) - SLACK <= varied <= plain * (1 + JITTER) + SLACK


def test_two_jobs_of_one_second_do_not_ask_in_one_second_for_ever():
    def own():
        return (
            Poller(vendor="piapi", job_id="j1", schedule=Schedule(2, 1, 15), submitted_at=0, deadline=1e9)
            .after_poll(a_job(), 1000)
            .seconds
        )

    assert len({own() for _ in range(8)}) > 1
