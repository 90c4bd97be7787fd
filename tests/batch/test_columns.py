"""The columns that steps name, and the columns that a file has."""

from __future__ import annotations

import pytest

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step


@pytest.fixture
def estimate(connections, tmp_path, context):
    connections("https://vendor.test")

    def of(items, prompt):
        if isinstance(items, str):
            (tmp_path / "items.csv").write_text(items, encoding="utf-8")
            items = f"file://{tmp_path}/items.csv"
        steps = [Step("picture", "tengrai_default", "image", prompt=prompt)]
        return MediaBatchOperator(
            task_id="chains", items=items, steps=steps, destination=f"file://{tmp_path}", dry_run=True
        ).execute(context)

    return of


@pytest.mark.parametrize("column", ["नाम", "cafe\u0301", "ชื่อ", "имя", "face-1 b"])
def test_a_column_in_any_script_can_be_named(estimate, column):
    assert estimate([{column: "anna"}], f"portrait of {{{column}}}")["jobs"] == 1


@pytest.mark.parametrize(("column", "named"), [("cafe\u0301", "caf\u00e9"), ("caf\u00e9", "cafe\u0301")])
def test_a_letter_is_the_same_however_it_is_composed(estimate, column, named):
    assert estimate([{column: "anna"}], f"portrait of {{{named}}}")["jobs"] == 1


@pytest.mark.parametrize("name", ["\u0301", "\u0301a", "a.b", "a\u0301.b", ""])
def test_a_sign_without_its_letter_is_no_name(name):
    with pytest.raises(InvalidRequestError, match="is not a name"):
        Step("picture", "tengrai_default", "image", prompt=f"portrait of {{{name}}}")


def test_a_cell_that_all_rows_lack_is_said_to_be_missing(estimate):
    with pytest.raises(InvalidRequestError, match=r"prompt: role: is empty"):
        estimate("name,role\nanna\nboris\n", "portrait of {role}")


def test_a_file_with_a_header_only_is_checked_against_the_names(estimate):
    assert estimate("name,role\n", "portrait of {role}")["total"] == 0
    with pytest.raises(InvalidRequestError, match=r"names {rolle}.*is {role} meant"):
        estimate("name,role\n", "portrait of {rolle}")
