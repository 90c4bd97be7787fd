"""What a vendor file has to say, and what all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import ValidationError

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
from airflow_provider_faceswap.vendors.arguments import faults_of
from airflow_provider_faceswap.vendors.messages import Request, as_word, clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from airflow_provider_faceswap.jobs import Balance
    from airflow_provider_faceswap.vendors.arguments import Arguments
    from airflow_provider_faceswap.vendors.history import Listing
    from airflow_provider_faceswap.vendors.messages import Reply


@dataclass(frozen=True, slots=True)
class Timing:
    """
    How long a kind of job takes, which decides when to ask.

    :param first: Seconds before the first question: near the shortest time this kind is known to take.
    :param cap: The most seconds between two questions.
    """

    first: float
    cap: float


@dataclass(frozen=True, slots=True)
class Accepts:
    """
    How a picture or a video may travel to a vendor, and which are taken.

    :param formats: Media types; empty where the vendor does not say.
    :param link: A link may be given.
    :param inline: The most bytes that may stand in the request as a ``data:`` URI; 0 for none.
    :param max_bytes: The most bytes of a file, ``None`` where the vendor does not say.
    :param max_side: The most pixels of a side, ``None`` where the vendor does not say.
    :param fit_side: To how many a side is shrunk, where that is not ``max_side``.
    """

    formats: frozenset[str] = frozenset()
    link: bool = True
    inline: int = 0
    max_bytes: int | None = None
    max_side: int | None = None
    fit_side: int | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One thing a vendor can be paid for.

    :param path: Where it is created.
    :param family: The vendor's own grouping, where endpoints or shapes differ by it.
    :param retention: How long the vendor keeps the output, ``None`` where it does not say.
    :param media: Which arguments are pictures or videos, and what is taken for each.
    """

    path: str
    arguments: type[Arguments]
    timing: Timing
    retention: timedelta | None
    family: str = ""
    media: Mapping[str, Accepts] = field(default_factory=dict)


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
    #: Whether the account's answer says how many jobs may run at once.
    reports_limit: ClassVar[bool] = False
    #: Whether files can be stored for a job to come, by :meth:`upload`.
    takes_uploads: ClassVar[bool] = False
    #: What is taken for a picture that stands inside another argument.
    nested: ClassVar[Accepts] = Accepts()
    #: Text fragments (casefolded) of a failed job and what they mean; the first that fits wins.
    failure_words: ClassVar[Mapping[str, FailureReason]] = {
        "no face": FailureReason.NO_FACE,
        " face not": FailureReason.NO_FACE,  # and not "interface not ready"
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
        except (KeyError, TypeError):
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
            raise InvalidRequestError(faults_of(error), vendor=self.name) from None
        return self._create(kind, parsed)

    def _create(self, kind: str, arguments: Arguments) -> Request:
        return Request("POST", self.kind(kind).path, body=arguments.to_wire())

    def warnings(self, kind: str, request: Request) -> list[str]:  # noqa: ARG002 - most have none
        """What the vendor may refuse though it is allowed here; worth a warning before it is paid for."""
        return []

    @abstractmethod
    def fetch(self, kind: str, job_id: str) -> Request:
        """
        Build the request that asks how a job stands; safe to repeat.

        :raises InvalidRequestError: The id can be none.
        """

    def cancel(self, kind: str, job_id: str) -> Request | None:  # noqa: ARG002 - most vendors cannot
        """
        Build the request that cancels a job, or ``None`` where the vendor has none.

        :raises InvalidRequestError: The id can be none.
        """
        return None

    def history(self, since: datetime, until: datetime, page: int) -> Request | None:  # noqa: ARG002
        """
        Build the request that lists this account's jobs, or ``None`` where the vendor lists none.

        :param since: Aware; with ``until`` the time in which the job in question was created.
        :param page: From 0.
        """
        return None

    def upload(self, name: str, data: bytes) -> Request:
        """
        Build the request that stores a file for a job to come; free, for vendors that take uploads.

        :param name: With the suffix of what it is.
        """
        raise NotImplementedError

    def read_upload(self, reply: Reply) -> str:
        """
        The link of a file that was stored.

        :raises VendorError: It was refused.
        """
        raise NotImplementedError

    @abstractmethod
    def account(self) -> Request:
        """Build a request that proves the key and buys nothing."""

    def balance(self, options: Mapping[str, Any]) -> Request | None:  # noqa: ARG002 - most have one account
        """
        Build the request that reads the balance, or ``None`` where the vendor tells none.

        :param options: The connection's extra fields: they may choose who pays.
        """
        return None

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

    @abstractmethod
    def job_named(self, reply: Reply) -> str:
        """The id of the job that an answer names, of whatever status; empty where it names none."""

    def read_created(self, kind: str, reply: Reply) -> Job:
        """
        Read the answer of a create, where not understanding it may mean having paid.

        :raises VendorError: The vendor certainly accepted nothing.
        :raises SubmissionUncertainError: It may have.
        """
        try:
            return self.read_job(kind, reply)
        except (MalformedResponseError, RateLimitError, VendorUnavailableError) as error:
            named = self.job_named(reply)
            turned_away = isinstance(error, RateLimitError) or error.status_code == 503
            if turned_away and not named:
                raise
            raise SubmissionUncertainError(
                f"the {kind} was sent, but the answer (HTTP {reply.status_code}) does not say whether "
                f"it was accepted{f', though it names job {named}' if named else ''}: {error.message}",
                vendor=self.name,
                job_id=named or None,
            ) from None

    @abstractmethod
    def read_account(self, reply: Reply) -> str:
        """
        Say in one line what the account is and has.

        :raises VendorError: The key is wrong, or the answer cannot be understood.
        """

    def read_balances(self, reply: Reply) -> tuple[Balance, ...]:
        """
        Read what the account has: at least one, the usual unit first.

        :raises VendorError: The key is wrong, or the answer cannot be understood.
        """
        raise NotImplementedError

    def read_history(
        self, kind: str, request: Request, reply: Reply, since: datetime, until: datetime
    ) -> Listing:
        """
        Read one page of a list: which of its jobs may have come from this request.

        :raises VendorError: The list cannot be read.
        """
        raise NotImplementedError

    def matches_request(self, kind: str, request: Request, reply: Reply) -> bool:  # noqa: ARG002
        """Whether a job's own record shows that it came from this request, or from one just like it."""
        return False

    def read_limit(self, reply: Reply) -> int | None:  # noqa: ARG002 - most do not tell
        """How many jobs may run at once, from the account's answer; ``None`` where it does not say."""
        return None

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
            "code": as_word(code) or None,
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
            451: ContentRefusedError,
        }
        if status in exact:
            return exact[status](text, **known)
        if 400 <= status < 500 and status != 408:
            return InvalidRequestError(text, **known)
        if status >= 400:
            unavailable = VendorUnavailableError(text, **known)
            unavailable.retry_after = reply.retry_after
            return unavailable
        return MalformedResponseError(text, **known)

    def malformed(self, reply: Reply, what: str, *, job_id: str | None = None) -> VendorError:
        """The error for an answer that should have been understood and is not."""
        if not reply.ok:
            return self.refusal(reply, reply.text, job_id=job_id)
        return MalformedResponseError(what, vendor=self.name, status_code=reply.status_code, job_id=job_id)

    def failure_reason(self, text: str | None) -> FailureReason:
        """Sort a failed job by its vendor's text."""
        folded = f" {text or ''}".casefold()
        return next(
            (reason for words, reason in self.failure_words.items() if words in folded), FailureReason.UNKNOWN
        )
