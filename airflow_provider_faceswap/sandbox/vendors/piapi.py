"""PiAPI's manners: the envelope, tasks, account, history and uploads."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse

from airflow_provider_faceswap.sandbox.output import MEDIA_TYPES, JobFailedError, Output
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError, View
from airflow_provider_faceswap.sandbox.server.inputs import Inputs, UnreadableInputError, decoded
from airflow_provider_faceswap.sandbox.server.state import (
    CANCELED,
    DONE,
    FAILED,
    QUEUED,
    QUEUED_SHARE,
    RUNNING,
    TERMINAL,
    Job,
    Upload,
)
from airflow_provider_faceswap.sandbox.vendors.piapi_tasks import Task, TaskError, load, paint, read_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

UNIT = "point"
LIFETIME = 3 * 24 * 3600.0
UPLOAD_LIFETIME = 24 * 3600.0
WORDS = {
    QUEUED: "pending",
    RUNNING: "processing",
    DONE: "completed",
    FAILED: "failed",
    CANCELED: "cancelled",
}
POINTS_PER_DOLLAR = 10_000_000
_NEVER = "0001-01-01T00:00:00Z"
_MOST_BODY = 14 * 1024 * 1024
_MOST_UPLOAD = 10 * 1024 * 1024
_MOST_NAME = 128
_MOST_PAGE = 100
_FAILED_CODE, _TOO_LARGE_CODE = 10000, 10003


def envelope(code: int, message: str, data: object = None) -> JSONResponse:
    """The unified envelope; an error's code is its HTTP status."""
    return JSONResponse({"code": code, "message": message, "data": data}, status_code=code)


class PiAPI:
    """Manners of PiAPI: the key in ``x-api-key``, everything in an envelope."""

    name = "piapi"

    def authorized(self, headers: Mapping[str, str], key: str) -> bool:
        """The raw key in its own header."""
        return secrets.compare_digest(headers.get("x-api-key", "").encode(), key.encode())

    def unauthorized(self) -> Response:
        """401 in the envelope."""
        return envelope(401, "invalid api key")

    def trouble(self, status: int) -> Response:
        """The envelope with this status."""
        return envelope(status, f"request failed with status {status}")

    def unknown_job(self) -> Response:
        """Plain text, as the vendor's own command line client has met it."""
        return PlainTextResponse("404 page not found", status_code=404)


