"""
The errors of this package, as one tree.

FaceSwapError
├── VendorError                     .vendor .status_code .code .message .job_id
│   ├── AuthenticationError         401                               no retry
│   ├── PermissionDeniedError       403                               no retry
│   ├── InsufficientBalanceError    402                               no retry
│   ├── InvalidRequestError         400 413 422, bad arguments        no retry
│   │   └── PictureNotTakenError    the vendor does not accept it     no retry
│   ├── ContentRefusedError         moderation                        no retry
│   ├── NoFaceError                 no usable face                    no retry
│   ├── RateLimitError              429; .retry_after                 retry
│   ├── VendorUnavailableError      not reached; 5xx (submit: 503)    retry
│   └── MalformedResponseError      not what the contract says        retry
├── JobFailedError                  the vendor reported a failure     retry submits a new job
├── JobCanceledError                cancelled at the vendor           retry submits a new job
├── JobTimeoutError                 still running, resumable          retry resumes the job
├── JobLostError                    the vendor no longer has it       retry
├── BatchFailedError                items of a batch failed           retry repeats those
│   └── BatchRefusedError           no failed item can succeed        no retry
├── BudgetExceededError             over the cap; .period_end         no retry
├── BudgetBusyError                 no room now; .retry_after         retry
├── SubmissionUncertainError        sent, no response                 no retry
└── ArchiveError                                                      retry
    ├── ResultExpiredError          the link has expired              no retry
    ├── UnsafeURLError              not a public https address        no retry
    ├── TooLargeError               larger than the limit             no retry
    └── NotAnImageError             neither picture nor video         retry

"No retry" classes are also Airflow fail-fast exceptions: the task fails at once, regardless of ``retries``. Their base
class is all that this module imports from Airflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from airflow.providers.common.compat.sdk import AirflowFailException

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "ArchiveError",
    "AuthenticationError",
    "BatchFailedError",
    "BatchRefusedError",
    "BudgetBusyError",
    "BudgetExceededError",
    "ContentRefusedError",
    "FaceSwapError",
    "InsufficientBalanceError",
    "InvalidRequestError",
    "JobCanceledError",
    "JobFailedError",
    "JobLostError",
    "JobTimeoutError",
    "MalformedResponseError",
    "NoFaceError",
    "NotAnImageError",
    "PermissionDeniedError",
    "PictureNotTakenError",
    "RateLimitError",
    "ResultExpiredError",
    "SubmissionUncertainError",
    "TooLargeError",
    "UnsafeURLError",
    "VendorError",
    "VendorUnavailableError",
]


class FaceSwapError(Exception):
    """
    Base of every error that this package raises on purpose.

    :param message: What happened, without keys and signed queries.
    :param vendor: The vendor's name, if one is involved.
    :param job_id: The vendor's id of the job, if one was accepted.
    :param advice: The next step; default: the class's own.
    """

    #: The next step; an instance may have a better one than its class.
    advice: str = ""

    def __init__(
        self, message: str, *, vendor: str | None = None, job_id: str | None = None, advice: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.vendor = vendor
        self.job_id = job_id
        if advice is not None:
            self.advice = advice

    def replaced(
        self, *, message: str | None = None, job_id: str | None = None, advice: str | None = None
    ) -> Self:
        """A copy of this error with other facts, to raise instead of it; ``None`` keeps a fact."""
        copy = type(self)(self.message if message is None else message)
        facts = {"message": message, "job_id": job_id, "advice": advice}
        vars(copy).update({**vars(self), **{name: fact for name, fact in facts.items() if fact is not None}})
        return copy

    def _facts(self) -> list[str]:
        return [f"job {self.job_id}"] if self.job_id else []

    def __str__(self) -> str:
        """Vendor, message, the facts in brackets, the next step."""
        text = f"{self.vendor}: {self.message}" if self.vendor else self.message
        if facts := self._facts():
            text += f" [{', '.join(facts)}]"
        if not text.endswith((".", "]", "!")):
            text += "."
        return f"{text} {self.advice}".rstrip()


class VendorError(FaceSwapError):
    """
    The vendor refused a request, or its response is unusable.

    :param status_code: HTTP status of the response, ``None`` without one.
    :param code: The vendor's own error code or type, as in the body.
    :param retry_after: Seconds to wait, from the response; ``None`` if it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        vendor: str | None = None,
        status_code: int | None = None,
        code: str | None = None,
        job_id: str | None = None,
        advice: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, vendor=vendor, job_id=job_id, advice=advice)
        self.status_code = status_code
        self.code = code
        self.retry_after = retry_after

    def _facts(self) -> list[str]:
        facts = super()._facts()
        if self.status_code is not None:
            facts.append(f"HTTP {self.status_code}")
        if self.code is not None:
            facts.append(f"code {self.code}")
        return facts


class AuthenticationError(VendorError, AirflowFailException):
    """The API key is missing or wrong."""

    advice = "Nothing was bought by this request. Put a valid API key into the connection's password field."


