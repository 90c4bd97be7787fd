"""GPTunneL's media API without a wire: options of a model, codes, outputs of many shapes, the synchronous route."""

from __future__ import annotations

import json

import pytest

from airflow_provider_faceswap.exceptions import (
    ContentRefusedError,
    InsufficientBalanceError,
    InvalidRequestError,
    MalformedResponseError,
    NoFaceError,
    RateLimitError,
    SubmissionUncertainError,
    VendorError,
)
from airflow_provider_faceswap.jobs import Cost, FailureReason, JobState
from airflow_provider_faceswap.lifecycle.marks import fingerprint
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.messages import Reply

VENDOR = GPTunnel()
ID = "666666666666666666666666"
SONG, COVER = "https://cdn.test/a.mp3", "https://cdn.test/a.jpeg"
PICTURE = "https://cdn.test/a.png"
CALLBACK = "https://hook.test/gptunnel/TOKEN"


def answer(body, status=200):
    return Reply(status, body if isinstance(body, str) else json.dumps(body))


def media(status="done", **more):
    return {"code": 0, "id": ID, "status": status, **more}


def read(body, kind="image", status=200):
    return VENDOR.read_job(kind, answer(body, status), job_id=ID)


def submitted(body, status=200):
    return VENDOR.read_submitted("generate", answer(body, status))


# -- options of a model ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["image", "generate"])
@pytest.mark.parametrize("name", ["model", "prompt", "images", "aspect_ratio", "options", " Prompt "])
def test_options_may_set_no_argument_of_the_package(kind, name):
    with pytest.raises(InvalidRequestError, match="options: must not set") as caught:
        VENDOR.submit(kind, {"model": "m", "prompt": "p", "options": {name: "SECRET"}})
    assert f"use the argument {name.strip().lower()}" in str(caught.value)
    assert "Nothing was bought." in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_the_vendors_own_word_for_an_argument_is_no_option_either():
    with pytest.raises(InvalidRequestError, match=r"must not set ar \(use the argument aspect_ratio\)"):
        VENDOR.submit("image", {"model": "m", "prompt": "p", "options": {"ar": "1:1"}})


@pytest.mark.parametrize("options", ["{'duration': 3}", "x", 5, [1], {"a": float("nan")}, {"a": object()}])
def test_options_are_an_object_that_can_be_sent(options):
    with pytest.raises(InvalidRequestError, match="options") as caught:
        VENDOR.submit("image", {"model": "m", "prompt": "p", "options": options})
    assert "Nothing was bought." in str(caught.value)


@pytest.mark.parametrize("options", [None, {}])
def test_a_request_without_options_is_the_request_of_before(options):
    request = VENDOR.submit("image", {"model": "m", "prompt": "p", "aspect_ratio": "1:1", "options": options})
    assert request.body == {"model": "m", "prompt": "p", "ar": "1:1"}
    mark = fingerprint("gptunnel", "gptunnel_default", "image", request)
    assert mark == "0e14c40defac16653e495ee1a85a4483bea7257fa9ff95a233fb9076ed74f601"


def test_a_request_with_options_is_another_request():
    plain, other = (
        fingerprint("gptunnel", "c", "image", VENDOR.submit("image", {"model": "m", "prompt": "p", **more}))
        for more in ({}, {"options": {"quality": "high"}})
    )
    assert plain != other


def test_a_model_of_the_other_route_gets_a_warning_before_it_is_paid_for():
    request = VENDOR.submit("image", {"model": "seedream-4", "prompt": "p"})
    assert VENDOR.warnings("image", request) == [
        "seedream-4 belongs to kind 'generate', and may be refused as kind 'image'"
    ]
    assert (
        VENDOR.warnings("generate", VENDOR.submit("generate", {"model": "seedream-4", "prompt": "p"})) == []
    )


# -- codes and failures ---------------------------------------------------------------------------------------


