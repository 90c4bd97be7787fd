"""The package against the sandbox at its most unkind: it gets through, or its error says what the vendor said."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import (
    GPTunnelFaceSwapOperator,
    GPTunnelImagineOperator,
    GPTunnelUpsampleOperator,
)
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator, PiAPITaskOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator

pytestmark = pytest.mark.sandbox

SWAPS = {
    "gptunnel": GPTunnelFaceSwapOperator,
    "tengrai": TengraiFaceSwapOperator,
    "piapi": PiAPIFaceSwapOperator,
}


@pytest.fixture
def run(context):
    """Run an operator in its worker, waiting there."""

    def execute(operator_class, **arguments):
        context["task_state_store"].values.clear()
        return operator_class(task_id="t", deferrable=False, **arguments).execute(context)

    return execute


@pytest.fixture
def two(sandbox):
    return {
        "target_image": f"{sandbox.url}/samples/anna.jpg",
        "face_image": f"{sandbox.url}/samples/boris.jpg",
    }


@pytest.fixture
def unkind(fault):
    """What a vendor does now and then, all at once."""
    fault(None, None, times=None, type="hide_cause", place="logs")
    fault("piapi", "create", times=None, type="strict_links")
    for vendor in SWAPS:
        fault(vendor, "fetch", type="no_output")
        fault(vendor, "fetch", type="status", status=403, body="<html>Attention required</html>")
        fault(vendor, "fetch", type="unknown_status", word="marinating")


@pytest.mark.usefixtures("unkind")
@pytest.mark.parametrize("vendor", SWAPS)
def test_a_swap_gets_through_and_is_kept(run, two, context, tmp_path, ledger, vendor):
    result = run(SWAPS[vendor], **two)
    kept = ArchiveOperator(task_id="a", source=result, destination=f"file://{tmp_path}").execute(context)
    assert Path(kept["uri"].removeprefix("file://")).stat().st_size == kept["bytes"]
    assert ledger()["requests"][vendor]["create"] == 1


@pytest.mark.usefixtures("unkind")
def test_a_chain_gets_through(run, two, ledger):
    grid = run(GPTunnelImagineOperator, prompt="a captain")
    picked = run(GPTunnelUpsampleOperator, parent_job_id=grid, image=3)
    assert run(GPTunnelFaceSwapOperator, **{**two, "target_image": picked})["url"]
    assert ledger()["creates"] == 3


@pytest.mark.parametrize("vendor", SWAPS)
@pytest.mark.parametrize("status", [400, 402, 403, 429, 500])
@pytest.mark.parametrize(
    ("reason", "says"),
    [("busy", r"(?i)too many requests|plan limit"), ("no_credits", r"(?i)insufficient|not enough credits")],
)
def test_a_refusal_in_words_is_shown_and_nothing_is_bought(
    run, two, fault, ledger, vendor, status, reason, says
):
    fault(vendor, "create", times=None, type="refuse", reason=reason, status=status)
    with pytest.raises(FaceSwapError, match=says):
        run(SWAPS[vendor], **two)
    assert ledger()["creates"] == 0


def test_a_link_without_a_suffix_is_a_wrong_input_and_given_back(run, two, fault, sandbox, ledger):
    fault("piapi", "create", times=None, type="strict_links")
    hidden = f"{sandbox.url}/task/image/0123456789abcdef01234567?cache=100.jpg"
    with pytest.raises(InvalidRequestError, match="failed to get valid image"):
        run(PiAPIFaceSwapOperator, **{**two, "target_image": hidden})
    assert ledger()["total"]["point"] == 0
    signed = two["target_image"] + "?sig=a.b"
    assert run(PiAPIFaceSwapOperator, **{**two, "target_image": signed})["url"]


@pytest.mark.usefixtures("unkind")
@pytest.mark.parametrize(
    ("model", "task_type", "given", "media_type"),
    [
        ("Qubico/image-toolkit", "background-remove", {"image": "{url}"}, "image/png"),
        ("Qubico/image-toolkit", "upscale", {"image": "{url}", "scale": 2}, "image/png"),
        ("Qubico/image-toolkit", "segment", {"image": "{url}", "prompt": "face"}, "image/png"),
        ("midjourney", "imagine", {"prompt": "a captain"}, "image/png"),
        ("seedance", "seedance-2", {"prompt": "a walk"}, "video/mp4"),
    ],
)
def test_a_task_of_another_model_is_kept(run, two, context, tmp_path, model, task_type, given, media_type):
    filled = {name: two["target_image"] if value == "{url}" else value for name, value in given.items()}
    result = run(PiAPITaskOperator, model=model, task_type=task_type, input=filled)
    kept = ArchiveOperator(task_id="a", source=result, destination=f"file://{tmp_path}").execute(context)
    files = kept if isinstance(kept, list) else [kept]
    assert {file["media_type"] for file in files} == {media_type}
    assert len(files) == len(result["urls"])
    # A grid comes with its four pictures, or as these alone.
    assert len(files) in ((4, 5) if task_type == "imagine" else (1,))
