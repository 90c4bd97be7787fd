"""How a wait ended: the closed list of words, the event that carries one, the error it stands for."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_faceswap import exceptions
from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    ContentRefusedError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobCanceledError,
    JobFailedError,
    JobLostError,
    JobTimeoutError,
    MalformedResponseError,
    NoFaceError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionUncertainError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.jobs import Cost, FailureReason, Job, Submission
from airflow_provider_faceswap.lifecycle.outcomes import (
    Outcome,
    ReadFailure,
    WaitResult,
    failure_error,
    is_transient,
    read_event,
)

WHO = {"vendor": "tengrai", "job_id": "j1"}
SENT = datetime(2026, 1, 1, tzinfo=UTC)
SUBMISSION = Submission(
    **WHO, kind="face_swap", conn_id="c", submitted_at=SENT, deadline=SENT + timedelta(hours=1)
)


def a_job(state="succeeded", **more):
    return Job(**WHO, kind="face_swap", state=state, status=state, **more)


def wait_result(outcome, **more):
    return WaitResult(outcome=outcome, **WHO, **more)


def rate_limited():
    return ReadFailure.of(RateLimitError("slow down", status_code=429, code="x", retry_after=9))


SUCCESS = wait_result(Outcome.SUCCEEDED, job=a_job())

# -- errors ---------------------------------------------------------------------------------------------------

ERRORS = [
    (wait_result(Outcome.FAILED, job=a_job("failed", failure="no luck")), JobFailedError, "no luck"),
    (wait_result(Outcome.CANCELED, job=a_job("canceled")), JobCanceledError, "cancelled at the vendor"),
    (wait_result(Outcome.TIMED_OUT, job=a_job("running")), JobTimeoutError, "last status 'running'"),
    (wait_result(Outcome.TIMED_OUT), JobTimeoutError, "no poll succeeded"),
    (
        wait_result(Outcome.LOST, failure=ReadFailure.of(JobLostError("gone for good"))),
        JobLostError,
        "gone for good",
    ),
    (wait_result(Outcome.NO_OUTPUT, job=a_job()), MalformedResponseError, "without a usable link"),
    (wait_result(Outcome.UNREADABLE, failure=rate_limited()), RateLimitError, "slow down"),
    (
        wait_result(Outcome.REFUSED, failure=ReadFailure.of(AuthenticationError("bad key", status_code=401))),
        AuthenticationError,
        "bad key",
    ),
]


@pytest.mark.parametrize(("end", "cls", "text"), ERRORS)
def test_each_ending_but_success_is_one_error_that_names_vendor_and_job(end, cls, text):
    error = end.to_error()
    assert type(error) is cls
    assert (error.vendor, error.job_id) == ("tengrai", "j1")
    assert text in str(error)
    assert "tengrai" in str(error)
    assert "j1" in str(error)
    assert error.advice


def test_the_table_of_errors_knows_every_word():
    assert {row[0].outcome for row in ERRORS} | {Outcome.SUCCEEDED} == set(Outcome)


@pytest.mark.parametrize(
    ("word", "final"),
    [
        (Outcome.SUCCEEDED, True),
        (Outcome.FAILED, True),
        (Outcome.CANCELED, True),
        (Outcome.LOST, True),
        (Outcome.TIMED_OUT, False),
        (Outcome.NO_OUTPUT, False),
        (Outcome.UNREADABLE, False),
        (Outcome.REFUSED, False),
    ],
)
def test_an_ending_that_leaves_the_job_going_is_resumable_and_says_so(word, final):
    end = next((row[0] for row in ERRORS if row[0].outcome is word), SUCCESS)
    assert end.is_final is final
    if not final:
        assert "resume_job_id" in str(end.to_error())


@pytest.mark.parametrize(
    ("confirmed", "says", "keeps_silent"),
    [
        (None, ["resume_job_id"], ["cancel"]),
        (True, ["confirmed the cancel", "submits a new job"], ["resume_job_id", "not confirmed"]),
        (False, ["a cancellation was requested, but not confirmed", "resume_job_id"], ["submits a new job"]),
    ],
)
def test_a_deadline_says_what_became_of_the_cancel(confirmed, says, keeps_silent):
    end = wait_result(Outcome.TIMED_OUT, job=a_job("running"))
    if confirmed is not None:
        end = end.after_cancel(confirmed=confirmed)
    text = str(end.to_error())
    assert all(part in text for part in says)
    assert not any(part in text for part in keeps_silent)


def test_a_cancel_at_the_deadline_changes_nothing_else():
    before = wait_result(Outcome.TIMED_OUT, job=a_job("running"))
    after = before.after_cancel(confirmed=True)
    assert after.model_dump(exclude={"cancel_confirmed"}) == before.model_dump(exclude={"cancel_confirmed"})
    assert before.cancel_confirmed is None


@pytest.mark.parametrize(
    ("reason", "cls"),
    [
        (FailureReason.UNKNOWN, JobFailedError),
        (FailureReason.NO_FACE, NoFaceError),
        (FailureReason.CONTENT_REFUSED, ContentRefusedError),
        (FailureReason.BAD_INPUT, InvalidRequestError),
        (FailureReason.INSUFFICIENT_BALANCE, InsufficientBalanceError),
    ],
)
@pytest.mark.parametrize("cost", [None, Cost(amount=15, unit="RUB")])
def test_a_failed_job_has_the_class_of_its_reason_and_tells_the_charge_as_far_as_it_is_known(
    reason, cls, cost
):
    error = failure_error(a_job("failed", failure="no luck", failure_reason=reason, cost=cost))
    assert type(error) is cls
    assert "no luck" in str(error)
    assert ("charged 15 RUB" in str(error)) is (cost is not None)
    # An accepted job was bought, whatever the class says of requests.
    assert "Nothing was bought" not in str(error)


@pytest.mark.parametrize("word", [Outcome.FAILED, Outcome.CANCELED])
def test_what_the_create_said_of_the_charge_is_told_where_the_end_says_nothing(word):
    bought = Cost(amount=12.5, unit="RUB")
    assert "charged 12.5 RUB as far as is known" in str(
        wait_result(word, job=a_job("failed")).to_error(bought)
    )
    later = a_job("failed", cost=Cost(amount=3, unit="RUB"))
    assert "charged 3 RUB" in str(wait_result(word, job=later).to_error(bought))
    assert "charged" not in str(wait_result(word, job=a_job("failed")).to_error())


def test_a_status_with_a_signed_link_is_told_without():
    job = a_job("running").model_copy(update={"status": "waiting https://h.test/p?sig=SECRET"})
    assert "SECRET" not in str(wait_result(Outcome.TIMED_OUT, job=job).to_error())


def test_every_reason_for_a_failure_is_known_here():
    assert len(FailureReason) == 5


# -- troubles -------------------------------------------------------------------------------------------------

VENDOR_ERRORS = [
    cls
    for cls in vars(exceptions).values()
    if inspect.isclass(cls) and issubclass(cls, VendorError) and cls is not VendorError
]


@pytest.mark.parametrize("cls", [VendorError, *VENDOR_ERRORS], ids=lambda cls: cls.__name__)
def test_a_failed_read_crosses_to_another_process_and_back_as_the_same_error(cls):
    error = cls("no luck", vendor="x", status_code=418, code="c7")
    stored = json.loads(json.dumps(ReadFailure.of(error).model_dump(mode="json")))
    again = ReadFailure.model_validate(stored).to_error(**WHO, advice="Rest.")
    assert type(again) is cls
    assert (again.message, again.status_code, again.code) == ("no luck", 418, "c7")
    assert (again.vendor, again.job_id, again.advice) == ("tengrai", "j1", "Rest.")


@pytest.mark.parametrize(
    "name",
    ["AirflowFailException", "FaceSwapError", "JobLostError", "NoSuchError", "annotations", "", "__doc__"],
)
def test_a_trouble_of_a_name_that_is_no_vendor_error_is_an_unavailable_vendor(name):
    error = ReadFailure(type=name, message="m").to_error(**WHO, advice="Rest.")
    assert type(error) is VendorUnavailableError


def test_a_refused_read_does_not_say_that_nothing_was_bought():
    """The class's own advice speaks of a request; here the job was bought before."""
    for cls in VENDOR_ERRORS:
        text = str(wait_result(Outcome.REFUSED, failure=ReadFailure.of(cls("no luck"))).to_error())
        assert cls.advice not in text
        assert "resume_job_id" in text


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (VendorUnavailableError("m"), True),
        (RateLimitError("m"), True),
        (MalformedResponseError("m"), True),
        (VendorError("m"), True),
        (AuthenticationError("m"), False),
        (PermissionDeniedError("m"), False),
        (InsufficientBalanceError("m"), False),
        (InvalidRequestError("m"), False),
        (ContentRefusedError("m"), False),
        (JobLostError("m"), False),
        (SubmissionUncertainError("m"), False),
        (FaceSwapError("m"), False),
    ],
)
def test_a_failed_read_is_worth_another_where_it_says_nothing_about_the_job(error, again):
    assert is_transient(error) is again


