"""
Every way a job can go wrong, as one tree.

FaceSwapError
├── VendorError                     .vendor .status_code .code .message .job_id
│   ├── AuthenticationError         401                               no retry
│   ├── PermissionDeniedError       403                               no retry
│   ├── InsufficientBalanceError    402                               no retry
│   ├── InvalidRequestError         400 413 422, bad arguments        no retry
│   │   └── PictureNotTakenError    this vendor cannot be given it    no retry
│   ├── ContentRefusedError         moderation                        no retry
│   ├── NoFaceError                 no usable face                    no retry
│   ├── RateLimitError              429; .retry_after                 retry
│   ├── VendorUnavailableError      not reached; 5xx (a create: 503)  retry
│   └── MalformedResponseError      not what the contract says        retry
├── JobFailedError                  the vendor gave up                retry buys anew
├── JobCanceledError                somebody cancelled it             retry buys anew
├── JobTimeoutError                 still running, resumable          retry goes on with the same job
├── JobLostError                    the vendor no longer knows it     retry
├── BatchFailedError                items of a batch failed           retry tries those again
├── SubmissionUncertainError        sent, no answer                   no retry
└── ArchiveError                                                      retry
    ├── ResultExpiredError          the link is dead                  no retry
    ├── UnsafeURLError              not a public https address        no retry
    ├── TooLargeError               over the byte cap                 no retry
    └── NotAnImageError             neither picture nor video         retry

"No retry" classes are Airflow fail-fast exceptions as well: the task fails at once, whatever ``retries``.
That is the one thing this module takes from Airflow, and the core takes nothing else.
"""

from __future__ import annotations

from typing import Self

from airflow.providers.common.compat.sdk import AirflowFailException

__all__ = [
    "ArchiveError",
    "AuthenticationError",
    "BatchFailedError",
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
    Base of every error this package raises on purpose.

    :param message: What happened, in words, free of keys and of signed queries.
    :param vendor: ``gptunnel``, ``tengrai`` or ``piapi``, where one is involved.
    :param job_id: The vendor's id of the job, where one was accepted.
    """

    #: What the reader should do next; a class has one, an instance may have a better one.
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
        """Vendor, message, the facts in brackets, then what to do."""
        text = f"{self.vendor}: {self.message}" if self.vendor else self.message
        if facts := self._facts():
            text += f" [{', '.join(facts)}]"
        if not text.endswith((".", "]", "!")):
            text += "."
        return f"{text} {self.advice}".rstrip()


class VendorError(FaceSwapError):
    """
    The vendor refused a request, or could not be understood.

    :param status_code: HTTP status of the answer, ``None`` where there was none.
    :param code: The vendor's own error code or type, as it stood in the body.
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
    ) -> None:
        super().__init__(message, vendor=vendor, job_id=job_id, advice=advice)
        self.status_code = status_code
        self.code = code

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
    """The key is good, but not for this."""

    advice = "Nothing was bought by this request. Use a key, or a plan, that covers this API."


class InsufficientBalanceError(VendorError, AirflowFailException):
    """The account cannot pay."""

    advice = "Nothing new was bought. Top up the account, then clear the task."


class InvalidRequestError(VendorError, AirflowFailException, ValueError):
    """An argument is wrong; found here before anything was sent, or refused by the vendor."""

    advice = "Nothing was bought. Correct the argument."


class PictureNotTakenError(InvalidRequestError):
    """This vendor takes no such picture, or has no way to be given it; another may. Nothing was sent."""

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
    """
    Too many requests, or too many jobs at once.

    :param retry_after: Seconds the vendor asked to wait, where it said.
    """

    advice = "This request was not processed. Retry later, or limit the tasks with a pool."

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
        super().__init__(
            message, vendor=vendor, status_code=status_code, code=code, job_id=job_id, advice=advice
        )
        self.retry_after = retry_after


class VendorUnavailableError(VendorError):
    """Not reached; or a question got no answer, or a 5xx; or a create a 503."""

    #: Seconds the vendor asked to wait, where it said.
    retry_after: float | None = None
    advice = "Retry later."


class MalformedResponseError(VendorError):
    """The answer is not what the vendor's contract says."""

    advice = "Retry; if it stays, the vendor has changed its interface."


class JobFailedError(FaceSwapError):
    """The vendor accepted the job and reported it failed."""

    advice = "A retry buys a new job."


class JobCanceledError(FaceSwapError):
    """The job was cancelled at the vendor."""

    advice = "A retry buys a new job."


class JobTimeoutError(FaceSwapError):
    """The deadline passed while the job was still running; it can be resumed by its id."""

    advice = "It may still finish and be charged. Resume it with resume_job_id, or raise timeout."


class JobLostError(FaceSwapError):
    """The vendor no longer knows the job."""

    advice = "It was accepted and may have been charged; its record at the vendor is gone or expired."


class BatchFailedError(FaceSwapError):
    """As many items of a batch failed as ``fail_on`` says, or more; the others are archived."""

    advice = (
        "A retry tries the failed items again, but for those that a retry cannot help, and pays no other."
    )


class SubmissionUncertainError(FaceSwapError, AirflowFailException):
    """A create was sent and no answer came: the job may exist and may be charged."""

    advice = (
        "It may have been accepted and charged, so it is not sent again. Look in the vendor's job list: "
        "finish a job found there with resume_job_id, or allow a second purchase with on_uncertain='resubmit'."
    )


class ArchiveError(FaceSwapError):
    """A result could not be saved. The job itself is paid and done."""

    advice = "The job is paid; save it before its link expires."


class ResultExpiredError(ArchiveError, AirflowFailException):
    """The vendor's link is dead."""

    advice = "The job is paid, but its link has expired; only a new job brings the picture back."


class UnsafeURLError(ArchiveError, AirflowFailException):
    """A result or a redirect points where downloads must not go."""

    advice = "Only public https addresses are fetched; [faceswap] allowed_private_hosts opens others."


class TooLargeError(ArchiveError, AirflowFailException):
    """The result is larger than the byte cap."""

    advice = "Raise max_bytes, or [faceswap] max_archive_bytes, if that size is expected."


class NotAnImageError(ArchiveError):
    """The bytes are neither a known picture nor a known video."""

    advice = "Nothing was written. Look at the result link: it may be an error page."
