"""What version 0.1.0 has stored, and what users of it refer to, is the same in this version."""

from __future__ import annotations

import asyncio
import json

import pytest
from airflow.providers.common.compat.module_loading import import_string

from airflow_provider_faceswap.archive.store import Archived
from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    JobTimeoutError,
    NoFaceError,
    SubmissionUncertainError,
)
from airflow_provider_faceswap.get_provider_info import get_provider_info
from airflow_provider_faceswap.links import ArchivedLink, ManifestLink, ResultLink
from airflow_provider_faceswap.operators.balance import BalanceCheckOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.sensors.job import JobSensor

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


# -- links whose signature the first version did not know ------------------------------------------------------

DISCORD = "https://cdn.discordapp.com/attachments/1/2/a.png?ex={0}&is={0}&hm={0}&"


def swap_of(number):
    return GPTunnelFaceSwapOperator(
        task_id="a_task",
        deferrable=False,
        target_image=DISCORD.format(number),
        face_image="https://pictures.test/face.jpg",
    )


#: The hash that version 0.1.0 made of ``swap_of(1)``.
SIGNED = {
    **json.loads(RECORD),
    "fingerprint": "fafd70d3a93265eaec4a45a06fcd1b0f785ebc10dfe50d0382bb9754240888cb",
}


def test_a_record_of_the_first_version_is_that_of_the_same_signed_link(vendor, answer, context, clock, store):
    store.values["faceswap_job"] = SIGNED
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    assert swap_of(1).execute(context)["attempt_reused"]
    assert not vendor.creates


def test_a_link_that_is_signed_anew_is_paid_for_once_and_older_workers_know_its_record(
    vendor, answer, context, clock, store
):
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    swap_of(1).execute(context)
    assert store.values["faceswap_job"]["fingerprint"] == SIGNED["fingerprint"]
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    assert swap_of(2).execute(context)["attempt_reused"]
    assert len(vendor.creates) == 1


def test_a_batch_finds_the_records_of_signed_links(vendor, context, store, tmp_path):
    def batch(number):
        items = [
            {"target_image": DISCORD.format(number), "face_image": "https://pictures.test/face.jpg"},
        ]
        return FaceSwapBatchOperator(
            task_id="batch", conn_id="gptunnel_default", items=items, destination=f"file://{tmp_path}"
        ).execute(context)

    record = {**SIGNED, "stage": "settled", "outcome": "succeeded", "counted": True, "end": json.loads(END)}
    store.values["faceswap_batch.0"] = {f"{SIGNED['fingerprint']}.1": record}
    assert batch(1)["reused"] == 1
    assert not vendor.requests


# -- events of the trigger ------------------------------------------------------------------------------------

SUBMISSION = """
{"vendor": "gptunnel", "kind": "face_swap", "job_id": "65819c485337280001a609e7", "conn_id": "gptunnel_default",
"submitted_at": "2027-01-15T08:00:00Z", "deadline": "2027-01-15T08:10:00Z", "cost": null, "reused": false,
"counted": false, "provenance": {}}
"""
#: The payloads of events, letter by letter, but for the submission.
SUCCEEDED = """
{"word": "succeeded", "vendor": "gptunnel", "job_id": "65819c485337280001a609e7", "job": {"vendor": "gptunnel",
"kind": "face_swap", "job_id": "65819c485337280001a609e7", "state": "succeeded", "status": "done", "percent": 100.0,
"cost": null, "failure": null, "failure_reason": "unknown", "created_at": null, "finished_at": null}, "trouble": null,
"canceled": null}
"""
FAILED = """
{"word": "failed", "vendor": "gptunnel", "job_id": "65819c485337280001a609e7", "job": {"vendor": "gptunnel",
"kind": "face_swap", "job_id": "65819c485337280001a609e7", "state": "failed", "status": "failed", "percent": 0.0,
"cost": {"amount": 15.0, "unit": "RUB"}, "failure": "no face found", "failure_reason": "no_face", "created_at": null,
"finished_at": null}, "trouble": null, "canceled": null}
"""
REFUSED = """
{"word": "refused", "vendor": "gptunnel", "job_id": "65819c485337280001a609e7", "job": null, "trouble": {"type":
"AuthenticationError", "message": "bad key", "status_code": 401, "code": null}, "canceled": null}
"""
TIMED_OUT = """
{"word": "timed_out", "vendor": "gptunnel", "job_id": "65819c485337280001a609e7", "job": null, "trouble": null,
"canceled": true}
"""


