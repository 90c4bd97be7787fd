"""
K5: one odd answer to a poll does not end the wait for a paid job.

A maintenance page, a firewall and a proxy answer in the middle of a wait: in a worker, and in a trigger.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from itertools import product

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    JobLostError,
    JobTimeoutError,
    MalformedResponseError,
)
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from airflow_provider_faceswap.lifecycle.polling import ERROR_BUDGET
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator
from tests.conftest import NEEDS_STATE_STORE, unknown_job
from tests.sizes import spread

JOB = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER = "90efd2db-bcfc-413f-a0be-c893850c9d68"
RESULT = "https://results.test/r.png"
OPERATORS = {
    "gptunnel": GPTunnelFaceSwapOperator,
    "tengrai": TengraiFaceSwapOperator,
    "piapi": PiAPIFaceSwapOperator,
}
HOOKS = {"gptunnel": GPTunnelHook, "tengrai": TengraiHook, "piapi": PiAPIHook}

each_vendor = pytest.mark.parametrize("name", OPERATORS)
each_mode = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "trigger"])

#: What something between us and the vendor answers, by content type.
BODIES = {
    "text/html": "<html><head><title>Access denied</title></head><body>Incident 7</body></html>",
    "text/plain": "Request Header Or Cookie Too Large",
    "application/json": '{"message": "Forbidden"}',
}
STATUSES = [200, 202, 204, 301, 302, 307, 400, 401, 402, 403, 404, 407, 410, 413, 422, 431, 451, 511]


def odd(status, media_type="text/html"):
    headers = {"Content-Type": media_type}
    if 300 <= status < 400:
        headers["Location"] = "https://status.test/maintenance"
    return httpx.Response(status, headers=headers, text="" if status == 204 else BODIES[media_type])


def job(name, *, done=False, job_id=JOB, **more):
    """The vendor's answer about a job, running or done."""
    if name == "gptunnel":
        body = {"id": job_id, "type": "@FaceSwap", "status": "done" if done else "processing", "percent": 100}
        return {**body, "result": RESULT if done else None, **more}
    if name == "tengrai":
        body = {"id": job_id, "artworkType": "face_swap", "status": "succeeded" if done else "processing"}
        return {**body, "results": [RESULT] if done else [], **more}
    data = {"task_id": job_id, "status": "completed" if done else "processing", **more}
    return {
        "code": 200,
        "message": "success",
        "data": {**data, "output": {"image_url": RESULT} if done else None},
    }


@pytest.fixture
def swap(pictures, context):
    """One attempt of the task, in a worker or through its trigger."""

    def attempt(name, *, deferrable, timeout=3600):
        operator = OPERATORS[name](task_id="swap", deferrable=deferrable, timeout=timeout, **pictures)
        try:
            return operator.execute(context)
        except TaskDeferred as deferred:
            deferral = deferred

        async def fired():
            return [event async for event in deferral.trigger.run()]

        [event] = asyncio.run(fired())
        return operator.execute_complete(context, event.payload, **deferral.kwargs)

    return attempt


@pytest.mark.parametrize(
    ("status", "media_type", "name", "deferrable"),
    [
        (status, *pair, mode)
        for status, pair, mode in spread(STATUSES, [*product(BODIES, OPERATORS)], [False, True])
    ],
)
def test_odd_answers_in_a_row_do_not_end_the_wait(vendor, clock, swap, name, deferrable, status, media_type):
    vendor.will(job(name), *[odd(status, media_type) for _ in range(ERROR_BUDGET - 1)])
    vendor.will(job(name), *[job(name, done=True)] * 2)
    result = swap(name, deferrable=deferrable)
    assert (result["job_id"], result["url"]) == (JOB, RESULT)
    assert len(vendor.creates) == 1


@NEEDS_STATE_STORE
@each_mode
@each_vendor
@pytest.mark.parametrize(
    ("status", "media_type"),
    [
        (200, "text/html"),
        (302, "text/html"),
        (400, "text/plain"),
        (401, "application/json"),
        (403, "text/html"),
        (403, "application/json"),
        (404, "text/html"),
        (404, "application/json"),
        (407, "text/html"),
    ],
)
def test_odd_answers_without_end_leave_a_job_that_a_retry_resumes(
    vendor, clock, swap, name, deferrable, status, media_type
):
    vendor.will(job(name), *[odd(status, media_type) for _ in range(ERROR_BUDGET)])
    with pytest.raises(MalformedResponseError, match="resume_job_id") as caught:
        swap(name, deferrable=deferrable)
    assert not isinstance(caught.value, AirflowFailException), "a retry goes on"
    assert (caught.value.job_id, caught.value.status_code) == (JOB, status)
    assert not vendor.answers

    vendor.will(odd(status, media_type), *[job(name, done=True)] * 2)
    result = swap(name, deferrable=deferrable)
    assert (result["job_id"], result["attempt_reused"]) == (JOB, True)
    assert len(vendor.creates) == 1


def refused_key(name):
    """The vendor's own 401, in its own shape."""
    body = {
        "gptunnel": {"error": {"message": "Unauthorized", "type": "unauthorized_request_error"}},
        "tengrai": {"message": "Unauthorized", "statusCode": 401},
        "piapi": {"code": 401, "message": "invalid api key", "data": None},
    }
    return httpx.Response(401, json=body[name])


