"""The vendors' own samples: the client must send these requests and read these answers."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_faceswap import exceptions
from airflow_provider_faceswap.jobs import Cost, JobState
from airflow_provider_faceswap.vendors.base import Reply
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai

VECTORS = Path(__file__).parent / "vectors"
VENDORS = {"gptunnel": GPTunnel(), "tengrai": Tengrai(), "piapi": PiAPI()}


def vector(name: str) -> dict:
    return json.loads((VECTORS / name).read_text())


def reply(sample: dict) -> Reply:
    text = sample.get("response_text") or json.dumps(sample["response"])
    return Reply(sample["status"], text)


def plain(body):
    """A body without what is null: an unset key and a null one say the same."""
    return {key: value for key, value in (body or {}).items() if value is not None}


CREATES = {
    "gptunnel.faceswap_create.ok.json": (
        "face_swap",
        {
            "target_image": "https://storage.yandexcloud.net/timenote/fs_source.jpg",
            "face_image": "https://storage.yandexcloud.net/timenote/fs_face.jpg",
            "use_wallet_balance": False,
        },
        {"job_id": "65819c485337280001a609e7", "state": JobState.QUEUED, "cost": Cost(amount=15, unit="RUB")},
    ),
    "gptunnel.media_create.ok.json": (
        "image",
        {"model": "gpt-image-1-high", "prompt": "Subject: afro-futuristic model"},
        {"job_id": "687fab1e49832bb77d34db47", "state": JobState.QUEUED, "cost": None},
    ),
    "piapi.task_create.pending.json": (
        "face_swap",
        {
            "target_image": "https://i.ibb.co/LnLYwhR/66f41e64b1922.jpg",
            "face_image": "https://i.ibb.co/m9BFL9J/ad61a39afd9079e57a5908c0bd9dd995.jpg",
        },
        {"job_id": "90efd2db-bcfc-413f-a0be-c893850c9d68", "state": JobState.QUEUED, "cost": None},
    ),
    "tengrai.face_swap_create.accepted.json": (
        "face_swap",
        {
            "face_image": "https://example.test/face.jpg",
            "target_image": "https://example.test/target.jpg",
            "denoising": 3,
        },
        {"job_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "state": JobState.QUEUED, "urls": ()},
    ),
}

READS = {
    "gptunnel.faceswap_result.done.json": (
        "face_swap",
        "65819c485337280001a609e7",
        "https://storage.yandexcloud.net/timenote/predication/65819c485337280001a609e7_faceswap_result.png",
    ),
    "gptunnel.media_result.done.json": (
        "image",
        "687fab1e49832bb77d34db47",
        "https://storage.yandexcloud.net/timenote/exp48h/687fa9f2c69e500001e2f9a4-gpt-image-1-high-original.webp",
    ),
}

REFUSALS = {
    "gptunnel.any.no_balance.json": exceptions.InsufficientBalanceError,
    "gptunnel.any.unauthorized.json": exceptions.AuthenticationError,
    "gptunnel.faceswap_create.missing_source.json": exceptions.InvalidRequestError,
    "gptunnel.faceswap_result.missing_task.json": exceptions.InvalidRequestError,
    "tengrai.any.bad_request.json": exceptions.InvalidRequestError,
    "tengrai.any.forbidden.json": exceptions.PermissionDeniedError,
    "tengrai.any.server_error.json": exceptions.VendorUnavailableError,
    "tengrai.any.too_many_requests.json": exceptions.RateLimitError,
    "tengrai.any.unauthorized.json": exceptions.AuthenticationError,
}


def test_every_sample_is_replayed():
    assert {path.name for path in VECTORS.glob("*.json")} == {*CREATES, *READS, *REFUSALS}


@pytest.mark.parametrize("name", CREATES)
def test_a_create_is_sent_and_read_as_the_page_shows(name):
    sample = vector(name)
    kind, arguments, expected = CREATES[name]
    vendor = VENDORS[name.partition(".")[0]]
    request = vendor.create(kind, arguments)
    assert (request.method, request.path) == (sample["method"], sample["path"])
    assert plain(request.body) == plain(sample["request"])
    job = vendor.read_created(kind, reply(sample))
    assert {key: getattr(job, key) for key in expected} == expected


@pytest.mark.parametrize("name", READS)
def test_a_result_is_asked_for_and_read_as_the_page_shows(name):
    sample = vector(name)
    kind, job_id, url = READS[name]
    vendor = VENDORS[name.partition(".")[0]]
    request = vendor.fetch(kind, job_id)
    where = urlsplit(sample["path"])
    assert (request.method, request.path) == (sample["method"], where.path)
    assert dict(request.params) == dict(parse_qsl(where.query))
    assert plain(request.body) == plain(sample["request"])
    job = vendor.read_job(kind, reply(sample), job_id=job_id)
    assert (job.state, job.urls, job.job_id) == (JobState.SUCCEEDED, (url,), job_id)


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_the_error_it_stands_for(name):
    sample = vector(name)
    vendor = VENDORS[name.partition(".")[0]]
    job_id = "some-id" if "result" in name else None
    with pytest.raises(REFUSALS[name]) as caught:
        vendor.read_job("face_swap", reply(sample), job_id=job_id)
    assert caught.value.status_code == sample["status"]
    assert caught.value.vendor == vendor.name
