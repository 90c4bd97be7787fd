"""A guard for the control endpoints: a page in a browser must not change the sandbox."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_READING = frozenset({"GET", "HEAD"})
#: Types that a page can send to any site without asking it first. The third such type, a form without a file, is what
#: ``curl -d`` sends; a page cannot write JSON with it.
_SIMPLE_TYPES = frozenset({"text/plain", "multipart/form-data"})


class CrossSiteGuard:
    """ASGI middleware that refuses requests of other sites' pages to ``/sandbox/``, except reads.

    Those endpoints need no key, so without this any page that a developer opens could change them. Clients such as
    curl and httpx send none of the headers that are checked.

    :param app: the application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and scope["path"].startswith("/sandbox/"):
            reason = None if scope["method"] in _READING else _reason(Headers(scope=scope))
            if reason is not None:
                response = JSONResponse({"error": f"a cross-site request is refused: {reason}"}, 403)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _reason(headers: Headers) -> str | None:
    """Why the request may come from another site's page; ``None`` if it does not.

    ``Sec-Fetch-Site`` and ``Origin`` are set by the browser; a page cannot change them.
    """
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return f"its Sec-Fetch-Site is {headers['sec-fetch-site']!r}"
    origin = headers.get("origin")
    if origin is not None and not _is_own(origin, headers.get("host", "")):
        return f"its Origin is {origin!r}"
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type in _SIMPLE_TYPES:
        return f"its Content-Type is {content_type!r}; send application/json"
    return None


def _is_own(origin: str, host: str) -> bool:
    """Whether the origin is the sandbox itself, by an address: any name can be made to point at it."""
    try:
        parts = urlsplit(origin)
        name = parts.hostname or ""
    except ValueError:
        return False
    if parts.netloc.lower() != host.lower():
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return True
