"""PiAPI's operators: the service mode of each, and Midjourney through the task operator."""

from __future__ import annotations

import inspect
from typing import Literal, get_args, get_type_hints

import pytest
from airflow.sdk import DAG

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.operators import piapi
from airflow_provider_faceswap.operators.piapi import (
    PiAPIFaceSwapOperator,
    PiAPITaskOperator,
    PiAPIVideoFaceSwapOperator,
)

LINK = "https://pictures.test/a.jpg"
OPERATORS = {
    PiAPIFaceSwapOperator: {"target_image": LINK, "face_image": LINK},
    PiAPIVideoFaceSwapOperator: {"target_video": "https://pictures.test/a.mp4", "face_image": LINK},
    PiAPITaskOperator: {"model": "midjourney", "task_type": "imagine", "input": {"prompt": "p"}},
}
each_operator = pytest.mark.parametrize("operator", OPERATORS, ids=lambda one: one.__name__)
PENDING = {"code": 200, "data": {"task_id": "t1", "status": "pending"}}
SINGLES = [f"https://cdn.test/{number}.png" for number in range(4)]
GRID = "https://cdn.test/grid.png"


def completed(output):
    return {"code": 200, "data": {"task_id": "t1", "status": "completed", "output": output}}


def run(operator, context, **more):
    task = operator(task_id="t", deferrable=False, **{**OPERATORS[operator], **more})
    task.render_template_fields(context)
    return task.execute(context)


@each_operator
@pytest.mark.parametrize(
    ("mode", "config"),
    [
        ("private", {"service_mode": "private"}),
        ("{{ mode }}", {"service_mode": "public"}),
        (None, None),
        ("", None),
    ],
)
def test_the_service_mode_is_an_argument_and_a_template(vendor, clock, context, operator, mode, config):
    vendor.will(PENDING, completed({"image_url": GRID, "video_url": GRID}))
    with DAG("a_dag", schedule=None):
        run(operator, {**context, "mode": "public"}, service_mode=mode)
    [body] = vendor.creates
    assert body.get("config") == config


@each_operator
def test_another_service_mode_is_refused_before_anything_is_sent(vendor, context, operator):
    with pytest.raises(InvalidRequestError, match="service_mode: Input should be 'public' or 'private'"):
        run(operator, context, service_mode="fast")
    assert not vendor.requests


@each_operator
def test_the_service_mode_is_typed_as_one_of_two_words(operator):
    assert "service_mode" in inspect.signature(operator.__init__).parameters
    hint = get_type_hints(operator.__init__, {**vars(piapi), "Mapping": dict, "JobArguments": dict})[
        "service_mode"
    ]
    assert set(get_args(hint)) == {Literal["public", "private"], type(None)}


def test_the_first_link_of_a_midjourney_task_is_a_single_picture_and_the_grid_is_last(vendor, clock, context):
    output = {"image_url": GRID, "image_urls": None, "temporary_image_urls": SINGLES, "discord_image_url": ""}
    vendor.will(PENDING, completed(output))
    result = run(PiAPITaskOperator, context)
    assert result["url"] == SINGLES[0]
    assert result["urls"] == [*SINGLES, GRID]
