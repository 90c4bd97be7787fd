"""Writing to S3: whole or not at all, with a real server on the other side."""

from __future__ import annotations

import gc
import io
import json
import traceback

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import ObjectStoragePath
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from structlog.testing import capture_logs

from airflow_provider_faceswap.batch.items import Items
from airflow_provider_faceswap.exceptions import ArchiveError, FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.storage.files import PART, write
from airflow_provider_faceswap.storage.object_records import ObjectRecords
from tests.integration.conftest import HastyClock
from tests.sizes import spread
from tests.storage.conftest import ACCESS_KEY, SECRET_KEY

pytestmark = pytest.mark.program


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Jobs are not waited for in real time."""
    monkeypatch.setattr(CLOCK, "source", HastyClock())


MANY = 2 * PART + 12_345


def some(size):
    return (bytes(range(256)) * (size // 256 + 1))[:size]


class Breaking(io.BytesIO):
    """Breaks off after so many bytes."""

    def __init__(self, data, error) -> None:
        super().__init__(data)
        self.error = error

    def read(self, size=-1):
        if found := super().read(size):
            return found
        raise self.error


@pytest.mark.parametrize("size", [0, 1, 300_000, PART - 1])
def test_a_small_file_goes_in_one_request(bucket, door, size):
    write(bucket.path("deep/pic.png"), io.BytesIO(some(size)))
    assert bucket.get("deep/pic.png") == some(size)
    assert door.counted == {"put_object": 1}
    assert bucket.parts("deep/pic.png") == 0


def test_a_large_file_goes_in_parts(bucket, door):
    write(bucket.path("video.mp4"), io.BytesIO(some(MANY)))
    assert bucket.get("video.mp4") == some(MANY)
    assert bucket.parts("video.mp4") == 3
    assert door.counted == {
        "create_multipart_upload": 1,
        "upload_part": 3,
        "complete_multipart_upload": 1,
    }
    assert bucket.dangling == []


BREAKS = [
    ("put_object", 1000),
    ("create_multipart_upload", MANY),
    ("upload_part", MANY),
    ("complete_multipart_upload", MANY),
]


@pytest.mark.parametrize(
    ("broken", "how", "before"), spread(BREAKS, ["cut", 403, 500], [None, b"the old one"])
)
def test_a_broken_upload_leaves_what_was_there(bucket, door, broken, how, before):
    operation, size = broken
    if before:
        bucket.put("pic.png", before)
    door.breaks(operation, how, after=operation == "upload_part")
    with pytest.raises(Exception):  # noqa: B017, PT011 - the storage's own; the archive gives it a name
        write(bucket.path("pic.png"), io.BytesIO(some(size)))
    assert operation in door.seen
    door.rules.clear()
    gc.collect()
    assert bucket.keys == (["pic.png"] if before else [])
    assert not before or bucket.get("pic.png") == before
    assert bucket.dangling == []


@pytest.mark.parametrize(
    ("size", "error"), spread([1000, PART + 1000, MANY], [OSError, KeyboardInterrupt, SystemExit])
)
def test_an_error_in_the_middle_of_writing_leaves_nothing(bucket, error, size):
    with pytest.raises(error):
        write(bucket.path("pic.png"), Breaking(some(size), error))
    gc.collect()
    assert bucket.keys == []
    assert bucket.dangling == []


def test_the_first_error_is_the_one_that_is_told(bucket, door):
    door.breaks("upload_part", 403)
    door.breaks("abort_multipart_upload", 500)
    with pytest.raises(PermissionError):
        write(bucket.path("video.mp4"), io.BytesIO(some(MANY)))
    assert bucket.keys == []


def test_a_store_that_cannot_discard_is_sent_nothing_afterwards():
    """Some stores leave ``discard`` as it is, and a file's finalizer closes it."""
    sent = []

    class File(AbstractBufferedFile):
        def _upload_chunk(self, final=False):
            sent.append(self.buffer.getvalue())

    class Store(AbstractFileSystem):
        cachable = False
        async_impl = True

        def _open(self, path, mode="rb", block_size=None, autocommit=True, **options):
            return File(self, path, mode, block_size, autocommit)

    class Path:
        protocol, path, fs = "abfs", "pictures/pic.png", Store()

    with pytest.raises(OSError, match="cut"):
        write(Path(), Breaking(b"half", OSError("cut")))
    gc.collect()
    assert sent == []
    write(Path(), io.BytesIO(b"whole"))
    assert sent == [b"whole"]


