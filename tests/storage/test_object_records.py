"""Records in object storage: what an Airflow without a task state store keeps of a paid job."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import store as stores
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from airflow_provider_faceswap.exceptions import FaceSwapError, JobTimeoutError, SubmissionUncertainError
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.storage.files import write
from airflow_provider_faceswap.storage.object_records import ObjectRecords

DONE_URL = "https://storage.test/result.png?sig=abc"
JOB = "65819c485337280001a609e7"
VALUE = {"stage": "intent", "purchases": 1, "words": ["ä", None, True, 1.5]}


def instance(**more):
    parts = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "a_task", "map_index": -1}
    return SimpleNamespace(**{**parts, **more})


class Bucket(MemoryFileSystem):
    """As an object store behaves: what is not committed is not there."""

    cachable = False

    def _open(self, path, mode="rb", *more, **options):
        if mode != "wb":
            return super()._open(path, mode, *more, **options)
        assert options.get("autocommit") is False, "it would commit half of what was written"
        return MemoryFile(self, self._strip_protocol(path))


@pytest.fixture(params=["file", "memory"])
def uri(request, tmp_path, monkeypatch):
    """A place on a disk, and one that behaves as an object store does."""
    if request.param == "file":
        return f"file://{tmp_path}/ledger"
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    attached = stores.ObjectStore("memory", None, fs=Bucket())
    monkeypatch.setitem(stores._STORE_CACHE, "memory", attached)
    return "memory://bucket/ledger"


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


# -- the records themselves -----------------------------------------------------------------------------


def test_what_is_written_is_read_again(uri):
    ObjectRecords.of(uri, instance()).set("job", VALUE)
    again = ObjectRecords.of(uri, instance())
    assert again.get("job") == VALUE
    again.set("job", {"stage": "settled"})
    assert ObjectRecords.of(uri, instance()).get("job", "default") == {"stage": "settled"}


def test_the_default_is_given_only_where_there_is_nothing(uri):
    records = ObjectRecords.of(uri, instance())
    assert records.get("job") is None
    assert records.get("job", "default") == "default"
    records.set("another", VALUE)
    assert records.get("job", "default") == "default"
    records.set("job", None)
    assert records.get("job", "default") is None, "a stored nothing is not an absent one"


def planted(records, data):
    """Put bytes in the place of a record."""
    write(records._path("job"), io.BytesIO(data))


@pytest.mark.parametrize("text", ["", "{", '{"stage": "int', "intent", "\x00"])
def test_a_damaged_record_is_an_error(uri, text):
    records = ObjectRecords.of(uri, instance())
    records.set("job", VALUE)
    planted(records, text.encode())
    with pytest.raises(ValueError, match=r"line 1 column"):
        records.get("job", "default")


def test_a_record_in_another_encoding_is_an_error(uri):
    records = ObjectRecords.of(uri, instance())
    records.set("job", VALUE)
    planted(records, b"\xff\xfe{}")
    with pytest.raises(ValueError, match="decode"):
        records.get("job", "default")


def test_a_folder_in_the_place_of_a_record_is_an_error(tmp_path):
    records = ObjectRecords.of(f"file://{tmp_path}", instance())
    Path(records._path("job").path).mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        records.get("job", "default")


@pytest.mark.parametrize("error", [PermissionError, ConnectionError, TimeoutError])
def test_a_record_that_cannot_be_read_is_not_an_absent_one(uri, monkeypatch, error):
    def refuse(*_, **__):
        raise error("storage said no")

    records = ObjectRecords.of(uri, instance())
    records.set("job", VALUE)
    monkeypatch.setattr(ObjectStoragePath(uri).fs, "cat_file", refuse)
    with pytest.raises(OSError, match="storage said no"):
        records.get("job", "default")


def test_a_person_can_find_a_record(tmp_path):
    ObjectRecords.of(f"file://{tmp_path}", instance(map_index=3)).set("job", VALUE)
    [path] = files(tmp_path)
    assert path.relative_to(tmp_path) == Path("dag_id=a_dag/run_id=a_run/task_id=a_task/map_index=3/job.json")
    assert json.loads(path.read_text()) == VALUE


@pytest.mark.parametrize("part", ["dag_id", "run_id", "task_id"])
@pytest.mark.parametrize(
    "value",
    [
        "..",
        "../../../outside",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "manual__2026-01-01T00:00:00+00:00",
        "дело №1",
        "a b?c#d%2F..",
        "~",
        "memory://elsewhere",
        "x*[y]",
    ],
)
def test_whatever_stands_in_an_id_the_record_stays_in_its_folder(tmp_path, part, value):
    folder = tmp_path / "one" / "two" / "three" / "ledger"
    records = ObjectRecords.of(f"file://{folder}", instance(**{part: value}))
    records.set("job", VALUE)
    assert records.get("job") == VALUE
    [path] = files(tmp_path)
    assert path.resolve() == path
    assert len(path.relative_to(folder).parts) == 5, "four folders and the file, whatever stands in an id"


@pytest.mark.parametrize(
    "other",
    [
        {"map_index": 1},
        {"map_index": 11},
        {"run_id": "b_run"},
        {"run_id": "a_run/1"},
        {"task_id": "b_task"},
        {"dag_id": "b_dag"},
        {"dag_id": "a_dag/a_run"},
    ],
)
def test_every_task_instance_has_records_of_its_own(uri, other):
    mine, another = ObjectRecords.of(uri, instance()), ObjectRecords.of(uri, instance(**other))
    mine.set("job", "mine")
    assert another.get("job", "nothing") == "nothing"
    another.set("job", "another")
    assert (mine.get("job"), another.get("job")) == ("mine", "another")


@pytest.mark.parametrize("parts", [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("a", "b%2Fc")])
def test_ids_that_look_alike_once_joined_do_not_meet(uri, parts):
    known = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("a", "b%2Fc")]
    for dag, run in known:
        ObjectRecords.of(uri, instance(dag_id=dag, run_id=run)).set("job", [dag, run])
    assert ObjectRecords.of(uri, instance(dag_id=parts[0], run_id=parts[1])).get("job") == list(parts)


def test_another_try_of_a_task_instance_reads_the_same_records(uri):
    ObjectRecords.of(uri, instance(try_number=1, max_tries=0)).set("job", VALUE)
    assert ObjectRecords.of(uri, instance(try_number=2, max_tries=3)).get("job") == VALUE


def interrupted(source, target, *_):
    target.write(source.read(5))
    raise OSError("disk full")


@pytest.mark.parametrize("before", [None, {"stage": "intent"}])
def test_a_write_that_fails_leaves_what_was_there(uri, monkeypatch, before):
    records = ObjectRecords.of(uri, instance())
    if before is not None:
        records.set("job", before)
    with monkeypatch.context() as failing:
        failing.setattr(shutil, "copyfileobj", interrupted)
        with pytest.raises(OSError, match="disk full"):
            records.set("job", VALUE)
    assert records.get("job") == before
    folder = records._path("job").parent
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    assert names == (["job.json"] if before is not None else []), "no half of it is left either"
    records.set("job", VALUE)
    assert records.get("job") == VALUE


def test_what_is_no_json_is_not_written(uri):
    records = ObjectRecords.of(uri, instance())
    with pytest.raises(TypeError):
        records.set("job", object())
    assert records.get("job", "nothing") == "nothing"


# -- operators on an Airflow without a task state store -------------------------------------------------


def swap(**more):
    pictures = {"target_image": "https://pictures.test/t.jpg", "face_image": "https://pictures.test/f.jpg"}
    return GPTunnelFaceSwapOperator(**{"task_id": "swap", "deferrable": False, **pictures, **more})


def done(answer, **more):
    return answer("done", percent=100, result=DONE_URL, **more)


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    folder = tmp_path / "ledger"
    monkeypatch.setenv("AIRFLOW__FACESWAP__LEDGER_URI", f"file://{folder}")
    return folder


@pytest.fixture
def older(context):
    """The context of a task on an Airflow without a task state store."""
    return {"ti": context["ti"]}


def kept(folder):
    [path] = files(folder)
    return json.loads(path.read_text())


def test_a_retry_takes_up_the_job_that_the_file_names(vendor, answer, older, clock, ledger):
    vendor.will(answer("idle", usage={"total_cost": 15}), *[answer("processing")] * 50)
    with pytest.raises(JobTimeoutError):
        swap(timeout=30).execute(older)
    assert (kept(ledger)["stage"], kept(ledger)["job_id"]) == ("submitted", JOB)
    vendor.answers.clear()
    vendor.will(done(answer))
    result = swap(timeout=30).execute(older)
    assert (result["url"], result["attempt_reused"]) == (DONE_URL, True)
    assert result["cost"] == {"amount": 15.0, "unit": "RUB"}
    assert (kept(ledger)["stage"], kept(ledger)["outcome"]) == ("settled", "succeeded")
    assert len(vendor.creates) == 1


def test_an_intent_in_the_file_stops_a_second_create(vendor, older, clock, ledger):
    vendor.will(httpx.ReadTimeout("no answer"))
    with pytest.raises(SubmissionUncertainError):
        swap().execute(older)
    assert kept(ledger)["stage"] == "intent"
    with pytest.raises(SubmissionUncertainError, match="did not record its id"):
        swap().execute(older)
    assert len(vendor.creates) == 1


def test_the_intent_stands_in_the_file_before_the_create_is_sent(vendor, older, clock, ledger, monkeypatch):
    seen = []

    class Looking(httpx.ReadTimeout):
        def __init__(self):
            super().__init__("no answer")

    answering = type(vendor).__call__

    def look(self, request):
        seen.append(kept(ledger)["stage"])
        return answering(self, request)

    monkeypatch.setattr(type(vendor), "__call__", look)
    vendor.will(Looking())
    with pytest.raises(SubmissionUncertainError):
        swap().execute(older)
    assert seen == ["intent"]


def test_a_mapped_task_buys_for_each_of_its_indices(vendor, answer, older, clock, ledger, monkeypatch):
    vendor.will(done(answer, job_id="zero"), done(answer, job_id="one"))
    monkeypatch.setattr(type(older["ti"]), "map_index", 0)
    assert swap().execute(older)["job_id"] == "zero"
    monkeypatch.setattr(type(older["ti"]), "map_index", 1)
    result = swap().execute(older)
    assert (result["job_id"], result["attempt_reused"]) == ("one", False)
    assert len(files(ledger)) == len(vendor.creates) == 2


def test_a_file_that_cannot_be_read_is_not_an_empty_one(vendor, older, clock, ledger, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("storage said no")

    monkeypatch.setattr(ObjectStoragePath(f"file://{ledger}").fs, "cat_file", refuse)
    with pytest.raises(FaceSwapError, match=r"could not be read.*This attempt bought nothing"):
        swap().execute(older)
    assert not vendor.requests


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "intent"}'])
def test_a_damaged_file_is_not_an_empty_one(vendor, older, clock, ledger, text):
    vendor.will(httpx.ReadTimeout("no answer"))
    with pytest.raises(SubmissionUncertainError):
        swap().execute(older)
    [path] = files(ledger)
    path.write_text(text)
    with pytest.raises(FaceSwapError, match=r"could not be read|is damaged"):
        swap().execute(older)
    assert len(vendor.requests) == 1


def test_a_file_that_cannot_be_written_stops_the_create(vendor, older, clock, ledger, monkeypatch):
    monkeypatch.setattr(shutil, "copyfileobj", interrupted)
    with pytest.raises(FaceSwapError, match=r"could not be written.*This attempt bought nothing"):
        swap().execute(older)
    assert not vendor.requests
    assert not files(ledger)


def test_a_write_that_fails_after_the_create_names_the_job(vendor, answer, older, clock, ledger, monkeypatch):
    copy, calls = shutil.copyfileobj, []

    def second_fails(*args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError("disk full")
        copy(*args)

    monkeypatch.setattr(shutil, "copyfileobj", second_fails)
    vendor.will(answer("idle"))
    with pytest.raises(FaceSwapError, match=f"{JOB}.*resume_job_id"):
        swap().execute(older)
    assert kept(ledger)["stage"] == "intent"
    with pytest.raises(SubmissionUncertainError):
        swap().execute(older)
    assert len(vendor.creates) == 1


def test_the_file_holds_no_key_and_no_argument(vendor, answer, older, clock, ledger):
    vendor.will(answer("idle"), done(answer))
    swap(target_image="https://pictures.test/t.jpg?sig=planted", webhook="https://h.test/?t=planted").execute(
        older
    )
    [path] = files(ledger)
    text = path.read_text()
    assert JOB in text
    for secret in ("planted", "sandbox-key", "pictures.test", "h.test", DONE_URL):
        assert secret not in text


def warnings_of(operator):
    """What the operator warns of, but for Airflow's own word on an execute outside of a task runner."""
    told = []

    def warning(text, *args):
        if "Task Runner" not in text:
            told.append(text % args)

    operator.log.warning = warning
    return told