def _stamp(seconds: float) -> str:
    """RFC 3339 with nine fractional digits, as a Go service writes it."""
    whole = int(seconds)
    nanos = int((seconds - whole) * 1e9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def _task(job: Job, view: View) -> dict[str, Any]:
    """The task object, with the input and the webhook secret in clear as the real one has them."""
    phase = view.phase(job)
    task: Task = job.facts["task"]
    started = phase != QUEUED and not job.born_failed and phase != CANCELED
    ended = job.finished_at(view.now)
    failure = job.failure_text() or "" if phase == FAILED else ""
    code = _TOO_LARGE_CODE if "too large" in failure else _FAILED_CODE
    return {
        "task_id": job.id,
        "model": task.model,
        "task_type": task.task_type,
        "status": view.word or WORDS[phase],
        "config": task.config,
        "input": None if job.born_failed else task.input,
        "output": _output(job, view) if phase == DONE and view.word is None else None,
        "meta": {
            "created_at": _stamp(job.created_at),
            "started_at": _stamp(job.created_at + QUEUED_SHARE * job.seconds) if started else _NEVER,
            "ended_at": _stamp(ended) if ended is not None and not job.born_failed else _NEVER,
            "usage": {
                "type": UNIT,
                "frozen": 0 if phase in TERMINAL else task.price,
                "consume": task.price if phase == DONE else 0,
            },
            "is_using_private_pool": False,
        },
        "detail": None,
        "logs": [] if phase == QUEUED else None,
        "error": {"code": code if failure else 0, "raw_message": failure, "message": failure, "detail": None},
    }


def _output(job: Job, view: View) -> dict[str, Any]:
    urls = view.urls(job)
    first = urls[0] if urls else ""
    if job.kind == "video_face_swap":
        return {"video_url": first}
    if job.facts["task"].urls_only:
        return {"image_urls": urls}
    output: dict[str, Any] = {"image_url": first, "image_base64": ""}
    if len(urls) > 1:
        output["image_urls"] = urls
    return output


async def _create(call: Call) -> Response:
    if len(call.body) > _MOST_BODY:
        raise RefusedError(envelope(413, "request entity too large"))
    try:
        task = read_task(call.json())
    except TaskError as error:
        raise RefusedError(envelope(400, str(error))) from error
    if not call.sandbox.can_pay(UNIT, task.price):
        raise RefusedError(envelope(402, "insufficient credits"))
    inputs = Inputs(call.sandbox, call.base_url)
    failure, born_failed, material = call.planted_failure(), False, []
    if failure is None:
        try:
            material = await run_in_threadpool(load, task, inputs)
        except JobFailedError as error:
            failure, born_failed = str(error), True
    job = call.sandbox.accept(
        str(uuid.uuid4()),
        PiAPI.name,
        task.kind,
        amount=task.price,
        unit=UNIT,
        paint=lambda: paint(task, material),
        request=task.input,
        base_url=call.base_url,
        lifetime=LIFETIME,
        failure=failure,
        born_failed=born_failed,
        facts={"task": task},
    )
    shown = _task(job, View(job.created_at))
    return envelope(200, "success", shown if born_failed else shown | {"status": "pending"})


def _wanted(call: Call) -> Job | None:
    return call.sandbox.find(PiAPI.name, call.request.path_params["task"])


def _kind(call: Call) -> str | None:
    job = _wanted(call)
    return None if job is None else job.kind


def _created_kind(call: Call) -> str | None:
    try:
        return read_task(call.json()).kind
    except TaskError:
        return None


async def _fetch(call: Call) -> Response:
    job = _wanted(call)
    if job is None:
        return PlainTextResponse("404 page not found", status_code=404)
    return envelope(200, "success", _task(job, View.of(call)))


async def _cancel(call: Call) -> Response:
    job = _wanted(call)
    if job is None:
        return PlainTextResponse("404 page not found", status_code=404)
    now = call.sandbox.now()
    if job.phase(now) != QUEUED:
        # Documented for other models: only a pending task can be cancelled.
        return envelope(400, f"task can not be cancelled while {WORDS[job.phase(now)]}")
    job.canceled_at = now
    job.work.cancel()
    return JSONResponse({"code": 200, "message": "success"})


async def _account(call: Call) -> Response:
    points = call.sandbox.balance(UNIT)
    return envelope(
        200,
        "success",
        {
            "id": 1,
            "name": "sandbox",
            "plan": "creator",
            "type": "normal",
            "platform": "sandbox",
            "is_enable": True,
            "is_verified": True,
            "max_concurrent_task_count": 5,
            "equivalent_in_usd": round(points / POINTS_PER_DOLLAR, 4),
            "wallet": {"point_remain": points},
            "credit_pack_info": {
                "available_credits": 0,
                "used_credits": 0,
                "total_credits": 0,
                "frozen_credits": 0,
                "expired_credits": 0,
                "inactive_credits": 0,
            },
            "notification_hook_url": "",
            "private_pool_size": 0,
            "created_at": _stamp(0),
        },
    )


def _whole(call: Call, name: str, default: int | None, low: int, high: int | None = None) -> int | None:
    text = call.request.query_params.get(name)
    if text is None or text == "":
        return default
    if not text.isdecimal() or int(text) < low or (high is not None and int(text) > high):
        raise RefusedError(envelope(400, f"invalid {name}"))
    return int(text)


async def _history(call: Call) -> Response:
    page = _whole(call, "page", 1, 1) or 1
    size = _whole(call, "page_size", 10, 1, _MOST_PAGE) or 10
    start, end = _whole(call, "start_time", None, 0), _whole(call, "end_time", None, 0)
    model = call.request.query_params.get("model")
    now = call.sandbox.now()
    jobs = [
        job
        for job in reversed(call.sandbox.jobs.values())
        if job.vendor == PiAPI.name
        and (not model or job.facts["task"].family == model)
        and (start is None or job.created_at >= start)
        and (end is None or job.created_at <= end)
    ]
    rows = [
        {
            "id": number,
            "account_id": 1,
            "task_id": job.id,
            "task_model": job.facts["task"].family,
            "action": job.facts["task"].task_type,
            "status": WORDS[job.phase(now)],
            "usage": 0 if job.phase(now) in (FAILED, CANCELED) else job.facts["task"].price,
            "usage_type": UNIT,
            "service_mode": "public",
            "detail": None,
            "created_at": _stamp(job.created_at),
        }
        for number, job in enumerate(jobs, start=1)
    ]
    shown = rows[(page - 1) * size : page * size]
    return envelope(200, "success", {"page": page, "size": size, "total": len(rows), "data": shown})


async def _upload(call: Call) -> Response:
    body = call.fields()
    name, data = body.get("file_name"), body.get("file_data")
    suffix = PurePosixPath(name).suffix.lstrip(".").lower() if isinstance(name, str) else ""
    if not isinstance(name, str) or len(name) > _MOST_NAME or suffix not in MEDIA_TYPES:
        allowed = ", ".join(MEDIA_TYPES)
        raise RefusedError(
            envelope(400, f"file_name must have an extension ({allowed}), 128 characters at most")
        )
    if not isinstance(data, str) or not data:
        raise RefusedError(envelope(400, "file_data is required"))
    try:
        content = decoded(data)
    except UnreadableInputError as error:
        raise RefusedError(envelope(400, "file_data is not base64")) from error
    if len(content) > _MOST_UPLOAD:
        raise RefusedError(envelope(400, "file is larger than 10 MB"))
    number = str(uuid.uuid4())
    upload = Upload(Output(content, suffix), secrets.token_urlsafe(18), call.sandbox.now() + UPLOAD_LIFETIME)
    call.sandbox.uploads[number] = upload
    return envelope(
        200, "success", {"url": f"{call.base_url}/files/{number}-0.{suffix}?sig={upload.signature}"}
    )


def endpoints() -> list[Endpoint]:
    """The paths of this file; in life the upload has a host of its own."""
    return [
        Endpoint("/api/v1/task", "POST", "create", _create, _created_kind),
        Endpoint("/api/v1/task/{task}", "GET", "fetch", _fetch, _kind),
        Endpoint("/api/v1/task/{task}", "DELETE", "cancel", _cancel, _kind),
        Endpoint("/account/info", "GET", "account", _account),
        Endpoint("/api/open/tasks/histories", "GET", "list", _history),
        Endpoint("/api/ephemeral_resource", "POST", "upload", _upload),
    ]
