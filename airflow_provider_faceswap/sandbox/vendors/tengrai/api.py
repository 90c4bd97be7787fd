"""Tengrai's paths and responses."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError
from airflow_provider_faceswap.sandbox.server.jobs import CANCELED, DONE, FAILED, QUEUED, RUNNING, View
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse
from airflow_provider_faceswap.sandbox.server.webhooks import Webhook
from airflow_provider_faceswap.sandbox.vendors.tengrai.artworks import draw_artwork
from airflow_provider_faceswap.sandbox.vendors.tengrai.requests import REQUESTS, STYLE_DNA, Field, checked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response

_PRICE = 1.0
_LIFETIME = 8 * 24 * 3600.0
_WORDS = {
    QUEUED: "starting",
    RUNNING: "processing",
    DONE: "succeeded",
    FAILED: "failed",
    CANCELED: "canceled",
}
_MOST_LISTED = 500
#: Not documented, like the status 402 that it usually comes with.
NO_CREDITS = "Not enough credits"


def error(status: int, message: str | list[str] | None = None) -> JSONResponse:
    """Tengrai's error body; a validation error has a list of texts, as NestJS sends it."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    text = message or (NO_CREDITS if status == HTTPStatus.PAYMENT_REQUIRED else phrase)
    body: dict[str, Any] = {"message": text, "statusCode": status}
    if status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.INTERNAL_SERVER_ERROR):
        body["error"] = phrase
    return JSONResponse(body, status_code=status)


def unknown_artwork() -> JSONResponse:
    """404, which also an artwork older than eight days gets."""
    return error(404, "Artwork not found")


def _artwork(view: View) -> dict[str, Any]:
    """The artwork object; no field of it shows why a job failed."""
    job = view.job
    ended = None if view.fresh else job.finished_at(view.now)
    created = datetime.fromtimestamp(job.created_at, UTC)
    return {
        "id": job.job_id,
        "artworkType": job.kind,
        "parameters": job.request,
        "duration": round(ended - job.created_at, 3) if ended is not None else 0,
        "results": view.urls,
        "status": view.status(_WORDS),
        "createdAt": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _create(artwork_type: str, fields: dict[str, Field]) -> Callable[[Call], Awaitable[Response]]:
    """The handler of one create path."""

    async def create(call: Call) -> Response:
        parameters, complaints = checked(call.json(), fields)
        if complaints:
            raise RefusedError(error(400, complaints))
        call.pay(_PRICE)
        inputs = call.inputs
        view = call.accept(
            str(uuid.uuid4()),
            artwork_type,
            _PRICE,
            lambda: draw_artwork(artwork_type, parameters, inputs),
            parameters,
            lifetime=_LIFETIME,
            # The header of its signature is not documented, and neither are further attempts.
            webhook=Webhook(parameters.get("webhook"), _artwork),
        )
        return JSONResponse(_artwork(view), status_code=202)

    return create


async def _fetch(call: Call) -> Response:
    if call.job is None or call.job.gone(call.sandbox.now()):
        return unknown_artwork()
    return JSONResponse(_artwork(call.view(call.job)))


def _whole(call: Call, name: str, default: int, low: int, high: int | None = None) -> int:
    """An integer of the query.

    :raises RefusedError: with 400 if it is not an integer within the bounds.
    """
    text = call.argument(name) or str(default)
    complaint = None
    if not text.removeprefix("-").isdecimal():
        complaint = f"{name} must be an integer number"
    elif int(text) < low:
        complaint = f"{name} must not be less than {low}"
    elif high is not None and int(text) > high:
        complaint = f"{name} must not be greater than {high}"
    if complaint is not None:
        raise RefusedError(error(400, [complaint]))
    return int(text)


async def _list(call: Call) -> Response:
    offset, limit = _whole(call, "offset", 0, 0), _whole(call, "limit", 10, 1, _MOST_LISTED)
    now = call.sandbox.now()
    jobs = [job for job in call.sandbox.entries if job.vendor == call.vendor.name and not job.gone(now)]
    # The order is not documented; the newest first is the likeliest.
    return JSONResponse([_artwork(View(job, now)) for job in jobs[::-1][offset : offset + limit]])


ENDPOINTS = [
    *(
        Endpoint(f"/v2/{family}/{path}", "POST", "create", _create(artwork_type, fields), kind=artwork_type)
        for family, requests in (("artworks", REQUESTS), ("style-dna", STYLE_DNA))
        for path, (artwork_type, fields) in requests.items()
    ),
    Endpoint("/v2/artworks/{artwork}", "GET", "fetch", _fetch, job="artwork"),
    Endpoint("/v2/artworks", "GET", "list", _list),
]
