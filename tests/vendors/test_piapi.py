"""
PiAPI's wire, without a wire.

Ambiguity numbers are those of section 14 of the vendor's contract notes; a test that answers one names it.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import time
import zlib
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
    NoFaceError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionUncertainError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.jobs import Cost, FailureReason, JobState
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, WaitResult
from airflow_provider_faceswap.lifecycle.polling import Poller, Schedule, Wait
from airflow_provider_faceswap.vendors.messages import Reply
from airflow_provider_faceswap.vendors.piapi import PiAPI

VENDOR = PiAPI()
ID = "90efd2db-bcfc-413f-a0be-c893850c9d68"
TARGET = "https://pictures.test/target.jpg"
FACE = "https://pictures.test/face.jpg"
VIDEO = "https://pictures.test/target.mp4"
HOOK = "https://hook.test/x"
RESULT = "https://img.theapi.app/temp/0.png"
SIGNED = "https://bucket.test/a.png?X-Signature=topsecret"
JPEG = b"\xff\xd8\xff\xe0 and the rest"
JPEG64 = base64.b64encode(JPEG).decode()
SWAP = {"target_image": TARGET, "face_image": FACE}
VIDEO_SWAP = {"target_video": VIDEO, "face_image": FACE}
ZERO = "0001-01-01T00:00:00Z"


def answer(body, status=200, **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, text, {name.replace("_", "-"): value for name, value in headers.items()})


def task(status="pending", **more):
    return {
        "task_id": ID,
        "model": "Qubico/image-toolkit",
        "task_type": "face-swap",
        "status": status,
        "input": {},
        "output": None,
        "meta": {},
        "logs": None,
        "error": {"code": 0, "raw_message": "", "message": "", "detail": None},
        **more,
    }


def envelope(data, code=200, message="success"):
    return {"code": code, "message": message, "data": data}


def read(data, status=200, kind="face_swap"):
    return VENDOR.read_job(kind, answer(envelope(data), status), job_id=ID)


def read_fails(body, status=200, **headers):
    with pytest.raises(FaceSwapError) as caught:
        VENDOR.read_job("face_swap", answer(body, status, **headers), job_id=ID)
    return caught.value


def refused(kind="face_swap", **arguments):
    with pytest.raises(InvalidRequestError) as caught:
        VENDOR.submit(kind, arguments)
    return str(caught.value)


def png(width, height):
    """A PNG that says it has this size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + crc


def data_uri(data, media_type="image/png"):
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


# -- requests -------------------------------------------------------------------------------------------------


def toolkit(medium, task_type, **inputs):
    return {"model": f"Qubico/{medium}-toolkit", "task_type": task_type, "input": inputs}


PICTURES = {"target_image": TARGET, "swap_image": FACE}
BODIES = [
    ("face_swap", SWAP, toolkit("image", "face-swap", **PICTURES)),
    (
        "face_swap",
        {**SWAP, "service_mode": "public"},
        {**toolkit("image", "face-swap", **PICTURES), "config": {"service_mode": "public"}},
    ),
    (
        "face_swap",
        {**SWAP, "webhook": HOOK, "webhook_secret": "w"},
        {
            **toolkit("image", "face-swap", **PICTURES),
            "config": {"webhook_config": {"endpoint": HOOK, "secret": "w"}},
        },
    ),
    (
        "face_swap",
        {**SWAP, "service_mode": "private", "webhook": HOOK},
        {
            **toolkit("image", "face-swap", **PICTURES),
            "config": {"service_mode": "private", "webhook_config": {"endpoint": HOOK, "secret": ""}},
        },
    ),
    # A secret without an endpoint has nowhere to go.
    ("face_swap", {**SWAP, "webhook_secret": "w"}, toolkit("image", "face-swap", **PICTURES)),
    ("multi_face_swap", SWAP, toolkit("image", "multi-face-swap", **PICTURES)),
    (
        "multi_face_swap",
        {**SWAP, "target_faces": [0, 1], "source_faces": "1,0"},
        toolkit("image", "multi-face-swap", **PICTURES, target_faces_index="0,1", swap_faces_index="1,0"),
    ),
    ("video_face_swap", VIDEO_SWAP, toolkit("video", "face-swap", target_video=VIDEO, swap_image=FACE)),
    (
        "video_face_swap",
        {**VIDEO_SWAP, "target_faces": [0], "source_faces": [0], "webhook": HOOK},
        {
            **toolkit(
                "video",
                "face-swap",
                target_video=VIDEO,
                swap_image=FACE,
                target_faces_index="0",
                swap_faces_index="0",
            ),
            "config": {"webhook_config": {"endpoint": HOOK, "secret": ""}},
        },
    ),
    (
        "task",
        {
            "model": "Qubico/flux1-schnell",
            "task_type": "txt2img",
            "input": {"prompt": "p", "width": 512, "lora_settings": [{"lora_type": "x"}]},
            "service_mode": "public",
        },
        {
            "model": "Qubico/flux1-schnell",
            "task_type": "txt2img",
            "input": {"prompt": "p", "width": 512, "lora_settings": [{"lora_type": "x"}]},
            "config": {"service_mode": "public"},
        },
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "body"), BODIES)
def test_each_kind_is_created_with_the_body_of_the_contract(kind, arguments, body):
    request = VENDOR.submit(kind, arguments)
    assert (request.method, request.path, dict(request.params)) == ("POST", "/api/v1/task", {})
    assert request.body == body


