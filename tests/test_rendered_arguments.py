"""K8, F5, F7: arguments as templates, YAML and tables make them, through the public interface."""

from __future__ import annotations

import json
import math
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.rendered import as_text, is_set
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from airflow_provider_faceswap.jobs import Balance, Cost
from airflow_provider_faceswap.lifecycle.provenance import provenance
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import (
    GPTunnelFaceSwapOperator,
    GPTunnelImagineOperator,
    GPTunnelUpsampleOperator,
)
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.sensors.job import JobSensor
from tests.conftest import FACE, PICTURE

PICTURES = {"target_image": PICTURE, "face_image": FACE}
RESULT_TEXT = "{'vendor': 'gptunnel', 'job_id': 'j1', 'url': 'https://files.test/a.png?sig=SECRET'}"
GPTUNNEL, TENGRAI, PIAPI = (GPTunnelHook, TengraiHook, PiAPIHook)


@pytest.fixture(autouse=True)
def connected(connections):
    connections("https://vendor.test")


def body(hook, kind, **arguments):
    return hook().prepare(kind, **arguments).body


def refused(hook, kind, **arguments):
    with pytest.raises(InvalidRequestError) as caught:
        hook().prepare(kind, **arguments)
    assert "Nothing was bought" in str(caught.value)
    assert "SECRET" not in str(caught.value)
    return str(caught.value)


# -- numbers that are texts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1980, "1980"),
        (-7, "-7"),
        (0, "0"),
        (26.5, "26.5"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 3, 1), "2026-03-01"),
    ],
)
def test_k8_a_value_that_was_a_text_is_that_text_again(value, text):
    assert as_text(value) == text
    assert body(GPTUNNEL, "imagine", prompt=value)["prompt"] == text
    assert body(GPTUNNEL, "image", model=value, prompt=value) == {"model": text, "prompt": text}


@pytest.mark.parametrize("value", [True, False, [1], (1, 2), {"a": 1}, b"x", math.inf, ...])
def test_k8_what_cannot_be_told_back_is_refused_as_a_text(value):
    assert "prompt: must be a text" in refused(GPTUNNEL, "imagine", prompt=value)


@pytest.mark.parametrize("kind", ["upsample", "variation"])
def test_k8_an_id_of_digits_is_an_id(kind):
    assert body(GPTUNNEL, kind, parent_job_id=65819, image=1)["taskId"] == "65819"


def test_k8_an_id_that_became_a_decimal_number_is_refused():
    assert "parent_job_id: must be a job id" in refused(GPTUNNEL, "upsample", parent_job_id=1.0, image=1)


def test_k8_prompts_inside_parameters_and_inputs_are_texts():
    assert body(TENGRAI, "quantum", parameters={"prompt": 1980})["prompt"] == "1980"
    told = body(PIAPI, "task", model="m", task_type="t", input={"prompt": 1980, "seed": 3})
    assert told["input"] == {"prompt": "1980", "seed": 3}


