"""A failed task leaves its error for the gallery, and nothing else changes."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred

from airflow_provider_faceswap.exceptions import BatchRefusedError, FaceSwapError, NoFaceError
from airflow_provider_faceswap.gallery import FAILURE_KEY
from airflow_provider_faceswap.operators._failure import failure_shown
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator


@pytest.fixture
def pushed(context, monkeypatch):
    """What the task has pushed."""
    values = {}
    monkeypatch.setattr(
        type(context["ti"]), "xcom_push", lambda _, key, value: values.update({key: value}), raising=False
    )
    return values


def swap(pictures, **more):
    return GPTunnelFaceSwapOperator(task_id="a_task", deferrable=False, **pictures, **more)


def test_a_swap_that_failed_leaves_class_text_and_job(vendor, answer, context, clock, pictures, pushed):
    vendor.will(answer("idle"), answer("failed", error="face not found"))
    with pytest.raises(FaceSwapError) as raised:
        swap(pictures).execute(context)
    left = pushed[FAILURE_KEY]
    assert left["error"] == type(raised.value).__name__
    assert left["message"] == str(raised.value)
    assert (left["vendor"], left["kind"], left["job_id"]) == ("gptunnel", "face_swap", raised.value.job_id)
    json.dumps(left)


def test_a_swap_that_succeeded_leaves_nothing(vendor, answer, context, clock, pictures, pushed):
    vendor.will(answer("done", percent=100, result="https://files.test/r.png"))
    swap(pictures).execute(context)
    assert pushed == {}


def test_a_deferral_is_no_failure(vendor, answer, context, clock, pictures, pushed):
    vendor.will(answer("idle"))
    with pytest.raises(TaskDeferred):
        GPTunnelFaceSwapOperator(task_id="a_task", deferrable=True, **pictures).execute(context)
    assert pushed == {}


def test_a_batch_that_failed_leaves_its_summary(vendor, answer, context, pictures, pushed, tmp_path):
    vendor.will(answer("failed", error="face not found"))
    batch = FaceSwapBatchOperator(
        task_id="a_task", conn_id="gptunnel_default", items=[pictures], destination=f"file://{tmp_path}"
    )
    with pytest.raises(FaceSwapError):
        batch.execute(context)
    assert pushed[FAILURE_KEY]["batch"]["failed"] == 1
    assert pushed[FAILURE_KEY]["batch"]["manifest_uri"].endswith(".jsonl")


def test_an_archive_that_failed_leaves_its_error_without_the_signature(context, pushed, tmp_path):
    archive = ArchiveOperator(
        task_id="a_task", source="http://127.0.0.1/x.png?sig=SECRET", destination=f"file://{tmp_path}"
    )
    with pytest.raises(FaceSwapError):
        archive.execute(context)
    assert pushed[FAILURE_KEY]["error"] == "UnsafeURLError"
    assert "SECRET" not in json.dumps(pushed)


class Operator:
    do_xcom_push = True
    outcome = None

    @failure_shown
    def execute(self, context, error):
        raise error


@pytest.mark.parametrize("error", [AirflowSkipException("skipped"), KeyboardInterrupt()])
def test_what_is_no_failure_leaves_nothing(context, pushed, error):
    with pytest.raises(type(error)):
        Operator().execute(context, error)
    assert pushed == {}


def test_an_error_of_another_library_is_one_line(context, pushed):
    with pytest.raises(RuntimeError):
        Operator().execute(context, RuntimeError("GET https://x.test/a?sig=SECRET failed\nsecond line"))
    left = pushed[FAILURE_KEY]
    assert left["error"] == "RuntimeError"
    assert "SECRET" not in left["message"]


def test_a_task_that_pushes_nothing_leaves_nothing(context, pushed):
    operator = Operator()
    operator.do_xcom_push = False
    with pytest.raises(NoFaceError):
        operator.execute(context, NoFaceError("no face"))
    assert pushed == {}


def test_the_error_of_the_task_is_raised_though_it_cannot_be_left(context, monkeypatch):
    def broken(*_, **__):
        raise ConnectionError

    monkeypatch.setattr(type(context["ti"]), "xcom_push", broken, raising=False)
    with pytest.raises(BatchRefusedError):
        Operator().execute(context=context, error=BatchRefusedError("refused"))