def test_the_table_of_bodies_knows_every_kind():
    assert {row[0] for row in BODIES} == set(VENDOR.kinds)


@pytest.mark.parametrize("kind", ["face_swap", "multi_face_swap", "video_face_swap", "task"])
def test_one_endpoint_reads_and_one_cancels_every_kind(kind):
    fetch, cancel = VENDOR.fetch(kind, ID), VENDOR.cancellation.request(kind, ID)
    assert (fetch.method, fetch.path, fetch.body) == ("GET", f"/api/v1/task/{ID}", None)
    assert (cancel.method, cancel.path, cancel.body) == ("DELETE", f"/api/v1/task/{ID}", None)


@pytest.mark.parametrize("job_id", ["../tasks", "a/b", "a?model=all", "a#b"])
def test_an_id_that_is_no_path_segment_cannot_reach_another_path_such_as_the_bulk_cancel(job_id):
    for request in (VENDOR.fetch("face_swap", job_id), VENDOR.cancellation.request("face_swap", job_id)):
        assert request.path.count("/") == 4
        assert not set("?# ") & set(request.path)


def test_ambiguity_19_the_key_is_no_bearer_token():
    assert VENDOR.headers("key", {"auth_scheme": "Bearer"}) == {"x-api-key": "key"}


def test_ambiguity_27_the_account_call_is_the_one_that_knows_every_key():
    request = VENDOR.account({})
    assert (request.method, request.path, request.body) == ("GET", "/account/info", None)


@pytest.mark.parametrize(
    ("host", "base"),
    [
        (None, "https://api.piapi.ai"),
        ("https://proxy.piapi.ai", "https://proxy.piapi.ai"),
        ("https://api.piapi.ai/api/v1/", "https://api.piapi.ai"),
        ("http://127.0.0.1:8080/piapi/", "http://127.0.0.1:8080/piapi"),
    ],
)
def test_the_base_url_takes_a_full_host_and_forgives_a_pasted_version(host, base):
    assert VENDOR.base_url(host) == base


def test_ambiguity_16_a_result_is_kept_three_days_at_most():
    assert {spec.retention for spec in VENDOR.kinds.values()} == {timedelta(days=3)}


# -- arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["target_image", "face_image"])
@pytest.mark.parametrize("value", ["", " ", "a.jpg", "ftp://a.test/?sig=topsecret", JPEG64, "https://", 5])
@pytest.mark.parametrize("kind", ["face_swap", "multi_face_swap"])
def test_a_picture_that_is_no_http_url_is_refused_without_repeating_it(kind, name, value):
    text = refused(kind, **{**SWAP, name: value})
    assert name in text
    assert "topsecret" not in text
    assert JPEG64 not in text


@pytest.mark.parametrize(
    "value", ["", "clip.mp4", "data:video/mp4;base64,dG9wc2VjcmV0", "ftp://a.test/v.mp4"]
)
def test_ambiguity_25_a_video_is_a_url_only(value):
    text = refused("video_face_swap", target_video=value, face_image=FACE)
    assert "target_video" in text
    assert "dG9wc2VjcmV0" not in text


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/webp"])
def test_ambiguity_5_an_inline_picture_travels_as_bare_base64(media_type):
    uri = data_uri(JPEG, media_type)
    body = VENDOR.submit("face_swap", {"target_image": TARGET, "face_image": uri}).body
    assert body["input"]["swap_image"] == JPEG64


@pytest.mark.parametrize("media_type", ["image/gif", "image/heic", "image/avif", "text/html", "video/mp4"])
def test_an_inline_picture_of_an_unlisted_type_is_refused(media_type):
    text = refused(target_image=TARGET, face_image=data_uri(JPEG, media_type))
    assert "face_image" in text
    assert JPEG64 not in text


def test_ambiguity_6_an_inline_picture_over_ten_megabytes_is_refused_with_its_size_and_not_its_bytes():
    limit = 10_000_000
    text = refused(target_image=data_uri(b"\0" * (limit + 1), "image/jpeg"), face_image=FACE)
    assert str(limit + 1) in text
    assert len(text) < 300
    assert VENDOR.submit("face_swap", {"target_image": data_uri(b"\0" * limit), "face_image": FACE}).body


def test_ambiguity_6_a_body_that_is_too_large_is_an_invalid_request_that_says_so():
    with pytest.raises(InvalidRequestError, match="HTTP 413"):
        VENDOR.read_submitted("face_swap", answer("<html>Request Entity Too Large</html>", 413))


@pytest.mark.parametrize("size", [(2049, 100), (100, 2049)])
def test_ambiguity_7_an_inline_picture_over_2048_pixels_is_refused_before_it_is_paid_for(size):
    assert "2048" in refused(target_image=data_uri(png(*size)), face_image=FACE)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    start=st.sampled_from(
        [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBP", b"GIF89a", b"II*\0"]
    ),
    rest=st.binary(max_size=60),
)
def test_ambiguity_7_an_inline_picture_whose_size_cannot_be_told_is_taken_or_refused_and_nothing_else(
    start, rest
):
    uri = data_uri(start + rest, "image/png")
    with suppress(InvalidRequestError):
        VENDOR.submit("face_swap", {"target_image": uri, "face_image": FACE})


