"""
What PiAPI offers besides jobs: a history, uploads, balances, a concurrency limit, and cancellation.

Facts are from the vendor's pages (piapi.ai/docs), unless a comment says "assumed" or names public clients.
"""

from __future__ import annotations

import base64
from math import ceil
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.jobs import Balance, Cost
from airflow_provider_faceswap.vendors.capabilities import (
    Balances,
    Cancellation,
    ConcurrencyLimit,
    History,
    Uploads,
)
from airflow_provider_faceswap.vendors.history import ListedJob, Listing, same_request
from airflow_provider_faceswap.vendors.messages import (
    Request,
    as_datetime,
    as_id,
    as_number,
    as_object,
    as_unix_time,
    as_word,
    links_in,
    path_segment,
)
from airflow_provider_faceswap.vendors.piapi_arguments import MAX_BYTES
from airflow_provider_faceswap.vendors.piapi_replies import (
    data_in,
    no_task,
    task_in,
)
from airflow_provider_faceswap.vendors.refusals import malformed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_faceswap.vendors.messages import Reply

#: Tasks on one page of the history: the vendor's maximum.
_PAGE = 100
#: Files are stored on another host than jobs.
_UPLOADS_URL = "https://upload.theapi.app"


def _history_request(since: datetime, until: datetime, page: int) -> Request:
    window = {"start_time": str(int(since.timestamp())), "end_time": str(ceil(until.timestamp()))}
    return Request(
        "GET",
        "/api/open/tasks/histories",
        params={"page": str(page + 1), "page_size": str(_PAGE), **window},
    )


def _rows(reply: Reply) -> list[Mapping[str, Any]]:
    """
    The rows of a page.

    :raises VendorError: The reply has none.
    """
    rows = data_in(reply).get("data")
    if not isinstance(rows, list):
        raise malformed("piapi", reply, "the reply has no list of tasks")
    return [as_object(row) for row in rows]


def _read_jobs(reply: Reply) -> tuple[list[ListedJob], bool]:
    """
    The tasks with what they cost, which the page names ``usage`` and ``usage_type``.

    ``created_at`` is assumed to be Unix seconds, as in the request, or ISO 8601, as in a task.
    """
    rows = _rows(reply)
    return [_listed(row) for row in rows if as_id(row.get("task_id"))], len(rows) >= _PAGE


def _listed(row: Mapping[str, Any]) -> ListedJob:
    amount, unit = as_number(row.get("usage")), as_word(row.get("usage_type") or "")
    created = row.get("created_at")
    return ListedJob(
        as_id(row.get("task_id")),
        as_word(row.get("action") or ""),
        as_word(row.get("status") or ""),
        as_datetime(created) or as_unix_time(created),
        Cost(amount=amount, unit=unit) if amount is not None and unit else None,
    )


def _read_history(
    kind: str,  # noqa: ARG001 - one format for all kinds
    request: Request,
    reply: Reply,
    since: datetime,  # noqa: ARG001 - the request filters by time
    until: datetime,  # noqa: ARG001
) -> Listing:
    """The tasks of this type. A row does not show the task's input, so each task must be read, too."""
    rows = _rows(reply)
    sent = request.body or {}
    matching = (
        job_id
        for row in rows
        if (job_id := as_id(row.get("task_id")))
        # A public client has seen that the action of a row is the task type.
        and _same_name(row.get("action"), sent.get("task_type"))
    )
    return Listing(tuple(matching), more=len(rows) >= _PAGE)


def _same_name(shown: object, sent: object) -> bool:
    """Whether two names of a model or a task type are the same: a list has ``image_toolkit`` for ``Qubico/image-toolkit``."""
    names = [str(name or "").strip().casefold().replace("_", "-") for name in (shown, sent)]
    return bool(names[0]) and (
        names[0] == names[1] or names[0].rpartition("/")[2] == names[1].rpartition("/")[2]
    )


