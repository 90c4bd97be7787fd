"""F3: what a ``@task`` that uses a hook can log, return, and hand on."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from airflow_provider_faceswap.archive.sources import parse_sources
from airflow_provider_faceswap.foundation.validation import as_job_id
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.jobs import GivenResult
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.sensors.job import JobSensor
from tests.conftest import needs

JOB_ID = "65819c485337280001a609e7"
DONE = {"percent": 100, "result": "https://files.test/r.png?sig=SECRET"}


@pytest.fixture
def hook(vendor):
    with GPTunnelHook() as hook:
        yield hook


@pytest.fixture
def done(hook, vendor, answer, pictures, clock):
    """A job that was submitted and waited for."""
    vendor.will(answer("idle", usage={"total_cost": 12.5}), answer("done", **DONE))
    return hook.wait(hook.submit("face_swap", enhance_face=True, **pictures))


@pytest.mark.parametrize("face", ["sync", "async"])
def test_f3_the_log_has_the_job_as_soon_as_the_vendor_accepted_it(
    hook, vendor, answer, pictures, clock, capsys, face
):
    import asyncio

    vendor.will(answer("idle", usage={"total_cost": 12.5}))
    with capture_logs() as logs:
        if face == "sync":
            hook.submit("face_swap", **pictures)
        else:
            asyncio.run(hook.asubmit("face_swap", **pictures))
    told = capsys.readouterr().out + str(logs)
    assert JOB_ID in told
    assert "accepted" in told
    assert "12.5 RUB" in told


def test_f3_a_job_becomes_the_dict_that_an_operator_returns(hook, done):
    told = hook.to_xcom(done)
    assert json.loads(json.dumps(told)) == told
    assert set(told) == set(GivenResult.model_fields) - {"reused_from"}, "nothing was reused"
    assert (told["vendor"], told["kind"], told["job_id"]) == ("gptunnel", "face_swap", JOB_ID)
    assert (told["conn_id"], told["url"], told["urls"]) == (
        "gptunnel_default",
        DONE["result"],
        [DONE["result"]],
    )
    assert told["cost"] == {"amount": 12.5, "unit": "RUB"}
    assert told["provenance"]["arguments"]["enhance_face"] is True


def test_f3_the_archive_takes_it_and_its_manifest_names_the_job(hook, done, web, picture, tmp_path, context):
    web.will(picture())
    kept = ArchiveOperator(
        task_id="a", source=hook.to_xcom(done), destination=f"file://{tmp_path}/kept"
    ).execute(context)
    [manifest] = (tmp_path / "kept").glob("*.json")
    told = json.loads(manifest.read_text())
    assert told["job"]["job_id"] == JOB_ID
    assert told["job"]["arguments"]["enhance_face"] is True
    assert "SECRET" not in manifest.read_text()
    assert kept["manifest_uri"].endswith(manifest.name)


def test_f3_a_job_that_is_not_over_is_waited_for_by_the_sensor(hook, vendor, answer, pictures, clock):
    vendor.will(answer("idle"), answer("done", **DONE))
    told = hook.to_xcom(hook.submit("face_swap", **pictures))
    assert (told["url"], told["finished_at"]) == (None, None)
    sensor = JobSensor(task_id="s", conn_id=told["conn_id"], job_id=told, kind=told["kind"], deferrable=False)
    assert sensor.poke({}).xcom_value["job_id"] == JOB_ID


@needs("classes that a provider allows", at="airflow.sdk.serde", has="allow_class")
def test_f3_a_returned_job_comes_back_from_xcom_and_can_be_used(done):
    from airflow.sdk.serde import deserialize, serialize

    stored = json.loads(json.dumps(serialize(done)))
    assert deserialize(stored) == done
    [source], _ = parse_sources(deserialize(stored), lambda *_: done)
    assert (source.url, source.job_id) == (DONE["result"], JOB_ID)
    assert as_job_id("job_id", done) == JOB_ID
