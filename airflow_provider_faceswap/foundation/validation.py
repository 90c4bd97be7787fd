"""Argument validation: durations, counts, choices and job ids."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.text import is_job_id

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
    The id of a job, given by its id or by the whole result of the operator that submitted it.

    The error does not repeat the value: a result that a template has turned into text contains signed links.

    :raises InvalidRequestError: The value is neither.
    """
    if isinstance(value, Mapping):
        value = value.get("job_id")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = value.strip() if isinstance(value, str) else ""
    if text[:1] in {"{", "["}:
        raise InvalidRequestError(
            f"{name}: is the text of a result, not a job id",
            advice="Nothing was bought. Pass the operator's output itself, or its ['job_id'] in a template.",
        )
    if text == "None" or not is_job_id(text):
        raise InvalidRequestError(f"{name}: must be a job id, or the whole result of the job's operator")
    return text
