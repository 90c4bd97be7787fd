"""What is told of where pictures come from and go to: asset events, hook lineage, OpenLineage."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.openlineage.utils.utils import translate_airflow_asset
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.utils.state import TaskInstanceState
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.serde import Serde

try:
    from airflow.sdk import lineage
except ImportError:  # below Airflow 3.2
    from airflow.lineage import hook as lineage

from airflow_provider_faceswap.archive.manifest import Archived
from airflow_provider_faceswap.archive.sources import parse_sources
from airflow_provider_faceswap.exceptions import JobFailedError, NotAnImageError
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator, GPTunnelImagineOperator
from airflow_provider_faceswap.sensors.job import JobSensor
from airflow_provider_faceswap.storage.files import write
from airflow_provider_faceswap.storage.places import place_of
from airflow_provider_faceswap.telemetry.lineage import (
    MAX_LISTED,
    LineageRecord,
    Output,
    archive_event,
    archive_lineage,
    batch_lineage,
    collect,
    job_lineage,
)
from airflow_provider_faceswap.telemetry.openlineage import PRODUCER, SCHEMA_URL, facets

pytestmark = pytest.mark.usefixtures("alone")

TARGET = "https://pictures.test/target.jpg?sig=SECRET"
FACE = "https://me:SECRET@pictures.test/face.jpg#SECRET"
DONE_URL = "https://results.test/out.png?sig=SECRET"


# -- places -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("https://files.test/out/pic.png?sig=SECRET#SECRET", "https://files.test/out/pic.png"),
        ("https://me:SECRET@files.test/pic.png", "https://files.test/pic.png"),
        ("s3://aws_default@bucket/swaps/pic.png", "s3://bucket/swaps/pic.png"),
        ("s3a://bucket/pic.png", "s3://bucket/pic.png"),
        ("gcs://google@bucket/pic.png", "gs://bucket/pic.png"),
        ("s3://bucket/what? #1@2.png", "s3://bucket/what? #1@2.png"),
        ("abfs://azure@container/pic.png", "abfs://container/pic.png"),
        ("file:///data/pic.png", "file:///data/pic.png"),
        ("local:///data/pic.png", "file:///data/pic.png"),
        ("/data/pic.png", "file:///data/pic.png"),
    ],
)
def test_a_dataset_is_named_by_its_place_alone(uri, place):
    assert place_of(uri) == place


@pytest.mark.parametrize("place", ["s3://bucket/swaps/pic.png", "s3://bucket", "file:///data/swaps/pic.png"])
def test_a_dataset_has_the_name_that_airflow_gives_its_asset(place):
    [dataset] = facets(LineageRecord(inputs=(place,))).inputs
    airflows = translate_airflow_asset(Asset(uri=place), None)
    assert (dataset.namespace, dataset.name) == (airflows.namespace, airflows.name)


def test_a_link_is_a_dataset_of_its_host():
    [dataset] = facets(LineageRecord(inputs=("https://files.test/out/pic.png",))).inputs
    assert (dataset.namespace, dataset.name) == ("https://files.test", "out/pic.png")


# -- what a task took and made ------------------------------------------------------------------------


def test_a_job_takes_its_pictures_and_makes_its_links(made):
    record = job_lineage(made(links=2), {"target_image": TARGET, "face_image": FACE, "denoising": 0.4})
    assert record.inputs == ("https://pictures.test/target.jpg", "https://pictures.test/face.jpg")
    assert [output.place for output in record.outputs] == [
        "https://files.test/65819c48-0.png",
        "https://files.test/65819c48-1.png",
    ]
    assert (record.total, record.cost) == (1, {"RUB": 15.0})


def test_what_another_job_made_is_an_input(made):
    record = job_lineage(made(job_id="second"), {"target_image": made(job_id="first"), "face_image": FACE})
    assert record.inputs[0] == "https://files.test/first-0.png"
    assert record.inputs[0] == job_lineage(made(job_id="first"), {}).outputs[0].place


def test_a_stored_picture_is_an_input_and_inline_bytes_a_prompt_and_a_webhook_are_not(made):
    arguments = {
        "images": ["s3://aws_default@bucket/a face.png", "data:image/png;base64,AAAA"],
        "prompt": "https://pictures.test/king.png as a king, see https://pictures.test",
        "webhook": "https://hooks.test/SECRET",
    }
    assert job_lineage(made(), arguments).inputs == ("s3://bucket/a face.png",)


def test_a_job_that_failed_tells_what_it_took():
    record = job_lineage(None, {"target_image": TARGET})
    assert record == LineageRecord(inputs=("https://pictures.test/target.jpg",))


def test_a_job_of_several_pictures_is_paid_once(made):
    sources, _ = parse_sources(made(links=4), unwanted)
    record = archive_lineage(sources, [kept(n) for n in range(4)], "s3://bucket/kept")
    assert (record.total, record.cost, len(record.outputs), len(record.jobs)) == (1, {"RUB": 15.0}, 4, 1)


def unwanted(*_):
    raise AssertionError("the result has a link")


def kept(number, size=1000):
    name = f"s3://aws_default@bucket/kept/{number}.png"
    return Archived(
        uri=name,
        manifest_uri=f"{name}.json",
        media_type="image/png",
        bytes=size,
        sha256=f"{number:064x}",
        width=1,
        height=1,
    )


@pytest.fixture
def thousand(made):
    sources, _ = parse_sources([made(job_id=f"j{n}") for n in range(1000)], unwanted)
    return sources, [kept(n) for n in range(1000)]


def test_a_thousand_files_are_the_folder_that_holds_them(thousand):
    record = archive_lineage(*thousand, ObjectStoragePath("s3://aws_default@bucket/kept"))
    assert record.outputs == (Output("s3://bucket/kept", 1_000_000, 1000),)
    assert (len(record.inputs), len(record.jobs)) == (MAX_LISTED, MAX_LISTED)
    assert (record.total, record.cost) == (1000, {"RUB": 15_000.0})
    assert len(event(facets(record))) < 20_000


def test_a_batch_takes_its_file_or_its_pictures(tmp_path):
    summary = {
        "manifest_uri": "s3://c@b/kept/batch-a.jsonl",
        "archived": 3,
        "total": 4,
        "cost": {"RUB": 45.0},
    }
    items = [
        {"target_image": TARGET, "face_image": f"https://p.test/{n}.png?sig=SECRET"} for n in range(1000)
    ]
    record = batch_lineage(summary, "s3://aws_default@bucket/swaps.jsonl", "s3://c@b/kept")
    assert record.inputs == ("s3://bucket/swaps.jsonl",)
    assert record.outputs == (Output("s3://b/kept", None, 3), Output("s3://b/kept/batch-a.jsonl", None, 1))
    assert (record.jobs, record.total, record.cost) == ((), 4, {"RUB": 45.0})
    assert len(batch_lineage(summary, items, "s3://c@b/kept").inputs) == MAX_LISTED
    assert batch_lineage(None, ObjectStoragePath(f"file://{tmp_path}/a.csv"), "") == LineageRecord(
        inputs=(f"file://{tmp_path}/a.csv",)
    )


def test_a_lazy_sequence_is_not_asked_for():
    class Lazy:
        def __iter__(self):
            raise AssertionError("it would ask Airflow")

    assert batch_lineage(None, Lazy(), "").inputs == ()


# -- asset events -------------------------------------------------------------------------------------


def test_the_event_of_a_thousand_files_stays_small_and_says_how_many(thousand):
    extra = archive_event(*thousand)
    assert len(extra["files"]) == MAX_LISTED
    assert extra["files"][0] == {
        "uri": "s3://aws_default@bucket/kept/0.png",
        "sha256": "0" * 64,
        "vendor": "gptunnel",
        "job_id": "j0",
        "cost": {"amount": 15.0, "unit": "RUB"},
    }
    assert (extra["total"], extra["cost"]) == (1000, {"RUB": 15_000.0})
    assert len(json.dumps(extra)) < 5_000
    assert "SECRET" not in json.dumps(extra)


@pytest.fixture
def archive(made, tmp_path):
    """A task that keeps a job's picture."""

    def make(**more):
        options = {"source": made(), "destination": f"file://{tmp_path}/kept", **more}
        return ArchiveOperator(task_id="keep", **options)

    return make