def test_files_are_not_held_once_they_are_written(bucket):
    """A filesystem keeps every file that waits for its commit, for a transaction that nobody ends."""
    for number in range(3):
        write(bucket.path(f"{number}.png"), io.BytesIO(b"whole"))
    assert not bucket.path("").fs.transaction.files


# -- the archive --------------------------------------------------------------------------------------


@pytest.fixture
def keep(bucket, context):
    """Run an archive task into the bucket."""

    def run(source, **more):
        options = {"destination": f"{bucket.uri}/kept", **more}
        return ArchiveOperator(task_id="keep", source=source, thumbnails=False, **options).execute(context)

    return run


NAME = "kept/gptunnel-face_swap-65819c48.png"


def test_a_picture_and_its_manifest_are_kept(bucket, door, keep, web, made, picture):
    web.will(picture())
    told = keep(made())
    assert door.seen == ["get_object", "put_object", "put_object"], (
        "the manifest is looked for, and nothing else"
    )
    assert bucket.keys == [NAME, f"{NAME}.json"]
    assert bucket.get(NAME) == picture()
    manifest = json.loads(bucket.get(f"{NAME}.json"))
    assert manifest["file"] == told
    assert told["uri"] == f"{bucket.uri}/{NAME}"
    assert ObjectStoragePath(told["uri"]).read_bytes() == picture()
    assert "SECRET" not in json.dumps(manifest)


def test_the_connection_may_be_an_argument_of_its_own(bucket, keep, web, made, picture):
    web.will(picture())
    told = keep(
        made(),
        destination=f"s3://{bucket.name}/{{{{ ds }}}}",
        destination_conn_id=bucket.conn_id,
        filename="pic",
    )
    assert bucket.keys == ["{{ ds }}/pic.png", "{{ ds }}/pic.png.json"]
    assert ObjectStoragePath(told["uri"]).read_bytes() == picture()


def test_a_video_of_several_parts_is_kept(bucket, door, keep, web, made, monkeypatch):
    data = b"\0\0\0\x20ftypisom" + some(MANY)
    web.will(data)
    told = keep(made(kind="video"))
    key = "kept/gptunnel-video-65819c48.mp4"
    assert (told["media_type"], told["bytes"]) == ("video/mp4", len(data))
    assert bucket.parts(key) == 3
    assert bucket.get(key) == data
    assert bucket.dangling == []


def test_replace_writes_both_anew(bucket, keep, web, made, picture):
    web.will(picture(), picture(colour="red"))
    keep(made())
    told = keep(made(), overwrite="replace")
    assert bucket.get(NAME) == picture(colour="red")
    assert json.loads(bucket.get(f"{NAME}.json"))["file"] == told


def test_a_picture_never_stands_beside_the_manifest_of_another(bucket, door, keep, web, made, picture):
    web.will(picture(), picture(colour="red"))
    keep(made(), filename="pic")
    door.breaks("put_object", 403, after=1)
    with pytest.raises(ArchiveError):
        keep(made(job_id="another"), filename="pic")
    assert bucket.keys == ["kept/pic.png"]
    assert bucket.get("kept/pic.png") == picture(colour="red")


@pytest.mark.parametrize("refused", ["get_object", "delete_object"])
def test_a_bucket_that_may_only_be_written_to_gets_the_picture(
    bucket, door, keep, web, made, picture, refused
):
    web.will(picture(), picture(colour="red"))
    keep(made(), filename="pic")
    door.breaks(refused, 403)
    told = keep(made(job_id="another"), filename="pic")
    door.rules.clear()
    assert bucket.get("kept/pic.png") == picture(colour="red")
    assert json.loads(bucket.get("kept/pic.png.json"))["file"] == told


