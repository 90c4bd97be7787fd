"""
PiAPI: face swap on pictures and videos, and every other task of the unified API.

Facts are from the vendor's pages (piapi.ai/docs) unless a comment says that they were only seen in public
clients.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from airflow_provider_faceswap.exceptions import JobLostError, RateLimitError
from airflow_provider_faceswap.jobs import Balance, Cost, FailureReason, Job, JobState
from airflow_provider_faceswap.vendors.base import Accepts, Kind, Timing, Vendor
from airflow_provider_faceswap.vendors.history import Listing, same_request
from airflow_provider_faceswap.vendors.messages import (
    Reply,
    Request,
    as_id,
    as_number,
    as_object,
    as_word,
    clean,
    links_in,
    path_segment,
)
from airflow_provider_faceswap.vendors.piapi_arguments import (
    MAX_BYTES,
    MAX_SIDE,
    PICTURES,
    AnyTask,
    FaceSwap,
    MultiFaceSwap,
    Task,
    VideoFaceSwap,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_faceswap.vendors.arguments import Arguments

#: Tasks on one page of the history: the most that the vendor gives.
_PAGE = 100

#: Larger ones are uploaded: bodies of many megabytes were seen to be refused (HTTP 413).
_INLINE = 4_000_000
_FACE = Accepts(
    formats=PICTURES, inline=_INLINE, max_bytes=MAX_BYTES, max_side=MAX_SIDE, fit_side=MAX_SIDE - 1
)
_VIDEO = Accepts(formats=frozenset({"video/mp4"}), max_bytes=MAX_BYTES)
#: Files are stored on another host than jobs, for 24 hours.
_UPLOADS = "https://upload.theapi.app"

# The schema writes these words with capitals, every sample in lower case; some were seen in clients only.
_STATES = {
    "pending": JobState.QUEUED,
    "staged": JobState.QUEUED,
    "queued": JobState.QUEUED,
    "starting": JobState.QUEUED,
    "created": JobState.QUEUED,
    "completed": JobState.SUCCEEDED,
    "complete": JobState.SUCCEEDED,
    "success": JobState.SUCCEEDED,
    "succeeded": JobState.SUCCEEDED,
    "finished": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "failure": JobState.FAILED,
    "error": JobState.FAILED,
    "cancelled": JobState.CANCELED,
    "canceled": JobState.CANCELED,
}

#: Go's zero time stands for "not yet".
_ZERO_YEAR = 1


class PiAPI(Vendor):
    """PiAPI's wire."""

    name = "piapi"
    default_base_url = "https://api.piapi.ai"
    version_prefix = "/api/v1"
    not_found_grace = 30.0
    reports_limit = True
    takes_uploads = True
    connection_arguments = ("service_mode", "webhook", "webhook_secret")
    kinds: ClassVar[Mapping[str, Kind]] = {
        "face_swap": Kind(
            "/api/v1/task",
            FaceSwap,
            Timing(first=2, cap=20),
            timedelta(days=3),
            media={"target_image": _FACE, "face_image": _FACE},
        ),
        "multi_face_swap": Kind(
            "/api/v1/task",
            MultiFaceSwap,
            Timing(first=2, cap=20),
            timedelta(days=3),
            media={"target_image": _FACE, "face_image": _FACE},
        ),
        "video_face_swap": Kind(
            "/api/v1/task",
            VideoFaceSwap,
            Timing(first=10, cap=30),
            timedelta(days=3),
            media={"target_video": _VIDEO, "face_image": _FACE},
        ),
        # Retention differs by model: three days is the documented one of Flux, others may keep less.
        "task": Kind("/api/v1/task", Task, Timing(first=2, cap=20), timedelta(days=3)),
    }
    failure_words: ClassVar[Mapping[str, FailureReason]] = {
        **Vendor.failure_words,
        # Fragments that public clients look for; the vendor's own table could not be read.
        "failed to get valid": FailureReason.BAD_INPUT,
        "invalid request": FailureReason.BAD_INPUT,
        "image too large": FailureReason.BAD_INPUT,
        "insufficient": FailureReason.INSUFFICIENT_BALANCE,
        "credit": FailureReason.INSUFFICIENT_BALANCE,
        "quota": FailureReason.INSUFFICIENT_BALANCE,
    }

    def _create(self, kind: str, arguments: Arguments) -> Request:
        assert isinstance(arguments, AnyTask)  # noqa: S101 - the table above says so, mypy cannot see it
        return Request("POST", self.kind(kind).path, body=arguments.body())

    def warnings(self, kind: str, request: Request) -> list[str]:
        """A picture's URL is said to end in jpg, jpeg, png or webp; signed links and redirectors may not."""
        pictures = ((request.body or {}).get("input") or {}) if kind != "task" else {}
        return [
            f"the path of {name} does not end in jpg, jpeg, png or webp, and may be refused"
            for name in ("target_image", "swap_image")
            if str(pictures.get(name, "")).startswith("http")
            and not urlsplit(pictures[name]).path.lower().endswith((".jpg", ".jpeg", ".png", ".webp"))
        ]

    def fetch(self, kind: str, job_id: str) -> Request:  # noqa: ARG002 - one endpoint for all kinds
        """One endpoint reads every task."""
        return Request("GET", f"/api/v1/task/{path_segment(job_id)}")

    def cancel(self, kind: str, job_id: str) -> Request:  # noqa: ARG002 - one endpoint for all kinds
        """Documented for other models, and only while pending: best effort."""
        return Request("DELETE", f"/api/v1/task/{path_segment(job_id)}")

    def history(self, since: datetime, until: datetime, page: int) -> Request:
        """The list is filtered by time, in whole seconds."""
        window = {"start_time": str(int(since.timestamp())), "end_time": str(ceil(until.timestamp()))}
        return Request(
            "GET",
            "/api/open/tasks/histories",
            params={"page": str(page + 1), "page_size": str(_PAGE), **window},
        )

    def upload(self, name: str, data: bytes) -> Request:
        """Free, kept for 24 hours; from the Creator plan on."""
        file = {"file_name": name, "file_data": base64.b64encode(data).decode()}
        return Request("POST", "/api/ephemeral_resource", body=file, elsewhere=_UPLOADS)

    def read_upload(self, reply: Reply) -> str:
        """The link stands in ``data``, or at the top in answers that clients have seen."""
        [*links] = links_in(reply.fields.get("data"), reply.fields)
        if not reply.ok or not links:
            refused = self._refused(reply, None)
            raise refused
        return links[0]

    def account(self) -> Request:
        """Free and read-only."""
        return Request("GET", "/account/info")

    def balance(self, options: Mapping[str, Any]) -> Request:  # noqa: ARG002 - one account a key
        """The account's answer has it."""
        return self.account()

    def headers(self, key: str, options: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002 - nothing to set
        """The unified API takes no bearer token."""
        return {"x-api-key": key}

    def _read_job(self, kind: str, reply: Reply, *, job_id: str | None = None) -> Job:
        """
        Read the envelope; a task in it counts whatever the HTTP status says.

        A task can come back already failed, once seen together with a non-2xx status, when the vendor could
        not download an input.
        """
        body, task = reply.fields, _task(reply)
        named = self.job_named(reply)
        if not named:
            raise self._refused(reply, job_id)
        status = as_word(task.get("status") or "")
        state = _STATES.get(status.strip().casefold(), JobState.RUNNING)
        urls, inline = _output(task.get("output")) if state is JobState.SUCCEEDED else ((), ())
        meta = as_object(task.get("meta"))
        failure = _text(body, task) if state is JobState.FAILED else ""
        if state is JobState.SUCCEEDED and not urls and not inline:
            keys = ", ".join(sorted(as_object(task.get("output")))) or "nothing"
            failure = clean(f"its output holds {keys}")
        return Job(
            vendor=self.name,
            kind=kind,
            job_id=named if job_id is None else job_id,
            state=state,
            status=status,
            urls=urls,
            inline=inline,
            cost=_cost(meta.get("usage"), state),
            failure=failure or None,
            failure_reason=self.failure_reason(failure),
            created_at=_moment(meta.get("created_at")),
            finished_at=_moment(meta.get("ended_at")),
        )

    def job_named(self, reply: Reply) -> str:
        """The ``task_id`` inside the envelope, or of a task without one."""
        return as_id(_task(reply).get("task_id"))

    def _refused(self, reply: Reply, job_id: str | None) -> Exception:
        """Say why there is no task."""
        body = reply.fields
        code, status = body.get("code"), _status(reply)
        text = _text(body, {}) or clean(reply.text)
        if job_id is not None and status == 404:  # may be plain text
            return JobLostError(f"the task is unknown or expired: {text}", vendor=self.name, job_id=job_id)
        if status == reply.status_code and reply.ok:
            return self.malformed(reply, "the answer holds no task", job_id=job_id)
        carried = Reply(status, reply.text, reply.headers) if 400 <= status < 600 else reply
        if status == 400 and "concurren" in text.casefold():  # seen as a limit, not a fault
            return RateLimitError(text, vendor=self.name, status_code=status, retry_after=reply.retry_after)
        return self.refusal(carried, text, code=code, job_id=job_id)

    def read_canceled(self, reply: Reply) -> bool:
        """Confirmed where the status is 2xx and the envelope says no other."""
        return reply.ok and _status(reply) < 400

    def read_history(
        self,
        kind: str,  # noqa: ARG002 - one shape for all
        request: Request,
        reply: Reply,
        since: datetime,  # noqa: ARG002 - the request has filtered by time
        until: datetime,  # noqa: ARG002
    ) -> Listing:
        """Rows of tasks without their input: each that fits has to be read for it."""
        rows = self._data(reply).get("data")
        if not isinstance(rows, list):
            raise self.malformed(reply, "the answer holds no list of tasks")
        task_type = (request.body or {}).get("task_type")
        fitting = (
            job_id
            for row in map(as_object, rows)
            # Assumed: the action of a row is the task type.
            if (job_id := as_id(row.get("task_id"))) and row.get("action") == task_type
        )
        return Listing(tuple(fitting), more=len(rows) >= _PAGE)

    def matches_request(self, kind: str, request: Request, reply: Reply) -> bool:  # noqa: ARG002 - one shape
        """A task repeats its input, until the vendor blanks it after a time it does not tell."""
        task, sent = as_object(reply.fields.get("data")), request.body or {}
        return all(task.get(name) == sent.get(name) for name in ("model", "task_type")) and same_request(
            as_object(sent.get("input")), task.get("input"), {}
        )

    def _data(self, reply: Reply) -> dict[str, Any]:
        """
        What an answer that is about no task holds.

        :raises VendorError: It holds nothing, or its status or its code says that it was refused.
        """
        data = reply.fields.get("data")
        if not reply.ok or _status(reply) >= 400 or not isinstance(data, dict):
            refused = self._refused(reply, None)
            raise refused
        return data

    def read_limit(self, reply: Reply) -> int | None:
        """``max_concurrent_task_count`` of the account."""
        limit = as_number(as_object(reply.fields.get("data")).get("max_concurrent_task_count"))
        return int(limit) if limit and limit >= 1 else None

    def read_balances(self, reply: Reply) -> tuple[Balance, ...]:
        """What all is worth in dollars, then what it is made of: jobs are charged in points."""
        data = self._data(reply)
        told = {
            "USD": data.get("equivalent_in_usd"),
            "point": as_object(data.get("wallet")).get("point_remain"),
            "credit": as_object(data.get("credit_pack_info")).get("available_credits"),
        }
        amounts = {unit: as_number(amount) for unit, amount in told.items()}
        balances = tuple(
            Balance(amount=amount, unit=unit) for unit, amount in amounts.items() if amount is not None
        )
        if not balances:
            raise self.malformed(reply, "the answer has no balance")
        return balances

    def read_account(self, reply: Reply) -> str:
        """Plan, money and the number of tasks that may run at once; what is missing is left out."""
        data = self._data(reply)
        worth = as_number(data.get("equivalent_in_usd"))
        points = as_number(as_object(data.get("wallet")).get("point_remain"))
        credit_packs = as_number(as_object(data.get("credit_pack_info")).get("available_credits"))
        limit = self.read_limit(reply)
        facts = {
            f"account {as_word(data.get('name'))}": data.get("name"),
            "disabled by the vendor": data.get("is_enable") is False,
            f"plan {as_word(data.get('plan'))}": data.get("plan"),
            f"balance worth {worth or 0:.2f} USD": worth is not None,
            f"{points or 0:.0f} points": points is not None,
            f"{credit_packs or 0:.0f} credits": credit_packs,
            f"at most {limit} tasks at once": limit,
        }
        return ", ".join(text for text, told in facts.items() if told) or "the key is good"


def _status(reply: Reply) -> int:
    """The real status: an HTTP 200 may carry another as ``code``."""
    code = as_number(reply.fields.get("code"))
    return int(code) if reply.ok and code is not None and code >= 400 else reply.status_code


def _task(reply: Reply) -> dict[str, Any]:
    """The task in the envelope, or the answer itself: newer routes have none."""
    data = as_object(reply.fields.get("data"))
    return data if as_id(data.get("task_id")) else reply.fields


def _output(output: object) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    """Find links, else inline pictures: every place that a page or a client names, the likeliest first."""
    if not isinstance(output, dict):
        return links_in(output), ()
    several = links_in(output.get("image_urls"), output.get("images"), output.get("temporary_image_urls"))
    first = links_in(
        *(output.get(key) for key in ("video_url", "video", "image_url")),
    )
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
    if not isinstance(text, str) or not text:
        return b""
    try:
        return base64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except ValueError:
        return b""


def _text(body: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    """The failure text, in the order in which public clients look."""
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


def _cost(usage: object, state: JobState) -> Cost | None:
    """Points consumed; before that, the points frozen for it, which a task that fails gives back."""
    told = as_object(usage)
    points = as_number(told.get("consume")) or as_number(told.get("frozen"))
    given_back = points is not None and state in {JobState.FAILED, JobState.CANCELED}
    return Cost(amount=points or 0.0, unit="point") if points or given_back else None


def _moment(value: object) -> datetime | None:
    """RFC 3339 with up to nine digits; empty, missing and Go's zero time mean "not yet"."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return None if moment.year == _ZERO_YEAR or moment.tzinfo is None else moment
