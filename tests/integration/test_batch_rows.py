"""F2, F9: the rows of a batch as a user has them, and what its log and its end say about each."""

from __future__ import annotations

import json
import math

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_faceswap.exceptions import BatchFailedError, InvalidRequestError
from tests.integration.test_batch import batch, bills, fault, items, manifest, pictures

__all__ = ["batch", "fault", "items"]

pytestmark = pytest.mark.sandbox


# -- F2 -----------------------------------------------------------------------------------------------


def test_f2_a_batch_whose_failures_are_all_permanent_is_not_retried(sandbox, items, batch, fault):
    fault("create", times=2, type="fail_job", message="no face found")
    with pytest.raises(BatchFailedError, match="2 NoFaceError") as caught:
        batch(items(4), concurrency=1)
    assert isinstance(caught.value, AirflowFailException)
    assert "A retry cannot help" in str(caught.value)


def test_f2_one_failure_that_a_retry_may_help_keeps_the_retries(sandbox, items, batch, fault):
    fault("create", type="fail_job", message="no face found")
    fault("create", skip=1, type="fail_job", message="something broke")
    with pytest.raises(BatchFailedError, match="2 of 4 items failed") as caught:
        batch(items(4), concurrency=1)
    assert not isinstance(caught.value, AirflowFailException)


def test_f2_the_log_names_the_row_of_each_failed_item(sandbox, items, batch, fault):
    fault("create", type="fail_job", message="no face found")
    rows = [{**row, "id": f"anna-{n}"} for n, row in enumerate(items(2))]
    for _ in range(2):
        with pytest.raises(BatchFailedError):
            batch(rows, concurrency=1)
    lines = [line for line in batch.told if "items[0] (anna-0) failed: " in line]
    assert len(lines) == 2, "the second attempt says it again"
    assert "no face found" in lines[0]


def test_f2_a_second_attempt_counts_the_cost_of_the_first(sandbox, items, batch, fault):
    fault("create", type="fail_job", message="something broke")
    with pytest.raises(BatchFailedError):
        batch(items(4), concurrency=1)
    summary = batch(items(5))
    assert summary["cost"] == {"RUB": 30.0}
    assert summary["cost_in_all"] == {"RUB": 75.0}
    assert any("30 RUB in this attempt, 75 RUB in all" in line for line in batch.told)
    batch(items(5))
    assert any("nothing in this attempt, 75 RUB in all" in line for line in batch.told)


# -- F9 -----------------------------------------------------------------------------------------------


def with_a_bad_row(rows):
    return [rows[0], {**rows[1], "face_image": "", "id": "two"}, "no row", *rows[2:]]


def test_f9_a_bad_row_stops_the_batch_before_anything_is_bought(sandbox, items, batch):
    with pytest.raises(InvalidRequestError, match="Nothing was bought") as caught:
        batch(with_a_bad_row(items(3)))
    assert "2 of 4 items are wrong" in str(caught.value)
    assert "items[1] (two): face_image: Field required" in str(caught.value)
    assert "items[2]: must be a mapping" in str(caught.value)
    assert bills(sandbox)["creates"] == 0


def test_f9_many_bad_rows_are_each_in_the_log(sandbox, items, batch):
    with pytest.raises(InvalidRequestError, match="and 7 more"):
        batch([{**row, "face_image": "anna.jpg"} for row in items(12)])
    assert sum("is a file name" in line for line in batch.told) == 12


def test_f9_a_bad_row_is_skipped_if_the_user_says_so(sandbox, items, batch):
    summary = batch(with_a_bad_row(items(3)), on_bad_item="skip")
    assert (summary["total"], summary["archived"], summary["skipped"], summary["failed"]) == (4, 2, 2, 0)
    assert summary["not_started"] == 0
    assert bills(sandbox)["creates"] == 2
    line = manifest(batch)[1]
    assert (line["status"], line["item"]["id"]) == ("skipped", "two")
    assert "face_image" in line["message"]
    assert any("items[1] (two) skipped: " in line for line in batch.told)


def test_f9_a_damaged_line_of_a_file_is_a_bad_row_like_any_other(sandbox, items, batch, tmp_path):
    file = tmp_path / "items.jsonl"
    file.write_text("\n".join([json.dumps(items(1)[0]), "{broken", json.dumps(items(1, start=1)[0])]))
    with pytest.raises(InvalidRequestError, match="line 2 is not JSON"):
        batch(f" file://{file}\n")
    assert batch(f"file://{file}", on_bad_item="skip")["archived"] == 2


def test_f9_a_csv_row_with_surplus_cells_is_a_bad_row(sandbox, items, batch, tmp_path):
    file = tmp_path / "items.csv"
    row = ",".join(items(1)[0].values())
    file.write_text(f"target_image, face_image\n{row}\n{row},surplus\n")
    assert batch(f"file://{file}", on_bad_item="skip")["skipped"] == 1


def test_f9_rows_that_are_all_bad_are_never_a_success(sandbox, batch):
    with pytest.raises(InvalidRequestError, match="2 of 2 items are wrong"):
        batch([{"target_image": "x"}, 3], on_bad_item="skip")
    assert bills(sandbox)["creates"] == 0


def test_f9_columns_that_are_no_arguments_are_in_the_manifest(sandbox, items, batch):
    extra = {"id": 7, "face_image_source": "studio", "owner": "sales", "score": math.nan, "note": None}
    batch([{**items(1)[0], **extra}])
    [line] = manifest(batch)
    assert {name: line["item"].get(name) for name in extra} == {**extra, "score": None}
    [own] = [json.loads(path.read_text()) for path in batch.folder.glob("*.png.json")]
    assert set(own["job"]["arguments"]) == {"target_image", "face_image"}


@pytest.mark.parametrize("name", ["enhance_faces", "enhanceFace", "Enhance-Face", "web_hook"])
def test_f9_a_misspelt_argument_is_no_other_column(sandbox, items, batch, name):
    with pytest.raises(InvalidRequestError, match=f"{name}: is no argument"):
        batch([{**items(1)[0], name: True}])
    assert bills(sandbox)["creates"] == 0


def test_f9_a_filename_column_names_the_files(sandbox, items, batch):
    rows = [{**row, "filename": name} for row, name in zip(items(3), ["anna", 2026, "x/y.png"], strict=True)]
    batch(rows)
    assert pictures(batch) == ["2026.png", "anna.png"]
    assert (batch.folder / "x" / "y.png").exists()
    assert batch(rows)["reused"] == 3


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "s3://b/a.png", True])
def test_f9_a_filename_that_cannot_be_one_is_a_bad_row(sandbox, items, batch, name):
    with pytest.raises(InvalidRequestError, match="filename"):
        batch([{**items(1)[0], "filename": name}])
    assert bills(sandbox)["creates"] == 0


def test_f9_two_rows_cannot_write_the_same_file(sandbox, items, batch):
    rows = [{**row, "filename": name} for row, name in zip(items(2), ["anna", "Anna.png"], strict=True)]
    with pytest.raises(InvalidRequestError, match=r"items\[0\] \(anna\) has the same"):
        batch(rows)
    assert bills(sandbox)["creates"] == 0


def test_k8_nan_in_an_optional_column_is_not_set(sandbox, items, batch):
    rows = [
        {**row, "enhance_face": value, "webhook": math.nan}
        for row, value in zip(items(3), [math.nan, 1.0, "True"], strict=True)
    ]
    assert batch(rows)["archived"] == 3
    assert "NaN" not in (batch.folder / manifest_name(batch)).read_text()


def manifest_name(batch):
    [path] = batch.folder.glob("batch-*.jsonl")
    return path.name
