"""K3: whether the next connection may be paid is read from the records of all connections, never from the error."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseHook, TaskDeferred

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InsufficientBalanceError,
    JobFailedError,
    JobLostError,
    RateLimitError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.lifecycle.failover import CONNECTIONS_KEY, FailoverRecords
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from tests.conftest import NEEDS_STATE_STORE

pytestmark = NEEDS_STATE_STORE

JOB = "65819c485337280001a609e7"
DONE_URL = "https://a.test/r.png"
BUSY = {"headers": {"retry-after": "900"}}


def piapi(status="completed", job_id="p1", **more):
    output = {"image_url": DONE_URL} if status == "completed" else {}
    return {"code": 200, "data": {"task_id": job_id, "status": status, "output": output, **more}}


def busy():
    return httpx.Response(429, json={"error": {"message": "too many jobs"}}, headers={"retry-after": "900"})


def swap(*conn_ids, **more):
    return FaceSwapOperator(
        task_id="swap",
        **{
            "target_image": "https://pictures.test/t.jpg",
            "face_image": "https://pictures.test/f.jpg",
            "conn_ids": list(conn_ids or ("gptunnel_default", "piapi_default")),
            "deferrable": False,
            **more,
        },
    )


def deferral(operator, context):
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    return caught.value


def fired(deferred):
    async def run():
        return [event async for event in deferred.trigger.run()]

    [event] = asyncio.run(run())
    return event.payload


@pytest.fixture
def running_at_a(vendor, answer, context, clock):
    """The first attempt has left a running job at the first connection."""
    vendor.will(answer("idle"))
    deferral(swap(deferrable=True), context)
    context["ti"].try_number = 2
    yield
    context["ti"].try_number = 1


def empty_password(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_GPTUNNEL_DEFAULT", json.dumps({"conn_type": "gptunnel"}))


def missing(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_GPTUNNEL_DEFAULT")


def secrets_backend_down(monkeypatch):
    real = BaseHook.get_connection

    def get_connection(conn_id):
        if conn_id == "gptunnel_default":
            raise RuntimeError("the secrets backend is down")
        return real(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", get_connection)


@pytest.fixture(params=[empty_password, missing, secrets_backend_down], ids=lambda one: one.__name__)
def unreadable(request, monkeypatch):
    """Make the first connection unreadable."""
    return lambda: request.param(monkeypatch)


# -- a paid job at the first connection -----------------------------------------------------------------------


def test_a_running_job_is_not_bought_elsewhere_if_its_connection_cannot_be_read(
    vendor, context, running_at_a, unreadable
):
    unreadable()
    with pytest.raises((AuthenticationError, VendorUnavailableError), match="resume_job_id") as caught:
        swap().execute(context)
    assert caught.value.job_id == JOB
    assert "gptunnel_default" in str(caught.value)
    assert len(vendor.creates) == 1


def test_after_an_intent_of_unknown_fate_nothing_is_bought_elsewhere(vendor, context, clock, unreadable):
    vendor.will(httpx.ReadTimeout("lost"))
    with pytest.raises(SubmissionUncertainError):
        swap().execute(context)
    unreadable()
    with pytest.raises(FaceSwapError, match=r"may have submitted a job of unknown id at .*gptunnel_default"):
        swap().execute(context)
    assert len(vendor.creates) == 1


def test_a_job_whose_arguments_changed_and_that_cannot_be_replaced_is_not_bought_elsewhere(
    vendor, answer, context, clock
):
    vendor.will(answer("idle"))
    deferral(swap(deferrable=True, max_submissions=1), context)
    with pytest.raises(JobFailedError, match=f"as many as max_submissions.*Job {JOB} is not cancelled"):
        swap(max_submissions=1, face_image="https://pictures.test/other.jpg").execute(context)
    assert len(vendor.requests) == 1


# -- a job that is lost ---------------------------------------------------------------------------------------


def test_a_lost_job_is_polled_again_and_not_bought_at_the_first_connection(vendor, context, clock):
    vendor.will(
        busy(), piapi("pending"), *[httpx.Response(404, json={"code": 404, "message": "task not found"})] * 30
    )
    clock.time += 1
    with pytest.raises(JobLostError, match="p1"):
        swap().execute(context)
    creates = len(vendor.creates)
    vendor.answers.clear()
    vendor.will(httpx.Response(404, json={"code": 404, "message": "task not found"}))
    with pytest.raises(JobLostError, match="p1"):
        swap().execute(context)
    vendor.will(piapi())
    assert swap().execute(context)["job_id"] == "p1"
    assert len(vendor.creates) == creates


# -- a failed job ---------------------------------------------------------------------------------------------


def test_a_job_that_failed_for_want_of_credit_goes_to_the_next_connection(vendor, context, clock, store):
    failed = piapi("failed", error={"code": 10000, "message": "insufficient credits"})
    vendor.will(piapi("pending"), failed)
    with pytest.raises(InsufficientBalanceError, match="p1"):
        swap("piapi_default").execute({**context, "task_state_store": type(store)()})
    vendor.will(piapi("pending"), failed)
    vendor.will({"id": JOB, "status": "done", "percent": 100, "result": DONE_URL})
    result = swap("piapi_default", "gptunnel_default").execute(context)
    assert (result["vendor"], len(vendor.creates)) == ("gptunnel", 3)


@pytest.mark.parametrize("deferrable", [False, True], ids=["on the worker", "deferrable"])
def test_a_failed_job_goes_back_to_a_connection_that_was_only_busy(
    vendor, answer, context, clock, deferrable
):
    operator = swap(deferrable=deferrable)
    done = answer("done", percent=100, result=DONE_URL)
    vendor.will(busy(), piapi("pending"), piapi("failed", error={"code": 1, "message": "engine broke"}))
    if deferrable:
        deferred = deferral(operator, context)
        event = fired(deferred)
        vendor.will(done)
        result = swap(deferrable=True).execute_complete(context, event, **deferred.kwargs)
    else:
        vendor.will(done)
        result = operator.execute(context)
    assert (result["conn_id"], result["attempt_reused"]) == ("gptunnel_default", False)


def test_no_connection_gets_a_second_job_in_the_attempt_in_which_its_first_failed(
    vendor, answer, context, clock
):
    vendor.will(answer("failed", error="engine broke"), piapi("pending"))
    deferred = deferral(swap(deferrable=True), context)
    vendor.will(piapi("failed", error={"code": 1, "message": "engine broke"}))
    with pytest.raises(JobFailedError, match="piapi"):
        swap(deferrable=True).execute_complete(context, fired(deferred), **deferred.kwargs)
    assert len(vendor.creates) == 2


# -- a connection that was taken out of conn_ids --------------------------------------------------------------


def test_a_job_at_a_connection_that_was_taken_out_is_resumed(vendor, answer, context, running_at_a):
    vendor.will(answer("done", percent=100, result=DONE_URL))
    result = swap("piapi_default").execute(context)
    assert (result["job_id"], result["conn_id"], result["attempt_reused"]) == (JOB, "gptunnel_default", True)
    assert len(vendor.creates) == 1


def test_a_job_at_a_connection_that_is_gone_is_named_and_not_bought_again(
    vendor, context, running_at_a, monkeypatch
):
    missing(monkeypatch)
    with pytest.raises(VendorUnavailableError, match=rf"{JOB}.*gptunnel_default"):
        swap("piapi_default").execute(context)
    assert len(vendor.creates) == 1


def test_a_connection_that_was_taken_out_gets_no_new_job(vendor, answer, context, running_at_a):
    vendor.will(answer("failed", error="engine broke"), piapi())
    assert swap("piapi_default").execute(context)["job_id"] == "p1"
    assert [request.url.path for request in vendor.requests[-1:]] == ["/api/v1/task"]


def test_other_arguments_do_not_resume_the_job_of_a_connection_that_was_taken_out(
    vendor, context, running_at_a, caplog
):
    vendor.will(piapi())
    operator = swap("piapi_default", face_image="https://pictures.test/other.jpg")
    warnings = []
    operator.log.warning = lambda text, *args: warnings.append(text % args)
    assert operator.execute(context)["job_id"] == "p1"
    assert any(JOB in line for line in warnings)
    vendor.will(piapi())
    assert (
        swap("piapi_default", face_image="https://pictures.test/other.jpg").execute(context)["job_id"] == "p1"
    )
    assert len(vendor.creates) == 2


def test_a_list_of_connections_that_cannot_be_read_buys_nothing(vendor, context, clock, store):
    real = store.get

    def get(key, default=None):
        if key == CONNECTIONS_KEY:
            raise ConnectionError("store is down")
        return real(key, default)

    store.get = get
    with pytest.raises(FaceSwapError, match=r"could not be read.*bought nothing"):
        swap().execute(context)
    assert not vendor.requests


# -- a concurrent attempt -------------------------------------------------------------------------------------


def test_a_job_that_another_attempt_bought_elsewhere_meanwhile_stops_the_submission(vendor, context, clock):
    """The first attempt waits for its turn at A; the second one finds A busy, and buys at B."""
    waiting = pytest.MonkeyPatch()

    def second_attempt(_self, _rate):
        waiting.undo()
        vendor.will(busy(), piapi("pending"))
        deferral(swap(deferrable=True), context)

    waiting.setattr("airflow_provider_faceswap.http.rate_limiter.RateLimiter.wait", second_attempt)
    with pytest.raises(
        FaceSwapError, match=r"'piapi_default' may have a paid job.*nothing was bought"
    ) as caught:
        swap().execute(context)
    assert caught.value.job_id == "p1"
    vendor.will(piapi())
    assert swap().execute(context)["job_id"] == "p1"


# -- F8: what the log and the error say -----------------------------------------------------------------------


def test_the_line_about_the_next_connection_names_the_one_that_failed(vendor, context, clock):
    operator = swap()
    warnings = []
    operator.log.warning = lambda text, *args: warnings.append(text % args)
    vendor.will(httpx.Response(401, json={"error": {"message": "invalid api key"}}), piapi())
    operator.execute(context)
    [line] = [line for line in warnings if line.startswith("Trying")]
    assert line.startswith(
        "Trying piapi_default next: connection gptunnel_default (gptunnel): invalid api key"
    )


@pytest.mark.parametrize("others", [[], ["piapi_default"]])
def test_a_missing_connection_fails_at_once(vendor, context, clock, others):
    with pytest.raises(AirflowFailException, match=r"'nowhere' was not found.*Nothing was bought"):
        swap("nowhere", *others).execute(context)
    assert not vendor.requests


def test_without_a_store_a_job_that_cannot_be_polled_is_not_bought_elsewhere(vendor, answer, context, clock):
    vendor.will(answer("idle"), *[httpx.ConnectError("down")] * 40)
    with pytest.raises(VendorUnavailableError):
        swap().execute({"ti": context["ti"]})
    assert len(vendor.creates) == 1


def test_all_busy_is_the_error_of_the_last(vendor, context, clock):
    vendor.will(busy(), httpx.Response(429, json={"code": 429, "message": "busy"}, headers=BUSY["headers"]))
    with pytest.raises(RateLimitError, match="piapi"):
        swap().execute(context)


def test_a_damaged_list_of_connections_is_not_an_empty_one(store):
    store.values[CONNECTIONS_KEY] = "nonsense"
    with pytest.raises(FaceSwapError, match=r"could not be read.*bought nothing"):
        FailoverRecords(store).paid(["gptunnel_default"])