@pytest.mark.parametrize("size", [(2048, 2048), (2047, 1)])
def test_ambiguity_7_an_inline_picture_of_up_to_2048_pixels_is_taken(size):
    assert VENDOR.submit("face_swap", {"target_image": data_uri(png(*size)), "face_image": FACE}).body


@pytest.mark.parametrize(
    ("target", "count"),
    [
        ("https://a.test/picture?name=x.jpg&sig=topsecret", 1),
        ("https://a.test/", 1),
        ("https://a.test/x.gif", 1),
        ("https://a.test/x.JPG?sig=topsecret", 0),
        ("https://a.test/x.jpeg", 0),
        ("https://a.test/x.png#f", 0),
        ("https://a.test/x.webp", 0),
        (data_uri(JPEG, "image/jpeg"), 0),
    ],
)
def test_ambiguity_8_a_path_without_a_picture_suffix_is_a_warning_and_no_refusal(target, count):
    request = VENDOR.submit("face_swap", {"target_image": target, "face_image": FACE})
    warnings = VENDOR.warnings("face_swap", request)
    assert len(warnings) == count
    assert all("target_image" in doubt and "topsecret" not in doubt for doubt in warnings)


def test_ambiguity_8_the_free_input_of_a_task_is_not_doubted():
    request = VENDOR.submit(
        "task", {"model": "m", "task_type": "t", "input": {"target_image": "https://a.test/x"}}
    )
    assert VENDOR.warnings("task", request) == []


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        ([0, 1], "0,1"),
        ((2, 0), "2,0"),
        ("0,1", "0,1"),
        (" 0, 1 ", "0,1"),
        (["0", "1"], "0,1"),
        ("0,1,", "0,1"),
    ],
)
def test_ambiguity_26_positions_are_written_without_spaces(value, wire):
    body = VENDOR.submit("multi_face_swap", {**SWAP, "target_faces": value, "source_faces": [3, 4]}).body
    assert body["input"]["target_faces_index"] == wire


def test_ambiguity_26_one_position_may_be_a_bare_number():
    body = VENDOR.submit("multi_face_swap", {**SWAP, "target_faces": 1, "source_faces": 0}).body
    assert (body["input"]["target_faces_index"], body["input"]["swap_faces_index"]) == ("1", "0")


@pytest.mark.parametrize("kind", ["multi_face_swap", "video_face_swap"])
@pytest.mark.parametrize(
    ("target", "source"), [([0, 1], [0]), ([0], [0, 1]), ([0], None), (None, "0,1"), ("0,1,2", "0,1")]
)
def test_ambiguity_26_uneven_lists_are_refused(kind, target, source):
    arguments = VIDEO_SWAP if kind == "video_face_swap" else SWAP
    text = refused(kind, **arguments, target_faces=target, source_faces=source)
    assert "same length" in text


@pytest.mark.parametrize(
    "value",
    [
        [],
        "",
        "left",
        -1,
        [-1],
        "-1",
        [0.5, "x"],
        [0.7],
        0.0,
        [True],
        [math.inf],
        [math.nan],
        [[0]],
        ["topsecret"],
        ["0x1"],
        ["1_0"],
        True,
        {},
        [None],
    ],
    ids=repr,
)
def test_ambiguity_26_positions_are_whole_numbers_from_0(value):
    text = refused("multi_face_swap", **SWAP, target_faces=value, source_faces=[0])
    assert "target_faces" in text
    assert "topsecret" not in text


@pytest.mark.parametrize("mode", ["fast", "", "PUBLIC", 1])
def test_a_service_mode_is_public_or_private(mode):
    assert "service_mode" in refused(**SWAP, service_mode=mode)


def test_a_webhook_must_be_a_url_and_its_secret_is_never_shown():
    text = refused(**SWAP, webhook="hook?token=topsecret", webhook_secret="topsecret")
    assert "webhook" in text
    assert "topsecret" not in text
    assert "topsecret" not in refused(**SWAP, webhook=HOOK, webhook_secret=["topsecret"])


@pytest.mark.parametrize("name", ["model", "task_type", "input"])
@pytest.mark.parametrize("value", [None, "", True, []])
def test_a_task_needs_a_model_a_type_and_an_input(name, value):
    arguments = {"model": "m", "task_type": "t", "input": {}, name: value}
    assert name in refused("task", **arguments)


@pytest.mark.parametrize(
    "value",
    [object(), {1}, b"topsecret", [object()], {"y": object()}, math.nan, math.inf],
    ids=["object", "set", "bytes", "in-a-list", "in-a-dict", "nan", "infinity"],
)
def test_an_input_that_cannot_be_serialised_is_refused_before_anything_is_sent(value):
    text = refused("task", model="m", task_type="t", input={"odd": value})
    assert "odd" in text
    assert "topsecret" not in text


