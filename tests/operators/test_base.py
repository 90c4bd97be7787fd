"""The life of a job: validate, look in the ledger, buy, wait or defer, settle."""

from __future__ import annotations

import json
from collections.abc import Sequence

import httpx
import pytest
from airflow.listeners import hookimpl
from airflow.providers.common.compat.sdk import AirflowNotFoundException, TaskDeferred
from airflow.sdk.bases.xcom import BaseXCom
from PIL import Image

try:
    from airflow.sdk.listener import get_listener_manager
except ImportError:  # below Airflow 3.2
    from airflow.listeners.listener import get_listener_manager

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    ContentRefusedError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobCanceledError,
    JobFailedError,
    JobLostError,
    JobTimeoutError,
    MalformedResponseError,
    NoFaceError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.operators.gptunnel import (
    GPTunnelFaceSwapOperator,
    GPTunnelImageOperator,
    GPTunnelInpaintOperator,
    GPTunnelUpsampleOperator,
    GPTunnelVariationOperator,
)
from airflow_provider_faceswap.operators.piapi import (
    PiAPIFaceSwapOperator,
    PiAPITaskOperator,
    PiAPIVideoFaceSwapOperator,
)
from airflow_provider_faceswap.operators.tengrai import TengraiArtworkOperator, TengraiFaceSwapOperator
from airflow_provider_faceswap.triggers.job import SAFE_RESUME_DELAY, JobTrigger
from tests.conftest import unknown_job

DONE_URL = "https://storage.test/result.png?sig=abc"


def swap(**more):
    pictures = {"target_image": "https://pictures.test/t.jpg", "face_image": "https://pictures.test/f.jpg"}
    return GPTunnelFaceSwapOperator(**{"task_id": "swap", "deferrable": False, **pictures, **more})


def done(answer, **more):
    return answer("done", percent=100, result=DONE_URL, **more)


# -- the result ---------------------------------------------------------------------------------------


def test_a_swap_is_bought_waited_for_and_returned(vendor, answer, context, clock):
    vendor.will(
        answer("idle", usage={"total_cost": 15}),
        answer("processing", percent=40),
        done(answer, usage={"total_cost": 0}),
    )
    result = swap().execute(context)
    assert result["url"] == DONE_URL
    assert result["urls"] == [DONE_URL]
    assert result["cost"] == {"amount": 15.0, "unit": "RUB"}, "only the create tells the charge"
    assert (result["vendor"], result["kind"], result["conn_id"]) == (
        "gptunnel",
        "face_swap",
        "gptunnel_default",
    )
    assert result["attempt_reused"] is False
    assert result["submitted_at"] < result["finished_at"] < result["expires_at"]
    assert json.loads(json.dumps(result)) == result, "the result travels through XCom as it is"
    assert len(vendor.creates) == 1


def test_a_job_that_is_born_finished_is_not_asked_for_again(vendor, answer, context, clock):
    vendor.will(done(answer))
    assert swap(deferrable=True).execute(context)["url"] == DONE_URL
    assert len(vendor.requests) == 1


def test_an_argument_may_be_the_result_of_another_operator(vendor, answer, context, clock):
    vendor.will(done(answer))
    parent = {
        "vendor": "gptunnel",
        "kind": "imagine",
        "job_id": "p1",
        "conn_id": "gptunnel_default",
        "url": "https://gptunnel.test/task/image/p1?cache=100",
        "cost": {"amount": 18, "unit": "RUB"},
        "submitted_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:01:00Z",
        "provenance": {"arguments": {"prompt": "a cat"}, "parents": []},
    }
    result = swap(target_image=parent).execute(context)
    assert vendor.creates[0]["sourceImage"] == "https://gptunnel.test/task/image/p1?cache=100"
    assert result["provenance"]["arguments"]["target_image"] == "https://gptunnel.test/task/image/p1"
    [told] = result["provenance"]["parents"]
    assert (told["job_id"], told["arguments"]) == ("p1", {"prompt": "a cat"})


def test_a_parent_job_may_be_an_id_or_a_whole_result(vendor, answer, context, clock):
    for parent in (
        "p1",
        {"vendor": "gptunnel", "kind": "imagine", "job_id": "p1", "url": "https://a.test/1"},
    ):
        vendor.will(done(answer))
        operator = GPTunnelUpsampleOperator(task_id="up", parent_job_id=parent, image=2, deferrable=False)
        result = operator.execute({"ti": context["ti"]})
        assert vendor.creates[-1] == {"taskId": "p1", "image": 2}
        assert result["provenance"]["arguments"]["parent_job_id"] == "p1"


