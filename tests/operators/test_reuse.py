"""A request that was archived before is not bought again."""

from __future__ import annotations

import errno
import hashlib
import json

import httpx
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem
from structlog.testing import capture_logs

from airflow_provider_faceswap.archive.index import FOLDER, Index
from airflow_provider_faceswap.archive.reuse import result_of_archived
from airflow_provider_faceswap.archive.sources import sources_of
from airflow_provider_faceswap.archive.store import archive_at
from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
)
from airflow_provider_faceswap.http.body import Downloaded
from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.generate import ImageOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPITaskOperator

URL = "https://storage.test/result.png"
TARGET = "https://pictures.test/t.jpg"


@pytest.fixture
def folder(tmp_path):
    return f"file://{tmp_path}/kept"


@pytest.fixture(autouse=True)
def outputs(monkeypatch, picture):
    """What links lead to, by link; any other link leads to one picture."""
    known = {}

    def fetch(url, into, **_):
        data = known.get(url.partition("?")[0], picture())
        into.write(data)
        into.seek(0)
        return Downloaded(len(data), hashlib.sha256(data).hexdigest())

    monkeypatch.setattr("airflow_provider_faceswap.archive.store.download", fetch)
    monkeypatch.setattr("airflow_provider_faceswap.archive.link_contents.download", fetch)
    return known


class Instance:
    dag_id, run_id, task_id, map_index, try_number, max_tries = "a_dag", "a_run", "a_task", -1, 1, 0


@pytest.fixture
def another(store):
    """The context of another run."""

    def of(run_id="another", **more):
        instance = Instance()
        vars(instance).update(run_id=run_id, **more)
        return {"ti": instance, "task_state_store": type(store)()}

    return of


@pytest.fixture
def swap(folder):
    def of(**more):
        given = {"target_image": TARGET, "face_image": "https://pictures.test/f.jpg"}
        given |= {"reuse": "archive", "reuse_from": folder, "deferrable": False}
        return GPTunnelFaceSwapOperator(**{"task_id": "swap", **given, **more})

    return of


@pytest.fixture
def keep(folder, another):
    def of(source, **more):
        given = {"task_id": "keep", "source": source, "destination": folder, "thumbnails": False}
        return ArchiveOperator(**{**given, **more}).execute(another("keeping"))

    return of


@pytest.fixture
def bought(vendor, answer, context, swap, keep, clock):
    """Buy and archive once; what the archive returned."""

    def of(**more):
        vendor.will(answer("done", percent=100, result=URL, usage={"total_cost": 15}))
        return keep(swap(**more).execute(context))

    return of


def test_what_was_archived_is_not_bought_again(vendor, bought, swap, another):
    kept = bought()
    result = swap().execute(another())
    assert len(vendor.creates) == 1
    assert result["url"] == kept["uri"]
    assert result["urls"] == [kept["uri"]]
    assert result["reused_from"] == kept["manifest_uri"]
    assert result["cost"] == {"amount": 0.0, "unit": "RUB"}
    assert json.loads(json.dumps(result)) == result


def test_what_was_archived_just_before_the_claim_is_not_bought_again(
    vendor, bought, swap, another, monkeypatch, tmp_path
):
    kept = bought()
    find, keys = Index.find, []

    def find_late(index, key):
        keys.append(key)
        return find(index, key) if len(keys) > 1 else None

    monkeypatch.setattr(Index, "find", find_late)
    assert swap().execute(another())["reused_from"] == kept["manifest_uri"]
    assert len(vendor.creates) == 1
    assert Index(ObjectStoragePath(f"file://{tmp_path}/kept")).claim(keys[0], "a third task", 60) is None


def test_a_result_that_was_bought_looks_as_before(vendor, answer, swap, context, clock):
    vendor.will(answer("done", percent=100, result=URL))
    assert "reused_from" not in swap().execute(context)


def test_the_archive_takes_a_reused_result_and_writes_nothing_again(bought, swap, keep, another, tmp_path):
    kept = bought()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert keep(swap().execute(another())) == kept
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_reused_result_is_copied_into_another_archive(bought, swap, keep, another, tmp_path):
    kept = bought()
    copy = keep(swap().execute(another()), destination=f"file://{tmp_path}/copies", filename="mine.png")
    assert (copy["sha256"], copy["uri"]) == (kept["sha256"], f"file://{tmp_path}/copies/mine.png")
    manifest = json.loads((tmp_path / "copies" / "mine.png.json").read_text())
    assert (manifest["job"]["job_id"], manifest["job"]["cost"]["amount"]) == ("65819c485337280001a609e7", 0)


