"""The host of a connection: which URLs may be a vendor's base URL."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

#: A host name in letters of any language, or an IPv4 address.
_NAME = re.compile(r"\w([\w-]*\w)?(\.\w([\w-]*\w)?)*\.?")
#: An IPv6 address in brackets, without a zone.
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]+\]")
#: A path that means the same to every server and proxy.
_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:/-]|%[0-9A-Fa-f]{2})*")

#: Characters of a host and its port; a name has at most 253.
LONGEST_AUTHORITY = 260


def checked_host(host: str, version_prefix: str = "") -> str:
    """
    The base URL that a connection's host names.

    Anything besides scheme, host, port and path is refused: a user name would replace the vendor's key header, and a
    query would swallow the paths. No error repeats the host, which may contain a password.

    :param version_prefix: A prefix of the vendor's paths, which is removed from the end.
    :raises ValueError: The host cannot be a base URL; the text continues "the connection's host".
    """
    scheme, mark, rest = host.partition("://")
    if scheme.lower() not in {"http", "https"} or not mark or not rest.strip("/"):
        raise ValueError("is not a full URL such as https://proxy.example.com")
    if "?" in rest or "#" in rest:
        raise ValueError("has a query or a fragment, and must end with its path")
    # Also in the path: a password that contains a slash looks like one.
    if "@" in rest:
        raise ValueError("contains a user name or a password; the key belongs in the password field")
    authority, slash, path = rest.partition("/")
    authority = authority.lower().removesuffix(":")
    if not _is_readable(authority) or not _PATH.fullmatch(path):
        raise ValueError("cannot be read as a URL")
    if {".", ".."} & set(unquote(path).split("/")):
        raise ValueError("has a path with . or .. in it, which a server may read as another path")
    base_path = f"{slash}{path}".rstrip("/").removesuffix(version_prefix).rstrip("/")
    return f"{scheme.lower()}://{authority}{base_path}"


def _is_readable(authority: str) -> bool:
    """True for a host with or without a port."""
    if len(authority) > LONGEST_AUTHORITY:
        return False
    try:
        parts = urlsplit(f"https://{authority}")
        port = parts.port
    except ValueError:  # such as a port that is not a number
        return False
    host = authority if port is None else authority.rpartition(":")[0]
    return port != 0 and bool(_NAME.fullmatch(host) or _IPV6.fullmatch(host))
