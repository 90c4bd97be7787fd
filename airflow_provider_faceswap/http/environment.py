"""What HTTP clients take from the environment: proxies and certificates, and the error if these cannot be used."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.request import getproxies

import httpx

from airflow_provider_faceswap.exceptions import VendorUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROXY_ADVICE = "Set it to a full URL such as http://proxy.example.com:3128, percent-encoded, or unset it"
_SOCKS_ADVICE = "Install httpx[socks], or set an http:// or https:// proxy"
_NO_PROXY_ADVICE = (
    "It may list names and addresses with commas between them, without brackets and without IPv6 networks such as "
    "fd00::/8. Correct it"
)
_CERTIFICATES_ADVICE = (
    "Set it to a file, or a folder, with certificates that this process can read, or unset it"
)


@contextmanager
def usable_environment() -> Iterator[None]:
    """
    Check the environment before a client is made from it, and replace what httpx raises if it cannot use it.

    No error shows a value, because the URL of a proxy may contain a password.

    :raises VendorUnavailableError: A variable cannot be used; the message names it. Nothing was sent.
    """
    proxies = getproxies()
    bypassed = "*" in {host.strip() for host in proxies.get("no", "").split(",")}
    for scheme in () if bypassed else ("http", "https", "all"):
        if (value := proxies.get(scheme)) and (problem := proxy_problem(value)):
            raise _unusable(variable_with(value, f"{scheme.upper()}_PROXY"), problem)
    try:
        yield
    except OSError as error:
        names = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
        raise _unusable(names[0] if names else "SSL_CERT_FILE", _CERTIFICATES_ADVICE, error) from None
    except (ValueError, httpx.InvalidURL) as error:
        raise _unusable(variable_with(proxies.get("no", ""), "NO_PROXY"), _NO_PROXY_ADVICE, error) from None


def proxy_problem(value: str) -> str:
    """What to do about a proxy that cannot be used; empty for one that can."""
    try:
        url = httpx.URL(value if "://" in value else f"http://{value}")
        auth = f"{url.username}:{url.password}"
        readable = url.host and url.raw_host.isascii() and (url.port is None or 0 < url.port <= 65535)
    except (ValueError, httpx.InvalidURL):
        return _PROXY_ADVICE
    if not readable or url.scheme not in {"http", "https", "socks5", "socks5h"} or not auth.isprintable():
        return _PROXY_ADVICE
    if url.scheme.startswith("socks5") and find_spec("socksio") is None:
        return _SOCKS_ADVICE
    return ""


def variable_with(value: str, *names: str) -> str:
    """
    The environment variable that has this value, as it is written.

    :param names: The variables that may have it, in capital letters; urllib reads small letters too.
    """
    same = [given for given, text in os.environ.items() if given.upper() in names and text == value]
    return same[0] if same else " or ".join(names)


def _unusable(variable: str, advice: str, error: Exception | None = None) -> VendorUnavailableError:
    why = f" ({type(error).__name__})" if error else ""
    return VendorUnavailableError(
        f"the environment variable {variable} cannot be used{why}",
        advice=f"Nothing was sent. {advice}, then retry.",
    )
