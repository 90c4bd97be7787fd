"""Waiting for a job that something else bought."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_faceswap.exceptions import InvalidRequestError, JobFailedError, JobLostError
from airflow_provider_faceswap.sensors.job import JobSensor

JOB = "65819c485337280001a609e7"


def sensor(**more):
    return JobSensor(
        **{
            "task_id": "wait",
            "conn_id": "gptunnel_default",
            "job_id": JOB,
            "kind": "face_swap",
            "deferrable": False,
            **more,
        }
    )


def test_it_goes_on_while_the_job_runs_and_ends_with_its_result(vendor, answer, clock):
    vendor.will(answer("processing"), answer("done", percent=100, result="https://a.test/r.png"))
    assert not sensor().poke({}).is_done
    seen = sensor().poke({})
    assert seen.is_done
    assert seen.xcom_value["url"] == "https://a.test/r.png"
    assert seen.xcom_value["attempt_reused"] is True
    assert not vendor.creates


def test_it_takes_the_result_of_an_operator_as_the_job(vendor, answer, clock):
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    given = {"vendor": "gptunnel", "job_id": JOB, "url": None}
    assert sensor(job_id=given).poke({}).xcom_value["job_id"] == JOB


def test_done_without_a_link_is_not_done_yet(vendor, answer, clock):
    vendor.will(answer("done", percent=100))
    assert not sensor().poke({}).is_done


def test_a_vendor_in_trouble_is_asked_again(vendor, clock):
    vendor.will(*[httpx.Response(500)] * 3)
    assert not sensor().poke({}).is_done


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.Response(404), JobLostError),
        (httpx.Response(200, json={"id": JOB, "status": "failed", "error": "broke"}), JobFailedError),
    ],
)
def test_a_job_that_will_never_be_done_fails_the_task(vendor, clock, reply, error):
    vendor.will(reply)
    with pytest.raises(error):
        sensor().poke({})


def test_an_unknown_kind_is_refused(vendor, clock):
    with pytest.raises(InvalidRequestError, match="kind 'opera' is unknown"):
        sensor(kind="opera").poke({})


def test_a_connection_of_another_type_is_refused(vendor, clock, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", '{"conn_type": "http"}')
    with pytest.raises(InvalidRequestError, match="of type 'http', which is none of this package"):
        sensor(conn_id="other").poke({})


def test_it_waits_in_the_triggerer_too(vendor, answer, clock):
    waiting = sensor(deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        waiting.execute({})
    assert caught.value.trigger.cancel_on_kill is False, "it did not buy the job"
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))

    async def fired():
        return [event async for event in caught.value.trigger.run()]

    [event] = asyncio.run(fired())
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    result = waiting.execute_complete({}, event.payload, **caught.value.kwargs)
    assert result["url"] == "https://a.test/r.png"


def test_a_failed_job_fails_the_resumed_task(vendor, answer, clock):
    waiting = sensor(deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        waiting.execute({})
    vendor.will(answer("failed", error="broke"))

    async def fired():
        return [event async for event in caught.value.trigger.run()]

    [event] = asyncio.run(fired())
    with pytest.raises(JobFailedError, match="broke"):
        waiting.execute_complete({}, event.payload, **caught.value.kwargs)
