"""The vendors' own samples, replayed: this request for these arguments, this answer into this job or error."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    InsufficientBalanceError,
    InvalidRequestError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionUncertainError,
)
from airflow_provider_faceswap.jobs import Cost, JobState
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.messages import Reply
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai

VECTORS = Path(__file__).parent / "vectors"
VENDORS = {vendor.name: vendor for vendor in (GPTunnel(), Tengrai(), PiAPI())}

TIMENOTE = "https://storage.yandexcloud.net/timenote"


@dataclass
class Case:
    """
    What a sample is about, in the client's own words.

    :param arguments: Of a create; ``None`` for a read.
    :param job_id: What is read; ``None`` for a create.
    :param reads: The error class, or what the job must say.
    """

    kind: str
    reads: type[Exception] | dict[str, object]
    arguments: dict[str, object] | None = None
    job_id: str | None = None
    says: str = ""
    facts: dict[str, object] = field(default_factory=dict)


FACE_SWAP = {"target_image": "https://a.test/t.jpg", "face_image": "https://a.test/f.jpg"}

CASES = {
    "gptunnel.any.no_balance": Case(
        "face_swap",
        InsufficientBalanceError,
        says="Organization balance is too low",
        facts={"status_code": 402, "code": "insufficient_balance_error"},
    ),
    # The trailing comma of this sample makes it no JSON: the status alone must do.
    "gptunnel.any.unauthorized": Case(
        "face_swap", AuthenticationError, says="Unauthorized", facts={"status_code": 401}
    ),
    "gptunnel.faceswap_create.missing_source": Case(
        "face_swap",
        InvalidRequestError,
        says="'sourceImage' is a required property",
        facts={"status_code": 400, "code": "invalid_request_error"},
    ),
    "gptunnel.faceswap_create.ok": Case(
        "face_swap",
        {
            "job_id": "65819c485337280001a609e7",
            "state": JobState.QUEUED,
            "status": "idle",
            "percent": 0.0,
            "urls": (),
            "cost": Cost(amount=15, unit="RUB"),
            "failure": None,
        },
        arguments={
            "target_image": f"{TIMENOTE}/fs_source.jpg",
            "face_image": f"{TIMENOTE}/fs_face.jpg",
            "webhook": None,
            "use_wallet_balance": False,
        },
    ),
    "gptunnel.faceswap_result.done": Case(
        "face_swap",
        {
            "job_id": "65819c485337280001a609e7",
            "state": JobState.SUCCEEDED,
            "percent": 100.0,
            "urls": (f"{TIMENOTE}/predication/65819c485337280001a609e7_faceswap_result.png",),
            # A result is all zeros: the charge stands in the create alone.
            "cost": None,
        },
        job_id="65819c485337280001a609e7",
    ),
    "gptunnel.faceswap_result.missing_task": Case(
        "face_swap",
        InvalidRequestError,
        job_id="65819c485337280001a609e7",
        says="'taskId' is a required property",
        facts={"status_code": 400, "job_id": "65819c485337280001a609e7"},
    ),
    "gptunnel.media_create.ok": Case(
        "image",
        {
            "job_id": "687fab1e49832bb77d34db47",
            "state": JobState.QUEUED,
            "urls": (),
            "created_at": datetime(2025, 7, 22, 15, 15, 42, tzinfo=UTC),
        },
        arguments={"model": "gpt-image-1-high", "prompt": "Subject: afro-futuristic model"},
    ),
    "gptunnel.media_result.done": Case(
        "image",
        {
            # The page's sample answers with another id than the one in its request; the one in the request counts.
            "job_id": "687fab1e49832bb77d34db47",
            "state": JobState.SUCCEEDED,
            "urls": (f"{TIMENOTE}/exp48h/687fa9f2c69e500001e2f9a4-gpt-image-1-high-original.webp",),
        },
        job_id="687fab1e49832bb77d34db47",
    ),
    "piapi.task_create.pending": Case(
        "face_swap",
        {
            "job_id": "90efd2db-bcfc-413f-a0be-c893850c9d68",
            "state": JobState.QUEUED,
            "status": "pending",
            "urls": (),
            "cost": None,
            "failure": None,
            "created_at": None,
            "finished_at": None,
        },
        arguments={
            "target_image": "https://i.ibb.co/LnLYwhR/66f41e64b1922.jpg",
            "face_image": "https://i.ibb.co/m9BFL9J/ad61a39afd9079e57a5908c0bd9dd995.jpg",
        },
    ),
    "tengrai.any.bad_request": Case("face_swap", InvalidRequestError, facts={"status_code": 400}),
    "tengrai.any.forbidden": Case("face_swap", PermissionDeniedError, facts={"status_code": 403}),
    # A create answered by a 500 may have been accepted.
    "tengrai.any.server_error": Case("face_swap", SubmissionUncertainError, says="HTTP 500"),
    "tengrai.any.too_many_requests": Case("face_swap", RateLimitError, facts={"status_code": 429}),
    "tengrai.any.unauthorized": Case("face_swap", AuthenticationError, facts={"status_code": 401}),
    "tengrai.face_swap_create.accepted": Case(
        "face_swap",
        {
            "job_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "state": JobState.QUEUED,
            "status": "starting",
            # The sample's filled list is filler: nothing counts before "succeeded".
            "urls": (),
            "created_at": datetime(2024, 7, 29, 15, 51, 28, 71000, tzinfo=UTC),
        },
        arguments={
            "target_image": "https://example.test/target.jpg",
            "face_image": "https://example.test/face.jpg",
            "denoising": 3,
        },
    ),
}


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def reply_of(vector):
    text = vector.get("response_text")
    return Reply(vector["status"], json.dumps(vector["response"]) if text is None else text)


def without_nulls(body):
    return {key: value for key, value in body.items() if value is not None}


def test_every_sample_is_replayed_and_every_case_has_a_sample():
    assert {path.stem for path in VECTORS.glob("*.json")} == set(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_client_sends_the_request_of_the_sample(name):
    vector, case, vendor = load(name), CASES[name], VENDORS[name.partition(".")[0]]
    if case.job_id is not None:
        request = vendor.fetch(case.kind, case.job_id)
    else:
        request = vendor.submit(case.kind, case.arguments or FACE_SWAP)

    path, _, query = vector["path"].partition("?")
    assert (request.method, request.path) == (vector["method"], path)
    if query:
        assert urlencode(request.params) == query
    # The samples of refusals show no body worth sending.
    if vector["request"]:
        assert request.body == without_nulls(vector["request"])


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_client_reads_the_answer_of_the_sample(name):
    case, vendor, reply = CASES[name], VENDORS[name.partition(".")[0]], reply_of(load(name))

    def read():
        if case.job_id is not None:
            return vendor.read_job(case.kind, reply, job_id=case.job_id)
        return vendor.read_submitted(case.kind, reply)

    if isinstance(case.reads, dict):
        job = read()
        assert (job.vendor, job.kind) == (vendor.name, case.kind)
        assert {name: getattr(job, name) for name in case.reads} == case.reads
    else:
        with pytest.raises(case.reads) as caught:
            read()
        assert type(caught.value) is case.reads
        assert case.says in str(caught.value)
        assert {name: getattr(caught.value, name) for name in case.facts} == case.facts


def test_the_client_refuses_by_itself_what_the_sample_of_a_missing_field_sends():
    vector = load("gptunnel.faceswap_create.missing_source")
    with pytest.raises(InvalidRequestError, match="target_image"):
        VENDORS["gptunnel"].submit("face_swap", vector["request"])
