"""The body of a request: read only after the key was checked, and never without a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

#: Largest body that is read, in bytes: more than any vendor accepts.
MOST_BODY = 32 * 1024 * 1024


async def read_body(request: Request) -> bytes | None:
    """The body, or ``None`` if it is larger than :data:`MOST_BODY`; the rest of such a body is not kept."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MOST_BODY:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            return None
    return bytes(body)
