"""
GPTunneL: face swap, the media API's image models, and Midjourney.

Facts are from the vendor's pages (docs.gptunnel.ru: faceswap, media-api, api-midjourney, balance), unless a comment
names public clients.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from airflow_provider_faceswap.exceptions import InvalidRequestError, JobLostError, VendorError
from airflow_provider_faceswap.jobs import Balance, Cost, FailureReason, Job, JobState
from airflow_provider_faceswap.vendors.base import Vendor
from airflow_provider_faceswap.vendors.capabilities import Balances, Generation
from airflow_provider_faceswap.vendors.gptunnel_arguments import (
    PICTURES,
    FaceSwap,
    Generate,
    Image,
    Imagine,
    Inpaint,
    Upsample,
    Variation,
)
from airflow_provider_faceswap.vendors.gptunnel_replies import (
    MEDIA_CODES,
    MEDIA_OK,
    STATES,
    WORDS,
    error_text,
    is_lost,
    is_own_reply,
    media_code,
    media_links,
    no_result,
    refused_by_code,
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
    links_in,
)
from airflow_provider_faceswap.vendors.refusals import malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds without a byte of the reply to a ``generate``. Public clients wait two minutes at least.
_GENERATE_SECONDS = 180.0
#: Models that the vendor's pages offer for ``generate`` only.
_GENERATE_MODELS = frozenset({"seedream-4"})
#: The model of a generated picture without one: the one that the page of the media API names first.
_DEFAULT_MODEL = "gpt-image-1-low"
_ENDED_BADLY = frozenset({JobState.FAILED, JobState.CANCELED})

_MIDJOURNEY = Timing(first=10, cap=20)

#: Assumed: no page states a size, and a request of this size passes.
_FACE = Accepts(formats=PICTURES, inline=10_000_000)
_MASK = Accepts(formats=frozenset({"image/png"}), link=False, inline=10_000_000)


def _generated(arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The asynchronous route, or the other one for its own models."""
    model = arguments.get("model") or _DEFAULT_MODEL
    return "generate" if model in _GENERATE_MODELS else "image", {**arguments, "model": model}


def _read_balances(reply: Reply) -> tuple[Balance, ...]:
    """The balance; assumed to be negative down to the credit limit."""
    amount = as_number(reply.fields.get("balance"))
    if not reply.ok or amount is None:
        raise no_result(reply, "balance")
    credit = as_number(reply.fields.get("creditLimit")) or 0.0
    return (Balance(amount=amount, unit="RUB", credit=credit),)


