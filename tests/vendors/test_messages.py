"""What every vendor file reads with: waits, ids and words of any shape."""

from __future__ import annotations

import pytest

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.vendors.messages import Reply, as_id, as_word, checked_id, path_segment

NOW = "Sat, 21 Nov 2026 10:00:00 GMT"
DAY = 86_400.0


def wait_of(**headers):
    return Reply(503, "", {name.replace("_", "-"): value for name, value in headers.items()}).retry_after


# -- how long to wait -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("86400", DAY),
        ("86401", DAY),
        ("1e300", DAY),
        ("1" * 400, None),
    ],
)
def test_a_wait_is_a_number_of_seconds_and_never_longer_than_a_day(asked, seconds):
    assert wait_of(retry_after=asked) == seconds


@pytest.mark.parametrize("asked", ["", "soon", "nan", "inf", "-inf", "Infinity", "-3", "7 s", "\x00"])
def test_what_is_no_wait_is_none_rather_than_forever_or_never(asked):
    assert wait_of(retry_after=asked, date=NOW) is None


def test_without_the_header_there_is_no_wait():
    assert wait_of(date=NOW) is None


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("Sat, 21 Nov 2026 10:00:30 GMT", 30.0),
        ("Saturday, 21-Nov-26 10:00:30 GMT", 30.0),
        ("Sat Nov 21 10:00:30 2026", 30.0),
        (NOW, 0.0),
        ("Sat, 21 Nov 2026 09:59:59 GMT", None),
        ("Mon, 21 Nov 2033 10:00:00 GMT", DAY),
        ("Sat, 99 Nov 2026 10:00:30 GMT", None),
    ],
)
def test_a_date_counts_from_the_date_of_the_same_answer(asked, seconds):
    assert wait_of(retry_after=asked, date=NOW) == seconds


@pytest.mark.parametrize("headers", [{}, {"date": ""}, {"date": "today"}])
def test_a_date_is_no_wait_where_the_answer_does_not_tell_its_own(headers):
    assert wait_of(retry_after=NOW, **headers) is None


# -- ids ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "text"), [("65819c48", "65819c48"), ("-7_x/y", "-7_x/y"), (17, "17")])
def test_an_id_is_a_text_or_a_whole_number(value, text):
    assert as_id(value) == text


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "  ", "\n", 0, -1, True, False, 1.5, {"a": 1}, {}, ["x"], [], 10**300),
        # K1: a stricter form than text has.
        *("a b", "a\n", "a\x00", "a\x1b[1m", "a\ud83d", "a\u202e", "task-№7", ".", "..", "x" * 201),
    ],
    ids=ascii,
)
def test_everything_else_is_no_id_and_does_not_become_a_text_that_looks_like_one(value):
    assert as_id(value) == ""


@pytest.mark.parametrize(
    "job_id",
    ["", " ", "\t\n", ".", "..", None, 17, True, b"x", {"job_id": "x"}, "a\n", "a b", "a\ud83d", "é"],
    ids=ascii,
)
@pytest.mark.parametrize("ask", [checked_id, path_segment])
def test_what_cannot_be_a_job_id_never_reaches_the_wire(ask, job_id):
    with pytest.raises(InvalidRequestError, match="job id"):
        ask(job_id)


def test_a_job_id_is_one_segment_of_a_path_whatever_stands_in_it():
    assert path_segment("a/../b?c#d%") == "a%2F..%2Fb%3Fc%23d%25"
    assert path_segment("...") == "..."


# -- words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("invalid_request_error", "invalid_request_error"),
        (0, "0"),
        (1001, "1001"),
        (None, ""),
        ("see\n https://h.test/p?token=topsecret", "see https://h.test/p"),
        ("x" * 500, "x" * 79 + "…"),
    ],
)
def test_a_word_of_a_vendor_is_short_one_line_and_without_a_signed_query(value, shown):
    assert as_word(value) == shown