def event(ending):
    return {"ending": json.loads(ending), "submission": json.loads(SUBMISSION)}


def test_a_success_that_was_fired_before_the_upgrade_is_a_result(vendor, answer, context, clock, swap):
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    assert swap.execute_complete(context, event(SUCCEEDED))["url"] == "https://a.test/r.png"
    assert not vendor.creates


@pytest.mark.parametrize(
    ("ending", "error", "says"),
    [
        (FAILED, NoFaceError, "no face found; charged 15 RUB"),
        (REFUSED, AuthenticationError, "bad key"),
        (TIMED_OUT, JobTimeoutError, "the vendor confirmed the cancel"),
    ],
)
def test_any_other_event_fired_before_the_upgrade_is_its_error(
    vendor, context, clock, swap, ending, error, says
):
    with pytest.raises(error, match=says) as caught:
        swap.execute_complete(context, event(ending))
    assert caught.value.job_id == JOB


def test_an_event_has_the_keys_that_an_older_worker_reads(vendor, answer, clock):
    path, kwargs = json.loads(ROW)
    vendor.will(answer("failed", error="no face found"))

    async def run():
        return [event async for event in import_string(path)(**kwargs).run()]

    [fired] = asyncio.run(run())
    assert fired.payload.keys() == {"ending", "submission"}
    assert fired.payload["ending"].keys() == json.loads(FAILED).keys()
    assert fired.payload["ending"]["job"].keys() == json.loads(FAILED)["job"].keys()
    assert fired.payload["submission"].keys() == json.loads(SUBMISSION).keys()


def test_the_row_of_a_trigger_is_written_as_it_was():
    path, kwargs = json.loads(ROW)
    assert import_string(path)(**kwargs).serialize() == (
        path,
        {**kwargs, "submission": {**kwargs["submission"], "counted": False}},
    )


# -- records --------------------------------------------------------------------------------------------------

#: What a batch's record of an item adds to that of a job.
END = """
{"final": false, "status": "archived", "job_id": "65819c485337280001a609e7", "cost": {"amount": 15.0, "unit": "RUB"},
"attempt_reused": false, "files": [{"uri": "file:///data/a.png", "sha256": "5ab1", "bytes": 1024}], "epoch": 0}
"""


def test_a_batch_reads_the_records_of_its_items(vendor, context, store, pictures, tmp_path):
    record = {**json.loads(RECORD), "stage": "settled", "outcome": "succeeded", "counted": True}
    name = f"{record['fingerprint']}.1"
    store.values["faceswap_batch.0"] = {name: {**record, "end": json.loads(END)}}
    batch = FaceSwapBatchOperator(
        task_id="batch", conn_id="gptunnel_default", items=[pictures], destination=f"file://{tmp_path}"
    )
    summary = batch.execute(context)
    assert (summary["archived"], summary["reused"]) == (1, 1)
    assert not vendor.requests
    assert list(summary) == [
        "total",
        "archived",
        "failed",
        "not_started",
        "reused",
        "errors",
        "cost",
        "seconds",
        "manifest_uri",
        "skipped",
        "cost_in_all",
    ]


def test_a_swap_with_failover_reads_the_record_of_each_connection(
    vendor, answer, context, clock, store, pictures
):
    store.values["faceswap_job.gptunnel_default"] = json.loads(RECORD)
    swap = FaceSwapOperator(
        task_id="a_task", conn_ids=["piapi_default", "gptunnel_default"], deferrable=False, **pictures
    )
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    assert swap.execute(context)["job_id"] == JOB
    assert not vendor.creates


# -- what users refer to --------------------------------------------------------------------------------------

RESULT = [
    "vendor",
    "kind",
    "job_id",
    "conn_id",
    "url",
    "urls",
    "cost",
    "submitted_at",
    "finished_at",
    "expires_at",
    "attempt_reused",
    "provenance",
]


def test_a_job_and_its_sensor_return_the_same_keys_as_ever(vendor, answer, context, clock, swap):
    done = answer("done", percent=100, result="https://a.test/r.png")
    vendor.will(done, done)
    sensor = JobSensor(task_id="s", conn_id="gptunnel_default", job_id=JOB, kind="face_swap")
    assert list(swap.execute(context)) == RESULT
    assert list(sensor.poke(context).xcom_value) == RESULT