def test_error_is_not_for_the_very_picture_that_an_earlier_try_has_kept(
    bucket, door, keep, web, made, picture, context, monkeypatch
):
    web.will(picture(), picture())
    first = keep(made(), overwrite="error")
    monkeypatch.setattr(context["ti"], "try_number", 2)
    assert keep(made(), overwrite="error") == first
    assert door.counted["put_object"] == 2


def test_skip_leaves_both_and_tells_what_is_there(bucket, door, keep, web, made, picture):
    web.will(picture(), picture(colour="red"))
    first = keep(made())
    assert keep(made(), overwrite="skip") == first
    assert bucket.get(NAME) == picture()
    assert door.counted["put_object"] == 2


def test_error_leaves_both_and_says_so(bucket, keep, web, made, picture):
    web.will(picture(), picture(colour="red"))
    keep(made(), overwrite="error")
    with pytest.raises(ArchiveError, match=r"already exists.*overwrite='replace' or 'skip'"):
        keep(made(), overwrite="error")
    assert bucket.get(NAME) == picture()


@pytest.mark.parametrize("overwrite", ["error", "skip", "replace"])
def test_a_retry_finishes_what_broke_between_picture_and_manifest(
    bucket, door, keep, web, made, picture, overwrite
):
    web.will(picture(), picture())
    door.breaks("put_object", 403, after=1)
    with pytest.raises(ArchiveError):
        keep(made(), overwrite=overwrite)
    assert bucket.keys == [NAME], "the picture is whole, and has no manifest"
    door.rules.clear()
    told = keep(made(), overwrite=overwrite)
    assert bucket.get(NAME) == picture()
    assert json.loads(bucket.get(f"{NAME}.json"))["file"] == told


@pytest.mark.parametrize(
    ("operation", "how"), [("put_object", "cut"), ("upload_part", 500), ("upload_part", 403)]
)
def test_a_broken_upload_leaves_neither_picture_nor_manifest(
    bucket, door, keep, web, made, picture, operation, how
):
    data = picture() if operation == "put_object" else b"\0\0\0\x20ftypisom" + some(MANY)
    web.will(data)
    door.breaks(operation, how, after=operation == "upload_part")
    with pytest.raises(ArchiveError, match=r"could not be written .*job 65819c48"):
        keep(made())
    assert operation in door.seen
    door.rules.clear()
    gc.collect()
    assert bucket.keys == []
    assert bucket.dangling == []


def test_one_that_cannot_be_written_stops_none_of_the_others(
    bucket, door, keep, web, made, picture, monkeypatch
):
    monkeypatch.setattr("airflow_provider_faceswap.operators.archive.CONCURRENCY", 1)
    web.will(picture(), picture(), picture())
    door.breaks("put_object", 403, after=4)
    with capture_logs() as logs, pytest.raises(ArchiveError):
        keep([made(job_id=name) for name in ("one", "two", "three")])
    kept = [f"kept/gptunnel-face_swap-{name}.png" for name in ("one", "two")]
    assert bucket.keys == [key for name in kept for key in (name, f"{name}.json")]
    assert "could not be archived; the others are in place" in str(logs)


# -- secrets ------------------------------------------------------------------------------------------


def told_of(error):
    return "".join(traceback.format_exception(error))


