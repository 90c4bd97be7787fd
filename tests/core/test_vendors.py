"""Each vendor's quirks, as its contract's list of ambiguities says they are handled."""

from __future__ import annotations

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_faceswap import exceptions as e
from airflow_provider_faceswap.jobs import Cost, FailureReason, JobState
from airflow_provider_faceswap.vendors.base import Reply
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai

GPTUNNEL, TENGRAI, PIAPI = GPTunnel(), Tengrai(), PiAPI()
ALL = {"gptunnel": GPTUNNEL, "tengrai": TENGRAI, "piapi": PIAPI}
TARGET, FACE = "https://pictures.test/target.jpg", "https://pictures.test/face.jpg"
SWAP = {"target_image": TARGET, "face_image": FACE}


def reply(body, status=200, **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, text, {name.replace("_", "-"): value for name, value in headers.items()})


def piapi(status="completed", code=200, **task):
    return {"code": code, "message": "success", "data": {"task_id": "t1", "status": status, **task}}


# -- all of them --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "target", "face"),
    [
        ("gptunnel", "sourceImage", "faceImage"),
        ("tengrai", "targetImage", "sourceImage"),
        ("piapi", "target_image", "swap_image"),
    ],
)
def test_the_naming_trap(vendor, target, face):
    body = ALL[vendor].create("face_swap", SWAP).body
    pictures = body["input"] if vendor == "piapi" else body
    assert (pictures[target], pictures[face]) == (TARGET, FACE)


@pytest.mark.parametrize("vendor", ALL)
@pytest.mark.parametrize("picture", ["", "  ", "face.jpg", "/tmp/face.jpg", "ftp://a.test/f.jpg", "http://"])
def test_a_picture_must_be_a_full_url(vendor, picture):
    with pytest.raises(e.InvalidRequestError, match="face_image: must be a full http or https URL"):
        ALL[vendor].create("face_swap", {**SWAP, "face_image": picture})


@pytest.mark.parametrize("vendor", ALL)
def test_a_refused_argument_is_named_but_not_repeated(vendor):
    planted = "ftp://a.test/f.jpg?sig=planted"
    with pytest.raises(e.InvalidRequestError) as caught:
        ALL[vendor].create("face_swap", {**SWAP, "face_image": planted, "colour": "planted"})
    assert "planted" not in str(caught.value)
    assert "colour" in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("vendor", ALL)
def test_unset_arguments_are_not_sent(vendor):
    body = ALL[vendor].create("face_swap", {**SWAP, "webhook": None}).body
    assert "null" not in json.dumps(body)


@pytest.mark.parametrize("vendor", ALL)
def test_an_unknown_kind_is_refused_with_the_known_ones(vendor):
    with pytest.raises(e.InvalidRequestError, match=r"kind 'opera' is unknown; known: .*face_swap"):
        ALL[vendor].create("opera", {})


@pytest.mark.parametrize(
    ("vendor", "host", "base"),
    [
        ("gptunnel", None, "https://gptunnel.ru"),
        ("gptunnel", "https://proxy.test/v1/", "https://proxy.test"),
        ("tengrai", "", "https://api.tengr.ai"),
        ("tengrai", "https://api.tengr.ai/v2/", "https://api.tengr.ai"),
        ("piapi", None, "https://api.piapi.ai"),
        ("piapi", "http://127.0.0.1:8090", "http://127.0.0.1:8090"),
    ],
)
def test_the_host_is_a_base_url_and_a_pasted_version_is_cut(vendor, host, base):
    assert ALL[vendor].base_url(host) == base


@pytest.mark.parametrize("host", ["gptunnel.ru", "ftp://gptunnel.ru", "https://"])
def test_a_host_without_a_scheme_is_refused(host):
    with pytest.raises(e.InvalidRequestError, match="not a full URL"):
        GPTUNNEL.base_url(host)


@pytest.mark.parametrize(
    ("vendor", "name", "value"),
    [
        ("gptunnel", "Authorization", "KEY"),
        ("tengrai", "Authorization", "Bearer KEY"),
        ("piapi", "x-api-key", "KEY"),
    ],
)
def test_the_key_goes_where_the_vendor_wants_it(vendor, name, value):
    assert ALL[vendor].headers("KEY", {}) == {name: value}