def test_with_the_setting_there_is_nothing_to_warn_of(vendor, answer, older, clock, ledger):
    operator = swap()
    told = warnings_of(operator)
    vendor.will(done(answer))
    operator.execute(older)
    assert not told


# -- K9: a mirror of the task state store ---------------------------------------------------------------


def mirrored(context, ledger):
    [path] = files(ledger)
    [value] = context["task_state_store"].values.values()
    return json.loads(path.read_text()) == value


def test_with_the_setting_every_record_is_in_the_task_state_store_and_in_its_mirror(
    vendor, answer, context, clock, ledger
):
    vendor.will(done(answer))
    swap().execute(context)
    assert mirrored(context, ledger)


def test_a_record_that_is_gone_from_the_store_is_read_from_its_mirror(vendor, answer, context, clock, ledger):
    vendor.will(answer("idle"), done(answer), done(answer))
    swap().execute(context)
    context["task_state_store"].values.clear()
    assert swap().execute(context)["attempt_reused"] is True
    assert len(vendor.creates) == 1


def test_a_mirror_that_cannot_be_read_is_not_an_empty_one(vendor, answer, context, clock, ledger):
    vendor.will(done(answer))
    swap().execute(context)
    context["task_state_store"].values.clear()
    [path] = files(ledger)
    path.write_text("{")
    with pytest.raises(FaceSwapError, match="could not be read"):
        swap().execute(context)
    assert len(vendor.creates) == 1


