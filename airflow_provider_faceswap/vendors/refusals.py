"""
The error to raise for a reply that is not what was requested.

The words of the vendor's text decide before the HTTP status: vendors send "too many tasks" and "no credits" with several
statuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    ContentRefusedError,
    InsufficientBalanceError,
    InvalidRequestError,
    MalformedResponseError,
    NoFaceError,
    PermissionDeniedError,
    RateLimitError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.vendors.messages import as_word, clean
from airflow_provider_faceswap.vendors.phrases import Meaning
from airflow_provider_faceswap.vendors.words import SHARED, texts_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_faceswap.vendors.messages import Reply
    from airflow_provider_faceswap.vendors.words import Words

T = TypeVar("T")

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

#: A passing fault is not here: after it, the request may have been processed.
_BY_MEANING: dict[Meaning, type[VendorError]] = {
    Meaning.BUSY: RateLimitError,
    Meaning.NO_BALANCE: InsufficientBalanceError,
    Meaning.CONTENT_REFUSED: ContentRefusedError,
    Meaning.NO_FACE: NoFaceError,
    Meaning.BAD_INPUT: InvalidRequestError,
}
#: Meanings that explain a refusal of any status, and those that also explain one that is not about the key.
_OF_ACCOUNT = frozenset({Meaning.BUSY, Meaning.NO_BALANCE})
_OF_CONTENT = frozenset({Meaning.CONTENT_REFUSED, Meaning.NO_FACE})


def refusal(
    vendor: str,
    reply: Reply,
    message: str,
    *,
    code: object = None,
    job_id: str | None = None,
    texts: Sequence[str] | None = None,
    words: Words = SHARED,
) -> VendorError:
    """
    The error for a refusal, with the vendor's own text in it.

    :param message: The vendor's text. It is shortened, and signed queries are removed, here.
    :param code: The vendor's own error code.
    :param texts: All texts of the reply that may name the cause; default: the message.
    :param words: The vendor's table of words.
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
        by_status = _BY_STATUS.get(status, InvalidRequestError if status < 500 else VendorUnavailableError)
        meaning = words.meaning(texts_in(message) if texts is None else texts)
        cls = _class_by_own_words(reply, meaning, job_id) or by_status
    if issubclass(cls, RateLimitError | VendorUnavailableError):
        facts["retry_after"] = reply.retry_after
    return cls(clean(message) or f"answered HTTP {status} without a reason", **facts)


def _class_by_own_words(
    reply: Reply, meaning: Meaning | None, job_id: str | None
) -> type[VendorError] | None:
    """
    The class that the vendor's words name; ``None`` if the HTTP status decides.

    :param job_id: The job that was polled: a refused poll says nothing about its pictures.
    """
    status = reply.status_code
    if job_id is not None and meaning is not Meaning.BUSY:
        return None
    # The page of a proxy or a firewall is not the vendor's text. After an HTTP 5xx only the vendor's own JSON counts.
    if meaning is None or not (reply.fields or (status < 500 and not _is_page(reply))):
        return None
    decides = meaning in _OF_ACCOUNT or (meaning in _OF_CONTENT and status != 401) or status not in _BY_STATUS
    return class_by_words(meaning) if decides else None


def _is_page(reply: Reply) -> bool:
    """Whether the reply is HTML: from a proxy, a firewall or a CDN, not from a vendor's API."""
    return reply.text.lstrip().startswith("<")


def class_by_words(meaning: Meaning | None) -> type[VendorError] | None:
    """The class of a refusal whose words mean this; ``None`` if they name no cause."""
    return _BY_MEANING.get(meaning) if meaning else None


def malformed(vendor: str, reply: Reply, what: str, *, job_id: str | None = None) -> VendorError:
    """
    The error for a reply that cannot be understood, or the refusal if its HTTP status is one.

    :param what: What is wrong with the reply.
    """
    if not reply.ok:
        return refusal(vendor, reply, reply.text, job_id=job_id)
    return MalformedResponseError(what, vendor=vendor, status_code=reply.status_code, job_id=job_id)


def unless_blocked(vendor: str, parse: Callable[[Reply], T]) -> Callable[[Reply], T]:
    """
    A parser that first looks who forbade a read: the vendor, or the page of a firewall or a CDN, which may be gone soon.

    :param parse: Makes something of the vendor's replies.
    :raises VendorUnavailableError: By the returned function, for such a page. It says nothing about key or plan.
    """

    def parsed(reply: Reply) -> T:
        if reply.status_code == 403 and _is_page(reply):
            raise VendorUnavailableError(
                f"a page instead of this vendor's API answered: {clean(reply.text)[:LONGEST_FOREIGN]}",
                vendor=vendor,
                status_code=reply.status_code,
                retry_after=reply.retry_after,
                advice="Nothing was bought. Retry. If the error stays, look at the proxies and firewalls in between.",
            )
        return parse(reply)

    return parsed


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
