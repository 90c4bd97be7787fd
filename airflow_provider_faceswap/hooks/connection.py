"""Reads an Airflow connection: the vendor's URL, the key, and the rate limit."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InvalidRequestError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.http.endpoint import Endpoint
from airflow_provider_faceswap.http.rate_limiter import rate_limiter_for
from airflow_provider_faceswap.vendors.messages import as_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_faceswap.vendors.base import Vendor


@dataclass(frozen=True)
class VendorConnection:
    """
    An Airflow connection that holds the key of an account at a vendor.

    Both ways to read it raise the same errors.

    :raises AirflowNotFoundException: There is no such connection.
    :raises VendorUnavailableError: The connection cannot be read now.
    :raises AuthenticationError: It has no password, or one that cannot be a key.
    :raises InvalidRequestError: Another field is wrong.
    """

    vendor: Vendor
    conn_id: str

    def read(self) -> Endpoint:
        """Read the connection in a worker."""
        with self._backend_errors():
            connection = BaseHook.get_connection(self.conn_id)
            extra = connection.extra_dejson
        return self._endpoint(connection, extra)

    async def aread(self) -> Endpoint:
        """Read the connection on an event loop."""
        with self._backend_errors():
            connection = await get_async_connection(self.conn_id)
            extra = await get_async_extra_dejson(connection)
        return self._endpoint(connection, extra)

    @contextmanager
    def _backend_errors(self) -> Iterator[None]:
        """Replace what a secrets backend or Airflow's API raises: such an error says nothing about a job."""
        try:
            yield
        except (AirflowNotFoundException, FaceSwapError):
            raise
        except Exception as error:  # noqa: BLE001 - each backend has its own errors
            raise VendorUnavailableError(
                f"connection {self.conn_id!r} could not be read ({type(error).__name__})",
                vendor=self.vendor.name,
                advice="Nothing was sent. Retry when Airflow, or its secrets backend, works again.",
            ) from None

    def _endpoint(self, connection: Connection, extra: object) -> Endpoint:
        if not isinstance(extra, dict):
            raise self._wrong(
                f"the extra of connection {self.conn_id!r} must be a JSON object, not a {type(extra).__name__}"
            )
        key = self._key(connection)
        return Endpoint(
            vendor=self.vendor.name,
            base_url=self._base_url(connection),
            headers=self.vendor.headers(key, extra),
            secrets=(key, str(extra.get("webhook_secret") or "")),
            options=extra,
            rate=self._rate(extra.get("requests_per_second")),
            default_host=not connection.host,
            limiter=rate_limiter_for(self.conn_id),
        )

    def _key(self, connection: Connection) -> str:
        key = (connection.password or "").strip()
        if not key:
            raise AuthenticationError(
                f"connection {self.conn_id!r} has no API key",
                vendor=self.vendor.name,
                advice="Nothing was bought. Put the API key into the connection's password field.",
            )
        if not (key.isascii() and key.isprintable()):  # a header could not carry it
            raise AuthenticationError(
                f"the API key of connection {self.conn_id!r} contains characters that cannot be in a key",
                vendor=self.vendor.name,
                advice="Nothing was bought. Copy only the key into the password field.",
            )
        return key

    def _base_url(self, connection: Connection) -> str:
        """The vendor's base URL, with the port, which a connection URI keeps in a field of its own."""
        port = connection.port
        try:
            base_url = self.vendor.base_url(connection.host)
            own_port = urlsplit(base_url).port
        except InvalidRequestError:
            raise
        except ValueError:  # such as a port that is not a number
            raise self._wrong("the connection's host cannot be read as a URL") from None
        if not port or own_port == port:
            return base_url
        if own_port:
            raise self._wrong(
                f"the connection has port {own_port} in its host and {port} in its port field",
                advice="Nothing was bought. Empty one of them.",
            )
        parts = urlsplit(base_url)
        return parts._replace(netloc=f"{parts.netloc}:{port}").geturl()

    def _rate(self, value: object) -> float | None:
        if value in (None, ""):
            return None
        rate = as_number(value)
        if rate is None or rate <= 0:
            raise self._wrong(f"the connection's requests_per_second must be a number above 0, got {value!r}")
        return rate

    def _wrong(
        self, message: str, advice: str = "Nothing was bought. Correct the connection."
    ) -> InvalidRequestError:
        return InvalidRequestError(message, vendor=self.vendor.name, advice=advice)