def test_k8_connections_and_jobs_of_digits_are_found(vendor, answer, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_2026", '{"conn_type": "gptunnel", "password": "k"}')
    assert hook_for_connection(2026).conn_id == GPTunnelHook(" 2026\n").conn_id == "2026"
    vendor.will(answer("processing", job_id="77"))
    assert GPTunnelHook().fetch(77, "face_swap").job_id == "77"


def test_k8_a_sensor_and_an_operator_take_an_id_of_digits(vendor, answer, context, clock):
    done = answer("done", job_id="77", percent=100, result="https://a.test/r.png")
    vendor.will(done, done)
    sensor = JobSensor(
        task_id="s", conn_id=" gptunnel_default\n", job_id=77, kind="face_swap\n", deferrable=False
    )
    assert sensor.poke({}).xcom_value["conn_id"] == "gptunnel_default"
    swap = GPTunnelFaceSwapOperator(task_id="o", resume_job_id=77, deferrable=False, **PICTURES)
    assert swap.execute(context)["job_id"] == "77"
    assert not vendor.creates


@pytest.mark.parametrize(("filename", "name"), [(2026, "2026.png"), (" 2026 \n", "2026.png")])
def test_k8_a_filename_of_digits_is_a_name(web, picture, tmp_path, context, filename, name):
    web.will(picture())
    told = ArchiveOperator(
        task_id="a",
        source=" https://files.test/a.png\n",
        destination=f" file://{tmp_path}/kept\n",
        filename=filename,
    ).execute(context)
    assert Path(told["uri"]).name == name
    assert (tmp_path / "kept" / name).exists()


# -- texts that are numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("three", [3, "3", " 3 ", "3\n", 3.0])
def test_k8_a_number_may_be_given_as_text(three):
    assert body(GPTUNNEL, "upsample", parent_job_id="j", image=three)["image"] == 3
    assert body(TENGRAI, "face_swap", **PICTURES, denoising=three)["denoising"] == 3


def test_k8_the_text_of_a_list_of_positions_is_one():
    given = {"target_faces": "[0, 1]", "source_faces": (1, 0)}
    told = body(PIAPI, "multi_face_swap", **PICTURES, **given)["input"]
    assert (told["target_faces_index"], told["swap_faces_index"]) == ("0,1", "1,0")


@pytest.mark.parametrize("true", [True, "True", " true\n", "1"])
def test_k8_a_switch_may_be_given_as_text(true):
    assert body(GPTUNNEL, "face_swap", **PICTURES, enhance_face=true)["enhanceFace"] is True


# -- what is not set ----------------------------------------------------------------------------------


def not_set():
    numpy = pytest.importorskip("numpy")
    return [None, "", " \n", "None", math.nan, Decimal("nan"), numpy.nan, numpy.float64("nan")]


@pytest.mark.parametrize("value", not_set(), ids=repr)
def test_k8_an_optional_argument_without_a_value_is_not_set(value):
    assert "seed" not in body(TENGRAI, "face_swap", **PICTURES, seed=value)
    assert "enhanceFace" not in body(GPTUNNEL, "face_swap", **PICTURES, enhance_face=value)


@pytest.mark.parametrize("value", [math.nan, ""])
def test_k8_positions_without_a_value_select_no_other_kind(value):
    swap = PiAPIFaceSwapOperator(task_id="s", **PICTURES, target_faces=value, source_faces=value)
    assert swap.kind == "face_swap"


def test_k8_a_type_of_pandas_that_means_nothing_is_not_set():
    class NAType:
        def __ne__(self, other):
            raise TypeError

    assert not is_set(NAType())


def test_k8_an_argument_without_a_value_is_not_in_what_is_stored():
    told = provenance({"seed": math.nan, "prompt": 1980, "day": date(2026, 3, 1), "deep": {"x": math.nan}})
    assert told["arguments"] == {"prompt": 1980, "day": "2026-03-01", "deep": {"x": None}}
    json.dumps(told, allow_nan=False)


# -- blanks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", [GPTUNNEL, TENGRAI, PIAPI])
def test_k8_blanks_around_a_link_are_no_part_of_it(hook):
    clean = body(hook, "face_swap", **PICTURES)
    assert body(hook, "face_swap", target_image=f"\n {PICTURE}\n", face_image=f"{FACE} ") == clean


def test_k8_blanks_around_links_in_a_list_and_in_parameters_are_no_part_of_them():
    assert body(GPTUNNEL, "image", model="m", prompt="p", images=[f" {FACE}\n"])["images"] == [FACE]
    assert body(TENGRAI, "upscaling", parameters={"imageUrl": f" {FACE}\n"})["imageUrl"] == FACE


# -- money --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (1234567.0, "1234567"),
        (1234567.25, "1234567.25"),
        (0.00001, "0.00001"),
        (1e15, "1000000000000000.00"),
        (0.1 + 0.2, "0.3"),
        (15, "15"),
        (-2.5, "-2.5"),
    ],
)
def test_k8_money_is_plain_decimals(amount, text):
    assert str(Cost(amount=amount, unit="RUB")) == f"{text} RUB"
    assert str(Balance(amount=amount, unit="RUB", credit=1e6)) == f"{text} RUB and 1000000 RUB of credit"


# -- long prompts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["x" * 5000, "a violinist " * 2000, "скрипач " * 2000])
def test_k8_a_long_prompt_stays_a_prompt(prompt):
    assert provenance({"prompt": prompt})["arguments"]["prompt"] == prompt
    assert provenance({"input": {"prompt": prompt}})["arguments"]["input"]["prompt"] == prompt


def test_k8_what_is_stored_of_many_long_texts_has_a_bound():
    many = {"input": {str(number): "x" * 30_000 for number in range(20)}}
    assert len(json.dumps(provenance(many))) < 256 * 1024


