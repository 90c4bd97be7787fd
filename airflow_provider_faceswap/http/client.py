"""
The only place that sends.

Reads are repeated here a few times, creates never: a create that got no answer may have been paid for. API
calls never follow redirects, which would carry the key to another host.
"""

from __future__ import annotations

import asyncio
import weakref
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
import stamina

from airflow_provider_faceswap.exceptions import (
    FaceSwapError,
    RateLimitError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import without_queries, without_secrets
from airflow_provider_faceswap.http.rate_limiter import RateLimiter
from airflow_provider_faceswap.vendors.messages import Reply

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

    from airflow_provider_faceswap.vendors.messages import Request

#: Seconds. A create may carry inline pictures and be answered late; a read is small.
TIMEOUT = httpx.Timeout(connect=10, read=60, write=120, pool=30)
#: More requests in flight than this make one httpx client slower, not faster.
LIMITS = httpx.Limits(max_connections=50, max_keepalive_connections=20)
#: Tries of a request that may be repeated, and the longest wait in seconds that is slept out here; whoever
#: waits for a job has a schedule for longer ones.
ATTEMPTS = 3
LONGEST_WAIT = 10.0

#: The connection was never opened: nothing can have been processed.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@cache
def tls_context() -> ssl.SSLContext:
    """One TLS context a process: making one costs about 20 ms and most of a megabyte."""
    return httpx.create_ssl_context()


@dataclass(frozen=True)
class Endpoint:
    """
    How to reach one vendor with one key.

    :param headers: What carries the key.
    :param secrets: What must never be shown; taken out of every reply before anything reads it.
    :param rate: Requests a second, at most, of all that go by the same pace; ``None`` for no limit.
    :param at_home: The base URL is the vendor's own, so that its other hosts may be used too.
    """

    vendor: str
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    rate: float | None = None
    at_home: bool = False
    limiter: RateLimiter = field(default_factory=RateLimiter, repr=False, compare=False)

    def _parts(self, request: Request) -> dict[str, Any]:
        base_url = request.elsewhere if request.elsewhere and self.at_home else self.base_url
        return {
            "method": request.method,
            "url": base_url + request.path,
            "params": dict(request.params) or None,
            "json": request.body,
            "headers": dict(self.headers),
        }

    def _reply(self, response: httpx.Response) -> Reply:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, without_secrets(_text(response), self.secrets), headers)

    def _failure(self, error: Exception, *, paid: bool) -> FaceSwapError:
        """Say what a failed send means: for a create, whether it can have been accepted."""
        why = without_secrets(without_queries(f"{type(error).__name__}: {error}"), self.secrets)
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
            return SubmissionUncertainError(f"sent, but no answer came ({why})", vendor=self.vendor)
        return VendorUnavailableError(f"did not answer ({why})", vendor=self.vendor)

    def send(self, http: httpx.Client, request: Request, *, paid: bool = False, queued: bool = True) -> Reply:
        """
        Send once, when it is this request's turn, and take the answer, whatever its status.

        :param paid: The request buys something, so that no answer is not the same as no.
        :param queued: Whether it keeps to the rate: a cancel has no time to.
        :raises VendorUnavailableError: There is no answer, and nothing was bought.
        :raises SubmissionUncertainError: There is no answer to a paid request.
        """
        if queued:
            self.limiter.turn(self.rate)
        try:
            return self._reply(http.request(**self._parts(request)))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
            raise self._failure(error, paid=paid) from None

    async def asend(
        self, shared: Shared, request: Request, *, paid: bool = False, queued: bool = True
    ) -> Reply:
        """Send as :meth:`send` does, on an event loop."""
        if queued:
            await self.limiter.aturn(self.rate)
        http = shared.fresh if paid else shared.http
        try:
            reply = self._reply(await http.request(**self._parts(request)))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
            raise self._failure(error, paid=paid) from None
        if reply.status_code == 429:
            self.limiter.heed(CLOCK.now(), reply.retry_after)
        return reply


def _text(response: httpx.Response) -> str:
    try:
        return response.text
    except Exception:  # noqa: BLE001 - a codec that is none for text raises what it likes
        return response.content.decode(errors="replace")


def _repeatable(error: Exception) -> bool | float:
    """For stamina: whether to try again here, or after how many seconds."""
    if not isinstance(error, VendorUnavailableError | RateLimitError):
        return False
    wait: float | None = getattr(error, "retry_after", None)
    if wait is None:
        return True
    return wait if wait <= LONGEST_WAIT else False


def attempts() -> Any:
    """
    Tries of something that certainly was not processed when it fails: an iterable, sync and async.

    Repeats on "unavailable" and "too many requests", honouring ``Retry-After`` up to ten seconds.
    """
    return stamina.retry_context(
        on=_repeatable, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=LONGEST_WAIT
    )


def sync_client() -> httpx.Client:
    """A client for a worker's few requests."""
    return httpx.Client(verify=tls_context(), timeout=TIMEOUT, limits=LIMITS)


def async_client(*, keep: bool = True) -> httpx.AsyncClient:
    """
    A client for an event loop.

    :param keep: Whether connections are used again. A create wants a fresh one: on a connection that was idle and
        is closed by the vendor, "no answer" would be ordinary, and could not be told from a lost answer to a paid
        request.
    """
    limits = LIMITS if keep else httpx.Limits(max_connections=50, max_keepalive_connections=0)
    return httpx.AsyncClient(verify=tls_context(), timeout=TIMEOUT, limits=limits)


@dataclass
class Shared:
    """
    What all requests of one event loop to one account share.

    :param http: For reads.
    :param creates: For creates; made when there is one, as a triggerer never buys.
    :param settings: What the connection said, and when that was read, for whoever comes next.
    :param reading: Held by whoever reads the connection.
    """

    http: httpx.AsyncClient
    creates: httpx.AsyncClient | None = None
    users: int = 0
    settings: tuple[Endpoint, Mapping[str, Any], float] | None = field(default=None, repr=False)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def fresh(self) -> httpx.AsyncClient:
        """The client for creates."""
        if self.creates is None:
            self.creates = async_client(keep=False)
        return self.creates

    async def aclose(self) -> None:
        """Close what is open."""
        await self.http.aclose()
        if self.creates is not None:
            await self.creates.aclose()


_shared: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Shared]] = weakref.WeakKeyDictionary()


@asynccontextmanager
async def shared_client(name: str) -> AsyncIterator[Shared]:
    """
    The one client of this event loop under this name; the last user to leave closes it.

    Credentials travel with each request, not with the client, so a changed key needs no new client.

    :param name: Whose connections may be shared: the connection id.
    """
    loop = asyncio.get_running_loop()
    clients = _shared.setdefault(loop, {})
    shared = clients.get(name)
    if shared is None:
        shared = clients[name] = Shared(async_client())
    shared.users += 1
    try:
        yield shared
    finally:
        shared.users -= 1
        if not shared.users:
            del clients[name]
            if not clients:
                _shared.pop(loop, None)
            await shared.aclose()
