"""The buttons of the UI: where they lead, when there are none, and that nothing in them opens anything by itself."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk.io import store as stores

from airflow_provider_faceswap.exceptions import BatchFailedError
from airflow_provider_faceswap.jobs import Job, Submission
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, WaitResult
from airflow_provider_faceswap.links import (
    ArchivedLink,
    GalleryLink,
    ManifestLink,
    ResultLink,
    console_page,
    gallery_page,
    result_links,
    xcom_page,
)
from airflow_provider_faceswap.operators import faceswap, gptunnel, piapi, tengrai
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.balance import BalanceCheckOperator
from airflow_provider_faceswap.operators.base import JobOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.sensors.job import JobSensor

SIGNATURE = "4f8a1c0b97d25e6613aa0c7e"
PLAIN = "https://files.test/r.png"
SIGNED = f"{PLAIN}?X-Amz-Signature={SIGNATURE}"
BASE = "https://airflow.test/deployed"
XCOM = f"{BASE}/dags/a_dag/runs/a_run/tasks/a_task/xcom"


def instance(**more):
    ids = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "a_task", "map_index": -1}
    return SimpleNamespace(**{**ids, **more})


@pytest.fixture(autouse=True)
def base_url(monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"{BASE}/")


def ended_with(outcome, **more):
    """An operator after its task."""
    return SimpleNamespace(outcome=outcome, **more)


def lead_to(link, outcome, **more):
    return link.get_link(ended_with(outcome, **more), ti_key=instance())


# -- who has which --------------------------------------------------------------------------------------------

JOB_OPERATORS = [
    found
    for module in (faceswap, gptunnel, piapi, tengrai)
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, JobOperator) and found.__module__ == module.__name__
]


def names(operator):
    return [link.name for link in operator.operator_extra_links]


def test_every_job_operator_leads_to_its_result():
    assert len(JOB_OPERATORS) >= 11
    assert [operator for operator in JOB_OPERATORS if names(operator) != ["Result", "Pictures"]] == []


def test_the_archive_leads_to_the_file_and_its_manifest_and_a_batch_to_its_own():
    assert names(ArchiveOperator) == ["Archived file", "Manifest", "Pictures"]
    assert names(FaceSwapBatchOperator) == ["Manifest", "Pictures"]
    assert names(BalanceCheckOperator) == ["Pictures"]


def test_no_two_links_share_a_key():
    assert len({link.xcom_key for link in (ResultLink(), ArchivedLink(), ManifestLink(), GalleryLink())}) == 4


# -- the result -----------------------------------------------------------------------------------------------


def test_a_plain_link_is_taken_as_it_is():
    assert lead_to(ResultLink(), {"url": PLAIN}) == PLAIN
    assert lead_to(ResultLink(), {"url": "http://127.0.0.1:8090/files/r.png"}).startswith("http://127.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        SIGNED,
        f"{PLAIN}?token={SIGNATURE}",
        f"{PLAIN}?{SIGNATURE}",
        f"{PLAIN}#{SIGNATURE}",
        f"https://user:{SIGNATURE}@files.test/r.png",
    ],
)
def test_whatever_may_sign_a_link_stays_in_the_return_value_to_which_the_link_leads(url):
    assert lead_to(ResultLink(), {"url": url}) == XCOM


@pytest.mark.parametrize(
    "url", [None, "", "data:image/png;base64,AAAA", "javascript:alert(1)", "file:///etc/passwd"]
)
def test_what_is_no_web_address_is_no_link(url):
    assert lead_to(ResultLink(), {"url": url}) == ""


def test_a_task_without_an_outcome_has_no_link_and_no_error():
    for link in (ResultLink(), ArchivedLink(), ManifestLink()):
        for outcome in (None, {}, [], {"url": None, "uri": None, "manifest_uri": None}):
            assert lead_to(link, outcome) == ""
        assert link.get_link(SimpleNamespace(), ti_key=instance()) == ""


@pytest.mark.parametrize("url", [PLAIN, SIGNED, None])
def test_the_triggerer_stores_what_a_worker_would(url):
    """A task that is ended by its trigger never comes to the place where Airflow asks for links."""
    result = {"url": url}
    links = (ResultLink(), GalleryLink())
    assert result_links(result, instance()) == {link.xcom_key: lead_to(link, result) for link in links}


# -- Airflow's own page ---------------------------------------------------------------------------------------


def test_the_page_of_a_mapped_task_is_that_of_its_index():
    assert xcom_page(instance(map_index=3)) == f"{BASE}/dags/a_dag/runs/a_run/tasks/a_task/mapped/3/xcom"
    assert xcom_page(instance(map_index=0)).endswith("/mapped/0/xcom")
    assert xcom_page(instance(map_index=None)) == XCOM


def test_an_id_cannot_lead_to_another_page():
    page = xcom_page(instance(run_id="manual__2026-11-21T15:19:30+00:00/../x?y#z", task_id="group.swap"))
    assert page == (
        f"{BASE}/dags/a_dag/runs/manual__2026-11-21T15%3A19%3A30%2B00%3A00%2F..%2Fx%3Fy%23z/tasks/group.swap/xcom"
    )


def test_without_a_base_url_the_page_is_relative_to_the_ui(monkeypatch):
    monkeypatch.delenv("AIRFLOW__API__BASE_URL")
    assert xcom_page(instance()) == "/dags/a_dag/runs/a_run/tasks/a_task/xcom"


# -- files in object storage ----------------------------------------------------------------------------------

KEPT = {"uri": "file:///data/a.png", "manifest_uri": "file:///data/a.png.json"}


def test_a_browser_opens_no_file_of_a_disk_so_the_page_that_names_it_is_shown():
    assert lead_to(ArchivedLink(), KEPT) == XCOM
    assert lead_to(ManifestLink(), KEPT) == XCOM


def test_of_several_files_the_page_that_lists_them_is_shown():
    in_a_cloud = [{"uri": "gs://b/a.png", "manifest_uri": "gs://b/a.png.json"}] * 2
    assert lead_to(ArchivedLink(), in_a_cloud) == XCOM
    assert lead_to(ManifestLink(), in_a_cloud) == XCOM


@pytest.fixture
def google(monkeypatch):
    """Define the server of a connection to Google's storage; its library is not needed for a link."""

    def connection(conn_id="", server="https://storage.googleapis.com"):
        name = f"gs-{conn_id}" if conn_id else "gs"
        fs = SimpleNamespace(base=f"{server}/storage/v1/", protocol=("gs", "gcs"))
        monkeypatch.setitem(stores._STORE_CACHE, name, stores.ObjectStore("gs", conn_id or None, fs=fs))

    return connection


