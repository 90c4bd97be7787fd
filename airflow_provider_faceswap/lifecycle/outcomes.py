"""The result of waiting for a job: an outcome from a closed list, and the error that it means."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from airflow_provider_faceswap import exceptions
from airflow_provider_faceswap.exceptions import (
    ContentRefusedError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobCanceledError,
    JobFailedError,
    JobLostError,
    JobTimeoutError,
    MalformedResponseError,
    NoFaceError,
    RateLimitError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.text import safe_json
from airflow_provider_faceswap.jobs import Cost, FailureReason, Job, Submission
from airflow_provider_faceswap.vendors.messages import clean


class Outcome(StrEnum):
    """Every way a wait can end. Any other value is rejected, so it cannot count as a success."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    NO_OUTPUT = "no_output"
    UNREADABLE = "unreadable"
    REFUSED = "refused"


#: Outcomes that follow from the state of the job, and outcomes that follow from a failed poll.
_OF_JOB = frozenset({Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELED, Outcome.NO_OUTPUT})
_OF_FAILURE = frozenset({Outcome.LOST, Outcome.UNREADABLE, Outcome.REFUSED})

#: Error class for each reason that a vendor gives for a failed job; any other is a ``JobFailedError``.
_FAILURE_CLASSES: dict[FailureReason, type[VendorError]] = {
    FailureReason.NO_FACE: NoFaceError,
    FailureReason.CONTENT_REFUSED: ContentRefusedError,
    FailureReason.BAD_INPUT: InvalidRequestError,
    FailureReason.INSUFFICIENT_BALANCE: InsufficientBalanceError,
}


class ReadFailure(BaseModel):
    """A failed poll as plain values, so that it can travel from the triggerer to a worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    message: str
    status_code: int | None = None
    code: str | None = None

    @classmethod
    def of(cls, error: FaceSwapError) -> Self:
        """Take the class, the message and the codes of an error."""
        return cls(
            type=type(error).__name__,
            message=error.message,
            status_code=getattr(error, "status_code", None),
            code=getattr(error, "code", None),
        )

    def to_error(self, *, vendor: str, job_id: str, advice: str) -> VendorError:
        """
        Build the error again.

        :param advice: The next step; the class's own advice is about a submission.
        """
        known = getattr(exceptions, self.type, None)
        cls = known if isinstance(known, type) and issubclass(known, VendorError) else VendorUnavailableError
        return cls(
            self.message,
            vendor=vendor,
            job_id=job_id,
            status_code=self.status_code,
            code=self.code,
            advice=advice,
        )


class WaitResult(BaseModel):
    """
    The end of a wait.

    In a trigger event three fields have older names, the aliases here: events outlive an upgrade.

    :param job: The job as last polled; ``None`` if no poll succeeded.
    :param failure: The last failed poll, if the outcome follows from one.
    :param cancel_confirmed: Whether the vendor confirmed a cancellation at the deadline; ``None`` without a request.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    outcome: Outcome = Field(alias="word")
    vendor: str
    job_id: str
    job: Job | None = None
    failure: ReadFailure | None = Field(default=None, alias="trouble")
    cancel_confirmed: bool | None = Field(default=None, alias="canceled")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.outcome in _OF_JOB and self.job is None) or (
            self.outcome in _OF_FAILURE and self.failure is None
        ):
            raise ValueError(f"{self.outcome} needs the job or the failed poll that it follows from")
        return self

    @property
    def is_final(self) -> bool:
        """True if the job itself is over. Otherwise it may still run, and can be resumed."""
        return self.outcome in {Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELED, Outcome.LOST}

    def to_event(self, submission: Submission) -> dict[str, Any]:
        """
        The payload of the trigger's one event: plain JSON, without links.

        The triggerer logs every event, and a link may be signed. The worker polls once more for the link.

        :param submission: The job that was waited for; ``dag.test()`` gives a resumed task the event only.
        """
        return {
            "ending": self.model_dump(mode="json", by_alias=True, exclude={"job": {"urls"}}),
            "submission": submission.model_dump(mode="json"),
        }

    def after_cancel(self, *, confirmed: bool) -> Self:
        """The same result after a cancellation at the deadline."""
        return self.model_copy(update={"cancel_confirmed": confirmed})

    def to_error(self, cost: Cost | None = None) -> FaceSwapError:
        """
        The error for this outcome. Not to be called for ``succeeded``.

        :param cost: The cost that the vendor reported when the job was submitted.
        """
        who: dict[str, Any] = {"vendor": self.vendor, "job_id": self.job_id}
        if self.outcome is Outcome.TIMED_OUT:
            return self._timed_out(**who)
        if self.failure is not None:
            if self.outcome is Outcome.LOST:
                return JobLostError(self.failure.message, **who)
            return self.failure.to_error(
                advice="The job was accepted before. It may still run and be charged: resume it with resume_job_id.",
                **who,
            )
        assert self.job is not None  # noqa: S101 - validated above
        if self.outcome is Outcome.FAILED:
            return failure_error(self.job, cost)
        if self.outcome is Outcome.CANCELED:
            return JobCanceledError(f"the job was cancelled at the vendor{_charge(self.job, cost)}", **who)
        return MalformedResponseError(
            f"the job was reported as done, but without a usable link{_remark(self.job)}",
            advice="The job is paid for. Resume it with resume_job_id, or ask the vendor for the result.",
            **who,
        )

    def _timed_out(self, **who: Any) -> JobTimeoutError:
        seen = (
            f"last status {clean(self.job.status)!r}{_remark(self.job)}" if self.job else "no poll succeeded"
        )
        if self.cancel_confirmed:
            return JobTimeoutError(
                f"the deadline passed, {seen}; the vendor confirmed the cancellation",
                advice="A retry submits a new job.",
                **who,
            )
        if self.failure is not None:
            seen += f", and the last poll failed ({self.failure.message})"
        tried = "" if self.cancel_confirmed is None else "; a cancellation was requested, but not confirmed"
        return JobTimeoutError(f"the deadline passed, {seen}{tried}", **who)