@pytest.mark.parametrize("vendor", ALL)
@pytest.mark.parametrize("word", ["", "marinating", "RUNNING", "processing"])
def test_an_unknown_status_is_running(vendor, word):
    body = piapi(word) if vendor == "piapi" else {"id": "j1", "status": word}
    assert ALL[vendor].read_job("face_swap", reply(body), job_id="j1").state is JobState.RUNNING


@pytest.mark.parametrize("vendor", ALL)
def test_unknown_keys_are_ignored(vendor):
    body = (
        piapi("pending", surprise=1) if vendor == "piapi" else {"id": "j1", "status": "idle", "surprise": {}}
    )
    assert ALL[vendor].read_job("face_swap", reply(body), job_id="j1").job_id == "j1"


@pytest.mark.parametrize("vendor", ALL)
@pytest.mark.parametrize("body", ["", "<html>gateway</html>", "[]", "{", "null", '"text"', "{}"])
def test_an_answer_that_is_no_job_is_malformed(vendor, body):
    with pytest.raises(e.MalformedResponseError):
        ALL[vendor].read_job("face_swap", reply(body), job_id="j1")


@pytest.mark.parametrize("vendor", ALL)
@pytest.mark.parametrize(
    ("status", "body"), [(200, ""), (200, "{"), (500, "oops"), (502, "<html>"), (504, ""), (408, "")]
)
def test_a_create_that_is_not_understood_may_have_been_paid(vendor, status, body):
    with pytest.raises(e.SubmissionUncertainError, match="may have been accepted"):
        ALL[vendor].read_created("face_swap", reply(body, status))


@pytest.mark.parametrize("vendor", ALL)
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, e.InvalidRequestError),
        (401, e.AuthenticationError),
        (402, e.InsufficientBalanceError),
        (403, e.PermissionDeniedError),
        (404, e.InvalidRequestError),
        (413, e.InvalidRequestError),
        (422, e.InvalidRequestError),
        (429, e.RateLimitError),
        (451, e.ContentRefusedError),
        (503, e.VendorUnavailableError),
        (302, e.InvalidRequestError),
    ],
)
def test_a_refused_create_was_certainly_not_accepted(vendor, status, error):
    with pytest.raises(error) as caught:
        ALL[vendor].read_created("face_swap", reply("no", status))
    assert (caught.value.vendor, caught.value.status_code) == (vendor, status)


def test_retry_after_is_read_where_it_is_a_number():
    for header, seconds in (("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None)):
        with pytest.raises(e.RateLimitError) as caught:
            TENGRAI.read_created("face_swap", reply("{}", 429, retry_after=header))
        assert caught.value.retry_after == seconds


def test_a_vendors_text_is_shown_without_queries_and_shortened():
    text = "cannot fetch https://user:pw@a.test/f.jpg?sig=planted " + "x" * 2000
    with pytest.raises(e.InvalidRequestError) as caught:
        TENGRAI.read_created("face_swap", reply({"message": text}, 400))
    assert "planted" not in str(caught.value)
    assert "pw@" not in str(caught.value)
    assert len(caught.value.message) <= 500


FIELDS = st.sampled_from(
    [
        "id",
        "status",
        "usage",
        "error",
        "result",
        "results",
        "url",
        "code",
        "data",
        "task_id",
        "output",
        "meta",
        "created_at",
        "createdAt",
        "message",
        "issues",
        "percent",
        "cost",
        "total_cost",
        "image_url",
        "consume",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("vendor", ALL)
@given(body=JSON, status=st.sampled_from([200, 202, 400, 404, 500]), job_id=st.none() | st.just("j1"))
def test_whatever_comes_back_is_a_job_or_one_of_our_errors(vendor, body, status, job_id):
    for kind in ("face_swap", "image") if vendor == "gptunnel" else ("face_swap",):
        with contextlib.suppress(e.FaceSwapError):
            assert ALL[vendor].read_job(kind, reply(body, status), job_id=job_id).vendor == vendor


# -- GPTunneL (numbers are those of the contract's list) ----------------------------------------------


def task(status, **more):
    return reply({"id": "j1", "status": status, **more})


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("idle", "queued"),
        ("DONE", "succeeded"),
        ("failed", "failed"),
        ("error", "failed"),
        ("canceled", "canceled"),
        ("cancelled", "canceled"),
        ("running", "running"),
    ],
)
def test_gptunnel_1_status_words(word, state):
    assert GPTUNNEL.read_job("imagine", task(word), job_id="j1").state == state


def test_gptunnel_2_done_without_a_link_has_no_output():
    assert not GPTUNNEL.read_job("face_swap", task("done", percent=100), job_id="j1").has_output


def test_gptunnel_3_an_error_beside_a_running_status_does_not_end_the_job():
    job = GPTUNNEL.read_job("face_swap", task("processing", error="hm"), job_id="j1")
    assert (job.state, job.failure) == (JobState.RUNNING, "hm")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "text"}, "text"),
        ({"error": {"message": "inner"}}, "inner"),
        ({"message": "outer"}, "outer"),
        ({"error": None}, None),
    ],
)
def test_gptunnel_4_where_the_failure_text_is(body, text):
    job = GPTUNNEL.read_job("face_swap", task("failed", **body), job_id="j1")
    assert (job.failure or None) == text


