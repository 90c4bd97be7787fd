"""What a vendor file has to say, and what all of them share."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue, ValidationError

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    ContentRefusedError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    MalformedResponseError,
    PermissionDeniedError,
    RateLimitError,
    SubmissionUncertainError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.jobs import FailureReason, Job
from airflow_provider_faceswap.redaction import without_queries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

#: Text of a vendor that goes into a message is cut here.
LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Request:
    """
    One HTTP request, without host and credentials.

    :param path: Below the vendor's base URL, with a leading slash.
    :param body: The JSON body, ``None`` for none.
    """

    method: str
    path: str
    # Neither is shown: a body may carry a webhook's secret, and signed links.
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)


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


@dataclass(frozen=True, slots=True)
class Timing:
    """
    How long a kind of job takes, which decides when to ask.

    :param first: Seconds before the first question: near the shortest time this kind is known to take.
    :param cap: The most seconds between two questions.
    """

    first: float
    cap: float


class Arguments(BaseModel):
    """Arguments of one kind under their neutral names; serialised under the vendor's own."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    def to_wire(self) -> dict[str, Any]:
        """The request body: what is unset stays out, as old servers may refuse keys they do not know."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One thing a vendor can be paid for.

    :param path: Where it is created.
    :param family: The vendor's own grouping, where endpoints or shapes differ by it.
    :param retention: How long the vendor keeps the output, ``None`` where it does not say.
    """

    path: str
    arguments: type[Arguments]
    timing: Timing
    retention: timedelta | None
    family: str = ""


class Vendor(ABC):
    """
    All that is known of one vendor's wire: no I/O, no clock, no state.

    Methods that read raise :class:`~airflow_provider_faceswap.exceptions.VendorError` subclasses for
    refusals and :class:`~airflow_provider_faceswap.exceptions.JobLostError` for a job that is not there.
    """

    name: ClassVar[str]
    default_base_url: ClassVar[str]
    #: A version prefix that people paste along with the host.
    version_prefix: ClassVar[str] = ""
    kinds: ClassVar[Mapping[str, Kind]]
    #: Arguments that a connection may give for all its jobs, as extra fields.
    connection_arguments: ClassVar[tuple[str, ...]] = ()
    #: Seconds after the create during which "not found" may only mean "not yet".
    not_found_grace: ClassVar[float] = 0.0
    #: Text fragments (casefolded) of a failed job and what they mean; the first that fits wins.
    failure_words: ClassVar[Mapping[str, FailureReason]] = {
        "no face": FailureReason.NO_FACE,
        "face not": FailureReason.NO_FACE,
        "nsfw": FailureReason.CONTENT_REFUSED,
        "moderation": FailureReason.CONTENT_REFUSED,
        "sensitive": FailureReason.CONTENT_REFUSED,
    }

    # -- what to send ---------------------------------------------------------------------------------

    def kind(self, name: str) -> Kind:
        """
        Look a kind up.

        :raises InvalidRequestError: This vendor has no such kind.
        """
        try:
            return self.kinds[name]
        except KeyError:
            known = ", ".join(sorted(self.kinds))
            raise InvalidRequestError(f"kind {name!r} is unknown; known: {known}", vendor=self.name) from None

    def create(self, kind: str, arguments: Mapping[str, Any]) -> Request:
        """
        Build the request that buys a job.

        :param arguments: Neutral names to values; ``None`` means unset.
        :raises InvalidRequestError: An argument is missing, unknown, of the wrong type or out of range.
        """
        spec = self.kind(kind)
        given = {key: value for key, value in arguments.items() if value is not None}
        try:
            parsed = spec.arguments.model_validate(given)
        except ValidationError as error:
            # The error's own text repeats the input, which may be a signed link or a whole picture.
            raise InvalidRequestError(_faults(error), vendor=self.name) from None
        return self._create(kind, parsed)

    def _create(self, kind: str, arguments: Arguments) -> Request:
        return Request("POST", self.kind(kind).path, body=arguments.to_wire())

    def doubts(self, kind: str, request: Request) -> list[str]:  # noqa: ARG002 - most have none
        """What the vendor may refuse though it is allowed here; worth a warning before it is paid for."""
        return []

    @abstractmethod
    def fetch(self, kind: str, job_id: str) -> Request:
        """Build the request that asks how a job stands; safe to repeat."""

    def cancel(self, kind: str, job_id: str) -> Request | None:  # noqa: ARG002 - most vendors cannot
        """Build the request that cancels a job, or ``None`` where the vendor has none."""
        return None

    @abstractmethod
    def account(self) -> Request:
        """Build a request that proves the key and buys nothing."""

    @abstractmethod
    def headers(self, key: str, options: Mapping[str, Any]) -> dict[str, str]:
        """
        The headers that carry the key.

        :param options: The connection's extra fields.
        """

    def base_url(self, host: str | None) -> str:
        """
        The address all paths stand below.

        :param host: A full URL, or empty for the vendor's own.
        :raises InvalidRequestError: ``host`` has no scheme, or another than http and https.
        """
        if not host:
            return self.default_base_url
        parts = urlsplit(host)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise InvalidRequestError(
                "the connection's host is not a full URL such as https://proxy.example.com",
                vendor=self.name,
                advice="Nothing was bought. Correct the connection's host.",
            )
        return host.rstrip("/").removesuffix(self.version_prefix).rstrip("/")

    # -- what came back -------------------------------------------------------------------------------

    def read_job(self, kind: str, reply: Reply, *, job_id: str | None = None) -> Job:
        """
        Read the answer of a create (``job_id`` is None) or of a fetch.

        :raises VendorError: The vendor refused, or its answer cannot be understood.
        :raises JobLostError: The vendor does not know the job.
        """
        try:
            return self._read_job(kind, reply, job_id=job_id)
        except FaceSwapError:
            raise
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            # A field of another shape than any page shows, such as a list where an object should be.
            raise self.malformed(
                reply, f"the answer has an unexpected shape ({type(error).__name__})", job_id=job_id
            ) from None

    @abstractmethod
    def _read_job(self, kind: str, reply: Reply, *, job_id: str | None = None) -> Job:
        """Read a vendor's own shape."""

    def read_created(self, kind: str, reply: Reply) -> Job:
        """
        Read the answer of a create, where not understanding it may mean having paid.

        :raises VendorError: The vendor certainly accepted nothing.
        :raises SubmissionUncertainError: It may have.
        """
        try:
            return self.read_job(kind, reply)
        except (MalformedResponseError, VendorUnavailableError) as error:
            if error.status_code == 503:  # unavailable, and no job in the body
                raise
            raise SubmissionUncertainError(
                f"the {kind} was sent, but the answer (HTTP {reply.status_code}) does not say whether "
                f"it was accepted: {error.message}",
                vendor=self.name,
            ) from None

    @abstractmethod
    def read_account(self, reply: Reply) -> str:
        """
        Say in one line what the account is and has.

        :raises VendorError: The key is wrong, or the answer cannot be understood.
        """

    def read_canceled(self, reply: Reply) -> bool:
        """True where the answer of a cancel confirms it."""
        return reply.ok

    # -- shared by the vendor files -------------------------------------------------------------------

    def refusal(
        self, reply: Reply, message: str, *, code: object = None, job_id: str | None = None
    ) -> VendorError:
        """
        The error that stands for an HTTP status, with the vendor's own words in it.

        :param message: The vendor's text; shortened, and cut of signed queries, here.
        :param code: The vendor's own code.
        """
        status = reply.status_code
        text = clean(message) or f"answered HTTP {status} without a reason"
        known: dict[str, Any] = {
            "vendor": self.name,
            "status_code": status,
            "code": None if code in (None, "") else str(code),
            "job_id": job_id,
        }
        if status == 429:
            return RateLimitError(text, retry_after=reply.retry_after, **known)
        if 300 <= status < 400:  # redirects are not followed: they would carry the key away
            return InvalidRequestError(
                "the host answered with a redirect instead of the API",
                **known,
                advice="Nothing was bought. Correct the connection's host.",
            )
        exact: dict[int, type[VendorError]] = {
            401: AuthenticationError,
            402: InsufficientBalanceError,
            403: PermissionDeniedError,
            408: VendorUnavailableError,
            451: ContentRefusedError,
        }
        if status in exact:
            return exact[status](text, **known)
        if 400 <= status < 500:
            return InvalidRequestError(text, **known)
        if status >= 500:
            return VendorUnavailableError(text, **known)
        return MalformedResponseError(text, **known)

    def malformed(self, reply: Reply, what: str, *, job_id: str | None = None) -> VendorError:
        """The error for an answer that should have been understood and is not."""
        if not reply.ok:
            return self.refusal(reply, reply.text, job_id=job_id)
        return MalformedResponseError(what, vendor=self.name, status_code=reply.status_code, job_id=job_id)

    def failure_reason(self, text: str | None) -> FailureReason:
        """Sort a failed job by its vendor's text."""
        folded = (text or "").casefold()
        return next(
            (reason for words, reason in self.failure_words.items() if words in folded), FailureReason.UNKNOWN
        )