def test_a_result_without_a_link_cannot_be_an_argument(vendor, context, clock):
    parent = {"vendor": "piapi", "kind": "task", "job_id": "p1", "url": None}
    with pytest.raises(InvalidRequestError, match=r"job p1 has no link.*Nothing was bought"):
        swap(target_image=parent).execute(context)
    assert not vendor.requests


def test_a_webhook_is_sent_but_neither_rendered_nor_told(vendor, answer, context, clock):
    vendor.will(done(answer))
    operator = swap(webhook="https://hooks.test/{{ ti.task_id }}?token=planted")
    assert "webhook" not in operator.template_fields
    result = operator.execute(context)
    assert vendor.creates[0]["webhook"] == "https://hooks.test/a_task?token=planted"
    assert "planted" not in json.dumps(result)


# -- bad input buys nothing ---------------------------------------------------------------------------

URL = "https://pictures.test/p.jpg"


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: swap(target_image=""), "target_image"),
        (lambda: swap(face_image="ftp://pictures.test/f.jpg"), "face_image"),
        (lambda: swap(face_image="face.jpg"), "face_image"),
        (lambda: swap(target_image=None), "target_image"),
        (lambda: swap(target_image={"not": "a result"}), "target_image"),
        (
            lambda: TengraiFaceSwapOperator(task_id="t", target_image=URL, face_image=URL, denoising=6),
            "denoising",
        ),
        (
            lambda: TengraiFaceSwapOperator(task_id="t", target_image=URL, face_image=URL, denoising=0),
            "denoising",
        ),
        (lambda: TengraiFaceSwapOperator(task_id="t", target_image=URL, face_image=URL, seed=0), "seed"),
        (lambda: TengraiFaceSwapOperator(task_id="t", target_image=URL, face_image=URL, seed=2**31), "seed"),
        (
            lambda: TengraiFaceSwapOperator(
                task_id="t", target_image=URL, face_image=URL, output_format="jpeg"
            ),
            "output_format",
        ),
        (
            lambda: PiAPIFaceSwapOperator(
                task_id="t", target_image=URL, face_image=URL, target_faces=[0, 1], source_faces=[0]
            ),
            "target_faces and source_faces",
        ),
        (
            lambda: PiAPIVideoFaceSwapOperator(
                task_id="t", target_video=URL, face_image=URL, target_faces=[0]
            ),
            "target_faces and source_faces",
        ),
        (lambda: GPTunnelUpsampleOperator(task_id="t", parent_job_id="p", image=0), "image"),
        (lambda: GPTunnelUpsampleOperator(task_id="t", parent_job_id="p", image=5), "image"),
        (lambda: GPTunnelUpsampleOperator(task_id="t", parent_job_id="", image=1), "parent_job_id"),
        (lambda: GPTunnelVariationOperator(task_id="t", parent_job_id="p"), "image"),
        (lambda: GPTunnelInpaintOperator(task_id="t", parent_job_id="p", mask="no png"), "mask"),
        (lambda: GPTunnelImageOperator(task_id="t", model="m", prompt=""), "prompt"),
        (lambda: PiAPITaskOperator(task_id="t", model="m", task_type="t", input={"x": object()}), "input"),
        (lambda: TengraiArtworkOperator(task_id="t", artwork="mona_lisa", parameters={}), "mona_lisa"),
        (
            lambda: TengraiArtworkOperator(task_id="t", artwork="upscaling", parameters={}),
            "parameters.imageUrl",
        ),
    ],
)
def test_a_wrong_argument_is_named_and_buys_nothing(vendor, context, clock, make, names):
    with pytest.raises(InvalidRequestError, match="Nothing was bought") as caught:
        make().execute(context)
    assert names in str(caught.value)
    assert not vendor.requests
    assert not context["task_state_store"].intents, "no intent is recorded for what cannot be bought"


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": -1},
        {"timeout": 0},
        {"timeout": "soon"},
        {"poll_interval": -2},
        {"max_submissions": 0},
        {"on_uncertain": "hope"},
        {"on_clear": "forget"},
    ],
)
def test_a_wrong_setting_fails_when_the_dag_is_read(wrong):
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        swap(**wrong)


