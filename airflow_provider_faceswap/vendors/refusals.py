"""The error to raise for a reply that is not what was requested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    ContentRefusedError,
    InsufficientBalanceError,
    InvalidRequestError,
    MalformedResponseError,
    PermissionDeniedError,
    RateLimitError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.vendors.messages import as_word, clean

if TYPE_CHECKING:
    from airflow_provider_faceswap.vendors.messages import Reply

#: The next step after a poll whose reply says nothing about the job.
POLL_AGAIN = "The reply says nothing about the job, which may still run. Poll again."

#: Characters of such a reply that a message shows.
LONGEST_FOREIGN = 200

_BY_STATUS: dict[int, type[VendorError]] = {
    401: AuthenticationError,
    402: InsufficientBalanceError,
    403: PermissionDeniedError,
    408: VendorUnavailableError,
    429: RateLimitError,
    451: ContentRefusedError,
}


def refusal(
    vendor: str, reply: Reply, message: str, *, code: object = None, job_id: str | None = None
) -> VendorError:
    """
    The error for an HTTP status, with the vendor's own text in it.

    :param message: The vendor's text. It is shortened, and signed queries are removed, here.
    :param code: The vendor's own error code.
    """
    status = reply.status_code
    facts: dict[str, Any] = {
        "vendor": vendor,
        "status_code": status,
        "code": as_word(code) or None,
        "job_id": job_id,
    }
    if 300 <= status < 400:  # a redirect is not followed, because the request carries the key
        return InvalidRequestError(
            "the host answered with a redirect instead of the API",
            **facts,
            advice="Nothing was bought. Correct the connection's host.",
        )
    if status < 400:
        cls: type[VendorError] = MalformedResponseError
    else:
        cls = _BY_STATUS.get(status, InvalidRequestError if status < 500 else VendorUnavailableError)
    if issubclass(cls, RateLimitError | VendorUnavailableError):
        facts["retry_after"] = reply.retry_after
    return cls(clean(message) or f"answered HTTP {status} without a reason", **facts)


def malformed(vendor: str, reply: Reply, what: str, *, job_id: str | None = None) -> VendorError:
    """
    The error for a reply that cannot be understood, or the refusal if its HTTP status is one.

    :param what: What is wrong with the reply.
    """
    if not reply.ok:
        return refusal(vendor, reply, reply.text, job_id=job_id)
    return MalformedResponseError(what, vendor=vendor, status_code=reply.status_code, job_id=job_id)


def foreign(vendor: str, reply: Reply, job_id: str) -> MalformedResponseError:
    """The error for the reply to a poll that is not in the vendor's own shape, whatever its HTTP status."""
    if 300 <= reply.status_code < 400:
        what = "it is a redirect"
    else:
        what = clean(reply.text)[:LONGEST_FOREIGN] or "it is empty"
    return MalformedResponseError(
        f"the reply does not have the shape of this vendor's API: {what}",
        vendor=vendor,
        status_code=reply.status_code,
        job_id=job_id,
        advice=POLL_AGAIN,
    )
