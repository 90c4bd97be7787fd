"""
Safe download of a result from an address that is not trusted.

No credentials are sent. Every hop of a redirect must be https and resolve to public addresses, and the connection goes
to the address that was checked. A setting allows single private hosts, for the sandbox and for proxies.
"""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import stamina

from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    ResultExpiredError,
    TooLargeError,
    UnsafeURLError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.http.addresses import is_private
from airflow_provider_faceswap.http.client import tls_context
from airflow_provider_faceswap.http.environment import proxy_problem, variable_with

if TYPE_CHECKING:
    from collections.abc import Collection

#: Maximum number of redirects that are followed.
MAX_HOPS = 5
#: Bytes read at a time, so that memory use does not depend on the size.
CHUNK = 256 * 1024
#: Maximum number of times that a download is tried.
MAX_DOWNLOADS = 3

_TIMEOUT = httpx.Timeout(connect=10, read=60, write=30, pool=30)
#: Statuses of a link that no longer works: the file was removed, or the signature has expired.
_EXPIRED = frozenset({403, 404, 410})


@dataclass(frozen=True, slots=True)
class Downloaded:
    """
    Size and hash of a downloaded file.

    :param size: In bytes.
    :param sha256: In hex.
    """

    size: int
    sha256: str


class _TransientError(ArchiveError):
    """A failure that may not happen again."""


def download(url: str, into: BinaryIO, *, max_bytes: int, open_hosts: Collection[str] = ()) -> Downloaded:
    """
    Stream a result into a file.

    :param into: A seekable file. It is emptied first, and contains the whole result only on return.
    :param max_bytes: Maximum number of bytes.
    :param open_hosts: Hosts that may be private, and may use plain http.
    :raises UnsafeURLError: The URL, or one that it redirects to, is not https at a public host.
    :raises ResultExpiredError: The link no longer works.
    :raises TooLargeError: The result has more than ``max_bytes``.
    :raises ArchiveError: The download failed; a retry may help.
    """
    fetched = Downloaded(0, "")
    try:
        for attempt in stamina.retry_context(
            on=_TransientError, attempts=MAX_DOWNLOADS, timeout=None, wait_initial=0.5, wait_max=5
        ):
            with attempt:
                into.seek(0)
                into.truncate()
                fetched = _follow(url, into, max_bytes, open_hosts, attempt.num - 1)
    except _TransientError as error:
        # The class of an error is in manifests and results of batches.
        raise ArchiveError(error.message) from None
    into.seek(0)
    return fetched


def _follow(
    url: str, into: BinaryIO, max_bytes: int, open_hosts: Collection[str], attempt: int
) -> Downloaded:
    for _ in range(MAX_HOPS + 1):
        shown = bare_url(url)
        try:
            hop = _checked_hop(url, open_hosts, attempt)
        except (ValueError, httpx.InvalidURL):
            raise UnsafeURLError(f"{shown} is not a valid URL") from None
        try:
            with (
                _client(hop.proxy) as http,
                http.stream("GET", hop.url, headers=hop.headers, extensions=hop.extensions) as response,
            ):
                if response.has_redirect_location:
                    url = _joined(url, response.headers["location"])
                    continue
                _check_status(response, shown)
                return _copy(response, into, max_bytes, shown)
        except httpx.HTTPError as error:
            raise _TransientError(f"{shown} could not be read ({type(error).__name__})") from None
        except httpx.InvalidURL:
            raise UnsafeURLError(f"{shown} is not a valid URL") from None
    raise UnsafeURLError(f"more than {MAX_HOPS} redirects, the last to {bare_url(url)}")


def _client(proxy: str | None) -> httpx.Client:
    """
    A client for one request, which uses nothing of the environment except the proxy.

    :raises ArchiveError: The proxy cannot be used.
    """
    if proxy is not None and (problem := proxy_problem(proxy)):
        # The proxy's URL is not shown, because it may contain a password.
        raise ArchiveError(
            f"the environment variable {variable_with(proxy, 'HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY')} cannot be used",
            advice=f"The job is paid for; save its result before its link expires. {problem}, then retry.",
        )
    try:
        return httpx.Client(verify=tls_context(), timeout=_TIMEOUT, trust_env=False, proxy=proxy)
    except VendorUnavailableError as error:
        raise ArchiveError(
            error.message,
            advice="The job is paid for; save its result before its link expires. Correct it, then retry.",
        ) from None


def _check_status(response: httpx.Response, shown: str) -> None:
    status = response.status_code
    if status in _EXPIRED:
        raise ResultExpiredError(f"{shown} returned HTTP {status}")
    if status == 429 or status >= 500:
        raise _TransientError(f"{shown} returned HTTP {status}")
    if status != 200:
        raise ArchiveError(f"{shown} returned HTTP {status}")


def _copy(response: httpx.Response, into: BinaryIO, max_bytes: int, shown: str) -> Downloaded:
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise TooLargeError(f"{shown} is larger than the limit of {max_bytes} bytes")
    digest = hashlib.sha256()
    size = 0
    for chunk in response.iter_bytes(CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise TooLargeError(f"{shown} is larger than the limit of {max_bytes} bytes")
        digest.update(chunk)
        into.write(chunk)
    return Downloaded(size, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class _Hop:
    """A checked address: the URL to connect to, and the headers and extensions that carry its real host name."""

    url: str
    headers: dict[str, str]
    extensions: dict[str, Any]
    proxy: str | None


def _checked_hop(url: str, open_hosts: Collection[str], attempt: int) -> _Hop:
    """
    Check a URL and pin it to the address that was checked.

    A second look-up of the name could return another address. Behind a proxy only a literal address can be checked,
    because the proxy resolves the name.
    """
    shown = bare_url(url)
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.password:
        raise UnsafeURLError(f"{shown} must be an http or https URL with no user name or password in it")
    headers = {"Accept-Encoding": "identity"}
    if host in open_hosts:
        return _Hop(url, headers, {}, None)
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
        return _Hop(url, headers, {}, proxy if "://" in proxy else f"http://{proxy}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise _TransientError(f"the name of {shown} cannot be resolved") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or any(is_private(address) for address in addresses):
        raise UnsafeURLError(f"{shown} does not resolve to public addresses only")
    address = addresses[attempt % len(addresses)]
    literal = f"[{address}]" if ":" in address else address
    pinned = parts._replace(netloc=f"{literal}:{port}", fragment="").geturl()
    name = f"[{host}]" if ":" in host else host
    headers["Host"] = name if port == 443 else f"{name}:{port}"
    return _Hop(pinned, headers, {"sni_hostname": host}, None)


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise UnsafeURLError(f"{bare_url(url)} redirects to something that is not a valid URL") from None