def test_an_outlet_for_lineage_alone_has_no_event(archive, web, picture, context):
    from airflow.providers.common.compat.lineage.entities import File

    asset = Asset("swaps", uri="file:///swaps")
    web.will(picture())
    events = OutletEventAccessors()
    archive(outlets=[File(url="s3://bucket/kept"), asset]).execute({**context, "outlet_events": events})
    assert len(events) == 1
    assert events[asset].extra["total"] == 1


@pytest.fixture
def batch(sandbox, tmp_path):
    """A batch of so many items at the sandbox."""

    def make(number=3, **more):
        items = [
            {
                "target_image": f"{sandbox.url}/samples/emil.png?sig=SECRET",
                "face_image": f"{sandbox.url}/samples/anna.jpg?n={n}",
            }
            for n in range(number)
        ]
        options = {"items": items, "destination": f"file://{tmp_path}/kept", **more}
        return FaceSwapBatchOperator(task_id="swaps", conn_id="gptunnel_default", **options)

    return make


@pytest.mark.sandbox
@pytest.mark.parametrize("outlet", [Asset("swaps", uri="file:///swaps"), AssetAlias("some_swaps")], ids=repr)
def test_the_event_of_a_batch_tells_the_sum_and_the_manifest(batch, context, outlet):
    events = OutletEventAccessors()
    summary = batch(outlets=[outlet]).execute({**context, "outlet_events": events})
    assert events[outlet].extra == {
        "vendor": "gptunnel",
        "manifest_uri": summary["manifest_uri"],
        "total": 3,
        "archived": 3,
        "failed": 0,
        "cost": {"RUB": 45.0},
    }


