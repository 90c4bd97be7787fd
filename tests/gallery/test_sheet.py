"""The sheet: the same cards in one file, which needs nothing beside it."""

from __future__ import annotations

import json
import re

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_faceswap.gallery import sheet as sheets
from airflow_provider_faceswap.gallery.sheet import Sheet
from airflow_provider_faceswap.operators.archive import ArchiveOperator


def html_of(folder):
    return Sheet.of_folder(ObjectStoragePath(f"file://{folder}")).html("Swaps")


def test_the_thumbnails_are_inside_it_and_the_links_are_relative(archived, folder):
    archived("a b#c.png", where=folder / "sub")
    page = html_of(folder)
    assert len(re.findall(r'<img src="data:image/jpeg;base64,[A-Za-z0-9+/=]+"', page)) == 3
    assert 'href="sub/a%20b%23c.png"' in page
    assert 'href="sub/a%20b%23c.png.json"' in page
    assert "http" not in re.sub(r"<dd>.*?</dd>", "", page).replace("http-equiv", "")
    assert "<script" not in page


def test_it_shows_everything_below_the_folder_and_the_failed_items_of_batches(archived, batch, line, folder):
    batch([line(0, archived("one")), line(1)])
    archived("two", where=folder / "deep" / "er", run={"dag_id": "another_dag"})
    (folder / "notes.json").write_text("{}")
    (folder / "notes.txt").write_text("x")
    (folder / "damaged.png").write_bytes(b"x")
    (folder / "damaged.png.json").write_text("[")
    page = html_of(folder)
    assert re.findall(r"<h2>([^<]+)</h2>", page) == ["two.png", "one.png", "Item 1: failed"]
    assert "2 pictures<" in page
    assert "1 failed" in page


def test_text_from_outside_stays_text(archived, folder):
    archived("x", arguments={"prompt": "<script>alert(1)</script>"})
    assert "<script" not in html_of(folder)


def test_an_empty_folder_gives_a_sheet_that_says_so(folder):
    folder.mkdir(parents=True)
    assert "Nothing is archived here" in html_of(folder)


def test_what_is_too_much_for_one_file_is_counted(archived, folder, monkeypatch):
    monkeypatch.setattr(sheets, "MAX_CARDS", 2)
    for number in range(3):
        archived(f"file{number}")
    page = html_of(folder)
    assert page.count("<article") == 2
    assert "1 more are not shown here" in page


@pytest.fixture
def archive(web, made, picture, context, tmp_path):
    def run(**more):
        web.will(picture(size=(640, 480)), picture("JPEG", (640, 480)))
        source = [made(), made(job_id="another")]
        operator = ArchiveOperator(
            task_id="archive", source=source, destination=f"file://{tmp_path}/kept", **more
        )
        operator.execute(context)
        return operator.outcome

    return run


@pytest.mark.usefixtures("alone", "one_after_the_other")
def test_an_archive_writes_one_of_its_own_results_if_asked(archive, context, tmp_path, monkeypatch):
    pushed = {}
    monkeypatch.setattr(
        type(context["ti"]), "xcom_push", lambda _, key, value: pushed.update({key: value}), raising=False
    )
    outcome = archive(sheet=True)
    [path] = (tmp_path / "kept").glob("sheet-*.html")
    assert pushed == {"sheet_uri": f"file://{path}"}
    assert path.name.startswith("sheet-a_dag-a_run-a_task-")
    assert path.read_text().count("<article") == len(outcome) == 2


@pytest.mark.usefixtures("alone", "one_after_the_other")
def test_a_sheet_that_cannot_be_written_does_not_fail_the_archive(archive, monkeypatch, tmp_path):
    monkeypatch.setattr(sheets, "write", lambda *_: (_ for _ in ()).throw(PermissionError("planted")))
    assert len(archive(sheet=True)) == 2
    assert not list((tmp_path / "kept").glob("*.html"))


@pytest.mark.usefixtures("alone", "one_after_the_other")
def test_there_is_none_if_none_is_asked_for(archive, tmp_path):
    archive()
    assert not list((tmp_path / "kept").glob("*.html"))


def test_a_manifest_of_an_earlier_version_is_shown(archived, folder):
    archived("old", thumbnails=False)
    path = folder / "old.png.json"
    assert "thumbnails" not in json.loads(path.read_text())
    assert "no thumbnail" in html_of(folder)
