"""``airflow faceswap gallery``: the pictures of a folder as one file."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.archive.sources import ArchiveSource
from airflow_provider_faceswap.archive.store import Archive


@pytest.fixture
def folder(tmp_path, picture):
    archive = Archive(
        ObjectStoragePath(f"file://{tmp_path}/kept"),
        filename="one.png",
        overwrite="replace",
        max_bytes=1_000_000,
        open_hosts=(),
        run=RunInfo(),
    )
    archive.keep(ArchiveSource(url=None, data=picture()))
    return tmp_path / "kept"


def test_it_writes_the_sheet_and_says_what_is_in_it(run, folder, tmp_path):
    done = run("gallery", folder, "--out", "my.html")
    assert done.code == 0
    assert done.told == {"uri": f"file://{tmp_path}/my.html", "pictures": 1, "failed": 0, "left_out": 0}
    assert "one.png" in (tmp_path / "my.html").read_text()


def test_the_folder_may_be_a_uri_and_the_file_has_a_usual_name(run, folder, tmp_path):
    assert run("gallery", f"file://{folder}").code == 0
    assert (tmp_path / "sheet.html").exists()


def test_a_file_that_exists_is_replaced_only_if_asked(run, folder, tmp_path):
    (tmp_path / "sheet.html").write_text("mine")
    done = run("gallery", folder)
    assert done.code == 2
    assert "already exists" in done.stderr
    assert (tmp_path / "sheet.html").read_text() == "mine"
    assert run("gallery", folder, "--overwrite").code == 0


@pytest.mark.parametrize("place", ["missing", "nowhere://x/y"])
def test_a_folder_that_is_none_is_said(run, place, tmp_path):
    done = run("gallery", place)
    assert done.code == 2
    assert done.stderr.count("\n") <= 2
    assert not (tmp_path / "sheet.html").exists()
