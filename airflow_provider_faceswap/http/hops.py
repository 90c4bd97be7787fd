"""Where a download may go: each URL is checked, and pinned to the addresses that were checked."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from airflow_provider_faceswap.exceptions import ArchiveError, UnsafeURLError
from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.http.addresses import is_private
from airflow_provider_faceswap.http.client import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Collection

#: Seconds to connect, for all addresses of a name together,
CONNECT = 10.0
#: but not less than this for each of them.
SHORTEST_CONNECT = 2.0


class UnresolvedError(ArchiveError):
    """The name of a host cannot be resolved now."""


@dataclass(frozen=True, slots=True)
class Hop:
    """
    A checked address.

    :param url: The URL to connect to.
    :param headers: The headers and
    :param extensions: the extensions that carry the real name of its host.
    :param proxy: The URL of the proxy to use.
    :param connect: Seconds to connect.
    """

    url: str
    headers: dict[str, str]
    extensions: dict[str, Any]
    proxy: str | None = None
    connect: float = CONNECT


def checked_hops(url: str, open_hosts: Collection[str], attempt: int) -> list[Hop]:
    """
    Check a URL and pin it to the addresses that were checked: a second look-up of the name could return others.

    Behind a proxy only a literal address can be checked, because the proxy resolves the name.

    :param attempt: Tries before this one; each begins with another address.
    :returns: The addresses to try, one after the other. IPv6 and IPv4 alternate, because one of the two may not work in
        this network at all.
    :raises UnsafeURLError: It is not https at a public host.
    :raises UnresolvedError: Its name cannot be resolved now.
    :raises ValueError: It is not a valid URL; so does ``httpx.InvalidURL``.
    """
    shown = bare_url(url)
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.password:
        raise UnsafeURLError(f"{shown} must be an http or https URL with no user name or password in it")
    headers = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}
    if host in open_hosts:
        return [Hop(url, headers, {})]
    if parts.scheme != "https":
        raise UnsafeURLError(f"{shown} is not https")
    try:
        port = parts.port or 443
    except ValueError:
        raise UnsafeURLError(f"{shown} has no valid port") from None
    host = httpx.URL(url).raw_host.decode("ascii")
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(f"{host}:{port}"):
        if is_private(host):
            raise UnsafeURLError(f"{shown} does not point to a public host")
        return [Hop(url, headers, {}, proxy if "://" in proxy else f"http://{proxy}")]
    name = f"[{host}]" if ":" in host else host
    headers["Host"] = name if port == 443 else f"{name}:{port}"
    addresses = _alternating(_public_addresses(host, port, shown))
    first = attempt % len(addresses)
    seconds = max(SHORTEST_CONNECT, CONNECT / len(addresses))
    return [
        Hop(
            parts._replace(
                netloc=f"[{address}]:{port}" if ":" in address else f"{address}:{port}", fragment=""
            ).geturl(),
            headers,
            {"sni_hostname": host},
            connect=seconds,
        )
        for address in (*addresses[first:], *addresses[:first])
    ]


def _public_addresses(host: str, port: int, shown: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise UnresolvedError(f"the name of {shown} cannot be resolved") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or any(is_private(address) for address in addresses):
        raise UnsafeURLError(f"{shown} does not resolve to public addresses only")
    return addresses


def _alternating(addresses: list[str]) -> list[str]:
    """The addresses in the resolver's order, but with the two families in turns (RFC 8305)."""
    first = [address for address in addresses if (":" in address) == (":" in addresses[0])]
    second = [address for address in addresses if address not in first]
    pairs = chain.from_iterable(zip_longest(first, second))
    return [address for address in pairs if address is not None]


def joined(url: str, location: str) -> str:
    """
    The URL that a redirect leads to.

    :raises UnsafeURLError: It is not a valid URL.
    """
    try:
        return urljoin(url, location)
    except ValueError:
        raise UnsafeURLError(f"{bare_url(url)} redirects to something that is not a valid URL") from None
