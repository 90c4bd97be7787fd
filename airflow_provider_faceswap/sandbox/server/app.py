"""The application: all vendors, the files, the samples and the control endpoints on one root."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_faceswap.sandbox.server.cross_site import CrossSiteGuard
from airflow_provider_faceswap.sandbox.server.faults import FaultError
from airflow_provider_faceswap.sandbox.server.files import file_routes
from airflow_provider_faceswap.sandbox.server.front_page import front_page
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse
from airflow_provider_faceswap.sandbox.server.state import Sandbox
from airflow_provider_faceswap.sandbox.server.webhooks import checked_receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from airflow_provider_faceswap.sandbox.server.settings import Settings


def create_app(settings: Settings) -> Starlette:
    """The sandbox as an ASGI application.

    ``app.state.sandbox`` is its :class:`~airflow_provider_faceswap.sandbox.server.state.Sandbox`.

    :param settings: speed, key, money and clock.
    """
    sandbox = Sandbox(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        sandbox.close()

    routes = [front_page(sandbox), *file_routes(sandbox), *_control(sandbox), *_fault_routes(sandbox)]
    for vendor in sandbox.vendors.values():
        routes += [endpoint.route(sandbox, vendor) for endpoint in vendor.endpoints]
        routes += vendor.keyless_routes(sandbox)
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: _not_found},
        middleware=[Middleware(CrossSiteGuard)],
    )
    app.state.sandbox = sandbox
    app.state.stopping = asyncio.Event()
    return app


async def _not_found(_: Request, __: Exception) -> Response:
    return PlainTextResponse("404 page not found", status_code=404)


def _control(sandbox: Sandbox) -> list[Route]:
    """The endpoints under ``/sandbox/``, which need no key."""

    async def ledger(_: Request) -> Response:
        return JSONResponse(sandbox.report())

    async def reset(_: Request) -> Response:
        sandbox.reset()
        return JSONResponse({"status": "ok"})

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def settings(request: Request) -> Response:
        try:
            _apply(sandbox, await request.json())
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=422)
        balance = {unit: sandbox.balance(unit) for unit in sandbox.funds}
        receiver = sandbox.webhooks.receiver
        shown = {"job_seconds": sandbox.job_seconds, "balance": balance}
        return JSONResponse(shown if receiver is None else shown | {"webhooks_to": receiver})

    return [
        Route("/sandbox/health", health),
        Route("/sandbox/ledger", ledger),
        Route("/sandbox/reset", reset, methods=["POST"]),
        Route("/sandbox/settings", settings, methods=["POST"]),
    ]


def _fault_routes(sandbox: Sandbox) -> list[Route]:
    """``/sandbox/faults``: ordering, listing and clearing faults."""

    async def order(request: Request) -> Response:
        try:
            fault = sandbox.faults.order(await request.json())
        except json.JSONDecodeError:
            return JSONResponse({"error": "the body is not JSON"}, status_code=422)
        except FaultError as error:
            return JSONResponse({"error": str(error)}, status_code=422)
        return JSONResponse({"id": fault.id}, status_code=201)

    async def listed(_: Request) -> Response:
        return JSONResponse({"faults": sandbox.faults.listed()})

    async def clear(_: Request) -> Response:
        sandbox.faults.clear()
        return JSONResponse({"status": "ok"})

    return [
        Route("/sandbox/faults", order, methods=["POST"]),
        Route("/sandbox/faults", listed, methods=["GET"]),
        Route("/sandbox/faults", clear, methods=["DELETE"]),
    ]


def _apply(sandbox: Sandbox, changes: Any) -> None:
    """Change settings at run time.

    :param changes: ``job_seconds``: a number; ``balance``: a number for all units, or an object by unit;
        ``webhooks_to``: the root URL that gets all webhooks, or null.
    :raises ValueError: if a name or a value is wrong; then nothing is changed.
    """
    if not isinstance(changes, dict) or set(changes) - {"job_seconds", "balance", "webhooks_to"}:
        raise ValueError("the body must be an object with job_seconds, balance and/or webhooks_to")
    receiver = checked_receiver(changes.get("webhooks_to", sandbox.webhooks.receiver))
    numbers = dict.fromkeys(sandbox.funds, changes.get("balance"))
    if isinstance(changes.get("balance"), dict):
        numbers = changes["balance"]
    if set(numbers) - set(sandbox.funds):
        raise ValueError(f"balance has the units: {', '.join(sandbox.funds)}")
    for number in (changes.get("job_seconds"), *numbers.values()):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | float)):
            raise ValueError("job_seconds and balance must be numbers")
    seconds = changes.get("job_seconds")
    if seconds is not None and seconds < 0:
        raise ValueError("job_seconds must not be negative")
    if seconds is not None:
        sandbox.job_seconds = float(seconds)
    sandbox.webhooks.receiver = receiver
    for unit, amount in numbers.items():
        if amount is not None:
            sandbox.set_balance(unit, float(amount))