# -- events ---------------------------------------------------------------------------------------------------

ENDINGS = [
    wait_result(
        Outcome.SUCCEEDED, job=a_job(cost=Cost(amount=1, unit="RUB"), created_at=SENT, finished_at=SENT)
    ),
    wait_result(Outcome.FAILED, job=a_job("failed", failure="no luck", failure_reason=FailureReason.NO_FACE)),
    wait_result(Outcome.TIMED_OUT).after_cancel(confirmed=False),
    wait_result(Outcome.UNREADABLE, failure=rate_limited()),
]


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.outcome.value)
def test_an_event_is_plain_json_and_brings_the_ending_back(end):
    event = json.loads(json.dumps(end.to_event(SUBMISSION)))
    assert read_event(event) == (SUBMISSION, end)


def test_an_event_carries_no_link_and_no_picture():
    job = a_job(urls=("https://a.test/x.png?sig=topsecret",), inline=(b"topsecret",))
    event = wait_result(Outcome.SUCCEEDED, job=job).to_event(SUBMISSION)
    assert "topsecret" not in json.dumps(event)
    assert "a.test" not in json.dumps(event)


def test_what_the_task_kept_goes_before_what_the_event_says_of_it():
    kept = SUBMISSION.model_copy(update={"conn_id": "kept"})
    event = ENDINGS[0].to_event(SUBMISSION)
    assert read_event(event, kept.model_dump(mode="json"))[0].conn_id == "kept"
    assert read_event(event, kept)[0].conn_id == "kept"


