"""
The formats of PiAPI's replies.

Facts are from the vendor's pages (piapi.ai/docs), unless a comment names public clients.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import JobLostError, RateLimitError
from airflow_provider_faceswap.jobs import Cost, JobState
from airflow_provider_faceswap.vendors.messages import (
    Reply,
    as_id,
    as_number,
    as_object,
    clean,
    links_in,
)
from airflow_provider_faceswap.vendors.refusals import malformed, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The whole reply about an unknown task, as public clients have seen it.
_UNKNOWN = "404 page not found"


def status_of(reply: Reply) -> int:
    """The real status: a reply with HTTP 200 may carry an error status in its ``code`` field."""
    code = as_number(reply.fields.get("code"))
    return int(code) if reply.ok and code is not None and code >= 400 else reply.status_code


def is_own_reply(reply: Reply) -> bool:
    """The envelope, with a numeric ``code``, or the plain text that public clients get for an unknown task."""
    if reply.status_code == 404 and reply.text.strip() == _UNKNOWN:
        return True
    fields = reply.fields
    return as_number(fields.get("code")) is not None and not fields.keys().isdisjoint({"message", "data"})


def task_in(reply: Reply) -> dict[str, Any]:
    """The task: ``data`` of the envelope, or the whole reply of newer endpoints, which have no envelope."""
    data = as_object(reply.fields.get("data"))
    return data if as_id(data.get("task_id")) else reply.fields


def data_in(reply: Reply) -> dict[str, Any]:
    """
    The ``data`` of a reply that is not about a task.

    :raises VendorError: There is none, or status or code say that the request was refused.
    """
    data = reply.fields.get("data")
    if not reply.ok or status_of(reply) >= 400 or not isinstance(data, dict):
        refused = no_task(reply, None)
        raise refused
    return data


def no_task(reply: Reply, job_id: str | None) -> Exception:
    """The error for a reply without a task."""
    status, text = status_of(reply), error_text(reply.fields, {}) or clean(reply.text)
    if job_id is not None and status == 404:  # the body may be plain text
        return JobLostError(f"the task is unknown or expired: {text}", vendor="piapi", job_id=job_id)
    if status == reply.status_code and reply.ok:
        return malformed("piapi", reply, "the reply has no task", job_id=job_id)
    if (
        status == 400 and "concurren" in text.casefold()
    ):  # seen in public clients: a limit, not a wrong argument
        return RateLimitError(text, vendor="piapi", status_code=status, retry_after=reply.retry_after)
    code = reply.fields.get("code")
    if 400 <= status < 600:
        reply = Reply(status, reply.text, reply.headers)
    return refusal("piapi", reply, text, code=code, job_id=job_id)


def error_text(body: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    """The failure text, in the order in which public clients look for it."""
    error = as_object(task.get("error"))
    outer = body.get("error")
    detail = error.get("detail")
    candidates = (
        error.get("message"),
        detail if isinstance(detail, str) else json.dumps(detail) if detail else "",
        error.get("raw_message"),
        f"error code {error['code']}" if error.get("code") else "",
        message if (message := body.get("message")) != "success" else "",
        outer.get("message") if isinstance(outer, dict) else outer,
        task.get("fail_reason"),
    )
    return clean(next((text for text in candidates if text), ""))


def read_output(output: object) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    """The links in an output, else its inline pictures; pages and public clients name all these places."""
    if not isinstance(output, dict):
        return links_in(output), ()
    several = links_in(output.get("image_urls"), output.get("images"), output.get("temporary_image_urls"))
    first = links_in(*(output.get(key) for key in ("video_url", "video", "image_url")))
    links = links_in(list(first), list(several)) or links_in(
        *(output.get(key) for key in ("image", "output_url", "url", "result"))
    )
    if links:
        return links, ()
    encoded = [output.get("image_base64")]
    data = output.get("data")
    encoded += [as_object(item).get("b64_json") for item in data] if isinstance(data, list) else []
    return (), tuple(picture for text in encoded if (picture := _decoded(text)))


def _decoded(text: object) -> bytes:
    """The bytes of a base64 text or data URI; empty if it is neither."""
    if not isinstance(text, str) or not text:
        return b""
    try:
        return base64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except ValueError:
        return b""


def read_cost(usage: object, state: JobState) -> Cost | None:
    """The points consumed; before that, the points frozen, which the vendor gives back if the task fails."""
    points = as_number(as_object(usage).get("consume")) or as_number(as_object(usage).get("frozen"))
    given_back = points is not None and state in {JobState.FAILED, JobState.CANCELED}
    return Cost(amount=points or 0.0, unit="point") if points or given_back else None