@pytest.mark.parametrize(
    ("code", "error"), [(3, e.InvalidRequestError), (1001, e.ContentRefusedError), (1, e.VendorError)]
)
def test_gptunnel_5_a_media_failure_comes_with_http_200(code, error):
    body = {
        "code": code,
        "message": "refused",
        "issues": [{"path": ["model"], "expected": "'a' | 'b'", "message": "Invalid"}],
    }
    with pytest.raises(error, match=r"refused; model: Invalid \(expected 'a' \| 'b'\)") as caught:
        GPTUNNEL.read_created("image", reply(body))
    assert type(caught.value) is error
    assert caught.value.code == str(code)


def test_gptunnel_5_with_an_id_it_is_a_failed_job():
    job = GPTUNNEL.read_job("image", task("failed", code=1001, message="refused"), job_id="j1")
    assert (job.state, job.failure_reason) == (JobState.FAILED, FailureReason.CONTENT_REFUSED)


@pytest.mark.parametrize(
    ("kind_of_error", "error"),
    [
        ("invalid_request_error", e.InvalidRequestError),
        ("unauthorized_request_error", e.AuthenticationError),
        ("insufficient_balance_error", e.InsufficientBalanceError),
    ],
)
def test_gptunnel_an_error_envelope_with_http_200(kind_of_error, error):
    with pytest.raises(error, match="because"):
        GPTUNNEL.read_created("face_swap", reply({"error": {"message": "because", "type": kind_of_error}}))


def test_gptunnel_6_402_on_a_result_names_the_job():
    with pytest.raises(e.InsufficientBalanceError) as caught:
        GPTUNNEL.read_job("face_swap", reply({"error": {"message": "low"}}, 402), job_id="j1")
    assert caught.value.job_id == "j1"


def test_gptunnel_7_inline_pictures_are_png_or_jpeg_data_uris():
    png = "data:image/png;base64," + base64.b64encode(b"x").decode()
    assert GPTUNNEL.create("face_swap", {**SWAP, "face_image": png}).body["faceImage"] == png
    for wrong in (png.replace("png", "webp"), "data:image/png;base64,***", "data:image/png,raw"):
        with pytest.raises(e.InvalidRequestError, match="face_image"):
            GPTUNNEL.create("face_swap", {**SWAP, "face_image": wrong})
    with pytest.raises(e.InvalidRequestError, match="images"):
        GPTUNNEL.create("image", {"model": "m", "prompt": "p", "images": [png]})


