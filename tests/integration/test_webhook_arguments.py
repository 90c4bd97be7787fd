"""A webhook that comes with a job is sent by the vendor; neither its address nor its secret comes back."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator, GPTunnelImageOperator
from airflow_provider_faceswap.operators.piapi import (
    PiAPIFaceSwapOperator,
    PiAPITaskOperator,
    PiAPIVideoFaceSwapOperator,
)
from airflow_provider_faceswap.operators.tengrai import TengraiArtworkOperator, TengraiFaceSwapOperator
from tests.receiver import Receiver

pytestmark = pytest.mark.sandbox

TOKEN, SECRET = "token-of-this-test", "secret-of-this-test"
#: Public, because Tengrai takes no other; the sandbox sends it to the receiver of the test.
ADDRESS = f"https://hooks.example.com/{TOKEN}"
TWO = {"target_image": "anna.jpg", "face_image": "boris.jpg"}
IMAGE = {"model": "gpt-image-1-low", "prompt": "a cat"}
BY_ARGUMENT = [
    (GPTunnelFaceSwapOperator, {**TWO, "webhook": ADDRESS}),
    (GPTunnelImageOperator, {**IMAGE, "options": {"callback_url": ADDRESS}}),
    (TengraiFaceSwapOperator, {**TWO, "webhook": ADDRESS}),
    (TengraiArtworkOperator, {"artwork": "selena", "parameters": {"prompt": "a cat", "webhook": ADDRESS}}),
]
PROMPT = {"model": "Qubico/flux1-schnell", "task_type": "txt2img", "input": {"prompt": "a cat"}}
BY_CONNECTION = [
    (GPTunnelFaceSwapOperator, TWO),
    (TengraiFaceSwapOperator, TWO),
    (TengraiArtworkOperator, {"artwork": "selena", "parameters": {"prompt": "a cat"}}),
    (PiAPIFaceSwapOperator, TWO),
    (PiAPIFaceSwapOperator, {**TWO, "target_faces": [0], "source_faces": [0]}),
    (PiAPIVideoFaceSwapOperator, {"target_video": "clip.mp4", "face_image": "boris.jpg"}),
    (PiAPITaskOperator, PROMPT),
    (FaceSwapOperator, {**TWO, "conn_ids": ["tengrai_default", "piapi_default"]}),
    (FaceSwapOperator, {**TWO, "conn_ids": ["piapi_default"]}),
]


@pytest.fixture
def received(sandbox):
    """The webhooks that have arrived."""
    with Receiver() as receiver:
        httpx.post(f"{sandbox.url}/sandbox/settings", json={"webhooks_to": receiver.url}).raise_for_status()
        yield receiver.received


@pytest.fixture
def everything(sandbox, received, context, caplog):
    """Run an operator until its webhook has arrived; returns its result and all texts that Airflow would keep."""

    def run(operator_class, arguments):
        caplog.set_level(logging.DEBUG)
        given = {
            name: f"{sandbox.url}/samples/{value}" if name in TWO or name == "target_video" else value
            for name, value in arguments.items()
        }
        result = operator_class(task_id="t", deferrable=False, **given).execute(context)
        sandbox.sandbox.webhooks.settle()
        return result, [json.dumps(result), json.dumps(context["task_state_store"].values), caplog.text]

    return run


def check(received, result, kept):
    # GPTunneL's media API may first have said that the job runs.
    [(path, headers, body)] = [one for one in received if one[2].get("status") != "running"]
    assert path == f"/{TOKEN}"
    job = body.get("data", body)
    assert result["job_id"] in {job.get("id"), job.get("task_id")}
    assert headers.get("x-webhook-secret") == (SECRET if result["vendor"] == "piapi" else None)
    for text in kept:
        assert TOKEN not in text
        assert SECRET not in text


@pytest.mark.parametrize(("operator", "arguments"), BY_ARGUMENT)
def test_a_webhook_given_to_an_operator_is_sent(received, everything, operator, arguments):
    check(received, *everything(operator, arguments))


@pytest.mark.parametrize(("operator", "arguments"), BY_CONNECTION)
def test_a_webhook_of_the_connection_is_sent(sandbox, connections, received, everything, operator, arguments):
    connections(sandbox.url, webhook=ADDRESS, webhook_secret=SECRET)
    check(received, *everything(operator, arguments))


def test_the_webhook_of_a_row_is_sent_and_not_stored_with_the_rendered_rows(
    sandbox, received, context, tmp_path
):
    row = {name: f"{sandbox.url}/samples/{value}" for name, value in TWO.items()}
    operator = FaceSwapBatchOperator(
        task_id="t",
        conn_id="gptunnel_default",
        items=[{**row, "webhook": f"{ADDRESS}/{{{{ ti.run_id }}}}"}, row],
        destination=f"file://{tmp_path}",
    )
    operator.render_template_fields(context)
    assert operator.items == [row, row]
    assert operator.execute(context)["archived"] == 2
    sandbox.sandbox.webhooks.settle()
    assert [path for path, *_ in received] == [f"/{TOKEN}/{context['ti'].run_id}"]
    assert TOKEN not in "".join(path.read_text() for path in tmp_path.glob("*.json*"))
