"""What the words of a refusal or of a failure mean: passing faults, refusals, a busy vendor, an empty account."""

from __future__ import annotations

import json
import time

import pytest

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    ContentRefusedError,
    InsufficientBalanceError,
    InvalidRequestError,
    NoFaceError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.jobs import FailureReason
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.messages import Reply
from airflow_provider_faceswap.vendors.phrases import Meaning
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai
from airflow_provider_faceswap.vendors.words import SHARED, Words, texts_in

VENDORS = {vendor.name: vendor for vendor in (GPTunnel(), Tengrai(), PiAPI())}
each_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)

REASONS = {
    FailureReason.NO_FACE: """
        no face found in the image
        No face
        face not clear
        No faces detected.
        could not detect a face in the target
        failed to detect any face
        Face not found
        face detection failed
        No human face was detected
        worker-3: no face found in the image
        No face detected, please try again with a clear photo
        The swap image does not contain a face
    """,
    FailureReason.CONTENT_REFUSED: """
        NSFW content
        nsfw_detected
        stopped by moderation
        moderation
        sensitive content
        Your request was rejected as a result of our safety system
        Banned prompt detected: violates our guidelines
        The request was rejected because the input image may contain a real person.
        content_policy_violation
        This violates our usage policies
        prohibited content
        Attempt 2 failed (content restriction)
        OutputImageSensitiveContentDetected
        Internal error: moderation rejected the prompt
        Content policy violation, credits have been refunded
        The prompt is not allowed by our policy
        This request has been blocked by our content filters.
        The text does not comply with our usage rules
        The image depicts a minor
        unsafe image
        policy violation
    """,
    FailureReason.INSUFFICIENT_BALANCE: """
        insufficient points
        not enough credit
        quota used up
        insufficient_user_quota
        Organization balance is too low
        You exceeded your current quota, please check your plan and billing details
        You have run out of credits
        credits exhausted
        no credits left
        You do not have enough credits for this task
        Please recharge
    """,
    FailureReason.BAD_INPUT: """
        failed to get valid image
        Failed to get valid video
        Invalid request
        create task: upload model image: failed to download input image
        image too large
        unsupported image format
        the video file is too long
    """,
    # Passing faults, although each has a word of the others; and words that nobody knows.
    FailureReason.UNKNOWN: """
        timeout, credits have been refunded
        credits have been refunded
        no credits were charged
        the credit service is unavailable
        insufficient GPU memory, try later
        insufficient resources, no credit was deducted
        no face-swap worker available
        no face swap workers are available right now
        no available face detector
        face swap engine restarted
        face detection service crashed
        interface not ready
        no faceswap server reachable
        failed to call the moderation API
        an error occurred while checking for nsfw content
        moderation API returned status 502
        moderation service timed out
        moderation service: internal error
        moderation backend is down
        nsfw filter service unavailable
        sensitive-content check timed out
        safety system is temporarily unavailable
        content moderation queue is full
        moderation: passed
        nsfw: false
        a case-sensitive name
        rate limit reached
        too many tasks
        concurrency exceeded
        internal error, retry
        failed to download model weights
        what is this
    """,
}


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize(
    ("text", "reason"), [(text, reason) for reason, texts in REASONS.items() for text in lines(texts)]
)
def test_a_phrase_decides_the_reason_of_a_failure(text, reason):
    assert SHARED.reason([text]) is reason


@pytest.mark.parametrize(
    "text",
    [
        "active task count 2 has reached the plan limit",
        "Concurrent task limit reached",
        "You have exceeded the concurrency limit of your plan",
        "Too many requests",
        "Quota exceeded for requests per minute",
        "no workers available",
        "the queue is full",
        "server is busy",
        "too many tasks in progress",
        "Your account's concurrent job limit (5) has been reached",
        "RateLimitExceeded",
    ],
)
def test_a_busy_vendor_is_known_by_its_words(text):
    assert SHARED.meaning([text]) is Meaning.BUSY


def test_a_passing_fault_hides_what_it_interrupted_in_its_own_sentence_only():
    assert SHARED.reason(["Moderation service timed out."]) is FailureReason.UNKNOWN
    assert (
        SHARED.reason(["Attempt 1 timed out. Attempt 2: content restriction."])
        is FailureReason.CONTENT_REFUSED
    )
    assert SHARED.reason(["timeout", "no face found"]) is FailureReason.NO_FACE


def test_a_vendor_adds_its_own_phrases():
    words = SHARED.adding({Meaning.NO_BALANCE: ("недостаточно средств",)})
    assert words.reason(["Недостаточно средств на балансе"]) is FailureReason.INSUFFICIENT_BALANCE
    assert words.reason(["nsfw"]) is FailureReason.CONTENT_REFUSED
    assert Words({Meaning.BUSY: ("a|b* .. c",)}).meaning(["B-side of C"]) is Meaning.BUSY


@pytest.mark.parametrize(
    ("texts", "log", "telling"),
    [
        (
            ["Internal error. Please try again later."],
            ["audio: on", "rejected: real person"],
            "rejected: real person",
        ),
        (["task failed", "failed to download input image"], [], "failed to download input image"),
        (["the model is odd"], ["CUDA error"], "the model is odd"),
        (["Internal error"], ["step 1", "CUDA error 700"], "CUDA error 700"),
        (["Internal error"], ["step 1"], "Internal error"),
        ([], ["step 1"], ""),
        (["a " * 400 + ". No face found in b.jpg. " + "c " * 40], [], "No face found in b.jpg."),
    ],
)
def test_the_most_telling_text_is_shown(texts, log, telling):
    assert SHARED.most_telling(texts, log) == telling


