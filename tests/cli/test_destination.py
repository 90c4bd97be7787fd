"""A name with a suffix is a file, any other is a folder, here as in object storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_faceswap.cli.destination import Destination
from airflow_provider_faceswap.exceptions import InvalidRequestError


@pytest.mark.parametrize(
    ("out", "folder", "filename"),
    [
        (".", "file://{here}", None),
        ("swaps", "file://{here}/swaps", None),
        ("swaps/", "file://{here}/swaps", None),
        ("swaps/2026.11", "file://{here}/swaps/2026.11", None),
        ("a.png", "file://{here}/", "a.png"),
        ("swaps/a b#1.png", "file://{here}/swaps/", "a b#1.png"),
        ("swaps.png/", "file://{here}/swaps.png", None),
        ("/data/x/../a.png", "file:///data/", "a.png"),
        ("file:///data/a.png", "file:///data/", "a.png"),
        ("file:///data", "file:///data", None),
        ("memory://bucket.name", "memory://bucket.name", None),
        ("memory://conn@bucket.name/swaps/a.png", "memory://conn@bucket.name/swaps/", "a.png"),
    ],
)
def test_what_was_typed_is_a_folder_and_perhaps_a_name(out, folder, filename, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.cli.destination.folder_of", lambda uri, _conn: Path(uri))
    read = Destination.of(out, overwrite=False)
    assert (read.folder, read.filename) == (folder.format(here=tmp_path), filename)


def test_a_folder_that_is_there_is_a_folder_whatever_its_name(tmp_path):
    (tmp_path / "v1.a").mkdir()
    assert Destination.of("v1.a", overwrite=False).filename is None


def test_a_storage_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="nosuch"):
        Destination.of("nosuch://bucket/a.png", overwrite=True)


def test_a_file_that_is_there_is_replaced_on_request_only(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(InvalidRequestError, match=r"a\.png already exists"):
        Destination.of("a.png", overwrite=False)
    assert Destination.of("a.png", overwrite=True).overwrite == "replace"
    assert Destination.of("b.png", overwrite=False).overwrite == "error"