def test_a_missing_key_names_the_connection(vendor, context, clock, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_GPTUNNEL_DEFAULT", json.dumps({"conn_type": "gptunnel"}))
    with pytest.raises(AuthenticationError, match="connection 'gptunnel_default' has no API key"):
        swap().execute(context)
    assert not vendor.requests


def test_an_unknown_connection_is_named_and_buys_nothing(vendor, context, clock):
    # Airflow 3.1.0 asks a supervisor that is not there: it cannot tell whether there is such a connection.
    with pytest.raises((AirflowNotFoundException, VendorUnavailableError), match="nowhere"):
        swap(conn_id="nowhere").execute(context)
    assert not vendor.requests


def test_a_trigger_that_could_not_be_stored_is_found_before_the_paid_call(
    vendor, context, clock, monkeypatch
):
    def serialize(self):
        return "path", {"not json": object()}

    monkeypatch.setattr(JobTrigger, "serialize", serialize)
    with pytest.raises(InvalidRequestError, match="cannot be stored as JSON"):
        swap(deferrable=True).execute(context)
    assert not vendor.requests


# -- vendor failures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        ({"status": "failed", "error": "No face found"}, NoFaceError),
        ({"status": "failed", "error": "blocked: NSFW"}, ContentRefusedError),
        ({"status": "failed", "error": {"message": "engine broke"}}, JobFailedError),
        ({"status": "canceled"}, JobCanceledError),
    ],
)
@pytest.mark.usefixtures("clock")
def test_a_failed_job_says_why_and_what_it_cost(vendor, answer, context, ending, error):
    vendor.will(answer("idle", usage={"total_cost": 15}), {**answer("x"), **ending})
    with pytest.raises(error) as caught:
        swap().execute(context)
    assert caught.value.job_id == "65819c485337280001a609e7"
    assert "gptunnel" in str(caught.value)


def test_a_refused_create_leaves_nothing_to_resume(vendor, context, clock, store):
    vendor.will(httpx.Response(402, json={"error": {"message": "balance too low"}}))
    with pytest.raises(InsufficientBalanceError, match="balance too low"):
        swap().execute(context)
    [record] = store.values.values()
    assert (record["stage"], record["job_id"]) == ("settled", None)


def test_done_without_a_link_is_asked_again_then_reported(vendor, answer, context, clock):
    vendor.will(answer("idle"), *[answer("done", percent=100)] * 4)
    with pytest.raises(MalformedResponseError, match="without a usable link"):
        swap().execute(context)
    assert not vendor.answers


def test_the_deadline_leaves_the_job_resumable(vendor, answer, context, clock):
    vendor.will(*[answer("processing")] * 50)
    with pytest.raises(JobTimeoutError, match=r"job 65819c485337280001a609e7.*resume_job_id"):
        swap(timeout=30).execute(context)
    assert sum(clock.slept) == pytest.approx(30)


def test_the_deadline_cancels_only_if_asked_and_says_what_came_of_it(vendor, context, clock):
    def running():
        return {"code": 200, "data": {"task_id": "t1", "status": "processing"}}

    vendor.will(*[running()] * 4)
    operator = PiAPIFaceSwapOperator(
        task_id="s",
        target_image=URL,
        face_image=URL,
        deferrable=False,
        timeout=3,
        poll_interval=3,
        cancel_on_timeout=True,
    )
    with pytest.raises(JobTimeoutError, match="confirmed the cancel"):
        operator.execute(context)
    assert vendor.requests[-1].method == "DELETE"


# -- paid once ----------------------------------------------------------------------------------------


def test_a_retry_takes_up_the_running_job(vendor, answer, context, clock):
    vendor.will(answer("idle", usage={"total_cost": 15}), *[httpx.ConnectError("down")] * 30)
    with pytest.raises(VendorUnavailableError, match="resume_job_id"):
        swap().execute(context)
    vendor.answers.clear()
    vendor.will(answer("processing"), done(answer))
    result = swap().execute(context)
    assert result["attempt_reused"] is True
    assert result["cost"] == {"amount": 15.0, "unit": "RUB"}
    assert len(vendor.creates) == 1


