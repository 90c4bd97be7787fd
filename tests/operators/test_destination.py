"""F1: a destination that cannot work is found when the Dag is parsed, before anything is bought."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.storage import installed


def archive(destination, **more):
    return ArchiveOperator(task_id="keep", source="https://a.test/1.png", destination=destination, **more)


def batch(destination, **more):
    return FaceSwapBatchOperator(
        task_id="many", conn_id="gptunnel_default", destination=destination, **{"items": [], **more}
    )


both = pytest.mark.parametrize("make", [archive, batch])


@pytest.fixture
def without(monkeypatch):
    """An environment without some modules."""

    def lacking(*modules):
        real = installed.find_spec
        monkeypatch.setattr(installed, "find_spec", lambda name: None if name in modules else real(name))

        def refused(place, conn_id):
            raise ImportError("planted")

        monkeypatch.setattr(installed, "usable_path", refused)

    return lacking


@both
@pytest.mark.parametrize(
    "destination", ["s3://bucket/swaps", "s3://conn@bucket/{{ run_id }}", "S3A://bucket/{{ ds }}"]
)
@pytest.mark.parametrize("module", ["s3fs", "airflow.providers.amazon"])
def test_a_storage_that_is_not_installed_fails_the_dag_and_names_the_extra(
    without, make, destination, module
):
    without(module)
    with pytest.raises(
        InvalidRequestError, match=r"Nothing was bought. Install airflow-provider-faceswap\[s3\]"
    ):
        make(destination)


@both
@pytest.mark.parametrize(
    ("destination", "extra"),
    [("gs://bucket/x", "gcs"), ("abfs://box@account/{{ ds }}", "azure"), ("adl://x/y", "azure")],
)
def test_the_extra_of_other_storages_is_named_too(without, make, destination, extra):
    without("gcsfs", "adlfs", "airflow.providers.google", "airflow.providers.microsoft.azure")
    with pytest.raises(InvalidRequestError, match=rf"airflow-provider-faceswap\[{extra}\]"):
        make(destination)


@both
@pytest.mark.parametrize(
    "destination", ["zzz://me:planted@bucket", "relative/folder", "", "s3://", "file://relative"]
)
def test_a_destination_that_is_none_fails_the_dag(make, destination):
    with pytest.raises(InvalidRequestError, match="destination:") as caught:
        make(destination)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("filename", ["../up", "/abs", "", "a::b"])
def test_a_filename_that_leads_away_fails_the_dag(filename):
    with pytest.raises(InvalidRequestError, match="filename:"):
        archive("file:///kept", filename=filename)


@both
@pytest.mark.parametrize(
    "destination",
    [
        "file:///kept/{{ ds }}",
        "/kept",
        "{{ var.value.place }}/x",
        "{{ var.value.scheme }}://bucket",
    ],
)
def test_what_is_installed_or_not_known_yet_parses(make, destination):
    assert make(destination).destination == destination


@both
def test_a_storage_that_is_installed_parses_without_a_connection(monkeypatch, make):
    monkeypatch.setattr(installed, "find_spec", lambda _: object())
    monkeypatch.setattr(installed, "usable_path", None)
    assert make("s3://no_such_connection@bucket/x").destination


def test_another_tasks_output_is_checked_when_it_is_there():
    with DAG("a_dag", schedule=None):
        first = archive("file:///kept")
        assert batch(first.output["uri"]).upstream_task_ids == {"keep"}


def test_a_template_is_checked_before_the_batch_buys_anything(vendor, context):
    task = batch(
        "{{ params.place }}",
        items=[{"target_image": "https://a.test/1.png", "face_image": "https://a.test/2.png"}],
    )
    task.destination = "zzz://bucket"  # as rendered
    with pytest.raises(InvalidRequestError, match="no storage for 'zzz://bucket'"):
        task.execute(context)
    assert vendor.requests == []