class GPTunnel(Vendor):
    """GPTunneL's API."""

    name = "gptunnel"
    default_base_url = "https://gptunnel.ru"
    cost_unit = "RUB"
    version_prefix = "/v1"
    connection_arguments = ("use_wallet_balance", "webhook")
    balances = Balances(_read_balances)
    generation = Generation(_generated)
    states: ClassVar[Mapping[str, JobState]] = STATES
    words = WORDS
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
        # The page shows no route that polls it. A public client says that the link lives about 24 hours.
        "generate": Kind(
            "/v1/media/generate",
            Generate,
            Timing(first=20, cap=20),
            timedelta(hours=24),
            "generate",
            {"images": Accepts()},
            polled=False,
        ),
        # The pages do not say how long Midjourney pictures are kept.
        "imagine": Kind("/v1/midjourney/imagine", Imagine, _MIDJOURNEY, None, "midjourney"),
        "upsample": Kind("/v1/midjourney/upsample", Upsample, Timing(first=2, cap=20), None, "midjourney"),
        "variation": Kind("/v1/midjourney/variation", Variation, _MIDJOURNEY, None, "midjourney"),
        "inpaint": Kind("/v1/midjourney/inpaint", Inpaint, _MIDJOURNEY, None, "midjourney", {"mask": _MASK}),
    }

    def submit(self, kind: str, arguments: Mapping[str, Any]) -> Request:
        """Build the request that submits a job; the reply to a ``generate`` comes when the picture is drawn."""
        request = super().submit(kind, arguments)
        return request if self.kind(kind).polled else replace(request, read_timeout=_GENERATE_SECONDS)

    def warnings(self, kind: str, request: Request) -> list[str]:
        """A model of the other route, and links that look like WebP. A link's suffix is only a hint of the format."""
        body = request.body or {}
        if kind == "image" and body.get("model") in _GENERATE_MODELS:
            return [f"{body['model']} belongs to kind 'generate', and may be refused as kind 'image'"]
        if kind != "face_swap":
            return []
        return [
            f"{name} looks like WebP, but the face swap accepts PNG and JPEG only"
            for name in ("sourceImage", "faceImage")
            if urlsplit(str(body.get(name))).path.lower().endswith(".webp")
        ]

    def fetch(self, kind: str, job_id: str) -> Request:
        """
        The id is ``taskId`` in the query, or ``task_id`` in the body at the media API.

        :raises InvalidRequestError: The kind cannot be polled.
        """
        family = self.kind(kind).family
        if not self.kind(kind).polled:
            checked_id(job_id)
            raise InvalidRequestError(
                f"a job of kind {kind!r} cannot be polled: only the reply to its submission has the result",
                vendor=self.name,
                job_id=job_id,
                advice="Nothing was bought. Use the result of the task that submitted it.",
            )
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
        status, code = as_word(body.get("status") or ""), None
        state = self.state(status)
        if family in {"midjourney", "faceswap"}:
            # Below 100 percent the link is a preview.
            links = links_in(body.get("result")) if as_number(body.get("percent")) in (None, 100) else ()
            # Only the reply to the submission has the cost; a result says 0.
            cost = as_number(as_object(body.get("usage")).get("total_cost"))
        else:
            # A result with another code than 0 is a failed job, not a refused request.
            if (code := media_code(body)) not in (None, MEDIA_OK):
                state = JobState.FAILED
            links = media_links(body)
            cost = as_number(body.get("cost"))
        if family == "generate" and state not in _ENDED_BADLY:
            # The synchronous route has no status words: its reply is the output.
            if not links:
                raise malformed(self.name, reply, "the reply has neither a link nor a failure", job_id=job_id)
            status, state = status or "done", JobState.SUCCEEDED
        failure = None if state is JobState.SUCCEEDED else error_text(body) or None
        if state is JobState.FAILED and failure is None and code is not None:
            failure = f"code={code} status={status}"
        _, reason = MEDIA_CODES.get(code or MEDIA_OK, (VendorError, FailureReason.UNKNOWN))
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
            failure_reason=reason if reason is not FailureReason.UNKNOWN else self.failure_reason(failure),
            created_at=as_unix_time(body.get("created_at")),
        )

    def job_id_in(self, reply: Reply) -> str:
        """The ``id``, in both formats."""
        return as_id(reply.fields.get("id"))

    def repeats_job_id(self, kind: str) -> bool:
        """Not in the media API: the page's own sample of a result has another id than its request."""
        return self.kind(kind).family != "media"

    def is_own_reply(self, reply: Reply) -> bool:
        """Whether the reply has an error with message and type, or the media API's code."""
        return is_own_reply(reply)

    def _no_job(self, reply: Reply, family: str, job_id: str | None) -> Exception:
        """The error for a reply without a job."""
        text = error_text(reply.fields)
        # No page shows the reply to an unknown id.
        if job_id is not None and (reply.status_code == 404 or (reply.status_code == 400 and is_lost(text))):
            return JobLostError(f"the job is unknown: {text or 'not found'}", vendor=self.name, job_id=job_id)
        refused = None
        if family in {"media", "generate"}:
            refused = refused_by_code(reply, job_id)
        return refused or no_result(reply, "job id", job_id)

    def read_account(self, reply: Reply) -> str:
        """The organisation or wallet, and its balance."""
        [balance] = _read_balances(reply)
        organisation = as_word(reply.fields.get("orgId"))
        owner = f"organisation {organisation}" if organisation else "wallet"
        limit = f", credit limit {balance.credit:.2f} RUB" if balance.credit else ""
        return f"{owner}, balance {balance.amount:.2f} RUB{limit}"
