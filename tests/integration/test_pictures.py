"""Pictures from anywhere, through operators and real sockets: bought once, whatever way they travelled."""

from __future__ import annotations

import json
import shutil

import httpx
import pytest

from airflow_provider_faceswap.batch.options import JobOptions
from airflow_provider_faceswap.exceptions import (
    InvalidRequestError,
    PermissionDeniedError,
    PictureNotTakenError,
)
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator

pytestmark = pytest.mark.sandbox


@pytest.fixture
def stored(sandbox, tmp_path):
    """Sample pictures on a disk, by name."""

    def store(name):
        path = tmp_path / name
        path.write_bytes(httpx.get(f"{sandbox.url}/samples/{name}").content)
        return f"file://{path}"

    return store


@pytest.fixture
def run(context):
    def run(operator, **options):
        return operator(task_id="swap", deferrable=False, **options).execute(context)

    return run


@pytest.mark.parametrize("operator", [GPTunnelFaceSwapOperator, PiAPIFaceSwapOperator])
def test_a_file_on_a_disk_is_swapped(stored, run, ledger, store, operator):
    result = run(operator, target_image=stored("emil.png"), face_image=stored("anna.jpg"))
    assert result["url"]
    assert ledger()["creates"] == 1
    shown = result["provenance"]["arguments"]
    assert shown == {"target_image": stored("emil.png"), "face_image": stored("anna.jpg")}
    assert "base64" not in json.dumps([result, store.values])


def test_bytes_are_swapped_and_shown_by_their_hash(stored, run):
    image = Image.read(stored("anna.jpg"))
    result = run(GPTunnelFaceSwapOperator, target_image=stored("emil.png"), face_image=image)
    assert result["provenance"]["arguments"]["face_image"] == f"sha256:{image.sha256}"


def test_an_archived_picture_goes_into_the_next_swap(stored, run, context, tmp_path):
    first = run(GPTunnelFaceSwapOperator, target_image=stored("emil.png"), face_image=stored("anna.jpg"))
    archive = ArchiveOperator(task_id="archive", source=first, destination=f"file://{tmp_path}/kept")
    kept = archive.execute(context)
    context["task_state_store"].values.clear()
    second = run(PiAPIFaceSwapOperator, target_image=kept, face_image=stored("boris.jpg"))
    assert second["provenance"]["arguments"]["target_image"] == kept["uri"]


@pytest.fixture
def small_requests(monkeypatch):
    """PiAPI takes nothing inline, so that every picture is uploaded."""
    from dataclasses import replace

    from airflow_provider_faceswap.vendors.piapi import PiAPI

    kind = PiAPI.kinds["face_swap"]
    media = {name: replace(accepts, inline=0) for name, accepts in kind.media.items()}
    monkeypatch.setitem(PiAPI.kinds, "face_swap", replace(kind, media=media))


@pytest.mark.usefixtures("small_requests")
def test_what_is_uploaded_is_bought_once_though_its_link_is_another_in_each_try(stored, run, ledger):
    pictures = {"target_image": stored("emil.png"), "face_image": stored("anna.jpg")}
    first = run(PiAPIFaceSwapOperator, **pictures)
    again = run(PiAPIFaceSwapOperator, **pictures)
    assert again["job_id"] == first["job_id"]
    assert ledger()["creates"] == 1
    assert ledger()["requests"]["piapi"]["upload"] == 2, "nothing is uploaded for a job that is only taken up"


@pytest.mark.usefixtures("small_requests")
def test_a_plan_without_uploads_is_told_before_anything_is_bought(stored, run, ledger, fault):
    fault(
        "piapi",
        "upload",
        times=None,
        type="status",
        status=403,
        body={"code": 403, "message": "upgrade your plan"},
    )
    with pytest.raises(PermissionDeniedError, match="upgrade your plan"):
        run(PiAPIFaceSwapOperator, target_image=stored("emil.png"), face_image=stored("anna.jpg"))
    assert ledger()["creates"] == 0


def test_a_vendor_of_links_only_refuses_a_file_and_failover_finds_another(stored, run, ledger):
    pictures = {"target_image": stored("emil.png"), "face_image": stored("anna.jpg")}
    with pytest.raises(PictureNotTakenError, match="accepts only links"):
        run(TengraiFaceSwapOperator, **pictures)
    assert ledger()["creates"] == 0
    result = run(FaceSwapOperator, conn_ids=["tengrai_default", "piapi_default"], **pictures)
    assert result["vendor"] == "piapi"