def test_a_code_may_be_a_text():
    body = media("idle", code="0", model="m", prompt="p", created_at=1790000000, url=None)
    assert VENDOR.read_submitted("image", answer(body)).state is JobState.QUEUED
    assert read(media("idle", code="0")).state is JobState.QUEUED
    assert read(media("failed", code="1001")).failure_reason is FailureReason.CONTENT_REFUSED


@pytest.mark.parametrize(
    ("code", "error"), [("1001", ContentRefusedError), ("3", InvalidRequestError), ("1", VendorError)]
)
def test_a_refusal_by_a_code_in_a_text_bought_nothing(code, error):
    with pytest.raises(VendorError) as caught:
        VENDOR.read_submitted("image", answer({"code": code, "message": "m"}))
    assert (type(caught.value), caught.value.code) == (error, code)


@pytest.mark.parametrize("kind", ["image", "generate"])
@pytest.mark.parametrize("where", ["message", "error"])
def test_the_words_of_a_refusal_count_if_its_code_says_nothing(kind, where):
    refusal = answer({"code": 1, where: "moderation"})
    with pytest.raises(ContentRefusedError) as caught:
        VENDOR.read_submitted(kind, refusal)
    assert caught.value.code == "1"
    with pytest.raises(VendorError) as caught:
        VENDOR.read_job(kind, refusal, job_id=ID)
    assert type(caught.value) is VendorError, "a refused poll says nothing about the picture"


@pytest.mark.parametrize(
    "where", [{"message": "moderation"}, {"error": "moderation"}, {"error": {"message": "moderation"}}]
)
def test_moderation_is_a_refusal_of_the_content_wherever_it_is_written(where):
    job = read(media("failed", url=None, **where))
    assert (job.state, job.failure_reason) == (JobState.FAILED, FailureReason.CONTENT_REFUSED)
    assert job.failure == "moderation"


def test_a_cause_that_is_written_twice_is_shown_once():
    assert read(media("failed", error="no gpu", message="no gpu")).failure == "no gpu"


def test_a_job_that_does_not_fit_the_schema_is_bad_input():
    assert read(media("failed", code=3, message="m")).failure_reason is FailureReason.BAD_INPUT


# -- outputs --------------------------------------------------------------------------------------------------

SECOND, SECOND_COVER = "https://cdn.test/b.mp3", "https://cdn.test/b.jpeg"


@pytest.mark.parametrize(
    ("output", "links"),
    [
        ({"result": [{"status": "succeeded", "audio_url": SONG, "image_url": COVER}]}, (SONG, COVER)),
        ({"result": [{"image_url": COVER, "audio_url": SONG}]}, (SONG, COVER)),
        (
            {
                "result": [
                    {"audio_url": SONG, "image_url": COVER},
                    {"audio_url": SECOND, "image_url": SECOND_COVER},
                ]
            },
            (SONG, SECOND, COVER, SECOND_COVER),
        ),
        ({"result": [{"audio_url": None, "image_url": ""}, {"audio_url": SONG}, 5, None]}, (SONG,)),
        ({"result": {"audio_url": SONG}}, (SONG,)),
        ({"result": [SONG, SECOND]}, (SONG, SECOND)),
        ({"result": [{"url": SONG}]}, (SONG,)),
        ({"result": [{"video_url": PICTURE, "image_url": COVER}]}, (PICTURE, COVER)),
        ({"result": [{"a_new_key": SONG}]}, (SONG,)),
        ({"url": PICTURE, "result": [{"audio_url": SONG}]}, (PICTURE, SONG)),
        ({"url": PICTURE, "result": PICTURE}, (PICTURE,)),
        ({"url": None, "result": []}, ()),
    ],
)
def test_every_file_of_a_result_is_a_link_and_the_covers_come_last(output, links):
    assert read(media(**output)).urls == links


# -- the synchronous route ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cost", "amount"), [("8.00", 8.0), (8, 8.0), (8.5, 8.5), ("0", 0.0), ("free", None), (None, None)]
)
def test_the_reply_of_a_generate_is_a_job_that_has_ended(cost, amount):
    job = submitted({"id": ID, "model": "seedream-4", "result": PICTURE, "cost": cost})
    assert (job.kind, job.job_id, job.state, job.urls) == ("generate", ID, JobState.SUCCEEDED, (PICTURE,))
    assert job.cost == (None if amount is None else Cost(amount=amount, unit="RUB"))