def test_gptunnel_8_a_scheme_word_is_a_choice():
    assert GPTUNNEL.headers("KEY", {"auth_scheme": "Bearer"}) == {"Authorization": "Bearer KEY"}
    assert GPTUNNEL.headers("Bearer KEY", {}) == {"Authorization": "Bearer KEY"}


def test_gptunnel_10_the_ids_name_differs_by_family():
    assert GPTUNNEL.fetch("imagine", "j1").params == {"taskId": "j1"}
    assert GPTUNNEL.fetch("imagine", "j1").path == "/v1/midjourney/result"
    assert GPTUNNEL.fetch("image", "j1").body == {"task_id": "j1"}


@pytest.mark.parametrize("status", [400, 404])
def test_gptunnel_12_an_unknown_task_is_lost(status):
    with pytest.raises(e.JobLostError, match="unknown"):
        GPTUNNEL.read_job("face_swap", reply({"error": {"message": "no such task"}}, status), job_id="j1")


def test_gptunnel_15_any_id_is_taken():
    assert GPTUNNEL.read_created("face_swap", reply({"id": "short", "status": "idle"})).job_id == "short"


def test_gptunnel_a_preview_is_not_the_result():
    job = GPTUNNEL.read_job("imagine", task("done", percent=93, result="https://a.test/p"), job_id="j1")
    assert not job.has_output
    running = task("processing", percent=50, result="https://a.test/p")
    assert GPTUNNEL.read_job("imagine", running, job_id="j1").urls == ()


def test_gptunnel_only_the_create_tells_the_charge():
    free = reply({"id": "j1", "status": "idle", "usage": {"total_cost": 0}})
    assert GPTUNNEL.read_created("upsample", free).cost == Cost(amount=0, unit="RUB")
    assert GPTUNNEL.read_job("upsample", free, job_id="j1").cost is None
    media = task("done", code=0, url="https://a.test/r.webp", cost="8.00")
    assert GPTUNNEL.read_job("image", media, job_id="j1").cost == Cost(amount=8, unit="RUB")


@pytest.mark.parametrize(
    ("kind", "arguments", "path", "body"),
    [
        (
            "image",
            {"model": "seedream-3", "prompt": "p", "images": TARGET, "aspect_ratio": "16:9"},
            "/v1/media/create",
            {"model": "seedream-3", "prompt": "p", "images": [TARGET], "ar": "16:9"},
        ),
        ("imagine", {"prompt": "p"}, "/v1/midjourney/imagine", {"prompt": "p"}),
        (
            "upsample",
            {"parent_job_id": "p1", "image": 4},
            "/v1/midjourney/upsample",
            {"taskId": "p1", "image": 4},
        ),
        (
            "variation",
            {"parent_job_id": "p1", "mode": "high"},
            "/v1/midjourney/variation",
            {"taskId": "p1", "mode": "high"},
        ),
    ],
)
def test_gptunnel_bodies(kind, arguments, path, body):
    request = GPTUNNEL.create(kind, arguments)
    assert (request.method, request.path, request.body) == ("POST", path, body)


def test_gptunnel_a_mask_is_a_png_in_base64():
    mask = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()
    for mask_given in (mask, f"data:image/png;base64,{mask}"):
        assert GPTUNNEL.create("inpaint", {"parent_job_id": "p", "mask": mask_given}).body["mask"] == mask
    for wrong in ("***", base64.b64encode(b"JFIF").decode()):
        with pytest.raises(e.InvalidRequestError, match="mask"):
            GPTUNNEL.create("inpaint", {"parent_job_id": "p", "mask": wrong})


def test_gptunnel_the_balance_may_be_negative_and_a_string():
    body = {"orgId": "o1", "object": "balance", "balance": "-51.54", "creditLimit": 15000}
    told = GPTUNNEL.read_account(reply(body))
    assert told == "organisation o1, balance -51.54 RUB, credit limit 15000.00 RUB"
    assert GPTUNNEL.read_account(reply({"balance": 1})) == "wallet, balance 1.00 RUB"
    with pytest.raises(e.MalformedResponseError):
        GPTUNNEL.read_account(reply({}))


