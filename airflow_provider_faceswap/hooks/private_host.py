"""Checks, before anything is bought, that the results of a connection could be downloaded from its host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.http.addresses import is_private, resolves_to_private
from airflow_provider_faceswap.media.limits import open_hosts

if TYPE_CHECKING:
    from airflow_provider_faceswap.http.endpoint import Endpoint


def check_private_host(endpoint: Endpoint) -> None:
    """
    Refuse a private host that downloads may not reach.

    A sandbox or a proxy usually links to results at its own host. Such a result would be paid for, and then refused
    by the archive. A name is resolved; one that cannot be resolved now is left to the request itself.

    :raises InvalidRequestError: The host is private, and ``[faceswap] allowed_private_hosts`` does not have it.
    """
    parts = urlsplit(endpoint.base_url)
    host = parts.hostname or ""
    if endpoint.default_host or host in open_hosts():
        return
    if is_private(host) or (not _behind_proxy(parts.scheme, host) and resolves_to_private(host)):
        raise InvalidRequestError(
            f"the connection's host {host} is private, and results from there could not be downloaded: "
            "[faceswap] allowed_private_hosts does not have it",
            vendor=endpoint.vendor,
            advice="Nothing was bought. Set AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS="
            f"{','.join(sorted({*open_hosts(), host}))} wherever tasks run, or correct the connection's host.",
        )


def warn_of_private_host(endpoint: Endpoint, log: Any) -> None:
    """Warn only: the caller of a hook may take the result without a download by this package."""
    try:
        check_private_host(endpoint)
    except InvalidRequestError as error:
        log.warning("%s", error.message)


def _behind_proxy(scheme: str, host: str) -> bool:
    """True if a proxy of the environment resolves the name."""
    proxies = getproxies()
    return bool(proxies.get(scheme) or proxies.get("all")) and not proxy_bypass(host)