def test_a_retry_of_a_finished_job_asks_once_and_buys_nothing(vendor, answer, context, clock):
    vendor.will(answer("idle"), done(answer), done(answer))
    swap().execute(context)
    result = swap().execute(context)
    assert result["attempt_reused"] is True
    assert len(vendor.creates) == 1
    assert not vendor.answers


def test_a_failed_job_may_be_bought_anew_up_to_the_cap(vendor, answer, context, clock):
    failed = answer("failed", error="engine broke")
    vendor.will(answer("idle"), failed, failed, answer("idle"), failed, failed)
    for _ in range(2):
        with pytest.raises(JobFailedError, match="engine broke"):
            swap().execute(context)
    with pytest.raises(JobFailedError, match="as many as max_submissions allows"):
        swap().execute(context)
    assert len(vendor.creates) == 2


def test_a_lost_job_is_not_bought_again_silently(vendor, answer, context, clock):
    vendor.will(answer("idle"), *[httpx.ConnectError("down")] * 30)
    with pytest.raises(VendorUnavailableError):
        swap().execute(context)
    vendor.answers.clear()
    vendor.will(unknown_job("gptunnel"))
    with pytest.raises(JobLostError):
        swap().execute(context)
    assert len(vendor.creates) == 1


def test_a_create_without_an_answer_is_never_sent_again(vendor, context, clock):
    vendor.will(httpx.ReadTimeout("no answer"))
    with pytest.raises(SubmissionUncertainError, match="may have been accepted and charged"):
        swap().execute(context)
    with pytest.raises(SubmissionUncertainError, match="did not record its id"):
        swap().execute(context)
    assert len(vendor.creates) == 1


def test_resubmitting_after_an_uncertain_create_is_a_choice(vendor, answer, context, clock):
    vendor.will(httpx.ReadTimeout("no answer"), done(answer))
    assert swap(on_uncertain="resubmit").execute(context)["url"] == DONE_URL
    assert len(vendor.creates) == 2


def test_resubmitting_has_the_same_cap(vendor, answer, context, clock):
    vendor.will(*[httpx.ReadTimeout("no answer")] * 5)
    with pytest.raises(SubmissionUncertainError):
        swap(on_uncertain="resubmit").execute(context)
    assert len(vendor.creates) == 2


def test_an_intent_of_a_dead_try_is_resubmitted_only_by_choice(vendor, answer, context, clock):
    vendor.will(httpx.ReadTimeout("no answer"), done(answer))
    with pytest.raises(SubmissionUncertainError):
        swap().execute(context)
    assert swap(on_uncertain="resubmit").execute(context)["url"] == DONE_URL
    assert len(vendor.creates) == 2


def test_a_try_that_dies_while_it_waits_for_its_turn_leaves_no_doubt(
    vendor, answer, context, clock, store, monkeypatch
):
    class DiedError(BaseException):
        pass

    def dies(*_):
        raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_faceswap.http.rate_limiter.RateLimiter.wait", dies)
        with pytest.raises(DiedError):
            swap().execute(context)
    assert not store.intents
    vendor.will(done(answer))
    assert swap().execute(context)["url"] == DONE_URL
    assert len(vendor.creates) == 1


def test_an_unforeseen_error_after_the_send_leaves_the_intent_standing(
    vendor, answer, context, clock, monkeypatch
):
    def broken(*_):
        raise RuntimeError("a bug")

    vendor.will(answer("idle"))
    monkeypatch.setattr("airflow_provider_faceswap.vendors.gptunnel.GPTunnel.read_submitted", broken)
    with pytest.raises(RuntimeError):
        swap().execute(context)
    [record] = context["task_state_store"].values.values()
    assert record["stage"] == "intent"
    with pytest.raises(SubmissionUncertainError, match="did not record its id"):
        swap().execute(context)
    assert len(vendor.creates) == 1


def test_a_refused_create_is_no_purchase(vendor, answer, context, clock):
    refused = httpx.Response(402, json={"error": {"message": "balance too low"}})
    for _ in range(3):
        vendor.will(refused)
        with pytest.raises(InsufficientBalanceError):
            swap().execute(context)
    vendor.will(done(answer))
    assert swap().execute(context)["url"] == DONE_URL


