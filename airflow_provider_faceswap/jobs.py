"""The models that everything else uses: a job, its cost, its submission, its result."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.text import safe_json, safe_text

#: How far a vendor's time may be ahead of our clock, and how long ago a job can have been.
_FURTHEST_AHEAD, _LONGEST_AGO = timedelta(days=1), timedelta(days=365)


class JobState(StrEnum):
    """The state of a job. An unknown status word counts as ``running``: only the deadline ends the wait."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        """True if the vendor will not change the state any more."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED}


class FailureReason(StrEnum):
    """Why a job failed, as far as its vendor says. It decides whether another attempt can help."""

    UNKNOWN = "unknown"
    NO_FACE = "no_face"
    CONTENT_REFUSED = "content_refused"
    BAD_INPUT = "bad_input"
    INSUFFICIENT_BALANCE = "insufficient_balance"


def plain_amount(amount: float) -> str:
    """An amount of money as people write it: never with an exponent, and without the noise of a sum of floats."""
    return f"{Decimal(f'{amount:.12g}' if abs(amount) < 1e12 else f'{amount:.2f}'):f}"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cost(_Frozen):
    """The cost of a job as its vendor reports it, in the vendor's own unit (``RUB``, ``point``)."""

    amount: float
    unit: str

    def __str__(self) -> str:
        return f"{plain_amount(self.amount)} {self.unit}"


class Balance(_Frozen):
    """
    The balance of an account, in one unit.

    :param amount: May be below zero if the vendor gives credit.
    :param unit: ``RUB``, ``USD``, ``point``, ``credit``.
    :param credit: How far below zero the account may go.
    """

    amount: float
    unit: str
    credit: float = 0.0

    @property
    def available(self) -> float:
        """The amount that can be spent."""
        return self.amount + self.credit

    def __str__(self) -> str:
        amount = str(Cost(amount=self.amount, unit=self.unit))
        credit = Cost(amount=self.credit, unit=self.unit)
        return f"{amount} and {credit} of credit" if self.credit else amount


class Job(_Frozen):
    """
    One paid job at a vendor, as last polled.

    :param status: The vendor's own word for the state.
    :param urls: Links to the output; ``()`` until the job succeeded.
    :param inline: The output itself if the vendor sends no link; never logged or stored.
    :param percent: Progress, 0 to 100, if the vendor reports it.
    :param failure: The vendor's own text for a failure, without the queries of links.
    :param created_at: When the vendor accepted it, if the vendor reports it; with a time zone.
    :param finished_at: When the vendor finished it, if the vendor reports it; with a time zone.
    """

    vendor: str
    kind: str
    job_id: str
    state: JobState
    status: str
    urls: tuple[str, ...] = ()
    inline: tuple[bytes, ...] = Field(default=(), repr=False, exclude=True)
    percent: float | None = None
    cost: Cost | None = None
    failure: str | None = None
    failure_reason: FailureReason = FailureReason.UNKNOWN
    created_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def has_output(self) -> bool:
        """True if there is something to download or to archive."""
        return bool(self.urls or self.inline)

    def believed(self, now: datetime) -> Self:
        """
        The job with times that our own clock allows: the vendor's clock may be wrong.

        A time up to a day ahead becomes now. One further ahead, or more than a year ago, is left out.
        """
        return self.model_copy(
            update={
                "created_at": _believed(self.created_at, now),
                "finished_at": _believed(self.finished_at, now),
            }
        )


def _believed(moment: datetime | None, now: datetime) -> datetime | None:
    if moment is None or not -_FURTHEST_AHEAD <= now - moment <= _LONGEST_AGO:
        return None
    return min(moment, now)


