"""Waiting for a job that something else bought."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from airflow_provider_faceswap.exceptions import (
    InvalidRequestError,
    JobFailedError,
    JobLostError,
    MalformedResponseError,
)
from airflow_provider_faceswap.sensors.job import JobSensor
from tests.conftest import unknown_job

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


def test_done_without_a_link_for_long_is_an_error(vendor, answer, clock):
    waiting = sensor()
    vendor.will(*[answer("done", percent=100)] * 4)
    assert not any(waiting.poke({}).is_done for _ in range(3))
    with pytest.raises(MalformedResponseError, match="without a usable link"):
        waiting.poke({})


def test_a_job_that_is_not_listed_yet_is_asked_for_again(vendor, clock):
    waiting = sensor(conn_id="tengrai_default")
    vendor.will(*[unknown_job("tengrai")] * 2)
    assert not waiting.poke({}).is_done
    clock.time += 3600
    with pytest.raises(JobLostError):
        waiting.poke({})


def test_where_each_question_has_a_process_of_its_own_not_found_is_lost(vendor, clock):
    vendor.will(unknown_job("tengrai"))
    with pytest.raises(JobLostError):
        sensor(conn_id="tengrai_default", mode="reschedule").poke({})


def test_how_long_to_be_patient_is_for_airflow_to_say(vendor, answer, clock):
    waiting = sensor(timeout=60)
    vendor.will(*[httpx.Response(502)] * 30, answer("processing"))
    assert not any(waiting.poke({}).is_done for _ in range(10)), "a vendor may be down for long"
    clock.time += 3600
    vendor.answers.clear()
    vendor.will(answer("processing"))
    assert not waiting.poke({}).is_done


@pytest.mark.parametrize("given", ["", "None", None, "[1, 2]"])
def test_what_names_no_job_is_refused_before_anybody_is_asked(vendor, clock, given):
    with pytest.raises(InvalidRequestError, match="job_id"):
        sensor(job_id=given).poke({})
    assert not vendor.requests


@pytest.mark.parametrize(("soft", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_a_deadline_in_the_triggerer_is_a_sensors_timeout(vendor, answer, clock, soft, error):
    waiting = sensor(deferrable=True, timeout=30, soft_fail=soft)
    with pytest.raises(TaskDeferred) as caught:
        waiting.execute({})
    vendor.will(*[answer("processing")] * 60)

    async def fired():
        return [event async for event in caught.value.trigger.run()]

    [event] = asyncio.run(fired())
    with pytest.raises(error):
        waiting.resume_execution("execute_complete", {"event": event.payload, **caught.value.kwargs}, {})


def test_a_vendor_in_trouble_is_asked_again(vendor, clock):
    vendor.will(*[httpx.Response(500)] * 3)
    assert not sensor().poke({}).is_done


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (unknown_job("gptunnel"), JobLostError),
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
    with pytest.raises(InvalidRequestError, match="of type 'http', which this package does not support"):
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
