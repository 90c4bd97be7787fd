"""What goes over the wire and what comes back, and how to read fields that may have any shape."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import without_queries

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Text of a vendor that goes into a message is cut here, and a mere word of it, such as a code, here.
LONGEST_MESSAGE = 500
LONGEST_WORD = 80
#: Seconds: nobody waits longer, whatever a vendor asks.
LONGEST_DELAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Request:
    """
    One HTTP request, without host and credentials.

    :param path: Below the vendor's base URL, with a leading slash.
    :param body: The JSON body, ``None`` for none.
    :param elsewhere: Another base URL of the vendor, for a connection that names none.
    :param known_as: The body under which a create is known again, where the body itself differs from try to
        try: each picture stands in it by its hash or its place.
    :param uploads: Files that are stored at the vendor just before the create, by what stands for their link in
        the body.
    """

    method: str
    path: str
    # Neither is shown: a body may carry a webhook's secret, and signed links.
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    elsewhere: str | None = None
    known_as: Mapping[str, Any] | None = field(default=None, repr=False)
    uploads: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Reply:
    """
    One HTTP answer, with every secret already taken out of its text.

    :param headers: By lower-case name.
    """

    status_code: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def body(self) -> Any:
        """The parsed JSON, or ``None`` where the text is not JSON: error pages and cut bodies occur."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The parsed JSON where it is an object, else an empty dict."""
        return self.body if isinstance(self.body, dict) else {}

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status_code < 300  # the HTTP success range

    @property
    def retry_after(self) -> float | None:
        """
        Seconds that the ``Retry-After`` header asks to wait, at most a day; ``None`` where it asks for none.

        A date (RFC 9110, 10.2.3) counts from the ``Date`` of the same answer: no other clock has to agree.
        """
        asked = self.headers.get("retry-after", "")
        seconds = as_number(asked)
        if seconds is None:
            until, told = _http_date(asked), _http_date(self.headers.get("date", ""))
            seconds = (until - told).total_seconds() if until and told else None
        return min(seconds, LONGEST_DELAY) if seconds is not None and seconds >= 0 else None


def clean(text: object) -> str:
    """A vendor's text as it may be shown: one line, no signed queries, at most 500 characters."""
    return without_queries(" ".join(str(text or "").split()))[:LONGEST_MESSAGE]


def as_word(value: object) -> str:
    """A vendor's word as it may be shown, such as a status or a code: as :func:`clean`, at most 80 characters."""
    return "" if value is None else clean(str(value))[:LONGEST_WORD]


def as_object(value: object) -> dict[str, Any]:
    """The value where it is a JSON object, else an empty one: a field may have any shape."""
    return value if isinstance(value, dict) else {}


def as_number(value: object) -> float | None:
    """Take a finite number, or a text that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_id(value: object) -> str:
    """
    A vendor's id of a job as a text, empty where the value is none.

    An id is a text, or a number from 1; the text of anything else would look like an id and be asked for.
    """
    if isinstance(value, str):
        return value if value.strip() else ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else ""


def checked_id(job_id: object) -> str:
    """
    A job's id as it may be asked for.

    :raises InvalidRequestError: It is no text, empty, or a step of a path, which would lead to another endpoint.
    """
    if not isinstance(job_id, str) or job_id.strip() in {"", ".", ".."}:
        raise InvalidRequestError("the job id must be the text that the vendor gave for it")
    return job_id


def path_segment(job_id: object) -> str:
    """
    A job's id as one segment of a path, whatever stands in it.

    :raises InvalidRequestError: It can be none.
    """
    return quote(checked_id(job_id), safe="")


def links_in(*candidates: object) -> tuple[str, ...]:
    """
    Every http(s) link in what a vendor gave as output, in order and once.

    :param candidates: Strings, ``{"url": ...}`` objects, lists of these, or anything else, which is skipped.
    """
    found: dict[str, None] = {}
    for candidate in candidates:
        match candidate:
            case str() if candidate.startswith(("http://", "https://")):
                found[candidate] = None
            case {"url": str(url)}:
                found.update(dict.fromkeys(links_in(url)))
            case list():
                found.update(dict.fromkeys(links_in(*candidate)))
    return tuple(found)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (IndexError, OverflowError, TypeError, ValueError):
        return None
    # The oldest of the three forms names no zone.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