class Submission(_Frozen):
    """
    An accepted job and everything that is needed to wait for it, in any process.

    Plain values only: Airflow stores it in clear while a task is deferred.

    :param submitted_at: The vendor's own time, or when it was sent if the vendor does not report one.
    :param deadline: When waiting stops. The job itself may continue.
    :param cost: The cost in the response to the submission; some vendors never report it again.
    :param reused: True if an earlier attempt submitted it.
    :param counted: True if metrics have counted its end, or may have, or if the task that submitted it will
        count it.
    :param provenance: The job's part of a manifest: arguments that may be shown, and the jobs before it.
    """

    vendor: str
    kind: str
    job_id: str
    conn_id: str
    submitted_at: datetime
    deadline: datetime
    cost: Cost | None = None
    reused: bool = False
    counted: bool = False
    provenance: dict[str, Any] = Field(default_factory=dict)

    def result(self, job: Job, *, seen_at: datetime, retention: timedelta | None) -> JobResult:
        """
        The result of this submission once its job has succeeded.

        :param seen_at: When the success was seen; used if the vendor reports no time.
        :param retention: How long the vendor keeps the output, counted from the submission to be safe.
        """
        started = job.created_at or self.submitted_at
        return JobResult(
            vendor=self.vendor,
            kind=self.kind,
            job_id=self.job_id,
            conn_id=self.conn_id,
            url=job.urls[0] if job.urls else None,
            urls=job.urls,
            cost=job.cost or self.cost,
            submitted_at=started,
            finished_at=job.finished_at or seen_at,
            expires_at=started + retention if retention else None,
            attempt_reused=self.reused,
            provenance=self.provenance,
        )


class GivenResult(_Frozen):
    """
    A job's result as an argument: what a job operator returned, or the part of it that a user wrote by hand.

    Only ``vendor``, ``job_id`` and ``url`` must be there; unknown keys are ignored.

    :param reused_from: The manifest of the archived picture that ``url`` names, if nothing was bought because the same
        request had been archived before; left out otherwise.
    """

    #: A wrong value of any other field counts as not set: the result may be kept without it.
    _NEEDED: ClassVar[frozenset[str]] = frozenset({"vendor", "job_id", "url", "urls"})

    model_config = ConfigDict(extra="ignore")

    vendor: str
    kind: str | None = None
    job_id: str = Field(coerce_numbers_to_str=True, min_length=1)
    conn_id: str | None = None
    url: str | None
    urls: tuple[str, ...] | None = None
    cost: Cost | None = None
    submitted_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    attempt_reused: bool | None = None
    provenance: dict[str, Any] | None = None
    reused_from: str | None = None

    @model_serializer(mode="wrap")
    def _as_json(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = plain(self)
        if self.reused_from is None:
            fields.pop("reused_from", None)
        return fields

    @classmethod
    def parse(cls, value: Any) -> Self | None:
        """
        Recognise a result.

        :returns: ``None`` if the value is something else.
        :raises InvalidRequestError: It is a result without a usable vendor, job id or link.
        """
        if isinstance(value, Job):
            url = value.urls[0] if value.urls else None
            value = {**value.model_dump(), "url": url, "submitted_at": value.created_at}
        if not isinstance(value, Mapping) or not {"vendor", "job_id", "url"} <= value.keys():
            return None
        try:
            fields = {
                name: safe_text(part) if isinstance(part, str) else safe_json(part)
                for name, part in value.items()
            }
        except ValueError as error:
            raise InvalidRequestError(f"this job's result cannot be read: it is {error}") from None
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            wrong = error.errors()
        if not any(part["loc"][0] in cls._NEEDED for part in wrong):
            unusable = {part["loc"][0] for part in wrong}
            return cls.model_validate({name: fields[name] for name in fields if name not in unusable})
        reasons = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in wrong)
        raise InvalidRequestError(
            f"this job's result cannot be read ({reasons})",
            vendor=str(fields["vendor"] or "") or None,
            job_id=str(fields["job_id"] or "") or None,
        )

    @property
    def links(self) -> tuple[str, ...]:
        """The links to all outputs."""
        return self.urls or ((self.url,) if self.url else ())


class JobResult(GivenResult):
    """
    What a job operator returns: small, JSON-safe, and all that a later task needs.

    :param url: The first output, with its query, which the archive needs. ``None`` if the vendor answered with the
        picture itself; the archive then polls the job again.
    :param expires_at: The earliest time at which the vendor may delete the output, if it says how long it
        keeps one.
    :param attempt_reused: True if this attempt paid nothing because an earlier attempt had paid.
    :param provenance: The job's part of a manifest: arguments that may be shown, and the jobs before it.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str
    conn_id: str
    urls: tuple[str, ...]
    submitted_at: datetime
    finished_at: datetime
    attempt_reused: bool
    provenance: dict[str, Any] = Field(default_factory=dict)

    def to_xcom(self) -> dict[str, Any]:
        """The plain dict that goes into XCom."""
        return self.model_dump(mode="json")
