"""
The formats of PiAPI's replies.

Facts are from the vendor's pages (piapi.ai/docs), unless a comment names public clients.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import JobLostError
from airflow_provider_faceswap.jobs import Cost, JobState
from airflow_provider_faceswap.vendors.messages import (
    Reply,
    as_id,
    as_number,
    as_object,
    clean,
)
from airflow_provider_faceswap.vendors.piapi_tables import WORDS
from airflow_provider_faceswap.vendors.refusals import malformed, refusal
from airflow_provider_faceswap.vendors.words import texts_in

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
    # The vendor may describe the refused task, without an id.
    task = as_object(reply.fields.get("data"))
    status, text = status_of(reply), error_text(reply.fields, task) or clean(reply.text)
    if job_id is not None and status == 404:  # the body may be plain text
        return JobLostError(f"the task is unknown or expired: {text}", vendor="piapi", job_id=job_id)
    if status == reply.status_code and reply.ok:
        return malformed("piapi", reply, "the reply has no task", job_id=job_id)
    code = reply.fields.get("code")
    texts = [*error_texts(reply.fields, task), *texts_in(task.get("logs"))] or [text]
    if 400 <= status < 600:
        reply = Reply(status, reply.text, reply.headers)
    return refusal("piapi", reply, text, code=code, job_id=job_id, texts=texts, words=WORDS)


def error_texts(body: Mapping[str, Any], task: Mapping[str, Any]) -> list[str]:
    """The texts about a failure, besides the log, in the order in which public clients look for them."""
    error, outer = as_object(task.get("error")), body.get("error")
    if isinstance(task.get("error"), str):
        error = {"message": task["error"]}
    detail = error.get("detail")
    own = texts_in(
        error.get("message"),
        json.dumps(detail) if isinstance(detail, dict | list) and detail else detail,
        error.get("raw_message"),
    )
    if not own and error.get("code"):
        own = [f"error code {error['code']}"]
    message = body.get("message")
    return own + texts_in(
        "" if message == "success" else message,
        outer.get("message") if isinstance(outer, dict) else outer,
        task.get("fail_reason"),
    )


def error_text(body: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    """The text that tells most about the cause. The vendor may name it in the log only."""
    return clean(WORDS.most_telling(error_texts(body, task), texts_in(task.get("logs"))))


def read_cost(usage: object, state: JobState) -> Cost | None:
    """The points consumed; before that, the points frozen, which the vendor gives back if the task fails."""
    points = as_number(as_object(usage).get("consume")) or as_number(as_object(usage).get("frozen"))
    given_back = points is not None and state in {JobState.FAILED, JobState.CANCELED}
    return Cost(amount=points or 0.0, unit="point") if points or given_back else None
