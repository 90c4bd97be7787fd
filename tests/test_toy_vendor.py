"""A new vendor needs a vendor file, a hook and an operator, and no edit elsewhere: all three are defined here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import httpx
import pytest

from airflow_provider_faceswap.exceptions import InvalidRequestError, JobFailedError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.hooks.base import JobHook, hook_for, hook_for_connection
from airflow_provider_faceswap.jobs import Job, JobState, Submission
from airflow_provider_faceswap.lifecycle.outcomes import WaitResult
from airflow_provider_faceswap.operators.base import JobOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.vendors.arguments import Arguments, HttpUrl
from airflow_provider_faceswap.vendors.base import Vendor
from airflow_provider_faceswap.vendors.kinds import Kind, Timing
from airflow_provider_faceswap.vendors.messages import Request, as_id, path_segment
from airflow_provider_faceswap.vendors.refusals import malformed, refusal

RESULT = "https://cdn.toy.test/result.png"


class ToySwap(Arguments):
    target_image: HttpUrl
    face_image: HttpUrl


class Toy(Vendor):
    """The least that a vendor needs: no optional capability."""

    name = "toy"
    default_base_url = "https://api.toy.test"
    kinds: ClassVar = {"face_swap": Kind("/swaps", ToySwap, Timing(first=1, cap=5), None)}
    states: ClassVar = {"waiting": JobState.QUEUED, "ready": JobState.SUCCEEDED, "broken": JobState.FAILED}

    def fetch(self, kind, job_id):
        return Request("GET", f"/swaps/{path_segment(job_id)}")

    def account(self, options):
        return Request("GET", "/me")

    def headers(self, key, options):
        return {"X-Toy-Key": key}

    def job_id_in(self, reply):
        return as_id(reply.fields.get("swap"))

    def _read_job(self, kind, reply, *, job_id=None):
        if not reply.ok:
            raise refusal(self.name, reply, reply.text, job_id=job_id)
        if not (found := self.job_id_in(reply)):
            raise malformed(self.name, reply, "the answer has no job id", job_id=job_id)
        state = self.state(reply.fields["status"])
        urls = (reply.fields["picture"],) if state is JobState.SUCCEEDED else ()
        return Job(
            vendor=self.name, kind=kind, job_id=found, state=state, status=reply.fields["status"], urls=urls
        )

    def read_account(self, reply):
        if not reply.ok:
            raise refusal(self.name, reply, reply.text)
        return f"account {reply.fields['name']}"


class ToyHook(JobHook):
    vendor = Toy()
    conn_type = "toy"
    hook_name = "Toy"
    default_conn_name = "toy_default"


class ToyFaceSwapOperator(JobOperator):
    hook_class = ToyHook
    kind = "face_swap"

    def __init__(self, *, target_image: Any, face_image: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_image = target_image
        self.face_image = face_image

    def arguments(self):
        return {"target_image": self.target_image, "face_image": self.face_image}


class ToyServer:
    """The vendor's side: a swap is ready at its second poll."""

    def __init__(self):
        self.requests = []
        self.polls = 0
        self.outcome = {"status": "ready", "picture": RESULT}

    def __call__(self, request):
        self.requests.append(request)
        if request.url.host != "api.toy.test":
            return httpx.Response(503)
        if request.url.path == "/me":
            return httpx.Response(200, json={"name": "studio"})
        self.polls += request.method == "GET"
        if self.polls < 2:
            return httpx.Response(200, json={"swap": "toy-1", "status": "waiting"})
        return httpx.Response(200, json={"swap": "toy-1", **self.outcome})

    @property
    def submissions(self):
        return [str(request.url) for request in self.requests if request.method == "POST"]


@pytest.fixture
def toy(monkeypatch, clock, no_waiting_between_tries):
    server = ToyServer()
    transport = httpx.MockTransport(server)
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.api.sync_client", lambda **_: httpx.Client(transport=transport)
    )
    monkeypatch.setenv("AIRFLOW_CONN_TOY_DEFAULT", '{"conn_type": "toy", "password": "toy-key"}')
    return server


def test_its_operator_swaps(toy, context, pictures):
    result = ToyFaceSwapOperator(task_id="swap", **pictures).execute(context)
    assert (result["vendor"], result["job_id"], result["url"]) == ("toy", "toy-1", RESULT)
    assert toy.submissions == ["https://api.toy.test/swaps"]
    assert {request.headers["X-Toy-Key"] for request in toy.requests} == {"toy-key"}


def test_an_operators_own_hook_class_also_ends_its_job(toy, context, pictures):
    class ThroughAProxy(ToyHook):
        conn_type = ""

        def fetch(self, job_id, kind):
            return super().fetch(job_id, kind).model_copy(update={"urls": ("https://proxy.test/1.png",)})

    class ThroughAProxyOperator(ToyFaceSwapOperator):
        hook_class = ThroughAProxy

    operator = ThroughAProxyOperator(task_id="swap", deferrable=True, **pictures)
    job = Submission(
        vendor="toy",
        kind="face_swap",
        job_id="toy-1",
        conn_id="toy_default",
        submitted_at=CLOCK.moment(),
        deadline=CLOCK.moment() + timedelta(minutes=5),
    )
    toy.polls = 2
    done = operator.hook.fetch("toy-1", "face_swap")
    event = WaitResult(outcome="succeeded", vendor="toy", job_id="toy-1", job=done).to_event(job)
    result = operator.execute_complete(context, event)
    assert result["url"] == "https://proxy.test/1.png"


def test_its_failed_job_is_an_error_like_any_other(toy, context, pictures):
    toy.outcome = {"status": "broken"}
    with pytest.raises(JobFailedError, match="toy-1"):
        ToyFaceSwapOperator(task_id="swap", **pictures).execute(context)


def test_the_operator_for_any_vendor_swaps_with_it(toy, context, pictures):
    operator = FaceSwapOperator(task_id="swap", conn_ids=["toy_default"], **pictures)
    assert operator.execute(context)["url"] == RESULT
    assert len(toy.submissions) == 1


def test_the_operator_for_any_vendor_falls_back_to_it(toy, context, pictures, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_PIAPI_DEFAULT", '{"conn_type": "piapi", "password": "k", "host": "https://down.test"}'
    )
    operator = FaceSwapOperator(task_id="swap", conn_ids=["piapi_default", "toy_default"], **pictures)
    assert operator.execute(context)["vendor"] == "toy"


def test_its_connection_is_tested_and_found_by_its_type(toy):
    assert isinstance(hook_for("toy", "toy_default"), ToyHook)
    well, text = hook_for_connection("toy_default").test_connection()
    assert well
    assert text == "toy: account studio (asked: https://api.toy.test)"


def test_what_it_cannot_do_is_said_or_skipped(toy):
    hook = ToyHook()
    assert hook.cancel("toy-1", "face_swap") is False
    assert hook.concurrency_limit() is None
    with pytest.raises(InvalidRequestError, match="does not report a balance"):
        hook.balances()
    assert not toy.requests


def test_the_advice_for_another_connection_names_it(toy, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", '{"conn_type": "http"}')
    with pytest.raises(InvalidRequestError, match=r"one of these types: gptunnel, .*toy"):
        hook_for_connection("other")
