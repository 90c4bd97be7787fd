"""The error tree: who descends from whom, who stops a task at once, and what a message says."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_faceswap import exceptions
from airflow_provider_faceswap.exceptions import (
    FaceSwapError,
    InvalidRequestError,
    JobFailedError,
    RateLimitError,
    SubmissionUncertainError,
    VendorError,
    VendorUnavailableError,
)

#: class, parent, whether a retry of the task is pointless
TREE = [
    ("FaceSwapError", "Exception", False),
    ("VendorError", "FaceSwapError", False),
    ("AuthenticationError", "VendorError", True),
    ("PermissionDeniedError", "VendorError", True),
    ("InsufficientBalanceError", "VendorError", True),
    ("InvalidRequestError", "VendorError", True),
    ("PictureNotTakenError", "InvalidRequestError", True),
    ("ContentRefusedError", "VendorError", True),
    ("NoFaceError", "VendorError", True),
    ("RateLimitError", "VendorError", False),
    ("VendorUnavailableError", "VendorError", False),
    ("MalformedResponseError", "VendorError", False),
    ("JobFailedError", "FaceSwapError", False),
    ("JobCanceledError", "FaceSwapError", False),
    ("JobTimeoutError", "FaceSwapError", False),
    ("JobLostError", "FaceSwapError", False),
    ("BatchFailedError", "FaceSwapError", False),
    ("BatchRefusedError", "BatchFailedError", True),
    ("BudgetExceededError", "FaceSwapError", True),
    ("BudgetBusyError", "FaceSwapError", False),
    ("SubmissionUncertainError", "FaceSwapError", True),
    ("ArchiveError", "FaceSwapError", False),
    ("ResultExpiredError", "ArchiveError", True),
    ("UnsafeURLError", "ArchiveError", True),
    ("TooLargeError", "ArchiveError", True),
    ("NotAnImageError", "ArchiveError", False),
]
CLASSES = [getattr(exceptions, name) for name, _, _ in TREE]


def test_the_module_offers_the_tree_and_nothing_else():
    defined = {
        name
        for name, value in vars(exceptions).items()
        if inspect.isclass(value) and value.__module__ == exceptions.__name__
    }
    assert defined == set(exceptions.__all__) == {name for name, _, _ in TREE}


@pytest.mark.parametrize(("name", "parent", "fails_fast"), TREE, ids=[row[0] for row in TREE])
def test_each_class_has_its_place_and_stops_the_task_only_where_a_retry_is_pointless(
    name, parent, fails_fast
):
    cls = getattr(exceptions, name)
    assert cls.__bases__[0].__name__ == parent
    assert issubclass(cls, AirflowFailException) is fails_fast


@pytest.mark.parametrize(
    ("name", "fails_fast"), [(name, fails_fast) for name, _, fails_fast in TREE if "Error" in name]
)
def test_the_tree_drawn_at_the_top_of_the_module_is_the_tree(name, fails_fast):
    (line,) = re.findall(rf"^.*\b{name}\b.*$", exceptions.__doc__, re.MULTILINE)
    assert ("no retry" in line) is fails_fast


def test_a_wrong_argument_is_a_value_error_too():
    assert issubclass(InvalidRequestError, ValueError)


def test_a_message_names_vendor_job_status_and_code_and_then_what_to_do():
    error = VendorError("no luck", vendor="piapi", job_id="j1", status_code=400, code="7", advice="Go home.")
    assert str(error) == "piapi: no luck [job j1, HTTP 400, code 7] Go home."
    assert (error.message, error.vendor, error.job_id) == ("no luck", "piapi", "j1")
    assert (error.status_code, error.code) == (400, "7")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FaceSwapError("no luck"), "no luck."),
        (FaceSwapError("no luck."), "no luck."),
        (FaceSwapError("no luck!"), "no luck!"),
        (FaceSwapError("no luck", vendor="tengrai"), "tengrai: no luck."),
        (FaceSwapError("no luck", job_id="j1"), "no luck [job j1]"),
        (FaceSwapError("no luck", advice="Rest."), "no luck. Rest."),
        (VendorError("no luck"), "no luck."),
    ],
)
def test_a_message_is_a_sentence_with_and_without_facts(error, text):
    assert str(error) == text


@pytest.mark.parametrize(
    "cls",
    [cls for cls in CLASSES if cls not in (FaceSwapError, VendorError)],
    ids=lambda cls: cls.__name__,
)
def test_every_ending_says_what_to_do_next_and_an_instance_may_know_better(cls):
    assert re.search(r"\w.*[.]$", cls.advice)
    assert str(cls("it went wrong")).endswith(f"it went wrong. {cls.advice}")
    better = cls("it went wrong", advice="Call Ann.")
    assert str(better) == "it went wrong. Call Ann."
    assert cls.advice != "Call Ann."


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (SubmissionUncertainError, ["charged", "resume_job_id", "on_uncertain='resubmit'"]),
        (exceptions.JobTimeoutError, ["charged", "resume_job_id", "timeout"]),
        (exceptions.JobLostError, ["charged"]),
        (exceptions.ResultExpiredError, ["paid"]),
        (exceptions.ArchiveError, ["paid"]),
        (InvalidRequestError, ["Nothing was bought"]),
        (JobFailedError, ["submits a new job"]),
        (exceptions.JobCanceledError, ["submits a new job"]),
    ],
)
def test_the_advice_tells_what_is_known_of_the_money(cls, words):
    assert all(word in cls.advice for word in words)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    "clone", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"]
)
def test_an_error_survives_the_way_to_another_process(cls, clone):
    error = cls("no luck", vendor="piapi", job_id="j1", advice="Rest.")
    other = clone(error)
    assert type(other) is cls
    assert str(other) == str(error) == "piapi: no luck [job j1] Rest."


def test_a_rate_limit_keeps_the_wait_on_its_way_to_another_process():
    error = RateLimitError("slow down", vendor="piapi", status_code=429, code="x", retry_after=7.5)
    other = pickle.loads(pickle.dumps(error))
    assert (other.retry_after, other.status_code, other.code) == (7.5, 429, "x")
    assert str(other) == str(error)
    assert RateLimitError("slow down").retry_after is None


def test_an_unavailable_vendor_has_neither_status_nor_code_where_there_was_no_answer():
    error = VendorUnavailableError("did not answer", vendor="gptunnel")
    assert (error.status_code, error.code) == (None, None)
    assert str(error) == "gptunnel: did not answer. Retry later."


def test_a_replaced_error_is_a_copy_with_other_facts():
    error = RateLimitError("slow down", vendor="piapi", status_code=429, job_id="j1", retry_after=7.0)
    copy = error.replaced(message="items[3]: slow down", advice="Wait.")
    assert (copy.message, copy.advice, str(copy).startswith("piapi: items[3]: slow down")) == (
        "items[3]: slow down",
        "Wait.",
        True,
    )
    assert (copy.vendor, copy.status_code, copy.job_id, copy.retry_after) == ("piapi", 429, "j1", 7.0)
    assert (error.message, error.replaced(job_id="j2").job_id, error.job_id) == ("slow down", "j2", "j1")
    assert type(copy) is RateLimitError