def test_an_unknown_argument_is_named_but_not_shown():
    text = refused(**SWAP, target_faces=SIGNED)
    assert "target_faces" in text
    assert "topsecret" not in text


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(
        InvalidRequestError, match=r"'swap' is unknown; known: face_swap, multi_face_swap, task"
    ):
        VENDOR.submit("swap", {})


# -- states ---------------------------------------------------------------------------------------------------

WORDS = {
    JobState.QUEUED: ["pending", "staged", "queued", "starting", "created"],
    JobState.RUNNING: ["processing", "running", "in_progress", "retry"],
    JobState.SUCCEEDED: ["completed", "complete", "success", "succeeded", "finished"],
    JobState.FAILED: ["failed", "failure", "error"],
    JobState.CANCELED: ["cancelled", "canceled"],
}


@pytest.mark.parametrize(
    "dress", [str, str.capitalize, str.upper, " {} ".format], ids=["as-is", "Capital", "UPPER", "spaced"]
)
@pytest.mark.parametrize(
    ("word", "state"), [(word, state) for state, words in WORDS.items() for word in words]
)
def test_ambiguity_1_every_status_word_has_its_state_in_any_case(word, state, dress):
    assert read(task(dress(word))).state is state


@pytest.mark.parametrize("word", ["tomorrow", "", None, 7])
def test_ambiguity_2_an_unknown_status_is_running_until_the_deadline_and_told_once(word):
    job = read(task(word, output={"image_url": RESULT}))
    assert (job.state, job.urls) == (JobState.RUNNING, ())
    poller = Poller(vendor=VENDOR.name, job_id=ID, schedule=Schedule(2, 1, 15), submitted_at=0, deadline=100)
    decisions = [poller.after_poll(job, now) for now in (2, 10, 50, 100)]
    assert [bool(decision.message) for decision in decisions[:3]] == [True, False, False]
    assert decisions[3].outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize("word", ["pending", "processing", "failed", "cancelled"])
@pytest.mark.parametrize(
    "output", [{"video": ""}, {"type": "", "status": 0, "works": None}, {"image_url": RESULT}, RESULT]
)
def test_an_output_before_completed_is_no_output(word, output):
    job = read(task(word, output=output))
    assert not job.has_output


@pytest.mark.parametrize("word", ["pending", "staged"])
def test_ambiguity_14_a_task_over_the_concurrency_waits_at_the_vendor(word):
    assert VENDOR.read_submitted("face_swap", answer(envelope(task(word)))).state is JobState.QUEUED


# -- output ---------------------------------------------------------------------------------------------------

OTHER = "https://img.theapi.app/temp/1.png"


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        ({"image_url": RESULT, "image_base64": ""}, (RESULT,)),
        ({"image_url": RESULT, "image_urls": [RESULT, OTHER]}, (RESULT, OTHER)),
        ({"image_url": "", "image_urls": [OTHER, RESULT]}, (OTHER, RESULT)),
        ({"image_urls": None, "images": [{"url": RESULT}, OTHER]}, (RESULT, OTHER)),
        ({"image": RESULT}, (RESULT,)),
        ({"image": {"url": RESULT}}, (RESULT,)),
        ({"output_url": RESULT}, (RESULT,)),
        ({"url": RESULT}, (RESULT,)),
        ({"result": RESULT}, (RESULT,)),
        ({"image_url": RESULT, "url": "https://elsewhere.test/"}, (RESULT,)),
        ({"video_url": RESULT}, (RESULT,)),
        ({"video": RESULT}, (RESULT,)),
        ({"video": {"url": RESULT}}, (RESULT,)),
        (RESULT, (RESULT,)),
        ([RESULT, OTHER], (RESULT, OTHER)),
    ],
)
def test_ambiguity_4_the_output_is_found_wherever_a_page_or_a_client_saw_it(output, urls):
    job = read(task("completed", output=output))
    assert job.urls == urls
    assert job.inline == ()


@pytest.mark.parametrize("link", ["https://anywhere.example.org/x", "http://127.0.0.1/x"])
def test_ambiguity_24_no_host_of_an_output_is_preferred_here(link):
    assert read(task("completed", output={"image_url": link})).urls == (link,)


@pytest.mark.parametrize(
    "output",
    [
        {"image_url": "", "image_base64": JPEG64},
        {"image_base64": f"data:image/jpeg;base64,{JPEG64}"},
        {"data": [{"b64_json": JPEG64}]},
    ],
)
def test_ambiguity_5_an_inline_output_is_decoded_with_and_without_a_prefix_and_never_shown(output):
    job = read(task("completed", output=output))
    assert (job.urls, job.inline) == ((), (JPEG,))
    assert job.has_output
    assert "rest" not in repr(job)
    assert "inline" not in job.model_dump()


@pytest.mark.parametrize(
    "output", [None, {}, {"image_url": ""}, {"image_base64": "***"}, "", "soon", 5, {"image_url": "/x"}]
)
def test_ambiguity_15_completed_without_an_output_succeeds_with_none_for_the_watch_to_ask_again(output):
    job = read(task("completed", output=output))
    assert (job.state, job.has_output) == (JobState.SUCCEEDED, False)


