"""PiAPI's account, history and uploads."""

from __future__ import annotations

import uuid
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.sandbox.output import Output
from airflow_provider_faceswap.sandbox.server.exchange import Call, Endpoint, RefusedError
from airflow_provider_faceswap.sandbox.server.inputs import UnreadableInputError, decoded
from airflow_provider_faceswap.sandbox.server.jobs import DONE, View
from airflow_provider_faceswap.sandbox.server.state import Upload
from airflow_provider_faceswap.sandbox.vendors.piapi.api import WORDS, error, stamp, success

if TYPE_CHECKING:
    from starlette.responses import Response

    from airflow_provider_faceswap.sandbox.server.jobs import Job

_UPLOAD_LIFETIME = 24 * 3600.0
_POINTS_PER_DOLLAR = 10_000_000
_MOST_UPLOAD = 10 * 1024 * 1024
_MOST_NAME = 128
_MOST_PAGE = 100
#: Suffixes of the files that can be uploaded.
_SUFFIXES = ("png", "webp", "jpg", "jpeg", "mp4", "wav", "mp3")


async def _account(call: Call) -> Response:
    points = call.sandbox.balance(call.vendor.unit)
    return success(
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
            "created_at": stamp(0),
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


def _row(number: int, job: Job, now: float) -> dict[str, Any]:
    """One row of the history, whose words are not those of the task, as public clients have seen it."""
    phase, urls = job.phase(now), View(job, now).urls
    return {
        "id": number,
        "account_id": 1,
        "task_id": job.job_id,
        "task_model": job.facts["task"].family,
        "action": job.facts["task"].task_type,
        "status": "finished" if phase == DONE else WORDS[phase],
        "usage": 0 if job.refunded(now) else job.facts["task"].price,
        "usage_type": job.unit,
        "service_mode": "public",
        "detail": {"output": urls[0]} if urls else None,
        "created_at": int(job.created_at),
    }


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
    rows = [_row(number, job, now) for number, job in enumerate(jobs, start=1)]
    shown = rows[(page - 1) * size : page * size]
    return success({"page": page, "size": size, "total": len(rows), "data": shown})


async def _upload(call: Call) -> Response:
    body = call.fields()
    name, data = body.get("file_name"), body.get("file_data")
    suffix = PurePosixPath(name).suffix.lstrip(".").lower() if isinstance(name, str) else ""
    if not isinstance(name, str) or len(name) > _MOST_NAME or suffix not in _SUFFIXES:
        allowed = ", ".join(_SUFFIXES)
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
    return success({"url": f"{call.base_url}/files/{number}-0.{suffix}?sig={upload.signature}"})


ENDPOINTS = [
    Endpoint("/account/info", "GET", "account", _account),
    Endpoint("/api/open/tasks/histories", "GET", "list", _history),
    # The real upload has a host of its own.
    Endpoint("/api/ephemeral_resource", "POST", "upload", _upload),
]