def test_gptunnel_a_webp_link_is_doubted():
    request = GPTUNNEL.create("face_swap", {**SWAP, "target_image": "https://a.test/r.WEBP?x=1"})
    [doubt] = GPTUNNEL.doubts("face_swap", request)
    assert "sourceImage" in doubt
    assert not GPTUNNEL.doubts("image", request)


# -- Tengrai ------------------------------------------------------------------------------------------


def test_tengrai_2_newer_fields_are_sent_only_where_set():
    assert set(TENGRAI.create("face_swap", SWAP).body) == {"targetImage", "sourceImage"}
    body = TENGRAI.create("face_swap", {**SWAP, "seed": 7, "output_format": "png"}).body
    assert (body["seed"], body["outputFormat"]) == (7, "png")


@pytest.mark.parametrize("status", [200, 201, 202])
def test_tengrai_3_success_codes(status):
    assert TENGRAI.read_created("face_swap", reply({"id": "j1", "status": "starting"}, status)).job_id == "j1"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("starting", "queued"),
        ("processing", "running"),
        ("succeeded", "succeeded"),
        ("done", "succeeded"),
        ("failed", "failed"),
        ("canceled", "canceled"),
        ("cancelled", "canceled"),
    ],
)
def test_tengrai_4_status_words(word, state):
    assert TENGRAI.read_job("face_swap", task(word), job_id="j1").state == state


def test_tengrai_5_results_before_the_end_are_filler():
    filler = task("starting", results=["https://a.test/filler.webp", "string"])
    assert TENGRAI.read_job("face_swap", filler, job_id="j1").urls == ()
    two = task("succeeded", results=["https://a.test/1.webp", "https://a.test/2.webp"])
    assert len(TENGRAI.read_job("selena", two, job_id="j1").urls) == 2
    assert not TENGRAI.read_job("selena", task("succeeded", results=[]), job_id="j1").has_output


@pytest.mark.parametrize("key", ["error", "message", "failureReason"])
def test_tengrai_6_a_reason_is_looked_for(key):
    assert TENGRAI.read_job("face_swap", task("failed", **{key: "why"}), job_id="j1").failure == "why"
    assert TENGRAI.read_job("face_swap", task("failed"), job_id="j1").failure is None


def test_tengrai_7_an_unknown_job_is_lost_with_a_grace_at_first():
    with pytest.raises(e.JobLostError, match="older than 8 days"):
        TENGRAI.read_job("face_swap", reply({"message": "Not Found"}, 404), job_id="j1")
    assert TENGRAI.not_found_grace > 0


def test_tengrai_9_a_message_may_be_a_list():
    body = {"message": ["a must be b", "c must be d"], "statusCode": 400, "error": "Bad Request"}
    with pytest.raises(e.InvalidRequestError, match="a must be b; c must be d"):
        TENGRAI.read_created("face_swap", reply(body, 400))


def test_tengrai_9_the_http_status_goes_before_the_bodys():
    with pytest.raises(e.RateLimitError):
        TENGRAI.read_created("face_swap", reply({"message": "x", "statusCode": 400}, 429))


def test_tengrai_10_a_webhook_is_checked_for_being_a_url():
    with pytest.raises(e.InvalidRequestError, match="webhook"):
        TENGRAI.create("face_swap", {**SWAP, "webhook": "hooks.test"})


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"denoising": 0}, "denoising"),
        ({"denoising": 6}, "denoising"),
        ({"denoising": 2.5}, "denoising"),
        ({"seed": 0}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"output_format": "jpeg"}, "output_format"),
    ],
)
def test_tengrai_11_documented_ranges(wrong, name):
    with pytest.raises(e.InvalidRequestError, match=name):
        TENGRAI.create("face_swap", {**SWAP, **wrong})
    camel = {"output_format": "outputFormat"}.get(name, name)
    with pytest.raises(e.InvalidRequestError, match=f"parameters.{camel}"):
        TENGRAI.create("selena", {"parameters": {camel: next(iter(wrong.values()))}})


