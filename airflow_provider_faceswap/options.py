"""What a user may choose: durations, counts and words, checked before anything is bought."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from airflow_provider_faceswap.exceptions import InvalidRequestError

#: Seconds; no duration is as long as ten years.
LONGEST = 10 * 365 * 86400.0

Choice = TypeVar("Choice", bound=str)


def seconds_of(name: str, value: float | timedelta) -> float:
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


def count_of(name: str, value: int) -> int:
    """
    Read a number of things.

    :raises InvalidRequestError: It is not a whole number from one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequestError(f"{name}: must be a whole number from 1, got {value!r}")
    return value


def one_of(name: str, value: Choice, known: tuple[str, ...]) -> Choice:
    """
    Read a choice.

    :raises InvalidRequestError: It is none of the known ones.
    """
    if value not in known:
        raise InvalidRequestError(f"{name}: must be one of {', '.join(known)}, got {value!r}")
    return value
