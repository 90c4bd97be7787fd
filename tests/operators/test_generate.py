"""A picture from a text at whichever vendor generates one."""

from __future__ import annotations

import httpx
import pytest

from airflow_provider_faceswap.exceptions import InsufficientBalanceError, InvalidRequestError
from airflow_provider_faceswap.operators.generate import ImageOperator
from airflow_provider_faceswap.vendors.tengrai import Tengrai
from tests.conftest import NEEDS_STATE_STORE

DONE = {
    "piapi": {
        "code": 200,
        "data": {"task_id": "p1", "status": "completed", "output": {"image_url": "https://a.test/r.png"}},
    },
    "gptunnel": {"code": 0, "id": "g1", "status": "done", "url": "https://a.test/r.png", "cost": 5},
    "tengrai": {
        "id": "t1",
        "artworkType": "selena",
        "status": "succeeded",
        "results": ["https://a.test/r.png"],
        "createdAt": "2027-01-15T08:00:00Z",
    },
}
BROKE = httpx.Response(402, json={"error": {"message": "balance too low"}})


def image(*vendors, **more):
    more = {"prompt": "a gardener", "deferrable": False, **more}
    return ImageOperator(task_id="image", conn_ids=[f"{vendor}_default" for vendor in vendors], **more)


@pytest.mark.parametrize(
    ("name", "model", "sent"),
    [
        ("gptunnel", None, {"model": "gpt-image-1-low", "prompt": "a gardener"}),
        ("gptunnel", "flux-dev", {"model": "flux-dev", "prompt": "a gardener"}),
        ("tengrai", None, {"prompt": "a gardener"}),
        ("tengrai", "quantum", {"prompt": "a gardener"}),
        (
            "piapi",
            None,
            {"model": "Qubico/flux1-schnell", "task_type": "txt2img", "input": {"prompt": "a gardener"}},
        ),
        (
            "piapi",
            {"piapi_default": "Qubico/flux1-dev", "other": "x"},
            {"model": "Qubico/flux1-dev", "task_type": "txt2img", "input": {"prompt": "a gardener"}},
        ),
    ],
)
def test_each_vendor_gets_model_and_prompt_in_its_own_words(vendor, context, clock, name, model, sent):
    vendor.will(DONE[name], DONE[name])
    result = image(name, model=model).execute(context)
    assert result["vendor"] == name
    assert result["url"] == "https://a.test/r.png"
    [create] = vendor.creates
    assert create == sent
    if name == "tengrai":
        assert vendor.requests[0].url.path.endswith(model or "selena")


def test_a_model_of_the_other_route_is_sent_there(vendor, context, clock):
    vendor.will({"code": 0, "id": "g1", "url": "https://a.test/r.png"})
    assert image("gptunnel", model="seedream-4").execute(context)["kind"] == "generate"


@NEEDS_STATE_STORE
def test_the_next_vendor_is_tried_and_a_retry_pays_nothing(vendor, context, clock):
    vendor.will(BROKE, DONE["piapi"])
    assert image("gptunnel", "piapi").execute(context)["vendor"] == "piapi"
    vendor.will(DONE["piapi"])
    result = image("gptunnel", "piapi").execute(context)
    assert (result["job_id"], result["attempt_reused"]) == ("p1", True)
    assert len(vendor.creates) == 2


def test_the_last_refusal_is_the_one_that_is_raised(vendor, context, clock):
    vendor.will(BROKE, httpx.Response(402, json={"code": 402, "message": "no credit", "data": None}))
    with pytest.raises(InsufficientBalanceError, match="piapi: no credit"):
        image("gptunnel", "piapi").execute(context)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"prompt": ""}, "prompt: is empty"),
        ({"prompt": "None"}, "prompt: is empty"),
        ({"prompt": True}, "prompt: must be a text"),
        ({"model": ["a"]}, "model: must be a text"),
    ],
)
def test_a_wrong_argument_is_said_before_anything_is_bought(vendor, context, clock, more, says):
    with pytest.raises(InvalidRequestError, match=says) as caught:
        image("piapi", **more).execute(context)
    assert "Nothing was bought" in str(caught.value)
    assert not vendor.requests


def test_a_vendor_that_generates_nothing_is_said(vendor, context, clock, monkeypatch):
    monkeypatch.setattr(Tengrai, "generation", None)
    with pytest.raises(InvalidRequestError, match="'tengrai_default': this vendor does not generate"):
        image("tengrai").execute(context)