@pytest.fixture
def replaced(vendor, answer, bought, swap, keep, another, outputs, picture):
    """A reused result whose archived file another job's picture has replaced."""

    def of(destination):
        bought_as = {"destination": destination, "filename": "today.png"}
        vendor.will(answer("done", percent=100, result=URL, job_id="anna"))
        keep(swap().execute(another("bought")), **bought_as)
        reused = swap().execute(another("reused"))
        assert "reused_from" in reused
        outputs[URL] = picture(colour="blue")
        vendor.will(answer("done", percent=100, result=URL, job_id="boris"))
        keep(swap(enhance_face=True).execute(another("other")), **bought_as)
        return reused

    return of


@pytest.mark.parametrize("elsewhere", [True, False], ids=["into another folder", "in its folder"])
@pytest.mark.parametrize("knows_its_hash", [True, False])
def test_a_reused_result_whose_file_was_replaced_meanwhile_is_not_archived(
    replaced, keep, tmp_path, folder, elsewhere, knows_its_hash
):
    reused = replaced(folder)
    if not knows_its_hash:
        del reused["provenance"]["reuse"]
    with pytest.raises(
        ArchiveError,
        match=r"today.png was replaced meanwhile.*not output 1 of gptunnel job anna.*Clear the task",
    ):
        keep(reused, destination=f"file://{tmp_path}/copies" if elsewhere else folder)
    assert not list(tmp_path.glob("copies/*"))


def test_a_file_that_was_replaced_is_bought_again(replaced, vendor, answer, swap, another, folder):
    replaced(folder)
    vendor.will(answer("done", percent=100, result=URL, job_id="anna-again"))
    assert swap().execute(another("cleared"))["job_id"] == "anna-again"


def test_a_reused_result_whose_file_was_archived_again_by_its_job_is_archived(archived, swap, keep, another):
    file, manifest, _ = archived
    reused = swap().execute(another())
    reused["provenance"]["reuse"]["sha256"] = ["0" * 64]
    kept = keep(reused, destination=f"file://{file.parent.parent}/copies")
    assert kept["sha256"] == json.loads(manifest.read_text())["file"]["sha256"]


def test_a_picture_that_changes_between_the_look_and_the_copy_is_not_archived(
    archived, folder, tmp_path, context, picture
):
    file, _, entry = archived
    checked = Index(ObjectStoragePath(folder)).find(entry.parent.name)
    result = result_of_archived(checked, ObjectStoragePath(folder), "RUB")
    [source] = sources_of(result, None)
    file.write_bytes(picture(colour="blue"))
    archive = archive_at(f"file://{tmp_path}/copies", None, run=None)
    with pytest.raises(ArchiveError, match="was replaced meanwhile"):
        archive.keep(source.model_copy(update={"checked": checked[0]}))


def test_a_swap_takes_a_reused_result(vendor, answer, bought, swap, another):
    bought()
    reused = swap().execute(another())
    vendor.will(answer("done", percent=100, result=URL))
    result = swap(target_image=reused, reuse="run", reuse_from=None).execute(another("next"))
    assert vendor.creates[-1]["sourceImage"].startswith("data:image/png;base64,")
    assert result["provenance"]["arguments"]["target_image"] == reused["url"]


def test_a_reused_result_inside_other_arguments_is_a_picture(bought, swap, another, vendor):
    bought()
    reused = swap().execute(another())
    done = {"task_id": "j", "status": "completed", "output": {"image_url": URL}}
    vendor.will({"code": 200, "data": {"url": "https://uploads.test/1.png"}}, {"code": 200, "data": done})
    PiAPITaskOperator(
        task_id="task",
        model="Qubico/flux1-dev",
        task_type="img2img",
        input={"image": reused},
        deferrable=False,
    ).execute(another("next"))
    sent = vendor.creates[-1]["input"]["image"]
    assert sent.startswith(("data:image/png", "https://"))


def test_a_signature_and_the_account_make_no_difference(vendor, bought, swap, another, monkeypatch):
    bought(target_image=f"{TARGET}?X-Amz-Signature=one&X-Amz-Credential=a&X-Amz-Date=b")
    monkeypatch.setenv(
        "AIRFLOW_CONN_OTHER_ACCOUNT",
        json.dumps({"conn_type": "gptunnel", "host": "https://vendor.test", "password": "k"}),
    )
    again = f"{TARGET}?X-Amz-Signature=two&X-Amz-Credential=a&X-Amz-Date=c"
    assert "reused_from" in swap(target_image=again, conn_id="other_account").execute(another())


