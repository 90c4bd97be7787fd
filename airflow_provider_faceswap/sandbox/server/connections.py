"""Responses that fail on the wire: dropped, hanging and truncated connections.

An ASGI application has no access to its socket. So the server's protocol class stores each connection's
transport, keyed by the peer's address, which the ASGI scope contains.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_transports: dict[tuple[str, int], asyncio.Transport] = {}


class TrackingProtocol(H11Protocol):
    """Uvicorn's HTTP/1.1 protocol, with its transports kept by peer address."""

    _peer: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if peer is not None:
            self._peer = (str(peer[0]), int(peer[1]))
            _transports[self._peer] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport."""
        if self._peer is not None:
            _transports.pop(self._peer, None)
        super().connection_lost(exc)


async def _gone(receive: Receive) -> None:
    """Wait until the server sees that the connection is closed.

    Uvicorn logs an error when an application returns earlier without a response.
    """
    while (await receive())["type"] != "http.disconnect":
        pass


async def _close(scope: Scope, receive: Receive, *, flush: bool) -> None:
    client = scope.get("client")
    transport = _transports.get((client[0], client[1])) if client else None
    if transport is None:
        # In-process tests have no socket to close; the caller gets an error of the same family.
        raise ConnectionResetError("the sandbox dropped this connection on purpose")
    if flush:
        transport.close()
    else:
        transport.abort()
    await _gone(receive)


class DroppedConnection(Response):
    """No response: the connection is closed at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Close the connection."""
        await _close(scope, receive, flush=False)


class HangingConnection(Response):
    """No response for a while, then the connection is closed.

    :param seconds: how long, unless the caller closes the connection or the server stops earlier.
    :param stopping: set when the server is about to stop.
    """

    def __init__(self, seconds: float, stopping: asyncio.Event) -> None:
        super().__init__()
        self._seconds = seconds
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Wait, then close the connection."""
        left = asyncio.ensure_future(_gone(receive))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({left, stop}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            left.cancel()
        if not left.done() or left.cancelled():
            await _close(scope, receive, flush=False)


class TruncatedResponse(Response):
    """The head of another response and half of its body; then the connection is closed.

    :param whole: the response to truncate.
    """

    def __init__(self, whole: Response) -> None:
        super().__init__()
        self.status_code = whole.status_code
        self.raw_headers = whole.raw_headers
        self._half = bytes(whole.body)[: len(whole.body) // 2]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and half of the body."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._half, "more_body": True})
        await _close(scope, receive, flush=True)
