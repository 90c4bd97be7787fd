"""
Arguments of Tengrai's jobs.

Facts are from the vendor's pages (docs.tengr.ai, v2).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_faceswap.vendors.arguments import Arguments, HttpsUrl, Json, MediaUrl, Text, WholeNumber

Strength = Annotated[WholeNumber, Field(ge=1, le=5)]
Seed = Annotated[WholeNumber, Field(ge=1, le=2_147_483_647)]
Format = Literal["auto", "png", "webp"]


class FaceSwap(Arguments):
    """
    ``sourceImage`` is the face image here; at GPTunneL it is the target image.

    ``seed`` and ``outputFormat`` are in the newer revision of the API only. An older server may refuse them, so they
    are sent only if the user sets them.
    """

    target_image: MediaUrl = Field(serialization_alias="targetImage")
    face_image: MediaUrl = Field(serialization_alias="sourceImage")
    denoising: Strength | None = None
    seed: Seed | None = None
    output_format: Format | None = Field(None, serialization_alias="outputFormat")
    webhook: HttpsUrl | None = None


class Parameters(BaseModel):
    """
    An artwork's parameters under the vendor's own names.

    Parameters with the same range in every kind are checked; the others are passed on as JSON.
    """

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    __pydantic_extra__: dict[str, Json]

    prompt: Text | None = None
    negativePrompt: Text | None = None  # noqa: N815 - the vendor's name
    textPrompt: Text | None = None  # noqa: N815 - the vendor's name
    denoising: Strength | None = None
    seed: Seed | None = None
    outputFormat: Format | None = None  # noqa: N815 - the vendor's name
    imageUrl: MediaUrl | None = None  # noqa: N815 - the vendor's name
    webhook: HttpsUrl | None = None


class Artwork(Arguments):
    """Every kind except the face swap."""

    parameters: Parameters
    webhook: HttpsUrl | None = None

    def to_wire(self) -> dict[str, Any]:
        """The request body: the parameters at the top level, beside the webhook."""
        body: dict[str, Any] = self.parameters.model_dump(mode="json", exclude_none=True)
        return {**body, "webhook": self.webhook} if self.webhook else body
