"""Keeping results: whole files under safe names, each with its manifest beside it."""

from __future__ import annotations

import hashlib
import io
import json
import time
from datetime import UTC, datetime

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from airflow.sdk.io import store as stores
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from airflow_provider_faceswap import __version__
from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.archive.place import GRACE
from airflow_provider_faceswap.archive.sources import ArchiveSource
from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    InvalidRequestError,
    NotAnImageError,
    ResultExpiredError,
    TooLargeError,
)
from airflow_provider_faceswap.lifecycle.provenance import provenance
from airflow_provider_faceswap.storage.files import create, write

pytestmark = pytest.mark.usefixtures("alone", "one_after_the_other")

RUN = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "a_task", "map_index": -1, "try_number": 1}
URL = "https://files.test/out/pic.png?sig=SECRET&exp=1"


class Uncommitted(MemoryFile):
    """A file of an object store: seen by nobody before its commit."""

    def commit(self):
        self.fs.events.append(("commit", self.path, self.getvalue()))
        super().commit()

    def discard(self):
        self.fs.events.append(("discard", self.path, self.getvalue()))


class ObjectStore(MemoryFileSystem):
    """As an object store behaves: without a commit, nothing is there."""

    cachable = False

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.events: list[tuple[str, str, bytes]] = []

    def _open(self, path, mode="rb", *more, autocommit=True, **options):
        if mode != "wb":
            return super()._open(path, mode, *more, **options)
        file = Uncommitted(self, self._strip_protocol(path))
        if autocommit:
            file.commit()
        return file


@pytest.fixture
def object_store(monkeypatch):
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    files = ObjectStore()
    monkeypatch.setitem(stores._STORE_CACHE, "memory", stores.ObjectStore("memory", None, fs=files))
    return files


@pytest.fixture
def disk(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path / 'kept'}")


@pytest.fixture(params=["file", "local", "memory"])
def place(request, tmp_path):
    """A folder on a disk or in an object store."""
    if request.param == "memory":
        request.getfixturevalue("object_store")
        return ObjectStoragePath("memory://bucket/kept")
    return ObjectStoragePath(f"{request.param}://{tmp_path / 'kept'}")


def archive(folder, **more):
    options = {
        "filename": None,
        "overwrite": "replace",
        "max_bytes": 1_000_000,
        "open_hosts": (),
        "run": RUN,
    }
    options |= more
    return Archive(folder, **{**options, "run": RunInfo(**options["run"])})


#: A first try, as a manifest names it.
TRY = {"dag_id": "d", "run_id": "r", "task_id": "keep", "map_index": -1, "try_number": 1}


def keep(folder, source, data=None, **more):
    """Keep a source; with data, as a picture that came inside the vendor's answer."""
    if data is not None:
        source = source.model_copy(update={"url": None, "data": data})
    return archive(folder, **more).keep(source)


