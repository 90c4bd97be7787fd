"""What an Airflow connection says: where a vendor is, with which key, and how fast it may be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_faceswap.exceptions import AuthenticationError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.http.client import Endpoint
from airflow_provider_faceswap.http.rate_limiter import rate_limiter_for
from airflow_provider_faceswap.vendors.messages import as_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_faceswap.vendors.base import Vendor


def endpoint_of(vendor: Vendor, conn_id: str, connection: Connection, extra: Mapping[str, Any]) -> Endpoint:
    """
    Read a connection.

    :param extra: Its further fields, parsed.
    :raises AuthenticationError: It has no password, or one that no vendor gives out.
    :raises InvalidRequestError: Its host is no full URL, or its rate no number.
    """
    key = (connection.password or "").strip()
    if not key:
        raise AuthenticationError(
            f"connection {conn_id!r} has no API key",
            vendor=vendor.name,
            advice="Nothing was bought. Put the API key into the connection's password field.",
        )
    if not (key.isascii() and key.isprintable()):  # nor could a header carry it
        raise AuthenticationError(
            f"the API key of connection {conn_id!r} has characters that no key has",
            vendor=vendor.name,
            advice="Nothing was bought. Copy the key anew, without what stands around it.",
        )
    return Endpoint(
        vendor=vendor.name,
        base_url=_address(vendor, connection.host, connection.port),
        headers=vendor.headers(key, extra),
        secrets=(key, str(extra.get("webhook_secret") or "")),
        rate=_rate(extra.get("requests_per_second")),
        at_home=not connection.host,
        limiter=rate_limiter_for(conn_id),
    )


def _address(vendor: Vendor, host: str | None, port: int | None) -> str:
    """
    A vendor's base URL with the connection's port, which a URI keeps in a place of its own.

    :raises InvalidRequestError: The host is no full URL, or has another port.
    """
    try:
        base_url = vendor.base_url(host)
        own = urlsplit(base_url).port
    except InvalidRequestError:
        raise
    except ValueError:  # such as a port that is no number
        raise InvalidRequestError(
            "the connection's host cannot be read as a URL",
            vendor=vendor.name,
            advice="Nothing was bought. Correct the connection's host.",
        ) from None
    if not port or own == port:
        return base_url
    if own:
        raise InvalidRequestError(
            f"the connection has port {own} in its host and {port} in its port field",
            vendor=vendor.name,
            advice="Nothing was bought. Empty one of them.",
        )
    parts = urlsplit(base_url)
    return parts._replace(netloc=f"{parts.netloc}:{port}").geturl()


def shown(base_url: str) -> str:
    """An address without the name and password that may stand before its host, and without a query."""
    return bare_url(base_url)


def _rate(value: object) -> float | None:
    """
    Read the connection's bound.

    :raises InvalidRequestError: It is not a number above zero.
    """
    if value in (None, ""):
        return None
    rate = as_number(value)
    if rate is None or rate <= 0:
        raise InvalidRequestError(
            f"the connection's requests_per_second must be a number above 0, got {value!r}",
            advice="Nothing was bought. Correct the connection.",
        )
    return rate
