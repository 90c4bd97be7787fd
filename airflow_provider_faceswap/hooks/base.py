"""From a connection to a vendor's jobs: the sync and the async face of one hook."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_faceswap.exceptions import AuthenticationError, FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.transport import (
    Channel,
    attempts,
    shared_client,
    sync_client,
)
from airflow_provider_faceswap.vendors.wire import a_number

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    import httpx
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_faceswap.jobs import Job
    from airflow_provider_faceswap.vendors.base import Vendor
    from airflow_provider_faceswap.vendors.wire import Reply, Request

T = TypeVar("T")


class JobHook(BaseHook):
    """
    A vendor's jobs, through an Airflow connection.

    The connection's password is the API key; its host, where given, is a full base URL.

    :param conn_id: The connection; each hook has a default of its own.
    """

    vendor: ClassVar[Vendor]
    conn_name_attr = "conn_id"
    default_conn_name = ""

    def __init__(self, conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id or self.default_conn_name
        self._channel: Channel | None = None
        self._extra: Mapping[str, Any] = {}
        self._http: httpx.Client | None = None

    # -- connection -----------------------------------------------------------------------------------

    def _open(self, connection: Connection, extra: Mapping[str, Any]) -> Channel:
        """
        Read what the connection says.

        :raises AuthenticationError: It has no password.
        :raises InvalidRequestError: Its host is no full URL.
        """
        key = (connection.password or "").strip()
        if not key:
            raise AuthenticationError(
                f"connection {self.conn_id!r} has no API key",
                vendor=self.vendor.name,
                advice="Nothing was bought. Put the API key into the connection's password field.",
            )
        self._extra = extra
        self._channel = Channel(
            vendor=self.vendor.name,
            base_url=self.vendor.base_url(connection.host),
            headers=self.vendor.headers(key, extra),
            secrets=(key, str(extra.get("webhook_secret") or "")),
            rate=_rate(extra.get("requests_per_second")),
        )
        return self._channel

    def channel(self) -> Channel:
        """How this hook reaches its vendor; read from the connection once."""
        if self._channel is None:
            connection = self.get_connection(self.conn_id)
            self._open(connection, connection.extra_dejson)
        assert self._channel is not None  # noqa: S101 - _open sets it
        return self._channel

    async def achannel(self) -> Channel:
        """As :meth:`channel`, without a blocking call."""
        if self._channel is None:
            connection = await get_async_connection(self.conn_id)
            self._open(connection, await get_async_extra_dejson(connection))
        assert self._channel is not None  # noqa: S101 - _open sets it
        return self._channel

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
    def _client(self) -> Iterator[httpx.Client]:
        if self._http is not None:
            yield self._http
        else:
            with sync_client() as http:
                yield http

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Self]:
        """Keep the shared async client of this loop and connection open inside the block."""
        async with shared_client(self.conn_id):
            yield self

    # -- jobs, sync -----------------------------------------------------------------------------------

    def prepare(self, kind: str, **arguments: Any) -> Request:
        """
        Check the arguments and build the request, without sending anything.

        What the connection gives for all jobs fills what is not set.

        :raises InvalidRequestError: An argument is wrong.
        """
        self.channel()
        return self._prepare(kind, arguments)

    def _prepare(self, kind: str, arguments: Mapping[str, Any]) -> Request:
        known = self.vendor.kind(kind).arguments.model_fields
        given = {key: value for key, value in arguments.items() if value is not None}
        if "webhook" in given and "webhook_secret" in known:
            given.setdefault("webhook_secret", self._extra.get("webhook_secret"))
        for name in self.vendor.connection_arguments:
            if name in known and name not in given and self._extra.get(name) is not None:
                given[name] = self._extra[name]
        secret = str(given.get("webhook_secret") or "")
        if self._channel is not None and secret not in {"", *self._channel.secrets}:
            # The vendor echoes it in its answers, wherever it was given.
            self._channel = replace(self._channel, secrets=(*self._channel.secrets, secret))
        return self.vendor.create(kind, given)

    def buy(self, kind: str, request: Request) -> Job:
        """
        Send a prepared request. Each accepted one is paid for.

        It is sent again only after "too many requests", "unavailable", or a connection that never opened.

        :raises VendorError: The vendor accepted nothing.
        :raises SubmissionUncertainError: It may have accepted it.
        """
        channel = self.channel()
        for attempt in attempts():
            with attempt, sync_client() as http:
                reply = channel.send(http, request, paid=True)
                job = self.vendor.read_created(kind, reply)
        return job

    def submit(self, kind: str, **arguments: Any) -> Job:
        """
        Create a paid job.

        :param kind: ``face_swap``, ``image``, ...; what the vendor file's table lists.
        :param arguments: Neutral names, as on the operators; ``None`` means unset.
        :raises InvalidRequestError: An argument is wrong; nothing was sent.
        :raises VendorError: The vendor accepted nothing.
        :raises SubmissionUncertainError: The vendor may have accepted it.
        """
        return self.buy(kind, self.prepare(kind, **arguments))

    def fetch(self, job_id: str, kind: str) -> Job:
        """
        Read a job.

        :raises JobLostError: The vendor does not know it.
        :raises VendorError: It could not be read; the job itself goes on.
        """
        with _about(job_id):
            return self.ask(
                self.vendor.fetch(kind, job_id),
                lambda reply: self.vendor.read_job(kind, reply, job_id=job_id),
            )

    def ask(self, request: Request, read: Callable[[Reply], T]) -> T:
        """
        Send a request that only reads, again where that can help.

        :param read: Makes of the answer what is returned.
        :raises VendorError: The vendor refused, cannot now, or cannot be understood.
        """
        channel = self.channel()
        for attempt in attempts():
            with attempt, self._client() as http:
                told = read(channel.send(http, request))
        return told

    def cancel(self, job_id: str, kind: str) -> bool:
        """
        Ask once for a cancel, best effort.

        :returns: True where the vendor confirmed it; False means that the job may go on and be charged.
        """
        request = self.vendor.cancel(kind, job_id)
        if request is None:
            return False
        try:
            with self._client() as http:
                return self.vendor.read_canceled(self.channel().send(http, request))
        except FaceSwapError as error:
            self.log.warning("The cancel of job %s was not confirmed: %s", job_id, error)
            return False

    # -- jobs, async ----------------------------------------------------------------------------------

    async def asubmit(self, kind: str, **arguments: Any) -> Job:
        """Create a paid job, as :meth:`submit` does."""
        await self.achannel()
        request = self._prepare(kind, arguments)
        return await self.abuy(kind, request)

    async def abuy(self, kind: str, request: Request) -> Job:
        """Send a prepared request, as :meth:`buy` does."""
        channel = await self.achannel()
        async with shared_client(self.conn_id) as shared:
            async for attempt in attempts():
                with attempt:
                    reply = await channel.asend(shared, request, paid=True)
                    job = self.vendor.read_created(kind, reply)
        return job

    async def afetch(self, job_id: str, kind: str) -> Job:
        """Read a job, as :meth:`fetch` does; a key that was changed meanwhile is taken up."""
        with _about(job_id):
            try:
                return await self._afetch(job_id, kind)
            except AuthenticationError:
                before, self._channel = self._channel, None
                if await self.achannel() == before:
                    raise
                return await self._afetch(job_id, kind)

    async def _afetch(self, job_id: str, kind: str) -> Job:
        channel, request = await self.achannel(), self.vendor.fetch(kind, job_id)
        async with shared_client(self.conn_id) as shared:
            async for attempt in attempts():
                with attempt:
                    reply = await channel.asend(shared, request)
                    job = self.vendor.read_job(kind, reply, job_id=job_id)
        return job

    async def acancel(self, job_id: str, kind: str) -> bool:
        """Ask once for a cancel, as :meth:`cancel` does."""
        request = self.vendor.cancel(kind, job_id)
        if request is None:
            return False
        try:
            channel = await self.achannel()
            async with shared_client(self.conn_id) as shared:
                return self.vendor.read_canceled(await channel.asend(shared, request))
        except FaceSwapError as error:
            self.log.warning("The cancel of job %s was not confirmed: %s", job_id, error)
            return False

    def most_at_once(self) -> int | None:
        """How many jobs the account may have running, where the vendor tells; ``None`` where not, or not now."""
        if not self.vendor.tells_limit:
            return None
        try:
            return self.ask(self.vendor.account(), self.vendor.read_limit)
        except FaceSwapError as error:
            self.log.warning("The account's limit could not be read: %s", error)
            return None

    # -- connection test ------------------------------------------------------------------------------

    def account(self) -> str:
        """
        What the vendor tells of the account, in one line; free.

        :raises VendorError: The key is wrong, or the vendor cannot be reached.
        """
        return self.ask(self.vendor.account(), self.vendor.read_account)

    def test_connection(self) -> tuple[bool, str]:
        """Prove the key with a free call, for the connection form's *Test* button."""
        try:
            return True, f"{self.vendor.name}: {self.account()}"
        except FaceSwapError as error:
            return False, str(error)