@pytest.mark.parametrize(
    "more", [{"target_image": "https://pictures.test/other.jpg"}, {"enhance_face": True}]
)
def test_another_request_is_bought(vendor, answer, bought, swap, another, more):
    bought()
    vendor.will(answer("done", percent=100, result=URL, job_id="another-job"))
    assert "reused_from" not in swap(**more).execute(another())


def test_a_webhook_is_no_part_of_the_picture(bought, swap, another):
    bought(webhook="https://hooks.test/one?token=a")
    assert "reused_from" in swap(webhook="https://hooks.test/two").execute(another())


@pytest.fixture
def archived(bought, tmp_path):
    """Buy and archive once; the file, its manifest and the entry."""
    file = tmp_path / "kept" / bought()["uri"].rpartition("/")[2]
    [entry] = (tmp_path / "kept" / FOLDER).rglob("entry")
    return file, file.with_name(f"{file.name}.json"), entry


def changed(path, **parts):
    """Change parts of a file of JSON."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))


@pytest.mark.parametrize(
    "spoil",
    [
        "file gone",
        "file changed",
        "of another request",
        "of another file",
        "of one output of two",
        "without a job",
        "escaping",
        "empty",
        "no object",
        "nested",
        "damaged",
    ],
)
def test_an_entry_is_not_believed_without_its_file(vendor, answer, archived, swap, another, tmp_path, spoil):
    file, manifest, entry = archived
    [copy] = json.loads(entry.read_text())["manifests"]

    def plant(**parts):
        changed(manifest, **parts)
        changed(entry, manifests=[{**copy, **parts}])

    if spoil == "file gone":
        file.unlink()
    elif spoil == "file changed":
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    elif spoil == "of another request":
        plant(request="0" * 64)
    elif spoil == "of another file":
        file.with_name("other.png").write_bytes(file.read_bytes())
        file.with_name("other.png.json").write_bytes(manifest.read_bytes())
        changed(entry, files=["other.png"])
    elif spoil == "of one output of two":
        plant(source={"output": 1, "outputs": 2})
    elif spoil == "without a job":
        plant(job=None)
    elif spoil == "escaping":
        (tmp_path / "other.png").write_bytes(file.read_bytes())
        plant(file={**copy["file"], "uri": f"file://{tmp_path}/other.png"})
        changed(entry, files=["../other.png"])
    else:
        texts = {"empty": b'{"files": []}', "no object": b"[]", "nested": b"[" * 100_000, "damaged": b"\xff{"}
        entry.write_bytes(texts[spoil])
    vendor.will(answer("done", percent=100, result=URL))
    assert "reused_from" not in swap().execute(another())
    assert len(vendor.creates) == 2


def to_folder(path):
    path.unlink()
    path.mkdir()


def planted(manifest, entry, **parts):
    """Change parts of a manifest, and of its copy in the entry."""
    known = json.loads(manifest.read_text())
    changed(manifest, **parts)
    changed(entry, manifests=[{**known, **parts}])


def without_copies(entry, **parts):
    changed(entry, manifests=[], **parts)


NOT_USABLE = {
    "a folder": lambda _file, _manifest, entry: to_folder(entry),
    "of a name that is too long": lambda _file, _manifest, entry: changed(entry, files=["x" * 5000]),
    "of a name below a file": lambda file, _, entry: without_copies(entry, files=[f"{file.name}/x"]),
    "file is a folder": lambda file, _manifest, _entry: to_folder(file),
    "manifest is a folder": lambda _, manifest, entry: (without_copies(entry), to_folder(manifest)),
    "with a job without facts": lambda _, *both: planted(*both, job={}),
    "with an unusable time": lambda _, *both: planted(*both, archived_at="yesterday"),
    "with an unusable unit": lambda _, *both: planted(
        *both, job={"vendor": "v", "kind": "k", "job_id": "j", "cost": {"amount": 1, "unit": {}}}
    ),
    "of a size below zero": lambda _, *both: planted(
        *both,
        file={
            **json.loads(both[0].read_text())["file"],
            "bytes": -1,
            "sha256": hashlib.sha256().hexdigest(),
        },
    ),
}


@pytest.mark.parametrize("spoil", NOT_USABLE.values(), ids=NOT_USABLE)
def test_an_entry_that_is_not_usable_is_bought_again_and_repaired(
    vendor, answer, archived, swap, keep, another, spoil
):
    spoil(*archived)
    vendor.will(answer("done", percent=100, result=URL, job_id="second"))
    result = swap().execute(another())
    assert "reused_from" not in result
    kept = keep(result)
    assert swap().execute(another("third"))["reused_from"] == kept["manifest_uri"]
    assert len(vendor.creates) == 2


@pytest.mark.parametrize(
    "copy",
    [{"archived_at": "yesterday"}, {"job": {}}, {"job": {"submitted_at": "nope"}}, {"file": None}],
    ids=["time", "job", "submission", "file"],
)
def test_a_damaged_copy_does_not_count_if_the_manifest_beside_the_file_fits(
    archived, swap, another, vendor, copy
):
    file, _, entry = archived
    [known] = json.loads(entry.read_text())["manifests"]
    changed(entry, manifests=[{**known, **copy}])
    result = swap().execute(another())
    assert (result["vendor"], result["url"].rpartition("/")[2]) == ("gptunnel", file.name)
    assert len(vendor.creates) == 1


@pytest.mark.parametrize("manifests", [[], [{"file": {}}]], ids=["none", "of another version"])
def test_an_entry_without_usable_copies_is_read_with_the_manifests(
    archived, swap, another, vendor, manifests
):
    file, _, entry = archived
    changed(entry, manifests=manifests)
    assert swap().execute(another())["url"].endswith(file.name)
    assert len(vendor.creates) == 1


def test_a_file_that_was_archived_again_is_known(archived, swap, another, vendor):
    file, manifest, _ = archived
    data = file.read_bytes() + b"more"
    file.write_bytes(data)
    now = {
        **json.loads(manifest.read_text())["file"],
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    changed(manifest, file=now)
    assert swap().execute(another())["url"].endswith(file.name)
    assert len(vendor.creates) == 1


def test_a_file_whose_manifest_is_gone_is_known_and_gets_a_new_one(archived, swap, keep, another, vendor):
    file, manifest, _ = archived
    manifest.unlink()
    keep(swap().execute(another()))
    assert len(vendor.creates) == 1
    assert json.loads(manifest.read_text())["file"]["uri"].endswith(file.name)


def test_a_broken_entry_is_replaced_by_the_next_archive(
    vendor, answer, bought, swap, keep, another, tmp_path
):
    kept = bought()
    (tmp_path / "kept" / kept["uri"].rpartition("/")[2]).unlink()
    vendor.will(answer("done", percent=100, result=URL))
    keep(swap().execute(another()))
    assert "reused_from" in swap().execute(another("third"))


@pytest.mark.parametrize(
    "error", [PermissionError("no"), NotADirectoryError(errno.ENOTDIR, "no"), OSError(errno.EIO, "no")]
)
def test_an_archive_that_cannot_be_read_buys_nothing(vendor, swap, context, clock, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(LocalFileSystem, "cat_file", fail)
    with pytest.raises(FaceSwapError, match=r"could not be searched.*Nothing was bought"):
        swap().execute(context)
    assert not vendor.requests


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "no"), ValueError("what the storage said is no JSON"), PermissionError("no")]
)
def test_an_archived_file_that_cannot_be_read_now_is_not_bought_again(
    vendor, archived, swap, another, monkeypatch, error
):
    file, _, _ = archived
    read = LocalFileSystem.cat_file

    def fail(self, path, *args, **more):
        if path.endswith(file.name):
            raise error
        return read(self, path, *args, **more)

    monkeypatch.setattr(LocalFileSystem, "cat_file", fail)
    with pytest.raises(FaceSwapError, match=r"could not be searched.*Nothing was bought"):
        swap().execute(another())
    assert len(vendor.creates) == 1


def test_of_two_runs_at_a_time_one_buys(vendor, answer, context, clock, swap, another, keep, monkeypatch):
    vendor.will(answer("idle"))
    with pytest.raises(TaskDeferred):
        swap(deferrable=True).execute(context)
    with pytest.raises(
        FaceSwapError, match=r"a_dag/a_run/a_task is making the same picture.*Nothing was bought"
    ):
        swap(timeout=60).execute(another())
    assert len(vendor.creates) == 1
    clock.time += 10_000
    vendor.will(answer("done", percent=100, result=URL, job_id="second"))
    swap(timeout=60).execute(another())
    assert len(vendor.creates) == 2, "the lease has ended"


def test_who_waits_gets_the_picture_when_it_is_archived(vendor, answer, context, clock, swap, another, keep):
    vendor.will(answer("done", percent=100, result=URL))
    first = swap().execute(context)
    sleep = clock.sleep

    def archived_meanwhile(seconds):
        sleep(seconds)
        keep(first)

    clock.sleep = archived_meanwhile
    assert "reused_from" in swap().execute(another())
    assert len(vendor.creates) == 1


def test_a_retry_goes_on_under_its_own_claim(vendor, answer, context, clock, swap):
    vendor.will(httpx.Response(503, json={}), httpx.Response(503, json={}), httpx.Response(503, json={}))
    with pytest.raises(FaceSwapError):
        swap().execute(context)
    vendor.will(answer("done", percent=100, result=URL))
    assert swap().execute(context)["url"] == URL


@pytest.mark.parametrize("ending", ["refused", "failed"])
def test_who_gets_no_picture_gives_its_claim_back(vendor, answer, context, clock, swap, another, ending):
    refused = httpx.Response(402, json={"error": {"message": "no money"}})
    vendor.will(refused if ending == "refused" else answer("failed", error="it broke"))
    with pytest.raises((InsufficientBalanceError, JobFailedError)):
        swap().execute(context)
    vendor.will(answer("done", percent=100, result=URL, job_id="second"))
    assert swap().execute(another())["url"] == URL


def test_a_job_with_several_outputs_is_reused_whole_or_not_at_all(
    vendor, context, clock, folder, another, keep
):
    def task():
        return PiAPITaskOperator(
            task_id="task",
            model="m",
            task_type="t",
            input={"prompt": "a cat"},
            deferrable=False,
            reuse="archive",
            reuse_from=folder,
        )

    urls = ["https://storage.test/1.png", "https://storage.test/2.png"]
    done = {"code": 200, "data": {"task_id": "j", "status": "completed", "output": {"image_urls": urls}}}
    vendor.will(done)
    first = task().execute(context)
    kept = keep(first)
    result = task().execute(another())
    assert result["urls"] == [file["uri"] for file in kept]
    assert len(vendor.creates) == 1


def test_a_cleared_task_whose_result_is_gone_takes_the_archived_one(vendor, bought, swap, context, clock):
    kept = bought()
    clock.time += 40 * 86_400
    context["ti"].max_tries = 1
    assert swap().execute(context)["url"] == kept["uri"]


def test_a_cleared_task_buys_anew_if_that_is_asked(vendor, answer, bought, swap, context, clock):
    bought()
    context["ti"].max_tries = 1
    vendor.will(answer("done", percent=100, result=URL, job_id="second"))
    assert swap(on_clear="resubmit").execute(context)["url"] == URL


def test_what_was_bought_anew_is_reused_from_then_on(
    vendor, answer, bought, swap, keep, another, context, clock
):
    vendor.will(answer("done", percent=100, result=URL))
    first = swap().execute(context)
    keep(first)
    context["ti"].max_tries = 1
    clock.time += 60
    vendor.will(answer("done", percent=100, result=URL, job_id="second"))
    kept = keep(swap(on_clear="resubmit").execute(context))
    assert swap().execute(another())["url"] == kept["uri"]
    keep(first)
    assert swap().execute(another("last"))["url"] == kept["uri"], "an older job was archived again"


def test_the_entry_is_in_the_folder_that_is_searched_even_if_pictures_are_below_it(
    bought, vendor, answer, context, swap, keep, another, folder
):
    vendor.will(answer("done", percent=100, result=URL))
    kept = keep(swap().execute(context), destination=f"{folder}/2027-01-01")
    assert swap().execute(another())["url"] == kept["uri"]


@pytest.mark.parametrize("searched", ["kept/below", "elsewhere"])
def test_a_picture_that_is_archived_where_its_task_does_not_search_keeps_nobody_waiting(
    vendor, answer, context, clock, swap, keep, another, tmp_path, searched
):
    searched = f"file://{tmp_path}/{searched}"
    vendor.will(answer("done", percent=100, result=URL))
    bought = swap(reuse_from=searched).execute(context)
    with capture_logs() as logged:
        keep(bought)
    assert f"{searched}, which reuse_from names, will not have these pictures" in str(logged)
    vendor.will(answer("done", percent=100, result=URL, job_id="second"))
    swap(reuse_from=searched).execute(another())
    assert len(vendor.creates) == 2


def test_pictures_that_pass_through_here_count_by_content(vendor, answer, bought, swap, another, picture):
    bought(target_image=Image(picture()))
    assert "reused_from" in swap(target_image=Image(picture())).execute(another())


def test_links_count_by_content_if_that_is_asked(vendor, answer, bought, swap, another, outputs, picture):
    other = "https://elsewhere.test/same.jpg"
    outputs[TARGET] = outputs[other] = picture(colour="red")
    bought(reuse_links="content")
    assert "reused_from" in swap(reuse_links="content", target_image=other).execute(another())
    outputs[TARGET] = picture(colour="blue")
    vendor.will(answer("done", percent=100, result=URL, job_id="second"))
    assert "reused_from" not in swap(reuse_links="content").execute(another("third"))


def test_any_of_several_connections_may_have_made_it(vendor, answer, context, folder, another, keep, clock):
    def first_of(*conn_ids):
        return FaceSwapOperator(
            task_id="swap",
            target_image=TARGET,
            face_image="https://pictures.test/f.jpg",
            conn_ids=list(conn_ids),
            deferrable=False,
            reuse="archive",
            reuse_from=folder,
        )

    vendor.will(answer("done", percent=100, result=URL))
    keep(first_of("gptunnel_default").execute(context))
    assert "reused_from" in first_of("piapi_default", "gptunnel_default").execute(another())
    assert len(vendor.creates) == 1


def test_any_of_several_connections_may_have_generated_it(vendor, context, folder, another, keep, clock):
    def first_of(*conn_ids):
        return ImageOperator(
            task_id="image",
            prompt="a gardener",
            conn_ids=list(conn_ids),
            deferrable=False,
            reuse="archive",
            reuse_from=folder,
        )

    done = {"task_id": "p1", "status": "completed", "output": {"image_url": URL}}
    vendor.will(httpx.Response(402, json={"error": {"message": "no money"}}), {"code": 200, "data": done})
    keep(first_of("gptunnel_default", "piapi_default").execute(context))
    result = first_of("gptunnel_default", "piapi_default").execute(another())
    assert (result["vendor"], "reused_from" in result) == ("piapi", True)
    assert len(vendor.creates) == 2


def test_a_folder_that_no_later_task_could_read_is_refused(vendor, swap, context, clock, monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_LOCAL_PATHS", "/data/elsewhere")
    with pytest.raises(InvalidRequestError, match=r"reuse_from.*allowed_local_paths.*Nothing was bought"):
        swap().execute(context)
    assert not vendor.requests


@pytest.mark.parametrize(
    "wrong", [{"reuse_from": None}, {"reuse": "always"}, {"reuse_from": "relative/path"}]
)
def test_a_wrong_argument_is_found_when_the_dag_is_parsed(swap, wrong):
    with pytest.raises(InvalidRequestError, match="reuse"):
        swap(**wrong)


def test_claims_are_one_at_a_time_and_end(folder, clock):
    index = Index(ObjectStoragePath(folder))
    assert index.claim("k" * 64, "one", 100) is None
    assert index.claim("k" * 64, "two", 100) == "one"
    assert index.claim("k" * 64, "one", 100) is None
    clock.time += 101
    assert index.claim("k" * 64, "two", 100) is None
    assert index.claim("k" * 64, "three", 100) == "two"
    index.release("k" * 64, "two")


KEY = "k" * 64


@pytest.fixture
def claim(folder, tmp_path):
    """Plant a claim with this content; the index."""

    def of(content, number=1):
        path = tmp_path / "kept" / FOLDER / KEY[:2] / KEY / f"claim-{number:04d}"
        path.parent.mkdir(parents=True)
        if content is None:
            path.mkdir()
        else:
            path.write_text(content)
        return Index(ObjectStoragePath(folder))

    return of


DAMAGED = {
    "infinite": '{"owner": "x", "until": Infinity}',
    "huge": '{"owner": "x", "until": 1' + "0" * 400 + "}",
    "no time": '{"owner": "x", "until": NaN}',
    "nested": "[" * 100_000,
    "empty": "",
    "no owner": '{"until": 99999999999}',
    "after any job": '{"owner": "x", "until": 99999999999}',
    "a folder": None,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_claim_that_no_task_can_have_written_has_ended(claim, clock, content):
    index = claim(content)
    assert index.claim(KEY, "one", 100) is None
    assert index.claim(KEY, "two", 100) == "one"


def test_no_claim_is_longer_than_others_believe(folder, clock):
    index = Index(ObjectStoragePath(folder))
    assert index.claim(KEY, "one", 365 * 86_400) is None
    clock.time -= 60
    assert index.claim(KEY, "two", 100) == "one"
