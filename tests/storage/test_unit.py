"""Picture and manifest are one unit, whoever else writes under the same name at the same time."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import store as stores
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_faceswap.archive import place
from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.archive.place import FRESH, GRACE
from airflow_provider_faceswap.archive.sources import ArchiveSource
from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.exceptions import ArchiveError
from airflow_provider_faceswap.foundation.clock import CLOCK, Clock
from tests.sizes import FULL, SIZES

#: Rounds of two writers for each rule.
ROUNDS = 200 if SIZES is FULL else 10


def archive(folder, **more):
    options = {"filename": None, "overwrite": "replace", "max_bytes": 1_000_000, "open_hosts": ()}
    return Archive(folder, **{**options, "run": RunInfo(), **more})


def source(made, job_id, data):
    return ArchiveSource(url=None, data=data, result=made(job_id=job_id))


@pytest.fixture(params=["disk", "s3", "memory"])
def folder(request, tmp_path, monkeypatch):
    """Where two writers meet: on a disk, on S3, and in a store that cannot create exclusively."""
    if request.param == "disk":
        return ObjectStoragePath(f"file://{tmp_path / 'kept'}")
    if request.param == "memory":
        files = MemoryFileSystem()
        monkeypatch.setitem(stores._STORE_CACHE, "memory", stores.ObjectStore("memory", None, fs=files))
        return ObjectStoragePath(f"memory://{tmp_path.name}/kept")
    return request.getfixturevalue("bucket").path("kept")


@pytest.fixture
def disk(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path / 'kept'}")


def stored(folder):
    """Each picture's bytes and the manifest beside it, by name."""
    names = {found.rpartition("/")[2] for found in folder.fs.find(folder.path, refresh=True)}
    return {
        name: (
            folder.fs.cat_file(f"{folder.path}/{name}"),
            json.loads(folder.fs.cat_file(f"{folder.path}/{name}.json")),
        )
        for name in names
        if not name.endswith(".json")
    }


def agree(data, manifest):
    return manifest["file"]["sha256"] == hashlib.sha256(data).hexdigest()


def meet(folder, sources, overwrite):
    """Archive all sources at the same moment; what each returns or raises."""
    gate = threading.Barrier(len(sources))

    def keep(one):
        gate.wait()
        try:
            return archive(folder, filename="pic", overwrite=overwrite).keep(one)
        except ArchiveError as error:
            return error

    with ThreadPoolExecutor(len(sources)) as threads:
        return list(threads.map(keep, sources))


@pytest.mark.program
@pytest.mark.parametrize("overwrite", ["error", "skip", "replace"])
def test_two_writers_of_one_name_never_mix(folder, made, picture, overwrite):
    pictures = [picture(colour="red"), picture(colour="green")]
    both = [source(made, name, data) for name, data in zip(("one", "two"), pictures, strict=True)]
    for number in range(ROUNDS):
        here = folder / str(number)
        kept = meet(here, both, overwrite)
        found = stored(here)
        assert all(agree(*pair) for pair in found.values()), number
        won = [one for one in kept if not isinstance(one, ArchiveError)]
        if overwrite == "error" and folder.protocol != "memory":
            assert len(won) == 1, kept
            assert found["pic.png"][1]["file"]["sha256"] == won[0].sha256
        if overwrite == "skip" and folder.protocol != "memory":
            assert sorted(data for data, _ in found.values()) == sorted(pictures), kept
            assert [one.sha256 for one in kept] == [hashlib.sha256(data).hexdigest() for data in pictures]
            assert {one.uri for one in kept} == {str(here / name) for name in found}
        if overwrite == "replace":
            assert len(won) == 2, kept
            assert found["pic.png"][1]["file"]["sha256"] in {one.sha256 for one in won}


# -- what an earlier attempt left -------------------------------------------------------------------------


def local(folder, name):
    return Path(folder.path) / name


def names(folder):
    return sorted(found.name for found in Path(folder.path).iterdir())