def test_tengrai_12_the_key_is_tested_by_a_list_of_one():
    request = TENGRAI.account()
    assert (request.method, request.path, request.params) == ("GET", "/v2/artworks", {"limit": "1"})
    assert "may read artworks" in TENGRAI.read_account(reply("[]"))
    with pytest.raises(e.MalformedResponseError):
        TENGRAI.read_account(reply("{}"))


def test_tengrai_15_parameters_are_free_and_times_are_read():
    body = TENGRAI.create(
        "selena", {"parameters": {"prompt": "cat", "new": {"x": [1]}}, "webhook": FACE}
    ).body
    assert body == {"prompt": "cat", "new": {"x": [1]}, "webhook": FACE}
    job = TENGRAI.read_job(
        "selena", task("starting", duration=0.5, createdAt="2024-07-29T15:51:28.071Z"), job_id="j1"
    )
    assert job.created_at.isoformat() == "2024-07-29T15:51:28.071000+00:00"
    assert TENGRAI.read_job("selena", task("starting", createdAt="soon"), job_id="j1").created_at is None


@pytest.mark.parametrize("kind", sorted(set(Tengrai.kinds) - {"face_swap"}))
def test_tengrai_paths(kind):
    path = Tengrai.kinds[kind].path
    assert path.startswith("/v2/")
    if not kind.startswith("style_dna"):
        assert path == f"/v2/artworks/{kind.replace('_', '-')}"


# -- PiAPI --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Pending", "queued"),
        ("staged", "queued"),
        ("Processing", "running"),
        ("in_progress", "running"),
        ("retry", "running"),
        ("Completed", "succeeded"),
        ("success", "succeeded"),
        (" finished ", "succeeded"),
        ("Failed", "failed"),
        ("error", "failed"),
        ("cancelled", "canceled"),
    ],
)
def test_piapi_1_and_2_status_words_in_any_case(word, state):
    assert PIAPI.read_job("face_swap", reply(piapi(word)), job_id="t1").state == state


def test_piapi_3_a_cancel_is_one_delete_and_confirmed_only_by_a_good_code():
    assert PIAPI.cancel("face_swap", "t1").method == "DELETE"
    assert PIAPI.read_canceled(reply({"code": 200}))
    assert not PIAPI.read_canceled(reply({"code": 400}))
    assert not PIAPI.read_canceled(reply("no", 404))
    assert GPTUNNEL.cancel("face_swap", "j1") is None


@pytest.mark.parametrize(
    ("output", "urls"),
    [
        ({"image_url": "https://a.test/1"}, 1),
        ({"image_url": "", "image_urls": ["https://a.test/1", "https://a.test/2"]}, 2),
        ({"images": [{"url": "https://a.test/1"}]}, 1),
        ({"image": "https://a.test/1"}, 1),
        ({"output_url": "https://a.test/1"}, 1),
        ({"result": "https://a.test/1"}, 1),
        ({"video_url": "https://a.test/1"}, 1),
        ({"video": {"url": "https://a.test/1"}}, 1),
        ("https://a.test/1", 1),
        ({"image_url": "", "image_base64": ""}, 0),
        (None, 0),
        ([], 0),
    ],
)
def test_piapi_4_where_the_output_is(output, urls):
    job = PIAPI.read_job("face_swap", reply(piapi(output=output)), job_id="t1")
    assert len(job.urls) == urls
    assert job.has_output is bool(urls)


def test_piapi_4_output_before_the_end_means_nothing():
    early = piapi("processing", output={"video_url": "https://a.test/1"})
    assert PIAPI.read_job("video_face_swap", reply(early), job_id="t1").urls == ()


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_piapi_5_an_inline_result_is_kept_apart(prefix):
    data = prefix + base64.b64encode(b"picture").decode()
    job = PIAPI.read_job("task", reply(piapi(output={"image_base64": data})), job_id="t1")
    assert (job.urls, job.inline) == ((), (b"picture",))
    assert "inline" not in job.model_dump()
    assert "picture" not in repr(job)
    listed = PIAPI.read_job("task", reply(piapi(output={"data": [{"b64_json": data}]})), job_id="t1")
    assert listed.inline == (b"picture",)
    broken = PIAPI.read_job("task", reply(piapi(output={"image_base64": "***"})), job_id="t1")
    assert not broken.has_output


