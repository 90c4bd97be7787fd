"""From a connection to a vendor's account: how it is reached, and what it tells of itself."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError, VendorUnavailableError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.hooks import form
from airflow_provider_faceswap.hooks.connection import endpoint_of
from airflow_provider_faceswap.http.client import Endpoint, attempts, shared_client, sync_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    import httpx

    from airflow_provider_faceswap.jobs import Balance
    from airflow_provider_faceswap.vendors.base import Vendor
    from airflow_provider_faceswap.vendors.messages import Reply, Request

T = TypeVar("T")

#: Seconds for which all of an event loop go by one reading of a connection; a key that is refused is read at once.
CONNECTION_KEPT = 60.0


class AccountHook(BaseHook):
    """
    An account at a vendor, through an Airflow connection.

    :param conn_id: The connection; each vendor's hook has a default of its own.
    """

    vendor: ClassVar[Vendor]
    conn_name_attr = "conn_id"
    default_conn_name = ""

    def __init__(self, conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id or self.default_conn_name
        self._endpoint: Endpoint | None = None
        self._extra: Mapping[str, Any] = {}
        self._http: httpx.Client | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Give each vendor's hook the two methods by which Airflow below 3.2 draws its connection form."""
        super().__init_subclass__(**options)
        if conn_type := getattr(cls, "conn_type", ""):
            # Airflow looks for them in the class itself, not in its bases.
            cls.get_connection_form_widgets = staticmethod(partial(form.fields, conn_type))  # type: ignore[method-assign]
            cls.get_ui_field_behaviour = staticmethod(partial(form.behaviour, conn_type))  # type: ignore[method-assign]

    def endpoint(self) -> Endpoint:
        """How this hook reaches its vendor; read from the connection once."""
        if self._endpoint is None:
            with self._reading():
                connection = self.get_connection(self.conn_id)
                extra = self._fields(connection.extra_dejson)
            self._endpoint = endpoint_of(self.vendor, self.conn_id, connection, extra)
            self._extra = extra
        return self._endpoint

    async def aendpoint(self, instead_of: Endpoint | None = None) -> Endpoint:
        """
        As :meth:`endpoint`, without a blocking call, and together with all others on this event loop.

        Each reading costs a triggerer several messages to its supervisor, which for a thousand triggers would be
        most of what it does.

        :param instead_of: One that the vendor has refused: the connection is read anew if it was not since.
        """
        if self._endpoint is None:
            async with shared_client(self.conn_id) as shared, shared.reading:
                known = shared.settings
                if (
                    known is None
                    or known[0].vendor != self.vendor.name
                    or known[0] == instead_of
                    or CLOCK.now() - known[2] > CONNECTION_KEPT
                ):
                    with self._reading():
                        connection = await get_async_connection(self.conn_id)
                        extra = self._fields(await get_async_extra_dejson(connection))
                    endpoint = endpoint_of(self.vendor, self.conn_id, connection, extra)
                    known = shared.settings = endpoint, extra, CLOCK.now()
                self._endpoint, self._extra, _ = known
        assert self._endpoint is not None  # noqa: S101 - both ways above set it
        return self._endpoint

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """
        Say in our words what else a secrets backend, or Airflow's API, may raise: nothing of it is a job's fault.

        :raises VendorUnavailableError: The connection is there, or may be, and could not be read now.
        """
        try:
            yield
        except (AirflowNotFoundException, FaceSwapError):
            raise
        except Exception as error:  # noqa: BLE001 - every backend raises what it likes
            raise VendorUnavailableError(
                f"connection {self.conn_id!r} could not be read ({type(error).__name__})",
                vendor=self.vendor.name,
                advice="Nothing was sent. Retry once Airflow, or its secrets backend, is well.",
            ) from None

    def _fields(self, extra: object) -> Mapping[str, Any]:
        if isinstance(extra, dict):
            return extra
        raise InvalidRequestError(
            f"the extra of connection {self.conn_id!r} must be a JSON object, and is a {type(extra).__name__}",
            vendor=self.vendor.name,
            advice="Nothing was bought. Correct the connection.",
        )

    def __enter__(self) -> Self:
        """Keep one HTTP client for the sync calls inside the block."""
        self._http = sync_client()
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        if self._http is not None:
            self._http.close()
            self._http = None

    @contextmanager
    def _client(self, *, fresh: bool = False) -> Iterator[httpx.Client]:
        """
        The client of the block that this hook is in, if any, else one for this call.

        :param fresh: One with no open connection, whatever there is: what is sent by it is never sent twice.
        """
        if self._http is not None and not fresh:
            yield self._http
        else:
            with sync_client() as http:
                yield http

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Self]:
        """Keep the shared async client of this loop and connection open inside the block."""
        async with shared_client(self.conn_id):
            yield self

    # -- what the vendor tells ------------------------------------------------------------------------

    def read(self, request: Request, parse: Callable[[Reply], T]) -> T:
        """
        Send a request that only reads, again where that can help.

        :param parse: Makes the return value of the answer.
        :raises VendorError: The vendor refused, cannot now, or cannot be understood.
        """
        endpoint = self.endpoint()
        for attempt in attempts():
            with attempt, self._client() as http:
                told = parse(endpoint.send(http, request))
        return told

    def concurrency_limit(self) -> int | None:
        """How many jobs the account may have running, where the vendor tells; ``None`` where not, or not now."""
        if not self.vendor.reports_limit:
            return None
        try:
            return self.read(self.vendor.account(), self.vendor.read_limit)
        except FaceSwapError as error:
            self.log.warning("The account's limit could not be read: %s", error)
            return None

    def balances(self) -> tuple[Balance, ...]:
        """
        What the account has, in each unit that the vendor tells, the usual one first; free.

        :raises InvalidRequestError: This vendor tells no balance.
        :raises VendorError: The key is wrong, or the vendor cannot be reached.
        """
        self.endpoint()
        request = self.vendor.balance(self._extra)
        if request is None:
            raise InvalidRequestError(
                "this vendor does not tell a balance",
                vendor=self.vendor.name,
                advice="Look at the account on the vendor's site.",
            )
        return self.read(request, self.vendor.read_balances)

    def account(self) -> str:
        """
        What the vendor tells of the account, in one line; free.

        :raises VendorError: The key is wrong, or the vendor cannot be reached.
        """
        self.endpoint()
        # The balance, where there is one, is that of whoever the connection lets pay.
        request = self.vendor.balance(self._extra) or self.vendor.account()
        return self.read(request, self.vendor.read_account)
