"""What holds for every vendor: no second send over a job, no other job's picture, no id that is none."""

from __future__ import annotations

import json

import pytest

from airflow_provider_faceswap.exceptions import (
    InvalidRequestError,
    MalformedResponseError,
    RateLimitError,
    SubmissionUncertainError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.jobs import JobState
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.messages import Reply
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai

VENDORS = {vendor.name: vendor for vendor in (GPTunnel(), Tengrai(), PiAPI())}
ID = "3FA85F64-5717-4562-b3fc-2c963f66afa6"
OTHER = "90efd2db-bcfc-413f-a0be-c893850c9d68"
RESULT = "https://cdn.test/result.png"

each_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)


def answer(body, status=200, **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, text, {name.replace("_", "-"): value for name, value in headers.items()})


def named(vendor, job_id, **more):
    """An answer of nothing but an id, where this vendor puts it."""
    return {"data": {"task_id": job_id, **more}} if vendor.name == "piapi" else {"id": job_id, **more}


def done(vendor, job_id):
    finished = {
        "gptunnel": {"status": "done", "percent": 100, "result": RESULT},
        "tengrai": {"status": "succeeded", "results": [RESULT]},
        "piapi": {"status": "completed", "output": {"image_url": RESULT}},
    }
    return named(vendor, job_id, **finished[vendor.name])


def uncertain(vendor, reply):
    with pytest.raises(SubmissionUncertainError) as caught:
        vendor.read_submitted("face_swap", reply)
    return caught.value


# -- a create that names a job is not sent again --------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 503])
@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("gptunnel", {"id": ID}),
        ("gptunnel", {"id": ID, "usage": {"total_cost": 5}}),
        ("gptunnel", {"id": ID, "status": 503}),
        ("gptunnel", {"id": ID, "status": ""}),
        ("tengrai", {"id": ID}),
        ("tengrai", {"id": ID, "status": 503, "artworkType": None}),
    ],
)
def test_an_answer_that_names_a_job_and_says_no_more_is_uncertain_and_tells_the_id(name, body, status):
    error = uncertain(VENDORS[name], answer(body, status))
    assert error.job_id == ID
    assert ID in str(error)
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize("status", [200, 429, 500, 503])
@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("gptunnel", {"id": ID, "status": "idle"}),
        ("tengrai", {"id": ID, "status": "starting"}),
        ("tengrai", {"id": ID, "artworkType": "face_swap"}),
        ("piapi", {"code": 503, "data": {"task_id": ID}}),
        ("piapi", {"task_id": ID}),
    ],
)
def test_an_answer_that_can_be_read_as_a_job_is_one_whatever_the_status(name, body, status):
    job = VENDORS[name].read_submitted("face_swap", answer(body, status))
    assert job.job_id == ID
    assert job.state in {JobState.QUEUED, JobState.RUNNING}


@each_vendor
@pytest.mark.parametrize(("status", "cls"), [(429, RateLimitError), (503, VendorUnavailableError)])
@pytest.mark.parametrize("job_id", [None, "", "  ", 0, True, {"a": 1}, ["x"]], ids=repr)
def test_too_many_and_unavailable_without_an_id_were_not_processed(vendor, status, cls, job_id):
    with pytest.raises(VendorError) as caught:
        vendor.read_submitted("face_swap", answer(named(vendor, job_id), status))
    assert type(caught.value) is cls


@pytest.mark.parametrize("name", ["gptunnel", "tengrai"])
def test_a_refused_argument_bought_nothing_though_the_answer_has_an_id_of_its_own(name):
    with pytest.raises(InvalidRequestError):
        VENDORS[name].read_submitted("face_swap", answer({"id": "request-7", "message": "bad seed"}, 400))


# -- ids ------------------------------------------------------------------------------------------------------


@each_vendor
@pytest.mark.parametrize("job_id", [{"a": 1}, ["x"], True, 1.5, "  "], ids=repr)
def test_an_id_of_another_type_makes_no_job(vendor, job_id):
    body = done(vendor, job_id)
    assert uncertain(vendor, answer(body)).job_id is None
    with pytest.raises(MalformedResponseError):
        vendor.read_job("face_swap", answer(body), job_id=ID)


