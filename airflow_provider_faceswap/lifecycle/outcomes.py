"""How a wait ended: a word from a closed list, and the error it stands for."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

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
from airflow_provider_faceswap.jobs import Cost, FailureReason, Job, Submission
from airflow_provider_faceswap.vendors.messages import clean


class Word(StrEnum):
    """Every way a wait can end. Nothing else is taken for an ending, least of all for a success."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    NO_OUTPUT = "no_output"
    UNREADABLE = "unreadable"
    REFUSED = "refused"


class Trouble(BaseModel):
    """A failed read in plain values, so that it can cross from the triggerer to a worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    message: str
    status_code: int | None = None
    code: str | None = None

    @classmethod
    def of(cls, error: FaceSwapError) -> Self:
        """Take from an error what can be told."""
        return cls(
            type=type(error).__name__,
            message=error.message,
            status_code=getattr(error, "status_code", None),
            code=getattr(error, "code", None),
        )

    def to_error(self, *, vendor: str, job_id: str, advice: str) -> VendorError:
        """
        Build the error again.

        :param advice: What to do, as the class's own advice speaks of a request that bought nothing.
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


class Ending(BaseModel):
    """
    The end of a wait.

    :param job: The job as last read; absent where it never could be read.
    :param trouble: The last failed read, where the ending comes from one.
    :param canceled: Whether a cancel sent at the deadline was confirmed; ``None`` where none was sent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    word: Word
    vendor: str
    job_id: str
    job: Job | None = None
    trouble: Trouble | None = None
    canceled: bool | None = None

    @property
    def is_final(self) -> bool:
        """True where the job itself is over; else it may go on, and can be resumed."""
        return self.word in {Word.SUCCEEDED, Word.FAILED, Word.CANCELED, Word.LOST}

    def to_event(self, submission: Submission) -> dict[str, Any]:
        """
        The payload of the trigger's one event: plain JSON, without the links.

        The triggerer writes every event to its log, and a link may be signed: the worker asks for it again.

        :param submission: What was waited for; ``dag.test()`` hands a resumed task nothing but the event.
        """
        return {
            "ending": self.model_dump(mode="json", exclude={"job": {"urls"}}),
            "submission": submission.model_dump(mode="json"),
        }

    def after_cancel(self, *, confirmed: bool) -> Self:
        """The same ending, once the deadline has made its owner cancel the job."""
        return self.model_copy(update={"canceled": confirmed})

    def to_error(self, told: Cost | None = None) -> FaceSwapError:
        """
        The error this ending stands for; call it for every word but ``succeeded``.

        :param told: What the vendor said at the create that the job would take.
        """
        who: dict[str, Any] = {"vendor": self.vendor, "job_id": self.job_id}
        if self.word is Word.FAILED:
            return job_failure(self.job, told, **who)
        if self.word is Word.CANCELED:
            return JobCanceledError(f"the job was cancelled at the vendor{charge(self.job, told)}", **who)
        if self.word is Word.TIMED_OUT:
            return self._timed_out(**who)
        if self.word is Word.LOST:
            return JobLostError(
                self.trouble.message if self.trouble else "the vendor no longer knows the job", **who
            )
        if self.word is Word.NO_OUTPUT:
            return MalformedResponseError(
                f"the job is reported done, but without a usable link{self._told()}",
                advice="It is paid. Resume it with resume_job_id, or ask the vendor for the result.",
                **who,
            )
        advice = "The job was accepted before and may go on and be charged: finish it with resume_job_id."
        if self.trouble is None:
            return VendorUnavailableError("the job could not be read any more", advice=advice, **who)
        return self.trouble.to_error(advice=advice, **who)

    def _told(self) -> str:
        """What the vendor said beside the state, if anything."""
        return f" ({self.job.failure})" if self.job and self.job.failure else ""

    def _timed_out(self, **who: Any) -> JobTimeoutError:
        status = f"last seen as {clean(self.job.status)!r}{self._told()}" if self.job else "never seen"
        if self.canceled:
            return JobTimeoutError(
                f"the deadline passed, {status}; the vendor confirmed the cancel",
                advice="A retry buys a new job.",
                **who,
            )
        tried = "" if self.canceled is None else "; a cancel was sent, but not confirmed"
        return JobTimeoutError(f"the deadline passed, {status}{tried}", **who)


def read_event(event: object, submission: object = None) -> tuple[Submission, Ending]:
    """
    Read the payload of an event, wherever it came from.

    :param submission: What the task itself kept about the job it waits for; it goes before the event's word.
    :raises FaceSwapError: The event is ``None``, from another version, or about another job.
    """
    parts = event if isinstance(event, dict) else {}
    try:
        waited = Submission.model_validate(submission or parts.get("submission"))
    except ValidationError:
        raise FaceSwapError(
            "the task was resumed without a word on its job",
            advice="The job may be done and paid: its id is in the log; finish it with resume_job_id.",
        ) from None
    who = {"vendor": waited.vendor, "job_id": waited.job_id}
    advice = "The job may be done and paid: finish it with resume_job_id."
    try:
        ending = Ending.model_validate(parts.get("ending"))
    except ValidationError:
        raise FaceSwapError(
            "the event that resumed the task is none that this version knows", **who, advice=advice
        ) from None
    if ending.job_id != waited.job_id or ending.vendor != waited.vendor:
        raise FaceSwapError(
            f"the event that resumed the task is about {ending.vendor} job {ending.job_id}",
            **who,
            advice=advice,
        )
    return waited, ending


def charge(job: Job | None, told: Cost | None) -> str:
    """What is known of the charge for a job that gave nothing, as the end of a sentence; empty where nothing is."""
    cost = (job.cost if job else None) or told
    return f"; charged {cost.amount:g} {cost.unit} as far as is known" if cost else ""


def job_failure(job: Job | None, told: Cost | None = None, *, vendor: str, job_id: str) -> FaceSwapError:
    """
    The error for a job that its vendor reports as failed.

    :param job: The job, with the vendor's text and its sort.
    :param told: What the vendor said at the create that it would take.
    """
    text = (job.failure if job else None) or "the vendor gave no reason"
    message = f"the job failed: {text}{charge(job, told)}"
    classes: dict[FailureReason, type[VendorError]] = {
        FailureReason.NO_FACE: NoFaceError,
        FailureReason.CONTENT_REFUSED: ContentRefusedError,
        FailureReason.BAD_INPUT: InvalidRequestError,
        FailureReason.INSUFFICIENT_BALANCE: InsufficientBalanceError,
    }
    reason = job.failure_reason if job else FailureReason.UNKNOWN
    if reason is FailureReason.BAD_INPUT:
        return InvalidRequestError(
            message, vendor=vendor, job_id=job_id, advice="Check that the pictures can be fetched and read."
        )
    if reason in classes:
        return classes[reason](message, vendor=vendor, job_id=job_id)
    return JobFailedError(message, vendor=vendor, job_id=job_id)


def after_kill(job: Submission, state: str | None, *, confirmed: bool) -> str:
    """
    What the log says when a task was ended under a running job.

    :param state: What the task is now.
    :param confirmed: Whether the vendor confirmed the cancel.
    """
    told = (
        "the vendor confirmed the cancel"
        if confirmed
        else "a cancel is not confirmed, so it may still finish and be charged; resume_job_id takes it up"
    )
    return f"The task was ended ({state}) while {job.vendor} job {job.job_id} was running: {told}"


def worth_asking_again(error: FaceSwapError) -> bool:
    """True for a failed read that says nothing about the job: the network, the vendor's bad moment."""
    return isinstance(error, VendorUnavailableError | RateLimitError | MalformedResponseError) or (
        type(error) is VendorError
    )
