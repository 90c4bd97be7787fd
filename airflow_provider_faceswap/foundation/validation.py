"""Argument validation: durations, counts, choices, job ids and connection ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from numbers import Integral
from typing import TypeVar

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.rendered import OUTPUT_ADVICE, as_text, is_set, is_text_of_result
from airflow_provider_faceswap.foundation.text import as_name, is_job_id

#: A string, or a literal type of strings.
Choice = TypeVar("Choice", bound=str)


def as_seconds(name: str, value: float | timedelta) -> float:
    """
    Check a duration.

    :raises InvalidRequestError: It is not a number of seconds above zero, or is too long for a deadline.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    try:
        deadline = CLOCK.moment() + timedelta(seconds=seconds)
    except (TypeError, ValueError, OverflowError):
        deadline = None
    if deadline is None or isinstance(seconds, bool) or seconds <= 0:
        raise InvalidRequestError(f"{name}: must be a number of seconds above 0, got {value!r}")
    return float(seconds)


def as_count(name: str, value: int) -> int:
    """
    Check a count.

    :raises InvalidRequestError: It is not a whole number above zero.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequestError(f"{name}: must be a whole number above 0, got {value!r}")
    return value


def as_choice(name: str, value: Choice, known: tuple[str, ...]) -> Choice:
    """
    Check a choice.

    :raises InvalidRequestError: The value is not one of the known ones.
    """
    if value not in known:
        raise InvalidRequestError(f"{name}: must be one of {', '.join(known)}, got {value!r}")
    return value


def as_job_id(name: str, value: object) -> str:
    """
    The id of a job, given by its id, by the whole result of the operator that submitted it, or by a hook's job.

    The error does not repeat the value: a result that a template has turned into text contains signed links.

    :raises InvalidRequestError: The value is neither.
    """
    if isinstance(value, Mapping):
        value = value.get("job_id")
    # A job of a hook.
    value = getattr(value, "job_id", value)
    try:
        return job_id_text(value)
    except ValueError as error:
        raise InvalidRequestError(f"{name}: {error}") from None


def job_id_text(value: object) -> str:
    """
    A job id as it was written, which native rendering may have made a number.

    :raises ValueError: It is not an id. A decimal number is none, because its last digits may be lost.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = str(value)
    text = value.strip() if isinstance(value, str) else ""
    if is_text_of_result(text):
        raise ValueError(f"is the text of a result, not a job id: {OUTPUT_ADVICE}")
    if text == "None" or not is_job_id(text):
        raise ValueError("must be a job id, or the whole result of the job's operator")
    return text


def given_id(value: object) -> str:
    """
    A job id as a hook takes it: one of a vendor or of a record stays as it is.

    :raises InvalidRequestError: It is neither a text nor a whole number.
    """
    if isinstance(value, str):
        return value.strip()
    return as_job_id("job_id", value)


def as_conn_id(value: object, name: str = "conn_id") -> str:
    """
    A connection id as it was written, without blanks around it.

    :raises InvalidRequestError: It is empty, no text, or contains a control character.
    """
    try:
        text = as_text(value).strip() if is_set(value) else ""
    except ValueError as error:
        raise InvalidRequestError(f"{name}: {error}") from None
    if not text:
        raise InvalidRequestError(f"{name}: must not be empty")
    return as_name(name, text)


def as_conn_ids(name: str, value: object) -> tuple[str, ...]:
    """
    Several connection ids, each as :func:`as_conn_id` takes it.

    :raises InvalidRequestError: The value is no list, or an id in it is none.
    """
    if isinstance(value, str) or not isinstance(value, Collection):
        raise InvalidRequestError(f"{name}: must be a list of connection ids, got {type(value).__name__}")
    return tuple(as_conn_id(conn_id, name) for conn_id in value)