def test_nothing_is_bought_if_the_mirror_cannot_be_written(vendor, answer, context, clock, ledger):
    Path(ledger).write_text("a file where the folder should be")
    with pytest.raises(FaceSwapError, match=r"could not be (written|read)"):
        swap().execute(context)
    assert not vendor.creates


def test_a_store_that_fails_does_not_keep_an_id_from_its_mirror(vendor, answer, context, clock, ledger):
    def breaks(_seconds=None):
        context["task_state_store"].broken_for = "set"
        return answer("idle")

    vendor.answers = type("Answers", (), {"popleft": lambda _: httpx.Response(200, json=breaks())})()
    with pytest.raises(FaceSwapError, match=JOB):
        swap().execute(context)
    [path] = files(ledger)
    assert json.loads(path.read_text())["job_id"] == JOB


def test_without_the_setting_it_works_and_warns_once(vendor, answer, older, clock):
    operator = swap()
    told = warnings_of(operator)
    vendor.will(answer("idle"), answer("processing"), done(answer))
    assert operator.execute(older)["url"] == DONE_URL
    [warning] = told
    assert "ledger_uri is not set" in warning
    assert "may pay for a second job" in warning


@pytest.mark.parametrize("dag_id", ["замена_лица_" * 5, "a" * 250])
def test_long_ids_fit_on_a_disk_and_are_told_apart(tmp_path, dag_id):
    for number in (1, 2):
        ObjectRecords.of(f"file://{tmp_path}", instance(dag_id=f"{dag_id}{number}")).set("key", number)
    for number in (1, 2):
        assert (
            ObjectRecords.of(f"file://{tmp_path}", instance(dag_id=f"{dag_id}{number}")).get("key") == number
        )
