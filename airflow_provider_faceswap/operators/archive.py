"""Save what a job made before the vendor's link expires."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_faceswap.archive.store import Archive, Archived, Piece
from airflow_provider_faceswap.exceptions import ArchiveError, FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.foundation.validation import as_choice, as_count
from airflow_provider_faceswap.hooks.base import hook_for
from airflow_provider_faceswap.lifecycle.provenance import is_result
from airflow_provider_faceswap.links import ArchivedLink, ManifestLink
from airflow_provider_faceswap.media.inputs import open_hosts
from airflow_provider_faceswap.storage.files import usable_path
from airflow_provider_faceswap.telemetry import lineage
from airflow_provider_faceswap.telemetry.openlineage import facets

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_faceswap.archive.store import Overwrite

_RULES = ("error", "skip", "replace")
_CORRECT = "Nothing was archived. Correct the argument."

#: Results that are kept at a time; each takes up to eight MiB of memory, a larger one the worker's disk.
AT_ONCE = 8


class ArchiveOperator(BaseOperator):
    """
    Download results and keep them in object storage, each with a manifest beside it.

    Returns a dict: ``uri``, ``manifest_uri``, ``media_type``, ``bytes``, ``sha256``, ``width``, ``height``; or a
    list of these where ``source`` is a list, or where the job made several pictures.

    The download sends no credentials, goes to public https hosts only, is capped, and is checked to be a
    picture or a video before anything is written. Nothing is ever seen half-written under its final name.

    Of several results, eight are kept at a time, and one that cannot be kept stops none of the others: the task
    fails with the first error when all the rest is in place.

    :param source: What a job operator returned, a URL, or a list of these: ``swap.output`` of a mapped operator
        keeps all of its results in this one task.
    :param destination: Folder in object storage: ``file:///data/swaps``, ``s3://bucket/swaps/{{ run_id }}``, ...;
        never a relative path.
    :param destination_conn_id: Airflow connection for that storage, where it needs one.
    :param filename: Name below the folder; a suffix is added where it has none, and a number where there are
        several pictures. Default: vendor, kind and job id, so that a retry writes the same file.
    :param overwrite: Where the name is taken: ``replace`` it (default), ``skip``, or ``error``, unless an earlier try
        of this very task has kept the picture. A picture without its manifest was left by a try that broke off, and is written
        again whatever the rule.
    :param max_bytes: The largest result taken; default: ``[faceswap] max_archive_bytes``.
    :raises InvalidRequestError: An argument is wrong.
    :raises ArchiveError: A result could not be kept; subclasses say why.
    """

    template_fields: Sequence[str] = ("source", "destination", "destination_conn_id", "filename")
    operator_extra_links = (ArchivedLink(), ManifestLink())
    ui_color = "#dcefdc"

    def __init__(
        self,
        *,
        source: Any,
        destination: str | ObjectStoragePath,
        destination_conn_id: str | None = None,
        filename: str | None = None,
        overwrite: str = "replace",
        max_bytes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.destination = destination
        self.destination_conn_id = destination_conn_id
        self.filename = filename
        self.overwrite = as_choice("overwrite", overwrite, _RULES)
        self.max_bytes = None if max_bytes is None else as_count("max_bytes", max_bytes)
        self.outcome: dict[str, Any] | list[dict[str, Any]] | None = None
        self._story = lineage.LineageRecord()

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Keep everything that the source names."""
        sources, listed = _listed(self.source)
        found = [pair for source in sources for pair in pieces_of(source)]
        if self.filename and len(found) > 1:
            found = [
                (piece.model_copy(update={"number": number}), inline)
                for number, (piece, inline) in enumerate(found, 1)
            ]
        archive = archive_at(
            context,
            self.destination,
            self.destination_conn_id,
            filename=self.filename,
            overwrite=self.overwrite,  # type: ignore[arg-type] # checked when the operator was made
            max_bytes=self.max_bytes,
        )
        kept = self._keep_all(archive, found)
        pieces = [piece for piece, _ in found]
        folder = folder_of(self.destination, self.destination_conn_id)
        self._story = lineage.of_archive(pieces, kept, folder)
        lineage.collect(folder, self._story)
        lineage.set_outlet_extras(context, self.outlets, lineage.extra_of_archive(pieces, kept))
        told = [item.model_dump() for item in kept]
        self.outcome = told if listed or len(told) != 1 else told[0]
        return self.outcome

    def _keep_all(self, archive: Archive, found: list[tuple[Piece, Callable[[], bytes]]]) -> list[Archived]:
        """
        Keep every piece; the archived ones in their order.

        :raises FaceSwapError: The first that could not be kept, after all the others.
        """

        def keep(pair: tuple[Piece, Callable[[], bytes]]) -> Archived | FaceSwapError:
            try:
                kept = archive.keep(*pair)
            except FaceSwapError as error:
                return error
            self.log.info("Kept %s, %d bytes of %s", kept.uri, kept.bytes, kept.media_type)
            return kept

        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="faceswap-archive") as threads:
            ended = list(threads.map(keep, found))
        failed = [end for end in ended if isinstance(end, FaceSwapError)]
        if failed:
            if len(found) > 1:
                for error in failed:
                    self.log.error("Not kept: %s", error)
                self.log.error("%d of %d could not be kept; the others are in place", len(failed), len(found))
            raise failed[0]
        return [end for end in ended if isinstance(end, Archived)]

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What OpenLineage is told: the links and the kept files, the jobs and their cost."""
        del task_instance
        return facets(self._story)


def archive_at(
    context: Context,
    destination: Any,
    conn_id: str | None,
    *,
    filename: str | None = None,
    overwrite: Overwrite = "replace",
    max_bytes: int | None = None,
) -> Archive:
    """
    The archive of a task, by its own arguments and the settings.

    :param destination: A folder, as a URI or an object storage path.
    :raises InvalidRequestError: There is no destination.
    """
    instance = context["ti"]
    return Archive(
        folder_of(destination, conn_id),
        filename=filename,
        overwrite=overwrite,
        max_bytes=max_bytes or conf.getint("faceswap", "max_archive_bytes", fallback=256 * 1024 * 1024),
        open_hosts=open_hosts(),
        run={
            name: getattr(instance, name, None)
            for name in ("dag_id", "run_id", "task_id", "map_index", "try_number")
        },
    )


def folder_of(destination: Any, conn_id: str | None) -> ObjectStoragePath:
    """
    A destination as a path.

    :raises InvalidRequestError: It names no folder, or one below the worker's own; or there is no such storage.
    """
    text = "" if destination is None else str(destination)
    shown = bare_url(text)
    if not _is_whole(text):
        raise InvalidRequestError(
            "destination: must be the whole name of a folder, such as s3://bucket/swaps, file:///data/swaps or "
            f"/data/swaps, got {shown!r}"
        )
    try:
        return usable_path(destination, conn_id)
    except (ValueError, ImportError) as error:
        raise InvalidRequestError(
            f"destination: this Airflow has no storage for {shown!r} ({type(error).__name__})",
            advice="Nothing was bought. Correct the argument, or install the storage's provider.",
        ) from None


def _is_whole(place: str) -> bool:
    """True for a URI of object storage and for an absolute path; a relative one would end on the worker's disk."""
    scheme, mark, rest = place.partition("://")
    if "::" in place:
        # The storage library takes what is before it for another storage, and what is after it for nothing.
        return False
    if not mark:
        return place.startswith("/")
    authority, slash, path = rest.partition("/")
    if scheme.lower() in {"file", "local"}:
        return not authority.rpartition("@")[2] and bool(slash) and not path.startswith("/")
    return bool(rest)