@each_vendor
def test_an_id_may_be_a_number(vendor):
    assert vendor.read_submitted("face_swap", answer(done(vendor, 17))).job_id == "17"
    assert vendor.read_job("face_swap", answer(done(vendor, 17)), job_id="17").urls == (RESULT,)


# K5: the picture of another job is not handed over.
@each_vendor
@pytest.mark.parametrize("kind", ["face_swap", "another kind"])
def test_a_reply_about_another_job_is_malformed(vendor, kind):
    kind = kind if kind in vendor.kinds else max(vendor.kinds)
    with pytest.raises(MalformedResponseError, match="about another job") as caught:
        vendor.read_job(kind, answer(done(vendor, OTHER)), job_id=ID)
    assert caught.value.job_id == ID


# K5: letters of a UUID have no case.
@each_vendor
def test_an_id_in_other_letters_is_the_same_id(vendor):
    assert vendor.read_job("face_swap", answer(done(vendor, ID.lower())), job_id=ID).job_id == ID


@each_vendor
@pytest.mark.parametrize("job_id", ["", " ", ".", "..", None, 5], ids=repr)
def test_what_cannot_be_a_job_id_is_not_asked_for(vendor, job_id):
    for kind in vendor.kinds:
        requests = [vendor.fetch]
        if vendor.cancellation is not None:
            requests.append(vendor.cancellation.request)
        for request in requests:
            with pytest.raises(InvalidRequestError, match="Nothing was bought"):
                request(kind, job_id)


@each_vendor
@pytest.mark.parametrize("kind", [["face_swap"], {}, None, 5], ids=repr)
def test_a_kind_that_is_no_text_is_unknown(vendor, kind):
    with pytest.raises(InvalidRequestError, match="is unknown; known: "):
        vendor.submit(kind, {})


# -- what may be shown ----------------------------------------------------------------------------------------

SIGNED = "see https://bucket.test/a.png?token=topsecret " + "x" * 500


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("gptunnel", {"error": {"type": SIGNED, "message": "m"}}),
        ("tengrai", {"message": "m", "error": SIGNED}),
        ("piapi", {"code": SIGNED, "message": "m"}),
    ],
)
def test_the_code_of_a_refusal_is_short_and_without_a_signed_query(name, body):
    with pytest.raises(InvalidRequestError) as caught:
        VENDORS[name].read_submitted("face_swap", answer(body, 400))
    assert "topsecret" not in str(caught.value)
    assert len(caught.value.code) <= 80


@each_vendor
def test_the_status_of_a_job_is_short_and_without_a_signed_query(vendor):
    job = vendor.read_job("face_swap", answer(named(vendor, ID, status=SIGNED)), job_id=ID)
    assert "topsecret" not in job.status
    assert len(job.status) <= 80


# -- unavailable ----------------------------------------------------------------------------------------------


@each_vendor
@pytest.mark.parametrize(("headers", "seconds"), [({"retry_after": "7"}, 7.0), ({}, None)])
def test_unavailable_carries_the_wait_that_was_asked_for(vendor, headers, seconds):
    reply = answer("", 503, **headers)
    for read in (vendor.read_job, vendor.read_submitted):
        with pytest.raises(VendorUnavailableError) as caught:
            read("face_swap", reply)
        assert caught.value.retry_after == seconds


def test_an_unforeseen_error_while_a_submission_is_read_is_uncertain_and_keeps_the_id(monkeypatch):
    vendor = VENDORS["gptunnel"]

    def breaks(*_, **__):
        raise RuntimeError("nobody foresaw it")

    monkeypatch.setattr(type(vendor), "_read_job", breaks)
    error = uncertain(vendor, answer({"id": ID, "status": "idle"}, 200))
    assert error.job_id == ID
    assert "RuntimeError" in str(error)
