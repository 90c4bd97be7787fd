"""The interface of a vendor file, and what all vendor files share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from airflow_provider_faceswap.exceptions import (
    FaceSwapError,
    InvalidRequestError,
    MalformedResponseError,
    RateLimitError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.jobs import JobState
from airflow_provider_faceswap.vendors.arguments import validation_message
from airflow_provider_faceswap.vendors.hosts import checked_host
from airflow_provider_faceswap.vendors.kinds import Accepts
from airflow_provider_faceswap.vendors.messages import Request, as_word, unusable_id
from airflow_provider_faceswap.vendors.refusals import POLL_AGAIN, foreign, malformed
from airflow_provider_faceswap.vendors.words import SHARED, texts_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_faceswap.jobs import FailureReason, Job
    from airflow_provider_faceswap.vendors.capabilities import (
        Balances,
        Cancellation,
        ConcurrencyLimit,
        Generation,
        History,
        Uploads,
    )
    from airflow_provider_faceswap.vendors.kinds import Kind
    from airflow_provider_faceswap.vendors.messages import Reply
    from airflow_provider_faceswap.vendors.words import Words

#: The kind of a picture made from a text, at each vendor that generates.
GENERATED = "image"


class Vendor(ABC):
    """
    One vendor's API: builds requests and reads replies. It does no I/O, reads no clock and has no state.

    A new vendor defines the class attributes without a default and the abstract methods. Each optional
    feature is an object from :mod:`~airflow_provider_faceswap.vendors.capabilities`, or ``None``.

    Methods that read a reply raise a subclass of :class:`~airflow_provider_faceswap.exceptions.VendorError` for a
    refusal, and :class:`~airflow_provider_faceswap.exceptions.JobLostError` for a job that does not exist.
    """

    name: ClassVar[str]
    default_base_url: ClassVar[str]
    kinds: ClassVar[Mapping[str, Kind]]
    #: The vendor's status words (casefolded). A job with any other status is running.
    states: ClassVar[Mapping[str, JobState]]
    #: A version prefix of the API that users may paste with the host.
    version_prefix: ClassVar[str] = ""
    #: Arguments for which a connection may give a default, as extra fields.
    connection_arguments: ClassVar[tuple[str, ...]] = ()
    #: The unit of the costs in its replies; empty if they have none, ``None`` if that is not known.
    cost_unit: ClassVar[str | None] = None
    #: Seconds after the submission in which "not found" may mean "not yet".
    not_found_grace: ClassVar[float] = 0.0
    #: What is accepted for a picture inside another argument.
    nested: ClassVar[Accepts] = Accepts(any_file=True)
    #: What the words of a refusal or of a failure mean: the shared table, and the vendor's own.
    words: ClassVar[Words] = SHARED

    history: ClassVar[History | None] = None
    uploads: ClassVar[Uploads | None] = None
    balances: ClassVar[Balances | None] = None
    concurrency_limit: ClassVar[ConcurrencyLimit | None] = None
    cancellation: ClassVar[Cancellation | None] = None
    generation: ClassVar[Generation | None] = None

    # -- requests -------------------------------------------------------------------------------------

    def kind(self, name: str) -> Kind:
        """
        Look up a kind.

        :raises InvalidRequestError: This vendor has no such kind.
        """
        try:
            return self.kinds[name]
        except (KeyError, TypeError):
            known = ", ".join(sorted(self.kinds))
            raise InvalidRequestError(f"kind {name!r} is unknown; known: {known}", vendor=self.name) from None

    def job_of(self, kind: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """
        The vendor's own kind and arguments for a job.

        ``image`` is a kind at each vendor that generates, whatever the vendor calls it.
        """
        if kind == GENERATED and kind not in self.kinds and self.generation is not None:
            return self.generation.job(arguments)
        return kind, dict(arguments)

    def submit(self, kind: str, arguments: Mapping[str, Any]) -> Request:
        """
        Build the request that submits a job.

        :param arguments: Values by neutral name; ``None`` means not set.
        :raises InvalidRequestError: An argument is missing, unknown, of the wrong type or out of range.
        """
        spec = self.kind(kind)
        given = {key: value for key, value in arguments.items() if value is not None}
        try:
            parsed = spec.arguments.model_validate(given)
        except ValidationError as error:
            # The error's own text repeats the input, which may be a signed link or a whole picture.
            raise InvalidRequestError(validation_message(error), vendor=self.name) from None
        return Request("POST", spec.path, body=parsed.to_wire())

    def model_of(self, kind: str, request: Request) -> str:
        """The model that a job names; empty if its kind has one only. The models of a kind cost differently."""
        named = "model" in self.kind(kind).arguments.model_fields
        return str((request.identity or {}).get("model") or "") if named else ""

    def warnings(self, kind: str, request: Request) -> list[str]:  # noqa: ARG002 - most vendors need no kind
        """What the vendor may refuse although it is allowed here; logged before the submission."""
        return list(request.doubts)

    @abstractmethod
    def fetch(self, kind: str, job_id: str) -> Request:
        """
        Build the request that reads a job; it can be repeated safely.

        :raises InvalidRequestError: ``job_id`` is not a valid id.
        """

    @abstractmethod
    def account(self, options: Mapping[str, Any]) -> Request:
        """
        Build a free request that verifies the key, and reads the balance if the vendor reports one.

        :param options: The connection's extra fields; they can determine which account is charged.
        """

    @abstractmethod
    def headers(self, key: str, options: Mapping[str, Any]) -> dict[str, str]:
        """
        The headers that carry the key.

        :param options: The connection's extra fields.
        """

    def base_url(self, host: str | None) -> str:
        """
        The URL that all paths are appended to.

        :param host: The connection's host: a full URL, or empty for the vendor's own.
        :raises InvalidRequestError: ``host`` is not a full http or https URL, or contains more than a place.
        """
        if not (host := (host or "").strip()):
            return self.default_base_url
        try:
            return checked_host(host, self.version_prefix)
        except ValueError as error:
            raise InvalidRequestError(
                f"the connection's host {error}",
                vendor=self.name,
                advice="Nothing was bought. Correct the connection's host.",
            ) from None

    # -- replies --------------------------------------------------------------------------------------

    def read_job(self, kind: str, reply: Reply, *, job_id: str | None = None) -> Job:
        """
        Read the reply to a submission (``job_id`` is ``None``) or to a poll.

        Of the replies to a poll, only those in the vendor's own shape count. A proxy, a firewall or a maintenance page
        may answer with any HTTP status.

        :raises VendorError: The vendor refused, or its reply cannot be understood.
        :raises MalformedResponseError: The reply is not the vendor's own, or is about another job.
        :raises JobLostError: The vendor has no such job.
        """
        try:
            job = self._read_job(kind, reply, job_id=job_id)
        except (MalformedResponseError, RateLimitError, VendorUnavailableError):
            raise
        except FaceSwapError:
            if job_id is None or self.is_own_reply(reply):
                raise
            raise foreign(self.name, reply, job_id) from None
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            # A field has a type that no page shows, such as a list instead of an object.
            what = f"the reply has an unexpected shape ({type(error).__name__})"
            raise malformed(self.name, reply, what, job_id=job_id) from None
        found_id = self.job_id_in(reply)
        if job_id is None or not self.repeats_job_id(kind):
            return job
        if found_id.strip().casefold() != job_id.strip().casefold():
            what = f"the reply is about another job ({as_word(found_id)})"
            raise MalformedResponseError(
                what, vendor=self.name, status_code=reply.status_code, job_id=job_id, advice=POLL_AGAIN
            )
        return job

    def is_own_reply(self, reply: Reply) -> bool:
        """
        Whether a reply without a job has the shape of this vendor's errors.

        Any JSON object, unless the vendor's file knows better.
        """
        return bool(reply.fields)

    def repeats_job_id(self, kind: str) -> bool:  # noqa: ARG002 - most vendors do for all kinds
        """Whether the reply to a poll has the id that was polled."""
        return True

    @abstractmethod
    def _read_job(self, kind: str, reply: Reply, *, job_id: str | None = None) -> Job:
        """Read the vendor's own format."""

    @abstractmethod
    def job_id_in(self, reply: Reply) -> str:
        """The job id in a reply of any HTTP status; empty if there is none."""

    def read_submitted(self, kind: str, reply: Reply) -> Job:
        """
        Read the reply to a submission; a reply that cannot be understood may mean a paid job.

        :raises VendorError: The vendor accepted nothing.
        :raises SubmissionUncertainError: The vendor may have accepted the job.
        """
        try:
            return self.read_job(kind, reply)
        except (MalformedResponseError, RateLimitError, VendorUnavailableError) as error:
            not_processed = isinstance(error, RateLimitError) or error.status_code == 503
            if not_processed and not self._may_name_job(reply, error):
                raise
            reason = error.message
        except FaceSwapError as error:
            if (getattr(error, "status_code", None) or 0) < 500 or not self._may_name_job(reply, error):
                raise
            reason = error.message
        except Exception as error:  # noqa: BLE001 - a fault of this package must not hide a paid job
            reason = f"reading it failed ({type(error).__name__})"
        job_id = self.job_id_in(reply)
        named = f", though it names job {job_id}" if job_id else ""
        if not job_id and (unusable := unusable_id(reply)):
            named = f", though it names a job whose id cannot be used, {unusable}"
        raise SubmissionUncertainError(
            f"the {kind} was sent, but the reply (HTTP {reply.status_code}) does not say whether "
            f"it was accepted{named}: {reason}",
            vendor=self.name,
            job_id=job_id or None,
        )

    def _may_name_job(self, reply: Reply, error: FaceSwapError) -> bool:
        """Whether a refusal names a job. If only its words say that it is one, an id that cannot be used counts, too."""
        by_words = getattr(error, "status_code", None) not in {429, 503}
        return bool(self.job_id_in(reply) or (by_words and unusable_id(reply)))

    @abstractmethod
    def read_account(self, reply: Reply) -> str:
        """
        Describe the account in one line.

        :raises VendorError: The key is wrong, or the reply cannot be understood.
        """

    def state(self, status: str) -> JobState:
        """The state that a status word means."""
        return self.states.get(status.casefold(), JobState.RUNNING)

    def failure_reason(self, *texts: str | None) -> FailureReason:
        """The reason for a failure, recognised by phrases in all of the vendor's texts."""
        return self.words.reason(texts_in(*texts))
