"""Content arguments are declared once, by the constructor of an operator that names its kind of job."""

from __future__ import annotations

import inspect
import json
from importlib import import_module

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.base import JobOperator
from airflow_provider_faceswap.operators.gptunnel import (
    GPTunnelFaceSwapOperator,
    GPTunnelGenerateOperator,
    GPTunnelImageOperator,
    GPTunnelImagineOperator,
)
from airflow_provider_faceswap.operators.piapi import PiAPITaskOperator
from airflow_provider_faceswap.operators.tengrai import TengraiArtworkOperator
from tests.conftest import FACE, PICTURE


class Cartoon(JobOperator):
    hook_class = GPTunnelHook
    kind = "cartoon"

    def __init__(self, *, picture, style=None, webhook=None, **kwargs):
        super().__init__(**kwargs)
        self.picture = picture
        self.style = style
        self.webhook = webhook


class TeamCartoon(Cartoon):
    """A user's operator: it takes something that is no content of a job."""

    def __init__(self, *, team, **kwargs):
        super().__init__(style=f"the style of {team}", **kwargs)


def test_the_constructor_says_what_is_sent():
    cartoon = Cartoon(task_id="c", picture="p", webhook="https://hook.test/?token=t")
    assert cartoon.arguments() == {"picture": "p", "style": None, "webhook": "https://hook.test/?token=t"}


def test_the_same_arguments_are_templates_but_for_a_webhook():
    assert Cartoon.template_fields == ("picture", "style", "conn_id", "resume_job_id")


def test_an_operator_that_names_no_kind_keeps_those_of_its_parent():
    cartoon = TeamCartoon(task_id="c", team="sales", picture="p")
    assert cartoon.arguments() == {"picture": "p", "style": "the style of sales", "webhook": None}
    assert TeamCartoon.template_fields == Cartoon.template_fields


HOOK = "https://hook.test/TOKEN-IN-THE-PATH"
#: Operators whose argument has the vendor's own names, with that argument and the others.
OPEN = [
    (TengraiArtworkOperator, "parameters", {"artwork": "selena"}),
    (PiAPITaskOperator, "input", {"model": "m", "task_type": "t"}),
    (GPTunnelImageOperator, "options", {"model": "m", "prompt": "p"}),
    (GPTunnelGenerateOperator, "options", {"model": "m", "prompt": "p"}),
]


@pytest.mark.parametrize(("operator", "name", "others"), OPEN)
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"a": 1, "webhook": "{{ params.hook }}"}, {"a": 1}),
        ({"callback_url": "{{ params.hook }}"}, {}),
        ({"notify": {"webHook": "{{ params.hook }}", "on": "end"}}, {"notify": {"on": "end"}}),
        ({"calls": ["x", {"a_secret": "{{ params.hook }}", "b": 2}]}, {"calls": ["x", {"b": 2}]}),
    ],
)
def test_a_webhook_among_the_vendors_own_names_is_sent_and_not_stored(
    context, operator, name, others, given, stored
):
    context["params"] = {"hook": HOOK}
    task = operator(task_id="t", **others, **{name: given})
    assert task.arguments()[name] == given
    task.render_template_fields(context)
    fields = {field: getattr(task, field) for field in task.template_fields}
    assert fields[name] == stored
    assert "hook" not in repr(fields).casefold()
    sent = task._rendered_arguments(context)[name]
    assert sent == json.loads(json.dumps(given).replace("{{ params.hook }}", HOOK))


def test_the_argument_may_be_a_template_or_be_replaced_later(context):
    task = TengraiArtworkOperator(task_id="t", artwork="selena", parameters="{{ params.all }}")
    assert task.arguments() == {"parameters": "{{ params.all }}"}
    task = TengraiArtworkOperator(task_id="t", artwork="selena", parameters={"a": {"webhook": HOOK}, "b": 1})
    task.parameters = {"b": 2}
    assert task.arguments() == {"parameters": {"b": 2, "a": {"webhook": HOOK}}}


def test_an_argument_that_is_nested_too_deep_is_left_as_it_is():
    given: dict[str, object] = {"webhook": HOOK}
    for _ in range(150):
        given = {"again": given}
    assert PiAPITaskOperator(task_id="t", model="m", task_type="t", input=given).input is given


def test_an_operator_of_another_kind_adds_its_own_before_them():
    class Poster(Cartoon):
        kind = "poster"

        def __init__(self, *, size, **kwargs):
            super().__init__(**kwargs)
            self.size = size

    assert Poster(task_id="p", size="A3", picture="p").arguments() == {
        "size": "A3",
        "picture": "p",
        "style": None,
        "webhook": None,
    }
    assert Poster.template_fields == ("size", *Cartoon.template_fields)


def test_operators_side_by_side_do_not_share_them():
    assert "prompt" not in GPTunnelFaceSwapOperator.template_fields
    assert "target_image" not in GPTunnelImagineOperator.template_fields


def test_a_mapped_operator_has_the_same_templates_and_gives_them_to_each_task():
    with DAG("a_dag", schedule=None):
        mapped = GPTunnelFaceSwapOperator.partial(task_id="swap", target_image=PICTURE).expand(
            face_image=[FACE, "{{ params.face }}"]
        )
    assert mapped.template_fields == GPTunnelFaceSwapOperator.template_fields
    task = mapped.unmap({"face_image": FACE})
    assert (task.arguments()["target_image"], task.arguments()["face_image"]) == (PICTURE, FACE)


OPERATORS = [
    operator
    for vendor in ("gptunnel", "tengrai", "piapi")
    for operator in vars(import_module(f"airflow_provider_faceswap.operators.{vendor}")).values()
    if inspect.isclass(operator) and operator is not JobOperator and not operator.__name__.startswith("_")
    if issubclass(operator, JobOperator)
]


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda one: one.__name__)
def test_every_argument_of_an_operator_is_one_that_its_vendor_takes(operator):
    required = [
        name
        for name, parameter in inspect.signature(operator.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    ]
    task = operator(task_id="t", **dict.fromkeys(required, "upscaling"))
    kinds = operator.hook_class.vendor.kinds.values()
    assert task.arguments()
    assert task.arguments().keys() <= {name for kind in kinds for name in kind.arguments.model_fields}
