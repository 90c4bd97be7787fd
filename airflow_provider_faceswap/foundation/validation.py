"""What a user may choose: durations, counts, words and jobs, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar

from airflow_provider_faceswap.exceptions import InvalidRequestError

#: Seconds; no duration is as long as ten years.
LONGEST = 10 * 365 * 86400.0

#: Characters; the longest of a vendor's ids has 36.
LONGEST_ID = 200

Choice = TypeVar("Choice", bound=str)


def as_seconds(name: str, value: float | timedelta) -> float:
    """
    Read a duration.

    :raises InvalidRequestError: It is not a number of seconds above zero, and below ten years.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < LONGEST:
        raise InvalidRequestError(
            f"{name}: must be a number of seconds above 0 and below {LONGEST:.0f}, got {value!r}"
        )
    return float(seconds)


def as_count(name: str, value: int) -> int:
    """
    Read a number of things.

    :raises InvalidRequestError: It is not a whole number from one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequestError(f"{name}: must be a whole number from 1, got {value!r}")
    return value


def as_choice(name: str, value: Choice, known: tuple[str, ...]) -> Choice:
    """
    Read a choice.

    :raises InvalidRequestError: It is none of the known ones.
    """
    if value not in known:
        raise InvalidRequestError(f"{name}: must be one of {', '.join(known)}, got {value!r}")
    return value


def as_job_id(name: str, value: object) -> str:
    """
    Read which job is meant: its id, or the whole result of the operator that bought it.

    What was given is not repeated, as a result that a template made a text of holds signed links.

    :raises InvalidRequestError: It is neither.
    """
    if isinstance(value, Mapping):
        value = value.get("job_id")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = value.strip() if isinstance(value, str) else ""
    if text[:1] in {"{", "["}:
        raise InvalidRequestError(
            f"{name}: is the text of a result, not a job's id",
            advice="Nothing was bought. Pass the operator's output itself, or its ['job_id'] in the template.",
        )
    if (
        not text
        or text == "None"
        or len(text) > LONGEST_ID
        or len(text.split()) > 1
        or not text.isprintable()
    ):
        raise InvalidRequestError(f"{name}: must be a job's id, or the whole result of its operator")
    return text
