"""Content arguments are declared once, by the constructor of an operator that names its kind of job."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.base import JobOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator, GPTunnelImagineOperator
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