def test_ambiguity_4_an_output_of_an_unknown_shape_ends_with_its_keys_and_without_its_values():
    job = read(task("completed", output={"gif_link": "ipfs://topsecret", "frames": 3}))
    text = str(WaitResult(outcome=Outcome.NO_OUTPUT, vendor=VENDOR.name, job_id=ID, job=job).to_error())
    assert "gif_link" in text
    assert "topsecret" not in text


# -- the task object ------------------------------------------------------------------------------------------


def test_ambiguity_20_what_the_vendor_echoes_is_not_compared():
    echo = task("completed", task_type="face-swap", model="other", config={"service_mode": ""}, output=RESULT)
    assert read(echo, kind="multi_face_swap").kind == "multi_face_swap"


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02T03:04:06.5Z", datetime(2026, 1, 2, 3, 4, 6, 500000, tzinfo=UTC)),
        ("2026-01-02T03:04:06Z", datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)),
        (ZERO, None),
        ("", None),
        (None, None),
        ("soon", None),
        (1735689600, None),
    ],
)
def test_ambiguity_21_a_moment_is_aware_or_not_yet(value, moment):
    job = read(task("processing", meta={"created_at": value, "ended_at": value}))
    assert (job.created_at, job.finished_at) == (moment, moment)


@pytest.mark.parametrize("empty", [None, {}])
def test_ambiguity_22_logs_error_and_meta_may_be_null(empty):
    job = read(task("failed", logs=empty, error=empty, meta=empty, output=empty, input=empty, config=empty))
    assert (job.state, job.failure, job.cost) == (JobState.FAILED, None, None)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"type": "point", "frozen": 0, "consume": 100000}, Cost(amount=100000, unit="point")),
        ({"type": "point", "frozen": 200000, "consume": 0}, Cost(amount=200000, unit="point")),
        ({"type": "llm", "consume": 5}, Cost(amount=5, unit="point")),
        ({"frozen": 0, "consume": 0}, None),
        ({}, None),
        (None, None),
        ("100", None),
        ({"consume": "many"}, None),
    ],
)
def test_ambiguities_9_and_10_the_charge_is_the_raw_number_of_points(usage, cost):
    assert read(task("completed", meta={"usage": usage})).cost == cost


def test_a_task_without_an_envelope_is_read_too():
    job = VENDOR.read_submitted("task", answer(task("processing")))
    assert (job.job_id, job.state) == (ID, JobState.RUNNING)


def test_a_code_that_is_not_200_is_no_refusal_where_there_is_a_task():
    job = VENDOR.read_submitted("face_swap", answer(envelope(task(), code=0, message="ok")))
    assert job.job_id == ID


@pytest.mark.parametrize("status", [200, 400, 500])
def test_ambiguity_11_a_failed_task_counts_whatever_the_http_status(status):
    data = task("failed", input=None, error={"code": 10000, "message": "failed to get valid image"})
    job = VENDOR.read_submitted("face_swap", answer(envelope(data, code=status), status))
    assert (job.job_id, job.state, job.failure) == (ID, JobState.FAILED, "failed to get valid image")
    error = WaitResult(outcome=Outcome.FAILED, vendor=VENDOR.name, job_id=ID, job=job).to_error()
    assert type(error) is InvalidRequestError
    assert error.job_id == ID


@pytest.mark.parametrize(
    ("data", "message", "text"),
    [
        ({"error": {"message": "one", "detail": "two", "raw_message": "three", "code": 4}}, "five", "one"),
        ({"error": {"message": "", "detail": "two", "raw_message": "three", "code": 4}}, "five", "two"),
        (
            {"error": {"message": "", "detail": {"why": "two"}, "raw_message": "three"}},
            "five",
            '{"why": "two"}',
        ),
        ({"error": {"message": "", "detail": None, "raw_message": "three", "code": 4}}, "five", "three"),
        ({"error": {"message": "", "raw_message": "", "code": 4}}, "five", "error code 4"),
        ({"error": {"message": "", "code": "E4"}}, "five", "error code E4"),
        ({"error": {"code": 0}}, "five", "five"),
        ({"error": None, "fail_reason": "seven"}, "success", "seven"),
        (
            {"error": {"message": f"cannot fetch {SIGNED}"}},
            "success",
            "cannot fetch https://bucket.test/a.png",
        ),
    ],
)
def test_the_failure_text_is_looked_for_in_the_order_of_the_contract(data, message, text):
    job = VENDOR.read_job("face_swap", answer(envelope(task("failed", **data), message=message)), job_id=ID)
    assert job.failure == text


@pytest.mark.parametrize(
    ("text", "cls"),
    [
        ("failed to get valid image", InvalidRequestError),
        ("Failed to get valid video", InvalidRequestError),
        ("no face found in the image", NoFaceError),
        ("No face", NoFaceError),
        ("face not clear", NoFaceError),
        ("Invalid request", InvalidRequestError),
        ("insufficient points", InsufficientBalanceError),
        ("not enough credit", InsufficientBalanceError),
        ("quota used up", InsufficientBalanceError),
        ("NSFW content", ContentRefusedError),
        ("stopped by moderation", ContentRefusedError),
        ("sensitive content", ContentRefusedError),
        # Transient words, and words nobody knows: a new job may do better.
        ("rate limit reached", JobFailedError),
        ("too many tasks", JobFailedError),
        ("concurrency exceeded", JobFailedError),
        ("timeout", JobFailedError),
        ("internal error, retry", JobFailedError),
        ("what is this", JobFailedError),
    ],
)
def test_ambiguity_12_a_failed_task_is_sorted_by_the_fragments_that_clients_know(text, cls):
    job = read(task("failed", error={"code": 10000, "message": text}))
    error = WaitResult(outcome=Outcome.FAILED, vendor=VENDOR.name, job_id=ID, job=job).to_error()
    assert type(error) is cls
    assert text in str(error)


