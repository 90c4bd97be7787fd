"""
API client: sends the requests of one connection, on a worker or on an event loop.

Reads are repeated a few times. A submission is repeated only if the vendor certainly did not process it, because a
submission without a reply may have been paid for. Redirects are never followed: they would carry the key to
another host.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    RateLimitError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.http.client import shared_session, sync_client
from airflow_provider_faceswap.http.limits import seconds_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    import httpx

    from airflow_provider_faceswap.http.client import Session
    from airflow_provider_faceswap.http.endpoint import Endpoint
    from airflow_provider_faceswap.vendors.messages import Reply, Request

T = TypeVar("T")

#: Maximum number of times that a repeatable request is sent.
MAX_SENDS = 3
#: Maximum seconds to wait here before a request is repeated. The schedule of a job has longer waits.
LONGEST_WAIT = 10.0
#: HTTP statuses of "too many requests" after which a request is repeated here. If only the words of another status say so,
#: the limit is one of the account, and lasts longer than the waits here.
_TOO_MANY = frozenset({None, 429, 503})
#: Seconds after which an event loop reads a connection again. After a refused key it is read again at once.
CONNECTION_LIFETIME = 60.0


def _can_repeat(error: Exception) -> bool | float:
    """For stamina: whether to send again, or the seconds to wait before that."""
    if not isinstance(error, VendorUnavailableError | RateLimitError) or seconds_left() <= 0:
        return False
    if isinstance(error, RateLimitError) and error.status_code not in _TOO_MANY:
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= LONGEST_WAIT else False


def retrying() -> Any:
    """
    The attempts of a request that may be repeated: an iterable, sync and async.

    It repeats after "unavailable" and "too many requests", and honours a ``Retry-After`` of up to ten seconds.
    """
    # Not when a Dag is parsed: no request is sent there.
    import stamina

    from airflow_provider_faceswap.http.retry_log import plain_retry_log

    plain_retry_log()
    return stamina.retry_context(
        on=_can_repeat, attempts=MAX_SENDS, timeout=None, wait_initial=0.5, wait_max=LONGEST_WAIT
    )


class ConnectionReader(Protocol):
    """Reads a connection into an endpoint."""

    def read(self) -> Endpoint:
        """Read it in a worker."""

    async def aread(self) -> Endpoint:
        """Read it on an event loop."""


class ApiClient:
    """
    Client of a vendor's API through one connection.

    ``with`` keeps one HTTP client for the sync reads inside the block.

    :param name: Name of the connection; clients with the same name share a session on each event loop.
    :param connection: Reads the connection when the first request needs it.
    """

    def __init__(self, name: str, connection: ConnectionReader) -> None:
        self._name = name
        self._connection = connection
        self._endpoint: Endpoint | None = None
        self._hidden: tuple[str, ...] = ()
        self._http: httpx.Client | None = None

    def __enter__(self) -> None:
        # An environment that no client can be made from is an error of the first request.
        with suppress(VendorUnavailableError):
            self._http = sync_client()

    def __exit__(self, *_: object) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def session(self) -> AbstractAsyncContextManager[Session]:
        """The session of this event loop; inside the block it stays open."""
        return shared_session(self._name)

    def hide(self, secret: str) -> None:
        """Hide this secret, too, in all that is made of later replies: the vendor repeats a webhook's secret."""
        if secret and secret not in self._hidden:
            self._hidden = (*self._hidden, secret)
            self._endpoint = self._hiding(self.endpoint())

    @property
    def secrets(self) -> tuple[str, ...]:
        """All texts that no message may show, as far as the connection has been read."""
        return self._hidden if self._endpoint is None else self._endpoint.secrets

    def _hiding(self, endpoint: Endpoint) -> Endpoint:
        return replace(endpoint, secrets=(*endpoint.secrets, *self._hidden)) if self._hidden else endpoint

    # -- sync -----------------------------------------------------------------------------------------

    def endpoint(self) -> Endpoint:
        """The endpoint; the connection is read once."""
        if self._endpoint is None:
            self._endpoint = self._hiding(self._connection.read())
        return self._endpoint

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        if self._http is not None:
            yield self._http
        else:
            with sync_client() as http:
                yield http

    def send_once(self, request: Request) -> Reply:
        """Send a request once, without the rate limit: for a cancellation, which cannot wait."""
        with self._client() as http:
            return self.endpoint().send(http, request)

    def read(self, request: Request, parse: Callable[[Reply], T]) -> T:
        """
        Send a request that only reads.

        :param parse: Makes the return value from the reply.
        :raises VendorError: The vendor refused, is unavailable, or its reply cannot be understood.
        """
        endpoint = self.endpoint()
        for attempt in retrying():
            with attempt, self._client() as http:
                endpoint.limiter.wait(endpoint.rate)
                result = endpoint.parsed(endpoint.send(http, request), parse)
        return result

    @contextmanager
    def submitting(self, request: Request, parse: Callable[[Reply], T]) -> Iterator[Callable[[], T]]:
        """
        Before a submission, do everything that may take time.

        :param parse: Makes the return value from the reply.
        :returns: The function that sends the submission; call it once, inside the block.
        """
        endpoint = self.endpoint()
        with sync_client(keep=False) as http:
            endpoint.limiter.wait(endpoint.rate)
            yield partial(self.send_submission, endpoint, http, request, parse)

    def send_submission(
        self, endpoint: Endpoint, http: httpx.Client, request: Request, parse: Callable[[Reply], T]
    ) -> T:
        """
        Send a submission; the rate limit is already waited for.

        :param http: A client that keeps no connections.
        """
        for attempt in retrying():
            with attempt:
                if attempt.num > 1:
                    endpoint.limiter.wait(endpoint.rate)
                submitted = endpoint.parsed(endpoint.send(http, request, paid=True), parse)
        return submitted

    # -- async ----------------------------------------------------------------------------------------

    async def aendpoint(self, *, refused: Endpoint | None = None) -> Endpoint:
        """
        The endpoint, without a blocking call.

        All clients of an event loop share one reading of the connection. Reading it takes several messages
        between triggerer and supervisor; if each of a thousand triggers did so, most of the triggerer's work
        would be these messages.

        :param refused: The endpoint whose key the vendor refused: the connection is read again, unless another client
            has done so.
        """
        if self._endpoint is None:
            async with self.session() as session, session.reading:
                known = session.endpoint
                age = CLOCK.monotonic() - session.read_at
                if known is None or known == refused or age > CONNECTION_LIFETIME:
                    known = session.endpoint = await self._connection.aread()
                    session.read_at = CLOCK.monotonic()
            self._endpoint = self._hiding(known)
        return self._endpoint

    async def asend_once(self, request: Request) -> Reply:
        """Send a request once, as :meth:`send_once` does."""
        async with self.session() as session:
            endpoint = await self.aendpoint()
            return await endpoint.asend(session.http, request)

    async def aread(self, request: Request, parse: Callable[[Reply], T]) -> T:
        """Send a request that only reads, as :meth:`read` does; once more if a refused key has changed."""
        async with self.session() as session:
            endpoint = await self.aendpoint()
            try:
                return await self._asend_repeated(session.http, endpoint, request, parse)
            except VendorError as error:
                if not isinstance(error, AuthenticationError) and error.status_code != 401:
                    raise
                self._endpoint = None
                changed = await self.aendpoint(refused=endpoint)
                if changed == endpoint:
                    raise
                return await self._asend_repeated(session.http, changed, request, parse)

    async def asubmit(self, request: Request, parse: Callable[[Reply], T]) -> T:
        """Wait for the rate limit and send a submission, as :meth:`submitting` does."""
        async with self.session() as session:
            endpoint = await self.aendpoint()
            return await self._asend_repeated(session.submissions, endpoint, request, parse, paid=True)

    async def _asend_repeated(
        self,
        http: httpx.AsyncClient,
        endpoint: Endpoint,
        request: Request,
        parse: Callable[[Reply], T],
        *,
        paid: bool = False,
    ) -> T:
        async for attempt in retrying():
            with attempt:
                await endpoint.limiter.await_turn(endpoint.rate)
                result = endpoint.parsed(await endpoint.asend(http, request, paid=paid), parse)
        return result
