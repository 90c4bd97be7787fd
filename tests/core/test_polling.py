"""When to ask next, when to give up, what the ending is; with a clock in the hand and no I/O."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_faceswap import exceptions as e
from airflow_provider_faceswap.endings import Ending, Trouble, Word, job_failure, read_event
from airflow_provider_faceswap.jobs import Cost, FailureReason, Job, JobState, Submission
from airflow_provider_faceswap.polling import (
    EMPTY_BUDGET,
    ERROR_BUDGET,
    JITTER,
    Schedule,
    Wait,
    Watch,
)
from airflow_provider_faceswap.vendors.base import Timing

URL = "https://a.test/r.png?sig=planted"


def job(state="running", **more):
    known = {"vendor": "piapi", "kind": "face_swap", "job_id": "j1", "status": str(state)}
    return Job(**{**known, "state": JobState(state), **more})


def watch(**more):
    settings = {
        "vendor": "piapi",
        "job_id": "j1",
        "schedule": Schedule(first=2, floor=1, cap=15),
        "submitted_at": 0.0,
        "deadline": 100.0,
        "jitter": random.Random(1),
    }
    return Watch(**{**settings, **more})


# -- the schedule -------------------------------------------------------------------------------------


def test_gaps_widen_with_the_age_of_the_job():
    schedule = Schedule(first=2, floor=1, cap=15)
    assert [schedule.wait(age) for age in (0, 1.5, 2, 8, 40, 1000)] == [2, 1, 1, 2, 10, 15]


def test_the_users_floor_goes_before_the_vendors_cap():
    assert Schedule.of(Timing(first=2, cap=15), None) == Schedule(first=2, floor=1, cap=15)
    assert Schedule.of(Timing(first=2, cap=15), 30) == Schedule(first=2, floor=30, cap=30)


@given(st.floats(0, 1e6), st.floats(0.1, 100), st.floats(0.1, 100))
def test_no_gap_is_below_the_floor(age, first, floor):
    assert Schedule(first=first, floor=floor, cap=max(15, floor)).wait(age) >= floor


def test_widening_asks_far_less_than_a_fixed_clock():
    """For a job of ten minutes: 51 questions at 1 to 15 s, against 600 at a fixed second."""
    schedule, age, asked = Schedule(first=2, floor=1, cap=15), 0.0, 0
    while age < 600:
        age += schedule.wait(age)
        asked += 1
    assert asked < 60


# -- the watch ----------------------------------------------------------------------------------------


def test_the_first_question_comes_near_the_shortest_known_time():
    assert watch().start(0.0).seconds == pytest.approx(2, rel=JITTER)


def test_an_old_job_is_asked_for_at_once():
    assert watch().start(50.0).seconds == 0


def test_no_question_comes_before_it_may():
    assert watch(not_before=7.0).start(0.0).seconds == 7


@given(st.floats(0, 200), st.floats(0, 200))
def test_no_wait_goes_past_the_deadline(now, deadline):
    looking = watch(deadline=deadline)
    assert looking.start(now).seconds <= max(0, deadline - now)
    decision = looking.saw(job(), now)
    if isinstance(decision, Wait):
        assert now + decision.seconds <= deadline + 1e-9
    else:
        assert (decision.word, now >= deadline) == (Word.TIMED_OUT, True)


@given(st.lists(st.sampled_from(["queued", "running", "down", "busy", "empty", "odd"]), max_size=200))
def test_every_wait_ends(story):
    looking, now, decision = watch(deadline=300.0), 0.0, Wait(0)
    for step in [*story, *["running"] * 2000]:
        now += decision.seconds
        match step:
            case "down":
                decision = looking.missed(e.VendorUnavailableError("down"), now)
            case "busy":
                decision = looking.missed(e.RateLimitError("busy", retry_after=3), now)
            case "empty":
                decision = looking.saw(job("succeeded"), now)
            case "odd":
                decision = looking.missed(e.MalformedResponseError("odd"), now)
            case _:
                decision = looking.saw(job(step), now)
        if isinstance(decision, Ending):
            break
        assert decision.seconds >= 0
    assert isinstance(decision, Ending)
    assert decision.word in {Word.TIMED_OUT, Word.UNREADABLE, Word.NO_OUTPUT}


@pytest.mark.parametrize(
    ("state", "word"), [("failed", Word.FAILED), ("canceled", Word.CANCELED), ("succeeded", Word.SUCCEEDED)]
)
def test_a_terminal_state_ends_it_even_past_the_deadline(state, word):
    seen = watch().saw(job(state, urls=(URL,)), 1000.0)
    assert (seen.word, seen.job.state) == (word, state)


def test_a_success_without_output_is_asked_again_a_few_times():
    looking = watch()
    for _ in range(EMPTY_BUDGET):
        assert isinstance(looking.saw(job("succeeded"), 5.0), Wait)
    assert looking.saw(job("succeeded"), 5.0).word is Word.NO_OUTPUT


def test_an_inline_picture_is_output():
    assert watch().saw(job("succeeded", inline=(b"x",)), 5.0).word is Word.SUCCEEDED


def test_failed_reads_have_a_budget_that_a_good_one_refills():
    looking, down = watch(deadline=1e6), e.VendorUnavailableError("down")
    for _ in range(ERROR_BUDGET - 1):
        assert isinstance(looking.missed(down, 5.0), Wait)
    assert isinstance(looking.saw(job(), 5.0), Wait)
    waits = [looking.missed(down, 5.0) for _ in range(ERROR_BUDGET - 1)]
    assert sum(wait.seconds for wait in waits) > 100, "a minute of trouble is survived"
    ending = looking.missed(down, 5.0)
    assert (ending.word, ending.trouble.message) == (Word.UNREADABLE, "down")


def test_too_many_requests_never_uses_the_budget_up():
    looking = watch(deadline=1e9)
    for _ in range(100):
        assert looking.missed(e.RateLimitError("slow", retry_after=20), 5.0).seconds == 20
    assert looking.missed(e.RateLimitError("slow"), 5.0).seconds == 15


@pytest.mark.parametrize(
    "error", [e.AuthenticationError("key"), e.InsufficientBalanceError("low"), e.InvalidRequestError("no")]
)
def test_a_refused_read_ends_it_and_says_that_the_job_may_go_on(error):
    ending = watch().missed(error, 5.0)
    assert ending.word is Word.REFUSED
    told = ending.to_error()
    assert type(told) is type(error)
    assert "resume_job_id" in str(told)
    assert told.job_id == "j1"


def test_not_found_is_not_yet_only_at_first():
    lost = e.JobLostError("unknown")
    assert isinstance(watch(grace=30.0).missed(lost, 10.0), Wait)
    assert watch(grace=30.0).missed(lost, 31.0).word is Word.LOST
    assert watch().missed(lost, 0.0).word is Word.LOST


def test_a_read_that_fails_at_the_deadline_ends_it():
    assert watch().missed(e.VendorUnavailableError("down"), 100.0).word is Word.TIMED_OUT


def test_only_a_change_of_the_vendors_word_is_news():
    looking = watch()
    assert looking.saw(job("queued", percent=0), 1.0).news == "is queued, 0 %, 1 s old"
    assert looking.saw(job("queued"), 2.0).news == ""
    assert looking.saw(job("running", status="processing"), 3.0).news == "is processing, 3 s old"


# -- endings ------------------------------------------------------------------------------------------

STARTED = datetime(2026, 1, 1, tzinfo=UTC)
SUBMISSION = Submission(
    vendor="piapi",
    kind="face_swap",
    job_id="j1",
    conn_id="piapi_default",
    submitted_at=STARTED,
    deadline=STARTED + timedelta(seconds=100),
    cost=Cost(amount=5, unit="point"),
)


def ending(word, **more):
    return Ending(word=word, vendor="piapi", job_id="j1", **more)


@pytest.mark.parametrize("word", list(Word))
def test_every_ending_crosses_to_the_worker_unchanged_but_for_links(word):
    sent = ending(word, job=job("succeeded", urls=(URL,)), trouble=Trouble(type="VendorError", message="m"))
    event = sent.to_event(SUBMISSION)
    assert "planted" not in str(event)
    waited, read = read_event(event)
    assert waited == SUBMISSION
    assert read == sent.model_copy(update={"job": sent.job.model_copy(update={"urls": ()})})


@pytest.mark.parametrize(
    ("made", "error", "says"),
    [
        (ending(Word.FAILED), e.JobFailedError, "no reason"),
        (ending(Word.CANCELED), e.JobCanceledError, "cancelled"),
        (ending(Word.TIMED_OUT), e.JobTimeoutError, "never seen"),
        (ending(Word.TIMED_OUT, job=job()), e.JobTimeoutError, "last seen as 'running'"),
        (ending(Word.TIMED_OUT, canceled=True), e.JobTimeoutError, "confirmed the cancel"),
        (ending(Word.TIMED_OUT, canceled=False), e.JobTimeoutError, "not confirmed"),
        (ending(Word.LOST), e.JobLostError, "no longer knows"),
        (ending(Word.NO_OUTPUT), e.MalformedResponseError, "without a usable link"),
        (ending(Word.UNREADABLE), e.VendorUnavailableError, "resume_job_id"),
        (
            ending(Word.REFUSED, trouble=Trouble(type="NotOurs", message="m")),
            e.VendorUnavailableError,
            "resume_job_id",
        ),
    ],
)
def test_every_ending_but_success_is_an_error_that_names_the_job(made, error, says):
    told = made.to_error()
    assert type(told) is error
    assert says in str(told)
    assert (told.vendor, told.job_id) == ("piapi", "j1")


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (FailureReason.UNKNOWN, e.JobFailedError),
        (FailureReason.NO_FACE, e.NoFaceError),
        (FailureReason.CONTENT_REFUSED, e.ContentRefusedError),
        (FailureReason.BAD_INPUT, e.InvalidRequestError),
        (FailureReason.INSUFFICIENT_BALANCE, e.InsufficientBalanceError),
    ],
)
def test_a_failed_job_says_its_reason_and_its_charge(reason, error):
    failed = job("failed", failure="why", failure_reason=reason, cost=Cost(amount=5, unit="point"))
    told = job_failure(failed, vendor="piapi", job_id="j1")
    assert type(told) is error
    assert "why" in str(told)
    assert "charged 5 point" in str(told)


def test_only_what_ends_the_job_itself_is_final():
    final = {word for word in Word if ending(word).is_final}
    assert final == {Word.SUCCEEDED, Word.FAILED, Word.CANCELED, Word.LOST}


def test_the_result_carries_what_only_the_create_told():
    result = SUBMISSION.result(job("succeeded", urls=(URL,)), seen_at=STARTED, retention=timedelta(days=3))
    told = result.to_xcom()
    assert told["cost"] == {"amount": 5.0, "unit": "point"}
    assert told["expires_at"] == "2026-01-04T00:00:00Z"
    assert SUBMISSION.result(job("succeeded"), seen_at=STARTED, retention=None).expires_at is None