def files(folder):
    """Paths below a folder, of files only."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# -- writing ------------------------------------------------------------------------------------------


class Breaking(io.BytesIO):
    """Breaks off after its first part; tells what is seen from outside meanwhile."""

    def __init__(self, error, look) -> None:
        super().__init__(b"half")
        self.error, self.look, self.seen = error, look, None

    def read(self, size=-1):
        if data := super().read(size):
            return data
        self.seen = self.look()
        raise self.error


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("before", [None, b"the old one"])
def test_an_error_in_the_middle_leaves_what_was_there(place, error, before):
    path = place / "deep" / "pic.png"
    if before:
        write(path, io.BytesIO(before))
    source = Breaking(error, lambda: path.exists() and path.read_bytes())
    with pytest.raises(type(error)):
        write(path, source)
    assert source.seen == (before or False)
    assert files(place) == (["deep/pic.png"] if before else [])
    assert not before or path.read_bytes() == before


def test_a_file_on_a_disk_is_written_under_another_name_beside_it(disk):
    names = []
    source = Breaking(OSError(), lambda: names.extend(files(disk)))
    with pytest.raises(OSError):  # noqa: PT011 - raised without a text
        write(disk / "pic.png", source)
    assert len(names) == 1
    assert names[0].startswith(".")
    assert names[0].endswith(".part")


def test_a_name_may_be_as_long_as_the_disk_allows(disk):
    name = "a" * 251 + ".png"
    write(disk / name, io.BytesIO(b"whole"))
    assert files(disk) == [name]


def test_a_folder_that_has_the_name_is_an_error_and_nothing_is_put_into_it(disk):
    (disk / "pic.png").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write(disk / "pic.png", io.BytesIO(b"whole"))
    assert files(disk) == []


def test_a_move_that_fails_leaves_nothing(disk, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("read only")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(PermissionError):
        write(disk / "pic.png", io.BytesIO(b"whole"))
    assert files(disk) == []


def test_a_file_is_written_from_its_beginning_and_replaces_the_old_one(place):
    path = place / "pic.png"
    write(path, io.BytesIO(b"a longer old one"))
    source = io.BytesIO(b"new")
    source.seek(2)
    write(path, source)
    assert path.read_bytes() == b"new"
    assert files(place) == ["pic.png"]


def test_an_object_is_committed_once_and_whole(object_store):
    write(ObjectStoragePath("memory://bucket/pic.png"), io.BytesIO(bytes(600_000)))
    assert object_store.events == [("commit", "/bucket/pic.png", bytes(600_000))]


def test_an_object_that_breaks_off_is_discarded_and_never_committed(object_store):
    with pytest.raises(OSError, match="cut"):
        write(ObjectStoragePath("memory://bucket/pic.png"), Breaking(OSError("cut"), lambda: None))
    assert object_store.events == [("discard", "/bucket/pic.png", b"half")]


def test_a_folder_may_be_given_without_a_scheme(tmp_path):
    folder = ObjectStoragePath(str(tmp_path / "not" / "there" / "yet"))
    write(folder / "pic.png", io.BytesIO(b"whole"))
    assert (tmp_path / "not" / "there" / "yet" / "pic.png").read_bytes() == b"whole"


# -- what is kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "media"),
    [
        ("PNG", ("image/png", ".png")),
        ("JPEG", ("image/jpeg", ".jpg")),
        ("WEBP", ("image/webp", ".webp")),
        ("GIF", ("image/gif", ".gif")),
    ],
)
def test_a_picture_is_kept_byte_for_byte(place, web, picture, form, media):
    media_type, suffix = media
    data = picture(form, (37, 23))
    web.will(data)
    kept = keep(place, ArchiveSource(url=URL, result=None))
    digest = hashlib.sha256(data).hexdigest()
    assert kept.model_dump() == {
        "uri": str(place / f"{digest[:16]}{suffix}"),
        "manifest_uri": str(place / f"{digest[:16]}{suffix}.json"),
        "media_type": media_type,
        "bytes": len(data),
        "sha256": digest,
        "width": 37,
        "height": 23,
    }
    assert (place / f"{digest[:16]}{suffix}").read_bytes() == data
    assert files(place) == [f"{digest[:16]}{suffix}", f"{digest[:16]}{suffix}.json"]


def test_a_video_has_no_size_of_a_picture(disk, made):
    kept = keep(disk, ArchiveSource(url=None, result=made(kind="video")), b"\0\0\0\x20ftypisom" + bytes(50))
    assert (kept.media_type, kept.width, kept.height) == ("video/mp4", None, None)
    assert kept.uri.endswith("-video-65819c48.mp4")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "JPEG2000"])
@pytest.mark.parametrize("linked", [True, False])
def test_half_a_picture_is_not_kept(disk, web, made, picture, form, linked):
    half = picture(form, (90, 60))[:-20]
    web.will(half, half, half)
    with pytest.raises(ArchiveError, match="is cut off: it ends after") as told:
        keep(disk, ArchiveSource(url=URL if linked else None, result=made()), None if linked else half)
    assert "job 65819c48" in str(told.value)
    assert "Nothing was archived" in str(told.value)
    assert not isinstance(told.value, AirflowFailException)
    assert files(disk) == []


def test_a_picture_that_arrives_cut_is_fetched_again(disk, web, made, picture):
    whole = picture("JPEG", (90, 60))
    web.will(whole[: len(whole) // 2], whole[:16], whole)
    kept = keep(disk, ArchiveSource(url=URL, result=made()))
    assert (kept.bytes, kept.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert len(web.requests) == 3


#: The smallest whole file of each type that is no picture.
OTHERS = {
    "audio/wav .wav": b"RIFF\x24\0\0\0WAVEfmt " + bytes(28),
    "audio/mpeg .mp3": b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x00" + bytes(413),
    "audio/flac .flac": b"fLaC\x80\0\0\x22" + bytes(34) + b"\xff\xf8",
    "audio/ogg .ogg": b"OggS\0\2" + bytes(20) + b"\x01\x13OpusHead" + bytes(11),
    "audio/mp4 .m4a": b"\0\0\0\x10ftypM4A \0\0\0\0\0\0\0\x08moov",
    "video/quicktime .mov": b"\0\0\0\x10ftypqt  \0\0\0\0\0\0\0\x08moov",
    "model/gltf-binary .glb": b"glTF\2\0\0\0\x14\0\0\0" + bytes(8),
}


@pytest.mark.parametrize(("expected", "data"), OTHERS.items(), ids=OTHERS)
def test_sounds_videos_and_models_are_kept_with_their_type(disk, made, expected, data):
    kept = keep(disk, ArchiveSource(url=None, result=made("piapi", "task")), data)
    media_type, suffix = expected.split()
    assert (kept.media_type, kept.width, kept.height) == (media_type, None, None)
    assert kept.uri.endswith(f"-65819c48{suffix}")


@pytest.mark.parametrize("data", [b"<!DOCTYPE html><title>gone</title>", b"", b'{"error": 1}', bytes(100)])
@pytest.mark.parametrize("linked", [True, False])
def test_an_error_page_is_not_kept(disk, web, made, data, linked):
    web.will(data)
    with pytest.raises(NotAnImageError) as told:
        keep(disk, ArchiveSource(url=URL if linked else None, result=made()), None if linked else data)
    assert "job 65819c48" in str(told.value)
    assert "SECRET" not in str(told.value)
    assert not isinstance(told.value, AirflowFailException)
    assert files(disk) == []


@pytest.mark.parametrize("linked", [True, False])
def test_the_cap_is_for_links_and_inline_pictures(disk, web, made, picture, linked):
    data = picture()
    web.will(data, data)
    source = ArchiveSource(url=URL if linked else None, result=made())
    inline = None if linked else data
    with pytest.raises(TooLargeError, match=f"larger than the limit of {len(data) - 1}"):
        keep(disk, source, inline, max_bytes=len(data) - 1)
    assert files(disk) == []
    assert keep(disk, source, inline, max_bytes=len(data)).bytes == len(data)


def test_a_download_that_fails_leaves_nothing(disk, web, made):
    def broken():
        yield b"\x89PNG\r\n\x1a\n"
        raise httpx.RemoteProtocolError("cut")

    web.will(*[httpx.Response(200, content=broken()) for _ in range(3)], httpx.Response(404))
    source = ArchiveSource(url=URL, result=made())
    with pytest.raises(ArchiveError, match="could not be read"):
        keep(disk, source)
    with pytest.raises(ResultExpiredError, match="job 65819c48"):
        keep(disk, source)
    assert files(disk) == []


@pytest.mark.parametrize("linked", [True, False])
def test_a_worker_whose_disk_is_full_says_which_job_is_not_kept(
    disk, web, made, picture, monkeypatch, linked
):
    class Full(io.BytesIO):
        def __init__(self, _):
            super().__init__()

        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("airflow_provider_faceswap.archive.store.tempfile.SpooledTemporaryFile", Full)
    web.will(picture())
    with pytest.raises(ArchiveError, match=r"could not be archived \(OSError: .*No space left.*job 65819c48"):
        keep(disk, ArchiveSource(url=URL if linked else None, result=made()), None if linked else picture())
    assert files(disk) == []


def test_a_result_whose_provenance_makes_no_sense_is_an_archive_error(disk, made, picture):
    with pytest.raises(ArchiveError, match=r"could not be archived .*job 65819c48"):
        keep(disk, ArchiveSource(url=None, result=made(provenance={"parents": 5})), picture())
    assert files(disk) == []


def test_a_large_result_goes_through_the_disk_unchanged(disk, made, monkeypatch, picture):
    monkeypatch.setattr("airflow_provider_faceswap.archive.store.IN_MEMORY", 1000)
    data = picture() + bytes(range(256)) * 3000
    kept = keep(disk, ArchiveSource(url=None, result=made()), data, max_bytes=len(data))
    assert kept.sha256 == hashlib.sha256(data).hexdigest()
    assert (disk / "gptunnel-face_swap-65819c48.png").read_bytes() == data


# -- names --------------------------------------------------------------------------------------------


def kept_as(disk, source, data, **more):
    kept = keep(disk, source, data, **more)
    (name, manifest) = files(disk)
    assert str(disk / name) == kept.uri
    assert manifest == f"{name}.json"
    return name


@pytest.mark.parametrize(
    ("job", "name"),
    [
        (("gptunnel", "face_swap", "65819c48"), "gptunnel-face_swap-65819c48.png"),
        (("piapi", "task", "49638cd2-4689"), "piapi-task-49638cd2-4689.png"),
        (
            ("tengrai", "face_swap", "../../../etc/passwd"),
            "tengrai-face_swap-.._.._.._etc_passwd-9b1303d0caee.png",
        ),
        (("tengrai", "face_swap", "/etc/passwd"), "tengrai-face_swap-_etc_passwd-4bd53dd604e0.png"),
        (
            ("tengrai", "face_swap", "a b?c#d*e%2f\\f\n\0"),
            "tengrai-face_swap-a_b_c_d_e_2f_f__-687d8359dd4a.png",
        ),
        (("tengrai", "face_swap", ".."), "tengrai-face_swap-...png"),
        (("tengrai", "face_swap", "задача"), "tengrai-face_swap-задача.png"),
    ],
)
def test_the_default_name_is_the_job_and_stays_in_the_folder(disk, made, picture, job, name):
    source = ArchiveSource(url=None, result=made(*job))
    assert kept_as(disk, source, picture()) == name


def test_a_bare_link_is_named_by_its_content(disk, web, picture):
    data = picture()
    web.will(data)
    assert (
        kept_as(disk, ArchiveSource(url=URL, result=None), None)
        == f"{hashlib.sha256(data).hexdigest()[:16]}.png"
    )


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("swap", "swap.png"),
        ("swap.png", "swap.png"),
        ("swap.PNG", "swap.PNG"),
        ("swap.jpeg", "swap.jpeg"),
        ("daily/2026/swap", "daily/2026/swap.png"),
        ("daily/2026/swap.jpg", "daily/2026/swap.jpg"),
        ("./swap", "swap.png"),
        (".hidden", ".hidden.png"),
        ("two words", "two words.png"),
    ],
)
@pytest.mark.parametrize("of", [1, 2])
def test_a_given_name_gets_what_it_lacks(disk, picture, filename, name, of):
    stem, dot, suffix = name.rpartition(".")
    expected = name if of == 1 else f"{stem}-2{dot}{suffix}"
    source = ArchiveSource(url=None, result=None, position=of - 1, of=of)
    assert kept_as(disk, source, picture(), filename=filename) == expected


@pytest.mark.parametrize(
    "filename",
    [
        "manual__2026-01-01T00:00:00.123456+00:00",
        "scheduled__2026-01-01T00:00:00+00:00",
        "portrait v1.2",
        "2026.11.21",
        "no. 7",
        "anna.",
    ],
)
def test_a_dot_in_a_name_is_not_yet_a_suffix(disk, made, picture, filename):
    assert (
        kept_as(disk, ArchiveSource(url=None, result=made()), picture(), filename=filename)
        == f"{filename}.png"
    )


@pytest.mark.parametrize(
    "filename", ["../x", "a/../../x", "a/..", "..", "/x", "/etc/cron.d/x.png", "//x", ".", "./", "./."]
)
def test_a_name_that_leads_out_of_the_folder_is_refused(disk, tmp_path, made, picture, filename):
    with pytest.raises(ValueError) as told:  # noqa: PT011 - the class is looked at below
        keep(disk, ArchiveSource(url=None, result=made()), picture(), filename=filename)
    assert isinstance(told.value, InvalidRequestError)
    assert str(told.value).startswith("filename: ")
    assert list(tmp_path.rglob("*.png")) == []


@pytest.mark.parametrize("filename", ["", " ", "None", "job::6", "s3://bucket/x", 20261121])
def test_what_is_no_name_is_refused_before_anything_is_fetched(disk, filename):
    with pytest.raises(InvalidRequestError, match=r"^filename: must"):
        archive(disk, filename=filename)


def test_several_outputs_of_a_job_are_numbered(disk, web, made, picture):
    result = made(links=3)
    web.will(*[picture(colour=colour) for colour in ("red", "green", "blue")])
    keeping = archive(disk)
    for position, url in enumerate(result["urls"]):
        keeping.keep(ArchiveSource(url=url, result=result, position=position, of=3))
    names = [f"gptunnel-face_swap-65819c48-{n}.png" for n in (1, 2, 3)]
    assert files(disk) == sorted(names + [f"{name}.json" for name in names])
    told = [json.loads((disk / f"{name}.json").read_text())["source"] for name in names]
    assert [(source["output"], source["outputs"]) for source in told] == [(1, 3), (2, 3), (3, 3)]


# -- a name that is taken -----------------------------------------------------------------------------


@pytest.fixture
def today(clock):
    """A driven clock that starts now, so that a file is as young as it is."""
    clock.time = time.time()
    return clock


@pytest.fixture
def taken(place, made, picture):
    """A place where the job's picture is kept already."""
    source = ArchiveSource(url=None, result=made())
    return source, keep(place, source, picture(colour="red"))


