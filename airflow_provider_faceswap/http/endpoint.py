"""Where and how requests reach one account at a vendor, and what a failed request means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from airflow_provider_faceswap.exceptions import (
    FaceSwapError,
    MalformedResponseError,
    SubmissionUncertainError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import error_line, without_secrets
from airflow_provider_faceswap.http.client import timeout
from airflow_provider_faceswap.http.limits import (
    ANSWER_ENCODINGS,
    AnswerTooLargeError,
    UnwantedEncodingError,
    areceive,
    receive,
)
from airflow_provider_faceswap.http.rate_limiter import RateLimiter
from airflow_provider_faceswap.jobs import Job
from airflow_provider_faceswap.vendors.messages import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_faceswap.vendors.messages import Request

T = TypeVar("T")

#: Characters. A shorter secret may be part of a vendor's link by chance, such as ``faceswap``, and no key is as short.
#: The link of a paid picture must stay usable.
LONG_SECRET = 16

#: The connection was never opened, so the vendor cannot have processed anything. A proxy refuses before it is open.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_FAILURES = (
    httpx.HTTPError,
    httpx.InvalidURL,
    UnicodeEncodeError,
    TimeoutError,
    AnswerTooLargeError,
    UnwantedEncodingError,
)


@dataclass(frozen=True)
class Endpoint:
    """
    How to reach one vendor with one key.

    :param headers: The headers that carry the key.
    :param secrets: Texts that are hidden in all that is made of a reply.
    :param options: The connection's extra fields.
    :param rate: Maximum requests per second, counted over everything that shares the limiter; ``None`` for no limit.
    :param default_host: Whether the base URL is the vendor's own, so that a request may use another one of its hosts.
    """

    vendor: str
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False, compare=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    rate: float | None = None
    default_host: bool = False
    limiter: RateLimiter = field(default_factory=RateLimiter, repr=False, compare=False)

    def send(self, http: httpx.Client, request: Request, *, paid: bool = False) -> Reply:
        """
        Send a request once, and return the reply whatever its HTTP status.

        :param paid: Whether the request creates a paid job. If so, no reply does not mean that no job was
            created.
        :raises VendorUnavailableError: There is no reply, and no job was created.
        :raises SubmissionUncertainError: There is no reply to a paid request.
        """
        try:
            response = receive(http, self._parts(request))
        except _FAILURES as error:
            raise self._failure(error, paid=paid) from None
        return self._reply(response)

    async def asend(self, http: httpx.AsyncClient, request: Request, *, paid: bool = False) -> Reply:
        """Send a request as :meth:`send` does; HTTP 429 pauses all requests that share the limiter."""
        try:
            response = await areceive(http, self._parts(request))
        except _FAILURES as error:
            raise self._failure(error, paid=paid) from None
        reply = self._reply(response)
        if reply.status_code == 429:
            self.limiter.pause(CLOCK.monotonic(), reply.retry_after)
        return reply

    def _parts(self, request: Request) -> dict[str, Any]:
        """The arguments of httpx for a request."""
        base_url = request.base_url if request.base_url and self.default_host else self.base_url
        parts: dict[str, Any] = {
            "method": request.method,
            "url": base_url + request.path,
            "params": dict(request.params) or None,
            "json": request.body,
            "headers": {"Accept-Encoding": ", ".join(ANSWER_ENCODINGS), **self.headers},
        }
        if request.read_timeout is not None:
            parts["timeout"] = timeout(read=request.read_timeout)
        return parts

    def _reply(self, response: httpx.Response) -> Reply:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, _text(response), headers)

    def parsed(self, reply: Reply, parse: Callable[[Reply], T]) -> T:
        """
        What a function makes of a reply, without secrets.

        They are hidden in the texts that are shown, not in the reply: a webhook secret may be one of the vendor's words,
        such as ``completed``.
        """
        try:
            result = parse(reply)
        except FaceSwapError as error:
            raise self._hidden_in(error) from None
        if not isinstance(result, Job):
            return result
        long = [secret for secret in self.secrets if len(secret) >= LONG_SECRET]
        shown = {
            "status": without_secrets(result.status, self.secrets),
            "failure": result.failure and without_secrets(result.failure, self.secrets),
            "urls": tuple(without_secrets(url, long) for url in result.urls),
        }
        return cast("T", result.model_copy(update=shown))

    def _hidden_in(self, error: FaceSwapError) -> FaceSwapError:
        """A copy of an error without secrets."""
        copy = error.replaced(message=without_secrets(error.message, self.secrets))
        if isinstance(copy, VendorError) and copy.code is not None:
            copy.code = without_secrets(copy.code, self.secrets)
        return copy

    def _failure(self, error: Exception, *, paid: bool) -> FaceSwapError:
        """The error for a request without a reply."""
        why = error_line(error, self.secrets)
        if isinstance(error, _NOT_SENT):
            return VendorUnavailableError(
                f"could not be reached ({why})",
                vendor=self.vendor,
                advice="Nothing was sent. Check the network and the connection's host, then retry.",
            )
        if isinstance(error, httpx.InvalidURL | httpx.LocalProtocolError | UnicodeEncodeError):
            return VendorUnavailableError(
                f"the connection's host or key cannot be sent ({type(error).__name__})",
                vendor=self.vendor,
                advice="Nothing was sent. Correct the connection.",
            )
        if paid:
            return SubmissionUncertainError(f"sent, but no response came ({why})", vendor=self.vendor)
        if isinstance(error, AnswerTooLargeError | UnwantedEncodingError):
            return MalformedResponseError(str(error), vendor=self.vendor)
        return VendorUnavailableError(f"did not answer ({why})", vendor=self.vendor)


def _text(response: httpx.Response) -> str:
    try:
        return response.text
    except Exception:  # noqa: BLE001 - a codec that is not for text can raise anything
        return response.content.decode(errors="replace")
