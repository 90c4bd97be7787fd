"""PiAPI's tasks: their paths and responses."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse

from airflow_provider_faceswap.sandbox.output import JobFailedError
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError
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
from airflow_provider_faceswap.sandbox.server.webhooks import Webhook
from airflow_provider_faceswap.sandbox.vendors.piapi.tasks import (
    Task,
    TaskError,
    check_suffixes,
    draw_task,
    load,
    read_task,
)

if TYPE_CHECKING:
    from starlette.responses import Response

_LIFETIME = 3 * 24 * 3600.0
WORDS = {
    QUEUED: "pending",
    RUNNING: "processing",
    DONE: "completed",
    FAILED: "failed",
    CANCELED: "cancelled",
}
#: Its words, as public clients have seen them with several HTTP statuses.
TEXTS = {"busy": "active task count 5 has reached the plan limit", "no_credits": "insufficient credits"}
_ERROR_TEXTS = {401: "invalid api key", 402: TEXTS["no_credits"]}
_NEVER = "0001-01-01T00:00:00Z"
_MOST_BODY = 14 * 1024 * 1024
_FAILED_CODE, _TOO_LARGE_CODE = 10000, 10003
_NO_ERROR = {"code": 0, "raw_message": "", "message": "", "detail": None}
#: Documented: at most three attempts, five seconds apart.
_WEBHOOK_ATTEMPTS, _WEBHOOK_PAUSE = 3, 5.0


def error(status: int, message: str | None = None) -> JSONResponse:
    """The unified envelope of an error; its code is the HTTP status."""
    text = message or _ERROR_TEXTS.get(status, f"request failed with status {status}")
    return JSONResponse({"code": status, "message": text, "data": None}, status_code=status)


def hidden_error(status: int, cause: str, place: str) -> JSONResponse:
    """A refusal that tells its cause only inside the task that was not made, as public clients have seen it."""
    failed = {"task_id": "", "status": "failed", **_failure(cause, place)}
    return JSONResponse({"code": status, "message": "failed", "data": failed}, status_code=status)


def _failure(cause: str, place: str | None, code: int = _FAILED_CODE) -> dict[str, Any]:
    """``error`` and ``logs`` of a task that has failed.

    :param place: the only place of the cause, ``raw_message`` or ``logs``; by default it is in both texts of ``error``.
    """
    general = {None: cause, "raw_message": "task failed", "logs": "Internal error. Please try again later."}
    return {
        "logs": ["attempt 1", cause, "attempt 1 failed"] if place == "logs" else None,
        "error": {
            "code": code,
            "raw_message": "" if place == "logs" else cause,
            "message": general[place],
            "detail": None,
        },
    }


def unknown_task() -> PlainTextResponse:
    """Plain text, as the vendor's own command line client has received it."""
    return PlainTextResponse("404 page not found", status_code=404)


def success(data: dict[str, Any]) -> JSONResponse:
    """The unified envelope of everything else."""
    return JSONResponse({"code": 200, "message": "success", "data": data})


def stamp(seconds: float) -> str:
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
    failure = view.failure
    told: dict[str, Any] = {"logs": [] if phase == QUEUED else None, "error": _NO_ERROR}
    if failure:
        code = _TOO_LARGE_CODE if "too large" in failure else _FAILED_CODE
        told = _failure(failure, view.place, code)
    return {
        "task_id": job.job_id,
        "model": task.model,
        "task_type": task.task_type,
        "status": view.status(WORDS),
        "config": task.config,
        "input": None if job.born_failed else task.input,
        "output": _output(view),
        "meta": {
            "created_at": stamp(job.created_at),
            "started_at": stamp(job.created_at + QUEUED_SHARE * job.seconds) if started else _NEVER,
            "ended_at": stamp(ended) if ended is not None else _NEVER,
            "usage": {
                "type": job.unit,
                "frozen": 0 if phase in TERMINAL else task.price,
                "consume": task.price if phase == DONE else 0,
            },
            "is_using_private_pool": False,
        },
        "detail": None,
        **told,
    }


def _output(view: View) -> dict[str, Any] | None:
    """The output: some models show an empty one before the end."""
    urls = view.urls
    task: Task = view.job.facts["task"]
    if view.phase != DONE or view.word is not None:
        waiting = task.work.waiting if task.work is not None and view.phase in (QUEUED, RUNNING) else None
        if waiting is not None and "progress" in waiting:
            waiting = {**waiting, "progress": view.percent}
        return waiting
    if task.work is not None:
        return task.work.output(urls)
    first = urls[0] if urls else ""
    if view.job.kind == "video_face_swap":
        return {"video_url": first}
    if task.urls_only:
        return {"image_urls": urls}
    output: dict[str, Any] = {"image_url": first, "image_base64": ""}
    if len(urls) > 1:
        output["image_urls"] = urls
    return output


def _webhook(task: Task) -> Webhook:
    """The task as a read shows it, without the envelope; the secret only as a header, and only if there is one."""
    config = task.config["webhook_config"]
    return Webhook(
        config["endpoint"],
        lambda view: {"timestamp": int(view.now), "data": _task(view)},
        {"x-webhook-secret": config["secret"]} if config["secret"] else {},
        _WEBHOOK_ATTEMPTS,
        _WEBHOOK_PAUSE,
        # Documented for Midjourney and for Luma.
        WORDS[RUNNING] if task.model == "midjourney" else None,
    )


async def _create(call: Call) -> Response:
    if len(call.body) > _MOST_BODY:
        raise RefusedError(error(413, "request entity too large"))
    try:
        task = read_task(call.json())
    except TaskError as refusal:
        raise call.refusal(400, str(refusal)) from refusal
    call.pay(task.price)
    failure, material = None, []
    if call.ordered_failure() is None:
        try:
            if call.manner("strict_links") is not None:
                check_suffixes(task)
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
        webhook=_webhook(task),
    )
    return success(_task(view))


def _created_kind(call: Call) -> str | None:
    try:
        return read_task(call.json()).kind
    except TaskError:
        return None


async def _fetch(call: Call) -> Response:
    return unknown_task() if call.job is None else success(_task(call.view(call.job)))


async def _cancel(call: Call) -> Response:
    job, now = call.job, call.sandbox.now()
    if job is None:
        return unknown_task()
    if job.phase(now) != QUEUED:
        # Documented for other models: only a pending task can be cancelled.
        return error(400, f"task can not be cancelled while {WORDS[job.phase(now)]}")
    job.canceled_at = now
    job.work.cancel()
    return JSONResponse({"code": 200, "message": "success"})


ENDPOINTS = [
    Endpoint("/api/v1/task", "POST", "create", _create, kind=_created_kind),
    Endpoint("/api/v1/task/{task}", "GET", "fetch", _fetch, job="task"),
    Endpoint("/api/v1/task/{task}", "DELETE", "cancel", _cancel, job="task"),
]