# -- F5: the text of a whole result -------------------------------------------------------------------


@pytest.mark.parametrize("hook", [GPTUNNEL, TENGRAI, PIAPI])
@pytest.mark.parametrize("text", [RESULT_TEXT, f"[{RESULT_TEXT}]", "{'u':'http://a.test/x?sig=SECRET'}"])
def test_f5_the_text_of_a_result_is_no_picture(hook, text):
    assert "pass task.output itself" in refused(hook, "face_swap", target_image=text, face_image=FACE)


def test_f5_the_text_of_a_result_is_no_picture_of_any_kind():
    for kind, arguments in {
        "image": {"model": "m", "prompt": "p", "images": RESULT_TEXT},
        "upsample": {"parent_job_id": RESULT_TEXT, "image": 1},
        "inpaint": {"parent_job_id": "j", "mask": RESULT_TEXT},
    }.items():
        assert "pass task.output itself" in refused(GPTUNNEL, kind, **arguments)
    assert "pass task.output" in refused(PIAPI, "video_face_swap", target_video=RESULT_TEXT, face_image=FACE)
    assert "pass task.output" in refused(TENGRAI, "upscaling", parameters={"imageUrl": RESULT_TEXT})


def test_f5_the_text_of_a_result_is_neither_a_source_nor_a_job(context):
    archive = ArchiveOperator(task_id="a", source=RESULT_TEXT, destination="file:///tmp/kept")
    sensor = JobSensor(
        task_id="s", conn_id="gptunnel_default", job_id=RESULT_TEXT, kind="image", deferrable=False
    )
    upsample = GPTunnelUpsampleOperator(task_id="u", parent_job_id=RESULT_TEXT, image=1, deferrable=False)
    for run in (lambda: archive.execute(context), lambda: sensor.poke({}), lambda: upsample.execute(context)):
        with pytest.raises(InvalidRequestError, match=r"pass task\.output itself") as caught:
            run()
        assert "SECRET" not in str(caught.value)


# -- F7: what was given instead of a link -------------------------------------------------------------


@pytest.mark.parametrize("hook", [GPTUNNEL, TENGRAI, PIAPI])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("/tmp/a.jpg", "is a path: use file:///tmp/a.jpg"),
        ("/tmp/a.jpg?sig=SECRET", "is a path: use file:///tmp/a.jpg"),
        ("file:/tmp/a.jpg", "is a path: use file:///tmp/a.jpg"),
        (r"C:\faces\a.jpg", "is a path: use file:///C:/faces/a.jpg"),
        ("anna.jpg", "is a file name"),
        ("anna.PNG?token=SECRET", "full path of anna.PNG"),
        ("./faces/anna.jpg", "is a relative path"),
        ("faces/anna.jpg", "is a relative path"),
        ("~/anna.jpg", "is a relative path"),
        ("pictures.test/anna.jpg?sig=SECRET", "has no scheme: use https://pictures.test/anna.jpg"),
        ("/9j/4AAQSkZJRgABAQ", "is base64"),
        ("ftp://files.test/a.jpg?sig=SECRET", "must be a full http or https URL"),
    ],
)
def test_f7_an_error_says_what_was_given_instead_of_a_link(hook, value, text):
    for name in ("target_image", "face_image"):
        told = refused(hook, "face_swap", **{**PICTURES, name: value})
        assert f"{name}: " in told
        assert text in told


def test_f7_a_data_uri_is_named_where_it_is_not_taken():
    gif = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
    assert "image/gif" in refused(GPTUNNEL, "face_swap", target_image=gif, face_image=FACE)
    assert "is a data: URI" in refused(TENGRAI, "face_swap", target_image=gif, face_image=FACE)


def test_f7_an_empty_prompt_is_empty():
    assert "prompt: is empty" in refused(GPTUNNEL, "imagine", prompt=" ")


# -- and a whole task ---------------------------------------------------------------------------------


def test_k8_a_task_with_a_prompt_of_digits_buys_its_picture(vendor, answer, context, clock):
    vendor.will(answer("idle"), answer("done", percent=100, result="https://a.test/r.png"))
    result = GPTunnelImagineOperator(task_id="i", prompt=1980, deferrable=False).execute(context)
    assert vendor.creates[0]["prompt"] == "1980"
    assert result["provenance"]["arguments"]["prompt"] == 1980
