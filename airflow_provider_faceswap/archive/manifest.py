"""The manifest beside each archived file: what the file is, and where it came from."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from airflow_provider_faceswap import __version__
from airflow_provider_faceswap.foundation.iterations import iteration_of
from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.foundation.signed_links import unsigned
from airflow_provider_faceswap.foundation.text import safe_json
from airflow_provider_faceswap.lifecycle.provenance import chain_of
from airflow_provider_faceswap.storage.places import place_of

if TYPE_CHECKING:
    from airflow_provider_faceswap.archive.sources import ArchiveSource


#: The part of a result's provenance with the fingerprint of its request, and the folder that is searched for it.
REUSE = "reuse"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Archived(_Frozen):
    """
    An archived file.

    :param uri: Where the file is.
    :param manifest_uri: Where its manifest is.
    :param bytes: Its size.
    :param sha256: In hex.
    :param width: Pixels; ``None`` for a video, or if the file's header does not say.
    """

    uri: str
    manifest_uri: str
    media_type: str
    bytes: int
    sha256: str
    width: int | None
    height: int | None


class RunInfo(_Frozen):
    """
    The task attempt that a manifest names; empty for a command, which is not a task.

    :param iteration: The iteration of a task loop, from 0; left out of the manifest outside a loop.
    """

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    try_number: int | None = None
    iteration: int | None = None

    @classmethod
    def of(cls, task_instance: Any) -> Self:
        """The attempt of this task instance."""
        named = {name: getattr(task_instance, name, None) for name in cls.model_fields}
        return cls(**{**named, "iteration": iteration_of(task_instance)})

    @model_serializer(mode="wrap")
    def _as_json(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = plain(self)
        if self.iteration is None:
            fields.pop("iteration", None)
        return fields

    def is_earlier_attempt_of(self, other: RunInfo) -> bool:
        """True for an earlier attempt of the same task instance."""
        if self.try_number is None or other.try_number is None or self.try_number >= other.try_number:
            return False
        return self.model_copy(update={"try_number": other.try_number}) == other


class _Source(_Frozen):
    """
    The output in the file: its link without the query, and its place among the job's outputs, from 1.

    :param link: Of a bare link, a hash of the whole link without a signature; not in manifests of version 0.1.0.
    """

    url: str | None = None
    output: int | None = None
    outputs: int | None = None
    link: str | None = None

    @model_serializer(mode="wrap")
    def _as_json(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = plain(self)
        if self.link is None:
            fields.pop("link", None)
        return fields


class KeptThumbnail(_Frozen):
    """
    A small JPEG of the output or of an input, beside the file.

    :param sha256: Its hash in hex, which is in its name; ``None`` if there is none.
    :param missing: Why there is none.
    """

    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    missing: str | None = None


class Approval(_Frozen):
    """
    What a person answered about a result before it was published.

    :param option: The option that was chosen, such as ``Approve``.
    :param by: The person: ``id`` and ``name`` in Airflow; ``None`` if nobody answered in time and a default was used.
    :param at: When, in ISO 8601.
    """

    option: str
    by: dict[str, str] | None = None
    at: str | None = None


class Manifest(_Frozen):
    """
    The content of a manifest. Nothing in it gives access to anything.

    :param job: The job that made the file; ``None`` for a bare link.
    :param parents: The jobs before it, the nearest first.
    :param thumbnails: By role: ``output``, or the name of the argument that was the input.
    :param approval: Who approved it, for a file that was published after an approval.
    :param request: The fingerprint of the job's request without its account, if the same request may use the file again.
    """

    version: int = 1
    file: Archived
    source: _Source
    job: dict[str, Any] | None
    parents: list[dict[str, Any]] = []
    airflow: RunInfo = RunInfo()
    thumbnails: dict[str, KeptThumbnail] = {}
    approval: Approval | None = None
    request: str | None = None
    archived_at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat())
    package: dict[str, str] = {"name": "airflow-provider-faceswap", "version": __version__}

    @model_serializer(mode="wrap")
    def _as_json(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = plain(self)
        if not self.thumbnails:
            fields.pop("thumbnails", None)
        if self.approval is None:
            fields.pop("approval", None)
        if self.request is None:
            fields.pop("request", None)
        return fields

    @classmethod
    def of(cls, source: ArchiveSource, file: Archived, run: RunInfo) -> Self:
        """The manifest of a file that is about to be written."""
        job, parents, request = None, [], None
        if source.result is not None:
            mark = (source.result.provenance or {}).get(REUSE)
            request = mark.get("key") if isinstance(mark, dict) else None
            first, *parents = chain_of(source.result)
            job = {
                **first,
                **source.result.model_dump(mode="json", include={"expires_at", "attempt_reused"}),
            }
        return cls(
            file=file,
            source=_Source(
                url=bare_url(source.url) if source.url else None,
                output=source.position + 1,
                outputs=source.of,
                link=_hash_of(source.url) if source.url and job is None else None,
            ),
            job=job,
            parents=parents,
            airflow=run,
            request=request if isinstance(request, str) else None,
        )

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """
        Read a manifest's file, which anybody may have changed.

        :raises ValueError: It is not a manifest.
        """
        try:
            return cls.model_validate(safe_json(json.loads(text)))
        except RecursionError:
            raise ValueError("nested too deep") from None

    def to_json(self) -> bytes:
        """The text of the manifest's file."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False).encode()

    @property
    def origin(self) -> str:
        """The job and the output in the file; for a bare link, the link."""
        if self.job is None:
            return str(self.source.url)
        return output_of(self.source.output, self.job.get("vendor"), self.job.get("job_id"))

    @property
    def key(self) -> str:
        """What tells this origin from every other."""
        return f"{self.origin} {self.source.link or ''}"

    def is_of(self, path: object) -> bool:
        """True if it says that it describes the file at this path; it may have been copied or planted there."""
        return place_of(self.file.uri) == place_of(str(path))

    def has_origin_of(self, new: Manifest) -> bool:
        """True if both describe the same output of the same job, or the same link."""
        if self.job is None and self.source.link is None and new.source.link is not None:
            # A manifest of version 0.1.0, which does not tell links apart that differ in the query only.
            same_link = (
                new.source.link == _hash_of(str(new.source.url)) or self.file.sha256 == new.file.sha256
            )
            return self.origin == new.origin and same_link
        return self.key == new.key

    def is_same_picture(self, new: Manifest) -> bool:
        """True if both describe the same output, and their files are identical."""
        return self.has_origin_of(new) and self.file.sha256 == new.file.sha256


def output_of(number: int | None, vendor: object, job_id: object) -> str:
    """An output of a job, in words that no other output has."""
    return f"output {number} of {vendor} job {job_id}"


def _hash_of(link: str) -> str:
    return hashlib.sha256(str(unsigned(link)).encode()).hexdigest()[:32]
