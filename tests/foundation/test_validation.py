"""Durations, counts and words, as users give them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.validation import as_choice, as_count, as_job_id, as_seconds
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator


@pytest.mark.parametrize(
    ("value", "seconds"), [(1, 1.0), (0.5, 0.5), (timedelta(minutes=2), 120.0), (1e9, 1e9)]
)
def test_a_duration_is_a_number_of_seconds(value, seconds):
    assert as_seconds("timeout", value) == seconds


@pytest.mark.parametrize("value", [0, -1, True, "60", None, float("nan"), float("inf"), timedelta(0), 1e12])
def test_no_duration(value):
    with pytest.raises(InvalidRequestError, match="timeout: must be a number of seconds"):
        as_seconds("timeout", value)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "2", None])
def test_no_count(value):
    with pytest.raises(InvalidRequestError, match=r"concurrency: must be a whole number above 0, got"):
        as_count("concurrency", value)


def test_a_count_and_a_word_are_given_back():
    assert (as_count("n", 3), as_choice("w", "b", ("a", "b"))) == (3, "b")


def test_no_such_word():
    with pytest.raises(InvalidRequestError, match="on_clear: must be one of reuse, resubmit, got 'again'"):
        as_choice("on_clear", "again", ("reuse", "resubmit"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": True},
        {"max_submissions": 0},
        {"timeout": 0},
        {"poll_interval": -1},
        {"on_clear": "again"},
        {"on_uncertain": "hope"},
        {"preflight": "never"},
        {"fail_on": 2.0},
        {"fail_on": True},
    ],
)
def test_a_batch_refuses_them_where_it_is_made(wrong):
    [name] = wrong
    with pytest.raises(InvalidRequestError, match=name):
        FaceSwapBatchOperator(task_id="swaps", conn_id="c", items=[], destination="file:///x", **wrong)


@pytest.mark.parametrize(
    "given", ["j-1", " j-1\n", {"job_id": "j-1", "url": None}], ids=["id", "with a line's end", "result"]
)
def test_a_job_is_its_id_or_the_result_of_its_operator(given):
    assert as_job_id("job_id", given) == "j-1"


def test_an_id_that_a_native_template_made_a_number_of_is_one():
    assert as_job_id("job_id", 12) == "12"


@pytest.mark.parametrize(
    "given",
    ["", " ", "None", None, True, 1.5, [], {}, {"job_id": None}, "two words", "a" * 201, "a\x00b"],
    ids=repr,
)
def test_what_names_no_job_is_refused(given):
    with pytest.raises(InvalidRequestError, match="job_id: must be a job id"):
        as_job_id("job_id", given)


@pytest.mark.parametrize("given", ["{'job_id': 'j-1', 'url': 'https://a.test/r.png?sig=SECRET'}", "[SECRET]"])
def test_the_text_of_a_result_is_refused_and_not_repeated(given):
    with pytest.raises(InvalidRequestError, match="is the text of a result") as told:
        as_job_id("job_id", given)
    assert "SECRET" not in str(told.value)
