"""
GPTunneL's wire, without a wire.

Ambiguity numbers are those of section 7 of the vendor's contract notes; a test that answers one names it.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    ContentRefusedError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    JobLostError,
    MalformedResponseError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionUncertainError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.jobs import Cost, FailureReason, JobState
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, WaitResult
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.messages import Reply

VENDOR = GPTunnel()
ID = "65819c485337280001a609e7"
TARGET = "https://pictures.test/target.jpg"
FACE = "https://pictures.test/face.jpg"
PNG = b"\x89PNG\r\n\x1a\n and the rest"
PNG64 = base64.b64encode(PNG).decode()
SIGNED = "https://bucket.test/a.png?X-Signature=topsecret"

MIDJOURNEY = ["imagine", "upsample", "variation", "inpaint"]


def answer(body, status=200, **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, text, {name.replace("_", "-"): value for name, value in headers.items()})


def task(status="idle", **more):
    return {"id": ID, "object": "task", "type": "@FaceSwap", "percent": 0, "status": status, **more}


def media(status="idle", **more):
    return {"code": 0, "id": ID, "model": "gpt-image-1-low", "status": status, "url": None, **more}


def read(body, kind="face_swap", status=200):
    return VENDOR.read_job(kind, answer(body, status), job_id=ID)


def read_fails(body, kind="face_swap", status=200):
    with pytest.raises(FaceSwapError) as caught:
        read(body, kind, status)
    return caught.value


def refused(kind, **arguments):
    with pytest.raises(InvalidRequestError) as caught:
        VENDOR.submit(kind, arguments)
    return str(caught.value)


# -- requests -------------------------------------------------------------------------------------------------

BODIES = [
    (
        "face_swap",
        {"target_image": TARGET, "face_image": FACE},
        "/v1/faceswap/create",
        {"sourceImage": TARGET, "faceImage": FACE},
    ),
    (
        "face_swap",
        {
            "target_image": TARGET,
            "face_image": FACE,
            "enhance_face": True,
            "enhance_background": False,
            "use_wallet_balance": True,
            "webhook": "https://hook.test/x",
        },
        "/v1/faceswap/create",
        {
            "sourceImage": TARGET,
            "faceImage": FACE,
            "enhanceFace": True,
            "enhanceBackground": False,
            "useWalletBalance": True,
            "webhook": "https://hook.test/x",
        },
    ),
    ("image", {"model": "m", "prompt": "p"}, "/v1/media/create", {"model": "m", "prompt": "p"}),
    (
        "image",
        {"model": "gpt-image-1-high", "prompt": "p", "images": [TARGET, FACE], "aspect_ratio": "16:9"},
        "/v1/media/create",
        {"model": "gpt-image-1-high", "prompt": "p", "images": [TARGET, FACE], "ar": "16:9"},
    ),
    (
        "image",
        {"model": "seedream-3", "prompt": "p", "images": TARGET},
        "/v1/media/create",
        {"model": "seedream-3", "prompt": "p", "images": [TARGET]},
    ),
    (
        "image",
        {"model": "suno", "prompt": "p", "options": {"lyrics": "la", "duration": 30, "nested": {"a": [1]}}},
        "/v1/media/create",
        {"model": "suno", "prompt": "p", "lyrics": "la", "duration": 30, "nested": {"a": [1]}},
    ),
    (
        "generate",
        {"model": "seedream-4", "prompt": "p"},
        "/v1/media/generate",
        {"model": "seedream-4", "prompt": "p", "response_format": "url"},
    ),
    (
        "generate",
        {
            "model": "seedream-4",
            "prompt": "p",
            "images": TARGET,
            "aspect_ratio": "21:9",
            "size": "4K",
            "options": {"seed": 7},
        },
        "/v1/media/generate",
        {
            "model": "seedream-4",
            "prompt": "p",
            "images": [TARGET],
            "aspect_ratio": "21:9",
            "size": "4K",
            "seed": 7,
            "response_format": "url",
        },
    ),
    ("imagine", {"prompt": "кот"}, "/v1/midjourney/imagine", {"prompt": "кот"}),
    (
        "imagine",
        {"prompt": "p", "use_wallet_balance": False},
        "/v1/midjourney/imagine",
        {"prompt": "p", "useWalletBalance": False},
    ),
    ("upsample", {"parent_job_id": ID, "image": 1}, "/v1/midjourney/upsample", {"taskId": ID, "image": 1}),
    ("upsample", {"parent_job_id": ID, "image": "4"}, "/v1/midjourney/upsample", {"taskId": ID, "image": 4}),
    ("variation", {"parent_job_id": ID, "image": 3}, "/v1/midjourney/variation", {"taskId": ID, "image": 3}),
    (
        "variation",
        {"parent_job_id": ID, "mode": "high"},
        "/v1/midjourney/variation",
        {"taskId": ID, "mode": "high"},
    ),
    (
        "inpaint",
        {"parent_job_id": ID, "mask": PNG64},
        "/v1/midjourney/inpaint",
        {"taskId": ID, "mask": PNG64},
    ),
    (
        "inpaint",
        {"parent_job_id": ID, "mask": f"data:image/png;base64,{PNG64}", "prompt": "a hat"},
        "/v1/midjourney/inpaint",
        {"taskId": ID, "mask": PNG64, "prompt": "a hat"},
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "path", "body"), BODIES)
def test_each_kind_is_created_with_the_body_of_the_contract(kind, arguments, path, body):
    request = VENDOR.submit(kind, arguments)
    assert (request.method, request.path, dict(request.params)) == ("POST", path, {})
    assert request.body == body


def test_the_table_of_bodies_knows_every_kind():
    assert {row[0] for row in BODIES} == set(VENDOR.kinds)


@pytest.mark.parametrize("kind", ["face_swap", "image", *MIDJOURNEY])
def test_ambiguity_10_the_job_id_is_asked_for_under_the_word_of_its_family(kind):
    request = VENDOR.fetch(kind, ID)
    if kind == "image":
        assert (request.method, request.path) == ("POST", "/v1/media/result")
        assert (request.body, dict(request.params)) == ({"task_id": ID}, {})
    else:
        family = "faceswap" if kind == "face_swap" else "midjourney"
        assert (request.method, request.path) == ("GET", f"/v1/{family}/result")
        assert (request.body, dict(request.params)) == (None, {"taskId": ID})


def test_ambiguity_9_an_unset_webhook_is_left_out_and_not_sent_as_null():
    arguments = {"target_image": TARGET, "face_image": FACE, "webhook": None}
    assert "webhook" not in VENDOR.submit("face_swap", arguments).body


@pytest.mark.parametrize(
    ("key", "options", "header"),
    [
        ("shds-key", {}, "shds-key"),
        ("shds-key", {"auth_scheme": None}, "shds-key"),
        ("shds-key", {"auth_scheme": ""}, "shds-key"),
        ("Bearer shds-key", {}, "Bearer shds-key"),
        ("shds-key", {"auth_scheme": "Bearer"}, "Bearer shds-key"),
    ],
)
def test_ambiguity_8_the_key_travels_bare_unless_the_connection_says_otherwise(key, options, header):
    assert VENDOR.headers(key, options) == {"Authorization": header}


def test_the_balance_is_the_free_proof_of_the_key():
    request = VENDOR.account({})
    assert (request.method, request.path, request.body) == ("GET", "/v1/balance", None)


def test_there_is_no_cancel():
    assert VENDOR.cancellation is None


@pytest.mark.parametrize(
    ("host", "base"),
    [
        (None, "https://gptunnel.ru"),
        ("", "https://gptunnel.ru"),
        ("https://proxy.test", "https://proxy.test"),
        ("https://proxy.test/", "https://proxy.test"),
        ("https://proxy.test/v1", "https://proxy.test"),
        ("https://proxy.test/v1/", "https://proxy.test"),
        ("http://127.0.0.1:8080/gate", "http://127.0.0.1:8080/gate"),
    ],
)
def test_the_base_url_takes_a_full_host_and_forgives_a_pasted_version(host, base):
    assert VENDOR.base_url(host) == base


@pytest.mark.parametrize("host", ["gptunnel.ru", "ftp://gptunnel.ru", "https://", "//gptunnel.ru", "/v1"])
def test_a_host_that_is_no_full_url_is_refused(host):
    with pytest.raises(InvalidRequestError, match="full URL"):
        VENDOR.base_url(host)


def test_ambiguity_11_the_time_a_result_is_kept_is_known_by_kind():
    assert VENDOR.kind("face_swap").retention == timedelta(days=3)
    assert VENDOR.kind("image").retention == timedelta(hours=48)
    assert VENDOR.kind("generate").retention == timedelta(hours=24)
    assert {VENDOR.kind(kind).retention for kind in MIDJOURNEY} == {None}


def test_ambiguity_14_the_first_question_and_the_longest_gap_fit_what_jobs_take():
    timings = {kind: spec.timing for kind, spec in VENDOR.kinds.items()}
    # Swaps take 1 to 30 s; clients ask every 2 to 3 s. Midjourney takes minutes.
    assert 1 <= timings["face_swap"].first <= 3
    assert all(timing.first <= timing.cap <= 20 for timing in timings.values())
    assert timings["imagine"].first > timings["face_swap"].first


# -- arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["target_image", "face_image"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        "picture.jpg",
        "//pictures.test/a.jpg",
        "https://",
        "ftp://pictures.test/a.jpg?sig=topsecret",
        "file:///etc/topsecret",
        "s3://bucket/a.jpg?sig=topsecret",
        "https://[topsecret",
        b"topsecret",
        7,
        ["https://pictures.test/a.jpg"],
    ],
)
def test_a_picture_that_is_no_http_url_is_refused_without_repeating_it(name, value):
    text = refused("face_swap", **{"target_image": TARGET, "face_image": FACE, name: value})
    assert name in text
    assert "topsecret" not in text


@pytest.mark.parametrize("name", ["target_image", "face_image"])
def test_a_missing_picture_is_named(name):
    arguments = {"target_image": TARGET, "face_image": FACE}
    del arguments[name]
    assert f"{name}: Field required" in refused("face_swap", **arguments)


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "IMAGE/PNG"])
def test_ambiguity_7_the_face_swap_takes_a_whole_data_uri_and_sends_it_as_it_is(media_type):
    uri = f"data:{media_type};base64,{PNG64}"
    body = VENDOR.submit("face_swap", {"target_image": uri, "face_image": FACE}).body
    assert body["sourceImage"] == uri


@pytest.mark.parametrize(
    "value",
    [
        PNG64,  # bare base64
        f"data:image/webp;base64,{PNG64}",
        f"data:image/gif;base64,{PNG64}",
        f"data:text/plain;base64,{PNG64}",
        f"data:image/png,{PNG64}",
        "data:image/png;base64,not*base64",
        "data:",
    ],
)
def test_ambiguity_7_bare_base64_and_other_media_types_are_refused_without_repeating_them(value):
    text = refused("face_swap", target_image=value, face_image=FACE)
    assert "target_image" in text
    assert PNG64 not in text
    assert "not*base64" not in text


@pytest.mark.parametrize("value", [[f"data:image/png;base64,{PNG64}"], [PNG64], "x", [TARGET, ""], 3, [None]])
def test_ambiguity_7_the_media_api_takes_links_only(value):
    text = refused("image", model="m", prompt="p", images=value)
    assert "images" in text
    assert PNG64 not in text


@pytest.mark.parametrize("image", [0, 5, -1, 1.5, "one", None, True])
def test_a_position_in_the_grid_is_1_to_4(image):
    assert "image" in refused("upsample", parent_job_id=ID, image=image)


@pytest.mark.parametrize("image", [5, True])
def test_a_position_of_a_variation_is_1_to_4(image):
    assert "image" in refused("variation", parent_job_id=ID, image=image)


def test_a_variation_needs_a_position_or_a_mode():
    assert "image (1-4)" in refused("variation", parent_job_id=ID)
    assert "mode" in refused("variation", parent_job_id=ID, mode="medium")


@pytest.mark.parametrize("parent", ["", "  ", None])
@pytest.mark.parametrize("kind", ["upsample", "variation", "inpaint"])
def test_a_child_needs_the_id_of_its_parent(kind, parent):
    assert "parent_job_id" in refused(kind, parent_job_id=parent)


def test_ambiguity_15_an_id_of_another_shape_is_taken():
    body = VENDOR.submit("upsample", {"parent_job_id": "task_7.x", "image": 1}).body
    assert body["taskId"] == "task_7.x"
    assert VENDOR.fetch("image", "not-24-hex").body == {"task_id": "not-24-hex"}
    assert VENDOR.read_job("image", answer({"code": 0, "id": 17, "status": "idle"})).job_id == "17"


@pytest.mark.parametrize(
    "mask",
    ["", "***", base64.b64encode(b"GIF89a").decode(), "data:image/jpeg;base64,AAAA", "https://m.test/m"],
)
def test_a_mask_must_be_a_png_in_base64(mask):
    text = refused("inpaint", parent_job_id=ID, mask=mask)
    assert "mask" in text


@pytest.mark.parametrize("ratio", ["wide", "16/9", "16:9:1", ":", "-1:2"])
def test_an_aspect_ratio_is_two_numbers(ratio):
    assert "aspect_ratio" in refused("image", model="m", prompt="p", aspect_ratio=ratio)


@pytest.mark.parametrize("name", ["model", "prompt"])
@pytest.mark.parametrize("value", ["", " ", None, object()])
def test_a_model_and_a_prompt_must_be_text(name, value):
    assert name in refused("image", **{"model": "m", "prompt": "p", name: value})


def test_an_unknown_argument_is_named_but_not_shown():
    text = refused("face_swap", target_image=TARGET, face_image=FACE, facee_image=SIGNED)
    assert "facee_image" in text
    assert "topsecret" not in text


def test_an_argument_that_cannot_be_serialised_is_refused():
    assert "use_wallet_balance" in refused(
        "face_swap", target_image=TARGET, face_image=FACE, use_wallet_balance=object()
    )


def test_an_unknown_kind_is_refused_with_the_known_ones():
    for call in (lambda: VENDOR.submit("swap", {}), lambda: VENDOR.fetch("swap", ID)):
        with pytest.raises(
            InvalidRequestError, match=r"'swap' is unknown; known: face_swap, generate, image, imagine"
        ):
            call()


def test_a_webhook_must_be_a_url():
    text = refused("face_swap", target_image=TARGET, face_image=FACE, webhook="hook?token=topsecret")
    assert "webhook" in text
    assert "topsecret" not in text


@pytest.mark.parametrize(
    ("target", "face", "count"),
    [
        ("https://a.test/t.webp", "https://a.test/f.WEBP?x=1", 2),
        ("https://a.test/t.webp?sig=topsecret", FACE, 1),
        (TARGET, FACE, 0),
        (f"data:image/png;base64,{PNG64}", FACE, 0),
    ],
)
def test_a_webp_link_is_worth_a_warning_before_it_is_paid_for(target, face, count):
    request = VENDOR.submit("face_swap", {"target_image": target, "face_image": face})
    warnings = VENDOR.warnings("face_swap", request)
    assert len(warnings) == count
    assert "topsecret" not in "".join(warnings)


def test_the_media_api_takes_webp_without_a_warning():
    request = VENDOR.submit("image", {"model": "m", "prompt": "p", "images": ["https://a.test/a.webp"]})
    assert VENDOR.warnings("image", request) == []


# -- states ---------------------------------------------------------------------------------------------------

WORDS = [
    ("idle", JobState.QUEUED),
    ("processing", JobState.RUNNING),
    ("running", JobState.RUNNING),
    ("done", JobState.SUCCEEDED),
    ("failed", JobState.FAILED),
    ("error", JobState.FAILED),
    ("canceled", JobState.CANCELED),
    ("cancelled", JobState.CANCELED),
    ("DONE", JobState.SUCCEEDED),
    ("Failed", JobState.FAILED),
    ("a word of tomorrow", JobState.RUNNING),
    ("success", JobState.RUNNING),
    ("", JobState.RUNNING),
    (None, JobState.RUNNING),
]


@pytest.mark.parametrize("kind", ["face_swap", "image", "imagine"])
@pytest.mark.parametrize(("word", "state"), WORDS)
def test_ambiguity_1_every_status_word_has_its_state_and_an_unknown_one_is_running(kind, word, state):
    job = read(media(word) if kind == "image" else task(word), kind)
    assert job.state is state
    assert job.status == (word or "")


@pytest.mark.parametrize("kind", ["face_swap", "image", "imagine"])
def test_ambiguity_13_an_answer_of_nothing_but_id_and_status_is_enough_and_other_keys_are_ignored(kind):
    assert read({"id": ID, "status": "idle"}, kind).state is JobState.QUEUED
    assert read({"id": ID}, kind).state is JobState.RUNNING
    extended = read({"id": ID, "status": "idle", "actions": ["upsamle_1"], "tomorrow": {"x": [1]}}, kind)
    assert extended.state is JobState.QUEUED


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("face_swap", task("done", percent=100, result=None)),
        ("face_swap", task("done", percent=100, result="")),
        ("face_swap", task("done", percent=100)),
        ("image", media("done")),
        ("imagine", task("done", percent=100, result="/relative/path")),
    ],
)
def test_ambiguity_2_done_without_a_link_succeeds_without_output_for_the_watch_to_ask_again(kind, body):
    job = read(body, kind)
    assert job.state is JobState.SUCCEEDED
    assert not job.has_output


@pytest.mark.parametrize("word", ["idle", "processing", "tomorrow"])
def test_a_link_before_done_is_a_preview_and_no_output(word):
    link = "https://gptunnel.ru/task/image/x?cache=40"
    assert read(task(word, percent=40, result=link), "imagine").urls == ()
    assert read(media(word, url=link), "image").urls == ()


def test_a_link_below_100_percent_is_a_preview_even_when_done():
    link = "https://gptunnel.ru/task/image/x?cache=93"
    assert read(task("done", percent=93, result=link), "imagine").urls == ()
    assert read(task("done", percent=100, result=link), "imagine").urls == (link,)


def test_ambiguity_16_a_link_on_the_api_host_is_a_link_like_any_other():
    for link in ("https://gptunnel.ru/task/image/x?cache=100", "https://storage.yandexcloud.net/t/x.png"):
        assert read(task("done", percent=100, result=link), "imagine").urls == (link,)


def test_ambiguity_3_an_error_beside_a_running_status_does_not_end_the_job():
    job = read(task("processing", error="worker restarted"))
    assert job.state is JobState.RUNNING


@pytest.mark.parametrize("error", ["worker restarted", {"message": "worker restarted"}])
@pytest.mark.parametrize("kind", ["face_swap", "image"])
def test_ambiguity_3_an_error_beside_a_running_status_is_the_failure_text_at_the_deadline(kind, error):
    job = read((media if kind == "image" else task)("processing", error=error), kind)
    ending = WaitResult(outcome=Outcome.TIMED_OUT, vendor=VENDOR.name, job_id=ID, job=job)
    assert "worker restarted" in str(ending.to_error())


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("face_swap", task("failed", error="no luck", message="other"), "no luck"),
        ("face_swap", task("failed", error={"message": "no luck", "type": "x"}), "no luck"),
        ("face_swap", task("failed", error=None, message="no luck"), "no luck"),
        ("face_swap", task("failed", error={}, message="no luck"), "no luck"),
        ("image", media("failed", error="no luck"), "no luck"),
        ("image", media("failed", code=1, message="no luck"), "no luck"),
        ("image", media("failed", code=1), "code=1 status=failed"),
    ],
)
def test_ambiguity_4_the_failure_text_is_found_wherever_it_stands(kind, body, text):
    job = read(body, kind)
    assert job.state is JobState.FAILED
    assert (job.failure or "").startswith(text)


def test_a_failure_text_loses_the_query_of_a_signed_link():
    job = read(task("failed", error=f"cannot download {SIGNED}"))
    assert "https://bucket.test/a.png" in job.failure
    assert "topsecret" not in job.failure


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("No face found", FailureReason.NO_FACE),
        ("face not detected", FailureReason.NO_FACE),
        ("interface not ready", FailureReason.UNKNOWN),
        ("NSFW content", FailureReason.CONTENT_REFUSED),
        ("refused by moderation", FailureReason.CONTENT_REFUSED),
        ("gpu exploded", FailureReason.UNKNOWN),
    ],
)
def test_a_failed_task_is_sorted_by_its_text(text, reason):
    assert read(task("failed", error=text)).failure_reason is reason


# -- money ----------------------------------------------------------------------------------------------------


def test_the_charge_is_told_by_the_create_and_not_by_a_result_of_zeros():
    usage = {"total_cost": 15, "completion_cost": 15}
    assert VENDOR.read_submitted("face_swap", answer(task(usage=usage))).cost == Cost(amount=15, unit="RUB")
    zero = {"total_cost": 0}
    assert read(task(usage=zero)).cost is None
    # An upsample costs nothing, and says so in its create.
    assert VENDOR.read_submitted("upsample", answer(task(usage=zero))).cost == Cost(amount=0, unit="RUB")


@pytest.mark.parametrize(("cost", "amount"), [(8, 8.0), ("8.00", 8.0), (7.5, 7.5)])
def test_a_media_cost_may_be_a_number_or_a_numeric_string(cost, amount):
    assert read(media("done", cost=cost), "image").cost == Cost(amount=amount, unit="RUB")


@pytest.mark.parametrize("usage", [None, {}, {"total_cost": None}, {"total_cost": "free"}])
def test_a_missing_charge_is_no_charge_that_is_known(usage):
    assert VENDOR.read_submitted("face_swap", answer(task(usage=usage))).cost is None


def test_percent_and_the_moment_of_creation_are_read_where_they_are_told():
    assert read(task("processing", percent=40)).percent == 40
    assert read(media("idle", created_at=1753197342), "image").created_at == datetime(
        2025, 7, 22, 15, 15, 42, tzinfo=UTC
    )
    assert read(media("idle", created_at=None), "image").created_at is None


# -- refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, InsufficientBalanceError),
        (403, PermissionDeniedError),
        (404, InvalidRequestError),
        (413, InvalidRequestError),
        (422, InvalidRequestError),
        (429, RateLimitError),
        (503, VendorUnavailableError),
        (302, InvalidRequestError),
    ],
)
@pytest.mark.parametrize(
    "body", [{"error": {"message": "m", "type": "t"}}, "", "<html>no json</html>", '{"error": {"message"']
)
def test_a_refused_create_has_the_class_of_its_status_whatever_the_body(status, cls, body):
    with pytest.raises(VendorError) as caught:
        VENDOR.read_submitted("face_swap", answer(body, status))
    assert type(caught.value) is cls
    assert caught.value.status_code == status
    assert caught.value.vendor == "gptunnel"


@pytest.mark.parametrize("status", [408, 500, 502, 504, 520, 524])
def test_a_create_answered_by_another_server_error_may_have_been_accepted(status):
    with pytest.raises(SubmissionUncertainError, match=f"HTTP {status}"):
        VENDOR.read_submitted("face_swap", answer("<html>", status))


@pytest.mark.parametrize("kind", ["face_swap", "image", "imagine"])
@pytest.mark.parametrize(
    "body", ["", "<html>ok</html>", "[]", "null", '"id"', "{}", '{"status": "idle"}', "{"]
)
def test_ambiguity_5_a_create_accepted_without_an_id_may_have_been_paid(kind, body):
    with pytest.raises(SubmissionUncertainError):
        VENDOR.read_submitted(kind, answer(body))


@pytest.mark.parametrize("status", [429, 503])
def test_a_create_refused_with_a_job_in_the_body_is_not_repeated(status):
    """Too many requests and unavailable may be sent again, but only where the body holds no job."""
    try:
        job = VENDOR.read_submitted("face_swap", answer(task(), status))
    except SubmissionUncertainError:
        return
    assert job.job_id == ID


@pytest.mark.parametrize(
    ("body", "cls", "text"),
    [
        (
            {
                "code": 3,
                "message": "bad schema",
                "issues": [{"path": ["model"], "expected": "'a' | 'b'", "message": "wrong"}],
            },
            InvalidRequestError,
            "bad schema; model: wrong (expected 'a' | 'b')",
        ),
        (
            {"code": 3, "issues": [{"path": ["images", 0], "message": "no"}]},
            InvalidRequestError,
            "images.0: no",
        ),
        ({"code": 1001, "message": "refused"}, ContentRefusedError, "refused"),
        ({"code": 1, "error": "upstream"}, VendorError, "upstream"),
        ({"code": 1, "error": {"message": "upstream"}}, VendorError, "upstream"),
        ({"code": 77, "status": "odd"}, VendorError, "code=77 status=odd"),
    ],
)
@pytest.mark.parametrize("job_id", [None, ID])
def test_ambiguity_5_a_media_code_without_an_id_is_a_refusal_though_the_status_is_200(
    body, cls, text, job_id
):
    with pytest.raises(VendorError) as caught:
        VENDOR.read_job("image", answer(body), job_id=job_id)
    assert type(caught.value) is cls
    assert text in caught.value.message
    assert caught.value.code == str(body["code"])
    assert caught.value.job_id == job_id


@pytest.mark.parametrize(
    ("code", "cls"), [(1, VendorError), (3, InvalidRequestError), (1001, ContentRefusedError)]
)
def test_ambiguity_5_a_media_create_refused_by_code_bought_nothing(code, cls):
    with pytest.raises(cls):
        VENDOR.read_submitted("image", answer({"code": code, "message": "m"}))


@pytest.mark.parametrize(
    ("code", "reason"), [(1, FailureReason.UNKNOWN), (1001, FailureReason.CONTENT_REFUSED)]
)
def test_ambiguity_5_a_result_with_a_code_and_an_id_is_a_failed_job_and_no_broken_read(code, reason):
    job = read(media("failed", code=code, message="m"), "image")
    assert (job.state, job.failure, job.failure_reason) == (JobState.FAILED, "m", reason)


def test_a_media_create_may_answer_with_a_finished_job():
    link = "https://storage.yandexcloud.net/x.webp"
    job = VENDOR.read_submitted("image", answer(media("done", url=link)))
    assert (job.state, job.urls) == (JobState.SUCCEEDED, (link,))
    assert VENDOR.read_submitted("image", answer(media("failed"))).state is JobState.FAILED


def test_ambiguity_6_no_balance_on_a_result_is_its_own_error_and_names_the_job():
    body = {"error": {"message": "too low", "type": "insufficient_balance_error"}}
    error = read_fails(body, status=402)
    assert type(error) is InsufficientBalanceError
    assert (error.job_id, error.code) == (ID, "insufficient_balance_error")


@pytest.mark.parametrize(
    ("kind_of_error", "cls"),
    [
        ("invalid_request_error", InvalidRequestError),
        ("unauthorized_request_error", AuthenticationError),
        ("insufficient_balance_error", InsufficientBalanceError),
    ],
)
def test_an_error_envelope_counts_even_under_a_status_of_200(kind_of_error, cls):
    body = {"error": {"message": "m", "type": kind_of_error}}
    assert type(read_fails(body)) is cls


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("kind", ["face_swap", "image", "imagine"])
def test_ambiguity_12_an_unknown_task_is_lost_for_good(kind, status):
    error = read_fails(
        {"error": {"message": "Task not found", "type": "invalid_request_error"}}, kind, status
    )
    assert type(error) is JobLostError
    assert error.job_id == ID
    assert "Task not found" in str(error)
    assert VENDOR.not_found_grace == 0


@pytest.mark.parametrize("body", ["", "<html>", {"status": "done"}, "[]"])
def test_a_result_that_cannot_be_read_is_worth_asking_again(body):
    error = read_fails(body)
    assert type(error) is MalformedResponseError
    assert error.job_id == ID


def test_a_result_that_meets_a_server_error_is_worth_asking_again():
    assert type(read_fails("oops", status=500)) is VendorUnavailableError


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("1.5", 1.5), ("-3", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None)],
)
def test_too_many_requests_carries_the_wait_where_it_is_a_number(header, seconds):
    with pytest.raises(RateLimitError) as caught:
        VENDOR.read_job("face_swap", answer("", 429, retry_after=header))
    assert caught.value.retry_after == seconds


def test_the_text_of_a_refusal_is_one_line_short_and_without_signed_queries():
    message = f"cannot\n\tfetch {SIGNED} " + "x" * 5000
    error = read_fails({"error": {"message": message, "type": "insufficient_balance_error"}}, status=402)
    assert error.message.startswith("cannot fetch https://bucket.test/a.png x")
    assert "topsecret" not in str(error)
    assert len(error.message) <= 500


def test_a_failed_job_of_this_vendor_becomes_a_failure_that_may_be_bought_again():
    ending = WaitResult(
        outcome=Outcome.FAILED, vendor="gptunnel", job_id=ID, job=read(task("failed", error="gpu"))
    )
    assert type(ending.to_error()) is JobFailedError


# -- account --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"orgId": "org", "balance": -51.54397, "creditLimit": 15000},
            "organisation org, balance -51.54 RUB, credit limit 15000.00 RUB",
        ),
        ({"balance": "12.5"}, "wallet, balance 12.50 RUB"),
        ({"balance": 0, "creditLimit": 0}, "wallet, balance 0.00 RUB"),
    ],
)
def test_the_account_says_who_pays_and_what_is_left(body, text):
    assert VENDOR.read_account(answer(body)) == text


@pytest.mark.parametrize(
    ("reply", "cls"),
    [
        (answer({"error": {"message": "Unauthorized"}}, 401), AuthenticationError),
        (answer("", 403), PermissionDeniedError),
        (answer("<html>", 502), VendorUnavailableError),
        (answer("<html>"), MalformedResponseError),
        (answer({"balance": None}), MalformedResponseError),
        (answer({"error": {"type": "unauthorized_request_error"}}), AuthenticationError),
        (answer({"error": {"type": "insufficient_balance_error"}}), InsufficientBalanceError),
        (answer({"error": {"type": "another_error"}}), MalformedResponseError),
        (answer([]), MalformedResponseError),
    ],
)
def test_an_account_that_cannot_be_read_says_why(reply, cls):
    with pytest.raises(VendorError) as caught:
        VENDOR.read_account(reply)
    assert type(caught.value) is cls


# -- any answer at all ----------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ANSWERS = st.fixed_dictionaries(
    {"id": st.just(ID)},
    optional=dict.fromkeys(
        ("status", "code", "error", "message", "issues", "usage", "percent", "result", "url", "cost"), JSON
    )
    | {"created_at": JSON},
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    body=ANSWERS | JSON, status=st.sampled_from([200, 400, 500]), kind=st.sampled_from(["face_swap", "image"])
)
def test_no_answer_to_a_paid_create_escapes_the_error_tree(body, status, kind):
    """Any other exception would look like a create that bought nothing, and be bought again."""
    reply = answer(body, status)
    with suppress(FaceSwapError):
        VENDOR.read_submitted(kind, reply)
    with suppress(FaceSwapError):
        VENDOR.read_job(kind, reply, job_id=ID)


@pytest.mark.parametrize(
    "body",
    [
        task(usage="15"),
        task(usage=[15]),
        media(created_at=1753197342000),
        media(created_at="Infinity"),
        media("failed", issues=5),
        media("failed", issues=[{"path": 5}]),
        task(percent=10**400),
        task(percent=True),
        "[" * 100_000,
    ],
    ids=["usage-text", "usage-list", "milliseconds", "infinity", "issues", "path", "huge", "true", "deep"],
)
@pytest.mark.parametrize("kind", ["face_swap", "image"])
def test_an_odd_field_in_a_paid_answer_neither_loses_the_job_nor_escapes_the_error_tree(kind, body):
    reply = answer(body)
    if isinstance(body, str):
        with pytest.raises(SubmissionUncertainError):
            VENDOR.read_submitted(kind, reply)
    else:
        assert VENDOR.read_submitted(kind, reply).job_id == ID
