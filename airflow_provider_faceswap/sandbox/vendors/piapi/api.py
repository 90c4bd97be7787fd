"""PiAPI's paths and responses."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse

from airflow_provider_faceswap.sandbox.output import MEDIA_TYPES, JobFailedError, Output
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError
from airflow_provider_faceswap.sandbox.server.inputs import UnreadableInputError, decoded
from airflow_provider_faceswap.sandbox.server.jobs import (
    CANCELED,
    DONE,
    FAILED,
    QUEUED,
    QUEUED_SHARE,
    RUNNING,
    TERMINAL,
    View,
)
from airflow_provider_faceswap.sandbox.server.json_response import JSONResponse
from airflow_provider_faceswap.sandbox.server.state import Upload
from airflow_provider_faceswap.sandbox.vendors.piapi.tasks import Task, TaskError, draw_task, load, read_task

if TYPE_CHECKING:
    from starlette.responses import Response

_LIFETIME = 3 * 24 * 3600.0
_UPLOAD_LIFETIME = 24 * 3600.0
_WORDS = {
    QUEUED: "pending",
    RUNNING: "processing",
    DONE: "completed",
    FAILED: "failed",
    CANCELED: "cancelled",
}
_ERROR_TEXTS = {401: "invalid api key", 402: "insufficient credits"}
_POINTS_PER_DOLLAR = 10_000_000
_NEVER = "0001-01-01T00:00:00Z"
_MOST_BODY = 14 * 1024 * 1024
_MOST_UPLOAD = 10 * 1024 * 1024
_MOST_NAME = 128
_MOST_PAGE = 100
_FAILED_CODE, _TOO_LARGE_CODE = 10000, 10003


def error(status: int, message: str | None = None) -> JSONResponse:
    """The unified envelope of an error; its code is the HTTP status."""
    text = message or _ERROR_TEXTS.get(status, f"request failed with status {status}")
    return JSONResponse({"code": status, "message": text, "data": None}, status_code=status)


def unknown_task() -> PlainTextResponse:
    """Plain text, as the vendor's own command line client has received it."""
    return PlainTextResponse("404 page not found", status_code=404)


def _success(data: dict[str, Any]) -> JSONResponse:
    return JSONResponse({"code": 200, "message": "success", "data": data})