def _listed(source: Any) -> tuple[list[Any], bool]:
    """A source as a list, and whether it was one: results of mapped tasks come as a lazy sequence."""
    if isinstance(source, str | Mapping) or source is None:
        return [source], False
    if isinstance(source, Iterable):
        if isinstance(source, Sequence):
            # All at once: a lazy sequence would ask Airflow for each of a thousand.
            source = source[:]
        found: list[Any] = []
        for item in source:
            found += _listed(item)[0]
        return found, True
    return [source], False


def pieces_of(source: Any) -> list[tuple[Piece, Callable[[], bytes]]]:
    """
    The outputs that one source names, each with what gives it where it has no link.

    :raises InvalidRequestError: It is neither a URL nor a whole result.
    """
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        return [(Piece(url=source, result=None), bytes)]
    if not is_result(source):
        raise InvalidRequestError(
            "source: must be what a job operator returned, an http(s) URL, or a list of these, "
            f"got {type(source).__name__}",
            advice=_CORRECT,
        )
    result = dict(source)
    urls = result.get("urls") or ([result["url"]] if result["url"] else [])
    if not isinstance(urls, list | tuple) or not all(isinstance(url, str) for url in urls):
        raise InvalidRequestError(
            "source: url must be a text, and urls a list of these",
            vendor=str(result["vendor"]),
            job_id=str(result["job_id"]),
            advice=_CORRECT,
        )
    if urls:
        return [
            (Piece(url=url, result=result, position=position, of=len(urls)), bytes)
            for position, url in enumerate(urls)
        ]
    pictures = _inline(result)
    return [
        (Piece(url=None, result=result, position=position, of=len(pictures)), partial(bytes, picture))
        for position, picture in enumerate(pictures)
    ]


def _inline(result: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Read the job again for the pictures that its vendor sends inside the answer."""
    if missing := {"conn_id", "kind"} - result.keys():
        raise InvalidRequestError(
            f"source: a result without a link needs {' and '.join(sorted(missing))} too",
            vendor=str(result["vendor"]),
            job_id=str(result["job_id"]),
            advice=_CORRECT,
        )
    job = hook_for(result["vendor"], result["conn_id"]).fetch(result["job_id"], result["kind"])
    if not job.inline:
        raise ArchiveError(
            "the job has neither a link nor an inline picture", vendor=job.vendor, job_id=job.job_id
        )
    return job.inline