def test_a_list_of_one_is_that_one(google):
    google()
    assert lead_to(ArchivedLink(), [{"uri": "gs://b/a.png"}]).startswith("https://console.cloud.google.com/")


@pytest.fixture
def aws(monkeypatch):
    """Credentials for Amazon's own storage, where nothing is asked."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPLANTED0PLANTED0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SIGNATURE)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

    def connection(conn_id, **extra):
        monkeypatch.setenv(
            f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": "aws", "extra": extra})
        )

    return connection


@pytest.mark.parametrize("uri", ["s3://links_aws@my-bucket/ds=1/a b.png", "s3://my-bucket/ds=1/a b.png"])
def test_a_file_at_amazon_is_shown_by_its_console_which_asks_who_it_is(aws, uri):
    aws("links_aws")
    page = "https://console.aws.amazon.com/s3/object/my-bucket?prefix=ds%3D1%2Fa%20b.png"
    assert lead_to(ArchivedLink(), {"uri": uri}, destination_conn_id="links_aws") == page


def test_a_storage_that_merely_speaks_s3_has_no_console(aws):
    aws("links_minio", endpoint_url="http://minio.internal:9000")
    assert console_page("s3://links_minio@b/a.png", None) == ""
    assert lead_to(ArchivedLink(), {"uri": "s3://links_minio@b/a.png"}) == XCOM


def test_a_storage_of_that_kind_is_known_too_where_the_environment_names_it(aws, monkeypatch):
    aws("links_environment")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.internal:9000")
    assert console_page("s3://links_environment@b/a.png", None) == ""


def test_a_host_that_only_looks_like_amazon_is_not_taken_for_it(aws):
    aws("links_false", endpoint_url="https://s3.amazonaws.com.example.test")
    assert console_page("s3://links_false@b/a.png", None) == ""


@pytest.mark.parametrize("server", ["https://storage.googleapis.com", "https://storage.mtls.googleapis.com"])
def test_a_file_at_google_is_shown_by_its_console(google, server):
    google("c", server)
    page = "https://console.cloud.google.com/storage/browser/_details/b/ds%3D1/a%20b.png"
    assert console_page("gs://c@b/ds=1/a b.png", None) == page


@pytest.mark.parametrize("server", ["http://gcs.internal:4443", "https://googleapis.com.example.test"])
def test_a_storage_that_merely_speaks_as_google_does_has_no_console(google, server):
    google("links_emulator", server)
    assert console_page("gs://links_emulator@b/a.png", None) == ""
    assert lead_to(ArchivedLink(), {"uri": "gs://links_emulator@b/a.png"}) == XCOM


@pytest.mark.parametrize("uri", ["abfs://c@b/a.png", "/data/a.png", "local:///data/a.png", "hdfs://n/a.png"])
def test_no_other_storage_has_a_console_that_is_known(uri):
    assert console_page(uri, None) == ""


# -- what the operators have made -----------------------------------------------------------------------------


def swap(**more):
    pictures = {"target_image": "https://pictures.test/t.jpg", "face_image": "https://pictures.test/f.jpg"}
    return GPTunnelFaceSwapOperator(**{"task_id": "a_task", "deferrable": False, **pictures, **more})


def leads(operator, task=None):
    return {
        link.name: link.get_link(operator, ti_key=task or instance())
        for link in operator.operator_extra_links
        if link.name != "Pictures"
    }


def test_a_swap_leads_to_its_picture(vendor, answer, context, clock):
    vendor.will(answer("idle"), answer("done", percent=100, result=PLAIN))
    operator = swap()
    assert leads(operator) == {"Result": ""}
    assert operator.execute(context)["url"] == PLAIN
    assert leads(operator) == {"Result": PLAIN}


def test_a_deferred_swap_has_no_link_yet_and_the_worker_that_goes_on_has_it(vendor, answer, context, clock):
    vendor.will(answer("idle"), answer("done", percent=100, result=SIGNED))
    operator = swap(deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    assert leads(operator) == {}
    resumed = swap(deferrable=True)
    submission = Submission.model_validate(deferred.value.kwargs["submission"])
    done = Job(
        vendor="gptunnel", kind="face_swap", job_id=submission.job_id, state="succeeded", status="done"
    )
    ending = WaitResult(outcome=Outcome.SUCCEEDED, vendor="gptunnel", job_id=submission.job_id, job=done)
    resumed.execute_complete(context, ending.to_event(submission), deferred.value.kwargs["submission"])
    assert leads(resumed) == {"Result": XCOM}


def test_a_sensor_leads_to_the_result_that_it_waited_for(vendor, answer, context, clock):
    vendor.will(answer("done", job_id="abc", percent=100, result=PLAIN))
    sensor = JobSensor(task_id="wait", conn_id="gptunnel_default", job_id="abc", kind="face_swap")
    assert leads(sensor) == {"Result": ""}
    sensor.execute(context)
    assert leads(sensor) == {"Result": PLAIN}


def test_a_swap_that_failed_has_no_link(vendor, answer, context, clock):
    vendor.will(answer("idle"), answer("failed", error="broke"))
    operator = swap()
    with pytest.raises(Exception, match="broke"):
        operator.execute(context)
    assert leads(operator) == {"Result": ""}


@pytest.fixture
def pixels(monkeypatch, picture):
    """Every picture of the world, without a network."""
    from airflow_provider_faceswap.http.download import Downloaded

    def fetch(url, into, **_):
        del url
        data = picture()
        into.write(data)
        into.seek(0)
        return Downloaded(len(data), hashlib.sha256(data).hexdigest())

    monkeypatch.setattr("airflow_provider_faceswap.archive.store.download", fetch)


@pytest.mark.parametrize("source", [SIGNED, [SIGNED], [SIGNED, PLAIN]])
def test_an_archive_leads_to_where_its_files_are_named(pixels, context, tmp_path, source):
    operator = ArchiveOperator(task_id="a_task", source=source, destination=f"file://{tmp_path}")
    assert leads(operator) == {"Archived file": "", "Manifest": ""}
    operator.execute(context)
    assert leads(operator) == {"Archived file": XCOM, "Manifest": XCOM}


def batch_of(tmp_path, **more):
    items = [{"target_image": "https://pictures.test/t.jpg", "face_image": "https://pictures.test/f.jpg"}]
    return FaceSwapBatchOperator(
        task_id="a_task",
        conn_id="gptunnel_default",
        items=items,
        destination=f"file://{tmp_path}",
        timeout=timedelta(minutes=5),
        **more,
    )


def test_a_batch_leads_to_its_manifest(vendor, answer, context, pixels, tmp_path):
    vendor.will(answer("done", percent=100, result=PLAIN))
    operator = batch_of(tmp_path)
    operator.execute(context)
    assert leads(operator) == {"Manifest": XCOM}


def test_a_batch_that_failed_returns_nothing_that_a_page_could_show(
    vendor, answer, context, tmp_path, google
):
    """Its manifest is written all the same: a console shows it, and the error names it."""
    google()
    vendor.will(answer("failed", error="broke"))
    operator = batch_of(tmp_path)
    with pytest.raises(BatchFailedError):
        operator.execute(context)
    for state in ("failed", "up_for_retry"):
        assert leads(operator, instance(state=state)) == {"Manifest": ""}
    operator.outcome = {**operator.outcome, "manifest_uri": "gs://b/batch.jsonl"}
    assert leads(operator, instance(state="failed"))["Manifest"].startswith(
        "https://console.cloud.google.com/"
    )


# -- the gallery ----------------------------------------------------------------------------------------------

GALLERY = f"{BASE}/faceswap/gallery/dags/a_dag/runs/a_run/"
ARCHIVED = {"uri": "gs://b/a.png", "manifest_uri": "gs://b/a.png.json"}


@pytest.mark.parametrize("outcome", [None, {"url": PLAIN}, [], "nothing"])
def test_every_task_leads_to_the_pictures_of_its_run(outcome):
    assert lead_to(GalleryLink(), outcome) == GALLERY


@pytest.mark.parametrize("outcome", [ARCHIVED, [ARCHIVED, ARCHIVED]])
def test_a_task_that_archives_leads_to_its_own_pictures(outcome):
    assert lead_to(GalleryLink(), outcome) == f"{GALLERY}tasks/a_task/-1/"


def test_ids_stay_in_their_part_of_the_path():
    odd = instance(run_id="manual__2026-01-01T00:00:00+00:00", task_id="a/b?c", map_index=7)
    page = gallery_page(odd, whole_run=False)
    assert page.endswith("/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/tasks/a%2Fb%3Fc/7/")


def test_a_task_that_a_trigger_ends_has_the_same_links_as_on_a_worker():
    keys = {link.xcom_key for link in swap().operator_extra_links}
    links = result_links({"url": PLAIN}, instance())
    assert set(links) == keys
    assert links["_link_GalleryLink"] == GALLERY


# -- as Airflow asks for them ---------------------------------------------------------------------------------


@pytest.fixture
def stored(monkeypatch):
    """What Airflow's own worker stores as links when a task leaves it: every message, in their order."""
    from airflow.sdk.execution_time import task_runner

    messages = []
    comms = SimpleNamespace(send=lambda message: messages.append((message.key, message.value)))
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)

    def leave(operator, state):
        messages.clear()
        log = Mock()
        # Of the states, this one calls no listener and no callback.
        task = instance(task=operator, start_date=None, end_date=None, state=state)
        task_runner.finalize(task, "deferred", {}, log)
        log.exception.assert_not_called()
        return {key: link for key, link in messages if key != "_link_GalleryLink"}

    return leave


def test_airflow_stores_an_empty_link_for_a_try_that_failed_and_the_full_one_at_the_end(stored):
    operator = swap()
    assert stored(operator, "up_for_retry") == {"_link_ResultLink": ""}
    operator.outcome = {"url": PLAIN}
    assert stored(operator, "success") == {"_link_ResultLink": PLAIN}


def test_airflow_stores_no_link_at_a_deferral_as_it_could_come_after_the_triggers(
    vendor, answer, context, clock, stored
):
    vendor.will(answer("idle"))
    operator = swap(deferrable=True)
    with pytest.raises(TaskDeferred):
        operator.execute(context)
    assert stored(operator, "deferred") == {}
    assert stored(swap(deferrable=True), "success") == {"_link_ResultLink": ""}, "only this one task has none"