def test_replace_writes_picture_and_manifest_anew(place, taken, picture):
    source, first = taken
    second = keep(place, source, picture("PNG", (50, 60)), overwrite="replace")
    assert second.uri == first.uri
    assert (place / "gptunnel-face_swap-65819c48.png").read_bytes() == picture("PNG", (50, 60))
    told = json.loads((place / "gptunnel-face_swap-65819c48.png.json").read_text())
    assert told["file"] == second.model_dump()


def test_skip_leaves_both_and_tells_what_is_there(place, taken, picture):
    source, first = taken
    assert keep(place, source, picture("PNG", (50, 60)), overwrite="skip") == first
    assert (place / "gptunnel-face_swap-65819c48.png").read_bytes() == picture(colour="red")


def test_skip_writes_what_an_earlier_try_did_not_finish(place, taken, picture, today):
    source, _ = taken
    (place / "gptunnel-face_swap-65819c48.png.json").unlink()
    second = keep(place, source, picture("PNG", (50, 60)), overwrite="skip")
    assert sum(today.slept) >= GRACE
    assert (second.width, second.height) == (50, 60)
    told = json.loads((place / "gptunnel-face_swap-65819c48.png.json").read_text())
    assert told["file"] == second.model_dump()


def test_error_leaves_both_and_says_what_to_do(place, taken, picture):
    source, _ = taken
    with pytest.raises(ArchiveError, match=r"already exists.*job 65819c48.*overwrite='replace' or 'skip'"):
        keep(place, source, picture("PNG", (50, 60)), overwrite="error")
    assert (place / "gptunnel-face_swap-65819c48.png").read_bytes() == picture(colour="red")


