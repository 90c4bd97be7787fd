"""A batch's items from whatever a user has at hand."""

from __future__ import annotations

import json

import pytest

from airflow_provider_faceswap.batch.items import BatchItem, Items
from airflow_provider_faceswap.exceptions import InvalidRequestError

ROWS = [{"target_image": "https://p.test/a.jpg", "face_image": "https://p.test/ä.jpg"}] * 2
ITEMS = [BatchItem(position, row) for position, row in enumerate(ROWS)]


def jsonl(path):
    path.write_text("".join(json.dumps(row) + "\n\n" for row in ROWS), encoding="utf-8")


def csv(path):
    lines = [",".join(ROWS[0]), *(",".join(row.values()) for row in ROWS)]
    path.write_text("\n".join(lines), encoding="utf-8")


def parquet(path):
    import pyarrow as pa
    from pyarrow import parquet as file

    file.write_table(pa.Table.from_pylist(ROWS), path)


@pytest.mark.parametrize("named", [str, lambda path: path, lambda path: path.as_uri()])
@pytest.mark.parametrize("form", [jsonl, csv, parquet])
def test_a_file_on_a_disk_by_its_name_its_path_or_its_uri(form, named, tmp_path):
    file = tmp_path / f"items.{form.__name__}"
    form(file)
    items = Items(named(file))
    assert [list(items), list(items)] == [ITEMS, ITEMS]


def test_a_generator_is_gone_through_as_often_as_it_takes():
    items = Items(row for row in ROWS)
    assert [list(items), list(items)] == [ITEMS, ITEMS]


@pytest.mark.parametrize("source", [None, 3, b"items.csv", {"target_image": "x"}])
def test_what_holds_no_items_is_said(source):
    with pytest.raises(InvalidRequestError, match="must be a list, or the URI of a file"):
        Items(source)


@pytest.mark.parametrize("form", [jsonl, csv])
def test_the_mark_that_a_spreadsheet_puts_before_the_text_is_no_part_of_it(form, tmp_path):
    file = tmp_path / f"items.{form.__name__}"
    form(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert list(Items(file)) == ITEMS


@pytest.mark.parametrize(
    ("source", "ending"),
    [
        ("s3://bucket/items.xlsx", ".xlsx"),
        ("s3://bucket/items", "no suffix"),
        ("", "no suffix"),
        ("https://h.test/items.jsonl?sig=planted", ".jsonl and a query"),
        ("https://h.test/a.png?X-Amz-Signature=planted.sig", ".png and a query"),
    ],
)
def test_a_file_of_another_form_is_refused_by_its_ending_alone(source, ending):
    with pytest.raises(InvalidRequestError, match="must end in one of") as caught:
        Items(source)
    assert caught.value.message.endswith(f"ends in {ending}")
    assert "planted" not in str(caught.value)


def test_the_text_of_a_list_is_told_as_such_and_not_repeated():
    with pytest.raises(InvalidRequestError, match="looks like the text of a list") as caught:
        Items(" [{'target_image': 'https://p.test/a.png?sig=planted'}]")
    assert "render_template_as_native_obj" in str(caught.value)
    assert "planted" not in str(caught.value)


def test_what_is_empty_in_a_row_is_no_argument():
    [item] = Items([{"target_image": "x", "seed": None, "face_image": "", 3: 0}])
    assert item.columns == {"target_image": "x", "3": 0}


@pytest.mark.parametrize("row", ["https://p.test/a.png", None, 3])
def test_a_row_that_is_no_mapping_is_named(row):
    _, bad = Items([ROWS[0], row])
    assert bad.label == "items[1]"
    with pytest.raises(InvalidRequestError, match="must be a mapping"):
        bad.arguments({"target_image"})
