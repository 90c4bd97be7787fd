"""The sandbox on a socket: in a thread for tests, or as a process of its own."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

import uvicorn

from airflow_provider_faceswap.sandbox.server.app import create_app
from airflow_provider_faceswap.sandbox.server.connections import TrackingProtocol
from airflow_provider_faceswap.sandbox.server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from starlette.applications import Starlette

    from airflow_provider_faceswap.sandbox.server.state import Sandbox

_START_SECONDS = 30.0
_STOP_SECONDS = 30.0


class _Server(uvicorn.Server):
    """Uvicorn that reports when it is ready, and ends hanging responses before it stops."""

    def __init__(self, app: Starlette, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=TrackingProtocol,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_level="error",
                access_log=False,
                timeout_graceful_shutdown=10,
            )
        )
        self._application = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.state.stopping.set()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket.

    :param host: an IPv4 address or a name of one.
    :param port: 0 picks a free one.
    :raises OSError: if the port is taken.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def serve(settings: Settings, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    :param settings: settings of the sandbox.
    :param host: address to listen on.
    :param port: 0 picks a free one.
    :param ready: called once with the root URL.
    :raises OSError: if the port is taken.
    """
    bound = listen(host, port)
    url = f"http://{host}:{bound.getsockname()[1]}"
    _Server(create_app(settings), lambda: ready(url)).run(sockets=[bound])


class SandboxServer:
    """A sandbox in a thread, on a free loopback port; a context manager.

    :param job_seconds: see :class:`~airflow_provider_faceswap.sandbox.server.settings.Settings`.
    :param key: the key that all vendors accept.
    :param settings: full settings instead of the two above.
    :ivar url: ``http://127.0.0.1:PORT``.
    """

    def __init__(
        self, job_seconds: float = 0.2, key: str = "sandbox-key", *, settings: Settings | None = None
    ) -> None:
        self.settings = settings or Settings(job_seconds=job_seconds, key=key)
        self.key = self.settings.key
        self.url = ""
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._app: Starlette | None = None

    @property
    def sandbox(self) -> Sandbox:
        """The state behind the server. Change it only between requests."""
        if self._app is None:
            raise RuntimeError("the sandbox is not running")
        state: Sandbox = self._app.state.sandbox
        return state

    def __enter__(self) -> Self:
        bound = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        ready = threading.Event()
        self._app = create_app(self.settings)
        self._server = _Server(self._app, ready.set)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [bound]}, name="sandbox-server", daemon=True
        )
        self._thread.start()
        if not ready.wait(_START_SECONDS):
            self._server.should_exit = True
            raise RuntimeError("the sandbox did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_STOP_SECONDS)
        self._server = self._thread = self._app = None