def test_piapi_5_and_6_an_inline_picture_is_sent_bare_and_capped():
    data = base64.b64encode(b"x").decode()
    body = PIAPI.create("face_swap", {**SWAP, "face_image": f"data:image/webp;base64,{data}"}).body
    assert body["input"]["swap_image"] == data
    large = "data:image/png;base64," + base64.b64encode(bytes(10_000_001)).decode()
    with pytest.raises(e.InvalidRequestError, match="over the limit of 10000000") as caught:
        PIAPI.create("face_swap", {**SWAP, "face_image": large})
    assert len(str(caught.value)) < 500
    gif = "data:image/gif;base64,eA=="
    with pytest.raises(e.InvalidRequestError, match="face_image"):
        PIAPI.create("face_swap", {**SWAP, "face_image": gif})


def test_piapi_8_a_link_without_a_suffix_is_doubted_but_sent():
    request = PIAPI.create("face_swap", {**SWAP, "target_image": "https://a.test/r?x=.jpg"})
    [doubt] = PIAPI.doubts("face_swap", request)
    assert "target_image" in doubt
    assert not PIAPI.doubts("face_swap", PIAPI.create("face_swap", SWAP))
    assert not PIAPI.doubts("task", PIAPI.create("task", {"model": "m", "task_type": "t", "input": {}}))


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"type": "point", "frozen": 0, "consume": 100000}, Cost(amount=100000, unit="point")),
        ({"frozen": 70, "consume": 0}, Cost(amount=70, unit="point")),
        ({"frozen": 0, "consume": 0}, None),
        (None, None),
        ("free", None),
    ],
)
def test_piapi_9_and_10_the_cost_is_what_is_told(usage, cost):
    assert PIAPI.read_job("face_swap", reply(piapi(meta={"usage": usage})), job_id="t1").cost == cost


def test_piapi_11_a_task_in_an_error_answer_is_a_task():
    born_failed = piapi("failed", 400, input=None, error={"message": "failed to get valid image"})
    job = PIAPI.read_created("face_swap", reply(born_failed, 400))
    assert (job.state, job.failure_reason) == (JobState.FAILED, FailureReason.BAD_INPUT)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("No face found in the image", FailureReason.NO_FACE),
        ("NSFW content", FailureReason.CONTENT_REFUSED),
        ("insufficient credits", FailureReason.INSUFFICIENT_BALANCE),
        ("invalid request", FailureReason.BAD_INPUT),
        ("internal timeout", FailureReason.UNKNOWN),
    ],
)
def test_piapi_12_failures_are_sorted_by_their_text(text, reason):
    job = PIAPI.read_job("face_swap", reply(piapi("failed", error={"message": text})), job_id="t1")
    assert job.failure_reason is reason


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": {"message": "m", "detail": "d"}}, "m"),
        ({"error": {"message": "", "detail": "d"}}, "d"),
        ({"error": {"detail": {"why": "d"}}}, '{"why": "d"}'),
        ({"error": {"raw_message": "r"}}, "r"),
        ({"error": {"code": 10003}}, "error code 10003"),
        ({"error": None, "fail_reason": "f"}, "f"),
    ],
)
def test_piapi_12_where_the_failure_text_is(body, text):
    assert PIAPI.read_job("face_swap", reply(piapi("failed", **body)), job_id="t1").failure == text


def test_piapi_13_and_14_limits_are_a_rate_limit_wherever_they_stand():
    with pytest.raises(e.RateLimitError):
        PIAPI.read_created("face_swap", reply({"code": 429, "message": "slow down", "data": None}))
    with pytest.raises(e.RateLimitError):
        PIAPI.read_created("face_swap", reply({"code": 400, "message": "too many concurrent tasks"}, 400))


def test_piapi_the_code_in_the_body_is_the_real_status():
    with pytest.raises(e.InsufficientBalanceError, match="no credit"):
        PIAPI.read_created("face_swap", reply({"code": 402, "message": "no credit", "data": None}))