def test_error_is_not_for_the_very_picture_that_an_earlier_try_has_kept(place, taken, picture, caplog):
    source, _ = taken
    first = keep(place, source, picture(colour="red"), run=TRY)
    caplog.set_level("INFO")
    before = (place / "gptunnel-face_swap-65819c48.png.json").read_bytes()
    retry = {"overwrite": "error", "run": {**TRY, "try_number": 2}}
    assert keep(place, source, picture(colour="red"), **retry) == first
    assert "was archived by an earlier attempt" in caplog.text
    assert (place / "gptunnel-face_swap-65819c48.png.json").read_bytes() == before
    with pytest.raises(ArchiveError, match="already exists"):
        keep(place, source, picture(colour="green"), **retry)


@pytest.mark.parametrize("run", [TRY, {**TRY, "task_id": "another", "try_number": 2}, {}])
def test_error_is_for_everybody_else_though_the_picture_is_the_same(place, taken, picture, run):
    source, _ = taken
    keep(place, source, picture(colour="red"), run=TRY)
    with pytest.raises(ArchiveError, match="already exists"):
        keep(place, source, picture(colour="red"), overwrite="error", run=run)


def test_error_is_not_for_a_bare_link_that_an_earlier_try_has_kept(place, web, picture):
    web.will(picture(), picture())
    source = ArchiveSource(url=URL, result=None)
    kept = {
        keep(place, source, overwrite="error", filename="pic", run={**TRY, "try_number": number})
        for number in (1, 2)
    }
    assert len(kept) == 1


