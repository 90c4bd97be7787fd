"""
Arguments of PiAPI's tasks.

Facts are from the vendor's pages (piapi.ai/docs), unless a comment names public clients.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from airflow_provider_faceswap.foundation.file_structure import dimensions
from airflow_provider_faceswap.foundation.rendered import as_text
from airflow_provider_faceswap.vendors.arguments import (
    Arguments,
    HttpUrl,
    Json,
    MediaUrl,
    Text,
    inline_media,
    media_url,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

#: 10 MB per file, on older versions of the pages and in public clients; on the page of the upload, too.
MAX_BYTES = 10_000_000
#: "Under 2048 x 2048". It is not clear whether 2048 itself is accepted, so the vendor decides.
MAX_SIDE = 2048
#: Fields of a task's input that are texts for every model.
_PROMPTS = {"prompt", "negative_prompt"}
PICTURES = frozenset({"image/png", "image/jpeg", "image/webp"})


def _picture(value: str) -> str:
    """Accept a URL, or a data URI, which is sent as bare base64: the page says "base64 string"."""
    if value.startswith("data:"):
        data = inline_media(value, PICTURES, MAX_BYTES)
        size = dimensions(io.BytesIO(data))
        if size is not None and max(size) > MAX_SIDE:
            raise ValueError(f"the inline picture is {size[0]} x {size[1]}, over {MAX_SIDE} x {MAX_SIDE}")
        return base64.b64encode(data).decode()
    return media_url(value)


def inline_doubts(sent: Mapping[str, Any]) -> dict[str, str]:
    """For each picture inside an input whose side has exactly the most pixels: what may be wrong with it."""
    doubts = {}
    for name in ("target_image", "swap_image"):
        value = sent.get(name)
        if not isinstance(value, str) or value.startswith("http"):
            continue
        size = dimensions(io.BytesIO(base64.b64decode(value)))
        if size is not None and max(size) >= MAX_SIDE:
            doubts[name] = f"{name} has {max(size)} pixels on a side, and the page says under {MAX_SIDE}"
    return doubts


def _indices(value: object) -> object:
    """Accept ``[0, 1]``, ``"0,1"``, ``"[0, 1]"`` or ``0``; the vendor expects ``"0,1"``."""
    if isinstance(value, str):
        value = [part for part in value.strip().strip("[]()").split(",") if part.strip()]
    given = value if isinstance(value, list | tuple) else [value]
    # int() would accept True and 0.7, too.
    texts = ["" if isinstance(part, bool | float) else str(part).strip() for part in given]
    if not texts or not all(map(str.isdecimal, texts)):
        raise ValueError("must be a list of face positions counted from 0")
    return ",".join(str(int(text)) for text in texts)


def _with_texts(value: Any) -> Any:
    """A task's input whose prompts are texts, although native rendering may have made numbers of them."""
    if not isinstance(value, dict):
        return value
    return {
        name: as_text(part) if name in _PROMPTS and isinstance(part, int | float) else part
        for name, part in value.items()
    }


Picture = Annotated[str, AfterValidator(_picture)]
Indices = Annotated[str, BeforeValidator(_indices)]


class AnyTask(Arguments):
    """Arguments that every task may have besides its input."""

    service_mode: Literal["public", "private"] | None = Field(None, exclude=True)
    webhook: HttpUrl | None = Field(None, exclude=True)
    webhook_secret: Text | None = Field(None, exclude=True, repr=False)

    def to_wire(self) -> dict[str, Any]:
        """The request body: the task, and its config if there is one."""
        config: dict[str, Any] = {}
        if self.service_mode:
            config["service_mode"] = self.service_mode
        if self.webhook:
            config["webhook_config"] = {"endpoint": self.webhook, "secret": self.webhook_secret or ""}
        return {**self.task(), "config": config} if config else self.task()

    def task(self) -> dict[str, Any]:
        """Model, task type and input."""
        return super().to_wire()


class _Toolkit(AnyTask):
    """A task whose arguments are its input."""

    model: ClassVar[str]
    task_type: ClassVar[str]

    def task(self) -> dict[str, Any]:
        return {"model": self.model, "task_type": self.task_type, "input": super().task()}


class FaceSwap(_Toolkit):
    """One face. If a picture has several, the vendor uses the largest."""

    model: ClassVar[str] = "Qubico/image-toolkit"
    task_type: ClassVar[str] = "face-swap"

    target_image: Picture
    face_image: Picture = Field(serialization_alias="swap_image")


class _Pairs(_Toolkit):
    """Pairs of faces, chosen by position."""

    target_faces: Indices | None = Field(None, serialization_alias="target_faces_index")
    source_faces: Indices | None = Field(None, serialization_alias="swap_faces_index")

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        lengths = [len(faces.split(",")) if faces else 0 for faces in (self.target_faces, self.source_faces)]
        if lengths[0] != lengths[1]:
            raise ValueError(
                f"target_faces and source_faces must be of the same length, got {lengths[0]} and {lengths[1]}"
            )
        return self


class MultiFaceSwap(_Pairs):
    """Several faces, paired by position; detection order is usually left to right."""

    model: ClassVar[str] = "Qubico/image-toolkit"
    task_type: ClassVar[str] = "multi-face-swap"

    target_image: Picture
    face_image: Picture = Field(serialization_alias="swap_image")


class VideoFaceSwap(_Pairs):
    """An MP4 of at most 600 frames, by URL."""

    model: ClassVar[str] = "Qubico/video-toolkit"
    task_type: ClassVar[str] = "face-swap"

    target_video: MediaUrl
    face_image: Picture = Field(serialization_alias="swap_image")


class Task(AnyTask):
    """Any task of the unified API, with the names of the vendor's pages."""

    model: Text = Field(min_length=1)
    task_type: Text = Field(min_length=1)
    input: Annotated[dict[str, Json], BeforeValidator(_with_texts)]
