"""What version 0.1.0 left in a database is read by this one: a job in flight outlives an upgrade."""

from __future__ import annotations

import asyncio
import json

import pytest
from airflow.providers.common.compat.module_loading import import_string

from airflow_provider_faceswap.exceptions import SubmissionUncertainError
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator

JOB = "65819c485337280001a609e7"

#: A row of the trigger table, letter by letter. Do not edit it to make a test pass.
ROW = """
["airflow_provider_faceswap.triggers.job.JobTrigger", {"submission": {"vendor": "gptunnel", "kind": "face_swap",
"job_id": "65819c485337280001a609e7", "conn_id": "gptunnel_default", "submitted_at": "2027-01-15T08:00:00Z",
"deadline": "2027-01-15T08:10:00Z", "cost": null, "reused": false, "provenance": {}}, "poll_interval": 2.0,
"resume_after": 1.0, "cancel_on_kill": true, "cancel_on_timeout": false, "end_in_place": true}]
"""

#: A value of the task state store, likewise, of a swap of the two pictures that the tests share.
RECORD = """
{"fingerprint": "e579c2b0d3df66b8cd1677b7941e7bfbb4c1d7e6d5f735725fa5d51f1f1132ba", "stage": "submitted", "epoch": 0,
"purchases": 1, "vendor": "gptunnel", "kind": "face_swap", "conn_id": "gptunnel_default",
"begun_at": "2027-01-15T08:00:00Z", "earlier": [], "job_id": "65819c485337280001a609e7",
"submitted_at": "2027-01-15T08:00:00Z", "deadline": "2027-01-15T08:10:00Z", "cost": null, "outcome": null}
"""
INTENT = {"stage": "intent", "job_id": None, "submitted_at": None, "deadline": None}


@pytest.fixture
def swap(pictures):
    return GPTunnelFaceSwapOperator(task_id="a_task", deferrable=False, **pictures)


def test_a_trigger_row_goes_on_in_the_restarted_triggerer(vendor, answer, clock):
    path, kwargs = json.loads(ROW)
    vendor.will(answer("idle"), answer("done", percent=100, result="https://a.test/r.png"))

    async def run():
        return [event async for event in import_string(path)(**kwargs).run()]

    [event] = asyncio.run(run())
    assert event.payload["ending"]["word"] == "succeeded"
    assert event.payload["submission"]["job_id"] == JOB
    assert not vendor.creates


def test_a_retry_takes_up_the_job_of_a_record(vendor, answer, context, clock, store, swap):
    store.values["faceswap_job"] = json.loads(RECORD)
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    result = swap.execute(context)
    assert (result["job_id"], result["attempt_reused"]) == (JOB, True)
    assert not vendor.creates


def test_an_intent_of_a_record_still_stops_a_second_create(vendor, context, clock, store, swap):
    store.values["faceswap_job"] = {**json.loads(RECORD), **INTENT}
    with pytest.raises(SubmissionUncertainError):
        swap.execute(context)
    assert not vendor.creates


def test_a_field_of_a_later_version_is_passed_over(vendor, answer, context, clock, store, swap):
    store.values["faceswap_job"] = {**json.loads(RECORD), "of_a_later_version": {"any": "thing"}}
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    assert swap.execute(context)["job_id"] == JOB
