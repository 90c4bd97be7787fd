"""Sandbox: one HTTP server that speaks like GPTunneL, Tengrai and PiAPI, for tests and demonstrations.

The names are looked up on first use, so that importing this package needs none of the packages of the
``sandbox`` extra and a missing one can be reported in a sentence.
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