def test_piapi_15_a_plain_text_404_is_a_lost_job_with_a_grace_at_first():
    with pytest.raises(e.JobLostError, match="404 page not found"):
        PIAPI.read_job("face_swap", reply("404 page not found", 404), job_id="t1")
    assert PIAPI.not_found_grace == 30


def test_piapi_20_nothing_of_the_echo_is_compared():
    echo = piapi("completed", task_type="other", config={"service_mode": ""}, output={"image_url": FACE})
    assert PIAPI.read_job("multi_face_swap", reply(echo), job_id="t1").state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456+00:00"),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
        ("2026-01-02T03:04:05", None),
    ],
)
def test_piapi_21_times(text, told):
    job = PIAPI.read_job("face_swap", reply(piapi(meta={"created_at": text})), job_id="t1")
    assert (job.created_at and job.created_at.isoformat()) == told


def test_piapi_22_null_parts_are_fine():
    nulls = piapi("failed", logs=None, error=None, meta=None, output=None, input=None, config=None)
    assert PIAPI.read_job("face_swap", reply(nulls), job_id="t1").state is JobState.FAILED


def test_piapi_an_answer_without_the_envelope_is_read():
    assert PIAPI.read_created("task", reply({"task_id": "t9", "status": "pending"})).job_id == "t9"


def test_piapi_25_a_video_goes_by_url():
    with pytest.raises(e.InvalidRequestError, match="target_video"):
        PIAPI.create("video_face_swap", {"target_video": "data:video/mp4;base64,eA==", "face_image": FACE})


@pytest.mark.parametrize("given", [[0, 1], (0, 1), "0,1", "0, 1", " 0 ,1,"])
def test_piapi_26_index_lists_are_normalised(given):
    body = PIAPI.create("multi_face_swap", {**SWAP, "target_faces": given, "source_faces": [1, 0]}).body
    assert (body["input"]["target_faces_index"], body["input"]["swap_faces_index"]) == ("0,1", "1,0")
    assert body["task_type"] == "multi-face-swap"


@pytest.mark.parametrize("given", [[], "a,b", [-1], True, {"0": 1}, [None]])
def test_piapi_26_other_things_are_no_index_list(given):
    with pytest.raises(e.InvalidRequestError, match="target_faces"):
        PIAPI.create("multi_face_swap", {**SWAP, "target_faces": given, "source_faces": [0]})


def test_piapi_26_uneven_lists_are_refused():
    with pytest.raises(e.InvalidRequestError, match="same length, got 2 and 1"):
        PIAPI.create("multi_face_swap", {**SWAP, "target_faces": [0, 1], "source_faces": 0})


def test_piapi_config_is_sent_only_where_set():
    assert "config" not in PIAPI.create("face_swap", SWAP).body
    body = PIAPI.create(
        "face_swap", {**SWAP, "service_mode": "public", "webhook": FACE, "webhook_secret": "s"}
    ).body
    assert body["config"] == {
        "service_mode": "public",
        "webhook_config": {"endpoint": FACE, "secret": "s"},
    }
    assert "webhook" not in body["input"]


def test_piapi_any_task_goes_as_it_is():
    arguments = {"model": "Qubico/flux1-schnell", "task_type": "txt2img", "input": {"prompt": "p"}}
    assert PIAPI.create("task", arguments).body == arguments
    with pytest.raises(e.InvalidRequestError, match=r"input\.x"):
        PIAPI.create("task", {**arguments, "input": {"x": object()}})


def test_piapi_the_account_is_told_in_one_line():
    data = {"name": "me", "plan": "pro", "max_concurrent_task_count": 30, "equivalent_in_usd": 1.5}
    told = PIAPI.read_account(reply({"code": 200, "data": data}))
    assert told == "account me, plan pro, worth USD 1.5, tasks at once 30"
    with pytest.raises(e.AuthenticationError):
        PIAPI.read_account(reply({"code": 401, "message": "bad key", "data": None}, 401))
    with pytest.raises(e.MalformedResponseError):
        PIAPI.read_account(reply("{}"))
