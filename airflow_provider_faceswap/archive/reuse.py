"""A request that was archived before: its result, its picture as a source, and its entry in the index."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_faceswap.archive.entries import ReusableJob
from airflow_provider_faceswap.archive.index import Index
from airflow_provider_faceswap.archive.manifest import REUSE, Archived, Manifest, RunInfo, output_of
from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    FaceSwapError,
    InvalidRequestError,
    TooLargeError,
)
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.http.body import Downloaded
from airflow_provider_faceswap.jobs import Cost, JobResult
from airflow_provider_faceswap.storage.files import PART, holds, read, usable_path
from airflow_provider_faceswap.storage.local_files import allowed
from airflow_provider_faceswap.storage.places import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.archive.sources import ArchiveSource


def mark_of(key: str, folder: object) -> dict[str, str]:
    """What a result says about its request, so that the archive can write its entry."""
    return {"key": key, "from": str(folder)}


def result_of_archived(manifests: Sequence[Manifest], folder: ObjectStoragePath, unit: str) -> JobResult:
    """
    The result of a request that was archived before.

    :param manifests: The manifests of its outputs, as the index found them.
    :param folder: The archive's folder, with its connection.
    :param unit: The unit of the cost, which is 0.
    """
    job = ReusableJob.of(manifests[0])
    root = place_of(str(folder)).rstrip("/") + "/"
    urls = tuple(str(folder / place_of(found.file.uri).removeprefix(root)) for found in manifests)
    return JobResult(
        vendor=job.vendor,
        kind=job.kind,
        job_id=job.job_id,
        conn_id=job.conn_id or "",
        url=urls[0],
        urls=urls,
        cost=Cost(amount=0.0, unit=job.cost.unit if job.cost else unit),
        submitted_at=job.submitted_at or job.archived_at,
        finished_at=job.finished_at or job.archived_at,
        attempt_reused=True,
        provenance={
            "arguments": job.arguments or {},
            "parents": manifests[0].parents,
            REUSE: {"sha256": [found.file.sha256 for found in manifests]},
        },
        reused_from=f"{urls[0]}.json",
    )


def is_reused(source: ArchiveSource) -> bool:
    """True if a source is an archived picture, and not a link to one at a vendor."""
    return (
        source.result is not None
        and source.result.reused_from is not None
        and source.url is not None
        and not source.url.lower().startswith(("http://", "https://"))
    )


def _path(source: ArchiveSource) -> ObjectStoragePath:
    try:
        return allowed(usable_path(source.url))
    except (ValueError, ImportError) as error:
        if isinstance(error, FaceSwapError):
            raise
        raise InvalidRequestError(
            f"source: this Airflow has no storage for {place_of(str(source.url))}",
            advice="Nothing was archived. Install the storage's provider.",
        ) from None


def whole(path: ObjectStoragePath) -> Manifest | None:
    """
    The manifest of an archived file; ``None`` unless the file is the one that it describes.

    :raises Exception: The storage's own error.
    """
    manifest = _manifest_of(path)
    if manifest is None or not manifest.is_of(path):
        return None
    return manifest if holds(path, manifest.file.bytes, manifest.file.sha256) else None


def _manifest_of(path: ObjectStoragePath) -> Manifest | None:
    manifest_path = path.with_name(f"{path.name}.json")
    try:
        return Manifest.parse(read(manifest_path))
    except (FileNotFoundError, IsADirectoryError, ValueError):
        return None


def already_at(
    source: ArchiveSource, place_for: Callable[[Manifest, ObjectStoragePath], ObjectStoragePath]
) -> Archived | None:
    """
    The archived file of a reused source where it is to be, so that there is nothing to write.

    :param place_for: Where it is to be, by its manifest and where it is now.
    :returns: ``None`` if it is not there, is not whole, or is another picture.
    """
    path = _path(source)
    original = source.checked or whole(path)
    if original is None or not _is_of(original, source):
        return None
    place = place_for(original, path)
    if place_of(str(place)) == place_of(str(path)):
        return original.file.model_copy(update={"uri": str(source.url), "manifest_uri": f"{source.url}.json"})
    try:
        copy = whole(place)
    except Exception:  # noqa: BLE001 - a store that may be written to but not read: it is written again
        return None
    if copy is None or not copy.is_same_picture(original):
        return None
    return copy.file.model_copy(update={"uri": str(place), "manifest_uri": f"{place}.json"})


def copied(source: ArchiveSource, into: BinaryIO, max_bytes: int) -> Downloaded:
    """
    Read the archived picture of a reused source.

    :raises ArchiveError: It cannot be read any more, is too large, or was replaced by another picture.
    """
    path = _path(source)
    digest, size = hashlib.sha256(), 0
    try:
        with path.fs.open(path.path, "rb") as file:
            while size <= max_bytes and (part := file.read(PART)):
                size += len(part)
                digest.update(part)
                into.write(part)
        is_its = digest.hexdigest() == _sha256_of(source) or _is_beside(path, source, digest.hexdigest())
    except Exception as error:  # noqa: BLE001 - every storage has its own errors
        raise ArchiveError(
            f"the archived picture {place_of(str(path))} could not be read ({error_line(error)})",
            advice="Clear the task that named it: it is bought again if it is not in its archive any more.",
        ) from None
    if size > max_bytes:
        raise TooLargeError(f"{place_of(str(path))} is larger than the limit of {max_bytes} bytes")
    if not is_its:
        raise ArchiveError(
            f"the archived picture {place_of(str(path))} was replaced meanwhile, and is not {_origin_of(source)} any more",
            advice="Nothing was archived. Clear the task that named it: it buys the picture, or finds it again.",
        )
    into.seek(0)
    return Downloaded(size, digest.hexdigest())


def _origin_of(source: ArchiveSource) -> str | None:
    """The output that a source's result names, as a manifest says its origin."""
    result = source.result
    return None if result is None else output_of(source.position + 1, result.vendor, result.job_id)


