"""Where a step may name the result of an earlier step, checked before anything is bought."""

from __future__ import annotations

import pytest

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step

PICTURE = Step("picture", "gptunnel_default", "image", model="gpt-image-1-low", prompt="a portrait of {role}")
GRID = Step("grid", "gptunnel_default", "imagine", prompt="four portraits of {role}")
SWAP = Step("swap", "piapi_default", "face_swap", target_image="{face}", face_image="{face}")
ITEMS = [{"role": "captain", "face": "https://example.com/a.jpg", "number": 2}]


@pytest.fixture
def estimate(connections, tmp_path, context):
    connections("https://vendor.test")

    def of(*steps):
        return MediaBatchOperator(
            task_id="chains", items=ITEMS, steps=steps, destination=f"file://{tmp_path}", dry_run=True
        ).execute(context)

    return of


@pytest.mark.parametrize(
    "step",
    [
        Step("next", "gptunnel_default", "image", prompt="{picture}"),
        Step("next", "gptunnel_default", "image", model="{picture}", prompt="a portrait"),
        Step("next", "piapi_default", "image", prompt="{picture}"),
        Step("next", "tengrai_default", "image", prompt="{picture}"),
        Step("next", "piapi_default", "task", model="a", task_type="b", input={"prompt": "{picture}"}),
    ],
)
def test_a_result_that_is_not_taken_as_a_picture_is_refused(estimate, step):
    with pytest.raises(InvalidRequestError, match=r"step 'next': .* takes no result of a step") as error:
        estimate(PICTURE, step)
    assert "Nothing was bought" in str(error.value)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (SWAP, "'swap' is made at piapi, and gptunnel has its own jobs only"),
        (PICTURE, "'picture' is a job of kind image, which upsample does not go on with"),
    ],
)
def test_a_job_that_cannot_be_a_parent_is_refused(estimate, before, message):
    upsample = Step("one", "gptunnel_default", "upsample", parent_job_id=f"{{{before.name}}}", image=1)
    with pytest.raises(InvalidRequestError, match=message):
        estimate(before, upsample)


@pytest.mark.parametrize(
    "steps",
    [
        (GRID, Step("one", "gptunnel_default", "upsample", parent_job_id="{grid}", image=1)),
        (GRID, Step("one", "gptunnel_default", "variation", parent_job_id="{grid}", image="{number}")),
        (PICTURE, Step("next", "gptunnel_default", "image", model="a", prompt="older", images=["{picture}"])),
        (
            PICTURE,
            Step("next", "gptunnel_default", "image", model="a", prompt="x", options={"first": "{picture}"}),
        ),
        (PICTURE, Step("next", "piapi_default", "image", prompt="older", image="{picture}")),
        (PICTURE, Step("next", "tengrai_default", "upscaling", parameters={"imageUrl": "{picture}"})),
    ],
)
def test_a_picture_and_a_parent_are_taken(estimate, steps):
    assert estimate(*steps)["jobs"] == 2