def test_a_reused_job_of_a_cleared_task_gets_a_new_deadline(vendor, answer, context, clock):
    vendor.will(*[answer("processing")] * 50)
    with pytest.raises(JobTimeoutError):
        swap(timeout=30).execute(context)
    vendor.answers.clear()
    vendor.will(answer("processing"), answer("processing"))
    with pytest.raises(JobTimeoutError):
        swap(timeout=30).execute(context)
    context["ti"].max_tries = 1
    vendor.will(answer("processing"), answer("processing"), done(answer))
    assert swap(timeout=30).execute(context)["url"] == DONE_URL
    context["ti"].max_tries = 0
    assert len(vendor.creates) == 1


def test_changed_arguments_are_a_new_job(vendor, answer, context, clock):
    vendor.will(answer("idle"), *[httpx.ConnectError("down")] * 30)
    with pytest.raises(VendorUnavailableError):
        swap().execute(context)
    vendor.answers.clear()
    vendor.will(done(answer, job_id="second"))
    result = swap(target_image="https://pictures.test/other.jpg").execute(context)
    assert result["job_id"] == "second"
    assert len(vendor.creates) == 2


@pytest.mark.parametrize(("on_clear", "creates"), [("reuse", 1), ("resubmit", 2)])
def test_a_cleared_task_reuses_its_job_unless_told_otherwise(
    vendor, answer, context, clock, on_clear, creates
):
    vendor.will(done(answer), done(answer))
    swap().execute(context)
    context["ti"].max_tries = 1  # what clearing does to a task instance
    result = swap(on_clear=on_clear).execute(context)
    assert result["attempt_reused"] is (on_clear == "reuse")
    assert len(vendor.creates) == creates
    context["ti"].max_tries = 0


def test_a_ledger_that_cannot_be_read_is_not_an_empty_one(vendor, context, clock, store):
    store.broken_for = "get"
    with pytest.raises(FaceSwapError, match="could not be read"):
        swap().execute(context)
    assert not vendor.requests


def test_a_ledger_that_cannot_be_written_stops_the_create(vendor, context, clock, store):
    store.broken_for = "set"
    with pytest.raises(FaceSwapError, match=r"could not be written.*This attempt bought nothing"):
        swap().execute(context)
    assert not vendor.requests


def test_the_record_holds_no_secret_and_no_argument(vendor, answer, context, clock, store):
    vendor.will(answer("idle"), done(answer))
    swap(target_image="https://pictures.test/t.jpg?sig=planted", webhook="https://h.test/?t=planted").execute(
        context
    )
    assert "planted" not in json.dumps(store.values)
    assert "sandbox-key" not in json.dumps(store.values)


def test_without_a_store_the_operator_works_and_warns(vendor, answer, context, clock):
    operator = swap()
    warnings = []
    operator.log.warning = lambda text, *args: warnings.append(text % args)
    vendor.will(done(answer))
    assert operator.execute({"ti": context["ti"]})["url"] == DONE_URL
    assert any("a retry of this task may pay for a second job" in warning for warning in warnings)


def test_a_job_with_a_known_id_is_finished_without_buying(vendor, answer, context, clock):
    vendor.will(answer("processing"), done(answer))
    result = swap(resume_job_id="65819c485337280001a609e7").execute(context)
    assert result["url"] == DONE_URL
    assert result["attempt_reused"] is True
    assert not vendor.creates


@pytest.mark.parametrize(
    "given", [{"job_id": "65819c485337280001a609e7", "url": None}, " 65819c485337280001a609e7 "]
)
def test_the_job_to_finish_may_be_given_as_a_result(vendor, answer, context, clock, given):
    vendor.will(done(answer))
    assert swap(resume_job_id=given).execute(context)["job_id"] == "65819c485337280001a609e7"
    assert not vendor.creates


@pytest.mark.parametrize("given", ["None", "  ", "{'job_id': 'j1'}", [1]])
def test_what_names_no_job_to_finish_buys_none(vendor, context, given):
    with pytest.raises(InvalidRequestError, match="resume_job_id"):
        swap(resume_job_id=given).execute(context)
    assert not vendor.requests


def test_a_template_that_renders_to_no_job_buys_one(vendor, answer, context, clock):
    vendor.will(answer("idle"), done(answer))
    swap(resume_job_id="").execute(context)
    assert len(vendor.creates) == 1


