"""The package against the sandbox at its most unkind: it gets through, or its error says what the vendor said."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_faceswap.exceptions import (
    ContentRefusedError,
    InsufficientBalanceError,
    InvalidRequestError,
    NoFaceError,
    RateLimitError,
)
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import (
    GPTunnelFaceSwapOperator,
    GPTunnelImagineOperator,
    GPTunnelUpsampleOperator,
)
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator, PiAPITaskOperator
from tests.integration.test_vendors import VENDORS

pytestmark = pytest.mark.sandbox


@pytest.fixture
def all_at_once(unkind):
    """What a vendor does now and then; it is not busy, because an operator alone has no retries."""
    return unkind("refuse")


@pytest.mark.usefixtures("all_at_once")
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_swap_gets_through_and_is_kept(run, two, context, tmp_path, ledger, vendor):
    result = run(VENDORS[vendor], **two)
    kept = ArchiveOperator(task_id="a", source=result, destination=f"file://{tmp_path}").execute(context)
    assert Path(kept["uri"].removeprefix("file://")).stat().st_size == kept["bytes"]
    assert ledger()["requests"][vendor]["create"] == 1


@pytest.mark.usefixtures("all_at_once")
def test_a_chain_gets_through(run, two, ledger):
    grid = run(GPTunnelImagineOperator, prompt="a captain")
    picked = run(GPTunnelUpsampleOperator, parent_job_id=grid, image=3)
    assert run(GPTunnelFaceSwapOperator, **{**two, "target_image": picked}, preflight="fit")["url"]
    assert ledger()["creates"] == 3


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("status", [400, 402, 403, 429, 500])
@pytest.mark.parametrize(
    ("reason", "error", "says"),
    [
        ("busy", RateLimitError, r"(?i)too many requests|plan limit"),
        ("no_credits", InsufficientBalanceError, r"(?i)insufficient|not enough credits"),
    ],
)
def test_the_words_of_a_refusal_decide_and_nothing_is_bought(
    run, two, fault, ledger, vendor, status, reason, error, says
):
    fault(vendor, "create", times=None, type="refuse", reason=reason, status=status)
    with pytest.raises(error, match=says):
        run(VENDORS[vendor], **two)
    assert ledger()["creates"] == 0


@pytest.mark.parametrize("place", ["raw_message", "logs"])
@pytest.mark.parametrize(
    ("cause", "error"),
    [
        ("no face found in the image", NoFaceError),
        ("the request was rejected by our safety system", ContentRefusedError),
        ("target image: failed to get valid image", InvalidRequestError),
    ],
)
def test_the_cause_of_a_failure_is_found_wherever_it_is(run, two, fault, ledger, place, cause, error):
    fault("piapi", None, times=None, type="hide_cause", place=place)
    fault("piapi", "create", type="fail_job", message=cause)
    with pytest.raises(error, match=cause) as caught:
        run(PiAPIFaceSwapOperator, **two)
    assert caught.value.job_id
    assert ledger()["creates"] == 1


@pytest.mark.parametrize("place", ["raw_message", "logs"])
def test_the_cause_of_a_refusal_is_found_wherever_it_is(run, two, fault, ledger, place):
    fault("piapi", None, times=None, type="hide_cause", place=place)
    fault("piapi", "create", type="refuse", reason="no_credits", status=400)
    with pytest.raises(InsufficientBalanceError, match="insufficient credits"):
        run(PiAPIFaceSwapOperator, **two)
    assert ledger()["creates"] == 0


def test_a_link_without_a_suffix_is_a_wrong_input_and_given_back(run, two, fault, sandbox, ledger):
    fault("piapi", "create", times=None, type="strict_links")
    hidden = f"{sandbox.url}/task/image/0123456789abcdef01234567?cache=100.jpg"
    with pytest.raises(InvalidRequestError, match="failed to get valid image"):
        run(PiAPIFaceSwapOperator, **{**two, "target_image": hidden})
    assert ledger()["total"]["point"] == 0
    signed = two["target_image"] + "?sig=a.b"
    assert run(PiAPIFaceSwapOperator, **{**two, "target_image": signed})["url"]


def test_a_picture_behind_a_link_without_a_suffix_is_fitted_into_the_request(run, two, fault, ledger):
    fault("piapi", "create", times=None, type="strict_links")
    grid = run(GPTunnelImagineOperator, prompt="a captain")
    assert "." not in grid["url"].partition("?")[0].rpartition("/")[2]
    arguments = {**two, "target_image": grid, "target_faces": [0], "source_faces": [0]}
    assert run(PiAPIFaceSwapOperator, **arguments, preflight="fit")["url"]
    assert ledger()["total"]["point"] > 0


@pytest.mark.usefixtures("all_at_once")
@pytest.mark.parametrize(
    ("model", "task_type", "given", "media_type"),
    [
        ("Qubico/image-toolkit", "background-remove", {"image": "{url}"}, "image/png"),
        ("Qubico/image-toolkit", "upscale", {"image": "{url}", "scale": 2}, "image/png"),
        ("Qubico/image-toolkit", "segment", {"image": "{url}", "prompt": "face"}, "image/png"),
        ("midjourney", "imagine", {"prompt": "a captain"}, "image/png"),
        ("seedance", "seedance-2", {"prompt": "a walk"}, "video/mp4"),
        ("luma", "video_generation", {"prompt": "a walk"}, "video/mp4"),
        ("kling", "ai_try_on", {"model_input": "{url}"}, "image/png"),
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


@pytest.mark.parametrize(
    ("model", "task_type", "given", "first"),
    [
        ("kling", "video_generation", {"prompt": "a walk"}, ".mp4"),
        ("Qubico/diffrhythm", "txt2audio-base", {"lyrics": "la"}, ".mp3"),
        ("music-s", "generate_music", {"gpt_description_prompt": "a shanty"}, ".mp3"),
        ("Qubico/trellis", "image-to-3d", {"image": "{url}"}, ".glb"),
    ],
)
def test_the_output_of_a_task_comes_before_its_previews(run, two, model, task_type, given, first):
    filled = {name: two["target_image"] if value == "{url}" else value for name, value in given.items()}
    result = run(PiAPITaskOperator, model=model, task_type=task_type, input=filled)
    assert result["url"].partition("?")[0].endswith(first)
