"""What goes over the wire and what comes back, and how to read fields that may have any shape."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_faceswap.redaction import without_queries

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Text of a vendor that goes into a message is cut here.
LONGEST_MESSAGE = 500


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
        """Seconds of the ``Retry-After`` header where it is a number, else ``None``."""
        try:
            return max(0.0, float(self.headers.get("retry-after", "")))
        except ValueError:
            return None


def clean(text: object) -> str:
    """A vendor's text as it may be shown: one line, no signed queries, at most 500 characters."""
    return without_queries(" ".join(str(text or "").split()))[:LONGEST_MESSAGE]


def an_object(value: object) -> dict[str, Any]:
    """The value where it is a JSON object, else an empty one: a field may have any shape."""
    return value if isinstance(value, dict) else {}


def a_number(value: object) -> float | None:
    """Take a finite number, or a text that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def path_segment(job_id: str) -> str:
    """An id as one segment of a path, whatever stands in it."""
    return quote(job_id, safe="")


def url_list(*candidates: object) -> tuple[str, ...]:
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
                found.update(dict.fromkeys(url_list(url)))
            case list():
                found.update(dict.fromkeys(url_list(*candidate)))
    return tuple(found)
