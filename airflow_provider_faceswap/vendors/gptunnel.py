"""
GPTunneL: face swap, the media API's image models, and Midjourney.

Facts are from the vendor's pages (docs.gptunnel.ru: faceswap, media-api, api-midjourney, balance), unless a comment
names public clients.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    ContentRefusedError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobLostError,
    VendorError,
)
from airflow_provider_faceswap.jobs import Balance, Cost, FailureReason, Job, JobState
from airflow_provider_faceswap.vendors.base import Vendor
from airflow_provider_faceswap.vendors.capabilities import Balances
from airflow_provider_faceswap.vendors.gptunnel_arguments import (
    PICTURES,
    FaceSwap,
    Image,
    Imagine,
    Inpaint,
    Upsample,
    Variation,
)
from airflow_provider_faceswap.vendors.kinds import Accepts, Kind, Timing
from airflow_provider_faceswap.vendors.messages import (
    Reply,
    Request,
    as_id,
    as_number,
    as_object,
    as_unix_time,
    as_word,
    checked_id,
    clean,
    links_in,
)
from airflow_provider_faceswap.vendors.refusals import malformed, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

_ERROR_TYPES: dict[str, type[VendorError]] = {
    "invalid_request_error": InvalidRequestError,
    "unauthorized_request_error": AuthenticationError,
    "insufficient_balance_error": InsufficientBalanceError,
}

# The media API reports failures as a code in an HTTP 200. The pages show 0 only; public clients know the others.
_MEDIA_OK = 0
_REFUSED_BY_MODERATION = 1001
_MEDIA_CODES: dict[int, type[VendorError]] = {
    3: InvalidRequestError,
    _REFUSED_BY_MODERATION: ContentRefusedError,
}

#: Assumed: one of these is in the text about an unknown task.
_LOST_WORDS = ("task", "not found", "задач", "не найден")

_MIDJOURNEY = Timing(first=10, cap=20)

#: Assumed: no page states a size, and a request of this size passes.
_FACE = Accepts(formats=PICTURES, inline=10_000_000)
_MASK = Accepts(formats=frozenset({"image/png"}), link=False, inline=10_000_000)


def _error_text(body: Mapping[str, Any]) -> str:
    """The failure text: ``error``, ``error.message``, ``message``, and the issues of the request's schema."""
    error = body.get("error")
    texts = [error if isinstance(error, str) else as_object(error).get("message"), body.get("message")]
    issues = body.get("issues")
    for issue in issues if isinstance(issues, list) else ():
        if isinstance(issue, dict):
            path = issue.get("path")
            where = ".".join(str(part) for part in path) if isinstance(path, list) else str(path or "")
            texts.append(f"{where}: {issue.get('message') or ''} (expected {issue.get('expected')})")
    return clean("; ".join(str(text) for text in texts if text))


def _is_lost(text: str) -> bool:
    """Whether the text of a 400 says that the task is unknown. A 400 may also be about the request."""
    folded = text.casefold()
    return "required property" not in folded and any(word in folded for word in _LOST_WORDS)


def _no_result(reply: Reply, what: str, job_id: str | None = None) -> VendorError:
    """
    The error for a reply without its result. An HTTP 200 may carry an error, too.

    :param what: What the reply should hold.
    """
    error_type = as_word(as_object(reply.fields.get("error")).get("type"))
    text = _error_text(reply.fields)
    if not reply.ok:
        return refusal("gptunnel", reply, text or reply.text, code=error_type, job_id=job_id)
    if error_type in _ERROR_TYPES:
        return _ERROR_TYPES[error_type](
            text or "refused without a reason",
            vendor="gptunnel",
            status_code=reply.status_code,
            code=error_type,
            job_id=job_id,
        )
    return malformed("gptunnel", reply, f"the reply has no {what}", job_id=job_id)


