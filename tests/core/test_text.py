"""What may be shown, and where a picture came from."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_faceswap import exceptions
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError, VendorError
from airflow_provider_faceswap.redaction import showable, without_queries, without_secrets

CLASSES = [
    cls for _, cls in inspect.getmembers(exceptions, inspect.isclass) if issubclass(cls, FaceSwapError)
]
NO_RETRY = {
    "AuthenticationError",
    "PermissionDeniedError",
    "InsufficientBalanceError",
    "InvalidRequestError",
    "ContentRefusedError",
    "NoFaceError",
    "SubmissionUncertainError",
    "ResultExpiredError",
    "UnsafeURLError",
    "TooLargeError",
}


def test_what_a_retry_cannot_help_fails_the_task_at_once():
    assert {cls.__name__ for cls in CLASSES if issubclass(cls, AirflowFailException)} == NO_RETRY


def test_the_tree_at_the_top_of_the_module_is_the_tree():
    drawn = exceptions.__doc__
    assert all(cls.__name__ in drawn for cls in CLASSES)
    assert {cls.__name__ for cls in CLASSES} == set(exceptions.__all__)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_survives_being_copied_and_pickled(cls):
    error = cls("text", vendor="piapi", job_id="j1", advice="Do this.")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(other), str(other), other.job_id) == (cls, str(error), "j1")


def test_an_error_says_who_what_which_and_what_next():
    error = VendorError("it broke", vendor="piapi", status_code=500, code="7", job_id="j1", advice="Wait.")
    assert str(error) == "piapi: it broke [job j1, HTTP 500, code 7] Wait."
    assert str(FaceSwapError("it broke")) == "it broke."
    assert isinstance(InvalidRequestError("x"), ValueError)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://a.test/b?c=d#e, ok", "see https://a.test/b ok"),
        ("https://user:pw@a.test/b", "https://a.test/b"),
        ("HTTP://A.test/x#y", "HTTP://A.test/x"),
        ("'https://a.test/b?c=d'", "'https://a.test/b'"),
        ("nothing here? no", "nothing here? no"),
        ("--cref https://a.test/f.png?sig=1 --ar 1:1", "--cref https://a.test/f.png --ar 1:1"),
    ],
)
def test_queries_are_cut_wherever_a_url_stands(text, shown):
    assert without_queries(text) == shown


def test_secrets_are_hidden_and_empty_ones_ignored():
    assert without_secrets("a key b", ("key", "")) == "a *** b"


def test_an_argument_is_shown_without_pictures_and_queries():
    shown = showable(
        {
            "url": "https://a.test/x?sig=1",
            "inline": "data:image/png;base64,eA==",
            "long": "x" * 5000,
            "list": [1, 2.5, None, True, ("https://a.test/y?z",)],
            "odd": object(),
            1: "one",
        }
    )
    assert shown["url"] == "https://a.test/x"
    assert shown["inline"].startswith("sha256:")
    assert shown["long"].startswith("sha256:")
    assert shown["list"] == [1, 2.5, None, True, ["https://a.test/y"]]
    assert shown["odd"] == "<object>"
    assert shown["1"] == "one"
