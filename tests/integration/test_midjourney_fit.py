"""GPTunneL's chain, Midjourney to face swap: the picture behind a Midjourney link may be of any format."""

from __future__ import annotations

import PIL.features
import pytest

from airflow_provider_faceswap.exceptions import JobFailedError
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from tests.integration.test_example_dags import loaded

AVIF = pytest.mark.skipif(not PIL.features.check("avif"), reason="this Pillow cannot read AVIF")
FORMATS = ["webp", pytest.param("avif", marks=AVIF)]


@pytest.fixture
def midjourney_in(fault):
    """Order the format of the next picture of Midjourney."""
    return lambda form: fault("gptunnel", "create", kind="upsample", type="result_format", format=form)


@pytest.mark.program
@pytest.mark.usefixtures("database")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("form", FORMATS)
def test_the_example_swaps_a_midjourney_picture_of_any_format(sandbox, ledger, tmp_path, midjourney_in, form):
    midjourney_in(form)
    dag = loaded("imagine_pick_swap_archive.py").dag
    conf = {"face_image": f"{sandbox.url}/samples/boris.jpg", "destination": f"file://{tmp_path}"}
    run = dag.test(run_conf=conf)
    assert run.state == "success"
    assert ledger()["creates"] == 3
    assert len(list(tmp_path.rglob("*.png"))) == 1


@pytest.mark.parametrize("form", FORMATS)
def test_without_it_a_swap_of_such_a_picture_is_paid_for_in_vain(sandbox, midjourney_in, form):
    midjourney_in(form)
    hook = GPTunnelHook()
    grid = hook.wait(hook.submit("imagine", prompt="portrait"))
    [link] = hook.wait(hook.submit("upsample", parent_job_id=grid.job_id, image=1)).urls
    pictures = {"target_image": link, "face_image": f"{sandbox.url}/samples/boris.jpg"}
    with pytest.raises(JobFailedError, match="Only png and jpeg"):
        hook.wait(hook.submit("face_swap", **pictures))
    assert hook.wait(hook.submit("face_swap", preflight="fit", **pictures)).urls