@pytest.mark.parametrize(
    "output",
    [{"url": PICTURE}, {"result": [PICTURE]}, {"result": [{"url": PICTURE}]}, {"result": {"url": PICTURE}}],
)
@pytest.mark.parametrize("more", [{}, {"code": 0, "status": "done"}, {"status": "succeeded"}])
def test_the_picture_of_a_generate_is_found_in_other_shapes_too(output, more):
    job = submitted({"id": ID, **output, **more})
    assert (job.state, job.urls) == (JobState.SUCCEEDED, (PICTURE,))


@pytest.mark.parametrize(
    "body",
    [
        {"id": ID, "model": "seedream-4", "result": None},
        {"id": ID, "status": "idle"},
        {"id": ID, "result": "pending"},
        {"result": PICTURE},
        {"model": "seedream-4"},
        "<html>",
        "",
    ],
)
def test_a_generate_without_a_picture_or_an_id_may_have_been_paid_for(body):
    with pytest.raises(SubmissionUncertainError) as caught:
        submitted(body)
    assert caught.value.job_id == (ID if isinstance(body, dict) and "id" in body else None)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"error": {"message": "bad size", "type": "invalid_request_error"}}, 400, InvalidRequestError),
        (
            {"error": {"message": "too low", "type": "insufficient_balance_error"}},
            402,
            InsufficientBalanceError,
        ),
        ({"code": 1001, "message": "moderation"}, 200, ContentRefusedError),
        ({"code": "3", "message": "m"}, 200, InvalidRequestError),
        ("slow down", 429, RateLimitError),
    ],
)
def test_a_refused_generate_bought_nothing(body, status, error):
    with pytest.raises(VendorError) as caught:
        submitted(body, status)
    assert type(caught.value) is error


def test_a_failed_generate_is_a_failed_job():
    job = submitted({"id": ID, "status": "failed", "message": "moderation"})
    assert (job.state, job.failure_reason) == (JobState.FAILED, FailureReason.CONTENT_REFUSED)


def test_a_generate_cannot_be_polled_and_the_error_says_where_its_result_is():
    with pytest.raises(InvalidRequestError, match="cannot be polled") as caught:
        VENDOR.fetch("generate", ID)
    assert caught.value.job_id == ID
    assert "Use the result of the task that submitted it." in str(caught.value)


def test_only_the_reply_to_a_generate_may_take_minutes():
    waits = {
        kind: VENDOR.submit(kind, {"model": "m", "prompt": "p"}).read_timeout
        for kind in ("image", "generate")
    }
    assert waits["image"] is None
    assert waits["generate"] >= 120


def test_a_swap_in_a_reply_about_another_job_is_not_handed_over():
    body = {"id": "other", "object": "task", "percent": 100, "status": "done", "result": PICTURE}
    with pytest.raises(MalformedResponseError, match="about another job"):
        read(body, "face_swap")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Недостаточно средств на балансе", InsufficientBalanceError),
        ("Слишком много запросов, попробуйте позже", RateLimitError),
        ("Промпт отклонён модерацией", ContentRefusedError),
        ("Лицо не обнаружено", NoFaceError),
        ("Сервис временно недоступен", VendorError),
        ("Too many requests", RateLimitError),
    ],
)
@pytest.mark.parametrize("kind", ["image", "face_swap"])
def test_a_refusal_is_understood_by_its_words_in_the_vendors_language_too(kind, text, error):
    media = Reply(200, json.dumps({"code": 1, "message": text}))
    other = Reply(400, json.dumps({"error": {"message": text, "type": "invalid_request_error"}}))
    with pytest.raises(VendorError) as caught:
        GPTunnel().read_submitted(kind, media if kind == "image" else other)
    assert type(caught.value) is (
        InvalidRequestError if (kind, error) == ("face_swap", VendorError) else error
    )