def test_a_picture_is_made_fit_on_request(stored, run, tmp_path, ledger):
    from PIL import Image as Pictures

    with Pictures.open(stored("emil.png").removeprefix("file://")) as picture:
        picture.save(tmp_path / "emil.webp")
    pictures = {"target_image": f"file://{tmp_path}/emil.webp", "face_image": stored("anna.jpg")}
    with pytest.raises(PictureNotTakenError, match="image/webp"):
        run(GPTunnelFaceSwapOperator, **pictures)
    assert ledger()["creates"] == 0
    assert run(GPTunnelFaceSwapOperator, preflight="fit", **pictures)["url"]


def test_links_are_looked_at_on_request(sandbox, run, ledger, monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
    gone = f"{sandbox.url}/nothing.png"
    face = f"{sandbox.url}/samples/anna.jpg"
    with pytest.raises(InvalidRequestError, match="could not be checked"):
        run(GPTunnelFaceSwapOperator, target_image=gone, face_image=face, preflight="check")
    assert ledger()["creates"] == 0
    target = f"{sandbox.url}/samples/emil.png"
    assert run(GPTunnelFaceSwapOperator, target_image=target, face_image=face, preflight="check")["url"]


def test_a_batch_takes_files_and_names_the_item_that_cannot_travel(stored, context, ledger, tmp_path):
    items = [
        {"target_image": stored("emil.png"), "face_image": stored(name)} for name in ("anna.jpg", "boris.jpg")
    ]

    def batch(items):
        destination = f"file://{tmp_path}/kept"
        return FaceSwapBatchOperator(
            task_id="batch", conn_id="gptunnel_default", items=items, destination=destination
        ).execute(context)

    (tmp_path / "bad.png").write_bytes(b"<html>")
    bad = {**items[0], "target_image": f"file://{tmp_path}/bad.png"}
    with pytest.raises(InvalidRequestError, match=r"items\[2\]: target_image: it is neither"):
        batch([*items, bad])
    assert ledger()["creates"] == 0
    assert batch(items)["archived"] == 2
    assert batch(items)["reused"] == 2
    assert ledger()["creates"] == 2


def test_a_picture_that_goes_away_after_the_check_fails_its_item_alone(
    stored, context, ledger, tmp_path, monkeypatch
):
    items = [
        {"target_image": stored("emil.png"), "face_image": stored(name)} for name in ("anna.jpg", "boris.jpg")
    ]
    check = JobOptions.check

    def then_remove(self, found):
        total = check(self, found)
        (tmp_path / "anna.jpg").unlink()
        return total

    monkeypatch.setattr(JobOptions, "check", then_remove)
    monkeypatch.setattr("airflow_provider_faceswap.media.remembered.MOST_BYTES", 0)
    told = FaceSwapBatchOperator(
        task_id="batch",
        conn_id="gptunnel_default",
        items=items,
        destination=f"file://{tmp_path}/kept",
        fail_on="all",
    ).execute(context)
    assert (told["archived"], told["failed"], told["errors"]) == (1, 1, {"InvalidRequestError": 1})
    assert ledger()["creates"] == 1


async def _swapped(hook, pictures):
    return await hook.asubmit("face_swap", **pictures)


@pytest.mark.parametrize("hook", [GPTunnelHook, PiAPIHook])
def test_a_hook_takes_pictures_too_on_a_loop_as_well(sandbox, stored, hook, ledger):
    import asyncio

    pictures = {"target_image": Image.read(stored("emil.png")), "face_image": stored("anna.jpg")}
    assert hook().submit("face_swap", **pictures).job_id
    assert asyncio.run(_swapped(hook(), pictures)).job_id
    assert ledger()["creates"] == 2


def test_a_picture_is_known_by_its_bytes_wherever_it_is(stored, run, tmp_path, ledger, fault):
    pictures = {"target_image": stored("emil.png"), "face_image": stored("anna.jpg")}
    run(GPTunnelFaceSwapOperator, **pictures)
    shutil.copy(tmp_path / "emil.png", tmp_path / "elsewhere.png")
    (tmp_path / "emil.png").unlink()
    with pytest.raises(InvalidRequestError, match="could not be read"):
        run(GPTunnelFaceSwapOperator, **pictures)
    assert ledger()["creates"] == 1
    moved = {**pictures, "target_image": f"file://{tmp_path}/elsewhere.png"}
    assert run(GPTunnelFaceSwapOperator, **moved)["attempt_reused"], "the same bytes are the same picture"
