"""One HTTP server that imitates GPTunneL, Tengrai and PiAPI, for tests and demonstrations.

It reads the vendors' contracts independently of the client: it imports nothing of the rest of this package.

Its names are imported on first use. So importing this package needs nothing of the ``sandbox`` extra, and the
command line can report a missing package in one sentence.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.server.app import create_app
    from airflow_provider_faceswap.sandbox.server.server import SandboxServer
    from airflow_provider_faceswap.sandbox.server.settings import Settings

__all__ = ["SandboxServer", "Settings", "create_app"]

_HOMES = {"SandboxServer": "server.server", "Settings": "server.settings", "create_app": "server.app"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