@pytest.mark.parametrize("overwrite", ["error", "skip"])
def test_a_picture_that_is_just_being_completed_is_waited_for(
    disk, clock, made, picture, monkeypatch, overwrite
):
    first = archive(disk, filename="pic").keep(source(made, "one", picture(colour="red")))
    manifest = local(disk, "pic.png.json").read_text()
    local(disk, "pic.png.json").unlink()
    clock.time = local(disk, "pic.png").stat().st_mtime + 1
    sleep = clock.sleep

    def completed(seconds):
        sleep(seconds)
        local(disk, "pic.png.json").write_text(manifest)

    monkeypatch.setattr(clock, "sleep", completed)
    keeping = archive(disk, filename="pic", overwrite=overwrite)
    two = source(made, "two", picture(colour="green"))
    if overwrite == "error":
        with pytest.raises(ArchiveError, match="already exists, and is output 1 of gptunnel job one"):
            keeping.keep(two)
        assert names(disk) == ["pic.png", "pic.png.json"]
    else:
        assert keeping.keep(two).uri != first.uri
    assert hashlib.sha256(local(disk, "pic.png").read_bytes()).hexdigest() == first.sha256


@pytest.mark.parametrize("overwrite", ["error", "skip"])
@pytest.mark.parametrize("old", [True, False])
def test_what_nobody_completes_is_replaced(disk, clock, made, picture, overwrite, old):
    archive(disk, filename="pic").keep(source(made, "one", picture(colour="red")))
    local(disk, "pic.png.json").unlink()
    clock.time = local(disk, "pic.png").stat().st_mtime + (FRESH + 1 if old else 1)
    kept = archive(disk, filename="pic", overwrite=overwrite).keep(
        source(made, "two", picture(colour="green"))
    )
    assert sum(clock.slept) == pytest.approx(0 if old else GRACE, abs=0.2)
    assert names(disk) == ["pic.png", "pic.png.json"]
    assert agree(*stored(disk)["pic.png"])
    assert kept.sha256 == hashlib.sha256(picture(colour="green")).hexdigest()


class Later(Clock):
    def now(self):
        return super().now() + 2 * FRESH


@pytest.mark.program
def test_of_many_that_find_what_nobody_completed_one_replaces_it(folder, made, picture, monkeypatch):
    monkeypatch.setattr(CLOCK, "source", Later())
    for number in range(ROUNDS):
        here = folder / str(number)
        archive(here, filename="pic").keep(source(made, "old", picture(colour="red")))
        here.fs.rm_file(f"{here.path}/pic.png.json")
        writers = [
            source(made, f"job{n}", picture(colour=colour))
            for n, colour in enumerate(("blue", "green", "black"))
        ]
        kept = meet(here, writers, "error")
        assert agree(*stored(here)["pic.png"])
        if folder.protocol != "memory":
            assert len([one for one in kept if not isinstance(one, ArchiveError)]) == 1, kept


class KilledError(BaseException):
    """What ends a worker, and no code of this package catches."""


def killed_before(monkeypatch, name, number):
    """End the attempt before it calls a function of the storage for the time with this number."""
    calls = iter(range(1, 1000))
    original = getattr(place, name)

    def counting(*arguments):
        if next(calls) == number:
            raise KilledError
        return original(*arguments)

    monkeypatch.setattr(place, name, counting)


def attempt(number, **more):
    return RunInfo(dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=number, **more)


#: Where a worker is killed while it completes what another one left. It writes picture and manifest with two calls each:
#: it tries to create both, and then writes both.
MOMENTS = [("create", 2), ("write", 1), ("write", 2)]


@pytest.mark.parametrize("overwrite", ["error", "skip"])
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_retry_goes_on_at_once_where_a_killed_attempt_was_completing_what_another_left(
    disk, clock, made, picture, monkeypatch, overwrite, moment
):
    archive(disk, filename="pic").keep(source(made, "one", picture(colour="red")))
    local(disk, "pic.png.json").unlink()
    os.utime(local(disk, "pic.png"), (1_000, 1_000))
    clock.time = 1_000 + FRESH + 1
    mine = source(made, "two", picture())
    with monkeypatch.context() as killed:
        killed_before(killed, *moment)
        # A killed worker cleans nothing up.
        killed.setattr(disk.fs, "rm_file", lambda *_: None)
        with pytest.raises(KilledError):
            archive(disk, filename="pic", overwrite=overwrite, run=attempt(1)).keep(mine)
    kept = archive(disk, filename="pic", overwrite=overwrite, run=attempt(2)).keep(mine)
    assert kept.uri == str(disk / "pic.png")
    assert clock.slept == []
    assert names(disk) == ["pic.png", "pic.png.json"]
    assert local(disk, "pic.png").read_bytes() == picture()
    assert agree(*stored(disk)["pic.png"])