def others(made):
    return [
        ArchiveSource(url=None, result=made("piapi"), number=1),
        ArchiveSource(url=None, result=made(job_id="another"), number=1),
        ArchiveSource(url=None, result=made(), position=1, number=1),
    ]


@pytest.mark.parametrize("which", range(3), ids=["vendor", "job", "output"])
def test_the_same_bytes_of_another_job_are_another_picture(place, made, picture, which):
    keep(place, ArchiveSource(url=None, result=made(), number=1), picture(), filename="pic")
    with pytest.raises(ArchiveError, match="already exists"):
        keep(place, others(made)[which], picture(), overwrite="error", filename="pic")


def test_replacing_the_picture_of_another_job_is_told(place, made, picture, caplog):
    for job_id in ("one", "two", "two"):
        keep(place, ArchiveSource(url=None, result=made(job_id=job_id)), picture(), filename="pic")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning == (
        f"{place}/pic.png, which was output 1 of gptunnel job one, is replaced by output 1 of gptunnel job two"
    )


def breaking_before_the_manifest(monkeypatch):
    def some(writing):
        def write_some(path, source, *more):
            if path.name.endswith(".json"):
                raise OSError("the storage is gone")
            writing(path, source, *more)

        return write_some

    monkeypatch.setattr("airflow_provider_faceswap.archive.place.write", some(write))
    monkeypatch.setattr("airflow_provider_faceswap.archive.place.create", some(create))


