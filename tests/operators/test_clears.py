"""K9: a clear that deletes the record of a paid job buys nothing that nobody asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest

from airflow_provider_faceswap.exceptions import (
    BatchFailedError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    SubmissionUncertainError,
)
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator
from airflow_provider_faceswap.triggers._airflow_internals import clear_deletes_records

PICTURES = {
    "target_image": "https://pictures.test/target.jpg",
    "face_image": "https://pictures.test/face.jpg",
}
DONE_URL = "https://storage.test/result.png"
OPERATORS = [GPTunnelFaceSwapOperator, TengraiFaceSwapOperator, PiAPIFaceSwapOperator]
WITH_LIST = [TengraiFaceSwapOperator, PiAPIFaceSwapOperator]


class Site:
    """The three vendors, which answer by the path."""

    def __init__(self, vendor, clock):
        self.vendor, self.clock = vendor, clock
        self.status = "done"
        self.refuses = False
        self.jobs = []
        vendor.answers = self

    def popleft(self):
        request = self.vendor.requests[-1]
        path = request.url.path
        if request.method == "DELETE":
            return httpx.Response(404, json={})
        if path == "/v2/artworks" and request.method == "GET":
            return httpx.Response(200, json=[self.tengrai(*job) for job in self.jobs])
        if path == "/api/open/tasks/histories":
            listed = [{"task_id": job_id, "action": "face-swap"} for job_id, *_ in self.jobs]
            return httpx.Response(200, json={"code": 200, "data": {"data": listed}})
        if request.method == "POST" and not path.endswith("result"):
            if self.refuses:
                return httpx.Response(402, json={"message": "balance too low"})
            self.jobs.append((f"job-{len(self.jobs) + 1}", json.loads(request.content), self.clock.moment()))
        job_id = request.url.params.get("taskId") or path.rpartition("/")[2]
        job = next((job for job in self.jobs if job[0] == job_id), self.jobs[-1])
        if "tengrai" in path or path.startswith("/v2/"):
            return httpx.Response(200, json=self.tengrai(*job))
        if path.startswith("/api/v1/task"):
            return httpx.Response(200, json={"code": 200, "data": self.piapi(*job)})
        return httpx.Response(200, json=self.gptunnel(*job))

    def tengrai(self, job_id, body, made):
        parameters = body.get("parameters", body)
        return {
            "id": job_id,
            "artworkType": "face_swap",
            "status": {"done": "succeeded", "failed": "failed", "running": "processing"}[self.status],
            "results": [DONE_URL] if self.status == "done" else [],
            "parameters": parameters,
            "createdAt": made.isoformat(),
        }

    def piapi(self, job_id, body, _made):
        return {
            "task_id": job_id,
            **{name: body[name] for name in ("model", "task_type", "input")},
            "status": {"done": "completed", "failed": "failed", "running": "processing"}[self.status],
            "output": {"image_url": DONE_URL} if self.status == "done" else {},
        }

    def gptunnel(self, job_id, _body, _made):
        status = {"done": "done", "failed": "failed", "running": "processing"}[self.status]
        result = {"result": DONE_URL} if self.status == "done" else {}
        return {"id": job_id, "type": "@FaceSwap", "status": status, "percent": 100, "error": None, **result}


@pytest.fixture
def site(vendor, clock):
    clock.moment = lambda: datetime.fromtimestamp(clock.now(), UTC)
    return Site(vendor, clock)


@pytest.fixture(autouse=True)
def deleting(monkeypatch):
    """An Airflow whose clear deletes the task state store, whichever this one is."""
    monkeypatch.setattr("airflow_provider_faceswap.operators._clears.clear_deletes_records", lambda: True)


@pytest.fixture(autouse=True)
def attempts(context, monkeypatch):
    """What a test does to a task instance is gone after it."""
    monkeypatch.setattr(type(context["ti"]), "max_tries", 0)
    monkeypatch.setattr(type(context["ti"]), "try_number", 1)


def swap(operator=PiAPIFaceSwapOperator, **more):
    return operator(**{"task_id": "swap", "deferrable": False, **PICTURES, **more})


def clear(context, *, keep=False, retries=0):
    """What a clear does: it adds the attempts that were made, and deletes the store unless it is kept."""
    instance = context["ti"]
    instance.max_tries = instance.try_number + retries
    instance.try_number += 1
    if not keep:
        context["task_state_store"].values.clear()


# -- a single job ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", WITH_LIST)
def test_the_job_of_a_deleted_record_is_found_in_the_vendors_list(site, context, operator):
    first = swap(operator).execute(context)
    clear(context)
    again = swap(operator).execute(context)
    assert (again["job_id"], again["attempt_reused"]) == (first["job_id"], True)
    assert len(site.jobs) == 1
    [record] = context["task_state_store"].values.values()
    assert (record["job_id"], record["epoch"]) == (first["job_id"], context["ti"].max_tries)


def test_without_a_list_the_task_stops_and_says_how_to_go_on(site, context):
    swap(GPTunnelFaceSwapOperator).execute(context)
    clear(context)
    with pytest.raises(SubmissionUncertainError) as raised:
        swap(GPTunnelFaceSwapOperator).execute(context)
    for words in (
        "was cleared",
        "may be running or finished",
        "Nothing was bought.",
        "on_clear='resubmit'",
        "resume_job_id",
        "ledger_uri",
    ):
        assert words in str(raised.value)
    assert len(site.jobs) == 1


@pytest.mark.parametrize("operator", WITH_LIST)
def test_a_list_with_two_such_jobs_is_a_doubt(site, context, operator):
    swap(operator).execute(context)
    context["task_state_store"].values.clear()
    swap(operator).execute(context)
    clear(context)
    with pytest.raises(SubmissionUncertainError):
        swap(operator).execute(context)
    assert len(site.jobs) == 2


def test_a_list_without_such_a_job_is_a_doubt(site, context):
    clear(context)
    with pytest.raises(SubmissionUncertainError):
        swap().execute(context)
    assert not site.jobs


@pytest.mark.parametrize("operator", OPERATORS)
def test_on_clear_resubmit_says_yes_in_advance(site, context, operator):
    swap(operator).execute(context)
    clear(context)
    again = swap(operator, on_clear="resubmit").execute(context)
    assert (again["job_id"], again["attempt_reused"]) == ("job-2", False)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_kept_record_is_resumed_as_ever(site, context, operator):
    swap(operator).execute(context)
    clear(context, keep=True)
    assert swap(operator).execute(context)["attempt_reused"] is True
    assert len(site.jobs) == 1


def test_a_job_in_the_list_that_failed_is_replaced(site, context):
    site.status = "failed"
    with pytest.raises(JobFailedError):
        swap().execute(context)
    clear(context)
    with pytest.raises(JobFailedError):
        swap().execute(context)
    assert len(site.jobs) == 2


def test_a_retry_of_the_attempt_after_a_clear_is_still_in_doubt(site, context):
    swap(GPTunnelFaceSwapOperator, retries=2).execute(context)
    clear(context, retries=2)
    for _ in range(2):
        with pytest.raises(SubmissionUncertainError):
            swap(GPTunnelFaceSwapOperator, retries=2).execute(context)
        context["ti"].try_number += 1
    assert len(site.jobs) == 1


def test_a_retry_without_a_clear_and_without_a_record_buys(site, context):
    """The first attempt was killed before it could record anything."""
    context["ti"].try_number, context["ti"].max_tries = 2, 2
    assert swap(retries=2).execute(context)["job_id"] == "job-1"


def test_a_clear_buys_where_no_clear_deletes_records(site, context, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.operators._clears.clear_deletes_records", lambda: False)
    clear(context)
    assert swap().execute(context)["job_id"] == "job-1"


def test_a_clear_buys_on_an_airflow_without_a_task_state_store(site, context):
    clear(context)
    assert swap().execute({"ti": context["ti"]})["job_id"] == "job-1"


def test_the_list_is_searched_from_when_the_run_was_due(site, context, clock):
    swap().execute(context)
    clock.time += 3 * 86_400
    clear(context)
    due = datetime.fromtimestamp(clock.now(), UTC) - timedelta(days=4)
    context["dag_run"] = SimpleNamespace(run_after=due)
    assert swap().execute(context)["job_id"] == "job-1"


# -- an attempt that bought nothing ----------------------------------------------------------------------


def refused(site):
    site.refuses = True
    return InsufficientBalanceError, {}


def wrong(_site):
    return InvalidRequestError, {"target_image": "not a picture"}


@pytest.mark.parametrize("cause", [refused, wrong])
def test_an_attempt_that_bought_nothing_is_noted_for_a_clear_that_keeps_the_state(site, context, cause):
    error, more = cause(site)
    with pytest.raises(error):
        swap(**more).execute(context)
    clear(context, keep=True)
    site.refuses = False
    assert swap().execute(context)["job_id"] == "job-1"


@pytest.mark.parametrize("cause", [refused, wrong])
def test_an_attempt_that_bought_nothing_is_noted_in_the_mirror(site, context, cause, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__LEDGER_URI", f"file://{tmp_path}/ledger")
    error, more = cause(site)
    with pytest.raises(error):
        swap(**more).execute(context)
    clear(context)
    site.refuses = False
    assert swap().execute(context)["job_id"] == "job-1"


def test_an_attempt_in_doubt_notes_nothing(site, context):
    swap(GPTunnelFaceSwapOperator).execute(context)
    clear(context)
    with pytest.raises(FaceSwapError):
        swap(GPTunnelFaceSwapOperator, target_image="not a picture").execute(context)
    assert not context["task_state_store"].values


def test_an_airflow_that_deletes_nothing_needs_no_note(site, context, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.operators._clears.clear_deletes_records", lambda: False)
    with pytest.raises(InvalidRequestError):
        swap(target_image="not a picture").execute(context)
    assert not context["task_state_store"].values


# -- with a mirror, failover, a batch -------------------------------------------------------------------


@pytest.mark.parametrize("operator", OPERATORS)
def test_with_a_mirror_a_clear_resumes_the_job(site, context, operator, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__LEDGER_URI", f"file://{tmp_path}/ledger")
    first = swap(operator).execute(context)
    clear(context)
    again = swap(operator).execute(context)
    assert (again["job_id"], again["attempt_reused"]) == (first["job_id"], True)
    assert len(site.jobs) == 1


def failover(**more):
    return swap(FaceSwapOperator, conn_ids=["piapi_default", "tengrai_default"], **more)


def test_failover_stops_because_a_job_may_be_at_any_connection(site, context):
    failover().execute(context)
    clear(context)
    with pytest.raises(SubmissionUncertainError, match="piapi_default, tengrai_default"):
        failover().execute(context)
    assert len(site.jobs) == 1
    assert failover(on_clear="resubmit").execute(context)["job_id"] == "job-2"


def test_failover_with_a_kept_record_of_one_connection_may_try_the_next(site, context):
    site.status = "failed"
    with pytest.raises(JobFailedError):
        swap(FaceSwapOperator, conn_ids=["piapi_default"]).execute(context)
    clear(context, keep=True)
    site.status = "done"
    assert failover().execute(context)["job_id"]


def batch(tmp_path, **more):
    more = {"items": [PICTURES], "destination": f"file://{tmp_path}/pictures", **more}
    return FaceSwapBatchOperator(task_id="batch", conn_id="gptunnel_default", **more)


def test_a_batch_without_its_records_stops_before_its_first_item(site, context, tmp_path):
    clear(context)
    with pytest.raises(SubmissionUncertainError, match="Nothing was bought"):
        batch(tmp_path).execute(context)
    assert not site.jobs


def test_a_batch_whose_records_cannot_be_read_says_so(site, context, tmp_path):
    clear(context)
    context["task_state_store"].broken_for = "get"
    with pytest.raises(FaceSwapError, match="could not be read"):
        batch(tmp_path).execute(context)
    assert not site.jobs


def test_a_batch_that_failed_before_its_first_item_notes_that(site, context, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(
        "airflow_provider_faceswap.batch.runner.BatchRunner.go", lambda runner, _: started.append(runner)
    )
    with pytest.raises(InvalidRequestError):
        batch(tmp_path, items=[{**PICTURES, "target_image": "not a picture"}]).execute(context)
    assert context["task_state_store"].values == {"faceswap_batch.0": {}}
    clear(context, keep=True)
    with pytest.raises(BatchFailedError, match="0 were processed"):
        batch(tmp_path).execute(context)
    assert started


# -- the feature itself ---------------------------------------------------------------------------------


def test_the_option_to_keep_the_state_tells_such_an_airflow_apart():
    from airflow.api_fastapi.core_api.datamodels.task_instances import ClearTaskInstancesBody

    assert clear_deletes_records() is hasattr(ClearTaskInstancesBody(), "keep_task_state")
