"""Which connection the pictures of rows are read with: one that the batch names, and no other."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk.io import store as stores
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_faceswap.batch.item_storage import ItemStorage
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator

PICTURES = {"target_image", "face_image"}
LINK = "https://me@p.test/face.jpg"


def opened(value, *places, more=(), name="target_image"):
    return ItemStorage.of(places, more).opened({name: value}, PICTURES)[name]


ARCHIVED = {"uri": "s3://other@b/a.png", "manifest_uri": "", "sha256": ""}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("s3://other@b/a.png", "target_image"),
        ("gs://other@b/a.png", "face_image"),
        (["s3://mine@b/a.png", "abfs://other@b/a.png"], "target_image"),
        (ARCHIVED, "target_image"),
        ({"deep": [ARCHIVED]}, "parameters"),
        ("s3://mine:other@b/a.png", "target_image"),
    ],
)
def test_a_row_that_names_another_connection_is_refused(value, name):
    with pytest.raises(InvalidRequestError, match=rf"{name}: the row names the connection '(mine:)?other'"):
        opened(value, ("s3://mine@items/a.csv", None), ("s3://also@kept", None), name=name)


@pytest.mark.parametrize("conn_id", ["items_one", "place_one", "argument", "listed"])
def test_a_row_may_name_a_connection_that_the_batch_names(conn_id):
    places = [("s3://items_one@i/a.csv", None), ("s3://place_one@kept", None), ("gs://kept", "argument")]
    assert opened(f"s3://{conn_id}@b/a.png", *places, more=["listed"]) == f"s3://{conn_id}@b/a.png"


@pytest.mark.parametrize(
    ("places", "uri"),
    [
        ([("s3://items_one@i/a.csv", None), ("s3://place_one@kept", None)], "s3://items_one@b/a.png"),
        ([([], None), ("s3://place_one@kept", None)], "s3://place_one@b/a.png"),
        ([("/data/a.csv", None), ("s3://kept", "argument")], "s3://argument@b/a.png"),
        ([("gs://items_one@i/a.csv", None), ("/kept", "argument")], "s3://b/a.png"),
    ],
)
def test_a_row_without_a_connection_is_read_with_that_of_the_batch(places, uri):
    assert opened("s3://b/a.png", *places) == uri
    assert opened({**ARCHIVED, "uri": "s3://b/a.png"}, *places)["uri"] == uri


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (LINK, "target_image"),
        ("a prompt of s3://other@b/a.png", "prompt"),
        ("s3://other@b/a.png", "prompt"),
        (3, "seed"),
        ("file://other@/a.png", "target_image"),
        ("data:image/png;base64,AA", "target_image"),
    ],
)
def test_what_is_no_file_in_object_storage_stays_as_it_is(value, name):
    assert opened(value, ("s3://mine@i/a.csv", None), name=name) == value


def test_a_path_object_of_another_connection_is_refused(monkeypatch):
    for name in ("mine", "other"):
        storage = stores.attach(protocol="memory", conn_id=name, fs=MemoryFileSystem())
        monkeypatch.setitem(stores._STORE_CACHE, f"memory-{name}", storage)
    path = ObjectStoragePath("memory://b/a.png", conn_id="other")
    with pytest.raises(InvalidRequestError, match="the row names the connection 'other'"):
        opened(path, ("memory://i/a.csv", "mine"))
    assert opened(path, ("memory://i/a.csv", "other")) is path


def test_a_batch_buys_nothing_for_rows_with_a_connection_of_their_own(vendor, context, tmp_path, connections):
    items = [{"target_image": "s3://aws_default@b/a.png", "face_image": "https://p.test/face.jpg"}]
    task = FaceSwapBatchOperator(
        task_id="many", conn_id="gptunnel_default", items=items, destination=f"file://{tmp_path}"
    )
    with pytest.raises(
        InvalidRequestError, match=r"items\[0\]: target_image: .*'aws_default'.*picture_conn_ids"
    ):
        task.execute(context)
    assert not vendor.requests


@pytest.mark.parametrize("value", ["aws_default", None, 3, [""], [None]])
def test_the_list_of_connections_is_a_list(value):
    with pytest.raises(InvalidRequestError, match="picture_conn_ids: "):
        FaceSwapBatchOperator(task_id="t", conn_id="c", items=[], destination="/kept", picture_conn_ids=value)
