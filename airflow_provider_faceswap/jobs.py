"""The vocabulary: what a job is, whoever runs it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class JobState(StrEnum):
    """Where a job stands. A status word nobody knows is ``running``: only the deadline ends it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        """True where the vendor will not change the state any more."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED}


class FailureReason(StrEnum):
    """Why a job failed, as far as its vendor says: it decides whether trying again can help."""

    UNKNOWN = "unknown"
    NO_FACE = "no_face"
    CONTENT_REFUSED = "content_refused"
    BAD_INPUT = "bad_input"
    INSUFFICIENT_BALANCE = "insufficient_balance"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cost(_Frozen):
    """What the vendor says a job costs, in the vendor's own unit (``RUB``, ``point``)."""

    amount: float
    unit: str

    def __str__(self) -> str:
        return f"{self.amount:.12g} {self.unit}"


class Balance(_Frozen):
    """
    What an account has, in one unit.

    :param amount: May be below zero where the vendor gives credit.
    :param unit: ``RUB``, ``USD``, ``point``, ``credit``.
    :param credit: How far below zero the account may go.
    """

    amount: float
    unit: str
    credit: float = 0.0

    @property
    def available(self) -> float:
        """What can be spent."""
        return self.amount + self.credit

    def __str__(self) -> str:
        told = f"{self.amount:.12g} {self.unit}"
        return f"{told} and {self.credit:.12g} {self.unit} of credit" if self.credit else told


class Job(_Frozen):
    """
    One paid piece of work at a vendor, as last seen.

    :param status: The vendor's own word for the state.
    :param urls: Links to the output; ``()`` until the job succeeded.
    :param inline: The output itself where the vendor sends no link; never logged or stored.
    :param percent: Progress, 0 to 100, where the vendor tells.
    :param failure: The vendor's own text for a failure, without queries.
    :param created_at: When the vendor accepted it, where the vendor tells; always aware.
    :param finished_at: When the vendor finished it, where the vendor tells; always aware.
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
        """True where there is something to download or to keep."""
        return bool(self.urls or self.inline)


class Submission(_Frozen):
    """
    One accepted job as its buyer knows it: all that is needed to wait for it, anywhere.

    Plain values only: it is stored in clear while a task is deferred.

    :param submitted_at: When it was sent, or the vendor's own time where the vendor tells.
    :param deadline: When waiting stops; the job itself goes on.
    :param cost: What the create said; some vendors never say it again.
    :param reused: True where an earlier run bought it.
    :param counted: True where metrics have, or may have, its end already, or are to have it from its buyer.
    :param provenance: What the manifest says of it: arguments fit to be shown, and the jobs before it.
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
        Put a finished job together with what only its buyer knows.

        :param seen_at: When it was seen finished; the vendor's own time goes first.
        :param retention: How long the vendor keeps the output, counted from the start to be safe.
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


class JobResult(_Frozen):
    """
    What a job operator returns: small, JSON-safe, and all that a later task needs.

    :param url: The first output, with its query: the archive needs it. ``None`` where the vendor
        answered with the picture itself; the archive then reads the job again.
    :param expires_at: When the vendor may delete the output, where the vendor tells; never too late.
    :param attempt_reused: True where this run paid nothing because an earlier one had.
    :param provenance: What the manifest says of the job: arguments fit to be shown, and the jobs before it.
    """

    vendor: str
    kind: str
    job_id: str
    conn_id: str
    url: str | None
    urls: tuple[str, ...]
    cost: Cost | None
    submitted_at: datetime
    finished_at: datetime
    expires_at: datetime | None
    attempt_reused: bool
    provenance: dict[str, Any] = Field(default_factory=dict)

    def to_xcom(self) -> dict[str, Any]:
        """The plain dict that travels through XCom."""
        return self.model_dump(mode="json")
