"""The deadline of a job: when it comes, what keeps it, what renews it, and what it says of a cancel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_faceswap.exceptions import JobTimeoutError
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator

PICTURES = {
    "target_image": "https://pictures.test/target.jpg",
    "face_image": "https://pictures.test/face.jpg",
}
BEGUN = 1_800_000_000.0
JOB = "90efd2db-bcfc-413f-a0be-c893850c9d68"


def swap(**more):
    return GPTunnelFaceSwapOperator(**{"task_id": "swap", "deferrable": True, **PICTURES, **more})


def limited(seconds, **more):
    return swap(execution_timeout=timedelta(seconds=seconds), **more)


def deferral(operator, context):
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    return caught.value


def deadline_of(deferred):
    """Seconds since the begin, as the trigger has it."""
    return deferred.trigger.submission.deadline.timestamp() - BEGUN


def run(trigger):
    import asyncio

    async def events():
        return [event async for event in trigger.run()]

    [event] = asyncio.run(events())
    return event


@pytest.fixture
def slow_create(vendor, clock, monkeypatch):
    """A vendor that takes so many seconds to answer a create."""
    answering = type(vendor).__call__
    seconds = {"create": 0.0}

    def late(self, request):
        if request.method == "POST" and not request.url.path.endswith("result"):
            clock.time += seconds["create"]
        return answering(self, request)

    monkeypatch.setattr(type(vendor), "__call__", late)
    return seconds


@pytest.mark.parametrize(
    ("limit", "timeout", "deadline"),
    [
        (50, 600, 45),
        (100, 600, 90),
        (101, 600, 91),
        (300, 600, 290),
        (600, 600, 590),
        (609, 600, 599),
        (610, 600, 600),
        (3600, 600, 600),
        (1, 600, 0.9),
    ],
)
def test_the_deadline_comes_before_airflow_ends_the_task(
    vendor, answer, context, clock, limit, timeout, deadline
):
    vendor.will(answer("idle"))
    deferred = deferral(limited(limit, timeout=timeout), context)
    assert deadline_of(deferred) == pytest.approx(deadline)


def test_without_an_execution_timeout_the_timeout_counts(vendor, answer, context, clock):
    vendor.will(answer("idle"))
    assert deadline_of(deferral(swap(timeout=123), context)) == pytest.approx(123)


def test_execution_timeout_counts_from_the_start_of_the_task(vendor, answer, context, clock, slow_create):
    slow_create["create"] = 20.0
    vendor.will(answer("idle"))
    assert deadline_of(deferral(limited(100), context)) == pytest.approx(90), "not 90 from the answer"


def test_timeout_counts_from_the_answer_of_the_create(vendor, answer, context, clock, slow_create):
    slow_create["create"] = 20.0
    vendor.will(answer("idle"))
    assert deadline_of(deferral(swap(timeout=100), context)) == pytest.approx(120)


def test_a_task_that_was_read_long_before_it_ran_counts_from_its_start(vendor, answer, context, clock):
    operator = limited(100)
    clock.time += 1000
    vendor.will(answer("idle"))
    assert deadline_of(deferral(operator, context)) == pytest.approx(1000 + 90)


def test_a_worker_that_waits_stops_at_the_deadline(vendor, answer, context, clock):
    vendor.will(*[answer("processing")] * 50)
    with pytest.raises(JobTimeoutError, match="resume_job_id"):
        limited(40, deferrable=False).execute(context)
    assert clock.now() == pytest.approx(BEGUN + 36)


def test_a_trigger_stops_at_the_deadline(vendor, answer, context, clock):
    vendor.will(*[answer("processing")] * 50)
    operator = limited(40)
    deferred = deferral(operator, context)
    event = run(deferred.trigger)
    assert clock.now() == pytest.approx(BEGUN + 36)
    assert event.payload["ending"]["word"] == "timed_out"
    with pytest.raises(JobTimeoutError, match="resume_job_id"):
        operator.execute_complete(context, event.payload, **deferred.kwargs)


def test_the_trigger_is_given_time_beyond_the_deadline(vendor, answer, context, clock):
    vendor.will(answer("idle"))
    deferred = deferral(limited(100), context)
    assert deferred.timeout.total_seconds() > 90, "the trigger's own word comes before Airflow's"


def test_the_deadline_is_kept_with_the_task_and_in_the_record(vendor, answer, context, clock, store):
    vendor.will(answer("idle"))
    deferred = deferral(limited(100), context)
    expected = datetime.fromtimestamp(BEGUN + 90, UTC)
    _, arguments = deferred.trigger.serialize()
    [record] = store.values.values()
    for kept in (arguments["submission"], deferred.kwargs["submission"], record):
        assert datetime.fromisoformat(kept["deadline"]) == expected


@pytest.mark.parametrize("later", [10, 89, 500])
def test_a_retry_keeps_the_deadline(vendor, answer, context, clock, store, later):
    vendor.will(answer("idle"))
    first = deferral(limited(100, timeout=300), context)
    clock.time += later
    vendor.will(answer("processing"))
    second = deferral(limited(100, timeout=300), context)
    assert second.trigger.submission.deadline == first.trigger.submission.deadline
    [record] = store.values.values()
    assert datetime.fromisoformat(record["deadline"]).timestamp() == pytest.approx(BEGUN + 90)
    assert len(vendor.creates) == 1


def test_a_retry_after_the_deadline_asks_once_more(vendor, answer, context, clock):
    vendor.will(*[answer("processing")] * 50)
    with pytest.raises(JobTimeoutError):
        swap(deferrable=False, timeout=30).execute(context)
    vendor.answers.clear()
    vendor.will(answer("processing"), answer("processing"))
    before = clock.now()
    with pytest.raises(JobTimeoutError):
        swap(deferrable=False, timeout=30).execute(context)
    assert clock.now() == before
    assert len(vendor.creates) == 1


@pytest.mark.parametrize(
    ("more", "deadline"), [({}, 200), ({"execution_timeout": timedelta(seconds=100)}, 90)]
)
def test_a_clear_renews_the_deadline_once(vendor, answer, context, clock, store, monkeypatch, more, deadline):
    vendor.will(answer("idle"))
    deferral(swap(timeout=200, **more), context)
    clock.time += 1000
    monkeypatch.setattr(type(context["ti"]), "max_tries", 1)
    vendor.will(answer("processing"))
    cleared = deferral(swap(timeout=200, **more), context)
    assert deadline_of(cleared) == pytest.approx(1000 + deadline)
    clock.time += 50
    vendor.will(answer("processing"))
    retried = deferral(swap(timeout=200, **more), context)
    assert deadline_of(retried) == pytest.approx(1000 + deadline), "a retry within the clear keeps it"
    [record] = store.values.values()
    assert datetime.fromisoformat(record["deadline"]).timestamp() == pytest.approx(BEGUN + 1000 + deadline)
    assert len(vendor.creates) == 1


def test_a_job_that_replaces_a_failed_one_has_a_deadline_of_its_own(vendor, answer, context, clock):
    vendor.will(answer("idle"))
    deferral(swap(timeout=200), context)
    clock.time += 150
    vendor.will(answer("failed", error="engine broke"), answer("idle", job_id="second"))
    second = deferral(swap(timeout=200), context)
    assert second.trigger.submission.job_id == "second"
    assert deadline_of(second) == pytest.approx(350)


# -- a cancel at the deadline ---------------------------------------------------------------------------


def job(status="processing"):
    return {"code": 200, "data": {"task_id": JOB, "status": status}}


def piapi(**more):
    return PiAPIFaceSwapOperator(
        **{"task_id": "swap", "deferrable": False, "timeout": 4, "poll_interval": 3, **PICTURES, **more}
    )


def cancels(vendor):
    return [request for request in vendor.requests if request.method == "DELETE"]


CONFIRMED = {"code": 200, "message": "success"}


def refused():
    return httpx.Response(400, json={"code": 400, "message": "task is running"})


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("cancel", "says", "says_not"),
    [
        (lambda: CONFIRMED, "the vendor confirmed the cancellation", "not confirmed"),
        (refused, "a cancellation was requested, but not confirmed", "the vendor confirmed"),
        (
            lambda: httpx.ReadTimeout("no answer"),
            "a cancellation was requested, but not confirmed",
            "the vendor confirmed",
        ),
    ],
    ids=["confirmed", "refused", "no answer"],
)
def test_the_deadline_cancels_once_and_says_what_came_of_it(
    vendor, context, clock, deferrable, cancel, says, says_not
):
    operator = piapi(deferrable=deferrable, cancel_on_timeout=True, timeout=20, poll_interval=20)
    vendor.will(job(), job(), job(), cancel())
    with pytest.raises(JobTimeoutError) as caught:
        _to_the_end(operator, context)
    assert says in str(caught.value)
    assert says_not not in str(caught.value)
    assert ("A retry submits a new job" in str(caught.value)) is (cancel() is CONFIRMED)
    assert len(cancels(vendor)) == 1
    assert cancels(vendor)[0].url.path == f"/api/v1/task/{JOB}"
    assert not vendor.answers


def _to_the_end(operator, context):
    try:
        return operator.execute(context)
    except TaskDeferred as deferred:
        event = run(deferred.trigger)
        return operator.execute_complete(context, event.payload, **deferred.kwargs)


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_deadline_alone_cancels_nothing(vendor, context, clock, deferrable):
    vendor.will(job(), job(), job())
    with pytest.raises(JobTimeoutError, match="resume_job_id") as caught:
        _to_the_end(piapi(deferrable=deferrable, timeout=20, poll_interval=20), context)
    assert "cancel" not in str(caught.value)
    assert not cancels(vendor)


def test_a_job_that_was_done_at_the_deadline_is_not_cancelled(vendor, context, clock):
    done = {
        "code": 200,
        "data": {**job("completed")["data"], "output": {"image_url": "https://a.test/r.png"}},
    }
    vendor.will(job(), done)
    assert piapi(cancel_on_timeout=True).execute(context)["url"] == "https://a.test/r.png"
    assert not cancels(vendor)


def test_a_retry_after_a_confirmed_cancel_buys_a_new_job(vendor, context, clock):
    vendor.will(job(), job(), job(), CONFIRMED)
    with pytest.raises(JobTimeoutError):
        piapi(cancel_on_timeout=True).execute(context)
    done = {
        "code": 200,
        "data": {"task_id": "second", "status": "completed", "output": {"image_url": "https://a.test/r.png"}},
    }
    vendor.will(job("cancelled"), done)
    result = piapi(cancel_on_timeout=True).execute(context)
    assert (result["job_id"], result["attempt_reused"]) == ("second", False)
    assert len(vendor.creates) == 2


def test_the_replacement_of_a_dying_job_ends_before_airflow_ends_the_task(
    vendor, context, clock, monkeypatch
):
    limit, begun = timedelta(seconds=100), clock.now()
    cancelled = httpx.Response(200, json=job("cancelled"))

    def answer(self, request):
        if request.method == "POST" and vendor.posts:
            return httpx.Response(200, json={"code": 200, "data": {"task_id": "second", "status": "pending"}})
        vendor.posts += request.method == "POST"
        late = clock.now() > begun + 60 and "second" not in request.url.path
        return cancelled if late else httpx.Response(200, json=job())

    vendor.posts = 0
    monkeypatch.setattr(type(vendor), "__call__", answer)
    with pytest.raises(TaskDeferred):
        piapi(deferrable=True, timeout=600).execute(context)
    monkeypatch.setattr(context["ti"], "max_tries", 1, raising=False)
    with pytest.raises(JobTimeoutError):
        piapi(execution_timeout=limit, timeout=600).execute(context)
    assert clock.now() <= begun + 100