def _is_of(manifest: Manifest, source: ArchiveSource) -> bool:
    """True if a manifest describes the output that a source's result names."""
    return manifest.job is not None and manifest.origin == _origin_of(source)


def _sha256_of(source: ArchiveSource) -> str | None:
    """The hash of a reused source's picture when the index named it; ``None`` if the result does not say it."""
    if source.checked is not None:
        return source.checked.file.sha256
    mark = ((source.result and source.result.provenance) or {}).get(REUSE)
    known = mark.get("sha256") if isinstance(mark, dict) else None
    if not isinstance(known, list) or source.position >= len(known):
        return None
    return str(known[source.position])


def _is_beside(path: ObjectStoragePath, source: ArchiveSource, sha256: str) -> bool:
    """
    True if the manifest beside a file says that it is the output of a source: it was archived again.

    :param sha256: Of the file.
    :raises Exception: The manifest could not be read.
    """
    manifest = _manifest_of(path)
    return (
        manifest is not None
        and manifest.is_of(path)
        and _is_of(manifest, source)
        and manifest.file.sha256 == sha256
    )


def record_requests(
    folder: ObjectStoragePath, sources: Iterable[ArchiveSource], archived: Iterable[Archived]
) -> list[str]:
    """
    Write the index entries of requests whose outputs were all archived just now.

    The entry goes where its task searches, if that is this folder or one above it, else into this folder. The claim ends in
    either case.

    :returns: Lines about entries that could not be written, or that no task searches for: the pictures are archived all
        the same.
    """
    made: dict[tuple[str, str], dict[int, Manifest]] = defaultdict(dict)
    wanted: dict[tuple[str, str], int] = {}
    for source, file in zip(sources, archived, strict=True):
        provenance = (source.result.provenance if source.result else None) or {}
        mark = provenance.get(REUSE)
        if isinstance(mark, dict) and isinstance(mark.get("key"), str) and not is_reused(source):
            request = (mark["key"], str(mark.get("from") or ""))
            made[request][source.position] = Manifest.of(source, file, RunInfo())
            wanted[request] = source.of
    problems: dict[str, None] = {}
    for (key, searched), found in made.items():
        if len(found) < wanted[key, searched]:
            continue
        manifests = [found[place] for place in sorted(found)]
        try:
            here = place_of(str(folder)).rstrip("/") + "/"
            above = bool(searched) and here.startswith(place_of(searched).rstrip("/") + "/")
            Index(usable_path(searched) if above else folder).record(key, manifests)
            if searched and not above:
                problems[_is_elsewhere(folder, searched)] = None
                # Nobody would find the picture there, but everybody would wait for it.
                Index(allowed(usable_path(searched) / "any").parent).release(key)
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            problems[f"a request cannot be reused: its entry could not be written ({error_line(error)})"] = (
                None
            )
    return list(problems)


def _is_elsewhere(folder: ObjectStoragePath, searched: str) -> str:
    return (
        f"{place_of(searched)}, which reuse_from names, will not have these pictures: they are archived in "
        f"{place_of(str(folder))}, which is not in it. So the same requests are bought again. "
        "Let reuse_from name the archive's folder, or one above it."
    )
