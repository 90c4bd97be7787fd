"""Tengrai's manners and its artworks."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError, View
from airflow_provider_faceswap.sandbox.server.inputs import Inputs
from airflow_provider_faceswap.sandbox.server.state import (
    CANCELED,
    DONE,
    FAILED,
    QUEUED,
    RUNNING,
    TERMINAL,
    Job,
)
from airflow_provider_faceswap.sandbox.vendors import tengrai_artworks
from airflow_provider_faceswap.sandbox.vendors.tengrai_requests import REQUESTS, checked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response

UNIT = "credit"
PRICE = 1.0
LIFETIME = 8 * 24 * 3600.0
WORDS = {QUEUED: "starting", RUNNING: "processing", DONE: "succeeded", FAILED: "failed", CANCELED: "canceled"}
_MOST_LISTED = 500


def error_body(status: int, message: str | list[str]) -> JSONResponse:
    """Tengrai's error body; a validation error carries a list of texts, as NestJS sends it."""
    body: dict[str, Any] = {"message": message, "statusCode": status}
    if status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.INTERNAL_SERVER_ERROR):
        body["error"] = _phrase(status)
    return JSONResponse(body, status_code=status)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


class Tengrai:
    """Manners of Tengrai: a bearer key, NestJS error bodies."""

    name = "tengrai"

    def authorized(self, headers: Mapping[str, str], key: str) -> bool:
        """The key with the scheme word ``Bearer``."""
        return secrets.compare_digest(headers.get("authorization", "").encode(), f"Bearer {key}".encode())

    def unauthorized(self) -> Response:
        """401 without further detail."""
        return error_body(401, "Unauthorized")

    def trouble(self, status: int) -> Response:
        """The error body with this status."""
        return error_body(status, _phrase(status))

    def unknown_job(self) -> Response:
        """404, also what a job older than eight days gives."""
        return error_body(404, "Artwork not found")


def _create(path: str) -> Callable[[Call], Awaitable[Response]]:
    """The handler of one create path."""
    artwork_type, fields = REQUESTS[path]

    async def create(call: Call) -> Response:
        parameters, complaints = checked(call.json(), fields)
        if complaints:
            raise RefusedError(error_body(400, complaints))
        if not call.sandbox.can_pay(UNIT, PRICE):
            raise RefusedError(error_body(402, "Not enough credits"))
        inputs = Inputs(call.sandbox, call.base_url)
        job = call.sandbox.accept(
            str(uuid.uuid4()),
            Tengrai.name,
            artwork_type,
            amount=PRICE,
            unit=UNIT,
            paint=lambda: tengrai_artworks.paint(artwork_type, parameters, inputs),
            request=parameters,
            base_url=call.base_url,
            lifetime=LIFETIME,
            failure=call.planted_failure(),
        )
        return JSONResponse(_artwork(job, View(job.created_at)) | {"status": "starting"}, status_code=202)

    return create


def _artwork(job: Job, view: View) -> dict[str, Any]:
    """The artwork object; no field of it can tell why a job failed."""
    phase = view.phase(job)
    ended = job.finished_at(view.now)
    created = datetime.fromtimestamp(job.created_at, UTC)
    return {
        "id": job.id,
        "artworkType": job.kind,
        "parameters": job.request,
        "duration": round(ended - job.created_at, 3) if ended is not None and phase in TERMINAL else 0,
        "results": view.urls(job),
        "status": view.word or WORDS[phase],
        "createdAt": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _wanted(call: Call) -> Job | None:
    job = call.sandbox.find(Tengrai.name, call.request.path_params["artwork"])
    return None if job is None or job.gone(call.sandbox.now()) else job


def _kind(call: Call) -> str | None:
    job = _wanted(call)
    return None if job is None else job.kind


async def _fetch(call: Call) -> Response:
    job = _wanted(call)
    if job is None:
        return error_body(404, "Artwork not found")
    return JSONResponse(_artwork(job, View.of(call)))


def _bounded(call: Call, name: str, default: int, low: int, high: int | None) -> tuple[int, list[str]]:
    """An integer of the query, and complaints about it."""
    text = call.request.query_params.get(name)
    if text is None:
        return default, []
    try:
        number = int(text)
    except ValueError:
        return default, [f"{name} must be an integer number"]
    if number < low:
        return default, [f"{name} must not be less than {low}"]
    if high is not None and number > high:
        return default, [f"{name} must not be greater than {high}"]
    return number, []


async def _listed(call: Call) -> Response:
    offset, complaints = _bounded(call, "offset", 0, 0, None)
    limit, more = _bounded(call, "limit", 10, 1, _MOST_LISTED)
    if complaints or more:
        raise RefusedError(error_body(400, complaints + more))
    now = call.sandbox.now()
    jobs = [job for job in call.sandbox.jobs.values() if job.vendor == Tengrai.name and not job.gone(now)]
    # The order is not documented; the newest first is the likeliest.
    newest = jobs[::-1][offset : offset + limit]
    return JSONResponse([_artwork(job, View(now)) for job in newest])


def endpoints() -> list[Endpoint]:
    """The paths of this file."""
    creates = [
        Endpoint(f"/v2/artworks/{path}", "POST", "create", _create(path), lambda _, kind=kind: kind)  # type: ignore[misc]
        for path, (kind, _) in REQUESTS.items()
    ]
    return [
        *creates,
        Endpoint("/v2/artworks/{artwork}", "GET", "fetch", _fetch, _kind),
        Endpoint("/v2/artworks", "GET", "list", _listed),
    ]
