"""The vendors' lists of jobs: what is asked, what is read, and when a job counts as a request's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    MalformedResponseError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.history import ANY, same_request
from airflow_provider_faceswap.vendors.messages import Reply
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai

QUICK = settings(max_examples=100, deadline=None, derandomize=True, database=None)
TARGET = "https://pictures.test/target.jpg"
FACE = "https://pictures.test/face.jpg"
SINCE = datetime(2026, 5, 4, 10, 0, 0, tzinfo=UTC)
UNTIL = SINCE + timedelta(minutes=10)
DURING = "2026-05-04T10:05:00.000Z"


def answer(body, status=200):
    return Reply(status, body if isinstance(body, str) else json.dumps(body))


# -- the same request -----------------------------------------------------------------------------------

SENT = {"targetImage": TARGET, "sourceImage": FACE, "denoising": 2}


@pytest.mark.parametrize(
    ("extra", "fillers", "same"),
    [
        ({}, {}, True),
        ({"seed": None, "webhook": "", "styles": [], "options": {}}, {}, True),
        ({"seed": 17}, {"seed": ANY}, True),
        ({"seed": 17}, {}, False),
        ({"format": "auto"}, {"format": ("auto", "webp")}, True),
        ({"format": "png"}, {"format": ("auto", "webp")}, False),
        ({"flag": False}, {}, False),
        ({"count": 0}, {}, False),
        ({"seed": 17, "more": 1}, {"seed": ANY}, False),
    ],
)
def test_what_was_not_sent_must_be_empty_or_a_known_filler(extra, fillers, same):
    assert same_request(SENT, {**SENT, **extra}, fillers) is same


@pytest.mark.parametrize("name", SENT)
def test_what_was_sent_must_be_shown(name):
    shown = {key: value for key, value in SENT.items() if key != name}
    assert not same_request(SENT, shown, dict.fromkeys(SENT, ANY))


@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize("value", [None, "", "another", 5, [], {}])
def test_a_filler_excuses_nothing_that_was_sent(name, value):
    assert not same_request(SENT, {**SENT, name: value}, dict.fromkeys(SENT, ANY))


@pytest.mark.parametrize("shown", [None, "", "text", 3, [], [SENT], list(SENT.items()), True])
def test_what_is_no_object_is_nobodys_request(shown):
    assert same_request(SENT, shown, {}) is False


@pytest.mark.parametrize("shown", [{}, {"seed": None}, SENT])
def test_a_request_without_a_body_is_never_recognized(shown):
    assert same_request({}, shown, dict.fromkeys(SENT, ANY)) is False


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
BODIES = st.dictionaries(st.text(max_size=6), VALUES, min_size=1, max_size=5)


@QUICK
@given(sent=BODIES, other=VALUES, data=st.data())
def test_a_changed_value_never_matches(sent, other, data):
    name = data.draw(st.sampled_from(sorted(sent)))
    shown = json.loads(json.dumps({**sent, name: other}))
    equal = other == sent[name] and isinstance(other, bool) == isinstance(sent[name], bool)
    assert same_request(sent, shown, dict.fromkeys(sent, ANY)) is equal


def test_true_is_not_one():
    assert not same_request({"flag": 1}, {"flag": True}, {})
    assert not same_request({"flag": False}, {"flag": 0}, {})


@QUICK
@given(sent=BODIES)
def test_a_request_that_comes_back_as_json_is_recognized(sent):
    assert same_request(sent, json.loads(json.dumps(sent)), {})


# -- Tengrai --------------------------------------------------------------------------------------------

TENGRAI = Tengrai()
SWAP = TENGRAI.submit("face_swap", {"target_image": TARGET, "face_image": FACE})
HOOK = "https://hook.test/x"
PARAMETERS = {"targetImage": TARGET, "sourceImage": FACE}


def artwork(job_id="a1", kind="face_swap", parameters=PARAMETERS, **more):
    return {
        "id": job_id,
        "artworkType": kind,
        "status": "processing",
        "parameters": parameters,
        "createdAt": DURING,
        **more,
    }


def listed(*artworks, kind="face_swap", request=SWAP):
    return TENGRAI.history.read(kind, request, answer(list(artworks)), SINCE, UNTIL)


def owns(shown, kind="face_swap", request=SWAP):
    return TENGRAI.history.matches(kind, request, answer(shown))


@pytest.mark.parametrize(("page", "offset"), [(0, "0"), (1, "500"), (7, "3500")])
def test_tengrais_list_is_read_page_by_page(page, offset):
    request = TENGRAI.history.request(SINCE, UNTIL, page)
    assert (request.method, request.path, request.body) == ("GET", "/v2/artworks", None)
    assert request.params == {"offset": offset, "limit": "500"}


def test_tengrais_jobs_of_the_request_are_listed_in_order():
    page = listed(artwork("a1"), artwork("a2", parameters={**PARAMETERS, "denoising": 5}), artwork("a3"))
    assert page.job_ids == ("a1", "a3")
    assert page.more is False


@pytest.mark.parametrize(
    ("created", "fits"),
    [
        (SINCE, True),
        (UNTIL, True),
        (SINCE - timedelta(milliseconds=1), False),
        (UNTIL + timedelta(milliseconds=1), False),
    ],
)
def test_only_tengrais_jobs_of_the_time_are_listed(created, fits):
    zulu = created.isoformat().replace("+00:00", "Z")
    elsewhere = created.astimezone(datetime.strptime("+0300", "%z").tzinfo).isoformat()
    for written in (zulu, elsewhere):
        assert listed(artwork(createdAt=written)).job_ids == (("a1",) if fits else ())


@pytest.mark.parametrize(
    "created",
    [None, "", "yesterday", 1777888800, "2026-05-04T10:05:00", [DURING], {"date": DURING}, True],
)
def test_a_tengrai_job_of_an_unknown_time_is_not_listed(created):
    assert listed(artwork("odd", createdAt=created), artwork("good")).job_ids == ("good",)


def test_a_tengrai_job_without_a_time_is_not_listed():
    without = artwork("odd")
    del without["createdAt"]
    assert listed(without, artwork("good")).job_ids == ("good",)


@pytest.mark.parametrize(
    "odd", [None, "a1", 7, [], artwork(job_id=""), artwork(job_id=None), artwork(job_id={"a": 1})]
)
def test_odd_entries_of_tengrais_list_are_passed_over(odd):
    assert listed(odd, artwork("good")).job_ids == ("good",)


def test_equal_parameters_of_another_artwork_are_another_job():
    request = TENGRAI.submit("face_refiner", {"parameters": {"imageUrl": TARGET}})
    refined = artwork("mine", "face_refiner", {"imageUrl": TARGET})
    removed = artwork("other", "remove_background", {"imageUrl": TARGET})
    assert listed(refined, removed, kind="face_refiner", request=request).job_ids == ("mine",)
    assert owns(refined, "face_refiner", request)
    assert not owns(removed, "face_refiner", request)


def test_tengrai_calls_upscaling_by_another_name():
    request = TENGRAI.submit("upscaling", {"parameters": {"imageUrl": TARGET}})
    second = artwork("mine", "upscaling_v2", {"imageUrl": TARGET})
    first = artwork("other", "upscaling", {"imageUrl": TARGET})
    assert listed(first, second, kind="upscaling", request=request).job_ids == ("mine",)
    assert owns(second, "upscaling", request)
    assert not owns(first, "upscaling", request)


@pytest.mark.parametrize(
    ("filled", "own"),
    [
        ({}, True),
        ({"seed": 123456}, True),
        ({"denoising": 3}, True),
        ({"denoising": 5}, False),
        ({"outputFormat": "auto"}, True),
        ({"outputFormat": "webp"}, True),
        ({"outputFormat": "png"}, False),
        ({"seed": 1, "denoising": 3, "outputFormat": "webp", "webhook": None}, True),
        ({"webhook": "https://hook.test/x"}, False),
        ({"targetImage": FACE}, False),
        ({"sourceImage": TARGET}, False),
    ],
)
def test_tengrais_defaults_are_tolerated_and_other_values_are_not(filled, own):
    shown = artwork(parameters={**PARAMETERS, **filled})
    assert owns(shown) is own
    assert listed(shown).job_ids == (("a1",) if own else ())


@pytest.mark.parametrize(
    ("filled", "own"),
    [
        ({"imageFormat": "png"}, True),
        ({"imageFormat": "webp"}, False),
        ({"outputFormat": "auto"}, True),
        ({"scaleFactor": 2}, False),
    ],
)
def test_each_kind_of_tengrai_has_defaults_of_its_own(filled, own):
    parameters = {"visualPrompt": "p", "anchorImageUrl": TARGET, "description": "d"}
    request = TENGRAI.submit("style_dna", {"parameters": parameters})
    shown = artwork("a1", "style_dna", {**parameters, **filled})
    assert owns(shown, "style_dna", request) is own


@pytest.mark.parametrize(
    ("shown", "own"), [({}, True), ({"webhook": HOOK}, True), ({"webhook": TARGET}, False)]
)
def test_tengrai_may_keep_a_webhook_to_itself(shown, own):
    request = TENGRAI.submit("face_swap", {"target_image": TARGET, "face_image": FACE, "webhook": HOOK})
    reply = Reply(200, json.dumps(artwork(parameters={**PARAMETERS, **shown})))
    assert TENGRAI.history.matches("face_swap", request, reply) is own


@pytest.mark.parametrize(("seed", "own"), [(7, True), (8, False), (None, False)])
def test_a_seed_that_was_sent_must_come_back(seed, own):
    request = TENGRAI.submit("face_swap", {"target_image": TARGET, "face_image": FACE, "seed": 7})
    assert owns(artwork(parameters={**PARAMETERS, "seed": seed}), request=request) is own


def test_a_default_of_the_face_swap_is_none_of_another_artwork():
    request = TENGRAI.submit("depth_map", {"parameters": {"imageUrl": TARGET}})
    for more, own in (({}, True), ({"seed": 5}, True), ({"denoising": 3}, False)):
        shown = artwork(kind="depth_map", parameters={"imageUrl": TARGET, **more})
        assert owns(shown, "depth_map", request) is own


@pytest.mark.parametrize("parameters", [None, "", "text", [], {}, [PARAMETERS]])
def test_a_tengrai_job_without_its_parameters_is_not_ours(parameters):
    assert not owns(artwork(parameters=parameters))


@pytest.mark.parametrize("body", [[], [artwork()], "no JSON", "null", '"a1"'])
def test_a_tengrai_record_of_an_odd_shape_is_not_ours(body):
    assert not owns(body)


@pytest.mark.parametrize(("length", "more"), [(0, False), (499, False), (500, True), (501, True)])
def test_a_full_page_of_tengrais_may_have_another_behind_it(length, more):
    page = listed(*[artwork(str(number), "selena") for number in range(length)])
    assert page.more is more
    assert page.job_ids == ()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer({"message": "bad key"}, 401), AuthenticationError),
        (answer({"message": "down"}, 500), VendorUnavailableError),
        (answer({"artworks": [artwork()]}), MalformedResponseError),
        (answer("null"), MalformedResponseError),
        (answer("<html>"), MalformedResponseError),
    ],
)
def test_a_list_of_tengrais_that_cannot_be_read_is_not_an_empty_one(reply, error):
    with pytest.raises(error):
        TENGRAI.history.read("face_swap", SWAP, reply, SINCE, UNTIL)


# -- PiAPI ----------------------------------------------------------------------------------------------

PIAPI = PiAPI()
PIAPI_SWAP = PIAPI.submit("face_swap", {"target_image": TARGET, "face_image": FACE})
INPUT = {"target_image": TARGET, "swap_image": FACE}


def row(job_id="t1", action="face-swap", **more):
    return {"task_id": job_id, "action": action, **more}


def rows(*entries, kind="face_swap", request=PIAPI_SWAP):
    reply = answer({"code": 200, "data": {"data": list(entries), "total": len(entries)}})
    return PIAPI.history.read(kind, request, reply, SINCE, UNTIL)


def task(**more):
    told = {"task_id": "t1", "model": "Qubico/image-toolkit", "task_type": "face-swap", "input": INPUT}
    return {"code": 200, "data": {**told, "status": "pending", **more}}


@pytest.mark.parametrize(("page", "number"), [(0, "1"), (1, "2"), (19, "20")])
def test_piapis_pages_are_counted_from_one(page, number):
    request = PIAPI.history.request(SINCE, UNTIL, page)
    assert (request.method, request.path, request.body) == ("GET", "/api/open/tasks/histories", None)
    assert (request.params["page"], request.params["page_size"]) == (number, "100")


@pytest.mark.parametrize("fraction", [0, 1, 400_000, 999_999])
def test_piapis_whole_seconds_cover_the_time(fraction):
    since, until = SINCE.replace(microsecond=fraction), UNTIL.replace(microsecond=fraction)
    params = PIAPI.history.request(since, until, 0).params
    start, end = int(params["start_time"]), int(params["end_time"])
    assert start <= since.timestamp() < start + 1
    assert end - 1 < until.timestamp() <= end


def test_piapis_rows_of_another_action_are_left_out():
    page = rows(row("t1"), row("t2", "multi-face-swap"), row("t3", None), {"task_id": "t4"}, row("t5"))
    assert page.job_ids == ("t1", "t5")
    assert page.more is False


def test_a_row_of_piapis_may_be_finished_have_its_output_in_its_detail_and_other_hyphens():
    detail = {
        "status": "finished",
        "detail": {"output": "https://cdn.test/a.png"},
        "task_model": "image_toolkit",
    }
    assert rows(row("t1", **detail), row("t2", "face_swap", **detail)).job_ids == ("t1", "t2")


def test_piapis_action_is_the_task_type_of_the_request():
    request = PIAPI.submit("task", {"model": "Qubico/flux1-dev", "task_type": "txt2img", "input": {"a": 1}})
    assert rows(row("t1"), row("t2", "txt2img"), kind="task", request=request).job_ids == ("t2",)


@pytest.mark.parametrize("odd", [None, "t1", 7, [], row(job_id=""), row(job_id=None), row(job_id=True)])
def test_odd_rows_of_piapi_are_passed_over(odd):
    assert rows(odd, row("good")).job_ids == ("good",)


@pytest.mark.parametrize(("length", "more"), [(0, False), (99, False), (100, True)])
def test_a_full_page_of_piapis_may_have_another_behind_it(length, more):
    page = rows(*[row(str(number), "txt2img") for number in range(length)])
    assert page.more is more
    assert page.job_ids == ()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer({"code": 401, "message": "bad key"}, 401), AuthenticationError),
        (answer({"code": 401, "message": "bad key"}), AuthenticationError),
        (answer({"code": 401, "message": "bad key", "data": {"data": []}}), AuthenticationError),
        (answer({"code": 500, "message": "down"}, 500), VendorUnavailableError),
        (answer({"code": 500, "data": {"data": [row()]}}, 500), VendorUnavailableError),
        (answer({"code": 200, "data": [row()]}), MalformedResponseError),
        (answer({"code": 200, "data": {"data": None}}), MalformedResponseError),
        (answer({"code": 200, "data": {"data": {"t1": row()}}}), MalformedResponseError),
        (answer({"code": 200, "data": None}), MalformedResponseError),
        (answer([row()]), MalformedResponseError),
        (answer("<html>"), MalformedResponseError),
    ],
)
def test_a_list_of_piapis_that_cannot_be_read_is_not_an_empty_one(reply, error):
    with pytest.raises(error):
        PIAPI.history.read("face_swap", PIAPI_SWAP, reply, SINCE, UNTIL)


@pytest.mark.parametrize(
    ("shown", "own"),
    [
        ({}, True),
        ({"input": {**INPUT, "target_faces_index": ""}}, True),
        ({"input": {**INPUT, "target_faces_index": "0"}}, False),
        ({"input": {**INPUT, "swap_image": TARGET}}, False),
        ({"input": {"target_image": TARGET}}, False),
        ({"input": {}}, False),
        ({"input": None}, False),
        ({"input": "text"}, False),
        ({"model": "image_toolkit", "task_type": "face_swap"}, True),
        ({"model": "Qubico/video-toolkit"}, False),
        ({"model": "video_toolkit"}, False),
        ({"model": None}, False),
        ({"task_type": "multi-face-swap"}, False),
    ],
)
def test_a_piapi_task_is_ours_only_while_it_shows_our_input(shown, own):
    assert PIAPI.history.matches("face_swap", PIAPI_SWAP, answer(task(**shown))) is own


@pytest.mark.parametrize("body", ["no JSON", [], {"code": 200}, {"code": 200, "data": []}])
def test_a_piapi_record_of_an_odd_shape_is_not_ours(body):
    assert not PIAPI.history.matches("face_swap", PIAPI_SWAP, answer(body))


def test_a_piapi_task_without_any_input_is_never_ours():
    request = PIAPI.submit("task", {"model": "m", "task_type": "t", "input": {}})
    shown = {"code": 200, "data": {"task_id": "t1", "model": "m", "task_type": "t", "input": {}}}
    assert not PIAPI.history.matches("task", request, answer(shown))


# -- GPTunneL -------------------------------------------------------------------------------------------


def test_gptunnel_lists_no_jobs():
    assert GPTunnel.history is None