def _rate(value: object) -> float | None:
    """
    Read the connection's bound.

    :raises InvalidRequestError: It is not a number above zero.
    """
    if value in (None, ""):
        return None
    rate = a_number(value)
    if rate is None or rate <= 0:
        raise InvalidRequestError(
            f"the connection's requests_per_second must be a number above 0, got {value!r}",
            advice="Nothing was bought. Correct the connection.",
        )
    return rate


@contextmanager
def _about(job_id: str) -> Iterator[None]:
    """Name the job in whatever goes wrong while it is read."""
    try:
        yield
    except FaceSwapError as error:
        error.job_id = error.job_id or job_id
        raise


def hook_for(vendor: str, conn_id: str) -> JobHook:
    """
    Make the hook of a vendor, as the provider info registers it.

    :param vendor: The vendor's name, which is the connection type.
    :raises InvalidRequestError: No such vendor.
    """
    from airflow_provider_faceswap.get_provider_info import get_provider_info

    for entry in get_provider_info()["connection-types"]:
        if entry["connection-type"] == vendor:
            module, _, name = entry["hook-class-name"].rpartition(".")
            hook: JobHook = getattr(import_module(module), name)(conn_id)
            return hook
    raise InvalidRequestError(
        f"connection {conn_id!r} is of type {vendor!r}, which is none of this package",
        advice="Nothing was bought. Use a connection of type gptunnel, tengrai or piapi.",
    )


def hook_for_connection(conn_id: str) -> JobHook:
    """
    Make the hook that a connection's type asks for.

    :raises AirflowNotFoundException: There is no such connection.
    :raises InvalidRequestError: Its type is none of this package's.
    """
    return hook_for(BaseHook.get_connection(conn_id).conn_type or "", conn_id)
