"""Which files of a worker's disk text may lead to: those below the folders of a setting, and pictures only."""

from __future__ import annotations

import io
import os

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from PIL import Image as Pictures

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator

SETTING = "AIRFLOW__FACESWAP__ALLOWED_LOCAL_PATHS"
FACE = "https://pictures.test/face.jpg"


def paint():
    out = io.BytesIO()
    Pictures.new("RGB", (60, 40), "teal").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def inside(tmp_path, monkeypatch, connections):
    """A folder that may be read, with a picture in it; the folder beside it may not be."""
    connections("https://vendor.test")
    folder = tmp_path / "may be read"
    folder.mkdir()
    (tmp_path / "beside").mkdir()
    for place in (folder / "a.png", tmp_path / "beside/a.png"):
        place.write_bytes(paint())
    monkeypatch.setenv(SETTING, f" /nowhere , file://{folder}/")
    return folder


def sent(picture, preflight="off"):
    return GPTunnelHook().prepare("face_swap", target_image=picture, face_image=FACE, preflight=preflight)


@pytest.mark.parametrize("preflight", ["auto", "off"])
@pytest.mark.parametrize(
    "form", [str, ObjectStoragePath, lambda uri: {"uri": uri, "manifest_uri": "", "sha256": ""}]
)
def test_a_picture_below_an_allowed_folder_is_sent(inside, form, preflight):
    body = sent(form(f"file://{inside}/a.png"), preflight).body
    assert "data:image/png;base64," in str(body)


@pytest.mark.parametrize("preflight", ["auto", "check", "fit", "off"])
@pytest.mark.parametrize(
    "place",
    [
        "file://{beside}/a.png",
        "FILE://{beside}/a.png",
        "local://{beside}/a.png",
        "file://{inside}/../beside/a.png",
        "file://{inside}/link.png",
        "file://{inside}/folder/a.png",
        "file://{inside} and more/a.png",
        "file:///proc/self/environ",
        "file:///no/such/file.png",
    ],
)
def test_text_leads_to_no_other_file_whatever_preflight_says(inside, tmp_path, place, preflight):
    (inside / "link.png").symlink_to(tmp_path / "beside/a.png")
    (inside / "folder").symlink_to(tmp_path / "beside")
    (tmp_path / "may be read and more").mkdir()
    (tmp_path / "may be read and more/a.png").write_bytes(paint())
    with pytest.raises(InvalidRequestError, match="Nothing was bought") as caught:
        sent(place.format(inside=inside, beside=tmp_path / "beside"), preflight)
    assert "allowed_local_paths" in str(caught.value) or "no storage for" in str(caught.value)
    assert "target_image" in str(caught.value)


def test_nothing_may_be_read_without_the_setting(inside, monkeypatch):
    monkeypatch.delenv(SETTING)
    with pytest.raises(InvalidRequestError, match="allowed_local_paths"):
        sent(f"file://{inside}/a.png")


def test_a_relative_folder_is_a_wrong_setting(inside, monkeypatch):
    monkeypatch.setenv(SETTING, "pictures")
    with pytest.raises(InvalidRequestError, match="relative path 'pictures'"):
        sent(f"file://{inside}/a.png")


@pytest.mark.parametrize("preflight", ["auto", "off"])
@pytest.mark.parametrize(
    "form", [str, ObjectStoragePath, lambda uri: {"uri": uri, "manifest_uri": "", "sha256": ""}]
)
@pytest.mark.parametrize("name", ["pipe", "environ", "folder", "notes.png"])
def test_what_is_no_regular_file_with_a_picture_is_never_sent(inside, monkeypatch, form, name, preflight):
    monkeypatch.setenv(SETTING, "/")
    os.mkfifo(inside / "pipe")
    (inside / "folder").mkdir()
    (inside / "notes.png").write_bytes(b"password=planted")
    (inside / "environ").symlink_to("/proc/self/environ")
    uri = f"file://{inside}/{name}"
    for hook, kind, arguments in (
        (GPTunnelHook(), "face_swap", {"target_image": form(uri), "face_image": FACE}),
        (GPTunnelHook(), "inpaint", {"parent_job_id": "1", "mask": form(uri), "prompt": "a hat"}),
        (PiAPIHook(), "video_face_swap", {"target_video": form(uri), "face_image": FACE}),
        (PiAPIHook(), "task", {"model": "m", "task_type": "t", "input": {"image": ObjectStoragePath(uri)}}),
    ):
        with pytest.raises(InvalidRequestError, match=r"regular file|neither a picture|could not be read"):
            hook.prepare(kind, preflight=preflight, **arguments)


def test_code_may_read_a_picture_anywhere_but_no_pipe_and_no_file_of_the_kernel(inside, tmp_path):
    assert Image.read(tmp_path / "beside/a.png").data == paint()
    os.mkfifo(tmp_path / "pipe")
    for place in (
        tmp_path / "pipe",
        "/proc/self/environ",
        "file:///proc/self/root/proc/self/environ",
        "/dev/zero",
    ):
        with pytest.raises(InvalidRequestError, match="is not a regular file"):
            Image.read(place)


def test_rows_and_the_file_of_items_are_text_too(inside, tmp_path, context):
    def batch(items):
        return FaceSwapBatchOperator(
            task_id="many", conn_id="gptunnel_default", items=items, destination=f"file://{tmp_path}/kept"
        ).execute(context)

    beside = f"file://{tmp_path}/beside"
    for items in ([{"target_image": f"{beside}/a.png", "face_image": FACE}], f"{beside}/items.csv"):
        with pytest.raises(InvalidRequestError, match=r"items.*allowed_local_paths"):
            batch(items)
    (inside / "items.csv").write_text(f"target_image,face_image\n{beside}/a.png,{FACE}\n")
    with pytest.raises(InvalidRequestError, match=r"items\[0\]: target_image: .*allowed_local_paths"):
        batch(f"file://{inside}/items.csv")
    (inside / "items.csv").unlink()
    os.mkfifo(inside / "items.csv")
    with pytest.raises(InvalidRequestError, match=r"items: .*is not a regular file"):
        batch(f"file://{inside}/items.csv")