class PermissionDeniedError(VendorError, AirflowFailException):
    """The API key is valid, but not for this request."""

    advice = "Nothing was bought by this request. Use a key, or a plan, that covers this API."


class InsufficientBalanceError(VendorError, AirflowFailException):
    """The account cannot pay."""

    advice = "Nothing new was bought. Top up the account, then clear the task."


class InvalidRequestError(VendorError, AirflowFailException, ValueError):
    """An argument is wrong: found before anything was sent, or refused by the vendor."""

    advice = "Nothing was bought. Correct the argument."


class PictureNotTakenError(InvalidRequestError):
    """This vendor does not accept this picture, or cannot get it; another may accept it. Nothing was sent."""

    advice = (
        "Nothing was bought. Give another picture, or set preflight='fit' to have it converted and shrunk."
    )


class ContentRefusedError(VendorError, AirflowFailException):
    """Moderation refused the prompt or a picture."""

    advice = "The same input will be refused again: change the prompt or the picture."


class NoFaceError(VendorError, AirflowFailException):
    """No usable face in one of the pictures."""

    advice = "Use a picture with a clear, frontal, uncropped face."


class RateLimitError(VendorError):
    """Too many requests, or too many jobs at once."""

    advice = "This request was not processed. Retry later, or limit the tasks with a pool."


class VendorUnavailableError(VendorError):
    """The vendor was not reached, did not answer a read, or answered 5xx (to a submission: 503)."""

    advice = "Retry later."


class MalformedResponseError(VendorError):
    """The response is not what the vendor's contract says."""

    advice = "Retry. If the error stays, the vendor has changed its API."


class JobFailedError(FaceSwapError):
    """The vendor accepted the job and reported it as failed."""

    advice = "A retry submits a new job."


class JobCanceledError(FaceSwapError):
    """The job was cancelled at the vendor."""

    advice = "A retry submits a new job."


class JobTimeoutError(FaceSwapError):
    """The deadline passed while the job was still running; it can be resumed by its id."""

    advice = "It may still finish and be charged. Resume it with resume_job_id, or raise timeout."


class JobLostError(FaceSwapError):
    """The vendor no longer has the job."""

    advice = "It was accepted and may have been charged. Its record at the vendor is gone or has expired."


class BatchFailedError(FaceSwapError):
    """As many items of a batch failed as ``fail_on`` says, or more. The others are archived."""

    advice = "A retry repeats the failed items, except those that a retry cannot help. It pays for no other item again."


class BatchRefusedError(BatchFailedError, AirflowFailException):
    """Items of a batch failed, and a retry can help none of them. The others are archived."""

    advice = (
        "A retry cannot help the failed items, so there is none. Correct them, or leave them out, then clear the "
        "task: it pays for no other item again."
    )


class BudgetExceededError(FaceSwapError, AirflowFailException):
    """
    The job would take a budget over its cap.

    :param period_end: When the budget's next period begins; ``None`` if no time ends this one.
    """

    advice = "Nothing was bought. Raise the budget's amount, or wait for its next period."

    def __init__(
        self,
        message: str,
        *,
        vendor: str | None = None,
        job_id: str | None = None,
        advice: str | None = None,
        period_end: datetime | None = None,
    ) -> None:
        super().__init__(message, vendor=vendor, job_id=job_id, advice=advice)
        self.period_end = period_end


class BudgetBusyError(FaceSwapError):
    """
    A budget has no room for the job now.

    :param retry_after: Seconds after which there may be room; ``None`` if that is not known.
    """

    advice = "Nothing was bought. Retry later."

    def __init__(
        self,
        message: str,
        *,
        vendor: str | None = None,
        job_id: str | None = None,
        advice: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, vendor=vendor, job_id=job_id, advice=advice)
        self.retry_after = retry_after


class SubmissionUncertainError(FaceSwapError, AirflowFailException):
    """A submission got no response: the job may exist and may be charged."""

    advice = (
        "It may have been accepted and charged, so it is not sent again. Look in the vendor's job list: "
        "resume a job found there with resume_job_id, or allow a second submission with on_uncertain='resubmit'."
    )


class ArchiveError(FaceSwapError):
    """A result could not be archived. The job itself is done and paid for."""

    advice = "The job is paid for. Archive its result before the link expires."


class ResultExpiredError(ArchiveError, AirflowFailException):
    """The link to the result has expired."""

    advice = "The job is paid for, but its link has expired. To get a picture, submit a new job."


class UnsafeURLError(ArchiveError, AirflowFailException):
    """A result or a redirect has an address that downloads must not fetch."""

    advice = "Only public https addresses are fetched. [faceswap] allowed_private_hosts allows others."


class TooLargeError(ArchiveError, AirflowFailException):
    """The result is larger than the limit."""

    advice = "Raise max_bytes, or [faceswap] max_archive_bytes, if that size is expected."


class NotAnImageError(ArchiveError):
    """The bytes are neither a known picture or video, nor a known sound or 3D model."""

    advice = "Nothing was written. Look at the result link: it may be an error page."