# -- hook lineage -------------------------------------------------------------------------------------


@pytest.fixture
def collector(monkeypatch):
    """What is collected where somebody reads it."""
    found = lineage.HookLineageCollector()
    # As the storage paths ask for it, and as this package does.
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lambda: found)
    monkeypatch.setattr("airflow.providers.common.compat.sdk.get_hook_lineage_collector", lambda: found)
    return found


def collected(collector):
    told = collector.collected_assets
    return [info.asset.uri for info in told.inputs], [info.asset.uri for info in told.outputs]


PICTURES = ["https://pictures.test/target.jpg", "https://pictures.test/face.jpg"]


def test_a_job_collects_its_pictures_and_its_result(clock, vendor, answer, context, collector):
    swap(answer, vendor, {"target_image": TARGET, "face_image": FACE}).execute(context)
    assert collected(collector) == (PICTURES, ["https://results.test/out.png"])


def test_a_hook_in_a_task_collects_what_it_sends_and_what_comes_back(clock, vendor, answer, collector):
    vendor.will(answer("idle"), answer("done", percent=100, result=DONE_URL))
    with GPTunnelHook() as hook:
        job = hook.submit("face_swap", target_image=TARGET, face_image=FACE)
        assert collected(collector) == (PICTURES, [])
        hook.wait(job)
    assert collected(collector) == (PICTURES, ["https://results.test/out.png"])


def test_a_hook_on_an_event_loop_collects_too(clock, vendor, answer, collector):
    vendor.will(answer("idle"))
    asyncio.run(GPTunnelHook().asubmit("face_swap", target_image=TARGET, face_image=FACE))
    assert collected(collector) == (PICTURES, [])


def test_an_archive_collects_the_bare_link_and_the_kept_picture(archive, web, picture, context, collector):
    web.will(picture())
    told = archive().execute(context)
    assert collected(collector) == (["https://files.test/65819c48-0.png"], [told["uri"]])


@pytest.mark.sandbox
def test_a_batch_collects_its_pictures_its_folder_and_its_manifest(
    batch, sandbox, context, collector, tmp_path
):
    summary = batch(1).execute(context)
    inputs, outputs = collected(collector)
    assert inputs == [f"{sandbox.url}/samples/{name}" for name in ("emil.png", "anna.jpg")]
    assert outputs == [f"file://{tmp_path}/kept", summary["manifest_uri"]]