def _read_balances(reply: Reply) -> tuple[Balance, ...]:
    """The balance; assumed to be negative down to the credit limit."""
    amount = as_number(reply.fields.get("balance"))
    if not reply.ok or amount is None:
        raise _no_result(reply, "balance")
    credit = as_number(reply.fields.get("creditLimit")) or 0.0
    return (Balance(amount=amount, unit="RUB", credit=credit),)


class GPTunnel(Vendor):
    """GPTunneL's API."""

    name = "gptunnel"
    default_base_url = "https://gptunnel.ru"
    version_prefix = "/v1"
    connection_arguments = ("use_wallet_balance", "webhook")
    balances = Balances(_read_balances)
    states: ClassVar[Mapping[str, JobState]] = {
        "idle": JobState.QUEUED,
        "done": JobState.SUCCEEDED,
        # The pages show idle and done only; public clients know the others.
        "processing": JobState.RUNNING,
        "running": JobState.RUNNING,
        "failed": JobState.FAILED,
        "error": JobState.FAILED,
        "canceled": JobState.CANCELED,
        "cancelled": JobState.CANCELED,
    }
    kinds: ClassVar[Mapping[str, Kind]] = {
        # The page says 1 to 30 s, and that the link may be deleted after 3 days.
        "face_swap": Kind(
            "/v1/faceswap/create",
            FaceSwap,
            Timing(first=2, cap=20),
            timedelta(days=3),
            "faceswap",
            {"target_image": _FACE, "face_image": _FACE},
        ),
        # Links only: a public client says that base64 is refused here.
        "image": Kind(
            "/v1/media/create",
            Image,
            Timing(first=4, cap=20),
            timedelta(hours=48),
            "media",
            {"images": Accepts()},
        ),
        # The pages do not say how long Midjourney pictures are kept.
        "imagine": Kind("/v1/midjourney/imagine", Imagine, _MIDJOURNEY, None, "midjourney"),
        "upsample": Kind("/v1/midjourney/upsample", Upsample, Timing(first=2, cap=20), None, "midjourney"),
        "variation": Kind("/v1/midjourney/variation", Variation, _MIDJOURNEY, None, "midjourney"),
        "inpaint": Kind("/v1/midjourney/inpaint", Inpaint, _MIDJOURNEY, None, "midjourney", {"mask": _MASK}),
    }

    def warnings(self, kind: str, request: Request) -> list[str]:
        """Links that look like WebP. A link's suffix is only a hint of the format."""
        if kind != "face_swap":
            return []
        body = request.body or {}
        return [
            f"{name} looks like WebP, but the face swap accepts PNG and JPEG only"
            for name in ("sourceImage", "faceImage")
            if urlsplit(str(body.get(name))).path.lower().endswith(".webp")
        ]

    def fetch(self, kind: str, job_id: str) -> Request:
        """The id is ``taskId`` in the query, or ``task_id`` in the body at the media API."""
        family = self.kind(kind).family
        if family == "media":
            return Request("POST", "/v1/media/result", body={"task_id": checked_id(job_id)})
        return Request("GET", f"/v1/{family}/result", params={"taskId": checked_id(job_id)})

    def account(self, options: Mapping[str, Any]) -> Request:
        """
        The balance, of the wallet or of the organisation, whichever the connection charges.

        It is the only free call, and does not prove access to every API.
        """
        wallet = str(options.get("use_wallet_balance") or "").casefold() in {"true", "1", "yes", "on"}
        return Request("GET", "/v1/balance", params={"useWalletBalance": "true"} if wallet else {})

    def headers(self, key: str, options: Mapping[str, Any]) -> dict[str, str]:
        """The bare key, as on every page; the connection's ``auth_scheme`` puts a word before it."""
        scheme = options.get("auth_scheme")
        return {"Authorization": f"{scheme} {key}" if scheme else key}

    def _read_job(self, kind: str, reply: Reply, *, job_id: str | None = None) -> Job:
        """Read either of the two formats: tasks (face swap, Midjourney) and media."""
        family = self.kind(kind).family
        body = reply.fields
        found_id = self.job_id_in(reply)
        # A job in the body is a job, whatever the HTTP status. An id alone may be the id of a refusal.
        if not found_id or not (reply.ok or isinstance(body.get("status") or None, str)):
            raise self._no_job(reply, family, job_id)
        status = as_word(body.get("status") or "")
        code = body.get("code")
        state = self.state(status)
        if family == "media":
            # A result with another code than 0 is a failed job, not a refused request.
            if code not in (None, _MEDIA_OK):
                state = JobState.FAILED
            links = links_in(body.get("url"), body.get("result"))
            cost = as_number(body.get("cost"))
        else:
            # Below 100 percent the link is a preview.
            links = links_in(body.get("result")) if as_number(body.get("percent")) in (None, 100) else ()
            # Only the reply to the submission has the cost; a result says 0.
            cost = as_number(as_object(body.get("usage")).get("total_cost"))
        failure = None if state is JobState.SUCCEEDED else _error_text(body) or None
        if state is JobState.FAILED and failure is None and code is not None:
            failure = f"code={as_word(code)} status={status}"
        return Job(
            vendor=self.name,
            kind=kind,
            job_id=found_id if job_id is None else job_id,
            state=state,
            status=status,
            urls=links if state is JobState.SUCCEEDED else (),
            percent=as_number(body.get("percent")),
            # A cost of 0 counts only in the reply to the submission.
            cost=Cost(amount=cost, unit="RUB") if cost or (cost is not None and job_id is None) else None,
            failure=failure,
            failure_reason=(
                FailureReason.CONTENT_REFUSED
                if code == _REFUSED_BY_MODERATION
                else self.failure_reason(failure)
            ),
            created_at=as_unix_time(body.get("created_at")),
        )

    def job_id_in(self, reply: Reply) -> str:
        """The ``id``, in both formats."""
        return as_id(reply.fields.get("id"))

    def repeats_job_id(self, kind: str) -> bool:
        """Not in the media API: the page's own sample of a result has another id than its request."""
        return self.kind(kind).family != "media"

    def is_own_reply(self, reply: Reply) -> bool:
        """
        The envelope of an error with message and type, or the media API's code in an HTTP 200.

        The page's sample of a 401 is not valid JSON, so its type counts in the text, too. No page shows the type of a
        403.
        """
        error, code = as_object(reply.fields.get("error")), reply.fields.get("code")
        if reply.ok and isinstance(code, int) and not isinstance(code, bool):
            return True
        if isinstance(error.get("message"), str):
            return isinstance(error.get("type"), str) or reply.status_code in {401, 402, 403}
        return reply.body is None and any(f'"{word}"' in reply.text for word in _ERROR_TYPES)

    def _no_job(self, reply: Reply, family: str, job_id: str | None) -> Exception:
        """The error for a reply without a job."""
        text, code = _error_text(reply.fields), reply.fields.get("code")
        # No page shows the reply to an unknown id.
        if job_id is not None and (reply.status_code == 404 or (reply.status_code == 400 and _is_lost(text))):
            return JobLostError(f"the job is unknown: {text or 'not found'}", vendor=self.name, job_id=job_id)
        if reply.ok and family == "media" and isinstance(code, int) and code != _MEDIA_OK:
            return _MEDIA_CODES.get(code, VendorError)(
                text or f"code={as_word(code)} status={as_word(reply.fields.get('status'))}",
                vendor=self.name,
                status_code=reply.status_code,
                code=as_word(code),
                job_id=job_id,
            )
        return _no_result(reply, "job id", job_id)

    def read_account(self, reply: Reply) -> str:
        """The organisation or wallet, and its balance."""
        [balance] = _read_balances(reply)
        organisation = as_word(reply.fields.get("orgId"))
        owner = f"organisation {organisation}" if organisation else "wallet"
        limit = f", credit limit {balance.credit:.2f} RUB" if balance.credit else ""
        return f"{owner}, balance {balance.amount:.2f} RUB{limit}"