@pytest.mark.parametrize("job_id", ["65819c48", "another"])
def test_a_picture_never_stands_beside_the_manifest_of_another(
    place, made, taken, picture, monkeypatch, today, job_id
):
    source = ArchiveSource(url=None, result=made(job_id=job_id))
    name = "gptunnel-face_swap-65819c48"
    with monkeypatch.context() as breaking:
        breaking_before_the_manifest(breaking)
        with pytest.raises(ArchiveError, match=f"storage is gone.*job {job_id}"):
            keep(place, source, picture(colour="blue"), filename=name)
    assert files(place) == [f"{name}.png"]
    kept = keep(place, source, picture(colour="blue"), filename=name, overwrite="skip")
    assert hashlib.sha256(ObjectStoragePath(kept.uri).read_bytes()).hexdigest() == kept.sha256
    assert json.loads(ObjectStoragePath(kept.manifest_uri).read_text())["job"]["job_id"] == job_id


def test_writing_the_same_picture_anew_never_leaves_it_without_its_manifest(
    place, taken, picture, monkeypatch
):
    breaking_before_the_manifest(monkeypatch)
    with pytest.raises(ArchiveError, match="storage is gone"):
        keep(place, taken[0], picture(colour="red"))
    assert len(files(place)) == 2


@pytest.mark.parametrize("refused", ["cat_file", "rm_file"])
def test_a_storage_that_may_only_be_written_to_gets_the_picture(disk, made, picture, monkeypatch, refused):
    def refuse(*_, **__):
        raise PermissionError("write only")

    keep(disk, ArchiveSource(url=None, result=made()), picture(colour="red"))
    monkeypatch.setattr(disk.fs, refused, refuse)
    kept = keep(disk, ArchiveSource(url=None, result=made()), picture())
    monkeypatch.undo()
    told = json.loads(ObjectStoragePath(kept.manifest_uri).read_text())
    assert told["file"]["sha256"] == hashlib.sha256(ObjectStoragePath(kept.uri).read_bytes()).hexdigest()


@pytest.mark.parametrize("overwrite", ["error", "skip"])
def test_what_may_not_be_looked_at_is_not_overwritten_unasked(disk, made, picture, monkeypatch, overwrite):
    def refuse(*_, **__):
        raise PermissionError("not yours")

    first = keep(disk, ArchiveSource(url=None, result=made()), picture(colour="red"))
    monkeypatch.setattr(disk.fs, "cat_file", refuse)
    with pytest.raises(
        ArchiveError, match=r"could not be written \(PermissionError: not yours\).*job 65819c48"
    ):
        keep(disk, ArchiveSource(url=None, result=made()), picture(), overwrite=overwrite)
    assert ObjectStoragePath(first.uri).read_bytes() == picture(colour="red")


@pytest.mark.parametrize("found", [b"{}", b"[]", b"\xff", b'{"file": 1, "source": {}, "job": null}'])
def test_another_file_under_the_manifests_name_is_replaced_on_request_only(place, made, picture, found):
    source = ArchiveSource(url=None, result=made())
    write(place / "pic.png.json", io.BytesIO(found))
    for overwrite in ("error", "skip"):
        with pytest.raises(ArchiveError, match="already exists and is not a manifest"):
            keep(place, source, picture(), filename="pic", overwrite=overwrite)
    assert files(place) == ["pic.png.json"]
    kept = keep(place, source, picture(), filename="pic")
    assert json.loads(ObjectStoragePath(kept.manifest_uri).read_text())["file"] == kept.model_dump()


@pytest.mark.parametrize("overwrite", ["error", "skip", "replace"])
def test_a_free_name_is_taken_whatever_the_rule(place, made, picture, overwrite):
    kept = keep(place, ArchiveSource(url=None, result=made()), picture(), overwrite=overwrite)
    assert ObjectStoragePath(kept.uri).read_bytes() == picture()


