"""
Tengrai (Tengr.ai): face swap and every other artwork kind.

Facts are from the vendor's pages (docs.tengr.ai, v2) unless a comment says that they are assumed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from airflow_provider_faceswap.exceptions import JobLostError
from airflow_provider_faceswap.jobs import Job, JobState
from airflow_provider_faceswap.vendors.arguments import Arguments, HttpsUrl, HttpUrl, Json, WholeNumber
from airflow_provider_faceswap.vendors.base import Accepts, Kind, Timing, Vendor
from airflow_provider_faceswap.vendors.history import ANY, Listing, same_request
from airflow_provider_faceswap.vendors.messages import (
    Reply,
    Request,
    as_id,
    as_object,
    as_word,
    clean,
    links_in,
    path_segment,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATES = {
    "starting": JobState.QUEUED,
    "processing": JobState.RUNNING,
    "succeeded": JobState.SUCCEEDED,
    "done": JobState.SUCCEEDED,  # the word of the v1 API
    "failed": JobState.FAILED,
    "canceled": JobState.CANCELED,
    "cancelled": JobState.CANCELED,
}

#: Record, inputs and outputs are removed this long after the creation (changelog of v2.2.0).
_RETENTION = timedelta(days=8)

#: Artworks on one page of the list: the most that the vendor gives.
_PAGE = 500
#: The vendor's own word for a kind, where it is another.
_TYPES = {"upscaling": "upscaling_v2"}
#: What the vendor may show of a face swap although it was not sent: its documented defaults.
_FACE_SWAP_FILLERS = {"denoising": (3,), "outputFormat": ("auto", "webp")}

Strength = Annotated[WholeNumber, Field(ge=1, le=5)]
Seed = Annotated[WholeNumber, Field(ge=1, le=2_147_483_647)]
Format = Literal["auto", "png", "webp"]


class FaceSwap(Arguments):
    """
    ``sourceImage`` donates the face here; at GPTunneL the same name receives it.

    ``seed`` and ``outputFormat`` stand in the newer revision only: an older server may refuse them, so they
    are sent only where the user set them.
    """

    target_image: HttpUrl = Field(serialization_alias="targetImage")
    face_image: HttpUrl = Field(serialization_alias="sourceImage")
    denoising: Strength | None = None
    seed: Seed | None = None
    output_format: Format | None = Field(None, serialization_alias="outputFormat")
    webhook: HttpsUrl | None = None


class Parameters(BaseModel):
    """
    An artwork's parameters under the vendor's own names.

    Those whose range is the same at every kind are checked; the others pass as they are, as JSON.
    """

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    __pydantic_extra__: dict[str, Json]

    denoising: Strength | None = None
    seed: Seed | None = None
    outputFormat: Format | None = None  # noqa: N815 - the vendor's name
    imageUrl: HttpUrl | None = None  # noqa: N815 - the vendor's name
    webhook: HttpsUrl | None = None


class Artwork(Arguments):
    """Every kind but the face swap."""

    parameters: Parameters
    webhook: HttpsUrl | None = None

    def to_wire(self) -> dict[str, Any]:
        """The parameters stand at the top of the body, beside the webhook."""
        body: dict[str, Any] = self.parameters.model_dump(mode="json", exclude_none=True)
        return {**body, "webhook": self.webhook} if self.webhook else body


def _artwork(name: str, path: str | None = None, **required: Any) -> Kind:
    """Describe one kind: its path, and the parameters that its page marks as required."""
    fields: dict[str, Any] = {field: (kind, ...) for field, kind in required.items()}
    parameters = create_model(f"{name}_parameters", __base__=Parameters, **fields)
    arguments = create_model(name, __base__=Artwork, parameters=(parameters, ...))
    where = path or f"/v2/artworks/{name.replace('_', '-')}"
    return Kind(where, arguments, Timing(first=3, cap=20), _RETENTION)


class Tengrai(Vendor):
    """Tengrai's wire."""

    name = "tengrai"
    #: Assumed: no page that could be read names the host.
    default_base_url = "https://api.tengr.ai"
    version_prefix = "/v2"
    #: Assumed: a read just after the create may meet a replica that has not got it yet.
    not_found_grace = 15.0
    connection_arguments = ("webhook",)
    kinds: ClassVar[Mapping[str, Kind]] = {
        # Links only; formats and sizes are not stated for the face swap.
        "face_swap": Kind(
            "/v2/artworks/face-swap",
            FaceSwap,
            Timing(first=3, cap=20),
            _RETENTION,
            media={"target_image": Accepts(), "face_image": Accepts()},
        ),
        "selena": _artwork("selena"),
        "selena_variete": _artwork("selena_variete", imageUrl=HttpUrl),
        "quantum": _artwork("quantum"),
        "hamilton": _artwork("hamilton"),
        "photo_pilot": _artwork(
            "photo_pilot",
            imageUrl=HttpUrl,
            imageGuidance=Annotated[WholeNumber, Field(ge=1, le=3)],
            modification=Strength,
            creativity=Strength,
            effort=Strength,
        ),
        "face_refiner": _artwork("face_refiner", imageUrl=HttpUrl),
        "upscaling": _artwork("upscaling", imageUrl=HttpUrl),
        "detailer_upscaler": _artwork("detailer_upscaler", imageUrl=HttpUrl),
        "remove_background": _artwork("remove_background", imageUrl=HttpUrl),
        "segmentation": _artwork("segmentation", imageUrl=HttpUrl, method=Literal["text", "points"]),
        "depth_map": _artwork("depth_map", imageUrl=HttpUrl),
        "style_dna_anchor": _artwork("style_dna_anchor", "/v2/style-dna/generate-anchor"),
        "style_dna": _artwork(
            "style_dna",
            "/v2/style-dna/generate",
            visualPrompt=Annotated[str, Field(min_length=1)],
            anchorImageUrl=HttpUrl,
            description=Annotated[str, Field(min_length=1)],
        ),
    }

    def fetch(self, kind: str, job_id: str) -> Request:  # noqa: ARG002 - one endpoint for all kinds
        """One endpoint reads every kind."""
        return Request("GET", f"/v2/artworks/{path_segment(job_id)}")

    def history(self, since: datetime, until: datetime, page: int) -> Request:  # noqa: ARG002 - no such filter
        """The list's page speaks of filters by date and names none; the order is not documented either."""
        return Request("GET", "/v2/artworks", params={"offset": str(page * _PAGE), "limit": str(_PAGE)})

    def account(self) -> Request:
        """There is no balance call; a list of one proves key and domain, and is free."""
        return Request("GET", "/v2/artworks", params={"limit": "1"})

    def headers(self, key: str, options: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002 - nothing to set
        """A bearer token on every endpoint."""
        return {"Authorization": f"Bearer {key}"}

    def _read_job(self, kind: str, reply: Reply, *, job_id: str | None = None) -> Job:
        """Read an artwork object; 200, 201 and 202 are all answers to a create."""
        body = reply.fields
        named = self.job_named(reply)
        # A job in the body is a job, whatever the HTTP status says; but an id alone may be that of a refusal.
        says_more = any(isinstance(body.get(key) or None, str) for key in ("artworkType", "status"))
        if not reply.ok and not (named and says_more):
            if job_id is not None and reply.status_code == 404:
                raise JobLostError(
                    f"the job is unknown, or older than {_RETENTION.days} days: {_text(reply)}",
                    vendor=self.name,
                    job_id=job_id,
                )
            raise self.refusal(reply, _text(reply), code=body.get("error"), job_id=job_id)
        if not named:
            raise self.malformed(reply, "the answer has no job id", job_id=job_id)
        status = as_word(body.get("status") or "")
        state = _STATES.get(status.casefold(), JobState.RUNNING)
        # No documented field carries a reason; these are looked at in case one does.
        reasons = (body.get(key) for key in ("error", "message", "failureReason"))
        failure = clean(next((reason for reason in reasons if reason), ""))
        return Job(
            vendor=self.name,
            kind=kind,
            job_id=named if job_id is None else job_id,
            state=state,
            status=status,
            # The page's sample shows a filled list while starting: it is filler, not a result.
            urls=links_in(body.get("results")) if state is JobState.SUCCEEDED else (),
            failure=failure or None,
            failure_reason=self.failure_reason(failure),
            created_at=_moment(body.get("createdAt")),
        )

    def job_named(self, reply: Reply) -> str:
        """An artwork's ``id``."""
        return as_id(reply.fields.get("id"))

    def read_history(
        self, kind: str, request: Request, reply: Reply, since: datetime, until: datetime
    ) -> Listing:
        """A bare array of artworks, each with the parameters it was created with."""
        artworks = self._artworks(reply)
        fitting = (
            job_id
            for artwork in map(as_object, artworks)
            if (job_id := as_id(artwork.get("id")))
            and (created := _moment(artwork.get("createdAt"))) is not None
            and since <= created <= until
            and _is_of(kind, request, artwork)
        )
        return Listing(tuple(fitting), more=len(artworks) >= _PAGE)

    def matches_request(self, kind: str, request: Request, reply: Reply) -> bool:
        """An artwork repeats its parameters."""
        return _is_of(kind, request, reply.fields)

    def read_account(self, reply: Reply) -> str:
        """A bare array of artworks; nothing else is told of the account."""
        self._artworks(reply)
        return "the key may read artworks; this vendor tells neither balance nor limits"

    def _artworks(self, reply: Reply) -> list[Any]:
        if not reply.ok:
            raise self.refusal(reply, _text(reply), code=reply.fields.get("error"))
        if not isinstance(reply.body, list):
            raise self.malformed(reply, "the answer is not a list of artworks")
        return reply.body


def _is_of(kind: str, request: Request, artwork: Mapping[str, Any]) -> bool:
    """Whether an artwork is of this kind and has the parameters of this request."""
    sent, shown = dict(request.body or {}), as_object(artwork.get("parameters"))
    if "webhook" not in shown:  # whether the vendor repeats it is not known
        sent.pop("webhook", None)
    fillers = {"seed": ANY, **(_FACE_SWAP_FILLERS if kind == "face_swap" else {})}
    return artwork.get("artworkType") == _TYPES.get(kind, kind) and same_request(sent, shown, fillers)


def _text(reply: Reply) -> str:
    """``message`` is a string on the pages; a validation error may hold a list of them (assumed)."""
    message = reply.fields.get("message")
    if isinstance(message, list):
        message = "; ".join(str(part) for part in message)
    return clean(message or reply.text)


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
