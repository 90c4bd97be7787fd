"""Options of a GPTunneL model: sent as they are, rendered, and without their tokens in what is stored or shown."""

from __future__ import annotations

import json

import httpx
import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.gptunnel import GPTunnelGenerateOperator, GPTunnelImageOperator

JOB = "65819c485337280001a609e7"
LINK = "https://cdn.test/a.webp"
CALLBACK = "https://hook.test/gptunnel/TOKEN-IN-THE-PATH"
DONE = {"code": 0, "id": JOB, "status": "done", "url": LINK}


def image(**more):
    arguments = {"task_id": "a_task", "model": "m", "prompt": "p", "deferrable": False, **more}
    return GPTunnelImageOperator(**arguments)


def run(operator, context):
    operator.render_template_fields(context)
    return operator.execute(context)


def test_options_are_rendered_and_sent_beside_the_arguments(vendor, context, clock):
    vendor.will(DONE)
    context["params"] = {"seconds": 8, "hook": CALLBACK}
    run(image(options={"duration": "{{ params.seconds }}", "callback_url": "{{ params.hook }}"}), context)
    assert vendor.creates == [{"model": "m", "prompt": "p", "duration": "8", "callback_url": CALLBACK}]


@pytest.mark.parametrize("operator", [GPTunnelImageOperator, GPTunnelGenerateOperator])
def test_airflow_stores_the_rendered_options_without_those_that_may_have_a_token(operator, context):
    options = {"quality": "high", "callback_url": CALLBACK, "webhook": CALLBACK, "hook_secret": "TOKEN"}
    task = operator(task_id="a_task", model="m", prompt="p", options=options)
    task.render_template_fields(context)
    stored = {name: getattr(task, name) for name in task.template_fields}
    assert stored["options"] == {"quality": "high"}
    assert "TOKEN" not in repr(stored)
    assert task.arguments()["options"] == options


def test_options_may_be_the_output_of_another_task():
    with DAG("a_dag", schedule=None):
        picture = image(task_id="picture")
        task = image(options=picture.output)
    assert task.upstream_task_ids == {"picture"}


def test_a_mapped_operator_maps_over_options(context):
    with DAG("a_dag", schedule=None):
        mapped = GPTunnelImageOperator.partial(task_id="a_task", model="m", prompt="p").expand(options=[{}])
    task = mapped.unmap({"options": {"callback_url": CALLBACK, "quality": "low"}})
    assert task.options == {"quality": "low"}
    assert task.arguments()["options"]["callback_url"] == CALLBACK


def test_a_wrong_option_buys_nothing(vendor, context, clock):
    with pytest.raises(InvalidRequestError, match=r"options: must not set prompt .* Nothing was bought."):
        run(image(options={"prompt": CALLBACK}), context)
    assert not vendor.requests
    # On Airflow 3.4, which may delete records, a first attempt leaves one without a job.
    assert not any(record.get("job_id") for record in context["task_state_store"].values.values())


def test_a_retry_finds_the_job_of_the_same_options(vendor, context, clock):
    options = {"quality": "high", "callback_url": CALLBACK}
    vendor.will(DONE, DONE)
    run(image(options=options), context)
    assert run(image(options=options), context)["attempt_reused"]
    assert len(vendor.creates) == 1


ECHOES = [
    {"code": 3, "message": f"callback_url {CALLBACK} is unreachable"},
    {
        "code": 3,
        "message": "m",
        "issues": [{"path": ["callback_url"], "expected": "url", "message": f"{CALLBACK}?a=1"}],
    },
    {"code": 0, "id": JOB, "status": "failed", "message": f"cannot call {CALLBACK}"},
]


@pytest.mark.parametrize("echo", ECHOES, ids=["message", "issue", "failed job"])
def test_no_message_shows_a_callback_that_the_vendor_repeats(vendor, context, clock, capsys, echo):
    vendor.will(httpx.Response(200, json=echo))
    with pytest.raises(Exception, match="gptunnel") as caught:
        run(image(options={"callback_url": f"{CALLBACK}?a=1"}), context)
    assert "TOKEN" not in str(caught.value) + capsys.readouterr().out + json.dumps(
        context["task_state_store"].values
    )


@pytest.mark.parametrize(
    "callback", ["https://cdn.test", "https://cdn.test/", "https://cdn.test/?token=TOKEN"]
)
def test_a_callback_on_the_host_of_the_results_leaves_their_links_whole(vendor, context, clock, callback):
    vendor.will(DONE)
    assert run(image(options={"callback_url": callback}), context)["url"] == LINK


def test_neither_the_result_nor_its_provenance_has_the_callback(vendor, context, clock):
    vendor.will(DONE)
    result = run(image(options={"quality": "high", "callback_url": CALLBACK}), context)
    assert result["provenance"]["arguments"]["options"] == {"quality": "high"}
    assert "TOKEN" not in json.dumps(result)


def test_the_hook_takes_options_too(vendor, clock):
    vendor.will(DONE)
    job = GPTunnelHook().submit("image", model="m", prompt="p", options={"quality": "high"})
    assert (job.urls, vendor.creates[0]["quality"]) == ((LINK,), "high")
