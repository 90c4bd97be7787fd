"""A recorded job is taken up: after a retry, after a clear, while the vendor is down, and while it is dying."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_faceswap.exceptions import (
    JobCanceledError,
    JobFailedError,
    JobLostError,
    JobTimeoutError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator
from tests.conftest import unknown_job

PICTURES = {
    "target_image": "https://pictures.test/target.jpg",
    "face_image": "https://pictures.test/face.jpg",
}
DONE_URL = "https://storage.test/result.png"
CONFIRMED = {"code": 200, "message": "success"}


def job(status="processing", job_id="first"):
    output = {"output": {"image_url": DONE_URL}} if status == "completed" else {}
    return {"code": 200, "data": {"task_id": job_id, "status": status, **output}}


def down(times=3):
    """As many answers as one question gets before it is given up."""
    return [httpx.Response(500, text="down") for _ in range(times)]


def swap(**more):
    return PiAPIFaceSwapOperator(**{"task_id": "swap", "deferrable": False, **PICTURES, **more})


class Died(BaseException):
    """The worker is gone: nothing in the package catches this."""


@pytest.fixture
def run(vendor, clock):
    """Run a task to its end, through its deferral where it has one."""

    def to_the_end(operator, context):
        try:
            return operator.execute(context)
        except TaskDeferred as deferred:
            [event] = asyncio.run(_events(deferred.trigger))
            return operator.execute_complete(context, event.payload, **deferred.kwargs)

    return to_the_end


async def _events(trigger):
    return [event async for event in trigger.run()]


@pytest.fixture
def left(vendor, context, clock):
    """Leave a running job behind, as a try does whose worker was lost; then clear the task if asked."""

    def leave(*answers, cleared=False, **more):
        sleep = clock.sleep

        def dies(_):
            clock.sleep = sleep
            raise Died

        clock.sleep = dies
        vendor.will(*(answers or [job()]))
        with pytest.raises(Died):
            swap(**more).execute(context)
        if cleared:
            clear(context)

    return leave


@pytest.fixture(autouse=True)
def tries(context, monkeypatch):
    """What a test does to a task instance is gone after it."""
    monkeypatch.setattr(type(context["ti"]), "max_tries", 0)


def clear(context):
    """What clearing does to a task instance: Airflow adds the used tries to the allowed ones."""
    context["ti"].max_tries += 1


def dying():
    """A job as it looks when taken up, when it is found cancelled, and when its replacement is bought."""
    return [job(), job("cancelled"), job("cancelled")]


def cancels(vendor):
    return [request.url.path for request in vendor.requests if request.method == "DELETE"]


def record_of(context):
    [record] = context["task_state_store"].values.values()
    return record


# -- a result that is gone ---------------------------------------------------------------------------------


def test_a_cleared_task_whose_result_is_kept_no_longer_buys_anew(vendor, context, clock, run, left):
    left(cleared=True)
    clock.time += 30 * 86_400
    vendor.will(job("completed"), job("completed", "second"))
    result = run(swap(), context)
    assert (result["job_id"], result["attempt_reused"]) == ("second", False)
    assert len(vendor.creates) == 2


def test_a_retry_buys_no_second_one_however_late_it_comes(vendor, context, clock, run, left):
    left()
    clock.time += 30 * 86_400
    vendor.will(job("completed"))
    assert run(swap(), context)["job_id"] == "first"
    assert len(vendor.creates) == 1


# -- cancelled under a try that has taken it up -----------------------------------------------------------

BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "trigger"])


@BOTH
def test_a_dying_job_that_a_cleared_task_took_up_is_replaced(vendor, context, run, left, deferrable):
    left(cleared=True)
    vendor.will(*dying(), job("completed", "second"))
    result = run(swap(deferrable=deferrable), context)
    assert (result["job_id"], result["url"], result["attempt_reused"]) == ("second", DONE_URL, False)
    assert len(vendor.creates) == 2
    assert not cancels(vendor), "it is over already"
    record = record_of(context)
    assert (record["job_id"], record["earlier"], record["outcome"]) == ("second", ["first"], "succeeded")
    assert (record["epoch"], record["purchases"]) == (1, 1)


def test_the_replacement_may_defer_in_turn(vendor, context, clock, left):
    left(cleared=True)
    operator = swap(deferrable=True)
    vendor.will(job(), job("cancelled"))
    with pytest.raises(TaskDeferred) as first:
        operator.execute(context)
    [event] = asyncio.run(_events(first.value.trigger))
    vendor.will(job("cancelled"), job("processing", "second"))
    with pytest.raises(TaskDeferred) as second:
        operator.execute_complete(context, event.payload, **first.value.kwargs)
    assert second.value.kwargs["submission"]["job_id"] == "second"
    vendor.will(job("completed", "second"), job("completed", "second"))
    [event] = asyncio.run(_events(second.value.trigger))
    result = operator.execute_complete(context, event.payload, **second.value.kwargs)
    assert (result["job_id"], result["attempt_reused"]) == ("second", False)
    assert len(vendor.creates) == 2


@BOTH
def test_the_replacement_of_a_dying_job_is_not_replaced_too(vendor, context, run, left, deferrable):
    """It is this try's own: whoever cancels it means it."""
    left(cleared=True)
    vendor.will(*dying(), job("processing", "second"), job("cancelled", "second"))
    with pytest.raises(JobCanceledError, match="second"):
        # The second deferral reaches the test, which runs its trigger as well.
        _twice(run, swap(deferrable=deferrable), context)
    assert len(vendor.creates) == 2
    assert not vendor.answers