TROUBLES = {
    "the key is refused": lambda door, bucket: door.breaks("put_object", 403),
    "nobody is there": lambda door, bucket: door.breaks("put_object", "cut"),
    "the bucket is gone": lambda door, bucket: bucket.s3.delete_bucket(Bucket=bucket.name),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_credential_is_in_an_error_or_a_log(
    bucket, door, keep, web, made, picture, trouble, caplog, capsys
):
    web.will(picture())
    TROUBLES[trouble](door, bucket)
    caplog.set_level("INFO")
    with capture_logs() as logs, pytest.raises(ArchiveError) as caught:
        keep(made())
    told = told_of(caught.value) + str(logs) + caplog.text + str(capsys.readouterr())
    assert bucket.name in told
    for secret in (ACCESS_KEY, SECRET_KEY, "sig=SECRET"):
        assert secret not in told


def test_an_address_where_nobody_listens_is_an_archive_error(connection, context, web, made, picture):
    web.will(picture())
    conn_id = connection("http://127.0.0.1:9")
    task = ArchiveOperator(task_id="keep", source=made(), destination=f"s3://{conn_id}@nowhere/kept")
    with pytest.raises(
        ArchiveError, match=r"s3://.*nowhere/kept/.* could not be written .*127\.0\.0\.1:9"
    ) as caught:
        task.execute(context)
    assert SECRET_KEY not in told_of(caught.value)


# -- the ledger ---------------------------------------------------------------------------------------


def test_records_are_written_and_read_again(bucket, door, context):
    records = ObjectRecords.of(f"{bucket.uri}/ledger", context["ti"])
    assert records.get("job", "none") == "none"
    records.set("job", {"stage": "intent"})
    records.set("job", {"stage": "submitted"})
    assert ObjectRecords.of(f"{bucket.uri}/ledger", context["ti"]).get("job") == {"stage": "submitted"}
    assert door.counted["put_object"] == 2, "a record is one request"


@pytest.mark.parametrize("how", [403, 500, "cut"])
def test_a_record_that_cannot_be_read_is_not_an_absent_one(bucket, door, context, how):
    records = ObjectRecords.of(f"{bucket.uri}/ledger", context["ti"])
    records.set("job", {"stage": "intent"})
    door.seen.clear()
    assert records.get("job") == {"stage": "intent"}
    assert door.seen == ["get_object"], "no other request can fail"
    door.breaks("get_object", how)
    with pytest.raises(Exception, match=r".") as caught:
        records.get("job", "none")
    assert not isinstance(caught.value, FileNotFoundError)


@pytest.fixture
def swap(sandbox, store, monkeypatch):
    """Run a face swap on an Airflow without a task state store."""

    def run(bucket, **more):
        monkeypatch.setenv("AIRFLOW__FACESWAP__LEDGER_URI", f"{bucket.uri}/ledger")
        pictures = {
            "target_image": f"{sandbox.url}/samples/emil.png",
            "face_image": f"{sandbox.url}/samples/anna.jpg",
        }
        task = GPTunnelFaceSwapOperator(task_id="swap", **pictures, **more)
        instance = type("Instance", (), {**INSTANCE})()
        return task.execute({"ti": instance})

    return run


INSTANCE = {
    "dag_id": "a_dag",
    "run_id": "manual__2026-11-21T10:00:00+00:00",
    "task_id": "swap",
    "map_index": -1,
    "try_number": 1,
    "max_tries": 0,
}


def creates(sandbox):
    return httpx.get(f"{sandbox.url}/sandbox/ledger").json()["creates"]


def test_a_retry_pays_nothing_where_the_ledger_is_in_a_bucket(sandbox, bucket, swap):
    first = swap(bucket)
    again = swap(bucket)
    assert (first["job_id"], again["attempt_reused"]) == (again["job_id"], True)
    assert creates(sandbox) == 1
    [key] = bucket.keys
    assert key.startswith(
        "ledger/dag_id=a_dag/run_id=manual__2026-11-21T10%3A00%3A00%2B00%3A00/task_id=swap/"
    )


@pytest.mark.parametrize("operation", ["put_object", "get_object"])
def test_nothing_is_bought_while_the_ledger_cannot_be_reached(sandbox, bucket, door, swap, operation):
    door.breaks(operation, 403)
    with pytest.raises(
        FaceSwapError, match=r"record .* could not be .*This attempt bought nothing"
    ) as caught:
        swap(bucket)
    assert creates(sandbox) == 0
    assert SECRET_KEY not in told_of(caught.value)


# -- batches ------------------------------------------------------------------------------------------


def parquet(rows):
    import pyarrow as pa
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


FORMS = {
    "jsonl": lambda rows: "\n".join(json.dumps(row) for row in rows).encode(),
    "parquet": parquet,
    "csv": lambda rows: "\n".join(
        [",".join(rows[0]), *(",".join(str(cell) for cell in row.values()) for row in rows)]
    ).encode(),
}


@pytest.fixture
def rows(sandbox):
    return [
        {
            "target_image": f"{sandbox.url}/samples/emil.png",
            "face_image": f"{sandbox.url}/samples/anna.jpg?n={number}",
        }
        for number in range(5)
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_reads_its_items_from_a_bucket_and_keeps_its_pictures_there(
    sandbox, bucket, context, rows, form
):
    bucket.put(f"items/swaps.{form}", FORMS[form](rows))
    summary = FaceSwapBatchOperator(
        task_id="swaps",
        conn_id="gptunnel_default",
        items=f"{bucket.uri}/items/swaps.{form}",
        destination=f"{bucket.uri}/kept",
        thumbnails=False,
        concurrency=3,
    ).execute(context)
    assert (summary["total"], summary["archived"], summary["cost"]) == (5, 5, {"RUB": 75.0})
    pictures = [key for key in bucket.keys if key.endswith(".png")]
    assert len(pictures) == 5
    assert {f"{key}.json" for key in pictures} < set(bucket.keys)
    lines = ObjectStoragePath(summary["manifest_uri"]).read_text().splitlines()
    assert sorted(json.loads(line)["files"][0]["uri"] for line in lines) == [
        f"{bucket.uri}/{key}" for key in pictures
    ]
    assert bucket.dangling == []


def test_a_batch_tells_which_pictures_could_not_be_written(sandbox, bucket, door, context, rows):
    bucket.put("items.jsonl", FORMS["jsonl"](rows))
    door.breaks("put_object", 403, after=2)
    task = FaceSwapBatchOperator(
        task_id="swaps",
        conn_id="gptunnel_default",
        items=f"{bucket.uri}/items.jsonl",
        destination=f"{bucket.uri}/kept",
        thumbnails=False,
        concurrency=1,
        fail_on="all",
    )
    with pytest.raises(ArchiveError, match=r"batch's manifest .* could not be written \(PermissionError"):
        task.execute(context)
    assert len([key for key in bucket.keys if key.endswith(".png")]) == 1
    assert creates(sandbox) == 5


def test_columns_of_a_parquet_file_keep_their_types_and_empty_cells_are_not_set(bucket):
    wanted = [
        {
            "target_image": "https://p.test/1.png",
            "face_image": "https://p.test/f.png",
            "seed": 7,
            "faces": [0, 1],
        },
        {"target_image": "https://p.test/2.png", "face_image": "https://p.test/f.png"},
    ]
    bucket.put("items.parquet", parquet([wanted[0], {**wanted[1], "seed": None, "faces": None}]))
    items = Items(f"{bucket.uri}/items.parquet")
    assert [item.columns for item in items] == wanted
    assert [item.columns for item in items] == wanted, "a file may be gone through again"


def test_a_large_parquet_file_is_read_in_parts(bucket, monkeypatch):
    rows = [{"target_image": f"https://p.test/{number}.png"} for number in range(2000)]
    bucket.put("items.parquet", parquet(rows))
    assert [item.columns for item in Items(f"{bucket.uri}/items.parquet")] == rows


@pytest.mark.parametrize("data", [b"", b"no parquet", b"PAR1" + bytes(50)], ids=["empty", "other", "cut off"])
def test_a_damaged_parquet_file_is_a_wrong_argument(bucket, data):
    bucket.put("items.parquet", data)
    with pytest.raises(InvalidRequestError, match="the file could not be read"):
        list(Items(f"{bucket.uri}/items.parquet"))


@pytest.mark.parametrize("name", ["gone.jsonl", "gone.parquet", "gone.csv"])
def test_a_file_that_is_not_there_is_a_wrong_argument(bucket, name):
    with pytest.raises(InvalidRequestError, match=r"the file could not be read \(FileNotFoundError"):
        list(Items(f"{bucket.uri}/{name}"))


@pytest.mark.parametrize(("how", "form"), spread([403, 500, "cut"], list(FORMS)))
def test_items_that_cannot_be_read_now_may_be_read_by_a_retry(bucket, door, rows, form, how):
    bucket.put(f"items.{form}", FORMS[form](rows))
    door.breaks("get_object", how)
    with pytest.raises(FaceSwapError, match="the file could not be read") as caught:
        list(Items(f"{bucket.uri}/items.{form}"))
    assert not isinstance(caught.value, AirflowFailException)
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert secret not in told_of(caught.value)