# -- refusals -------------------------------------------------------------------------------------------------

CLASSES = [
    (400, InvalidRequestError),
    (401, AuthenticationError),
    (402, InsufficientBalanceError),
    (403, PermissionDeniedError),
    (404, InvalidRequestError),
    (413, InvalidRequestError),
    (422, InvalidRequestError),
    (429, RateLimitError),
    (503, VendorUnavailableError),
]


@pytest.mark.parametrize(("status", "cls"), [*CLASSES, (301, InvalidRequestError)])
@pytest.mark.parametrize(
    "body", [{"code": 7, "message": "m", "data": None}, "", "404 page not found", "<html>", "{"]
)
def test_a_refused_create_has_the_class_of_its_status_whatever_the_body(status, cls, body):
    with pytest.raises(VendorError) as caught:
        VENDOR.read_submitted("face_swap", answer(body, status))
    assert type(caught.value) is cls
    assert caught.value.status_code == status


@pytest.mark.parametrize(("code", "cls"), CLASSES)
@pytest.mark.parametrize("data", [None, {}, "text"])
def test_a_code_of_400_or_more_under_a_status_of_200_means_the_same(code, cls, data):
    with pytest.raises(VendorError) as caught:
        VENDOR.read_submitted("face_swap", answer(envelope(data, code=code, message="m")))
    assert type(caught.value) is cls
    assert caught.value.message == "m"


@pytest.mark.parametrize(
    "reply",
    [
        answer("<html>", 500),
        answer("<html>", 502),
        answer("<html>", 504),
        answer("<html>", 524),
        answer(envelope(None, code=500)),
        # Under another status than 200 the code does not turn a doubt into a no.
        answer(envelope(None, code=503), 500),
        answer(envelope(None, code=429), 502),
        answer(envelope(None)),
        answer(envelope({})),
        answer(""),
        answer("<html>"),
        answer([]),
        answer({"data": {"status": "pending"}}),
        answer({"data": {"task_id": ""}}),
    ],
)
def test_ambiguity_28_a_create_whose_answer_leaves_it_open_may_have_been_accepted(reply):
    with pytest.raises(SubmissionUncertainError):
        VENDOR.read_submitted("face_swap", reply)


@pytest.mark.parametrize("status", [429, 503])
def test_a_create_refused_with_a_task_in_the_body_is_that_task(status):
    assert VENDOR.read_submitted("face_swap", answer(envelope(task()), status)).job_id == ID


@pytest.mark.parametrize(("header", "seconds"), [("12", 12.0), ("soon", None)])
def test_ambiguity_13_too_many_requests_carries_the_wait_that_was_asked_for(header, seconds):
    assert read_fails("", 429, retry_after=header).retry_after == seconds
    assert read_fails(envelope(None, code=429), retry_after=header).retry_after == seconds


def test_ambiguity_14_concurrency_refused_as_a_bad_request_is_a_limit_all_the_same():
    error = read_fails({"code": 400, "message": "Concurrent task limit reached"}, 400, retry_after="5")
    assert type(error) is RateLimitError
    assert error.retry_after == 5


@pytest.mark.parametrize(
    ("body", "status"),
    [("404 page not found", 404), (envelope(None, 404, "task not found"), 404), (envelope(None, 404), 200)],
)
def test_ambiguity_15_a_task_that_is_gone_is_lost_after_a_grace_for_new_ones(body, status):
    error = read_fails(body, status)
    assert type(error) is JobLostError
    assert error.job_id == ID
    assert "expired" in str(error)

    def decide(age):
        return Poller(
            vendor=VENDOR.name,
            job_id=ID,
            schedule=Schedule(2, 1, 15),
            submitted_at=0,
            deadline=600,
            grace=VENDOR.not_found_grace,
        ).after_error(error, age)

    assert isinstance(decide(20), Wait)
    assert decide(40).outcome is Outcome.LOST


@pytest.mark.parametrize("body", ["", "<html>", [], envelope(None), envelope([])])
def test_a_result_that_cannot_be_read_is_worth_asking_again(body):
    assert type(read_fails(body)) is MalformedResponseError


def test_a_refusal_with_an_openai_style_error_tells_its_text():
    for error in ({"message": "bad key"}, "bad key"):
        with pytest.raises(AuthenticationError) as caught:
            VENDOR.read_submitted("face_swap", answer({"error": error}, 401))
        assert caught.value.message == "bad key"