# -- the manifest -------------------------------------------------------------------------------------


@pytest.fixture
def chain(made):
    """A picture that was imagined, enlarged, and given another face; every link and webhook has a secret."""
    imagined = made(
        kind="imagine",
        job_id="first",
        provenance=provenance({"prompt": "a king", "webhook": "https://hooks.test/SECRET?token=SECRET"}),
    )
    enlarged = made(
        kind="upsample",
        job_id="second",
        provenance=provenance({"parent_job_id": imagined, "image": 2}),
    )
    return made(
        "piapi",
        job_id="third",
        provenance=provenance(
            {
                "target_image": enlarged,
                "face_image": "https://me:SECRET@faces.test/anna.jpg?token=SECRET#SECRET",
                "webhook": "https://hooks.test/SECRET",
                "webhook_secret": "SECRET",
                "seed": 7,
            }
        ),
        attempt_reused=True,
    )


def told_of(vendor, kind, job_id, arguments):
    return {
        "vendor": vendor,
        "kind": kind,
        "job_id": job_id,
        "conn_id": f"{vendor}_default",
        "cost": {"amount": 15.0, "unit": "RUB"},
        "submitted_at": "2026-03-01T12:00:00Z",
        "finished_at": "2026-03-01T12:01:00Z",
        "arguments": arguments,
    }


def test_the_manifest_has_the_whole_origin(place, web, chain, picture):
    web.will(picture())
    before = datetime.now(UTC)
    kept = keep(place, ArchiveSource(url=chain["url"], result=chain))
    text = ObjectStoragePath(kept.manifest_uri).read_text()
    told = json.loads(text)
    assert before <= datetime.fromisoformat(told.pop("archived_at")) <= datetime.now(UTC)
    assert told == {
        "version": 1,
        "file": kept.model_dump(),
        "source": {"url": "https://files.test/third-0.png", "output": 1, "outputs": 1},
        "job": {
            **told_of(
                "piapi",
                "face_swap",
                "third",
                {
                    "target_image": "https://files.test/second-0.png",
                    "face_image": "https://faces.test/anna.jpg",
                    "seed": 7,
                },
            ),
            "expires_at": "2026-03-04T12:00:00Z",
            "attempt_reused": True,
        },
        "parents": [
            told_of("gptunnel", "upsample", "second", {"parent_job_id": "first", "image": 2}),
            told_of("gptunnel", "imagine", "first", {"prompt": "a king"}),
        ],
        "airflow": RUN,
        "package": {"name": "airflow-provider-faceswap", "version": __version__},
    }
    assert "SECRET" not in text
    assert "?" not in text


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://files.test/p.png#SECRET",
        "HTTPS://files.test/p.png?sig=SECRET",
        "https://files.test/p.png?name='x'&sig=SECRET",
        'https://files.test/p.png?name="x"&sig=SECRET',
        "https://files.test/p.png?name=<x>&sig=SECRET",
    ],
)
def test_the_manifest_of_a_bare_link_names_the_place_and_opens_nothing(disk, web, picture, url):
    web.will(picture())
    told = (
        disk / keep(disk, ArchiveSource(url=url, result=None)).manifest_uri.rpartition("/")[2]
    ).read_text()
    assert "SECRET" not in told
    told = json.loads(told)
    assert (told["job"], told["parents"]) == (None, [])
    assert told["source"]["url"].lower().startswith("https://files.test/")


def test_the_manifest_of_an_inline_picture_has_no_link(disk, made, picture):
    kept = keep(disk, ArchiveSource(url=None, result=made()), picture())
    told = json.loads(ObjectStoragePath(kept.manifest_uri).read_text())
    assert told["source"] == {"url": None, "output": 1, "outputs": 1}
    assert told["job"]["job_id"] == "65819c48"


def test_words_in_any_script_stay_readable(disk, made, picture):
    result = made(provenance=provenance({"prompt": "король"}))
    kept = keep(disk, ArchiveSource(url=None, result=result), picture())
    assert "король" in ObjectStoragePath(kept.manifest_uri).read_text(encoding="utf-8")


def test_the_manifest_comes_after_the_picture(object_store, made, picture):
    folder = ObjectStoragePath("memory://bucket/kept")
    keep(folder, ArchiveSource(url=None, result=made()), picture())
    name = "/bucket/kept/gptunnel-face_swap-65819c48.png"
    assert [(event, path) for event, path, _ in object_store.events] == [
        ("commit", name),
        ("commit", f"{name}.json"),
    ]


