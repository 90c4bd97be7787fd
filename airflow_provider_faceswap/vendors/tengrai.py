"""
Tengrai (Tengr.ai): face swap and every other artwork kind.

Facts are from the vendor's pages (docs.tengr.ai, v2), unless a comment says "assumed".
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model

from airflow_provider_faceswap.exceptions import JobLostError
from airflow_provider_faceswap.jobs import Job, JobState
from airflow_provider_faceswap.vendors.arguments import MediaUrl, Text, WholeNumber
from airflow_provider_faceswap.vendors.base import Vendor
from airflow_provider_faceswap.vendors.capabilities import Generation, History
from airflow_provider_faceswap.vendors.history import ANY, ListedJob, Listing, same_request
from airflow_provider_faceswap.vendors.kinds import Accepts, Kind, Timing
from airflow_provider_faceswap.vendors.messages import (
    Reply,
    Request,
    as_datetime,
    as_id,
    as_object,
    as_word,
    clean,
    links_in,
    path_segment,
)
from airflow_provider_faceswap.vendors.refusals import malformed, refusal
from airflow_provider_faceswap.vendors.tengrai_arguments import Artwork, FaceSwap, Parameters, Strength
from airflow_provider_faceswap.vendors.words import SHARED, texts_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

#: Status words: the pages have five, and v1 says ``done``. A spelling with two l is assumed.
STATES: Mapping[str, JobState] = {
    "starting": JobState.QUEUED,
    "processing": JobState.RUNNING,
    "succeeded": JobState.SUCCEEDED,
    "done": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "canceled": JobState.CANCELED,
    "cancelled": JobState.CANCELED,
}
#: The one key of the output, a list of links.
OUTPUT = "results"
#: Fields of a job that may have the reason for a failure: assumed, because no page documents one.
REASONS = ("error", "message", "failureReason")
#: Words of refusals and failures: no page has any, so the shared ones count.
WORDS = SHARED

#: The vendor removes record, inputs and outputs this long after the creation (changelog of v2.2.0).
_RETENTION = timedelta(days=8)

#: The artwork of a generated picture without a model.
_DEFAULT_ARTWORK = "selena"

#: Artworks on one page of the list: the vendor's maximum.
_PAGE = 500
#: The vendor's word for a kind, if it is not our own.
_TYPES = {"upscaling": "upscaling_v2"}
#: Values that the vendor may show although they were not sent, for every kind; ``auto`` and ``default`` by their names.
_DEFAULTS: Mapping[str, tuple[Any, ...]] = {"seed": ANY, "outputFormat": ("auto",), "nsfw": (False,)}
#: The parameters of kinds that draw.
_DRAWN = {"prompt": ("cat",), "promptMode": ("servitor",), "style": ("default",)}
_SELENA = {**_DRAWN, "batch": (2,), "creativity": (3,), "details": (3,)}
#: The same for one kind, from its page.
_KIND_DEFAULTS: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "face_swap": {"denoising": (3,), "outputFormat": ("auto", "webp")},
    "selena": _SELENA,
    "selena_variete": {**_SELENA, "denoising": (3,)},
    "quantum": _DRAWN,
    "hamilton": {**_DRAWN, "creativity": (3,), "effort": (3,)},
    "face_refiner": {"denoising": (3,)},
    "upscaling": {"scaleFactor": (2,)},
    "detailer_upscaler": {"scaleFactor": (2,), "details": (2,), "modification": (2,)},
    "segmentation": {
        "textConfidence": (0.2,),
        "textMaxDetections": (-1,),
        "textCombineMasks": (True,),
        "maskExpand": (0,),
        "maskBlurSigma": (0.1,),
        "maskKernelSize": (0,),
    },
    "depth_map": {"resolutionLowerLimit": (1024,)},
    "style_dna": {"imageFormat": ("png",)},
}


def _artwork(name: str, path: str | None = None, **required: Any) -> Kind:
    """One kind: its path, and the parameters that its page marks as required."""
    fields: dict[str, Any] = {field: (kind, ...) for field, kind in required.items()}
    parameters = create_model(
        f"{name}_parameters", __base__=Parameters, __module__=Parameters.__module__, **fields
    )
    arguments = create_model(name, __base__=Artwork, parameters=(parameters, ...))
    where = path or f"/v2/artworks/{name.replace('_', '-')}"
    return Kind(where, arguments, Timing(first=3, cap=20), _RETENTION)


def _error_text(reply: Reply) -> str:
    """The ``message``: a string on the pages, assumed to be a list in a validation error."""
    message = reply.fields.get("message")
    if isinstance(message, list):
        message = "; ".join(str(part) for part in message)
    return clean(message or reply.text)


def _artworks(reply: Reply) -> list[Any]:
    """
    The artworks in a list reply.

    :raises VendorError: The reply is a refusal, or not a list.
    """
    if not reply.ok:
        raise refusal("tengrai", reply, _error_text(reply), code=reply.fields.get("error"), words=WORDS)
    if not isinstance(reply.body, list):
        raise malformed("tengrai", reply, "the reply is not a list of artworks")
    return reply.body


def _matches(kind: str, request: Request, artwork: Mapping[str, Any]) -> bool:
    """Whether an artwork has this kind and the parameters of this request."""
    sent, shown = dict(request.body or {}), as_object(artwork.get("parameters"))
    if "webhook" not in shown:  # the pages do not say whether the vendor repeats it
        sent.pop("webhook", None)
    defaults = {**_DEFAULTS, **_KIND_DEFAULTS.get(kind, {})}
    return artwork.get("artworkType") == _TYPES.get(kind, kind) and same_request(sent, shown, defaults)


def _list_request(since: datetime, until: datetime, page: int) -> Request:  # noqa: ARG001 - no such filter
    """
    The request for one page of the artwork list.

    It has no date filter, because the vendor documents neither the filters' names nor the order of the list.
    """
    return Request("GET", "/v2/artworks", params={"offset": str(page * _PAGE), "limit": str(_PAGE)})


def _read_list(kind: str, request: Request, reply: Reply, since: datetime, until: datetime) -> Listing:
    artworks = _artworks(reply)
    matching = (
        job_id
        for artwork in map(as_object, artworks)
        if (job_id := as_id(artwork.get("id")))
        and (created := as_datetime(artwork.get("createdAt"))) is not None
        and since <= created <= until
        and _matches(kind, request, artwork)
    )
    return Listing(tuple(matching), more=len(artworks) >= _PAGE)


def _read_jobs(reply: Reply) -> tuple[list[ListedJob], bool]:
    """The artworks; the vendor reports no cost."""
    artworks = [as_object(artwork) for artwork in _artworks(reply)]
    listed = [
        ListedJob(
            as_id(artwork.get("id")),
            as_word(artwork.get("artworkType") or ""),
            as_word(artwork.get("status") or ""),
            as_datetime(artwork.get("createdAt")),
        )
        for artwork in artworks
        if as_id(artwork.get("id"))
    ]
    return listed, len(artworks) >= _PAGE


def _generated(arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """An artwork, which the model names; the prompt and all else are its parameters."""
    named = {name: value for name, value in arguments.items() if value is not None}
    outer = {name: named.pop(name) for name in ("webhook",) if name in named}
    kind = str(named.pop("model", _DEFAULT_ARTWORK)).strip().replace("-", "_")
    return kind, {**outer, "parameters": named}


class Tengrai(Vendor):
    """Tengrai's API."""

    name = "tengrai"
    #: Assumed: no page names the host.
    default_base_url = "https://api.tengr.ai"
    cost_unit = ""
    version_prefix = "/v2"
    #: Assumed: a read just after the submission may reach a replica that does not have the job yet.
    not_found_grace = 15.0
    history = History(
        _list_request,
        _read_list,
        lambda kind, request, reply: _matches(kind, request, reply.fields),
        _read_jobs,
    )
    states = STATES
    words = WORDS
    generation = Generation(_generated)
    connection_arguments = ("webhook",)
    kinds: ClassVar[Mapping[str, Kind]] = {
        # Links only. The page states no formats or sizes.
        "face_swap": Kind(
            "/v2/artworks/face-swap",
            FaceSwap,
            Timing(first=3, cap=20),
            _RETENTION,
            media={"target_image": Accepts(), "face_image": Accepts()},
        ),
        "selena": _artwork("selena"),
        "selena_variete": _artwork("selena_variete", imageUrl=MediaUrl),
        "quantum": _artwork("quantum"),
        "hamilton": _artwork("hamilton"),
        "photo_pilot": _artwork(
            "photo_pilot",
            imageUrl=MediaUrl,
            imageGuidance=Annotated[WholeNumber, Field(ge=1, le=3)],
            modification=Strength,
            creativity=Strength,
            effort=Strength,
        ),
        "face_refiner": _artwork("face_refiner", imageUrl=MediaUrl),
        "upscaling": _artwork("upscaling", imageUrl=MediaUrl),
        "detailer_upscaler": _artwork("detailer_upscaler", imageUrl=MediaUrl),
        "remove_background": _artwork("remove_background", imageUrl=MediaUrl),
        "segmentation": _artwork("segmentation", imageUrl=MediaUrl, method=Literal["text", "points"]),
        "depth_map": _artwork("depth_map", imageUrl=MediaUrl),
        "style_dna_anchor": _artwork("style_dna_anchor", "/v2/style-dna/generate-anchor"),
        "style_dna": _artwork(
            "style_dna",
            "/v2/style-dna/generate",
            visualPrompt=Annotated[Text, Field(min_length=1)],
            anchorImageUrl=MediaUrl,
            description=Annotated[Text, Field(min_length=1)],
        ),
    }

    def fetch(self, kind: str, job_id: str) -> Request:  # noqa: ARG002 - one endpoint for all kinds
        """One endpoint for every kind."""
        return Request("GET", f"/v2/artworks/{path_segment(job_id)}")

    def account(self, options: Mapping[str, Any]) -> Request:  # noqa: ARG002 - nothing to choose
        """A list of one artwork: it proves key and domain. The vendor has no call for the balance."""
        return Request("GET", "/v2/artworks", params={"limit": "1"})

    def headers(self, key: str, options: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002 - nothing to set
        """A bearer token on every endpoint."""
        return {"Authorization": f"Bearer {key}"}

    def _read_job(self, kind: str, reply: Reply, *, job_id: str | None = None) -> Job:
        """Read an artwork object. The reply to a submission has status 200, 201 or 202."""
        body = reply.fields
        found_id = self.job_id_in(reply)
        # A job in the body is a job, whatever the HTTP status. An id alone may be the id of a refusal.
        is_job = any(isinstance(body.get(key) or None, str) for key in ("artworkType", "status"))
        if not reply.ok and not (found_id and is_job):
            text = _error_text(reply)
            # The server writes "Cannot GET" for a path that it does not have, which says nothing about the job.
            if job_id is not None and reply.status_code == 404 and not text.startswith("Cannot "):
                raise JobLostError(
                    f"the job is unknown, or older than {_RETENTION.days} days: {text}",
                    vendor=self.name,
                    job_id=job_id,
                )
            raise refusal(self.name, reply, text, code=body.get("error"), job_id=job_id, words=WORDS)
        if not found_id:
            raise malformed(self.name, reply, "the reply has no job id", job_id=job_id)
        status = as_word(body.get("status") or "")
        state = self.state(status)
        reasons = texts_in(*(body.get(key) for key in REASONS))
        failure = clean(WORDS.most_telling(reasons))
        return Job(
            vendor=self.name,
            kind=kind,
            job_id=found_id if job_id is None else job_id,
            state=state,
            status=status,
            # The page shows a filled list while the status is "starting": it is a placeholder, not a result.
            urls=links_in(body.get(OUTPUT)) if state is JobState.SUCCEEDED else (),
            failure=failure or None,
            failure_reason=self.words.reason(reasons),
            created_at=as_datetime(body.get("createdAt")),
        )

    def job_id_in(self, reply: Reply) -> str:
        """The artwork's ``id``."""
        return as_id(reply.fields.get("id"))

    def is_own_reply(self, reply: Reply) -> bool:
        """The documented error: a ``message`` and a number as ``statusCode``."""
        return bool(reply.fields.get("message")) and isinstance(reply.fields.get("statusCode"), int)

    def read_account(self, reply: Reply) -> str:
        """The vendor reports nothing about the account."""
        _artworks(reply)
        return "the key may read artworks; this vendor reports neither balance nor limits"