def read_event(event: object, submission: object = None) -> tuple[Submission, WaitResult]:
    """
    Parse the payload of a trigger event.

    :param submission: The task's own copy of what it waits for; it is trusted before the event's copy.
    :raises FaceSwapError: The event is ``None``, from another version, or about another job.
    """
    try:
        payload, submission = safe_json(event if isinstance(event, dict) else {}), safe_json(submission)
    except ValueError:  # nested deeper than any event
        payload, submission = {}, None
    try:
        waited_for = Submission.model_validate(submission or payload.get("submission"))
    except ValidationError:
        raise FaceSwapError(
            "the trigger event contains no job",
            advice="The job may be done and paid for. Its id is in the log: resume it with resume_job_id.",
        ) from None
    who = {"vendor": waited_for.vendor, "job_id": waited_for.job_id}
    advice = "The job may be done and paid for: resume it with resume_job_id."
    try:
        waited = WaitResult.model_validate(payload.get("ending"))
    except ValidationError:
        raise FaceSwapError(
            "the installed version of airflow-provider-faceswap cannot read the trigger's event",
            **who,
            advice=advice,
        ) from None
    if waited.job_id != waited_for.job_id or waited.vendor != waited_for.vendor:
        raise FaceSwapError(
            f"the trigger event is about {waited.vendor} job {waited.job_id}", **who, advice=advice
        )
    return waited_for, waited


def failure_error(job: Job, cost: Cost | None = None) -> FaceSwapError:
    """
    The error for a job that its vendor reports as failed.

    :param cost: The cost that the vendor reported when the job was submitted.
    """
    message = f"the job failed: {job.failure or 'the vendor gave no reason'}{_charge(job, cost)}"
    advice = None
    if job.failure_reason is FailureReason.BAD_INPUT:
        advice = "Check that the vendor can fetch and read the pictures."
    cls = _FAILURE_CLASSES.get(job.failure_reason, JobFailedError)
    return cls(message, vendor=job.vendor, job_id=job.job_id, advice=advice)


def kill_message(job: Submission, state: str | None, *, confirmed: bool) -> str:
    """
    The log line for a task that was ended while its job was running.

    :param state: The task's state now.
    :param confirmed: Whether the vendor confirmed the cancellation.
    """
    cancel = (
        "the vendor confirmed the cancellation"
        if confirmed
        else "no cancellation was confirmed, so the job may finish and be charged; resume it with resume_job_id"
    )
    return f"The task was ended ({state}) while {job.vendor} job {job.job_id} was running: {cancel}"


def left_running_message(job: Submission, state: str | None) -> str:
    """
    The log line for a task that stopped while its job keeps running.

    :param state: The task's state now, ``None`` if it is unknown.
    """
    return f"{job.vendor} job {job.job_id} is left running: the task's state is {state or 'unknown'}"


def is_transient(error: FaceSwapError) -> bool:
    """True for a network error, a fault of the vendor, or a reply that is not its own: a retry may help."""
    return isinstance(error, VendorUnavailableError | RateLimitError | MalformedResponseError) or (
        type(error) is VendorError
    )


def _charge(job: Job, announced: Cost | None) -> str:
    """What is known of the charge for a job without a result, as the end of a sentence; empty if nothing is."""
    cost = job.cost or announced
    return f"; charged {cost} as far as is known" if cost else ""


def _remark(job: Job) -> str:
    """The vendor's text besides the status, in brackets; empty if there is none."""
    return f" ({job.failure})" if job.failure else ""