@pytest.mark.parametrize("given", ["", "  ", None])
def test_a_connection_that_renders_to_nothing_is_no_other_account(vendor, context, given):
    operator = swap()
    operator.conn_id = given
    with pytest.raises(InvalidRequestError, match="conn_id: must not be empty"):
        operator.execute(context)
    assert not vendor.requests


class Lazy(Sequence):
    """Another task's mapped results, each of which Airflow would be asked for."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        assert isinstance(index, slice), "all at once"
        return ["https://a.test/1.png", "https://a.test/2.png"][index]


def test_the_results_of_a_mapped_task_are_a_list(vendor, context, clock):
    operator = GPTunnelImageOperator(task_id="i", model="m", prompt="p", images=Lazy(), deferrable=False)
    vendor.will(httpx.Response(400, json={"error": {"message": "seen"}}))
    with pytest.raises(InvalidRequestError, match="seen"):
        operator.execute(context)
    assert vendor.creates[0]["images"] == ["https://a.test/1.png", "https://a.test/2.png"]


# -- deferring ----------------------------------------------------------------------------------------


def deferral(operator, context) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    return caught.value


def test_a_deferred_job_carries_no_key_and_ends_before_the_framework_does(vendor, answer, context, clock):
    vendor.will(answer("idle"))
    deferred = deferral(swap(deferrable=True, timeout=100), context)
    assert deferred.method_name == "execute_complete"
    assert deferred.timeout.total_seconds() > 100
    stored = json.dumps([deferred.trigger.serialize(), deferred.kwargs])
    assert "sandbox-key" not in stored
    assert deferred.trigger.resume_after == clock.now() + SAFE_RESUME_DELAY


def test_the_task_resumes_with_the_result(vendor, answer, context, clock):
    vendor.will(answer("idle", usage={"total_cost": 15}))
    operator = swap(deferrable=True)
    deferred = deferral(operator, context)
    vendor.will(done(answer))
    event = run_trigger(deferred.trigger)
    assert DONE_URL not in str(event), "the triggerer logs events, and links may be signed"
    vendor.will(done(answer))
    result = operator.execute_complete(context, event.payload, **deferred.kwargs)
    assert result["url"] == DONE_URL
    assert result["cost"] == {"amount": 15.0, "unit": "RUB"}


@pytest.mark.parametrize(
    "event",
    [
        None,
        "success",
        {},
        {"status": "success"},
        {"ending": {"word": "succeeded"}},
        {"ending": {"word": "fine", "vendor": "gptunnel", "job_id": "65819c485337280001a609e7"}},
    ],
)
def test_an_unknown_event_is_never_taken_for_success(vendor, answer, context, clock, event):
    vendor.will(answer("idle"))
    operator = swap(deferrable=True)
    deferred = deferral(operator, context)
    with pytest.raises(FaceSwapError, match="resume_job_id"):
        operator.execute_complete(context, event, **deferred.kwargs)


def test_the_event_alone_is_enough_as_dag_test_gives_nothing_else(vendor, answer, context, clock):
    vendor.will(answer("idle"), *[done(answer)] * 2)
    operator = swap(deferrable=True)
    event = run_trigger(deferral(operator, context).trigger)
    assert operator.execute_complete(context, event.payload)["url"] == DONE_URL


@pytest.mark.parametrize("event", [None, "success", {}])
def test_a_task_resumed_without_a_word_does_not_succeed(vendor, context, event):
    with pytest.raises(FaceSwapError, match="contains no job"):
        swap(deferrable=True).execute_complete(context, event)


def test_an_event_about_another_job_is_refused(vendor, answer, context, clock):
    vendor.will(answer("idle"), done(answer))
    operator = swap(deferrable=True)
    deferred = deferral(operator, context)
    event = run_trigger(deferred.trigger).payload
    event["ending"]["job_id"] = "another"
    with pytest.raises(FaceSwapError, match="about gptunnel job another"):
        operator.execute_complete(context, event, **deferred.kwargs)


def test_success_needs_a_worker_where_something_is_left_to_do(vendor, answer, context, clock):
    from airflow.sdk import Asset

    for more, in_place in (
        ({}, True),
        ({"outlets": [Asset("a")]}, False),
        ({"on_success_callback": print}, False),
        ({"do_xcom_push": False}, False),
    ):
        vendor.will(answer("idle"))
        deferred = deferral(swap(deferrable=True, **more), {"ti": context["ti"]})
        assert deferred.trigger.end_in_place is in_place


def test_a_retry_that_cannot_read_its_picture_any_more_says_that_a_purchase_is_uncertain(
    vendor, answer, context, clock, tmp_path
):
    picture = tmp_path / "face.png"
    Image.new("RGB", (64, 64)).save(picture)
    vendor.will(httpx.ReadTimeout("slow"))
    again = {"deferrable": True, "face_image": f"file://{picture}"}
    with pytest.raises(SubmissionUncertainError):
        swap(**again).execute(context)
    picture.unlink()
    with pytest.raises(InvalidRequestError, match="may have submitted a job of unknown id"):
        swap(**again).execute(context)


def test_a_retry_that_cannot_read_its_picture_any_more_names_the_job_that_was_bought(
    vendor, answer, context, clock, tmp_path
):
    picture = tmp_path / "face.png"
    Image.new("RGB", (64, 64)).save(picture)
    vendor.will(answer("idle"))
    again = {"deferrable": True, "face_image": f"file://{picture}"}
    job = deferral(swap(**again), context).trigger.submission.job_id
    picture.unlink()
    with pytest.raises(InvalidRequestError, match=f"submitted job {job}: resume it with resume_job_id"):
        swap(**again).execute(context)
    assert len(vendor.creates) == 1


class Ear:
    @hookimpl
    def on_task_instance_success(self, previous_state, task_instance):
        """Hear of it."""


class Eye:
    @hookimpl
    def on_starting(self, component):
        """See something else."""


@pytest.mark.parametrize(("plugin", "in_place"), [(Ear(), False), (Eye(), True)])
def test_success_needs_a_worker_where_a_plugin_listens_to_it(
    vendor, answer, context, clock, plugin, in_place
):
    manager = get_listener_manager()
    manager.add_listener(plugin)
    try:
        vendor.will(answer("idle"))
        deferred = deferral(swap(deferrable=True), context)
    finally:
        manager.pm.unregister(plugin)
    assert deferred.trigger.end_in_place is in_place


def test_success_needs_a_worker_where_xcom_is_kept_elsewhere(vendor, answer, context, clock, monkeypatch):
    vendor.will(answer("idle"))
    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom", type("Elsewhere", (BaseXCom,), {}))
    assert deferral(swap(deferrable=True), context).trigger.end_in_place is False


def run_trigger(trigger):
    import asyncio

    async def first():
        return [event async for event in trigger.run()]

    [event] = asyncio.run(first())
    return event


# -- ended by a person --------------------------------------------------------------------------------


def test_on_kill_cancels_the_running_job_where_the_vendor_can(vendor, context, clock):
    running = {"code": 200, "data": {"task_id": "t1", "status": "processing"}}
    operator = PiAPIFaceSwapOperator(task_id="s", target_image=URL, face_image=URL, deferrable=False)

    def killed(_):
        operator.on_kill()
        raise KeyboardInterrupt

    vendor.will(running, {"code": 200, "message": "success"})
    clock.sleep = killed
    with pytest.raises(KeyboardInterrupt):
        operator.execute(context)
    assert vendor.requests[-1].method == "DELETE"


def test_on_kill_before_the_create_sends_nothing(vendor):
    swap().on_kill()
    assert not vendor.requests


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_job_that_an_unclear_answer_names_is_taken_up_and_not_bought_again(
    vendor, answer, context, clock, status
):
    vendor.will(
        httpx.Response(status, json={"id": "j7"}),
        answer("processing", job_id="j7"),
        done(answer, job_id="j7"),
    )
    result = swap().execute(context)
    assert (result["job_id"], result["url"]) == ("j7", DONE_URL)
    assert len(vendor.creates) == 1
    [record] = context["task_state_store"].values.values()
    assert (record["job_id"], record["stage"]) == ("j7", "settled")


def test_a_job_that_is_named_and_not_found_stays_uncertain(vendor, context, clock):
    vendor.will(httpx.Response(503, json={"id": "j7"}), httpx.Response(404))
    with pytest.raises(SubmissionUncertainError, match="j7"):
        swap().execute(context)
    assert len(vendor.creates) == 1