def _twice(run, operator, context):
    try:
        return run(operator, context)
    except TaskDeferred as deferred:
        [event] = asyncio.run(_events(deferred.trigger))
        return operator.execute_complete(context, event.payload, **deferred.kwargs)


@BOTH
@pytest.mark.parametrize(("cap", "creates"), [(1, 1), (2, 2)])
def test_a_dying_job_of_a_retry_is_replaced_up_to_the_cap(
    vendor, context, run, left, deferrable, cap, creates
):
    left()
    operator = swap(deferrable=deferrable, max_submissions=cap)
    vendor.will(*dying(), job("completed", "second"))
    if creates == 1:
        with pytest.raises(JobCanceledError, match="first"):
            run(operator, context)
    else:
        assert run(operator, context)["job_id"] == "second"
    assert len(vendor.creates) == creates


def test_what_is_bought_after_a_clear_counts_from_the_clear(vendor, context, run, left):
    left(cleared=True, max_submissions=1)
    vendor.will(*dying(), job("processing", "second"), job("failed", "second"))
    with pytest.raises(JobFailedError):
        run(swap(max_submissions=1), context)
    vendor.will(job("failed", "second"))
    with pytest.raises(JobFailedError, match="as many as max_submissions allows"):
        run(swap(max_submissions=1), context)
    assert len(vendor.creates) == 2


@BOTH
def test_a_job_of_this_very_try_that_is_cancelled_is_not_replaced(vendor, context, run, deferrable):
    vendor.will(job(), job("cancelled"), job("completed", "second"))
    with pytest.raises(JobCanceledError, match="first"):
        run(swap(deferrable=deferrable), context)
    assert len(vendor.creates) == 1
    assert record_of(context)["outcome"] == "canceled"


@BOTH
def test_a_cancelled_job_that_was_named_is_never_replaced(vendor, context, run, left, deferrable):
    left(cleared=True)
    vendor.will(job(), job("cancelled"), job("completed", "second"))
    with pytest.raises(JobCanceledError, match="first"):
        run(swap(deferrable=deferrable, resume_job_id="first"), context)
    assert len(vendor.creates) == 1


def test_a_job_already_cancelled_when_the_retry_looks_is_replaced(vendor, context, run, left):
    left()
    vendor.will(job("cancelled"), job("completed", "second"))
    result = run(swap(), context)
    assert (result["job_id"], result["attempt_reused"]) == ("second", False)
    assert record_of(context)["purchases"] == 2


# -- cleared ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda: CONFIRMED, "its cancellation was confirmed"),
        (
            lambda: httpx.Response(400, json={"code": 400, "message": "task is running"}),
            "it could not be cancelled and may be charged",
        ),
        (lambda: httpx.ReadTimeout("no answer"), "it could not be cancelled and may be charged"),
    ],
    ids=["confirmed", "refused", "no answer"],
)
def test_a_clear_that_resubmits_cancels_the_old_job_first(vendor, context, run, left, answer, says):
    left(cleared=True)
    operator = swap(on_clear="resubmit")
    warnings = []
    operator.log.warning = lambda text, *args: warnings.append(text % args if args else text)
    vendor.will(answer(), job("completed", "second"))
    result = run(operator, context)
    assert (result["job_id"], result["attempt_reused"]) == ("second", False)
    assert cancels(vendor) == ["/api/v1/task/first"]
    assert [request.method for request in vendor.requests] == ["POST", "DELETE", "POST"]
    assert any(says in text for text in warnings)
    assert record_of(context)["purchases"] == 1


