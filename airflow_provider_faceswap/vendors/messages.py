"""Requests and replies, and functions that read reply fields of any type."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import cut, without_queries
from airflow_provider_faceswap.foundation.text import is_job_id, safe_json

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Maximum number of characters of a vendor's text in a message.
LONGEST_MESSAGE = 500
#: Maximum number of characters of a vendor's word, such as a code, in a message.
LONGEST_WORD = 80
#: Maximum number of characters of a vendor's text that are read for a message; blanks are removed after that.
LONGEST_READ = 4 * LONGEST_MESSAGE
#: Maximum number of values in a reply. A page of a vendor's list has a tenth of this; more would hold an event loop.
MAX_VALUES = 30_000
#: Maximum seconds that a vendor's ``Retry-After`` can ask for.
LONGEST_DELAY = 86_400.0
#: The years that a vendor's time may be in. Any other is a placeholder, such as Go's zero time, or in another unit.
#: Arithmetic with the year 1 or 9999 raises ``OverflowError``.
YEARS = range(2000, 2100)


#: What comes before each value of JSON but the first.
_MARKS = ",[{"
#: A string of JSON. Without its end it reaches to the end of the text, so that the search is linear.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BREAKS = dict.fromkeys(map(ord, "\t\n"))


@dataclass(frozen=True, slots=True)
class Request:
    """
    One HTTP request, without host and credentials.

    :param path: Appended to the base URL; starts with a slash.
    :param body: The JSON body, ``None`` for none.
    :param base_url: Another base URL of the vendor, used if the connection names no host.
    :param doubts: What the vendor may refuse of the pictures and videos that were read for it.
    :param known_as: The body that identifies a submission, if the body itself differs between attempts: each picture
        is replaced by its hash or its path in storage.
    :param uploads: Files to store at the vendor just before the submission, by their placeholder in the body.
    :param read_timeout: Seconds without a byte of the reply after which it counts as missing; ``None`` for the client's
        own limit.
    """

    method: str
    path: str
    # Not in the repr: a body may contain a webhook secret and signed links.
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    base_url: str | None = None
    doubts: tuple[str, ...] = ()
    known_as: Mapping[str, Any] | None = field(default=None, repr=False)
    uploads: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    read_timeout: float | None = None

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """The body that identifies a submission."""
        return self.body if self.known_as is None else self.known_as


@dataclass(frozen=True)
class Reply:
    """
    One HTTP response.

    :param text: As received. It may contain secrets and characters that cannot be stored: :func:`clean` it to show it.
    :param headers: Values by lower-case name.
    """

    status_code: int
    text: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def body(self) -> Any:
        """
        The parsed JSON with safe texts, ``None`` if the text is not JSON, such as an error page or a truncated body.

        It is also ``None`` if it has more values, or is nested deeper, than any reply of a vendor.
        """
        if _has_too_many_values(self.text):
            return None
        try:
            return safe_json(json.loads(self.text))
        except (ValueError, RecursionError):
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The parsed JSON if it is an object, else an empty dict."""
        return self.body if isinstance(self.body, dict) else {}

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status_code < 300

    @property
    def retry_after(self) -> float | None:
        """
        Seconds to wait by the ``Retry-After`` header, at most a day; ``None`` without a usable header.

        A date (RFC 9110, 10.2.3) is compared with the reply's own ``Date``, so the clocks need not agree.
        """
        asked = self.headers.get("retry-after", "")
        seconds = as_number(asked)
        if seconds is None:
            until, sent_at = _http_date(asked), _http_date(self.headers.get("date", ""))
            seconds = (until - sent_at).total_seconds() if until and sent_at else None
        return min(seconds, LONGEST_DELAY) if seconds is not None and seconds >= 0 else None


def _has_too_many_values(text: str) -> bool:
    """Whether reading this JSON would take too long; the characters inside its strings do not count."""
    if sum(map(text.count, _MARKS)) <= MAX_VALUES:
        return False
    return sum(map(_STRING.sub("", text, count=MAX_VALUES).count, _MARKS)) > MAX_VALUES


def clean(text: object) -> str:
    """
    A vendor's text that is safe to store and to show: one line, no signed queries, at most 500 characters.

    Keys and webhook secrets are hidden later, in what is made of a reply: see ``http/endpoint.py``.
    """
    start = cut(str(text or "").strip(), LONGEST_READ)
    return cut(" ".join(without_queries(" ".join(start.split())).split()), LONGEST_MESSAGE)


def as_word(value: object) -> str:
    """A vendor's word that is safe to show, such as a status or a code: at most 80 characters."""
    return "" if value is None else cut(clean(str(value)), LONGEST_WORD)


def as_object(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty dict."""
    return value if isinstance(value, dict) else {}


def as_number(value: object) -> float | None:
    """The value as a finite number, ``None`` if it is neither a number nor the text of one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_id(value: object) -> str:
    """
    The value as a job id, empty if it cannot be one.

    An id is a number from 1, or a text of printable ASCII without blanks. Anything else, such as a list, is not an id
    although it has a text.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        value = str(value)
    return value if isinstance(value, str) and is_job_id(value) else ""


def unusable_id(reply: Reply) -> str:
    """The job id in a reply that :func:`as_id` does not accept, in quotes and with escapes; empty if there is none."""
    try:
        body = as_object(json.loads(reply.text)) if reply.body is not None else {}
    except ValueError:
        body = {}
    named = (fields.get(name) for fields in (body, as_object(body.get("data"))) for name in ("task_id", "id"))
    unusable = (value for value in named if isinstance(value, str | int) and value and not as_id(value))
    value = next(unusable, None)
    return "" if value is None else cut(without_queries(ascii(value)), LONGEST_MESSAGE)


def checked_id(job_id: object) -> str:
    """
    Check a job id from a user or a record.

    :raises InvalidRequestError: It cannot be the id of a job, such as ``..``, which would change the path.
    """
    if not isinstance(job_id, str) or not is_job_id(job_id):
        raise InvalidRequestError("the job id must be a string, as the vendor returned it")
    return job_id


def path_segment(job_id: object) -> str:
    """
    A job id, encoded as one segment of a path.

    :raises InvalidRequestError: It is not a valid id.
    """
    return quote(checked_id(job_id), safe="")


def links_in(*candidates: object) -> tuple[str, ...]:
    """
    Every http(s) link in a job's output, in order, without duplicates.

    :param candidates: Strings, ``{"url": ...}`` objects, and lists of these; anything else is skipped.
    """
    found: dict[str, None] = {}
    for candidate in candidates:
        match candidate:
            case str() if candidate.startswith(("http://", "https://")):
                # Line breaks and tabs are no part of a link: browsers remove them, too.
                found[candidate.translate(_NO_BREAKS)] = None
            case {"url": str(url)}:
                found.update(dict.fromkeys(links_in(url)))
            case list():
                found.update(dict.fromkeys(links_in(*candidate)))
    return tuple(found)


def as_datetime(value: object) -> datetime | None:
    """The value as an aware datetime, ``None`` if it is not an ISO 8601 text with an offset, in a possible year."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo and moment.year in YEARS else None


def as_unix_time(value: object) -> datetime | None:
    """Unix seconds as an aware datetime, ``None`` if they are not a number, or not in a possible year."""
    seconds = as_number(value)
    try:
        moment = datetime.fromtimestamp(seconds or 0.0, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return moment if moment.year in YEARS else None


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (IndexError, OverflowError, TypeError, ValueError):
        return None
    # The oldest of the three formats has no time zone.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
