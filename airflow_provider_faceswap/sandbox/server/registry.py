"""What a vendor declares to the sandbox, and how the sandbox finds its vendors."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.responses import Response
    from starlette.routing import Route

    from airflow_provider_faceswap.sandbox.server.exchange import Endpoint
    from airflow_provider_faceswap.sandbox.server.state import Sandbox

#: Each module or package in it imitates one vendor and has a :class:`Vendor` named ``VENDOR``.
_PACKAGE = "airflow_provider_faceswap.sandbox.vendors"
#: Words of a vendor of which none were seen.
_TEXTS = {"busy": "Too many requests, try again later", "no_credits": "Insufficient balance"}


def _no_routes(_: Sandbox) -> list[Route]:
    return []


@dataclass(frozen=True)
class Vendor:
    """One vendor, as the sandbox imitates it.

    :param name: name in the ledger and in injected faults.
    :param unit: unit of its prices.
    :param funds: what the account holds at the start, unless the settings say otherwise.
    :param endpoints: its paths.
    :param error: its error response for an HTTP status, and for a text other than the usual one of that status; 401
        and 402 are the responses to a wrong key and to an empty account.
    :param texts: its words for ``busy`` and ``no_credits``, which it uses at several HTTP statuses.
    :param hidden_error: its error response with a status and a text that is only in one place, if it has such places.
    :param unknown_job: its response about a job that does not exist.
    :param key_header: the header that carries the key, in lower case.
    :param key_scheme: what that header has before the key.
    :param refunds: whether failed and cancelled jobs cost nothing.
    :param keyless_routes: makes the routes that need no key.
    """

    name: str
    unit: str
    funds: float
    endpoints: list[Endpoint]
    error: Callable[..., Response]
    unknown_job: Callable[[], Response]
    key_header: str = "authorization"
    key_scheme: str = ""
    refunds: bool = False
    keyless_routes: Callable[[Sandbox], list[Route]] = _no_routes
    texts: Mapping[str, str] = field(default_factory=dict)
    hidden_error: Callable[[int, str, str], Response] | None = None

    def text(self, reason: str) -> str:
        """Its words for a reason, or common ones.

        :param reason: ``busy`` or ``no_credits``.
        """
        return self.texts.get(reason) or _TEXTS[reason]

    def authorizes(self, headers: Mapping[str, str], key: str) -> bool:
        """Whether a request carries the key in the way this vendor requires."""
        return secrets.compare_digest(
            headers.get(self.key_header, "").encode(), f"{self.key_scheme}{key}".encode()
        )


def find_vendors() -> dict[str, Vendor]:
    """The vendors by name, in alphabetical order of their modules."""
    package = import_module(_PACKAGE)
    modules = [import_module(f"{_PACKAGE}.{module.name}") for module in iter_modules(package.__path__)]
    return {module.VENDOR.name: module.VENDOR for module in modules}
