"""
Arguments of GPTunneL's jobs.

Facts are from the vendor's pages (docs.gptunnel.ru), unless a comment names public clients.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from airflow_provider_faceswap.foundation.rendered import is_text_of_result
from airflow_provider_faceswap.vendors.arguments import (
    Arguments,
    HttpUrl,
    JobId,
    Json,
    MediaUrl,
    Text,
    WholeNumber,
    inline_media,
    media_url,
)

if TYPE_CHECKING:
    from typing import Self

#: The faceswap page lists these two and not WebP.
PICTURES = frozenset({"image/png", "image/jpeg"})
#: What to do if a template has turned an object into text.
OPTIONS_ADVICE = "give a dict, or set render_template_as_native_obj=True on the Dag"
_RATIO = r"^\d+:\d+$"
_PNG = b"\x89PNG\r\n\x1a\n"


def _picture(value: str) -> str:
    """Accept a URL, as in the vendor's documentation, or a data URI, as in public clients."""
    if value.startswith("data:"):
        inline_media(value, PICTURES)
        return value
    return media_url(value)


def _mask(value: str) -> str:
    """Accept a PNG as bare base64, as the inpaint page asks for, or as a data URI."""
    if not value or is_text_of_result(value):
        media_url(value)  # says what it is
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


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_options(value: Any) -> Any:
    """Refuse the text that a template has made of an object."""
    if isinstance(value, str):
        raise ValueError(f"must be an object, and is a text: {OPTIONS_ADVICE}")  # noqa: TRY004 - for pydantic
    return value


Picture = Annotated[str, AfterValidator(_picture)]
GridPosition = Annotated[WholeNumber, Field(ge=1, le=4)]


class FaceSwap(Arguments):
    """``sourceImage`` is the target image here; at Tengrai it is the face image."""

    target_image: Picture = Field(serialization_alias="sourceImage")
    face_image: Picture = Field(serialization_alias="faceImage")
    enhance_face: bool | None = Field(None, serialization_alias="enhanceFace")
    enhance_background: bool | None = Field(None, serialization_alias="enhanceBackground")
    use_wallet_balance: bool | None = Field(None, serialization_alias="useWalletBalance")
    webhook: HttpUrl | None = None


class _Media(Arguments):
    """
    What both routes of the media API take.

    Any model id is accepted: the vendor adds models every month, and lists them when it refuses one. ``options`` are
    the fields of one model, under the vendor's own names; public clients send ``duration``, ``quality``, ``callback_url``
    and others.
    """

    model: Text = Field(min_length=1)
    prompt: Text = Field(min_length=1)
    images: Annotated[tuple[MediaUrl, ...], BeforeValidator(_as_list)] | None = None
    options: Annotated[dict[str, Json], BeforeValidator(_as_options)] | None = None

    @model_validator(mode="after")
    def _options_name_no_argument(self) -> Self:
        fields = type(self).model_fields
        own = {name: name for name in fields} | {
            field.serialization_alias: name for name, field in fields.items() if field.serialization_alias
        }
        clashes = {name: own[key] for name in self.options or {} if (key := name.strip().casefold()) in own}
        if clashes:
            given = ", ".join(f"{name} (use the argument {argument})" for name, argument in clashes.items())
            raise ValueError(f"options: must not set {given}")
        return self

    def to_wire(self) -> dict[str, Any]:
        """The request body, with the options at its top level."""
        body = super().to_wire()
        body.pop("options", None)
        return {**body, **(self.options or {})}


class Image(_Media):
    """The asynchronous route."""

    aspect_ratio: str | None = Field(None, pattern=_RATIO, serialization_alias="ar")


class Generate(_Media):
    """The synchronous route, whose page names the aspect ratio in full."""

    aspect_ratio: str | None = Field(None, pattern=_RATIO)
    size: Text | None = Field(None, min_length=1)
    response_format: Literal["url"] = "url"


class Imagine(Arguments):
    """A prompt for a 2x2 grid of pictures."""

    prompt: Text = Field(min_length=1)
    use_wallet_balance: bool | None = Field(None, serialization_alias="useWalletBalance")


class Upsample(Arguments):
    """One picture of a grid, numbered 1 to 4."""

    parent_job_id: JobId = Field(serialization_alias="taskId")
    image: GridPosition


class Variation(Arguments):
    """``image`` selects from a grid; ``mode`` is for an upsampled picture."""

    parent_job_id: JobId = Field(serialization_alias="taskId")
    image: GridPosition | None = None
    mode: Literal["high", "low"] | None = None

    @model_validator(mode="after")
    def _image_or_mode(self) -> Self:
        if self.image is None and self.mode is None:
            raise ValueError("give image (1-4) for a grid, or mode (high, low) for an upsampled picture")
        return self


class Inpaint(Arguments):
    """The vendor keeps the black parts of the mask and draws the white parts again."""

    parent_job_id: JobId = Field(serialization_alias="taskId")
    mask: Annotated[str, AfterValidator(_mask)]
    prompt: Text | None = None
