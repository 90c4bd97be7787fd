"""A receiver of webhooks: each becomes an event of an Airflow asset, and the event starts a run."""

from __future__ import annotations

import hmac
import json
import os
from typing import TYPE_CHECKING, Any

import httpx
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

#: Root URL of Airflow's API server, and an account that may create asset events and nothing else.
AIRFLOW_URL = os.environ["AIRFLOW_URL"]
ACCOUNT = {"username": os.environ["AIRFLOW_USERNAME"], "password": os.environ["AIRFLOW_PASSWORD"]}
#: The asset that the Dag is scheduled on.
ASSET = "faceswap-finished-jobs"
#: Part of every address, because most vendors sign nothing. A good one: ``openssl rand -hex 32``.
TOKEN = os.environ["WEBHOOK_TOKEN"]
#: The webhook secret of the PiAPI connection, which PiAPI sends back in a header.
PIAPI_SECRET = os.environ["PIAPI_WEBHOOK_SECRET"]
#: The vendors' words for a job that has not ended. A word that is unknown here wakes a run, which polls.
NOT_ENDED = {"idle", "starting", "pending", "staged", "running", "processing"}
#: Bytes of a body. A webhook has a few thousand.
MOST_BYTES = 1_000_000


def same(given: str, expected: str) -> bool:
    """Compare in constant time, so that the time of the response does not give the secret away."""
    return hmac.compare_digest(given.encode(), expected.encode())


async def body_of(request: Request) -> dict[str, Any] | None:
    """Read the body: an empty dict if it is not a JSON object, ``None`` if it is too large."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MOST_BYTES:
            return None
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


async def wake(job_id: str) -> None:
    """Create an asset event with this job id."""
    async with httpx.AsyncClient(base_url=AIRFLOW_URL, timeout=4) as airflow:
        login = await airflow.post("/auth/token", json=ACCOUNT)
        airflow.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"
        found = await airflow.get("/api/v2/assets", params={"name_pattern": ASSET})
        assets = {asset["name"]: asset["id"] for asset in found.raise_for_status().json()["assets"]}
        event = {"asset_id": assets[ASSET], "extra": {"job_id": job_id}}
        (await airflow.post("/api/v2/assets/events", json=event)).raise_for_status()


async def receive(request: Request) -> Response:
    """Answer 204 if Airflow has the event, or if there is nothing to do."""
    vendor, token = request.path_params["vendor"], request.path_params["token"]
    if not same(token, TOKEN):
        return Response(status_code=404)
    if vendor == "piapi" and not same(request.headers.get("x-webhook-secret", ""), PIAPI_SECRET):
        return Response(status_code=401)
    body = await body_of(request)
    if body is None:
        return Response(status_code=413)
    job = body["data"] if isinstance(body.get("data"), dict) else body  # PiAPI wraps it
    job_id = job.get("task_id") or job.get("id")
    if not isinstance(job_id, str) or str(job.get("status")).lower() in NOT_ENDED:
        return Response(status_code=204)
    try:
        await wake(job_id)
    except (httpx.HTTPError, KeyError, ValueError):
        return Response(status_code=503)  # PiAPI sends it again; otherwise the hourly run collects the job
    return Response(status_code=204)


app = Starlette(routes=[Route("/{vendor}/{token}", receive, methods=["POST"])])