def test_a_clear_that_resubmits_leaves_a_finished_job_alone(vendor, context, run):
    vendor.will(job(), job("completed"))
    run(swap(), context)
    clear(context)
    vendor.will(job("completed", "second"))
    assert run(swap(on_clear="resubmit"), context)["job_id"] == "second"
    assert not cancels(vendor)


def test_a_retry_is_no_clear(vendor, context, run, left):
    left(on_clear="resubmit")
    vendor.will(job(), job("completed"))
    result = run(swap(on_clear="resubmit"), context)
    assert (result["job_id"], result["attempt_reused"]) == ("first", True)
    assert len(vendor.creates) == 1
    assert not cancels(vendor)


def test_a_retry_of_a_clear_that_resubmitted_takes_its_job_up(vendor, context, run, left):
    left(cleared=True)
    left(CONFIRMED, job("processing", "second"), on_clear="resubmit")
    vendor.will(job("completed", "second"))
    result = run(swap(on_clear="resubmit"), context)
    assert (result["job_id"], result["attempt_reused"]) == ("second", True)
    assert len(vendor.creates) == 2


def gptunnel(**more):
    return GPTunnelFaceSwapOperator(**{"task_id": "swap", "deferrable": False, **PICTURES, **more})


def test_a_clear_that_resubmits_buys_anew_after_an_uncertain_create(vendor, answer, context, run):
    vendor.will(httpx.ReadTimeout("no answer"))
    with pytest.raises(SubmissionUncertainError):
        run(gptunnel(), context)
    clear(context)
    vendor.will(answer("done", percent=100, result=DONE_URL))
    assert run(gptunnel(on_clear="resubmit"), context)["url"] == DONE_URL
    assert len(vendor.creates) == 2


def test_a_clear_that_reuses_stays_uncertain(vendor, context, run):
    vendor.will(httpx.ReadTimeout("no answer"))
    with pytest.raises(SubmissionUncertainError):
        run(gptunnel(), context)
    clear(context)
    with pytest.raises(SubmissionUncertainError, match="did not record its id"):
        run(gptunnel(), context)
    assert len(vendor.creates) == 1


# -- while the vendor is down, or slow to know ------------------------------------------------------------


def test_a_retry_waits_for_a_vendor_that_is_down(vendor, context, run, left):
    left()
    vendor.will(*down(), *down(), job(), job("completed"))
    result = run(swap(), context)
    assert (result["job_id"], result["attempt_reused"]) == ("first", True)
    assert len(vendor.creates) == 1
    assert not vendor.answers


def test_a_retry_defers_while_the_vendor_is_down(vendor, context, clock, left):
    left()
    vendor.will(*down())
    with pytest.raises(TaskDeferred) as deferred:
        swap(deferrable=True).execute(context)
    assert deferred.value.kwargs["submission"]["job_id"] == "first"
    assert not vendor.answers
    assert len(vendor.creates) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        down,
        lambda: [httpx.ConnectError("down")] * 3,
        lambda: [httpx.ReadTimeout("no answer")] * 3,
        lambda: [httpx.Response(429, json={"code": 429, "message": "slow down"}) for _ in range(3)],
        lambda: [httpx.Response(200, text="<html>")],
    ],
    ids=["500", "no connection", "no answer", "429", "no JSON"],
)
def test_what_says_nothing_of_the_job_does_not_end_it(vendor, context, run, left, trouble):
    left(cleared=True)
    vendor.will(*trouble(), job("completed"))
    assert run(swap(), context)["job_id"] == "first"
    assert len(vendor.creates) == 1


def test_a_vendor_that_stays_down_leaves_the_job_resumable(vendor, context, run, left):
    left()
    vendor.will(*down(60))
    with pytest.raises(VendorUnavailableError, match=r"first.*resume_job_id"):
        run(swap(), context)
    assert record_of(context)["stage"] == "submitted"
    assert len(vendor.creates) == 1


def lost():
    return httpx.Response(404, json={"code": 404, "message": "task not found"})


@BOTH
def test_a_job_that_is_not_known_just_after_its_create_is_not_lost(vendor, context, run, deferrable):
    vendor.will(job(), lost(), lost(), job("completed"), *([job("completed")] if deferrable else []))
    assert run(swap(deferrable=deferrable), context)["job_id"] == "first"
    assert not vendor.answers
    assert len(vendor.creates) == 1


