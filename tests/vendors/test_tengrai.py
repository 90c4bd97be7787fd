"""
Tengrai's wire, without a wire.

Ambiguity numbers are those of section 5 of the vendor's contract notes; a test that answers one names it.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobLostError,
    MalformedResponseError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionUncertainError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.jobs import FailureReason, JobState
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, WaitResult
from airflow_provider_faceswap.lifecycle.polling import Poller, Schedule, Wait
from airflow_provider_faceswap.vendors.messages import Reply
from airflow_provider_faceswap.vendors.tengrai import Tengrai

VENDOR = Tengrai()
ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
TARGET = "https://pictures.test/target.jpg"
FACE = "https://pictures.test/face.jpg"
HOOK = "https://hook.test/x"
RESULT = "https://cdn.test/result.webp"
SIGNED = "https://bucket.test/a.png?X-Signature=topsecret"
SWAP = {"target_image": TARGET, "face_image": FACE}


def answer(body, status=200, **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, text, {name.replace("_", "-"): value for name, value in headers.items()})


def artwork(status="starting", **more):
    return {
        "id": ID,
        "artworkType": "face_swap",
        "parameters": {},
        "duration": 0,
        "results": [],
        "status": status,
        "createdAt": "2024-07-29T15:51:28.071Z",
        **more,
    }


def read(body, status=200):
    return VENDOR.read_job("face_swap", answer(body, status), job_id=ID)


def read_fails(body, status=200):
    with pytest.raises(FaceSwapError) as caught:
        read(body, status)
    return caught.value


def refused(kind="face_swap", **arguments):
    with pytest.raises(InvalidRequestError) as caught:
        VENDOR.submit(kind, arguments)
    return str(caught.value)


# -- requests -------------------------------------------------------------------------------------------------

SWAP_WIRE = {"targetImage": TARGET, "sourceImage": FACE}
BODIES = [
    ("face_swap", SWAP, "/v2/artworks/face-swap", SWAP_WIRE),
    (
        "face_swap",
        {**SWAP, "denoising": 3, "seed": 7, "output_format": "png", "webhook": HOOK},
        "/v2/artworks/face-swap",
        {**SWAP_WIRE, "denoising": 3, "seed": 7, "outputFormat": "png", "webhook": HOOK},
    ),
    (
        "selena",
        {"parameters": {"prompt": "a cat", "promptMode": "servitor", "batch": 1}, "webhook": HOOK},
        "/v2/artworks/selena",
        {"prompt": "a cat", "promptMode": "servitor", "batch": 1, "webhook": HOOK},
    ),
    (
        "selena_variete",
        {"parameters": {"imageUrl": TARGET, "processingMode": "3d"}},
        "/v2/artworks/selena-variete",
        {"imageUrl": TARGET, "processingMode": "3d"},
    ),
    (
        "quantum",
        {"parameters": {"prompt": "p", "nsfw": False}},
        "/v2/artworks/quantum",
        {"prompt": "p", "nsfw": False},
    ),
    ("hamilton", {"parameters": {"prompt": "p"}}, "/v2/artworks/hamilton", {"prompt": "p"}),
    (
        "photo_pilot",
        {
            "parameters": {
                "imageUrl": TARGET,
                "imageGuidance": 3,
                "modification": 1,
                "creativity": 5,
                "effort": 2,
            }
        },
        "/v2/artworks/photo-pilot",
        {"imageUrl": TARGET, "imageGuidance": 3, "modification": 1, "creativity": 5, "effort": 2},
    ),
    (
        "face_refiner",
        {"parameters": {"imageUrl": TARGET, "denoising": 5}},
        "/v2/artworks/face-refiner",
        {"imageUrl": TARGET, "denoising": 5},
    ),
    (
        "upscaling",
        {"parameters": {"imageUrl": TARGET, "scaleFactor": 2.5}},
        "/v2/artworks/upscaling",
        {"imageUrl": TARGET, "scaleFactor": 2.5},
    ),
    (
        "detailer_upscaler",
        {"parameters": {"imageUrl": TARGET}},
        "/v2/artworks/detailer-upscaler",
        {"imageUrl": TARGET},
    ),
    (
        "remove_background",
        {"parameters": {"imageUrl": TARGET, "outputFormat": "png"}},
        "/v2/artworks/remove-background",
        {"imageUrl": TARGET, "outputFormat": "png"},
    ),
    (
        "segmentation",
        {
            "parameters": {
                "imageUrl": TARGET,
                "method": "points",
                "pointsPositive": {"points": [[1, 2]], "labels": [1]},
            }
        },
        "/v2/artworks/segmentation",
        {"imageUrl": TARGET, "method": "points", "pointsPositive": {"points": [[1, 2]], "labels": [1]}},
    ),
    (
        "depth_map",
        {"parameters": {"imageUrl": TARGET, "invertDepth": True}},
        "/v2/artworks/depth-map",
        {"imageUrl": TARGET, "invertDepth": True},
    ),
    ("style_dna_anchor", {"parameters": {}}, "/v2/style-dna/generate-anchor", {}),
    (
        "style_dna",
        {"parameters": {"visualPrompt": "p", "anchorImageUrl": TARGET, "description": "d"}},
        "/v2/style-dna/generate",
        {"visualPrompt": "p", "anchorImageUrl": TARGET, "description": "d"},
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "path", "body"), BODIES)
def test_each_kind_is_created_with_the_body_of_the_contract(kind, arguments, path, body):
    request = VENDOR.submit(kind, arguments)
    assert (request.method, request.path, dict(request.params)) == ("POST", path, {})
    assert request.body == body


def test_the_table_of_bodies_knows_every_kind():
    assert {row[0] for row in BODIES} == set(VENDOR.kinds)


@pytest.mark.parametrize("kind", ["face_swap", "selena", "style_dna"])
def test_one_endpoint_reads_every_kind(kind):
    request = VENDOR.fetch(kind, ID)
    assert (request.method, request.path, request.body) == ("GET", f"/v2/artworks/{ID}", None)


@pytest.mark.parametrize("job_id", ["../organizations/x", "a/b", "a?limit=500", "a#b"])
def test_an_id_that_is_no_path_segment_cannot_reach_another_path(job_id):
    path = VENDOR.fetch("face_swap", job_id).path
    assert path.count("/") == 3
    assert not set("?# ") & set(path)


@pytest.mark.parametrize(
    "unset", [{}, {"seed": None, "output_format": None, "denoising": None, "webhook": None}]
)
def test_ambiguity_2_what_the_user_did_not_set_is_not_sent(unset):
    assert set(VENDOR.submit("face_swap", {**SWAP, **unset}).body) == {"sourceImage", "targetImage"}
    parameters = {"imageUrl": TARGET, "seed": None, "outputFormat": None}
    assert set(VENDOR.submit("face_refiner", {"parameters": parameters}).body) == {"imageUrl"}


def test_the_key_is_a_bearer_token():
    assert VENDOR.headers("key", {}) == {"Authorization": "Bearer key"}


def test_ambiguity_12_a_list_of_one_is_the_free_proof_of_the_key():
    request = VENDOR.account({})
    assert (request.method, request.path, request.body) == ("GET", "/v2/artworks", None)
    assert dict(request.params) == {"limit": "1"}


def test_there_is_no_cancel():
    assert VENDOR.cancellation is None


@pytest.mark.parametrize(
    ("host", "base"),
    [
        (None, "https://api.tengr.ai"),
        ("", "https://api.tengr.ai"),
        ("https://proxy.test/", "https://proxy.test"),
        ("https://proxy.test/v2", "https://proxy.test"),
        ("https://proxy.test/v2/", "https://proxy.test"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_ambiguity_1_the_host_is_the_connections_and_only_assumed_without_one(host, base):
    assert VENDOR.base_url(host) == base


def test_ambiguity_14_everything_is_kept_eight_days():
    assert {spec.retention for spec in VENDOR.kinds.values()} == {timedelta(days=8)}


# -- arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["target_image", "face_image"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "a.jpg",
        "ftp://a.test/a?sig=topsecret",
        "data:image/png;base64,dG9wc2VjcmV0",
        "https://",
        5,
        b"x",
    ],
)
def test_a_picture_is_an_http_url_and_nothing_else(name, value):
    text = refused(**{**SWAP, name: value})
    assert name in text
    assert "topsecret" not in text
    assert "dG9wc2VjcmV0" not in text


@pytest.mark.parametrize("name", ["target_image", "face_image"])
def test_a_missing_picture_is_named(name):
    assert name in refused(**{key: value for key, value in SWAP.items() if key != name})


@pytest.mark.parametrize("value", [1, 5, "4"])
def test_ambiguity_11_denoising_inside_its_range_is_taken(value):
    assert VENDOR.submit("face_swap", {**SWAP, "denoising": value}).body["denoising"] == int(value)


@pytest.mark.parametrize("value", [0, 6, -1, 2.5, "strong", True])
def test_ambiguity_11_denoising_is_a_whole_number_of_1_to_5(value):
    assert "denoising" in refused(**SWAP, denoising=value)
    assert "denoising" in refused("face_refiner", parameters={"imageUrl": TARGET, "denoising": value})


@pytest.mark.parametrize("value", [1, 2_147_483_647])
def test_ambiguity_11_a_seed_inside_its_range_is_taken(value):
    assert VENDOR.submit("face_swap", {**SWAP, "seed": value}).body["seed"] == value


@pytest.mark.parametrize("value", [0, -1, 2_147_483_648, 1.5, "x", True])
def test_ambiguity_11_a_seed_is_1_to_2147483647(value):
    assert "seed" in refused(**SWAP, seed=value)
    assert "seed" in refused("upscaling", parameters={"imageUrl": TARGET, "seed": value})


@pytest.mark.parametrize("value", ["auto", "png", "webp"])
def test_ambiguity_11_a_known_output_format_is_taken(value):
    assert VENDOR.submit("face_swap", {**SWAP, "output_format": value}).body["outputFormat"] == value


@pytest.mark.parametrize("value", ["jpg", "PNG", "", 1])
def test_ambiguity_11_an_unknown_output_format_is_refused(value):
    assert "output_format" in refused(**SWAP, output_format=value)
    assert "outputFormat" in refused("upscaling", parameters={"imageUrl": TARGET, "outputFormat": value})


@pytest.mark.parametrize("kind", ["face_swap", "selena"])
@pytest.mark.parametrize("value", ["http://hook.test/x", "hook.test", "", "ftp://hook.test/?token=topsecret"])
def test_ambiguity_10_a_webhook_must_be_https(kind, value):
    arguments = SWAP if kind == "face_swap" else {"parameters": {"prompt": "p"}}
    texts = [refused(kind, **arguments, webhook=value)]
    if kind != "face_swap":
        texts.append(refused(kind, parameters={"prompt": "p", "webhook": value}))
    assert all("webhook: must be" in text and "topsecret" not in text for text in texts)


def test_ambiguity_10_a_webhook_among_the_parameters_travels_as_one_beside_them():
    within = VENDOR.submit("selena", {"parameters": {"prompt": "p", "webhook": HOOK}})
    assert within.body == VENDOR.submit("selena", {"parameters": {"prompt": "p"}, "webhook": HOOK}).body


@pytest.mark.parametrize("value", [HOOK, "https://10.0.0.1/x", "https://localhost/x"])
def test_ambiguity_10_the_host_of_a_webhook_is_left_to_the_server(value):
    assert VENDOR.submit("face_swap", {**SWAP, "webhook": value}).body["webhook"] == value


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("selena_variete", "imageUrl"),
        ("photo_pilot", "imageGuidance"),
        ("photo_pilot", "effort"),
        ("face_refiner", "imageUrl"),
        ("upscaling", "imageUrl"),
        ("detailer_upscaler", "imageUrl"),
        ("remove_background", "imageUrl"),
        ("segmentation", "method"),
        ("depth_map", "imageUrl"),
        ("style_dna", "anchorImageUrl"),
        ("style_dna", "visualPrompt"),
        ("style_dna", "description"),
    ],
)
def test_a_parameter_that_the_pages_mark_as_required_is_missed_before_anything_is_sent(kind, missing):
    assert f"parameters.{missing}: Field required" in refused(kind, parameters={})


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("upscaling", "imageUrl", SIGNED.replace("https", "ftp")),
        ("photo_pilot", "imageGuidance", 4),
        ("photo_pilot", "modification", 0),
        ("photo_pilot", "imageGuidance", True),
        ("photo_pilot", "effort", True),
        ("segmentation", "method", "topsecret"),
    ],
)
def test_a_parameter_outside_its_range_is_named_but_not_shown(kind, name, value):
    text = refused(kind, parameters={name: value})
    assert f"parameters.{name}: " in text
    assert "topsecret" not in text


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        b"topsecret",
        datetime(2026, 1, 1, tzinfo=UTC),
        [object()],
        {"x": object()},
        math.nan,
        math.inf,
    ],
    ids=["object", "set", "bytes", "datetime", "in-a-list", "in-a-dict", "nan", "infinity"],
)
def test_a_parameter_that_cannot_be_serialised_is_refused_before_anything_is_sent(value):
    text = refused("hamilton", parameters={"prompt": "p", "odd": value})
    assert "odd" in text
    assert "topsecret" not in text


@pytest.mark.parametrize("parameters", [None, "prompt", 3, []])
def test_parameters_must_be_given_as_a_dict(parameters):
    assert "parameters" in refused("hamilton", parameters=parameters)


def test_an_unknown_argument_is_named_but_not_shown():
    text = refused(**SWAP, sampler=SIGNED)
    assert "sampler" in text
    assert "topsecret" not in text


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(InvalidRequestError, match=r"'swap' is unknown; known: depth_map, "):
        VENDOR.submit("swap", {})


# -- states ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("starting", JobState.QUEUED),
        ("processing", JobState.RUNNING),
        ("succeeded", JobState.SUCCEEDED),
        ("done", JobState.SUCCEEDED),
        ("failed", JobState.FAILED),
        ("canceled", JobState.CANCELED),
        ("cancelled", JobState.CANCELED),
        ("Succeeded", JobState.SUCCEEDED),
        ("tomorrow", JobState.RUNNING),
        ("completed", JobState.RUNNING),
        ("", JobState.RUNNING),
        (None, JobState.RUNNING),
    ],
)
def test_ambiguity_4_every_status_word_has_its_state_and_an_unknown_one_is_running(word, state):
    job = read(artwork(word))
    assert job.state is state
    assert job.status == (word or "")


@pytest.mark.parametrize("word", ["succeeded", "failed", "canceled"])
def test_ambiguity_4_a_create_that_answers_with_an_end_is_not_waited_for(word):
    job = VENDOR.read_submitted("face_swap", answer(artwork(word, results=[RESULT]), 202))
    assert job.state.terminal


@pytest.mark.parametrize("status", [200, 201, 202])
def test_ambiguity_3_three_statuses_accept_a_create(status):
    job = VENDOR.read_submitted("face_swap", answer(artwork(), status))
    assert (job.job_id, job.state) == (ID, JobState.QUEUED)


@pytest.mark.parametrize("results", [[], None, "", [""], [None], ["string"], {}])
def test_ambiguity_5_succeeded_without_a_link_is_asked_again_and_then_malformed(results):
    job = read(artwork("succeeded", results=results))
    assert (job.state, job.has_output) == (JobState.SUCCEEDED, False)
    poller = Poller(vendor=VENDOR.name, job_id=ID, schedule=Schedule(3, 1, 15), submitted_at=0, deadline=1e6)
    decisions = [poller.after_poll(job, 10)]
    while isinstance(decisions[-1], Wait):
        decisions.append(poller.after_poll(job, 10))
    assert 3 <= len(decisions) <= 6
    assert type(decisions[-1].to_error()) is MalformedResponseError


def test_ambiguity_5_several_results_are_all_taken_in_order():
    links = ["https://cdn.test/1.webp", "https://cdn.test/2.webp"]
    assert read(artwork("succeeded", results=links)).urls == tuple(links)


@pytest.mark.parametrize("word", ["starting", "processing", "failed", "canceled", "tomorrow"])
def test_ambiguity_5_results_before_succeeded_are_not_trusted(word):
    assert read(artwork(word, results=[RESULT])).urls == ()


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, None),
        ({"error": "no luck"}, "no luck"),
        ({"message": "no luck"}, "no luck"),
        ({"failureReason": "no luck"}, "no luck"),
        ({"error": "", "message": None, "failureReason": "no luck"}, "no luck"),
        ({"failureReason": f"no luck with {SIGNED}"}, "no luck with https://bucket.test/a.png"),
    ],
)
def test_ambiguity_6_a_failure_tells_its_reason_where_some_field_has_one_else_id_and_status(more, text):
    job = read(artwork("failed", **more))
    assert job.failure == text
    error = WaitResult(outcome=Outcome.FAILED, vendor=VENDOR.name, job_id=ID, job=job).to_error()
    assert ID in str(error)
    assert (text or "failed") in str(error)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no face in targetImage", FailureReason.NO_FACE),
        ("NSFW", FailureReason.CONTENT_REFUSED),
        ("worker died", FailureReason.UNKNOWN),
    ],
)
def test_a_failed_artwork_is_sorted_by_its_text(text, reason):
    assert read(artwork("failed", error=text)).failure_reason is reason


def test_ambiguity_15_unknown_keys_are_ignored_and_all_but_the_id_may_be_missing():
    assert (
        read(artwork("processing", tomorrow=[1], parameters="odd", duration="long")).state is JobState.RUNNING
    )
    bare = read({"id": ID})
    assert (bare.state, bare.urls, bare.created_at) == (JobState.RUNNING, (), None)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-07-29T15:51:28.071Z", datetime(2024, 7, 29, 15, 51, 28, 71000, tzinfo=UTC)),
        ("2024-07-29T15:51:28+00:00", datetime(2024, 7, 29, 15, 51, 28, tzinfo=UTC)),
        ("2024-07-29T15:51:28", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (17, None),
    ],
)
def test_the_moment_of_creation_is_aware_or_unknown(value, moment):
    assert read(artwork(createdAt=value)).created_at == moment


# -- refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, InsufficientBalanceError),
        (403, PermissionDeniedError),
        (404, InvalidRequestError),
        (422, InvalidRequestError),
        (429, RateLimitError),
        (503, VendorUnavailableError),
        (307, InvalidRequestError),
    ],
)
@pytest.mark.parametrize("body", [{"message": "m", "statusCode": 200, "error": "e"}, "", "<html>", "{"])
def test_ambiguity_9_the_http_status_decides_whatever_the_body_says(status, cls, body):
    with pytest.raises(VendorError) as caught:
        VENDOR.read_submitted("face_swap", answer(body, status))
    assert type(caught.value) is cls
    assert caught.value.status_code == status


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"message": "seed must be an integer"}, "seed must be an integer"),
        (
            {"message": ["seed must be an integer", "denoising too high"]},
            "seed must be an integer; denoising too high",
        ),
        ({"message": [], "error": "Bad Request"}, "Bad Request"),
        ("plain words", "plain words"),
        ("", "without a reason"),
        ({"message": f"cannot fetch {SIGNED}"}, "cannot fetch https://bucket.test/a.png"),
    ],
)
def test_ambiguity_9_the_message_may_be_text_a_list_or_no_json_at_all(body, text):
    with pytest.raises(InvalidRequestError) as caught:
        VENDOR.read_submitted("face_swap", answer(body, 400))
    assert text in caught.value.message
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize("status", [500, 502, 504, 520])
def test_ambiguity_8_a_create_answered_by_a_server_error_may_have_been_accepted(status):
    with pytest.raises(SubmissionUncertainError, match=f"HTTP {status}"):
        VENDOR.read_submitted("face_swap", answer({"message": "m", "statusCode": status}, status))


@pytest.mark.parametrize("body", ["", "<html>", [], {}, {"status": "starting"}, {"id": None}, {"id": ""}])
def test_a_create_accepted_without_an_id_may_have_been_paid(body):
    with pytest.raises(SubmissionUncertainError):
        VENDOR.read_submitted("face_swap", answer(body, 202))


@pytest.mark.parametrize("status", [429, 503])
def test_a_create_refused_with_a_job_in_the_body_is_not_repeated(status):
    """Too many requests and unavailable may be sent again, but only where the body holds no job."""
    try:
        job = VENDOR.read_submitted("face_swap", answer(artwork(), status))
    except SubmissionUncertainError:
        return
    assert job.job_id == ID


def test_ambiguity_8_too_many_requests_carries_the_wait_that_was_asked_for():
    with pytest.raises(RateLimitError) as caught:
        VENDOR.read_job("face_swap", answer({"message": "slow down"}, 429, retry_after="30"))
    assert caught.value.retry_after == 30


def test_ambiguity_7_an_artwork_that_is_not_found_is_lost_after_a_grace_of_some_seconds():
    error = read_fails({"message": "Not Found", "statusCode": 404}, 404)
    assert type(error) is JobLostError
    assert error.job_id == ID
    assert "8 days" in str(error)
    poller = Poller(
        vendor=VENDOR.name,
        job_id=ID,
        schedule=Schedule.of(VENDOR.kind("face_swap").timing, None),
        submitted_at=0,
        deadline=600,
        grace=VENDOR.not_found_grace,
    )
    assert isinstance(poller.after_error(error, 3), Wait)
    assert isinstance(poller.after_error(error, 6), Wait)
    ending = poller.after_error(error, 60)
    assert isinstance(ending, WaitResult)
    assert ending.outcome is Outcome.LOST


@pytest.mark.parametrize("body", ["", "<html>", [], {"status": "succeeded", "results": [RESULT]}])
def test_a_result_that_cannot_be_read_is_worth_asking_again(body):
    error = read_fails(body)
    assert type(error) is MalformedResponseError
    assert error.job_id == ID


def test_a_result_refused_for_its_key_names_the_job():
    error = read_fails({"message": "Forbidden", "statusCode": 403}, 403)
    assert type(error) is PermissionDeniedError
    assert error.job_id == ID


# -- account --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [[], [artwork()]])
def test_any_list_proves_the_key(body):
    assert "key may read artworks" in VENDOR.read_account(answer(body))


@pytest.mark.parametrize(
    ("reply", "cls"),
    [
        (answer({"message": "Unauthorized"}, 401), AuthenticationError),
        (answer({"message": "wrong domain"}, 403), PermissionDeniedError),
        (answer("", 502), VendorUnavailableError),
        (answer("<html>"), MalformedResponseError),
        (answer({}), MalformedResponseError),
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
    optional={
        "status": JSON | st.sampled_from(["succeeded", "failed"]),
        **dict.fromkeys(("results", "error", "message", "createdAt", "parameters"), JSON),
    },
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(body=ANSWERS | JSON, status=st.sampled_from([202, 400, 500]))
def test_no_answer_to_a_paid_create_escapes_the_error_tree(body, status):
    """Any other exception would look like a create that bought nothing, and be bought again."""
    reply = answer(body, status)
    try:
        job = VENDOR.read_submitted("face_swap", reply)
    except FaceSwapError:
        assert status != 202 or not (isinstance(body, dict) and body.get("id"))
    else:
        assert job.job_id == str(body["id"])
