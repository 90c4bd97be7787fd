"""The vocabulary: states, and what a finished job looks like to its buyer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.jobs import (
    Cost,
    FailureReason,
    GivenResult,
    Job,
    JobResult,
    JobState,
    Submission,
)

SENT = datetime(2026, 1, 1, 12, tzinfo=UTC)
SEEN = SENT + timedelta(minutes=5)
LINKS = ("https://a.test/1.png?sig=s", "https://a.test/2.png")


def a_job(**more):
    return Job(
        **{
            "vendor": "piapi",
            "kind": "face_swap",
            "job_id": "j1",
            "state": "succeeded",
            "status": "completed",
            **more,
        }
    )


def a_submission(**more):
    return Submission(
        **{
            "vendor": "piapi",
            "kind": "face_swap",
            "job_id": "j1",
            "conn_id": "piapi_default",
            "submitted_at": SENT,
            "deadline": SENT + timedelta(hours=1),
            **more,
        }
    )


@pytest.mark.parametrize(
    ("state", "terminal"),
    [("queued", False), ("running", False), ("succeeded", True), ("failed", True), ("canceled", True)],
)
def test_three_states_are_terminal(state, terminal):
    assert JobState(state).terminal is terminal


def test_there_are_five_states_and_no_sixth():
    assert [state.value for state in JobState] == ["queued", "running", "succeeded", "failed", "canceled"]
    with pytest.raises(ValidationError):
        a_job(state="done")


def test_a_job_cannot_be_changed_and_takes_no_field_nobody_knows():
    job = a_job()
    with pytest.raises(ValidationError, match="frozen"):
        job.state = JobState.FAILED
    with pytest.raises(ValidationError, match="Extra inputs"):
        a_job(colour="blue")


@pytest.mark.parametrize(("more", "has"), [({}, False), ({"urls": LINKS}, True), ({"inline": (b"x",)}, True)])
def test_a_job_has_output_where_there_is_a_link_or_the_picture_itself(more, has):
    assert a_job(**more).has_output is has


def test_the_picture_itself_is_neither_stored_nor_shown():
    job = a_job(inline=(b"topsecret",))
    assert "topsecret" not in repr(job)
    assert "inline" not in job.model_dump()
    assert "topsecret" not in job.model_dump_json()


def test_a_job_says_nothing_it_was_not_told():
    job = a_job()
    assert (job.urls, job.percent, job.cost, job.failure) == ((), None, None, None)
    assert (job.created_at, job.finished_at, job.failure_reason) == (None, None, FailureReason.UNKNOWN)


def test_a_result_joins_what_the_vendor_and_the_buyer_know():
    submission = a_submission(cost=Cost(amount=15, unit="RUB"), reused=True, provenance={"a": 1})
    result = submission.result(a_job(urls=LINKS), seen_at=SEEN, retention=timedelta(days=3))
    assert result == JobResult(
        vendor="piapi",
        kind="face_swap",
        job_id="j1",
        conn_id="piapi_default",
        url=LINKS[0],
        urls=LINKS,
        cost=Cost(amount=15, unit="RUB"),
        submitted_at=SENT,
        finished_at=SEEN,
        expires_at=SENT + timedelta(days=3),
        attempt_reused=True,
        provenance={"a": 1},
    )


def test_what_the_vendor_tells_of_time_and_money_goes_first():
    created, finished = SENT + timedelta(seconds=1), SENT + timedelta(seconds=9)
    job = a_job(created_at=created, finished_at=finished, cost=Cost(amount=7, unit="point"))
    result = a_submission(cost=Cost(amount=15, unit="RUB")).result(
        job, seen_at=SEEN, retention=timedelta(days=1)
    )
    assert (result.submitted_at, result.finished_at) == (created, finished)
    assert result.cost == Cost(amount=7, unit="point")
    assert result.expires_at == created + timedelta(days=1)


def test_the_link_is_never_said_to_live_longer_than_from_the_start():
    """The vendors do not say when their clock starts: the earliest moment is the safe one."""
    result = a_submission().result(a_job(), seen_at=SEEN, retention=timedelta(days=3))
    assert result.expires_at < SEEN + timedelta(days=3)


def test_without_a_link_and_a_known_retention_a_result_says_none():
    result = a_submission().result(a_job(inline=(b"x",)), seen_at=SEEN, retention=None)
    assert (result.url, result.urls, result.expires_at) == (None, (), None)


def test_a_result_travels_as_plain_json_with_the_promised_keys():
    value = (
        a_submission(cost=Cost(amount=1, unit="RUB"))
        .result(a_job(urls=LINKS), seen_at=SEEN, retention=timedelta(days=3))
        .to_xcom()
    )
    assert json.loads(json.dumps(value)) == value
    promised = {
        "vendor",
        "kind",
        "job_id",
        "conn_id",
        "url",
        "urls",
        "cost",
        "submitted_at",
        "finished_at",
        "expires_at",
        "attempt_reused",
    }
    assert promised <= set(value)
    assert value["cost"] == {"amount": 1.0, "unit": "RUB"}
    assert value["urls"] == list(LINKS)
    assert value["submitted_at"] == "2026-01-01T12:00:00Z"


def test_a_submission_comes_back_from_plain_json_as_it_was():
    submission = a_submission(cost=Cost(amount=15, unit="RUB"), provenance={"arguments": {"n": 1}})
    stored = json.loads(json.dumps(submission.model_dump(mode="json")))
    assert Submission.model_validate(stored) == submission


# -- results that come back in an argument --------------------------------------------------------------


def a_result():
    return a_submission(cost=Cost(amount=1, unit="RUB"), provenance={"arguments": {"n": 1}}).result(
        a_job(urls=LINKS), seen_at=SEEN, retention=timedelta(days=3)
    )


def test_a_result_comes_back_from_xcom_as_it_was():
    assert JobResult.parse(a_result().to_xcom()) == a_result()
    given = GivenResult.parse({**a_result().to_xcom(), "of a later version": 1})
    assert given.model_dump(mode="json") == a_result().to_xcom()


def test_three_keys_make_a_result():
    given = GivenResult.parse({"vendor": "piapi", "job_id": 1, "url": None})
    assert (given.vendor, given.job_id, given.links, given.conn_id) == ("piapi", "1", (), None)


@pytest.mark.parametrize(
    "value",
    [
        {"vendor": "piapi", "job_id": "1"},
        {"url": LINKS[0]},
        {},
        LINKS[0],
        ["vendor", "job_id", "url"],
        {"vendor", "job_id", "url"},
        None,
    ],
)
def test_anything_else_is_no_result(value):
    assert GivenResult.parse(value) is None


@pytest.mark.parametrize("wrong", [{"url": 5}, {"urls": [None]}, {"url": None, "urls": "SECRET"}])
def test_a_result_with_a_wrong_field_is_refused_with_its_job_and_without_the_value(wrong):
    name = next(iter(wrong))
    with pytest.raises(InvalidRequestError, match=rf"piapi: .*cannot be read \({name}.*job j1") as caught:
        GivenResult.parse({**a_result().to_xcom(), **wrong})
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "unusable",
    [
        {"expires_at": ""},
        {"submitted_at": "yesterday"},
        {"finished_at": 10**30},
        {"cost": {"amount": 1, "unit": "RUB", "currency": "RUB"}},
        {"provenance": "nonsense"},
        {"kind": 7, "attempt_reused": "perhaps"},
    ],
)
def test_a_paid_result_is_kept_without_its_unusable_details(unusable):
    given = GivenResult.parse({**a_result().to_xcom(), **unusable})
    assert (given.job_id, given.links) == ("j1", LINKS)
    assert all(getattr(given, name) is None for name in unusable)


@pytest.mark.parametrize("missing", ["", None])
def test_a_result_without_a_job_id_is_refused_and_names_no_job(missing):
    with pytest.raises(InvalidRequestError, match="cannot be read \\(job_id") as caught:
        GivenResult.parse({"vendor": "piapi", "job_id": missing, "url": None})
    assert caught.value.job_id is None