def test_an_archived_file_has_the_same_keys_as_ever():
    assert list(Archived.model_fields) == [
        "uri",
        "manifest_uri",
        "media_type",
        "bytes",
        "sha256",
        "width",
        "height",
    ]


def test_a_balance_has_the_same_keys_as_ever(vendor, context):
    vendor.will({"balance": 31})
    check = BalanceCheckOperator(task_id="b", conn_id="gptunnel_default", at_least=1)
    assert list(check.execute(context)) == ["vendor", "conn_id", "amount", "unit", "credit", "available"]


def test_the_links_have_the_same_keys_in_xcom():
    assert [link().xcom_key for link in (ResultLink, ArchivedLink, ManifestLink)] == [
        "_link_ResultLink",
        "_link_ArchivedLink",
        "_link_ManifestLink",
    ]


JOB_FIELDS = ("conn_id", "resume_job_id")
PAIR = ("target_image", "face_image")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (
            "gptunnel.GPTunnelFaceSwapOperator",
            (*PAIR, "enhance_face", "enhance_background", "use_wallet_balance", *JOB_FIELDS),
        ),
        (
            "gptunnel.GPTunnelImageOperator",
            ("model", "prompt", "images", "aspect_ratio", "options", *JOB_FIELDS),
        ),
        ("gptunnel.GPTunnelImagineOperator", ("prompt", "use_wallet_balance", *JOB_FIELDS)),
        ("gptunnel.GPTunnelUpsampleOperator", ("parent_job_id", "image", *JOB_FIELDS)),
        ("gptunnel.GPTunnelVariationOperator", ("parent_job_id", "image", "mode", *JOB_FIELDS)),
        ("gptunnel.GPTunnelInpaintOperator", ("parent_job_id", "mask", "prompt", *JOB_FIELDS)),
        ("tengrai.TengraiFaceSwapOperator", (*PAIR, "denoising", "seed", "output_format", *JOB_FIELDS)),
        ("tengrai.TengraiArtworkOperator", ("artwork", "parameters", *JOB_FIELDS)),
        (
            "piapi.PiAPIFaceSwapOperator",
            (*PAIR, "target_faces", "source_faces", "service_mode", *JOB_FIELDS),
        ),
        (
            "piapi.PiAPIVideoFaceSwapOperator",
            ("target_video", "face_image", "target_faces", "source_faces", "service_mode", *JOB_FIELDS),
        ),
        ("piapi.PiAPITaskOperator", ("model", "vendor_task_type", "input", "service_mode", *JOB_FIELDS)),
        ("faceswap.FaceSwapOperator", (*PAIR, "conn_ids", "resume_job_id")),
        ("batch.FaceSwapBatchOperator", ("items", "destination", "conn_id")),
        ("archive.ArchiveOperator", ("source", "destination", "destination_conn_id", "filename")),
        ("balance.BalanceCheckOperator", ("conn_id", "at_least", "unit")),
    ],
)
def test_the_same_arguments_are_templates(path, fields):
    assert import_string(f"airflow_provider_faceswap.operators.{path}").template_fields == fields


def test_connection_types_hooks_and_settings_have_the_same_names():
    info = get_provider_info()
    assert {entry["connection-type"]: entry["hook-class-name"] for entry in info["connection-types"]} == {
        "gptunnel": "airflow_provider_faceswap.hooks.gptunnel.GPTunnelHook",
        "tengrai": "airflow_provider_faceswap.hooks.tengrai.TengraiHook",
        "piapi": "airflow_provider_faceswap.hooks.piapi.PiAPIHook",
    }
    settings = {"allowed_local_paths", "allowed_private_hosts", "ledger_uri", "max_archive_bytes"}
    assert settings <= info["config"]["faceswap"]["options"].keys()


def test_metrics_have_the_same_names(vendor, answer, context, clock, swap, monkeypatch):
    names = set()

    class Stats:
        @staticmethod
        def incr(name, *_, **__):
            names.add(name)

        timing = incr

    monkeypatch.setattr("airflow.providers.common.compat.sdk.Stats", Stats, raising=False)
    vendor.will(answer("idle", usage={"total_cost": 15}), answer("failed", error="no face found"))
    with pytest.raises(NoFaceError):
        swap.execute(context)
    assert names == {"faceswap.jobs", "faceswap.job_seconds", "faceswap.cost", "faceswap.errors"}