def test_a_quick_retry_that_meets_a_late_replica_goes_on(vendor, context, run, left):
    left()
    vendor.will(lost(), lost(), job("completed"))
    result = run(swap(), context)
    assert (result["job_id"], result["attempt_reused"]) == ("first", True)
    assert len(vendor.creates) == 1


@pytest.mark.parametrize(("age", "known"), [(14.9, True), (15.1, False)])
def test_each_vendor_has_a_grace_of_its_own(vendor, context, run, clock, age, known):
    artwork = {"id": "a1", "artworkType": "face_swap", "status": "starting"}
    operator = TengraiFaceSwapOperator(task_id="swap", deferrable=True, **PICTURES)
    vendor.will(artwork)
    with pytest.raises(TaskDeferred):
        operator.execute(context)
    clock.time += age
    vendor.will(unknown_job("tengrai"))
    with pytest.raises(TaskDeferred if known else JobLostError):
        operator.execute(context)
    assert len(vendor.creates) == 1


def test_a_job_that_is_not_known_any_more_is_lost_and_not_bought_anew(vendor, context, run, left, clock):
    left()
    clock.time += 31
    for _ in range(3):
        vendor.will(lost())
        with pytest.raises(JobLostError, match="first"):
            run(swap(), context)
    assert len(vendor.creates) == 1


def test_a_job_that_gets_lost_while_waited_for_is_not_bought_anew(vendor, context, run, left, clock):
    left()
    clock.time += 25
    vendor.will(lost(), *[lost()] * 20)
    with pytest.raises(JobLostError, match="first"):
        run(swap(), context)
    assert clock.now() >= 1_800_000_030, "not before the grace is over"
    assert len(vendor.creates) == 1
    assert record_of(context)["outcome"] == "lost"


# -- a job that is done already ---------------------------------------------------------------------------


@BOTH
def test_a_job_that_is_done_is_asked_exactly_once(vendor, context, run, left, deferrable, clock):
    left()
    before = len(vendor.requests)
    slept = len(clock.slept)
    vendor.will(job("completed"))
    result = swap(deferrable=deferrable).execute(context)
    assert (result["job_id"], result["url"], result["attempt_reused"]) == ("first", DONE_URL, True)
    assert len(vendor.requests) == before + 1
    assert len(clock.slept) == slept


def test_a_job_that_is_done_is_a_result_even_after_its_deadline(vendor, context, run, left, clock):
    left(timeout=30)
    clock.time += 1000
    vendor.will(job("completed"))
    assert run(swap(timeout=30), context)["job_id"] == "first"


def test_a_job_that_still_runs_after_its_deadline_is_asked_once_more(vendor, context, run, left, clock):
    left(timeout=30)
    clock.time += 1000
    vendor.will(job(), job())
    with pytest.raises(JobTimeoutError, match="first"):
        run(swap(timeout=30), context)
    assert not vendor.answers


def test_a_store_that_is_down_at_the_end_does_not_cost_the_result(vendor, context, clock, store):
    operator, sleep = swap(), clock.sleep
    warnings = []
    operator.log.warning = lambda text, *args: warnings.append(text % args)

    def store_breaks(seconds):
        store.broken_for = "get"
        sleep(seconds)

    clock.sleep = store_breaks
    vendor.will(job(), job("completed"))
    assert operator.execute(context)["job_id"] == "first"
    assert any("Job first has ended, but its record could not be closed" in warning for warning in warnings)


def test_a_job_adopted_after_a_clear_is_of_the_new_epoch(vendor, context, clock, tries):
    """Else every retry would count as a clear: a new deadline, and the cap from the start."""

    def dies(_):
        raise Died

    row = {"task_id": "first", "action": "face-swap"}
    sent = {"target_image": PICTURES["target_image"], "swap_image": PICTURES["face_image"]}
    task = {**job()["data"], "model": "Qubico/image-toolkit", "task_type": "face-swap", "input": sent}
    vendor.will(httpx.ReadTimeout("no answer"))
    clock.sleep = dies
    with pytest.raises(Died):
        swap(deferrable=True).execute(context)
    del clock.sleep
    clear(context)
    vendor.will({"code": 200, "data": {"data": [row]}}, {"code": 200, "data": task}, job())
    with pytest.raises(TaskDeferred) as first:
        swap(deferrable=True).execute(context)
    clock.time += 100
    with pytest.raises(TaskDeferred) as second:
        swap(deferrable=True).execute(context)
    assert record_of(context)["epoch"] == context["ti"].max_tries
    assert first.value.trigger.submission.deadline == second.value.trigger.submission.deadline
