"""
Safe download of a result from an address that is not trusted.

No credentials are sent. Every hop of a redirect must be https and resolve to public addresses, and the connection goes
to the address that was checked. A setting allows single private hosts, for the sandbox and for proxies.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import httpx
import stamina

from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    ResultExpiredError,
    UnsafeURLError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.file_structure import examine
from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.http.body import Downloaded, Target
from airflow_provider_faceswap.http.client import tls_context
from airflow_provider_faceswap.http.environment import proxy_problem, variable_with
from airflow_provider_faceswap.http.hops import Hop, UnresolvedError, checked_hops, joined
from airflow_provider_faceswap.http.limits import DOWNLOAD_LIMIT, UnwantedEncodingError, in_thread
from airflow_provider_faceswap.http.patience import NotReadyError
from airflow_provider_faceswap.http.retry_log import plain_retry_log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

#: Maximum number of redirects that are followed.
MAX_HOPS = 5
#: Maximum number of times that a download is tried.
MAX_DOWNLOADS = 3

_TIMEOUT = httpx.Timeout(connect=10, read=60, write=30, pool=30)
#: Statuses of a link that no longer works: the file was removed, or the signature has expired. All but 410 are also those
#: of a file that is not there yet.
_EXPIRED = frozenset({403, 404, 410})


class _TransientError(ArchiveError):
    """A failure that may not happen again."""


def download(
    url: str,
    into: BinaryIO,
    *,
    max_bytes: int,
    open_hosts: Collection[str] = (),
    seconds: float = DOWNLOAD_LIMIT,
) -> Downloaded:
    """
    Stream a result into a file.

    A file that its own structure says is cut off or damaged is downloaded again, because some connections end without
    an error. The last try is returned as it is, and the caller decides about it.

    :param into: A seekable file. It is emptied first, and contains the whole result only on return.
    :param max_bytes: Maximum number of bytes.
    :param open_hosts: Hosts that may be private, and may use plain http.
    :param seconds: Seconds for one try.
    :raises UnsafeURLError: The URL, or one that it redirects to, is not https at a public host.
    :raises ResultExpiredError: The link no longer works; ``NotReadyError`` if it may work later.
    :raises TooLargeError: The result has more than ``max_bytes``.
    :raises ArchiveError: The download failed; a retry may help.
    """
    plain_retry_log()
    fetched = Downloaded(0, "")
    try:
        for attempt in stamina.retry_context(
            on=_TransientError, attempts=MAX_DOWNLOADS, timeout=None, wait_initial=0.5, wait_max=5
        ):
            with attempt:
                into.seek(0)
                into.truncate()
                target = Target(into, max_bytes, seconds)
                fetched = _in_time(
                    partial(_follow, url, target, open_hosts, attempt.num - 1), target, url, seconds
                )
                if attempt.num < MAX_DOWNLOADS:
                    _check_whole(into, url)
    except _TransientError as error:
        # The class of an error is in manifests and results of batches.
        raise ArchiveError(error.message) from None
    into.seek(0)
    return fetched


def _check_whole(file: BinaryIO, url: str) -> None:
    if flaw := examine(file).flaw:
        raise _TransientError(f"{bare_url(url)} {flaw}")


def _in_time(fetch: Callable[[], Downloaded], target: Target, url: str, seconds: float) -> Downloaded:
    """
    Fetch in a thread of its own, because nothing else interrupts a socket that receives a byte now and then.

    :raises ArchiveError: It takes too long. The try goes on, and writes nothing more.
    """
    try:
        return in_thread(fetch, seconds)
    except TimeoutError:
        raise ArchiveError(f"{bare_url(url)} did not arrive within {seconds:.0f} s") from None
    finally:
        target.close()


def _follow(url: str, target: Target, open_hosts: Collection[str], attempt: int) -> Downloaded:
    for _ in range(MAX_HOPS + 1):
        shown = bare_url(url)
        try:
            hops = checked_hops(url, open_hosts, attempt)
        except UnresolvedError as error:
            raise _TransientError(error.message) from None
        except (ValueError, httpx.InvalidURL):
            raise UnsafeURLError(f"{shown} is not a valid URL") from None
        try:
            with _response(hops) as response:
                if response.has_redirect_location:
                    url = joined(url, response.headers["location"])
                    continue
                _check_status(response, shown)
                return target.fill(response, shown)
        except (httpx.HTTPError, UnwantedEncodingError) as error:
            raise _TransientError(f"{shown} could not be read ({type(error).__name__})") from None
        except httpx.InvalidURL:
            raise UnsafeURLError(f"{shown} is not a valid URL") from None
    raise UnsafeURLError(f"more than {MAX_HOPS} redirects, the last to {bare_url(url)}")


@contextmanager
def _response(hops: list[Hop]) -> Iterator[httpx.Response]:
    """The response of the first address that can be connected to; nothing was sent to the others."""
    for number, hop in enumerate(hops, 1):
        with ExitStack() as stack:
            http = stack.enter_context(_client(hop.proxy))
            timeout = httpx.Timeout(
                connect=hop.connect, read=_TIMEOUT.read, write=_TIMEOUT.write, pool=_TIMEOUT.pool
            )
            try:
                response = stack.enter_context(
                    http.stream(
                        "GET", hop.url, headers=hop.headers, extensions=hop.extensions, timeout=timeout
                    )
                )
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(hops):
                    raise
                continue
            yield response
            return


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
        raise (ResultExpiredError if status == 410 else NotReadyError)(f"{shown} returned HTTP {status}")
    if status == 429 or status >= 500:
        raise _TransientError(f"{shown} returned HTTP {status}")
    if status != 200:
        raise ArchiveError(f"{shown} returned HTTP {status}")