def _stamp(seconds: float) -> str:
    """RFC 3339 with nine fractional digits, as a Go service writes it."""
    whole = int(seconds)
    nanos = int((seconds - whole) * 1e9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def _task(view: View) -> dict[str, Any]:
    """The task object. It has the input and the webhook secret in clear, as the real one has."""
    job, phase = view.job, view.phase
    task: Task = job.facts["task"]
    started = phase not in (QUEUED, CANCELED) and not job.born_failed
    ended = None if view.fresh or job.born_failed else job.finished_at(view.now)
    failure = view.failure or ""
    code = _TOO_LARGE_CODE if "too large" in failure else _FAILED_CODE
    return {
        "task_id": job.job_id,
        "model": task.model,
        "task_type": task.task_type,
        "status": view.status(_WORDS),
        "config": task.config,
        "input": None if job.born_failed else task.input,
        "output": _output(view) if phase == DONE and view.word is None else None,
        "meta": {
            "created_at": _stamp(job.created_at),
            "started_at": _stamp(job.created_at + QUEUED_SHARE * job.seconds) if started else _NEVER,
            "ended_at": _stamp(ended) if ended is not None else _NEVER,
            "usage": {
                "type": job.unit,
                "frozen": 0 if phase in TERMINAL else task.price,
                "consume": task.price if phase == DONE else 0,
            },
            "is_using_private_pool": False,
        },
        "detail": None,
        "logs": [] if phase == QUEUED else None,
        "error": {"code": code if failure else 0, "raw_message": failure, "message": failure, "detail": None},
    }


def _output(view: View) -> dict[str, Any]:
    urls = view.urls
    first = urls[0] if urls else ""
    if view.job.kind == "video_face_swap":
        return {"video_url": first}
    if view.job.facts["task"].urls_only:
        return {"image_urls": urls}
    output: dict[str, Any] = {"image_url": first, "image_base64": ""}
    if len(urls) > 1:
        output["image_urls"] = urls
    return output


async def _create(call: Call) -> Response:
    if len(call.body) > _MOST_BODY:
        raise RefusedError(error(413, "request entity too large"))
    try:
        task = read_task(call.json())
    except TaskError as refusal:
        raise RefusedError(error(400, str(refusal))) from refusal
    call.pay(task.price)
    failure, material = None, []
    if call.ordered_failure() is None:
        try:
            material = await run_in_threadpool(load, task, call.inputs)
        except JobFailedError as unreadable:
            failure = str(unreadable)
    view = call.accept(
        str(uuid.uuid4()),
        task.kind,
        task.price,
        lambda: draw_task(task, material),
        task.input,
        lifetime=_LIFETIME,
        failure=failure,
        born_failed=failure is not None,
        facts={"task": task},
    )
    return _success(_task(view))


def _created_kind(call: Call) -> str | None:
    try:
        return read_task(call.json()).kind
    except TaskError:
        return None


async def _fetch(call: Call) -> Response:
    return unknown_task() if call.job is None else _success(_task(call.view(call.job)))


async def _cancel(call: Call) -> Response:
    job, now = call.job, call.sandbox.now()
    if job is None:
        return unknown_task()
    if job.phase(now) != QUEUED:
        # Documented for other models: only a pending task can be cancelled.
        return error(400, f"task can not be cancelled while {_WORDS[job.phase(now)]}")
    job.canceled_at = now
    job.work.cancel()
    return JSONResponse({"code": 200, "message": "success"})


async def _account(call: Call) -> Response:
    points = call.sandbox.balance(call.vendor.unit)
    return _success(
        {
            "id": 1,
            "name": "sandbox",
            "plan": "creator",
            "type": "normal",
            "platform": "sandbox",
            "is_enable": True,
            "is_verified": True,
            "max_concurrent_task_count": 5,
            "equivalent_in_usd": round(points / _POINTS_PER_DOLLAR, 4),
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
        }
    )


def _whole(call: Call, name: str, default: int | None, low: int, high: int | None = None) -> int | None:
    """An integer of the query.

    :raises RefusedError: with 400 if it is not an integer within the bounds.
    """
    text = call.argument(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < low or (high is not None and int(text) > high):
        raise RefusedError(error(400, f"invalid {name}"))
    return int(text)


async def _history(call: Call) -> Response:
    page = _whole(call, "page", 1, 1) or 1
    size = _whole(call, "page_size", 10, 1, _MOST_PAGE) or 10
    start, end = _whole(call, "start_time", None, 0), _whole(call, "end_time", None, 0)
    model = call.argument("model")
    now = call.sandbox.now()
    jobs = [
        job
        for job in reversed(call.sandbox.entries)
        if job.vendor == call.vendor.name
        and (not model or job.facts["task"].family == model)
        and (start is None or job.created_at >= start)
        and (end is None or job.created_at <= end)
    ]
    rows = [
        {
            "id": number,
            "account_id": 1,
            "task_id": job.job_id,
            "task_model": job.facts["task"].family,
            "action": job.facts["task"].task_type,
            "status": _WORDS[job.phase(now)],
            "usage": 0 if job.refunded(now) else job.facts["task"].price,
            "usage_type": job.unit,
            "service_mode": "public",
            "detail": None,
            "created_at": _stamp(job.created_at),
        }
        for number, job in enumerate(jobs, start=1)
    ]
    shown = rows[(page - 1) * size : page * size]
    return _success({"page": page, "size": size, "total": len(rows), "data": shown})


async def _upload(call: Call) -> Response:
    body = call.fields()
    name, data = body.get("file_name"), body.get("file_data")
    suffix = PurePosixPath(name).suffix.lstrip(".").lower() if isinstance(name, str) else ""
    if not isinstance(name, str) or len(name) > _MOST_NAME or suffix not in MEDIA_TYPES:
        allowed = ", ".join(MEDIA_TYPES)
        raise RefusedError(
            error(400, f"file_name must have an extension ({allowed}), 128 characters at most")
        )
    if not isinstance(data, str) or not data:
        raise RefusedError(error(400, "file_data is required"))
    try:
        content = decoded(data)
    except UnreadableInputError as unreadable:
        raise RefusedError(error(400, "file_data is not base64")) from unreadable
    if len(content) > _MOST_UPLOAD:
        raise RefusedError(error(400, "file is larger than 10 MB"))
    number = str(uuid.uuid4())
    upload = Upload(Output(content, suffix), call.sandbox.now() + _UPLOAD_LIFETIME)
    call.sandbox.uploads[number] = upload
    return _success({"url": f"{call.base_url}/files/{number}-0.{suffix}?sig={upload.signature}"})


ENDPOINTS = [
    Endpoint("/api/v1/task", "POST", "create", _create, kind=_created_kind),
    Endpoint("/api/v1/task/{task}", "GET", "fetch", _fetch, job="task"),
    Endpoint("/api/v1/task/{task}", "DELETE", "cancel", _cancel, job="task"),
    Endpoint("/account/info", "GET", "account", _account),
    Endpoint("/api/open/tasks/histories", "GET", "list", _history),
    # The real upload has a host of its own.
    Endpoint("/api/ephemeral_resource", "POST", "upload", _upload),
]
