"""A kind that cannot be polled: its output is only in the reply to the submission, so the record keeps it."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from airflow_provider_faceswap.exceptions import (
    ContentRefusedError,
    FaceSwapError,
    InvalidRequestError,
    JobFailedError,
    SubmissionUncertainError,
)
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator, GPTunnelGenerateOperator
from airflow_provider_faceswap.sensors.job import JobSensor

JOB = "65819c485337280001a609e7"
LINK = "https://storage.test/a.png?sig=signed"
DRAWN = {"id": JOB, "model": "seedream-4", "result": LINK, "cost": "8.00"}

both = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferrable"])


class Died(BaseException):
    """The worker is gone: nothing in the package catches this."""


@pytest.fixture(autouse=True)
def attempts(context, monkeypatch):
    monkeypatch.setattr(type(context["ti"]), "max_tries", 0)


def generate(**more):
    arguments = {"task_id": "a_task", "model": "seedream-4", "prompt": "p", "deferrable": False, **more}
    return GPTunnelGenerateOperator(**arguments)


def dies_after_recording(monkeypatch):
    """The worker dies when the id is recorded and before anything else."""

    def dies(*_):
        raise Died

    monkeypatch.setattr(GPTunnelGenerateOperator, "_settle", dies)


@both
def test_it_ends_at_once_and_is_neither_deferred_nor_polled(vendor, context, clock, deferrable):
    vendor.will(DRAWN)
    result = generate(deferrable=deferrable).execute(context)
    assert (result["kind"], result["job_id"], result["url"]) == ("generate", JOB, LINK)
    assert result["cost"] == {"amount": 8.0, "unit": "RUB"}
    assert result["expires_at"] is not None
    assert len(vendor.requests) == 1
    assert not clock.slept


@both
def test_a_retry_after_a_lost_worker_uses_the_recorded_result(
    vendor, context, clock, monkeypatch, deferrable
):
    vendor.will(DRAWN)
    with monkeypatch.context() as patch:
        dies_after_recording(patch)
        with pytest.raises(Died):
            generate(deferrable=deferrable).execute(context)
    result = generate(deferrable=deferrable).execute(context)
    assert (result["job_id"], result["url"], result["attempt_reused"]) == (JOB, LINK, True)
    assert result["cost"] == {"amount": 8.0, "unit": "RUB"}
    assert len(vendor.requests) == 1


def test_a_cleared_task_reuses_the_result_while_the_vendor_keeps_it(vendor, context, clock):
    vendor.will(DRAWN)
    generate().execute(context)
    context["ti"].max_tries += 1
    clock.time += 23 * 3600
    assert generate().execute(context)["url"] == LINK
    assert len(vendor.requests) == 1


def test_a_cleared_task_submits_again_once_the_vendor_has_deleted_it(vendor, context, clock):
    vendor.will(DRAWN, {**DRAWN, "id": "second"})
    generate().execute(context)
    context["ti"].max_tries += 1
    clock.time += 25 * 3600
    result = generate().execute(context)
    assert (result["job_id"], result["attempt_reused"]) == ("second", False)


def test_other_arguments_are_another_job(vendor, context, clock):
    vendor.will(DRAWN, {**DRAWN, "id": "second"})
    generate().execute(context)
    assert generate(prompt="another").execute(context)["job_id"] == "second"


@pytest.mark.parametrize(
    "reply", [httpx.ReadTimeout("slow"), httpx.Response(502, text="bad gateway"), {"id": JOB, "result": None}]
)
def test_without_a_readable_reply_it_is_uncertain_and_not_sent_again(vendor, context, clock, reply):
    vendor.will(reply)
    for _ in range(2):
        with pytest.raises(SubmissionUncertainError):
            generate().execute(context)
    assert len(vendor.creates) == 1


def test_a_worker_that_dies_while_the_vendor_draws_leaves_an_intent(
    vendor, context, clock, store, monkeypatch
):
    def dies(_, __):
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(type(vendor), "__call__", dies)
        with pytest.raises(Died):
            generate().execute(context)
    assert [record["stage"] for record in store.values.values()] == ["intent"]
    with pytest.raises(SubmissionUncertainError):
        generate().execute(context)
    assert not vendor.creates


def test_a_result_whose_record_cannot_be_written_is_not_lost(vendor, context, clock, store, capsys):
    vendor.will(DRAWN)
    written, real = [], store.set

    def fails_after_the_intent(key, value, **options):
        written.append(value)
        if len(written) > 1:
            raise ConnectionError("store is down")
        real(key, value, **options)

    store.set = fails_after_the_intent
    assert generate().execute(context)["url"] == LINK
    shown = capsys.readouterr().out
    assert f"Job {JOB} has ended, and its result is used" in shown
    assert "signed" not in shown


def test_a_job_that_can_be_polled_still_fails_if_its_id_cannot_be_recorded(
    vendor, context, clock, store, pictures
):
    vendor.will({"id": JOB, "status": "done", "percent": 100, "result": LINK})
    real = store.set

    def fails_for_ids(key, value, **options):
        if value.get("job_id"):
            raise ConnectionError("store is down")
        real(key, value, **options)

    store.set = fails_for_ids
    with pytest.raises(FaceSwapError, match="could not be written") as caught:
        GPTunnelFaceSwapOperator(task_id="a_task", deferrable=False, **pictures).execute(context)
    assert caught.value.job_id == JOB


def test_the_record_of_a_job_that_can_be_polled_has_no_link(vendor, context, clock, store, pictures):
    vendor.will({"id": JOB, "status": "done", "percent": 100, "result": LINK})
    GPTunnelFaceSwapOperator(task_id="a_task", deferrable=False, **pictures).execute(context)
    assert "signed" not in str(store.values)


def test_a_failed_one_is_bought_again_as_often_as_max_submissions_allows(vendor, context, clock):
    failed = {"id": JOB, "status": "failed", "message": "out of memory"}
    vendor.will(failed, failed)
    for _ in range(3):
        with pytest.raises(JobFailedError):
            generate().execute(context)
    assert len(vendor.creates) == 2


def test_refused_content_is_not_bought_again(vendor, context, clock):
    vendor.will({"code": 1001, "message": "moderation"})
    with pytest.raises(ContentRefusedError):
        generate().execute(context)


def cannot_be_polled(error):
    assert error.job_id == JOB
    return "cannot be polled" in str(error) and "Use the result of the task that submitted it." in str(error)


@both
def test_a_resume_by_id_says_at_once_that_it_cannot_be_polled(vendor, context, clock, deferrable):
    with pytest.raises(InvalidRequestError) as caught:
        generate(resume_job_id=JOB, deferrable=deferrable).execute(context)
    assert cannot_be_polled(caught.value)
    assert not vendor.requests


@both
def test_a_sensor_says_at_once_that_it_cannot_be_polled(vendor, context, clock, deferrable):
    sensor = JobSensor(
        task_id="a_task", conn_id="gptunnel_default", job_id=JOB, kind="generate", deferrable=deferrable
    )
    with pytest.raises(InvalidRequestError) as caught:
        sensor.execute(context)
    assert cannot_be_polled(caught.value)


def test_the_hook_submits_it_and_cannot_fetch_it(vendor, clock):
    vendor.will(DRAWN)
    hook = GPTunnelHook()
    job = hook.submit("generate", model="seedream-4", prompt="p")
    assert hook.wait(job).urls == (LINK,)
    with pytest.raises(InvalidRequestError) as caught:
        hook.fetch(JOB, "generate")
    assert cannot_be_polled(caught.value)
    assert len(vendor.requests) == 1


def test_the_reply_may_take_minutes_in_both_clients(vendor, clock):
    vendor.will(DRAWN, DRAWN)
    hook = GPTunnelHook()
    hook.submit("generate", model="seedream-4", prompt="p")
    asyncio.run(hook.asubmit("generate", model="seedream-4", prompt="p"))
    assert [request.extensions["timeout"]["read"] >= 120 for request in vendor.requests] == [True, True]