# -- cancel and account ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "confirmed"),
    [
        (answer({"code": 200, "message": "success"}), True),
        (answer(envelope({"task_id": ID, "status": "cancelled"})), True),
        (answer({"code": 400, "message": "not pending"}), False),
        (answer({"code": 200}, 404), False),
        (answer("<html>", 502), False),
    ],
)
def test_ambiguity_3_a_cancel_is_confirmed_by_status_and_code_together(reply, confirmed):
    assert VENDOR.cancellation.read(ID, reply) is confirmed


def test_the_account_says_what_matters_before_a_job_is_bought():
    data = {
        "name": "studio",
        "plan": "pro",
        "equivalent_in_usd": 1.5,
        "max_concurrent_task_count": 30,
        "credit_pack_info": {"available_credits": 7},
        "notification_hook_url": SIGNED,
    }
    text = VENDOR.read_account(answer(envelope(data)))
    assert text == "account studio, plan pro, balance worth 1.50 USD, 7 credits, at most 30 tasks at once"
    assert (
        VENDOR.read_account(answer(envelope({"name": "studio", "credit_pack_info": None})))
        == "account studio"
    )


@pytest.mark.parametrize(
    ("reply", "cls"),
    [
        (answer(envelope(None, 401, "bad key"), 401), AuthenticationError),
        (answer(envelope(None, 401, "bad key")), AuthenticationError),
        (answer(envelope({}, 401, "bad key")), AuthenticationError),
        (answer(envelope({}, "401", "bad key")), AuthenticationError),
        (answer(envelope({"equivalent_in_usd": 1}, 403, "disabled")), PermissionDeniedError),
        (answer("", 403), PermissionDeniedError),
        (answer("<html>", 502), VendorUnavailableError),
        (answer("<html>"), MalformedResponseError),
    ],
)
def test_an_account_that_cannot_be_read_says_why(reply, cls):
    for read_account in (VENDOR.read_account, VENDOR.balances.read):
        with pytest.raises(VendorError) as caught:
            read_account(reply)
        assert type(caught.value) is cls


def test_what_an_account_is_called_is_shown_without_a_signed_query():
    text = VENDOR.read_account(answer(envelope({"name": f"see {SIGNED}", "plan": f"by {SIGNED}"})))
    assert text == "account see https://bucket.test/a.png, plan by https://bucket.test/a.png"


# -- any answer at all ----------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
USAGE = st.fixed_dictionaries({}, optional=dict.fromkeys(("consume", "frozen"), JSON))
TASKS = st.fixed_dictionaries(
    {"task_id": st.just(ID)},
    optional={
        "status": JSON | st.sampled_from(["completed", "failed"]),
        "meta": JSON
        | st.fixed_dictionaries({}, optional={"created_at": JSON, "ended_at": JSON, "usage": USAGE | JSON}),
        "error": JSON
        | st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("message", "code", "detail", "raw_message"), JSON)
        ),
        "output": JSON
        | st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("image_url", "image_urls", "image_base64", "data"), JSON)
        ),
    },
)
ENVELOPES = st.fixed_dictionaries({"data": TASKS}, optional={"code": JSON, "message": JSON, "error": JSON})


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(body=ENVELOPES | TASKS | JSON, status=st.sampled_from([200, 400, 500]))
def test_no_answer_to_a_paid_create_escapes_the_error_tree(body, status):
    """Any other exception would look like a create that bought nothing, and be bought again."""
    with suppress(FaceSwapError):
        VENDOR.read_submitted("face_swap", answer(body, status))


@pytest.mark.parametrize(
    "odd",
    [
        {"error": "text"},
        {"error": ["text"]},
        {"error": {"message": 5}},
        {"meta": "text"},
        {"meta": [1]},
        {"meta": {"usage": {"consume": 10**400}}},
        {"output": {"data": 5}},
        {"output": {"data": "text"}},
        {"output": {"image_base64": "ключ"}},
    ],
    ids=[
        "error-text",
        "error-list",
        "message-number",
        "meta-text",
        "meta-list",
        "huge-charge",
        "data-number",
        "data-text",
        "not-ascii",
    ],
)
@pytest.mark.parametrize("word", ["pending", "completed", "failed"])
def test_an_odd_field_in_a_paid_answer_does_not_lose_the_job(word, odd):
    assert VENDOR.read_submitted("face_swap", answer(envelope(task(word, **odd)))).job_id == ID


# -- the cause of a failure, and the outputs of any task -------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "text", "reason"),
    [
        (
            {"error": {"message": "task failed", "raw_message": "content policy violation"}},
            "content policy violation",
            FailureReason.CONTENT_REFUSED,
        ),
        (
            {"error": {"message": "task failed", "detail": {"reason": "no face in swap_image"}}},
            "no face in swap_image",
            FailureReason.NO_FACE,
        ),
        (
            {"error": {"code": 10000}, "logs": ["step 1", "Error: nsfw image"]},
            "Error: nsfw image",
            FailureReason.CONTENT_REFUSED,
        ),
        (
            {
                "error": None,
                "logs": [{"time": "12:00", "message": "prompt was flagged by the safety system"}],
            },
            "prompt was flagged by the safety system",
            FailureReason.CONTENT_REFUSED,
        ),
        (
            {"error": {"message": "Internal error."}, "logs": ["moderation: passed", "CUDA error 700"]},
            "CUDA error 700",
            FailureReason.UNKNOWN,
        ),
        (
            {"error": "no face found", "logs": {"odd": 1}},
            "no face found",
            FailureReason.NO_FACE,
        ),
    ],
)
def test_the_cause_of_a_failure_is_found_in_all_of_its_places(more, text, reason):
    job = read(task("failed", **more))
    assert text in job.failure
    assert job.failure_reason is reason