# -- names: kept suffixes, no collisions, short enough ---------------------------------------------------


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("anna.maria", "anna.maria.png"),
        ("a.png.json", "a.png.json.png"),
        ("v.1a", "v.1a.png"),
        ("run.parquet", "run.parquet.png"),
        ("model.GLB", "model.GLB"),
    ],
)
def test_only_a_suffix_of_a_picture_a_video_a_sound_or_a_model_is_one(disk, made, picture, filename, name):
    assert kept_as(disk, ArchiveSource(url=None, result=made()), picture(), filename=filename) == name


def test_no_filename_replaces_the_manifest_of_another_picture(disk, made, picture):
    for filename in ("a.png", "a.png.json"):
        keep(disk, ArchiveSource(url=None, result=made()), picture(), filename=filename)
    assert len(files(disk)) == 4
    assert json.loads((disk / "a.png.json").read_text())["file"]["uri"].endswith("/a.png")


@pytest.mark.parametrize(
    "ids", [("a/b", "a_b", "a?b", "a b"), ("x" * 231, "x" * 232, "x" * 231 + "y"), ("задача/1", "задача_1")]
)
def test_two_jobs_never_share_a_name_and_every_name_is_short(disk, made, picture, ids):
    for job_id in ids:
        keep(disk, ArchiveSource(url=None, result=made(job_id=job_id)), picture(), overwrite="error")
    names = files(disk)
    assert len(names) == 2 * len(ids)
    assert max(len(name.removesuffix(".json").encode()) for name in names) <= 200


def test_an_output_of_a_job_does_not_share_the_name_of_another_job(disk, made, picture):
    keep(
        disk, ArchiveSource(url=None, result=made(job_id="a"), position=1, of=2), picture(), overwrite="error"
    )
    keep(disk, ArchiveSource(url=None, result=made(job_id="a-2")), picture(), overwrite="error")
    assert len(files(disk)) == 4


@pytest.mark.parametrize("filename", ["x" * 251 + ".png", "ж" * 150, "f" * 230 + "/pic", "a" * 300])
def test_a_filename_that_is_too_long_is_cut_and_stays_the_same(disk, made, picture, filename):
    source = ArchiveSource(url=None, result=made())
    first, second = (keep(disk, source, picture(), filename=filename, overwrite="skip") for _ in range(2))
    assert first == second
    assert max(len(part.encode()) for part in first.uri.split("/")) <= 200
    assert first.uri.endswith(".png")
    other = keep(disk, source, picture(), filename=filename[:-1] + "z", overwrite="error")
    assert other.uri != first.uri


FORMER = {
    "anna.maria": ("65819c48", "anna.maria"),
    "x" * 245 + ".png": ("65819c48", "x" * 245 + ".png"),
    None: ("a/b", "gptunnel-face_swap-a_b.png"),
}


@pytest.mark.parametrize("overwrite", ["skip", "error"])
@pytest.mark.parametrize("filename", FORMER, ids=["suffix", "length", "id"])
def test_a_retry_over_an_upgrade_finds_its_picture(disk, made, picture, filename, overwrite):
    job_id, name = FORMER[filename]
    source = ArchiveSource(url=None, result=made(job_id=job_id))
    run = {**TRY, "try_number": 2}
    kept = keep(disk, source, picture(), filename=filename, overwrite=overwrite, run=TRY)
    manifest = json.loads(ObjectStoragePath(kept.manifest_uri).read_text())
    # As version 0.1.0 named it.
    write(disk / name, io.BytesIO(picture()))
    manifest["file"] |= {"uri": f"{disk}/{name}", "manifest_uri": f"{disk}/{name}.json"}
    write(disk / f"{name}.json", io.BytesIO(json.dumps(manifest).encode()))
    for uri in (kept.uri, kept.manifest_uri):
        ObjectStoragePath(uri).unlink()
    again = keep(disk, source, picture(), filename=filename, overwrite=overwrite, run=run)
    assert again.uri == f"{disk}/{name}"
    assert files(disk) == sorted([name, f"{name}.json"])
    other = ArchiveSource(url=None, result=made(job_id=job_id.replace("/", "?") + "x"))
    assert keep(disk, other, picture(), filename=filename, overwrite="skip", run=run).uri != again.uri
