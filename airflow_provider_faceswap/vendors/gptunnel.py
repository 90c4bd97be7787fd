"""
GPTunneL: face swap, the media API's image models, and Midjourney.

Facts are from the vendor's pages (docs.gptunnel.ru: faceswap, media-api, api-midjourney, balance) unless a
comment says that they were only seen in public clients.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    ContentRefusedError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobLostError,
    VendorError,
)
from airflow_provider_faceswap.jobs import Balance, Cost, FailureReason, Job, JobState
from airflow_provider_faceswap.vendors.arguments import (
    Arguments,
    HttpUrl,
    WholeNumber,
    http_url,
    inline_media,
)
from airflow_provider_faceswap.vendors.base import Accepts, Kind, Timing, Vendor
from airflow_provider_faceswap.vendors.messages import (
    Reply,
    Request,
    as_id,
    as_number,
    as_object,
    as_word,
    checked_id,
    clean,
    links_in,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

#: The faceswap page takes these two and no webp.
_PICTURES = frozenset({"image/png", "image/jpeg"})
_PNG = b"\x89PNG\r\n\x1a\n"

_STATES = {
    "idle": JobState.QUEUED,
    "done": JobState.SUCCEEDED,
    # The pages show idle and done only; the rest was seen in, or is handled by, public clients.
    "processing": JobState.RUNNING,
    "running": JobState.RUNNING,
    "failed": JobState.FAILED,
    "error": JobState.FAILED,
    "canceled": JobState.CANCELED,
    "cancelled": JobState.CANCELED,
}

_ERROR_TYPES: dict[str, type[VendorError]] = {
    "invalid_request_error": InvalidRequestError,
    "unauthorized_request_error": AuthenticationError,
    "insufficient_balance_error": InsufficientBalanceError,
}

# The media API tells failures in the body of an HTTP 200 (seen in public clients; the pages show 0 only).
_MEDIA_OK = 0
_REFUSED_BY_MODERATION = 1001
_MEDIA_CODES: dict[int, type[VendorError]] = {
    3: InvalidRequestError,
    _REFUSED_BY_MODERATION: ContentRefusedError,
}


def _picture(value: str) -> str:
    """Accept a URL, or the data URI form that public clients send; the pages show URLs."""
    if value.startswith("data:"):
        inline_media(value, _PICTURES)
        return value
    return http_url(value)


def _mask(value: str) -> str:
    """Accept a PNG as bare base64, which is what the inpaint page asks for, or as a data URI."""
    if value.startswith("data:"):
        data = inline_media(value, frozenset({"image/png"}))
    else:
        try:
            data = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("must be a black and white PNG in base64") from None
    if not data.startswith(_PNG):
        raise ValueError("must be a black and white PNG in base64, of the parent picture's size")
    return base64.b64encode(data).decode()


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Picture = Annotated[str, AfterValidator(_picture)]
JobId = Annotated[str, Field(min_length=1)]
GridPosition = Annotated[WholeNumber, Field(ge=1, le=4)]


class FaceSwap(Arguments):
    """``sourceImage`` receives the face here; at Tengrai the same name donates it."""

    target_image: Picture = Field(serialization_alias="sourceImage")
    face_image: Picture = Field(serialization_alias="faceImage")
    enhance_face: bool | None = Field(None, serialization_alias="enhanceFace")
    enhance_background: bool | None = Field(None, serialization_alias="enhanceBackground")
    use_wallet_balance: bool | None = Field(None, serialization_alias="useWalletBalance")
    webhook: HttpUrl | None = None


class Image(Arguments):
    """Model ids are free strings: the vendor adds some every month, and lists them in its refusal."""

    model: str = Field(min_length=1)
    prompt: str = Field(min_length=1)
    images: Annotated[tuple[HttpUrl, ...], BeforeValidator(_listed)] | None = None
    aspect_ratio: str | None = Field(None, pattern=r"^\d+:\d+$", serialization_alias="ar")


class Imagine(Arguments):
    """A prompt to a 2x2 grid."""

    prompt: str = Field(min_length=1)
    use_wallet_balance: bool | None = Field(None, serialization_alias="useWalletBalance")


class Upsample(Arguments):
    """One picture of a grid, numbered 1 to 4."""

    parent_job_id: JobId = Field(serialization_alias="taskId")
    image: GridPosition


class Variation(Arguments):
    """``image`` for a grid, ``mode`` for an upsampled picture."""

    parent_job_id: JobId = Field(serialization_alias="taskId")
    image: GridPosition | None = None
    mode: Literal["high", "low"] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.image is None and self.mode is None:
            raise ValueError("give image (1-4) for a grid, or mode (high, low) for an upsampled picture")
        return self


class Inpaint(Arguments):
    """Black parts of the mask are kept, white ones are drawn anew."""

    parent_job_id: JobId = Field(serialization_alias="taskId")
    mask: Annotated[str, AfterValidator(_mask)]
    prompt: str | None = None


_MIDJOURNEY = Timing(first=10, cap=20)

#: No page gives a size; so much inline is assumed to pass.
_FACE = Accepts(formats=_PICTURES, inline=10_000_000)
_MASK = Accepts(formats=frozenset({"image/png"}), link=False, inline=10_000_000)


class GPTunnel(Vendor):
    """GPTunneL's wire."""

    name = "gptunnel"
    default_base_url = "https://gptunnel.ru"
    version_prefix = "/v1"
    connection_arguments = ("use_wallet_balance", "webhook")
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
        # Links only: a client states that base64 is refused here.
        "image": Kind(
            "/v1/media/create",
            Image,
            Timing(first=4, cap=20),
            timedelta(hours=48),
            "media",
            {"images": Accepts()},
        ),
        # How long Midjourney pictures are kept is not stated.
        "imagine": Kind("/v1/midjourney/imagine", Imagine, _MIDJOURNEY, None, "midjourney"),
        "upsample": Kind("/v1/midjourney/upsample", Upsample, Timing(first=2, cap=20), None, "midjourney"),
        "variation": Kind("/v1/midjourney/variation", Variation, _MIDJOURNEY, None, "midjourney"),
        "inpaint": Kind("/v1/midjourney/inpaint", Inpaint, _MIDJOURNEY, None, "midjourney", {"mask": _MASK}),
    }

    def warnings(self, kind: str, request: Request) -> list[str]:
        """The face swap lists png and jpeg; a link's suffix is only a hint of what is behind it."""
        if kind != "face_swap":
            return []
        body = request.body or {}
        return [
            f"{name} looks like WebP, and the face swap takes PNG and JPEG only"
            for name in ("sourceImage", "faceImage")
            if urlsplit(str(body.get(name))).path.lower().endswith(".webp")
        ]

    def fetch(self, kind: str, job_id: str) -> Request:
        """Ask by query: ``taskId``, and ``task_id`` in the body at the media API."""
        family = self.kind(kind).family
        if family == "media":
            return Request("POST", "/v1/media/result", body={"task_id": checked_id(job_id)})
        return Request("GET", f"/v1/{family}/result", params={"taskId": checked_id(job_id)})

    def account(self) -> Request:
        """The balance is the only free call; it does not prove access to every API."""
        return Request("GET", "/v1/balance")

    def balance(self, options: Mapping[str, Any]) -> Request:
        """The wallet's where the connection says that the wallet pays, else the organisation's."""
        wallet = str(options.get("use_wallet_balance") or "").casefold() in {"true", "1", "yes", "on"}
        return Request("GET", "/v1/balance", params={"useWalletBalance": "true"} if wallet else {})

    def headers(self, key: str, options: Mapping[str, Any]) -> dict[str, str]:
        """The bare key, as every page shows; ``auth_scheme`` of the connection puts a word before it."""
        scheme = options.get("auth_scheme")
        return {"Authorization": f"{scheme} {key}" if scheme else key}

    def _read_job(self, kind: str, reply: Reply, *, job_id: str | None = None) -> Job:
        """Read either of the two shapes: tasks (face swap, Midjourney) and media."""
        spec = self.kind(kind)
        body = reply.fields
        named = self.job_named(reply)
        # A job in the body is a job, whatever the HTTP status says; but an id alone may be that of a refusal.
        if not named or not (reply.ok or isinstance(body.get("status") or None, str)):
            raise self._refused(reply, spec, job_id)
        status = as_word(body.get("status") or "")
        code = body.get("code")
        state = _STATES.get(status.casefold(), JobState.RUNNING)
        if spec.family == "media":
            # A result with another code than 0 is a failed task, not a broken request.
            if code not in (None, _MEDIA_OK):
                state = JobState.FAILED
            links = links_in(body.get("url"), body.get("result"))
            cost = as_number(body.get("cost"))
        else:
            # Below 100 percent the link is a preview.
            links = links_in(body.get("result")) if as_number(body.get("percent")) in (None, 100) else ()
            # Only the create tells the charge; a result says 0.
            cost = as_number(as_object(body.get("usage")).get("total_cost"))
        failure = None if state is JobState.SUCCEEDED else _text(body) or None
        if state is JobState.FAILED and failure is None and code is not None:
            failure = f"code={as_word(code)} status={status}"
        return Job(
            vendor=self.name,
            kind=kind,
            job_id=named if job_id is None else job_id,
            state=state,
            status=status,
            urls=links if state is JobState.SUCCEEDED else (),
            percent=as_number(body.get("percent")),
            # Nothing is a charge only where the answer tells charges.
            cost=Cost(amount=cost, unit="RUB") if cost or (cost is not None and job_id is None) else None,
            failure=failure,
            failure_reason=(
                FailureReason.CONTENT_REFUSED
                if code == _REFUSED_BY_MODERATION
                else self.failure_reason(failure)
            ),
            created_at=_moment(body.get("created_at")),
        )

    def job_named(self, reply: Reply) -> str:
        """Both shapes have it in the same place."""
        return as_id(reply.fields.get("id"))

    def _refused(self, reply: Reply, spec: Kind, job_id: str | None) -> Exception:
        """Say why there is no job in the answer."""
        body = reply.fields
        text = _text(body)
        code = body.get("code")
        if job_id is not None and (
            reply.status_code == 404
            # An unknown id is not documented; as the id is always sent, a 400 can mean nothing else.
            or (reply.status_code == 400 and "required property" not in text)
        ):
            return JobLostError(f"the job is unknown: {text or 'not found'}", vendor=self.name, job_id=job_id)
        if reply.ok and spec.family == "media" and isinstance(code, int) and code != _MEDIA_OK:
            refused = _MEDIA_CODES.get(code, VendorError)
            return refused(
                text or f"code={as_word(code)} status={as_word(body.get('status'))}",
                vendor=self.name,
                status_code=reply.status_code,
                code=as_word(code),
                job_id=job_id,
            )
        return self._without(reply, "job id", job_id)

    def _without(self, reply: Reply, what: str, job_id: str | None = None) -> VendorError:
        """The error for an answer that lacks what was asked for: an HTTP 200 may carry the error envelope."""
        kind_of_error = as_word(as_object(reply.fields.get("error")).get("type"))
        text = _text(reply.fields)
        if reply.ok and kind_of_error in _ERROR_TYPES:
            return _ERROR_TYPES[kind_of_error](
                text or "refused without a reason",
                vendor=self.name,
                status_code=reply.status_code,
                code=kind_of_error,
                job_id=job_id,
            )
        if not reply.ok:
            return self.refusal(reply, text or reply.text, code=kind_of_error, job_id=job_id)
        return self.malformed(reply, f"the answer has no {what}", job_id=job_id)

    def read_account(self, reply: Reply) -> str:
        """Whose account it is, and its balance."""
        [balance] = self.read_balances(reply)
        organisation = as_word(reply.fields.get("orgId"))
        owner = f"organisation {organisation}" if organisation else "wallet"
        limit = f", credit limit {balance.credit:.2f} RUB" if balance.credit else ""
        return f"{owner}, balance {balance.amount:.2f} RUB{limit}"

    def read_balances(self, reply: Reply) -> tuple[Balance, ...]:
        """Roubles; the balance may be negative, down to the credit limit (assumed)."""
        body = reply.fields
        amount = as_number(body.get("balance"))
        if not reply.ok or amount is None:
            raise self._without(reply, "balance")
        credit = as_number(body.get("creditLimit")) or 0.0
        return (Balance(amount=amount, unit="RUB", credit=credit),)


def _text(body: Mapping[str, Any]) -> str:
    """The failure text, wherever this API put it: error, error.message, message, the schema's issues."""
    error = body.get("error")
    words: list[object] = (
        [error] if isinstance(error, str) else [error.get("message")] if isinstance(error, dict) else []
    )
    words.append(body.get("message"))
    issues = body.get("issues")
    for issue in issues if isinstance(issues, list) else ():
        if isinstance(issue, dict):
            path = issue.get("path")
            where = ".".join(str(part) for part in path) if isinstance(path, list) else str(path or "")
            words.append(f"{where}: {issue.get('message') or ''} (expected {issue.get('expected')})")
    return clean("; ".join(str(word) for word in words if word))


def _moment(value: object) -> datetime | None:
    """Read Unix seconds."""
    seconds = as_number(value)
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (OverflowError, OSError, ValueError):
        return None
