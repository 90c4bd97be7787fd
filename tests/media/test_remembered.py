"""Pictures of a batch are read from storage once in all."""

from __future__ import annotations

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_faceswap.batch.items import Items
from airflow_provider_faceswap.media import image
from airflow_provider_faceswap.media.remembered import RememberedPictures, remembered, remembering
from airflow_provider_faceswap.media.signing import Signed
from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step


@pytest.fixture
def reads(monkeypatch):
    """The files that were read, each time."""
    read, files = image._content, []

    def counted(path):
        files.append(path.name)
        return read(path)

    monkeypatch.setattr(image, "_content", counted)
    return files


@pytest.fixture
def files(tmp_path, picture):
    """So many pictures on a disk."""

    def make(number):
        for n in range(number):
            (tmp_path / f"{n}.png").write_bytes(picture(size=(64 + n, 64)))
        return [
            {"picture": f"file://{tmp_path}/{n}.png", "face": f"file://{tmp_path}/0.png"}
            for n in range(number)
        ]

    return make


@pytest.fixture
def options(connections, context, tmp_path):
    connections("https://vendor.test")

    def make():
        steps = [
            Step("one", "piapi_default", "face_swap", target_image="{picture}", face_image="{face}"),
            Step("two", "gptunnel_default", "face_swap", target_image="{one}", face_image="{face}"),
        ]
        operator = MediaBatchOperator(
            task_id="t", items=[], steps=steps, destination=f"file://{tmp_path}/kept"
        )
        return operator.job_options(context)

    return make


@pytest.mark.parametrize("signs", [True, False])
def test_a_picture_is_read_once_in_all(options, files, reads, signs, monkeypatch):
    if signs:
        links = iter(range(1000))
        monkeypatch.setattr(
            "airflow_provider_faceswap.media.inputs.signed_link",
            lambda path: Signed(f"https://bucket.test/{path.name}?signature={next(links)}"),
        )
    jobs, rows = options(), files(5)
    assert jobs.check(Items(rows)).total == 5
    checked = [[step.result for step in jobs.request(item)] for item in Items(rows)]
    assert sorted(reads) == [f"{n}.png" for n in range(5)]
    assert checked == [[step.result for step in jobs.request(item)] for item in Items(rows)]


def test_pictures_that_take_too_much_memory_are_read_again(tmp_path, picture, reads):
    paths = []
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(picture())
        paths.append(ObjectStoragePath(f"file://{tmp_path}/{name}.png"))
    with remembering(RememberedPictures(len(picture()) + 1)):
        for path in (*paths, *paths, paths[1]):
            remembered().read(path)
    assert reads == ["a.png", "b.png", "a.png", "b.png"]


def test_nothing_is_remembered_outside_a_batch(tmp_path, picture, reads):
    (tmp_path / "a.png").write_bytes(picture())
    path = ObjectStoragePath(f"file://{tmp_path}/a.png")
    remembered().read(path)
    remembered().read(path)
    assert reads == ["a.png", "a.png"]
