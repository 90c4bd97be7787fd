"""Signed links: what changes in a link each time it is signed, and so is no part of a request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Query parameters that sign a link: AWS and compatible stores, Google, CloudFront, Azure.
_SIGNING = re.compile(
    r"(x-(amz|goog|oss|obs|tos)|q)-.*|(aws|oss)?accesskeyid|googleaccessid|expires|signature|policy|key-pair-id"
    r"|(x-cos-)?security-token"
    r"|s(v|s|rt|p|e|t|pr|r|ig|koid|ktid|kt|ke|ks|kv)",
    re.IGNORECASE,
)
#: Of these, the signature itself: only a link with one of them is signed.
_SIGNATURES = frozenset(
    {f"{place}-signature" for place in ("x-amz", "x-goog", "x-oss", "x-tos", "q")} | {"signature", "sig"}
)
#: Parameters that begin like signing ones and select the picture: how the store is to process it.
_PROCESSING = re.compile(r"x-(oss|tos)-process", re.IGNORECASE)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE | re.DOTALL)


_ANY = _pattern(r".+")
#: Seconds since 1970, of 2001 and later.
_EPOCH = _pattern(r"\d{9,11}")
_MD5 = _pattern(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class _Signing:
    """
    How a service signs a link.

    :param signs: Parameters that are all there if it did, and what their values look like.
    :param more: Further parameters that may change with each signing.
    :param place: What the link looks like before its query.
    """

    signs: Mapping[str, re.Pattern[str]]
    more: frozenset[str] = frozenset()
    place: re.Pattern[str] = field(default=_ANY)


#: Services that sign with other parameters. A name that may also select a picture counts only with its partner, or with
#: a value that looks like a signature. Sources: the services' pages on signed URLs or on token authentication.
_SERVICES = (
    _Signing({"ex": _ANY, "is": _ANY, "hm": _ANY}),  # Discord
    _Signing(  # Bunny
        {"token": _ANY, "expires": _ANY},
        frozenset({"token_path", "token_countries", "token_countries_blocked"}),
    ),
    *(_Signing({name: _ANY}) for name in ("__token__", "hdnts", "hdnea", "hdntl", "__gda__")),  # Akamai
    _Signing({"verify": _pattern(r"\d{9,11}-.+")}),  # Cloudflare's rule is_timed_hmac_valid_v0
    _Signing({"s": _MD5}, frozenset({"expires"})),  # imgix
    _Signing({"s": _ANY}, frozenset({"expires"}), _pattern(r"https?://[^/]*\.imgix\.net(:\d+)?/.*")),
    _Signing({"auth_key": _ANY}),  # Alibaba's and Volcengine's CDNs
    _Signing({"sign": _ANY, "t": _pattern(r"\d{9,11}|[0-9a-f]{8}")}),  # Tencent's CDN
    _Signing({"token": _ANY, "e": _EPOCH}),  # Qiniu
    _Signing({"md5": _ANY, "expires": _EPOCH}),  # nginx, Gcore
    _Signing({"st": _ANY, "e": _EPOCH}),  # nginx, lighttpd
    _Signing({"x-signature": _ANY, "x-expires": _ANY}),  # ByteDance
    _Signing({"oh": _ANY, "oe": _ANY}, frozenset({"_nc_ohc", "_nc_oc", "_nc_gid"})),  # Meta
    _Signing({"token": _ANY}, place=_pattern(r".*/object/sign/.*")),  # Supabase
)
#: Cloudflare Images: it signs with a parameter of the first list, and adds one of its own.
_WITH_EXPIRY = (_Signing({"sig": _ANY, "exp": _EPOCH}),)
#: Values that are a signature under any name, because the service lets its user choose that: a list with an HMAC (Akamai),
#: a time with random number, user and hash (Alibaba, Tencent), a time with a hash (Fastly), a hash with a time (CDN77).
_SIGNED_VALUE = _pattern(
    r"(?:.*~)?hmac=[0-9a-f]{8,}(?:~.*)?|\d{9,11}-\w*-\w*-[0-9a-f]{32}|(?:\d{9,11}|0x[0-9a-f]{8})_(?:0x)?[0-9a-f]{32,}"
    r"|[\w-]{22,},\d{9,11}"
)
#: A part of a path that is a signature: Bunny's and Akamai's.
SIGNED_PART = re.compile(r"/(?:bcdn_token=|\w+=(?:\w+=[^~/\s]*~)*hmac=)[^/?#\s]*", re.IGNORECASE)


def unsigned(value: Any) -> Any:
    """
    A copy of a request's body in which a link is the same whenever it was signed.

    Only what signs is removed, and only from signed links: another parameter may select the picture.

    :param value: Any combination of dicts, lists and plain values.
    """
    return _with_links(value, _unsigned_link)


def unsigned_in_0_1(value: Any) -> Any:
    """A copy as of :func:`unsigned`, but as version 0.1.0 made it for the fingerprints in its records."""
    return _with_links(value, _unsigned_link_in_0_1)


def _with_links(value: Any, changed: Callable[[str], str]) -> Any:
    match value:
        case str() if value[:8].lower().startswith(("http://", "https://")):
            return changed(value)
        case dict():
            return {key: _with_links(item, changed) for key, item in value.items()}
        case list() | tuple():
            return [_with_links(item, changed) for item in value]
        case _:
            return value


def _unsigned_link(link: str) -> str:
    place, mark, query = link.partition("?")
    place = SIGNED_PART.sub("", place)
    parts = query.split("&")
    values = {part.partition("=")[0].lower(): unquote(part.partition("=")[2]) for part in parts}
    removed = {name for name, value in values.items() if _SIGNED_VALUE.fullmatch(value)}
    known = not _SIGNATURES.isdisjoint(values)
    for service in _WITH_EXPIRY if known else _SERVICES:
        if service.place.fullmatch(place) and all(
            pattern.fullmatch(values.get(name, "")) for name, pattern in service.signs.items()
        ):
            removed |= service.signs.keys() | service.more
    if known:
        removed |= {name for name in values if _SIGNING.fullmatch(name) and not _PROCESSING.fullmatch(name)}
    kept = "&".join(part for part in parts if part.partition("=")[0].lower() not in removed)
    return f"{place}{mark}{kept}"


def _unsigned_link_in_0_1(link: str) -> str:
    place, mark, query = link.partition("?")
    parts = query.split("&")
    if _SIGNATURES.isdisjoint(part.partition("=")[0].lower() for part in parts):
        return link
    kept = "&".join(part for part in parts if not _SIGNING.fullmatch(part.partition("=")[0]))
    return f"{place}{mark}{kept}"
