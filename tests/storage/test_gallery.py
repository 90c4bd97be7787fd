"""The gallery's files in S3, with a real server on the other side."""

from __future__ import annotations

import json

import pytest

from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.archive.sources import ArchiveSource
from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.archive.thumbnails import ThumbnailKeeper
from airflow_provider_faceswap.batch.manifest import manifest_name
from airflow_provider_faceswap.gallery.files import NotShownError, media_file, thumbnail_of
from airflow_provider_faceswap.gallery.results import Filter, Results
from airflow_provider_faceswap.gallery.sheet import Sheet

pytestmark = pytest.mark.program

RUN = RunInfo(dag_id="a_dag", run_id="a_run", task_id="archive", map_index=-1, try_number=1)


@pytest.fixture
def archived(bucket, picture, monkeypatch):
    """Archive pictures in a folder of the bucket, below the gallery's roots."""
    monkeypatch.setenv("AIRFLOW__FACESWAP__GALLERY_ROOTS", str(bucket.path("kept")))

    def archive(*names):
        folder = bucket.path("kept")
        files = []
        for name in names:
            one = Archive(folder, name, "replace", 1_000_000, (), RUN, thumbnails=ThumbnailKeeper())
            files.append(one.keep(ArchiveSource(url=None, data=picture(size=(640, 480)))).model_dump())
        return files

    return archive


def test_all_manifests_of_a_page_are_read_and_its_thumbnails_too(archived):
    results = Results("a_dag", "a_run")
    results.add("archive", -1, "return_value", archived("a.png", "b.png"))
    cards, total = results.page(Filter())
    assert total == 2
    for card in cards:
        assert card.problem is None
        data = thumbnail_of(card.manifest_uri, card.manifest.thumbnails["output"].sha256)
        assert data[:3] == b"\xff\xd8\xff"
        path, media, size = media_file(card.manifest_uri.removesuffix(".json"))
        assert (media.name, size) == ("image/png", len(path.read_bytes()))


def test_a_file_that_is_gone_or_outside_of_the_roots_is_said(archived, bucket):
    [kept] = archived("a.png")
    results = Results("a_dag", "a_run")
    gone = {**kept, "manifest_uri": f"{kept['uri']}x.json"}
    outside = {**kept, "manifest_uri": str(bucket.path("elsewhere.json"))}
    results.add("archive", -1, "return_value", [gone, outside, kept])
    cards, _ = results.page(Filter())
    assert "not there any more" in cards[0].problem
    assert "gallery_roots" in cards[1].problem
    assert cards[2].problem is None
    with pytest.raises(NotShownError):
        media_file(outside["manifest_uri"])


def test_only_the_lines_of_a_page_are_read_from_a_batchs_manifest(archived, bucket):
    [kept] = archived("a.png")
    path = bucket.path("kept") / manifest_name(RUN.model_copy(update={"task_id": "batch"}))
    lines = [
        {"position": number, "status": "archived", "files": [{"uri": kept["uri"]}]}
        for number in reversed(range(200))
    ]
    path.write_bytes("".join(f"{json.dumps(line)}\n" for line in lines).encode())
    results = Results("a_dag", "a_run")
    results.add(
        "batch", -1, "return_value", {"total": 200, "archived": 200, "errors": {}, "manifest_uri": str(path)}
    )
    cards, total = results.page(Filter(page=4))
    assert total == 200
    assert [card.position for card in cards] == list(range(150, 200))
    assert {card.problem for card in cards} == {None}


def test_a_sheet_of_a_bucket_has_its_thumbnails_inside(archived, bucket):
    archived("a.png", "deep/b.png")
    sheet = Sheet.of_folder(bucket.path("kept"))
    sheet.write(bucket.path("kept") / "sheet.html", "Swaps")
    page = bucket.get("kept/sheet.html").decode()
    assert page.count("data:image/jpeg;base64,") == 2
    assert 'href="deep/b.png"' in page


def test_an_empty_manifest_is_no_manifest_and_no_failing_storage(archived, bucket):
    [kept] = archived("a.png")
    bucket.put("kept/a.png.json", b"")
    results = Results("a_dag", "a_run")
    results.add("archive", -1, "return_value", [kept])
    [card], _ = results.page(Filter())
    assert "is not a manifest" in card.problem