def _matches(kind: str, request: Request, reply: Reply) -> bool:  # noqa: ARG001 - one format for all kinds
    """Compare the request with the input echoed in the task. The vendor blanks it after an undocumented time."""
    task, sent = as_object(reply.fields.get("data")), request.body or {}
    return all(
        _same_name(task.get(name), sent.get(name)) for name in ("model", "task_type")
    ) and same_request(as_object(sent.get("input")), task.get("input"), {})


def _upload_request(name: str, data: bytes) -> Request:
    """The file is kept for 24 hours. The Creator plan and higher plans include this."""
    file = {"file_name": name, "file_data": base64.b64encode(data).decode()}
    return Request("POST", "/api/ephemeral_resource", body=file, base_url=_UPLOADS_URL)


def _read_upload(reply: Reply) -> str:
    """The link in ``data``, or at the top level, as seen in public clients."""
    links = links_in(reply.fields.get("data"), reply.fields)
    if not reply.ok or not links:
        refused = no_task(reply, None)
        raise refused
    return links[0]


def _cancel_request(kind: str, job_id: str) -> Request:  # noqa: ARG001 - one endpoint for all kinds
    """Documented for other models, and only for pending tasks: best-effort."""
    return Request("DELETE", f"/api/v1/task/{path_segment(job_id)}")


def _is_cancelled(job_id: str, reply: Reply) -> bool:
    """
    The envelope of a success that names no other task.

    An unconfirmed cancel is harmless: the next attempt sees the task's state. A wrong confirmation submits a new job.
    """
    if not reply.ok or as_number(reply.fields.get("code")) != 200:
        return False
    return as_id(task_in(reply).get("task_id")) in {"", job_id}


def _amounts(data: Mapping[str, Any]) -> dict[str, float | None]:
    """
    The balances by their units.

    The page has the dollars at the top level, and a public client has seen them in ``quota``. They are not computed from
    credits or points, whose worth no page states; that client counts 500 credits as one dollar.
    """
    dollars = as_number(data.get("equivalent_in_usd"))
    if dollars is None:
        dollars = as_number(as_object(data.get("quota")).get("equivalent_in_usd"))
    return {
        "USD": dollars,
        "point": as_number(as_object(data.get("wallet")).get("point_remain")),
        "credit": as_number(as_object(data.get("credit_pack_info")).get("available_credits")),
    }


def _read_balances(reply: Reply) -> tuple[Balance, ...]:
    """The worth of the account in dollars, then its points and credits. Jobs are charged in points."""
    amounts = _amounts(data_in(reply))
    balances = tuple(
        Balance(amount=amount, unit=unit) for unit, amount in amounts.items() if amount is not None
    )
    if not balances:
        raise malformed("piapi", reply, "the reply has no balance")
    return balances


def _read_limit(reply: Reply) -> int | None:
    limit = as_number(as_object(reply.fields.get("data")).get("max_concurrent_task_count"))
    return int(limit) if limit and limit >= 1 else None


HISTORY = History(_history_request, _read_history, _matches, _read_jobs)
UPLOADS = Uploads(_upload_request, _read_upload, MAX_BYTES)
BALANCES = Balances(_read_balances, unit="USD")
CONCURRENCY_LIMIT = ConcurrencyLimit(_read_limit)
CANCELLATION = Cancellation(_cancel_request, _is_cancelled)


def describe_account(reply: Reply) -> str:
    """
    Name, plan, balances and limit, in one line; unknown facts are left out.

    :raises VendorError: The key is wrong, or the reply cannot be understood.
    """
    data = data_in(reply)
    amounts = _amounts(data)
    limit = _read_limit(reply)
    facts = {
        f"account {as_word(data.get('name'))}": data.get("name"),
        "disabled by the vendor": data.get("is_enable") is False,
        f"plan {as_word(data.get('plan'))}": data.get("plan"),
        f"balance worth {amounts['USD'] or 0:.2f} USD": amounts["USD"] is not None,
        f"{amounts['point'] or 0:.0f} points": amounts["point"] is not None,
        f"{amounts['credit'] or 0:.0f} credits": amounts["credit"],
        f"at most {limit} tasks at once": limit,
    }
    return ", ".join(text for text, known in facts.items() if known) or "the key is good"