@each_mode
@each_vendor
def test_a_key_that_is_replaced_during_the_wait_is_as_good_as_never_refused(
    vendor, clock, swap, name, deferrable
):
    vendor.will(job(name), *[refused_key(name) for _ in range(3)], *[job(name, done=True)] * 2)
    assert swap(name, deferrable=deferrable)["job_id"] == JOB
    assert len(vendor.creates) == 1


@each_mode
@each_vendor
def test_a_key_that_stays_refused_ends_the_wait_with_the_id_of_the_job(vendor, clock, swap, name, deferrable):
    vendor.will(job(name), *[refused_key(name) for _ in range(ERROR_BUDGET)])
    with pytest.raises(AuthenticationError, match="resume_job_id") as caught:
        swap(name, deferrable=deferrable)
    assert caught.value.job_id == JOB
    assert not vendor.answers


@each_mode
@each_vendor
def test_odd_answers_at_the_deadline_leave_a_job_that_can_be_resumed(vendor, clock, swap, name, deferrable):
    vendor.will(job(name), *[odd(403) for _ in range(ERROR_BUDGET)])
    with pytest.raises(JobTimeoutError, match="the last poll failed") as caught:
        swap(name, deferrable=deferrable, timeout=20)
    assert caught.value.job_id == JOB


@each_mode
@each_vendor
def test_only_the_vendor_itself_says_that_a_job_is_lost(vendor, clock, swap, name, deferrable):
    vendor.will(job(name), *[unknown_job(name) for _ in range(60)])
    with pytest.raises(JobLostError) as caught:
        swap(name, deferrable=deferrable)
    assert caught.value.job_id == JOB


@each_mode
@each_vendor
@pytest.mark.parametrize("done", [False, True])
def test_the_answer_about_another_job_is_not_handed_over(vendor, clock, swap, name, deferrable, done):
    vendor.will(job(name), *[job(name, done=done, job_id=OTHER)] * 3, *[job(name, done=True)] * 2)
    assert swap(name, deferrable=deferrable)["job_id"] == JOB
    assert len(vendor.creates) == 1


@each_vendor
@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_fetch_of_another_job_is_malformed(vendor, clock, name, face):
    vendor.will(job(name, done=True, job_id=OTHER))
    hook = HOOKS[name]()
    fetch = hook.fetch if face == "sync" else lambda *job: asyncio.run(hook.afetch(*job))
    with pytest.raises(MalformedResponseError, match="another job") as caught:
        fetch(JOB, "face_swap")
    assert caught.value.job_id == JOB


# -- cancels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", ["sync", "async"])
@pytest.mark.parametrize(
    ("body", "confirmed"),
    [
        ({"code": 200, "message": "success"}, True),
        (job("piapi"), True),
        (BODIES["text/html"], False),
        ("", False),
        ({"status": "ok"}, False),
        (job("piapi", job_id=OTHER), False),
        ({"code": 403, "message": "denied"}, False),
    ],
)
def test_only_the_vendors_own_answer_about_this_job_confirms_a_cancel(vendor, clock, face, body, confirmed):
    reply = httpx.Response(200, text=body) if isinstance(body, str) else httpx.Response(200, json=body)
    vendor.will(reply)
    hook = PiAPIHook()
    cancel = hook.cancel if face == "sync" else lambda *job: asyncio.run(hook.acancel(*job))
    assert cancel(JOB, "face_swap") is confirmed


# -- times ----------------------------------------------------------------------------------------------------

ODD_TIMES = {
    "gptunnel": [253_402_300_799, -62_135_596_800, 1e30, -5, 1_800_000_000_000, "soon", float("inf"), True],
    "tengrai": [
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
        "NaN",
        5,
        None,
    ],
    "piapi": [
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "2099-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "",
    ],
}


@each_mode
@pytest.mark.parametrize(
    ("name", "moment"), [(name, time) for name, times in ODD_TIMES.items() for time in times]
)
def test_a_time_that_cannot_be_is_ignored(vendor, clock, swap, name, deferrable, moment):
    key = {"gptunnel": "created_at", "tengrai": "createdAt", "piapi": "meta"}[name]
    value = {"created_at": moment, "ended_at": moment} if name == "piapi" else moment

    def body(**more):
        # Python's own JSON writes infinity, as some vendors' does.
        return httpx.Response(200, content=json.dumps(job(name, **{key: value}, **more)).encode())

    begun = datetime.fromtimestamp(clock.now(), UTC)
    vendor.will(body(), body(), *[body(done=True) for _ in range(2)])
    result = swap(name, deferrable=deferrable)
    assert datetime.fromisoformat(result["submitted_at"]) == begun
    assert begun <= datetime.fromisoformat(result["finished_at"]) <= datetime.fromtimestamp(clock.now(), UTC)


@each_vendor
def test_a_vendors_clock_that_is_hours_off_changes_no_wait(vendor, clock, swap, name):
    key = {"gptunnel": "created_at", "tengrai": "createdAt", "piapi": "meta"}[name]
    slept = []
    for hours in (0, 3, -3):
        vendor.answers.clear()
        clock.slept.clear()
        moment = datetime.fromtimestamp(clock.now() + 3600 * hours, UTC)
        told = {"gptunnel": moment.timestamp(), "tengrai": moment.isoformat()}.get(
            name, {"created_at": moment.isoformat()}
        )
        hook = HOOKS[name]()
        vendor.will(*[job(name, **{key: told})] * 60)
        submitted = hook.submit("face_swap", target_image=RESULT, face_image=RESULT)
        with pytest.raises(FaceSwapError):
            hook.wait(submitted, timeout=100)
        slept.append(sum(clock.slept))
    assert slept == pytest.approx([100] * 3)
