"""Reading a small file whole, which an object store refuses for an empty one."""

from __future__ import annotations

import hashlib

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_faceswap.archive.index import Index
from airflow_provider_faceswap.gallery.files import NotShownError, media_file
from airflow_provider_faceswap.spending.book import Book, Stage
from airflow_provider_faceswap.storage.files import PART, holds, read
from airflow_provider_faceswap.storage.object_records import ObjectRecords

KEY = "ab" + "0" * 62


class Disk:
    def __init__(self, folder):
        self.folder = folder
        self.uri = f"file://{folder}"

    def path(self, key):
        return ObjectStoragePath(f"{self.uri}/{key}")

    def put(self, key, data):
        file = self.folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


@pytest.fixture(params=["disk", pytest.param("s3", marks=pytest.mark.program)])
def place(request, tmp_path):
    return Disk(tmp_path) if request.param == "disk" else request.getfixturevalue("bucket")


@pytest.mark.parametrize("content", [b"", b"x", b"{}" * 5000])
def test_a_small_file_is_read_whole_even_if_it_is_empty(place, content):
    place.put("a/file", content)
    assert read(place.path("a/file")) == content


def test_a_file_that_is_not_there_is_not_an_empty_one(place):
    with pytest.raises(FileNotFoundError):
        read(place.path("a/file"))


@pytest.mark.program
@pytest.mark.parametrize("content", [b"", b"x"])
def test_s3_is_asked_once(bucket, door, content):
    bucket.put("file", content)
    read(bucket.path("file"))
    assert door.seen == ["get_object"]


@pytest.mark.program
@pytest.mark.parametrize("status", [403, 500])
def test_what_s3_refuses_is_not_an_empty_file(bucket, door, status):
    bucket.put("file", b"x")
    door.breaks("get_object", status)
    with pytest.raises(OSError, match=r"Denied|internal"):
        read(bucket.path("file"))


@pytest.mark.parametrize("library", ["code", "status_code"])
def test_google_and_azure_say_it_in_their_own_way(tmp_path, monkeypatch, library):
    class LibraryError(Exception):
        pass

    def refuse(*_, **__):
        error = LibraryError("no such range")
        setattr(error, library, 416)
        raise error

    path = Disk(tmp_path).path("file")
    monkeypatch.setattr(path.fs, "cat_file", refuse)
    assert read(path) == b""


@pytest.mark.parametrize("left", [0, PART])
def test_a_file_that_was_cut_does_not_hold_what_was_written(place, left):
    whole = bytes(PART + 1)
    place.put("file", whole[:left])
    assert not holds(place.path("file"), len(whole), hashlib.sha256(whole).hexdigest())


def test_an_empty_index_entry_or_claim_counts_as_a_damaged_one(place):
    folder = f".faceswap-index/ab/{KEY}"
    place.put(f"{folder}/entry", b"")
    place.put(f"{folder}/claim-0001", b"")
    index = Index(ObjectStoragePath(place.uri))
    assert index.find(KEY) == ()
    assert index.claim(KEY, "a task", 60) is None


def test_an_empty_budget_entry_counts_with_its_name_and_says_nothing_else(place):
    place.put("day/2-bought/someone~15", b"")
    book = Book(place.path("day"))
    [entry] = book.standing().entries.values()
    assert (entry.stage, str(entry.amount), book.read(entry)) == (Stage.BOUGHT, "15", {})


def test_an_empty_record_is_damaged_and_no_storage_failed(place):
    place.put("job.json", b"")
    with pytest.raises(ValueError, match="Expecting value"):
        ObjectRecords(place.path("job.json").parent).get("job")


def test_the_gallery_says_that_an_empty_file_is_no_picture(place, monkeypatch):
    place.put("picture.png", b"")
    monkeypatch.setattr("airflow_provider_faceswap.gallery.files.opened", lambda _: place.path("picture.png"))
    with pytest.raises(NotShownError, match="neither a picture nor a video"):
        media_file("picture.png")