@pytest.mark.sandbox
def test_a_batch_collects_the_file_of_its_items_once(batch, context, collector, tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    rows, file = batch(1).items, tmp_path / "items.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), file)
    batch(items=f"file://{file}").execute(context)
    assert collected(collector)[0] == [f"file://{file}"]


def test_neither_a_temporary_name_nor_a_record_is_collected(tmp_path, collector):
    write(ObjectStoragePath(f"file://{tmp_path}/record.json"), io.BytesIO(b"{}"))
    assert collected(collector) == ([], [])


def test_a_place_that_is_no_asset_costs_nobody_a_picture(
    archive, web, picture, context, collector, made, caplog
):
    result = made()
    result["urls"] = [f"https://files.test/{'x' * 1500}.png?sig=SECRET"]
    web.will(picture())
    assert archive(source=result).execute(context)["bytes"] == len(picture())
    assert "Lineage could not be reported (ValueError)" in caplog.text
    assert "SECRET" not in caplog.text


def test_nothing_is_collected_where_nobody_reads(monkeypatch):
    nobody = lineage.NoOpCollector()
    monkeypatch.setattr("airflow.providers.common.compat.sdk.get_hook_lineage_collector", lambda: nobody)
    collect(object(), LineageRecord(inputs=("https://files.test/pic.png",)))
    assert not nobody.has_collected


# -- OpenLineage --------------------------------------------------------------------------------------


def event(told):
    """The event that the client would send."""
    return Serde.to_json(
        RunEvent(
            eventType=RunState.COMPLETE,
            eventTime=datetime.now(UTC).isoformat(),
            run=Run(runId=str(uuid.uuid4()), facets=told.run_facets),
            job=Job(namespace="default", name="a_dag.a_task", facets=told.job_facets),
            producer="https://example.com/tests",
            inputs=told.inputs,
            outputs=told.outputs,
        )
    )


def extracted(task, state=TaskInstanceState.SUCCESS):
    """What the provider makes of a task, by the way it takes itself."""

    class DagRun:
        run_id = "a_run"

    return ExtractorManager().extract_metadata(DagRun(), task, state, None)


def swap(answer, vendor, pictures, **more):
    vendor.will(answer("idle", usage={"total_cost": 15}), answer("done", percent=100, result=DONE_URL))
    return GPTunnelFaceSwapOperator(task_id="swap", **{**pictures, **more})


def test_a_job_is_told_with_its_pictures_its_id_and_its_cost(clock, vendor, answer, context):
    task = swap(answer, vendor, {"target_image": TARGET, "face_image": FACE})
    result = task.execute(context)
    text = event(extracted(task))
    told = json.loads(text)
    assert [(data["namespace"], data["name"]) for data in told["inputs"]] == [
        ("https://pictures.test", "target.jpg"),
        ("https://pictures.test", "face.jpg"),
    ]
    assert [(data["namespace"], data["name"]) for data in told["outputs"]] == [
        ("https://results.test", "out.png")
    ]
    ours, standard = (told["run"]["facets"][name] for name in ("faceswap", "externalQuery"))
    assert (ours["_schemaURL"], ours["_producer"]) == (SCHEMA_URL, PRODUCER)
    assert ours["jobs"] == [
        {
            "vendor": "gptunnel",
            "kind": "face_swap",
            "job_id": result["job_id"],
            "conn_id": "gptunnel_default",
            "cost": result["cost"],
            "attempt_reused": False,
        }
    ]
    assert (ours["total"], ours["cost"]) == (1, {"RUB": 15.0})
    assert (standard["externalQueryId"], standard["source"]) == (result["job_id"], "gptunnel")
    assert all(facet["_producer"] and facet["_schemaURL"] for facet in (ours, standard))
    assert "SECRET" not in text
    assert "sig=" not in text


def test_a_job_that_was_only_waited_for_is_told_with_its_result(clock, vendor, answer, context):
    vendor.will(answer("done", job_id="abc", percent=100, result=DONE_URL))
    task = JobSensor(task_id="wait", conn_id="gptunnel_default", job_id="abc", kind="face_swap")
    assert extracted(task).outputs == []
    task.execute(context)
    told = extracted(task)
    assert [data.name for data in told.outputs] == ["out.png"]
    assert told.run_facets["externalQuery"].externalQueryId == "abc"


def test_a_failed_job_is_told_with_what_it_took(clock, vendor, answer, context):
    vendor.will(answer("idle"), answer("failed", error="no luck"))
    task = GPTunnelFaceSwapOperator(task_id="swap", target_image=TARGET, face_image=FACE)
    with pytest.raises(JobFailedError):
        task.execute(context)
    told = extracted(task, TaskInstanceState.FAILED)
    assert (len(told.inputs), told.outputs, told.run_facets) == (2, [], {})


def test_an_archive_is_told_with_size_and_hash(archive, web, picture, context, tmp_path):
    web.will(picture())
    task = archive()
    kept = task.execute(context)
    text = event(extracted(task))
    told = json.loads(text)
    [source], [file] = told["inputs"], told["outputs"]
    assert (source["namespace"], source["name"]) == ("https://files.test", "65819c48-0.png")
    assert (file["namespace"], file["name"]) == ("file", kept["uri"].removeprefix("file://"))
    assert file["outputFacets"]["outputStatistics"]["size"] == kept["bytes"]
    assert file["outputFacets"]["outputStatistics"]["fileCount"] == 1
    assert file["facets"]["version"]["datasetVersion"] == kept["sha256"]
    assert told["run"]["facets"]["faceswap"]["jobs"][0]["job_id"] == "65819c48"
    assert "SECRET" not in text


def test_what_a_job_made_is_what_the_archive_took(clock, vendor, answer, context, tmp_path, made):
    result = made()
    job = facets(job_lineage(result, {}))
    kept_of = facets(archive_lineage(parse_sources(result, unwanted)[0], [kept(1)], "s3://b/kept"))
    assert [(data.namespace, data.name) for data in job.outputs] == [
        (data.namespace, data.name) for data in kept_of.inputs
    ]


def test_an_archive_that_failed_tells_nothing(archive, web, context):
    web.will(b"no picture")
    task = archive()
    with pytest.raises(NotAnImageError):
        task.execute(context)
    told = extracted(task, TaskInstanceState.FAILED)
    assert (told.inputs, told.outputs, told.run_facets) == ([], [], {})


@pytest.mark.sandbox
def test_a_batch_is_told_with_its_folder_its_manifest_and_its_cost(batch, context, tmp_path):
    task = batch(3)
    summary = task.execute(context)
    text = event(extracted(task))
    told = json.loads(text)
    assert [(data["namespace"], data["name"]) for data in told["outputs"]] == [
        ("file", f"{tmp_path}/kept"),
        ("file", summary["manifest_uri"].removeprefix("file://")),
    ]
    assert told["outputs"][0]["outputFacets"]["outputStatistics"]["fileCount"] == 3
    ours = told["run"]["facets"]["faceswap"]
    assert (ours["jobs"], ours["total"], ours["cost"]) == ([], 3, {"RUB": 45.0})
    assert "SECRET" not in text


def test_the_facets_go_the_way_the_provider_takes_itself(archive):
    task = archive()
    assert ExtractorManager().get_extractor_class(task) is DefaultExtractor
    assert ExtractorManager().get_extractor_class(GPTunnelImagineOperator(task_id="i", prompt="a king")) is (
        DefaultExtractor
    )


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if f"{name}.".startswith(("openlineage.", "airflow.providers.openlineage.extractors.")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from airflow_provider_faceswap.telemetry import lineage
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator

tasks = [
    ArchiveOperator(task_id="a", source=[], destination=f"file://{sys.argv[1]}"),
    FaceSwapBatchOperator(task_id="b", conn_id="c", items=[], destination="file:///d"),
    GPTunnelFaceSwapOperator(task_id="s", target_image="https://p.test/a.png", face_image="https://p.test/b.png"),
]

class Instance:
    dag_id = run_id = task_id = "a"
    map_index, try_number = -1, 1

tasks[0].execute({"ti": Instance()})
print([task.get_openlineage_facets_on_complete(None) for task in tasks])
"""


@pytest.mark.program
def test_all_works_without_openlineage(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["[None, None, None]"], done.stderr