def test_another_task_gets_a_name_of_its_own_while_one_completes_what_was_left(
    disk, clock, made, picture, monkeypatch
):
    archive(disk, filename="pic").keep(source(made, "one", picture(colour="red")))
    local(disk, "pic.png.json").unlink()
    clock.time = local(disk, "pic.png").stat().st_mtime + FRESH + 1
    with monkeypatch.context() as killed:
        killed_before(killed, "write", 1)
        with pytest.raises(KilledError):
            archive(disk, filename="pic", overwrite="error", run=attempt(1)).keep(
                source(made, "two", picture())
            )
    other = source(made, "three", picture(colour="green"))
    with pytest.raises(ArchiveError, match=r"already exists, and is output 1 of gptunnel job two"):
        archive(disk, filename="pic", overwrite="error").keep(other)
    assert archive(disk, filename="pic", overwrite="skip").keep(other).uri != str(disk / "pic.png")


def test_error_leaves_a_picture_that_was_edited_since_an_earlier_attempt(disk, made, picture):
    mine = source(made, "one", picture())
    archive(disk, filename="pic", overwrite="error", run=attempt(1)).keep(mine)
    local(disk, "pic.png").write_bytes(b"edited by a person")
    os.utime(local(disk, "pic.png.json"), (1_000, 1_000))
    with pytest.raises(ArchiveError, match="already exists"):
        archive(disk, filename="pic", overwrite="error", run=attempt(2)).keep(mine)
    assert local(disk, "pic.png").read_bytes() == b"edited by a person"


@pytest.mark.program
@pytest.mark.parametrize("overwrite", ["error", "skip", "replace"])
@pytest.mark.parametrize("after", [0, 1], ids=["picture", "manifest"])
def test_an_upload_whose_answer_is_lost_is_not_taken_for_another_writer(
    bucket, door, made, picture, overwrite, after
):
    """The client sends it again, and then the name is taken: by itself."""
    door.breaks("put_object", "lost", after=after, times=1)
    kept = archive(bucket.path("kept"), filename="pic", overwrite=overwrite).keep(
        source(made, "one", picture())
    )
    assert kept.sha256 == hashlib.sha256(picture()).hexdigest()
    assert agree(*stored(bucket.path("kept"))["pic.png"])
    assert bucket.keys == ["kept/pic.png", "kept/pic.png.json"]


@pytest.mark.program
@pytest.mark.parametrize("overwrite", ["error", "skip", "replace"])
@pytest.mark.parametrize("after", [0, 1], ids=["picture", "manifest"])
def test_what_s3_refuses_because_of_a_conflict_is_uploaded_again(
    bucket, door, clock, made, picture, overwrite, after
):
    door.breaks("put_object", 409, after=after, times=2)
    archive(bucket.path("kept"), filename="pic", overwrite=overwrite).keep(source(made, "one", picture()))
    assert clock.slept
    assert agree(*stored(bucket.path("kept"))["pic.png"])


@pytest.mark.program
@pytest.mark.parametrize("overwrite", ["error", "skip", "replace"])
def test_a_listing_from_before_does_not_hide_what_another_writer_has_stored(bucket, made, picture, overwrite):
    here = bucket.path("kept")
    bucket.put("kept/other.txt", b"-")
    assert len(here.fs.ls(here.path)) == 1
    one = source(made, "one", picture(colour="red"))
    text = archive(bucket.path("elsewhere"), filename="pic").keep(one)
    manifest = json.loads(bucket.get("elsewhere/pic.png.json"))
    manifest["file"]["uri"] = text.uri.replace("elsewhere", "kept")
    bucket.put("kept/pic.png", picture(colour="red"))
    bucket.put("kept/pic.png.json", json.dumps(manifest).encode())
    keeping = archive(here, filename="pic", overwrite=overwrite)
    two = source(made, "two", picture(colour="green"))
    if overwrite == "error":
        with pytest.raises(ArchiveError, match="already exists"):
            keeping.keep(two)
    else:
        assert (keeping.keep(two).uri == str(here / "pic.png")) is (overwrite == "replace")


KILLED = """
import io, os, signal, sys
from airflow.sdk import ObjectStoragePath
from airflow_provider_faceswap.storage.files import write
class Source(io.BytesIO):
    def read(self, size=-1):
        data = super().read(10)
        if not data:
            os.kill(os.getpid(), signal.SIGKILL)
        return data
write(ObjectStoragePath(sys.argv[1]) / "pic.png", Source(bytes(100_000)))
"""