GOOD = ENDINGS[0].to_event(SUBMISSION)


@pytest.mark.parametrize(
    "event",
    [
        None,
        "succeeded",
        [],
        {},
        {"status": "success"},
        {"ending": None},
        {"ending": "succeeded"},
        {"ending": {**GOOD["ending"], "word": "success"}},
        {"ending": {**GOOD["ending"], "word": "SUCCEEDED"}},
        {"ending": {**GOOD["ending"], "word": None}},
        {"ending": {**GOOD["ending"], "tomorrow": 1}},
        {"ending": {key: value for key, value in GOOD["ending"].items() if key != "vendor"}},
        {"ending": {**GOOD["ending"], "job": {**GOOD["ending"]["job"], "state": "done"}}},
    ],
)
def test_an_event_that_nobody_knows_is_no_ending_and_least_of_all_a_success(event):
    with pytest.raises(FaceSwapError, match="cannot read the trigger's event") as caught:
        read_event(event, SUBMISSION)
    assert (caught.value.vendor, caught.value.job_id) == ("tengrai", "j1")
    assert "resume_job_id" in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("job_id", "j2"), ("vendor", "piapi")])
def test_an_event_about_another_job_is_refused(name, value):
    event = {**GOOD, "ending": {**GOOD["ending"], name: value}}
    with pytest.raises(FaceSwapError, match=f"is about .*{value}") as caught:
        read_event(event)
    assert (caught.value.vendor, caught.value.job_id) == ("tengrai", "j1")


@pytest.mark.parametrize(
    "event", [None, {}, "x", {"ending": GOOD["ending"]}, {"submission": {"job_id": "j1"}}]
)
def test_an_event_without_a_word_on_the_job_says_that_it_may_be_paid(event):
    with pytest.raises(FaceSwapError, match="contains no job") as caught:
        read_event(event)
    assert "paid" in str(caught.value)
