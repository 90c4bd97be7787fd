"""K4: the order of steps around a purchase."""

from __future__ import annotations

import json

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InsufficientBalanceError,
    JobFailedError,
    JobLostError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.storage.object_records import ObjectRecords
from tests.conftest import NEEDS_STATE_STORE

pytestmark = NEEDS_STATE_STORE

PICTURES = {"target_image": "https://pictures.test/t.jpg", "face_image": "https://pictures.test/f.jpg"}
OTHER = "https://pictures.test/other.jpg"
DONE_URL = "https://a.test/r.png"
CANCELLED = {"code": 200, "data": {"task_id": "first"}, "message": "success"}


def job(status="processing", job_id="first"):
    output = {"image_url": DONE_URL} if status == "completed" else {}
    return {"code": 200, "data": {"task_id": job_id, "status": status, "output": output}}


def swap(**more):
    return PiAPIFaceSwapOperator(**{"task_id": "swap", "deferrable": False, **PICTURES, **more})


def leave_running(vendor, context, job_id="first", **more):
    vendor.will(job("pending", job_id))
    with pytest.raises(TaskDeferred):
        swap(deferrable=True, **more).execute(context)


def cancels(vendor):
    return [str(request.url) for request in vendor.requests if request.method == "DELETE"]


def cleared(context, **more):
    task = type("Cleared", (), {**vars(type(context["ti"])), "max_tries": 1, **more})()
    return {**context, "ti": task}


def record_of(context):
    return context["task_state_store"].values["faceswap_job"]


@pytest.fixture
def warnings_of():
    def listen(operator):
        lines = []
        operator.log.warning = lambda text, *args: lines.append(text % args if args else text)
        return lines

    return listen


# -- the cap comes before the cancel --------------------------------------------------------------------------


def test_at_the_cap_a_running_job_is_not_cancelled_for_nothing(vendor, context, clock, warnings_of):
    leave_running(vendor, context)
    operator = swap(max_submissions=1, face_image=OTHER)
    warnings = warnings_of(operator)
    with pytest.raises(JobFailedError, match="Job first is not cancelled") as caught:
        operator.execute(context)
    assert caught.value.job_id == "first"
    assert not cancels(vendor)
    assert not [line for line in warnings if "job first" in line]
    assert record_of(context)["job_id"] == "first"


def test_the_cap_names_the_last_job(vendor, context, clock):
    vendor.will(job("failed"))
    with pytest.raises(JobFailedError):
        swap(max_submissions=1).execute(context)
    vendor.will(job("failed"))
    with pytest.raises(JobFailedError, match="as many as max_submissions allows") as caught:
        swap(max_submissions=1).execute(context)
    assert caught.value.job_id == "first"


# -- the cancel goes to the connection in the record ----------------------------------------------------------


def test_the_cancel_of_an_old_job_goes_to_its_own_connection(
    vendor, context, clock, monkeypatch, warnings_of
):
    other = {"conn_type": "piapi", "host": "https://other.test", "password": "other-key"}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(other))
    leave_running(vendor, context)
    vendor.will(CANCELLED, job("completed", "second"))
    operator = swap(conn_id="other")
    warnings = warnings_of(operator)
    assert operator.execute(context)["job_id"] == "second"
    assert cancels(vendor) == ["https://vendor.test/api/v1/task/first"]
    assert any("its cancellation was confirmed" in line for line in warnings)


def test_an_old_job_whose_connection_is_gone_is_named(vendor, context, clock, monkeypatch, warnings_of):
    other = {"conn_type": "piapi", "host": "https://other.test", "password": "other-key"}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(other))
    leave_running(vendor, context)
    monkeypatch.delenv("AIRFLOW_CONN_PIAPI_DEFAULT")
    vendor.will(job("completed", "second"))
    operator = swap(conn_id="other")
    warnings = warnings_of(operator)
    assert operator.execute(context)["job_id"] == "second"
    assert any("job first was submitted; it could not be cancelled" in line for line in warnings)


# -- a job that the vendor has forgotten ----------------------------------------------------------------------


def test_after_a_clear_a_forgotten_job_is_bought_again(vendor, context, clock):
    vendor.will(job("completed"))
    swap().execute(context)
    clock.time += 8 * 86_400
    gone = httpx.Response(404, json={"code": 404, "message": "task not found"})
    vendor.will(gone)
    with pytest.raises(JobLostError):
        swap().execute(context)
    vendor.will(gone, job("completed", "second"))
    assert swap().execute(cleared(context))["job_id"] == "second"
    assert record_of(context)["purchases"] == 1


# -- two attempts at once -------------------------------------------------------------------------------------


@pytest.fixture(params=["task state store", "ledger_uri"])
def stored(request, context, tmp_path, monkeypatch):
    """The context of a task, with its records in one of the two places."""
    if request.param == "task state store":
        return context
    monkeypatch.setenv("AIRFLOW__FACESWAP__LEDGER_URI", f"file://{tmp_path}")
    return {"ti": context["ti"]}


def stored_record(context, tmp_path):
    store = context.get("task_state_store") or ObjectRecords.of(f"file://{tmp_path}", context["ti"])
    return store.get("faceswap_job")