def clean(text: object) -> str:
    """A vendor's text as it may be shown: one line, no signed queries, at most 500 characters."""
    return without_queries(" ".join(str(text or "").split()))[:LONGEST_MESSAGE]


def _faults(error: ValidationError) -> str:
    """Name every wrong argument and what it should be, without its value."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'arguments'}: "
        + fault["msg"].removeprefix("Value error, ")
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    )


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


# -- argument types ---------------------------------------------------------------------------------------

_DATA_URI = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)


def http_url(value: str) -> str:
    """
    Accept a full http(s) URL.

    :raises ValueError: It is empty, relative, or of another scheme.
    """
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a full http or https URL")
    return value


def inline_media(value: str, types: frozenset[str], max_bytes: int | None = None) -> bytes:
    """
    Decode a ``data:`` URI of one of the given media types.

    :param max_bytes: Refuse more decoded bytes than this.
    :raises ValueError: It is of another type, not base64, or too large.
    """
    parsed = _DATA_URI.fullmatch(value)
    if parsed is None or parsed["type"].lower() not in types:
        raise ValueError(
            f"must be a full http or https URL, or a base64 data: URI of {', '.join(sorted(types))}"
        )
    try:
        data = base64.b64decode(parsed["data"], validate=True)
    except binascii.Error:
        raise ValueError("the data: URI is not valid base64") from None
    if max_bytes is not None and len(data) > max_bytes:
        raise ValueError(f"the inline picture has {len(data)} bytes, over the limit of {max_bytes}")
    return data


def https_url(value: str) -> str:
    """
    Accept a full https URL.

    :raises ValueError: It is empty, relative, or of another scheme.
    """
    if urlsplit(http_url(value)).scheme != "https":
        raise ValueError("must be a full https URL")
    return value


def finite(value: Any) -> Any:
    """
    Accept JSON that every parser takes.

    :raises ValueError: There is a NaN or an infinity in it, which Python writes and others cannot read.
    """
    json.dumps(value, allow_nan=False)
    return value


Json = Annotated[JsonValue, AfterValidator(finite)]
HttpUrl = Annotated[str, AfterValidator(http_url)]
HttpsUrl = Annotated[str, AfterValidator(https_url)]