def test_texts_are_found_in_values_of_any_type_and_the_end_of_a_log_counts():
    assert texts_in("a", None, 5, ["b", {"c": "d", "e": ["f"]}], "a", " ") == ["a", "b", "d", "f"]
    log = [{"time": "t", "level": "info", "message": f"line {number}"} for number in range(5000)]
    assert "line 4999" in texts_in(log)
    [long] = texts_in("start " + "x" * 1_000_000 + " no face")
    assert len(long) < 1100
    assert SHARED.reason([long]) is FailureReason.NO_FACE


@pytest.mark.parametrize(
    "text", ["no " * 300_000, "insufficient a b " * 60_000, "error: " * 140_000, "x" * 1_000_000]
)
def test_reading_a_megabyte_of_words_is_quick(text):
    began = time.process_time()
    SHARED.most_telling(texts_in([text] * 3, [{"message": text[:900]}] * 5000))
    assert time.process_time() - began < 1


# -- refusals: the words decide before the status -------------------------------------------------------------


def reply(vendor, text, status):
    fields = {
        "gptunnel": {"error": {"message": text, "type": "some_error", "param": None, "code": None}},
        "tengrai": {"message": text, "statusCode": status, "error": "Refused"},
        "piapi": {"code": status, "message": text, "data": None},
    }
    return Reply(status, json.dumps(fields[vendor.name]))


REFUSALS = [
    ("active task count 2 has reached the plan limit", RateLimitError),
    ("insufficient credits", InsufficientBalanceError),
    ("Your request was rejected by our safety system", ContentRefusedError),
    ("no face found in the image", NoFaceError),
    ("failed to get valid image", InvalidRequestError),
]


@each_vendor
@pytest.mark.parametrize("status", [400, 422, 500, 503])
@pytest.mark.parametrize(("text", "cls"), REFUSALS, ids=[cls.__name__ for _, cls in REFUSALS])
def test_a_refused_submission_is_what_its_words_say_at_any_status(vendor, status, text, cls):
    with pytest.raises(cls) as caught:
        vendor.read_submitted("face_swap", reply(vendor, text, status))
    assert type(caught.value) is cls
    assert text in str(caught.value)
    assert caught.value.status_code == status


@each_vendor
@pytest.mark.parametrize(("text", "cls"), REFUSALS[:2])
@pytest.mark.parametrize("status", [401, 403, 429])
def test_busy_and_broke_are_told_by_words_also_where_the_status_means_something_else(
    vendor, status, text, cls
):
    with pytest.raises(cls):
        vendor.read_submitted("face_swap", reply(vendor, text, status))


@each_vendor
@pytest.mark.parametrize(
    ("text", "status", "cls"),
    [
        ("invalid request: unknown key", 401, AuthenticationError),
        ("this operation is sensitive", 401, AuthenticationError),
        ("invalid model for this plan", 403, PermissionDeniedError),
        ("nsfw must be a boolean", 400, InvalidRequestError),
    ],
)
def test_words_about_the_key_or_a_field_do_not_hide_the_status(vendor, text, status, cls):
    with pytest.raises(cls) as caught:
        vendor.read_submitted("face_swap", reply(vendor, text, status))
    assert type(caught.value) is cls


@each_vendor
@pytest.mark.parametrize("text", ["moderation service timed out", "internal error", "what is this"])
def test_a_passing_fault_at_a_server_error_leaves_the_submission_uncertain(vendor, text):
    with pytest.raises(SubmissionUncertainError):
        vendor.read_submitted("face_swap", reply(vendor, text, 500))


@each_vendor
@pytest.mark.parametrize(
    "text", ["<html>too many requests, insufficient credits</html>", "insufficient credits"]
)
def test_the_words_of_a_page_in_between_decide_nothing_at_a_server_error(vendor, text):
    with pytest.raises(SubmissionUncertainError):
        vendor.read_submitted("face_swap", Reply(502, text))
    with pytest.raises(VendorUnavailableError):
        vendor.read_submitted("face_swap", Reply(503, text))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("gptunnel", {"id": "65819c485337280001a609e7", "message": "insufficient credits"}),
        ("tengrai", {"id": "65819c485337280001a609e7", "message": "insufficient credits"}),
        ("piapi", {"data": {"task_id": "two words"}, "code": 500, "message": "insufficient credits"}),
    ],
)
def test_a_refusal_that_names_a_job_at_a_server_error_is_uncertain(name, body):
    for text in ("insufficient credits", "too many tasks"):
        reply = Reply(500, json.dumps({**body, "message": text}))
        with pytest.raises(SubmissionUncertainError, match=text):
            VENDORS[name].read_submitted("face_swap", reply)


def test_a_refusal_that_names_a_job_in_a_code_of_500_is_uncertain():
    body = {"data": {"task_id": "two words"}, "code": 500, "message": "insufficient credits"}
    with pytest.raises(SubmissionUncertainError, match="insufficient credits"):
        VENDORS["piapi"].read_submitted("face_swap", Reply(200, json.dumps(body)))


@each_vendor
def test_a_refused_poll_says_nothing_about_the_pictures(vendor):
    with pytest.raises(VendorUnavailableError):
        vendor.read_job(
            "face_swap", reply(vendor, "no face in our cache", 500), job_id="65819c485337280001a609e7"
        )