@pytest.fixture
def while_waiting(monkeypatch):
    """Let something happen once, while an attempt waits for the account's turn."""

    def register(happens):
        waiting = pytest.MonkeyPatch()

        def wait(_self, _rate):
            waiting.undo()
            happens()

        waiting.setattr("airflow_provider_faceswap.http.rate_limiter.RateLimiter.wait", wait)

    return register


def test_an_attempt_that_waited_for_its_turn_resumes_what_another_bought_meanwhile(
    vendor, stored, clock, while_waiting, tmp_path
):
    def another():
        leave_running(vendor, stored)
        vendor.will(job("pending"), job("completed"))

    while_waiting(another)
    result = swap().execute(stored)
    assert (result["job_id"], result["attempt_reused"]) == ("first", True)
    assert len(vendor.creates) == 1
    assert stored_record(stored, tmp_path)["job_id"] == "first"


def test_an_attempt_that_waited_for_its_turn_does_not_overwrite_an_uncertain_submission(
    vendor, stored, clock, while_waiting, tmp_path
):
    def another():
        vendor.will(httpx.ReadTimeout("lost"))
        with pytest.raises(SubmissionUncertainError):
            GPTunnelFaceSwapOperator(task_id="swap", deferrable=False, **PICTURES).execute(stored)

    while_waiting(another)
    with pytest.raises(SubmissionUncertainError, match="did not record its id"):
        GPTunnelFaceSwapOperator(task_id="swap", deferrable=False, **PICTURES).execute(stored)
    assert len(vendor.creates) == 1
    assert stored_record(stored, tmp_path)["stage"] == "intent"


def test_two_jobs_of_two_attempts_are_both_in_the_record(vendor, stored, clock, tmp_path, answer):
    """The second attempt may pay twice, and submits while the first one waits for its answer."""
    answers = [answer("idle", job_id="a" * 24), answer("done", job_id="b" * 24, percent=100, result=DONE_URL)]

    sent = []

    def submit(request):
        sent.append(request)
        if len(sent) == 1:
            operator = GPTunnelFaceSwapOperator(
                task_id="swap", deferrable=True, on_uncertain="resubmit", max_submissions=3, **PICTURES
            )
            with pytest.raises(TaskDeferred):
                operator.execute(stored)
            return httpx.Response(200, json=answers[1])
        return httpx.Response(200, json=answers[0])

    transport = httpx.MockTransport(submit)
    clients = pytest.MonkeyPatch()
    clients.setattr(
        "airflow_provider_faceswap.http.api.sync_client", lambda **_: httpx.Client(transport=transport)
    )
    try:
        result = GPTunnelFaceSwapOperator(task_id="swap", deferrable=False, **PICTURES).execute(stored)
    finally:
        clients.undo()
    assert result["job_id"] == "b" * 24
    record = stored_record(stored, tmp_path)
    assert {record["job_id"], *record["earlier"]} == {"a" * 24, "b" * 24}


def test_a_refused_submission_does_not_overwrite_the_job_of_another_attempt(vendor, context, clock, store):
    leave_running(vendor, context)
    bought = dict(store.values)
    store.values.clear()

    class Refusing(dict):
        """A store into which another attempt writes, once this one has written its intent."""

        def __setitem__(self, key, value):
            super().__setitem__(key, bought[key] if value["stage"] == "intent" else value)

    store.values = Refusing()
    vendor.will(httpx.Response(402, json={"code": 402, "message": "no credit"}))
    with pytest.raises(InsufficientBalanceError):
        swap().execute(context)
    assert record_of(context)["job_id"] == "first"


# -- errors before the purchase name the paid job -------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["empty password", "missing"])
def test_a_connection_that_cannot_be_used_names_the_paid_job(vendor, context, clock, monkeypatch, trouble):
    leave_running(vendor, context)
    if trouble == "missing":
        monkeypatch.delenv("AIRFLOW_CONN_PIAPI_DEFAULT")
    else:
        monkeypatch.setenv("AIRFLOW_CONN_PIAPI_DEFAULT", json.dumps({"conn_type": "piapi"}))
    with pytest.raises((AuthenticationError, VendorUnavailableError), match="submitted job first") as caught:
        swap().execute(context)
    assert caught.value.job_id == "first"
    assert len(vendor.creates) == 1


def test_a_missing_connection_without_a_job_fails_at_once(vendor, context, clock):
    with pytest.raises(AirflowFailException, match=r"'nowhere' was not found.*Nothing was bought"):
        swap(conn_id="nowhere").execute(context)


def test_a_store_that_breaks_after_the_submission_names_the_job(vendor, context, clock, store):
    real = store.set

    def set_(key, value, **options):
        store.broken_for = "get"
        if value["stage"] == "submitted":
            raise ConnectionError("store is down")
        real(key, value, **options)

    store.set = set_
    vendor.will(job("pending"))
    with pytest.raises(FaceSwapError, match="resume it with resume_job_id") as caught:
        swap().execute(context)
    assert caught.value.job_id == "first"