@pytest.mark.program
def test_the_next_writer_of_a_name_cleans_up_what_a_killed_worker_left(disk, made, picture):
    done = subprocess.run([sys.executable, "-c", KILLED, str(disk)], check=False)
    assert done.returncode == -signal.SIGKILL
    (part,) = names(disk)
    assert part.endswith(".part")
    archive(disk, filename="pic").keep(source(made, "one", picture()))
    assert names(disk) == ["pic.png", "pic.png.json"]


# -- which manifest is believed ---------------------------------------------------------------------------


def plant(disk, picture, made, *, uri=None, data=None, without=False):
    """A manifest of this very job, and maybe a picture beside it."""
    kept = archive(disk, filename="pic").keep(source(made, "one", picture(colour="red")))
    path = local(disk, "pic.png.json")
    manifest = json.loads(path.read_text())
    manifest["file"]["uri"] = uri or manifest["file"]["uri"]
    manifest["file"]["manifest_uri"] = "file:///etc/shadow"
    path.write_text(json.dumps(manifest))
    if data:
        local(disk, "pic.png").write_bytes(data)
    if without:
        local(disk, "pic.png").unlink()
    return kept


@pytest.mark.parametrize(
    "planted",
    [
        {"uri": "file:///etc/passwd"},
        {"uri": "file:///etc/passwd", "without": True},
        {"without": True},
        {"data": b"\x89PNG\r\n\x1a\n another"},
        {"data": bytes(10_000)},
        {},
    ],
    ids=["place", "place alone", "alone", "size", "hash", "names"],
)
def test_skip_returns_what_is_there_and_not_what_a_manifest_says(disk, clock, made, picture, planted):
    clock.time += FRESH
    plant(disk, picture, made, **planted)
    kept = archive(disk, filename="pic", overwrite="skip").keep(source(made, "one", picture(colour="red")))
    assert (kept.uri, kept.manifest_uri) == (str(disk / "pic.png"), str(disk / "pic.png.json"))
    assert kept.sha256 == hashlib.sha256(local(disk, "pic.png").read_bytes()).hexdigest()
    assert kept.sha256 == hashlib.sha256(picture(colour="red")).hexdigest()
    assert names(disk) == ["pic.png", "pic.png.json"]


def test_error_leaves_a_picture_that_its_manifest_does_not_describe(disk, made, picture):
    plant(disk, picture, made, data=b"edited by a person")
    with pytest.raises(ArchiveError, match="already exists"):
        archive(disk, filename="pic", overwrite="error").keep(source(made, "one", picture(colour="red")))
    assert local(disk, "pic.png").read_bytes() == b"edited by a person"


@pytest.mark.parametrize("place", ["s3://other@bucket/kept", "s3a://bucket/kept"])
def test_a_manifest_is_believed_whoever_names_its_place(bucket, made, picture, place):
    kept = archive(bucket.path("kept"), filename="pic").keep(source(made, "one", picture()))
    text = json.loads(bucket.get("kept/pic.png.json"))
    text["file"]["uri"] = f"{place.replace('bucket', bucket.name)}/pic.png"
    bucket.put("kept/pic.png.json", json.dumps(text).encode())
    before = bucket.get("kept/pic.png.json")
    again = archive(bucket.path("kept"), filename="pic", overwrite="skip")
    assert again.keep(source(made, "one", picture())) == kept
    assert bucket.get("kept/pic.png.json") == before


def test_skip_keeps_another_items_picture_and_archives_this_one_beside_it(disk, made, picture, caplog):
    first = archive(disk, filename="pic", overwrite="skip").keep(source(made, "one", picture(colour="red")))
    second, again = (
        archive(disk, filename="pic", overwrite="skip").keep(source(made, "two", picture(colour="green")))
        for _ in range(2)
    )
    assert second == again
    assert second.uri != first.uri
    assert len(stored(disk)) == 2
    assert "pic.png has another picture; this one is archived as" in caplog.text


@pytest.mark.usefixtures("alone")
def test_skip_tells_links_apart_that_differ_in_the_query_and_not_by_signature(disk, web, picture):
    web.will(*[picture(colour=colour) for colour in ("red", "green", "blue")])
    links = [
        "https://files.test/out?id=1&sig=a&Expires=1",
        "https://files.test/out?id=2&sig=a&Expires=1",
        "https://files.test/out?id=1&sig=b&Expires=2",
    ]
    one, two, three = (
        archive(disk, filename="pic", overwrite="skip").keep(ArchiveSource(url=link)) for link in links
    )
    assert one == three
    assert two.uri != one.uri
