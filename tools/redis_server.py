"""A Redis of one's own on this machine: in a temporary folder, on loopback, gone when it is left."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from airflow_stack import free_port

if TYPE_CHECKING:
    from types import TracebackType

#: Seconds.
_START_TIMEOUT = 30.0


def program() -> str | None:
    """The server's path, where it is installed."""
    return shutil.which("redis-server")


class RedisServer:
    """
    Start with ``with``; stopped and deleted on leaving. It keeps nothing on disk.

    :ivar url: ``redis://127.0.0.1:PORT/0``.
    :raises RuntimeError: Redis is not installed.
    """

    def __init__(self) -> None:
        found = program()
        if found is None:
            raise RuntimeError("Redis is not installed: no redis-server on the path")
        self._program = found
        self._home = Path(tempfile.mkdtemp(prefix="faceswap-redis-"))
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        try:
            with (self._home / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [
                        self._program,
                        *("--bind", "127.0.0.1"),
                        *("--port", str(self._port)),
                        *("--dir", str(self._home)),
                        *("--save", ""),
                        *("--appendonly", "no"),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._wait_ready(self._process)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server and delete everything."""
        self.close()

    def close(self) -> None:
        """Stop the server, where it runs, and delete everything."""
        if self._process is not None:
            self._process.kill()  # it has nothing to save
            self._process.wait()
            self._process = None
        shutil.rmtree(self._home, ignore_errors=True)

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline and process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)
        raise RuntimeError(f"redis-server did not start: {(self._home / 'log').read_text(errors='replace')}")

    def _answers(self) -> bool:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection,
        ):
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        return False
