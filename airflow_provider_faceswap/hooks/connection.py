"""Reads an Airflow connection: its type, the vendor's URL, the key, and the rate limit."""

from __future__ import annotations

import logging
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
from airflow_provider_faceswap.http.addresses import is_loopback
from airflow_provider_faceswap.http.endpoint import Endpoint
from airflow_provider_faceswap.http.rate_limiter import rate_limiter_for
from airflow_provider_faceswap.vendors.messages import as_number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_faceswap.vendors.base import Vendor

#: What Airflow shows instead of a secret. It is stored if a masked field is saved where nothing was stored before.
MASK = "***"


_log = logging.getLogger(__name__)

#: The connections with a plain http host that this process has warned of.
_warned: set[tuple[str, str]] = set()


class ConnectionNotFoundError(InvalidRequestError, AirflowNotFoundException):  # type: ignore[misc] # status_code
    """There is no such connection; Airflow's own error, and fail-fast."""


def same_type(one: str, other: str) -> bool:
    """True if two connection types are the same; Airflow reads ``my-type`` in a URI as ``my_type``."""
    return one.replace("-", "_") == other.replace("-", "_")


def type_of(conn_id: str, known: Iterable[str]) -> str:
    """
    Read the type of a connection in a worker; empty if it has none.

    :param known: The types that an error names.
    :raises ConnectionNotFoundError: There is no such connection.
    :raises VendorUnavailableError: The connection cannot be read now.
    """
    with _backend_errors(conn_id, known):
        return BaseHook.get_connection(conn_id).conn_type or ""


def _listed(types: Iterable[str]) -> str:
    return " or ".join(repr(one) for one in sorted(types))


@contextmanager
def _backend_errors(conn_id: str, known: Iterable[str], vendor: str | None = None) -> Iterator[None]:
    """Replace what a secrets backend or Airflow's API raises: such an error says nothing about a job."""
    try:
        yield
    except FaceSwapError:
        raise
    except Exception as error:  # noqa: BLE001 - each backend has its own errors
        if _is_missing(error):
            raise ConnectionNotFoundError(
                f"connection {conn_id!r} was not found",
                vendor=vendor,
                advice=f"Nothing was bought. Create a connection with this id and the type {_listed(known)}, "
                "or correct conn_id.",
            ) from None
        raise VendorUnavailableError(
            f"connection {conn_id!r} could not be read ({type(error).__name__})",
            vendor=vendor,
            advice="Nothing was sent. Retry when Airflow, or its secrets backend, works again.",
        ) from None


def _is_missing(error: Exception) -> bool:
    """True if there is no such connection. Outside a task, Airflow 3.1 then tries to import a supervisor that it lacks."""
    return isinstance(error, AirflowNotFoundException) or (
        isinstance(error, ImportError) and "SUPERVISOR_COMMS" in str(error)
    )


@dataclass(frozen=True)
class VendorConnection:
    """
    An Airflow connection that holds the key of an account at a vendor.

    Both ways to read it raise the same errors. The type is checked first: another type's password is not for this
    vendor.

    :param types: The connection types that hold this vendor's keys.
    :raises ConnectionNotFoundError: There is no such connection.
    :raises VendorUnavailableError: The connection cannot be read now.
    :raises AuthenticationError: It has no password, or one that cannot be a key.
    :raises InvalidRequestError: It is of another type, or another field is wrong.
    """

    vendor: Vendor
    conn_id: str
    types: Collection[str]

    def read(self) -> Endpoint:
        """Read the connection in a worker."""
        with _backend_errors(self.conn_id, self.types, self.vendor.name):
            connection = BaseHook.get_connection(self.conn_id)
            self._check_type(connection)
            extra = connection.extra_dejson
        return self._endpoint(connection, extra)

    async def aread(self) -> Endpoint:
        """Read the connection on an event loop."""
        with _backend_errors(self.conn_id, self.types, self.vendor.name):
            connection = await get_async_connection(self.conn_id)
            self._check_type(connection)
            extra = await get_async_extra_dejson(connection)
        return self._endpoint(connection, extra)

    def _check_type(self, connection: Connection) -> None:
        conn_type = connection.conn_type or ""
        if not any(same_type(conn_type, one) for one in self.types):
            has = f"is of type {conn_type!r}" if conn_type else "has no type"
            raise self._wrong(
                f"connection {self.conn_id!r} {has}, and must be of type {_listed(self.types)}",
                advice="Nothing was bought, and the connection's password was sent to no one. Correct conn_id; if it "
                "is the right connection, set its conn_type.",
            )

    def _endpoint(self, connection: Connection, extra: object) -> Endpoint:
        if not isinstance(extra, dict):
            raise self._wrong(
                f"the extra of connection {self.conn_id!r} must be a JSON object, not a {type(extra).__name__}"
            )
        options = {name: value for name, value in extra.items() if not _is_blank(value)}
        for name, value in options.items():
            if value == MASK:
                raise self._wrong(
                    f"the {name} of connection {self.conn_id!r} is {MASK}, which Airflow shows instead of a secret",
                    advice=f"Nothing was bought. Type the {name} itself into the connection and save it, or empty it.",
                )
        key = self._key(connection)
        base_url = self._base_url(connection)
        self._warn_of_plain_http(base_url)
        headers = self.vendor.headers(key, options)
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise self._wrong(
                f"an extra field of connection {self.conn_id!r} contains characters that cannot be sent"
            )
        return Endpoint(
            vendor=self.vendor.name,
            base_url=base_url,
            headers=headers,
            secrets=(key, str(options.get("webhook_secret", ""))),
            options=options,
            rate=self._rate(options.get("requests_per_second")),
            default_host=not (connection.host or "").strip(),
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
        if key == MASK:
            raise AuthenticationError(
                f"the API key of connection {self.conn_id!r} is {MASK}, which Airflow shows instead of a secret",
                vendor=self.vendor.name,
                advice="Nothing was bought. Put the API key itself into the connection's password field.",
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
        base_url = self.vendor.base_url(connection.host)
        parts = urlsplit(base_url)
        if not port or parts.port == port:
            return base_url
        if parts.port:
            raise self._wrong(
                f"the connection has port {parts.port} in its host and {port} in its port field",
                advice="Nothing was bought. Empty one of them.",
            )
        return parts._replace(netloc=f"{parts.netloc}:{port}").geturl()

    def _warn_of_plain_http(self, base_url: str) -> None:
        """Log, once in a process, that the key is not encrypted on its way to another machine."""
        parts = urlsplit(base_url)
        if (
            parts.scheme == "https"
            or is_loopback(parts.hostname or "")
            or (self.conn_id, base_url) in _warned
        ):
            return
        _warned.add((self.conn_id, base_url))
        _log.warning(
            "The host of connection %r is plain http on another machine: the API key and the pictures are sent there "
            "unencrypted, and anyone on the way can read them. Use https.",
            self.conn_id,
        )

    def _rate(self, value: object) -> float | None:
        if value is None:
            return None
        rate = as_number(value)
        if rate is None or rate <= 0:
            raise self._wrong(f"the connection's requests_per_second must be a number above 0, got {value!r}")
        return rate

    def _wrong(
        self, message: str, advice: str = "Nothing was bought. Correct the connection."
    ) -> InvalidRequestError:
        return InvalidRequestError(message, vendor=self.vendor.name, advice=advice)


def _is_blank(value: object) -> bool:
    """True for an extra field that is not set: a form may store an empty text instead of nothing."""
    return value is None or (isinstance(value, str) and not value.strip())