def test_a_refused_create_tells_the_cause_that_is_in_the_log_of_its_unborn_task():
    data = {"task_id": "", "status": "failed", "logs": ["prompt: banned word"], "error": {"code": 10000}}
    with pytest.raises(ContentRefusedError, match="banned word"):
        VENDOR.read_submitted("task", answer(envelope(data, 500, "failed"), 500))


CLEAN, MARKED, COVER = (
    "https://cdn.test/clean.mp4",
    "https://cdn.test/marked.mp4",
    "https://cdn.test/cover.png",
)
ONE, TWO, GRID = "https://cdn.test/1.png", "https://cdn.test/2.png", "https://cdn.test/grid.png"
SOUND, MESH = "https://cdn.test/a.mp3", "https://cdn.test/a.glb"


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        # A watermark
        ({"works": [{"video": {"resource": MARKED, "resource_without_watermark": CLEAN}}]}, (CLEAN,)),
        ({"works": [{"video": {"resource": MARKED, "resource_without_watermark": ""}}]}, (MARKED,)),
        ({"videos": [{"url": MARKED, "urlNoWatermark": CLEAN}]}, (CLEAN,)),
        ({"video_url": MARKED, "video_url_without_watermark": CLEAN}, (CLEAN,)),
        ({"watermark_url": MARKED, "watermark_free_url": CLEAN}, (CLEAN,)),
        ({"no_watermark": {"url": CLEAN}, "watermarked": {"url": MARKED}}, (CLEAN,)),
        ({"watermarked_video_url": MARKED, "video_url": CLEAN}, (CLEAN,)),
        ({"a": {"watermark_url": MARKED}, "b": {"url": CLEAN}}, (CLEAN, MARKED)),
        (
            {"clips": [{"resource": ONE}, {"resource": MARKED, "resource_without_watermark": CLEAN}]},
            (CLEAN, ONE),
        ),
        # Previews
        ({"video": CLEAN, "cover_url": COVER, "thumbnail": {"url": ONE}}, (CLEAN,)),
        ({"cover": {"resource": COVER}}, (COVER,)),
        ({"video_raw": {"url": CLEAN, "poster_image": COVER}}, (CLEAN,)),
        # Shapes
        ({"audio_url": SOUND}, (SOUND,)),
        ({"clips": {"x": {"image_url": ONE, "audio_url": SOUND}}}, (SOUND, ONE)),
        ({"no_background_image": ONE, "combined_video": CLEAN, "model_file": MESH}, (MESH, CLEAN, ONE)),
        ({"data": [{"url": ONE}, {"url": TWO}]}, (ONE, TWO)),
        ({"image_urls": [TWO, ONE], "image_url": ONE}, (ONE, TWO)),
        ({"a": {"b": {"c": {"d": {"e": [[ONE]]}}}}}, (ONE,)),
        ([{"x": ONE}, TWO], (ONE, TWO)),
        (ONE, (ONE,)),
        ({"prompt": f"{TWO} at night", "result": {"file": ONE}}, (ONE,)),
        # Midjourney: the four single pictures before the grid
        (
            {
                "image_url": GRID,
                "image_urls": None,
                "temporary_image_urls": [ONE, TWO],
                "discord_image_url": "https://cdn.test/discord.png",
                "intermediate_image_urls": ["https://cdn.test/half.png"],
                "progress": 100,
                "actions": ["reroll"],
            },
            (ONE, TWO, GRID),
        ),
    ],
)
def test_every_link_in_the_output_of_any_task_is_found_and_the_best_is_first(output, urls):
    assert read(task("completed", output=output), kind="task").urls == urls


def test_the_output_of_a_face_swap_is_under_known_keys_only():
    output = {"target": TARGET, "debug": {"mask": ONE}}
    assert read(task("completed", output=output)).urls == ()
    assert read(task("completed", output={**output, "image_url": TWO})).urls == (TWO,)


def test_an_inline_file_of_any_task_is_decoded():
    job = read(task("completed", output={"audio_base64": JPEG64, "length": 3}), kind="task")
    assert (job.urls, job.inline) == ((), (JPEG,))


@pytest.mark.parametrize(
    "output",
    [
        {"works": [{"resource": f"https://cdn.test/{number}.png"} for number in range(9000)]},
        {"k" * 500_000: [f"https://cdn.test/{number}.png" for number in range(9000)]},
        {"x": "https://cdn.test/" + "a" * 1_000_000, "resource_without_watermark": ""},
        {"no " * 300_000: ONE},
    ],
    ids=["many", "long-key", "long-link", "many-words"],
)
def test_the_links_of_a_megabyte_are_found_quickly(output):
    began = time.process_time()
    assert read(task("completed", output=output), kind="task").has_output
    assert time.process_time() - began < 2
