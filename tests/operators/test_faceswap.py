"""A swap at whichever vendor takes it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, TaskDeferred, task

from airflow_provider_faceswap.exceptions import (
    ContentRefusedError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    NoFaceError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from tests.conftest import FACE, PICTURE

DONE = {
    "code": 200,
    "data": {"task_id": "p1", "status": "completed", "output": {"image_url": "https://a.test/r.png"}},
}
BROKE = httpx.Response(402, json={"error": {"message": "balance too low"}})


def swap(*conn_ids, **more):
    return FaceSwapOperator(
        task_id="swap",
        target_image="https://pictures.test/t.jpg",
        face_image="https://pictures.test/f.jpg",
        conn_ids=list(conn_ids or ("gptunnel_default", "piapi_default")),
        **{"deferrable": False, **more},
    )


def test_the_first_vendor_that_takes_it_gets_it(vendor, context, clock):
    vendor.will(DONE)
    result = swap("piapi_default", "gptunnel_default").execute(context)
    assert (result["vendor"], result["conn_id"]) == ("piapi", "piapi_default")
    assert len(vendor.requests) == 1


def test_a_vendor_that_accepts_nothing_is_passed_over(vendor, context, clock):
    vendor.will(BROKE, DONE)
    assert swap().execute(context)["vendor"] == "piapi"


def test_a_failed_job_goes_to_the_next_vendor(vendor, answer, context, clock):
    vendor.will(answer("idle"), answer("failed", error="engine broke"), DONE)
    assert swap().execute(context)["vendor"] == "piapi"


def test_the_last_refusal_is_the_one_that_is_raised(vendor, context, clock):
    vendor.will(BROKE, httpx.Response(402, json={"code": 402, "message": "no credit", "data": None}))
    with pytest.raises(InsufficientBalanceError, match="piapi: no credit"):
        swap().execute(context)


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([{"id": "g1", "status": "failed", "error": "no face found"}], NoFaceError),
        ([httpx.ReadTimeout("lost")], SubmissionUncertainError),
        ([httpx.Response(400, json={"error": {"message": "bad picture"}})], InvalidRequestError),
    ],
)
def test_bad_input_and_a_job_that_may_be_paid_go_nowhere_else(vendor, context, clock, answers, error):
    vendor.will(*answers)
    with pytest.raises(error):
        swap().execute(context)
    assert len(vendor.requests) == 1


def failed(**more):
    """A failed task of PiAPI."""
    return {"code": 200, "data": {"task_id": "p1", "status": "failed", "error": {"code": 10000}, **more}}


GENERIC = {"code": 10000, "raw_message": "", "message": "Internal error. Please try again later."}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (failed(error=GENERIC, logs=["rejected: the image may contain a real person"]), ContentRefusedError),
        (failed(error={**GENERIC, "raw_message": "content policy violation"}), ContentRefusedError),
        (failed(error=GENERIC, logs=[{"message": "no face found in swap_image"}]), NoFaceError),
        (
            httpx.Response(500, json={"code": 500, "message": "blocked by our safety system"}),
            ContentRefusedError,
        ),
        (httpx.Response(403, json={"code": 403, "message": "prohibited content"}), ContentRefusedError),
    ],
)
def test_a_picture_that_was_refused_is_not_handed_to_the_next_vendor(vendor, context, clock, reply, error):
    vendor.will(reply)
    with pytest.raises(error) as caught:
        swap("piapi_default", "gptunnel_default").execute(context)
    assert isinstance(caught.value, AirflowFailException), "a retry would buy it again"
    assert len(vendor.creates) == 1


@pytest.mark.parametrize(
    "reply",
    [
        failed(error={"message": "moderation service timed out"}),
        failed(error=GENERIC, logs=["no face-swap worker available"]),
        failed(error={"message": "timeout, credits have been refunded"}),
        *[
            httpx.Response(status, json={"code": status, "message": text, "data": None})
            for status in (400, 403, 500)
            for text in ("active task count 2 has reached the plan limit", "insufficient credits")
        ],
    ],
)
def test_a_passing_fault_a_busy_and_an_empty_account_are_passed_over(vendor, answer, context, clock, reply):
    vendor.will(reply, answer("done", percent=100, result="https://a.test/r.png"))
    assert swap("piapi_default", "gptunnel_default").execute(context)["vendor"] == "gptunnel"
    assert len(vendor.creates) == 2, "each is sent once"


def test_a_job_that_cannot_be_read_is_not_bought_elsewhere(vendor, answer, context, clock):
    vendor.will(answer("idle"), *[httpx.ConnectError("down")] * 40)
    with pytest.raises(VendorUnavailableError, match="resume_job_id"):
        swap().execute(context)
    assert len(vendor.creates) == 1


def test_a_retry_goes_on_where_a_job_is_on_its_way(vendor, answer, context, clock):
    vendor.will(BROKE, {"code": 200, "data": {"task_id": "p1", "status": "pending"}})
    vendor.will(*[httpx.ConnectError("down")] * 40)
    with pytest.raises(VendorUnavailableError):
        swap().execute(context)
    vendor.answers.clear()
    vendor.will(DONE)
    result = swap().execute(context)
    assert (result["vendor"], result["attempt_reused"]) == ("piapi", True)
    assert not vendor.answers


def test_a_job_that_fails_while_deferred_goes_to_the_next_vendor(vendor, answer, context, clock):
    operator = swap(deferrable=True)
    vendor.will(answer("idle"))
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    vendor.will(answer("failed", error="engine broke"))

    async def fired():
        return [event async for event in caught.value.trigger.run()]

    [event] = asyncio.run(fired())
    vendor.will(DONE)
    resumed = swap(deferrable=True)
    assert resumed.execute_complete(context, event.payload, **caught.value.kwargs)["vendor"] == "piapi"


def test_the_last_vendors_failure_while_deferred_is_raised(vendor, answer, context, clock):
    operator = swap("gptunnel_default", deferrable=True)
    vendor.will(answer("idle"))
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    vendor.will(answer("failed", error="engine broke"))

    async def fired():
        return [event async for event in caught.value.trigger.run()]

    [event] = asyncio.run(fired())
    with pytest.raises(JobFailedError):
        operator.execute_complete(context, event.payload, **caught.value.kwargs)


@pytest.mark.parametrize("given", [[], "piapi_default", [None], [""], ["piapi_default", True], [" "]])
def test_what_are_no_connections_is_said_where_the_task_is_made(given):
    with pytest.raises(InvalidRequestError, match="conn_ids: must be a list"):
        FaceSwapOperator(task_id="s", target_image="t", face_image="f", conn_ids=given)


def test_another_task_may_choose_the_connections(vendor, context, clock):
    with DAG("a_dag", schedule=None):

        @task
        def choose():
            return ["piapi_default"]

        operator = FaceSwapOperator(
            task_id="swap", target_image=PICTURE, face_image=FACE, conn_ids=choose(), deferrable=False
        )
    assert operator.upstream_task_ids == {"choose"}
    operator.conn_ids = ["piapi_default"]
    vendor.will(DONE)
    assert operator.execute(context)["vendor"] == "piapi"
    operator.conn_ids = None
    with pytest.raises(InvalidRequestError, match="conn_ids"):
        operator.execute(context)


def test_a_job_to_finish_that_failed_is_asked_for_nowhere_else(vendor, answer, context, clock):
    vendor.will(answer("failed", error="engine broke"))
    with pytest.raises(JobFailedError, match="engine broke"):
        swap(resume_job_id="65819c485337280001a609e7").execute(context)
    assert len(vendor.requests) == 1


def test_nor_where_it_fails_while_deferred(vendor, answer, context, clock):
    operator = swap(resume_job_id="65819c485337280001a609e7", deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    vendor.will(answer("failed", error="engine broke"))

    async def fired():
        return [event async for event in caught.value.trigger.run()]

    [event] = asyncio.run(fired())
    with pytest.raises(JobFailedError, match="engine broke"):
        operator.execute_complete(context, event.payload, **caught.value.kwargs)
    assert len(vendor.requests) == 1


def test_a_job_that_is_done_needs_no_second_look_at_the_connections(
    vendor, answer, context, clock, monkeypatch
):
    operator = swap(deferrable=True)
    vendor.will(answer("idle"))
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    done = answer("done", percent=100, result="https://a.test/r.png")
    vendor.will(done, done)

    async def fired():
        return [event async for event in caught.value.trigger.run()]

    [event] = asyncio.run(fired())

    def down(_):
        raise RuntimeError("the API is restarting")

    monkeypatch.setattr("airflow_provider_faceswap.operators._failover.hook_for_connection", down)
    result = swap(deferrable=True).execute_complete(context, event.payload, **caught.value.kwargs)
    assert result["url"] == "https://a.test/r.png"


def test_after_the_deadline_of_the_task_no_other_vendor_is_paid(vendor, context, clock):
    # The job fails at a moment at which a new one could only time out.
    operator = swap(execution_timeout=timedelta(seconds=30))

    at = []

    def fails_late(_, hook):
        at.append(hook.conn_id)
        clock.time += 60
        raise JobFailedError("engine broke", vendor="gptunnel")

    operator._run = fails_late
    with pytest.raises(JobFailedError, match="engine broke"):
        operator.execute(context)
    assert at == ["gptunnel_default"]
