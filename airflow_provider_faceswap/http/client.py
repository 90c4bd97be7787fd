"""HTTP clients with the package's timeouts and limits, and the sessions that share them on an event loop."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from airflow_provider_faceswap import __version__
from airflow_provider_faceswap.http.environment import usable_environment

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from airflow_provider_faceswap.http.endpoint import Endpoint

#: Seconds without a byte of a reply. The reply to a submission may be slow.
READ_TIMEOUT = 60.0
#: Some CDNs and firewalls refuse the name of a library.
USER_AGENT = f"airflow-provider-faceswap/{__version__}"
#: An httpx client gets slower, not faster, with more connections than this.
MAX_CONNECTIONS = 50


def timeout(read: float = READ_TIMEOUT) -> httpx.Timeout:
    """
    The timeouts of a request, which may contain pictures.

    :param read: Seconds without a byte of the reply.
    """
    return httpx.Timeout(connect=10, read=read, write=120, pool=30)


@cache
def tls_context() -> ssl.SSLContext:
    """
    The one TLS context of this process: creating one takes about 20 ms and almost a megabyte.

    :raises VendorUnavailableError: The environment names certificates that cannot be read.
    """
    with usable_environment():
        return httpx.create_ssl_context()


def sync_client(*, keep: bool = True) -> httpx.Client:
    """
    A client for a worker.

    :param keep: Whether connections are kept for later requests. A submission needs a new one: the vendor may close
        a kept connection at any time, which would look like a lost reply to a paid request.
    :raises VendorUnavailableError: The environment's proxies or certificates cannot be used.
    """
    with usable_environment():
        return httpx.Client(**_options(keep=keep))


def async_client(*, keep: bool = True) -> httpx.AsyncClient:
    """A client for an event loop; see :func:`sync_client`."""
    with usable_environment():
        return httpx.AsyncClient(**_options(keep=keep))


def _options(*, keep: bool) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=20 if keep else 0)
    headers = {"User-Agent": USER_AGENT}
    return {"verify": tls_context(), "timeout": timeout(), "limits": limits, "headers": headers}


@dataclass
class Session:
    """
    What all requests of one event loop through one connection share.

    :ivar users: How many users are inside the session.
    :ivar endpoint: The connection as last read, ``None`` before that.
    :ivar read_at: When it was read, in seconds of the monotonic clock.
    :ivar reading: Lock to hold while the connection is read.
    """

    users: int = 0
    endpoint: Endpoint | None = None
    read_at: float = 0.0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _http: httpx.AsyncClient | None = None
    _submissions: httpx.AsyncClient | None = None

    @property
    def http(self) -> httpx.AsyncClient:
        """The client for reads; made on first use, so that an environment it cannot use is a failed read."""
        if self._http is None:
            self._http = async_client()
        return self._http

    @property
    def submissions(self) -> httpx.AsyncClient:
        """The client for submissions; made on first use, because a triggerer never submits."""
        if self._submissions is None:
            self._submissions = async_client(keep=False)
        return self._submissions

    async def aclose(self) -> None:
        """Close the clients."""
        for client in (self._http, self._submissions):
            if client is not None:
                await client.aclose()


_sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Session]] = (
    weakref.WeakKeyDictionary()
)


@asynccontextmanager
async def shared_session(name: str) -> AsyncIterator[Session]:
    """
    The session of this event loop with this name; the last user to leave closes it.

    Credentials are sent with each request and do not belong to the client, so a changed key needs no new client.
    """
    loop = asyncio.get_running_loop()
    sessions = _sessions.setdefault(loop, {})
    session = sessions.get(name)
    if session is None:
        session = sessions[name] = Session()
    session.users += 1
    try:
        yield session
    finally:
        session.users -= 1
        if not session.users:
            del sessions[name]
            if not sessions:
                _sessions.pop(loop, None)
            await session.aclose()
