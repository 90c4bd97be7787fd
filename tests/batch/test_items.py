"""A batch's items from whatever a user has at hand."""

from __future__ import annotations

import json
import re

import pytest
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_faceswap.batch.items import BatchItem, Items
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError

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


# -- files as people and programs write them ----------------------------------------------------------

LARGE = "data:image/png;base64," + "A" * 300_000


@pytest.fixture
def rows_of(tmp_path):
    def rows_of(text, name="items.csv"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return list(Items(tmp_path / name))

    return rows_of


def test_a_cell_may_contain_a_picture(rows_of):
    [item] = rows_of(f'target_image,face_image\n"{LARGE}",https://p.test/a.jpg\n')
    assert item.columns["target_image"] == LARGE


@pytest.mark.parametrize("between", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("first", ["", "sep={0}{1}", "\ufeff"])
def test_the_separators_of_spreadsheets_are_known(rows_of, between, end, first):
    header = between.join(("target_image", '"note, or; more"', "face_image"))
    row = between.join(("https://p.test/a,b;c.jpg", "", "https://p.test/b.jpg"))
    if between in ",;":
        row = row.replace("https://p.test/a,b;c.jpg", '"https://p.test/a,b;c.jpg"')
    [item] = rows_of(first.format(between, end) + header + end + end + row + end)
    assert item == BatchItem(
        0, {"target_image": "https://p.test/a,b;c.jpg", "face_image": "https://p.test/b.jpg"}
    )


@pytest.mark.parametrize("name", ["x", "X"])
def test_a_short_header_is_no_separator(rows_of, name):
    assert rows_of(f"{name}\n1\n")[0].columns == {name: "1"}


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "utf-16"])
def test_a_file_in_another_encoding_is_refused_with_the_line(rows_of, encoding):
    text = {"cp1252": "jos\u00e9", "cp1251": "\u0438\u0432\u0430\u043d", "utf-16": "x"}[encoding]
    line = 1 if encoding == "utf-16" else 3
    with pytest.raises(InvalidRequestError, match=f"items: line {line} is not UTF-8") as caught:
        rows_of(f"target_image,name\na,b\nc,{text}\n".encode(encoding))
    assert "Save the file as UTF-8" in str(caught.value)


def test_a_line_of_json_in_another_encoding_is_a_bad_row(rows_of):
    good, bad = rows_of('{"a": 1}\n{"a": "\u00e9"}\n'.encode("cp1252"), "items.jsonl")
    assert (good.problem, bad.problem) == (None, "line 2 is not UTF-8")


def test_a_row_with_an_extra_cell_is_a_bad_row_with_its_line(rows_of):
    good, bad, last = rows_of('a,b\n1,"2\n3"\n4,5,6\n7,8\n')
    assert (good.problem, last.problem) == (None, None)
    assert bad.problem == "line 4 has more cells than the file has columns"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('a,b\n1,2\n"3,4\n5,6\n', "line 3 is not CSV"),
        ("a,b, a\n1,2,3\n", "two columns have the name 'a'"),
    ],
)
def test_a_damaged_table_is_refused_with_the_place(rows_of, text, says):
    with pytest.raises(InvalidRequestError, match=says):
        rows_of(text)


@pytest.mark.parametrize(
    "row", ['{"role": 1, "role ": 2}', '{"role": 1, "role": 2}', '{"caf\u00e9": 1, "cafe\u0301": 2}']
)
def test_a_row_with_two_columns_of_one_name_is_a_bad_row(rows_of, row):
    good, bad = rows_of(f'{{"role": 1, "": 2, " ": 3}}\n{row}\n', "items.jsonl")
    assert good.problem is None
    assert re.search(r"two (columns|values) have the name '(role|caf\u00e9)'", bad.problem)
    assert not bad.columns


@pytest.mark.parametrize("other", ["role", "role "])
def test_a_parquet_file_with_two_columns_of_one_name_is_refused(tmp_path, other):
    import pyarrow as pa
    from pyarrow import parquet as file

    table = pa.table([["captain"], ["cook"]], names=["role", other])
    file.write_table(table, tmp_path / "items.parquet")
    with pytest.raises(InvalidRequestError, match="two columns have the name 'role'"):
        list(Items(tmp_path / "items.parquet"))


@pytest.mark.parametrize("name", ["items.csv", "items.jsonl"])
def test_a_line_has_a_limit(rows_of, monkeypatch, name):
    monkeypatch.setattr("airflow_provider_faceswap.batch.item_files.MAX_LINE", 10)
    with pytest.raises(InvalidRequestError, match="line 2 is longer than 10 characters"):
        rows_of("a,b\n" + "1" * 11, name)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:200],
        lambda data: data[:4] + bytes(200) + data[-100:],
        lambda data: b"PAR1" + bytes(300) + data[-60:],
        lambda _: b"",
    ],
)
def test_a_damaged_parquet_file_is_a_wrong_argument(tmp_path, damage):
    parquet(tmp_path / "items.parquet")
    data = (tmp_path / "items.parquet").read_bytes()
    (tmp_path / "items.parquet").write_bytes(damage(data))
    with pytest.raises(InvalidRequestError, match=r"could not be read after row .* is damaged"):
        list(Items(tmp_path / "items.parquet"))


def test_a_storage_that_fails_under_a_parquet_file_may_be_tried_again(tmp_path, monkeypatch):
    parquet(tmp_path / "items.parquet")

    def away(*_, **__):
        raise OSError("the disk is away")

    really = LocalFileSystem.open

    def opened(self, *args, **options):
        file = really(self, *args, **options)
        monkeypatch.setattr(file, "read", away)
        return file

    monkeypatch.setattr(LocalFileSystem, "open", opened)
    with pytest.raises(FaceSwapError, match="could not be read") as caught:
        list(Items(tmp_path / "items.parquet"))
    assert type(caught.value) is FaceSwapError


@pytest.mark.parametrize("depth", [150, 900, 100_000])
@pytest.mark.parametrize("column", ["target_image", "note"])
def test_json_that_is_nested_too_deep_is_a_wrong_row(rows_of, depth, column):
    [item] = rows_of(f'{{"{column}": {"[" * depth}{"]" * depth}}}\n', "items.jsonl")
    assert "nested deeper" in item.problem or "is not JSON" in item.problem
    assert not item.columns
