"""Archive what a job made before the vendor's link expires."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Unpack

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_faceswap.archive.manifest import Archived, RunInfo
from airflow_provider_faceswap.archive.names import check_known, folder_of, given_filename
from airflow_provider_faceswap.archive.sources import ArchiveSource, parse_each
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.foundation.validation import as_choice, as_count
from airflow_provider_faceswap.hooks.base import hook_for
from airflow_provider_faceswap.links import ArchivedLink, GalleryLink, ManifestLink
from airflow_provider_faceswap.operators._failure import failure_shown
from airflow_provider_faceswap.storage.files import path_of
from airflow_provider_faceswap.telemetry import lineage
from airflow_provider_faceswap.telemetry.openlineage import facets
from airflow_provider_faceswap.triggers._airflow_internals import is_made_by_mapping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_faceswap.archive.place import Overwrite
    from airflow_provider_faceswap.archive.store import Archive
    from airflow_provider_faceswap.jobs import Job
    from airflow_provider_faceswap.operators._keywords import TaskArguments

#: Results that are archived at a time. Each takes up to 8 MiB of memory; a larger one is on the worker's disk.
CONCURRENCY = 8

#: What an archive says in place of "Nothing was bought.", which is true of its argument and not of its jobs.
_PAID = "Nothing was archived, and the jobs are paid for: clear this task before the links expire."


class ArchiveOperator(BaseOperator):
    """
    Download results and write them to object storage, each with a manifest beside it.

    Returns a dict: ``uri``, ``manifest_uri``, ``media_type``, ``bytes``, ``sha256``, ``width``, ``height``; or a
    list of these if ``source`` is a list, or if the job made several pictures.

    The download sends no credentials, goes to public https hosts only, has a size limit, and must be a picture or a
    video before anything is written. There is never a half-written file under the final name.

    Of several results, eight are archived at a time. One that fails does not stop the others: the task fails with the
    first error after all the others are archived.

    :param source: What a job operator returned, a URL, or a list of these: ``swap.output`` of a mapped operator
        archives all of its results in this one task. An item that is ``None`` comes from a skipped task and is left out.
    :param destination: Folder in object storage: ``file:///data/swaps``, ``s3://bucket/swaps/{{ run_id }}``, ...;
        never a relative path.
    :param destination_conn_id: Airflow connection for that storage, if it needs one.
    :param filename: Name below the folder. A suffix is added if it has none, and a number if there are several
        pictures. Default: kind, some words of the prompt or of the input's name, vendor and job id, so that a retry
        writes the same file. A template that renders
        to what cannot be a name is a warning, and the default is used, because the picture is paid for.
    :param overwrite: If the name is taken: ``replace`` the file (default), ``skip`` if it is this very picture, or
        ``error``, unless an earlier attempt of the same task archived the identical file. With ``skip``, another picture
        gets a name of its own. A file without its manifest was left by an attempt that
        stopped early, and is always replaced.
    :param max_bytes: The largest result that is accepted; default: ``[faceswap] max_archive_bytes``.
    :param thumbnails: Keep small JPEGs of the output and of the pictures that its job was given beside it, for the
        gallery. Needs ``airflow-provider-faceswap[images]``. An input that cannot be read any more has none, and the
        manifest says why.
    :param sheet: Write the results of this task as one HTML file into the folder too, for people without Airflow's UI.
        Its URI is in the log and in the XCom ``sheet_uri``.
    :param multiple_outputs: Store each key of the result as an XCom of its own too, for ``task.output["uri"]``. Of
        several results, each is the list of their values.
    :raises InvalidRequestError: An argument is wrong. A destination without an installed storage is found when the Dag
        is parsed, unless its scheme is a template.
    :raises ArchiveError: A result could not be archived; subclasses say why.
    """

    template_fields: Sequence[str] = ("source", "destination", "destination_conn_id", "filename")
    operator_extra_links = (ArchivedLink(), ManifestLink(), GalleryLink())
    ui_color = "#dcefdc"

    def __init__(
        self,
        *,
        source: Any,
        destination: str | ObjectStoragePath,
        destination_conn_id: str | None = None,
        filename: str | None = None,
        overwrite: Overwrite = "replace",
        max_bytes: int | None = None,
        thumbnails: bool = True,
        sheet: bool = False,
        multiple_outputs: bool = True,
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        super().__init__(multiple_outputs=multiple_outputs, **kwargs)
        # When a mapped task runs, its pictures are paid for: a wrong filename is no reason not to keep them.
        check_known(destination, destination_conn_id, None if is_made_by_mapping(self) else filename)
        self.source = source
        self.destination = destination
        self.destination_conn_id = destination_conn_id
        self.filename = filename
        self.overwrite = as_choice("overwrite", overwrite, ("error", "skip", "replace"))
        self.max_bytes = None if max_bytes is None else as_count("max_bytes", max_bytes)
        self.thumbnails = thumbnails
        self.sheet = sheet
        self.outcome: dict[str, Any] | list[dict[str, Any]] | None = None
        self._lineage = lineage.LineageRecord()

    @failure_shown
    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Archive everything that the source names."""
        # A Dag file that is only parsed needs none of these.
        from airflow_provider_faceswap.archive.reuse import record_requests
        from airflow_provider_faceswap.archive.store import archive_at
        from airflow_provider_faceswap.archive.thumbnails import keeper

        sources, is_list = parse_each(self.source, fetch_job)
        filename = self._usable_filename()
        if filename and len(sources) > 1:
            sources = [
                source.model_copy(update={"number": number}) if isinstance(source, ArchiveSource) else source
                for number, source in enumerate(sources, 1)
            ]
        try:
            archive = archive_at(
                self.destination,
                self.destination_conn_id,
                run=RunInfo.of(context["ti"]),
                filename=filename,
                overwrite=self.overwrite,
                max_bytes=self.max_bytes,
                thumbnails=keeper(self.thumbnails, self.log, fetch_job),
            )
        except InvalidRequestError as error:
            raise error.replaced(advice=error.advice.replace("Nothing was bought.", _PAID)) from None
        archived = self._keep_all(archive, sources)
        folder = folder_of(self.destination, self.destination_conn_id)
        kept = [source for source in sources if isinstance(source, ArchiveSource)]
        self._lineage = lineage.archive_lineage(kept, archived, folder)
        for problem in record_requests(folder, kept, archived):
            self.log.warning("%s", problem)
        lineage.collect(folder, self._lineage)
        lineage.set_outlet_extras(context, self.outlets, lineage.archive_event(kept, archived), folder)
        if self.sheet:
            self._write_sheet(folder, archived, context)
        files = [file.model_dump() for file in archived]
        self.outcome = files if is_list or len(files) != 1 else files[0]
        return self.outcome

    def _write_sheet(self, folder: ObjectStoragePath, archived: Sequence[Archived], context: Context) -> None:
        """Write the sheet. The results are archived already, so an error here is only logged."""
        from airflow_provider_faceswap.batch.manifest import manifest_name
        from airflow_provider_faceswap.gallery.sheet import Sheet

        name = manifest_name(RunInfo.of(context["ti"])).removeprefix("batch-").removesuffix(".jsonl")
        path = folder / f"sheet-{name}.html"
        try:
            Sheet.of_manifests(folder, [path_of(file.manifest_uri) for file in archived]).write(
                path, self.task_id
            )
            if self.do_xcom_push:
                context["ti"].xcom_push("sheet_uri", str(path))
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            self.log.warning("The sheet %s could not be written (%s)", path, error_line(error))
        else:
            self.log.info("Wrote the sheet %s", path)

    def post_execute(self, context: Context, result: Any = None) -> None:
        """Store the values of each key of several results as a list; Airflow does it for one result only."""
        super().post_execute(context, result)
        if self.multiple_outputs and isinstance(self.outcome, list):
            self.multiple_outputs = False
            if self.do_xcom_push:
                for key in Archived.model_fields:
                    context["ti"].xcom_push(key, [file[key] for file in self.outcome])

    def _usable_filename(self) -> str | None:
        """The filename; ``None`` if it cannot be used: the pictures are paid for, so they are kept under other names."""
        try:
            return given_filename(self.filename)
        except InvalidRequestError as error:
            self.log.warning(
                "%s. Each picture is archived under its default name, which ends with the job id.",
                error.message,
            )
            return None

    def _keep_all(self, archive: Archive, sources: Sequence[ArchiveSource | FaceSwapError]) -> list[Archived]:
        """
        Archive every source.

        :param sources: With an error in place of each that could not be read.
        :returns: The files, in the order of the sources.
        :raises FaceSwapError: The first error, after all the others are archived.
        """

        def keep(source: ArchiveSource | FaceSwapError) -> Archived | FaceSwapError:
            if isinstance(source, FaceSwapError):
                return source
            try:
                file = archive.keep(source)
            except FaceSwapError as error:
                return error
            self.log.info("Archived %s, %d bytes of %s", file.uri, file.bytes, file.media_type)
            return file

        with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="faceswap-archive") as threads:
            results = list(threads.map(keep, sources))
        errors = [result for result in results if isinstance(result, FaceSwapError)]
        if errors:
            if len(sources) > 1:
                for error in errors:
                    self.log.error("Not archived: %s", error)
                self.log.error(
                    "%d of %d could not be archived; the others are in place", len(errors), len(sources)
                )
            raise errors[0]
        return [result for result in results if not isinstance(result, FaceSwapError)]

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """The links and the archived files, the jobs and their cost, for OpenLineage."""
        del task_instance
        return facets(self._lineage)


def fetch_job(vendor: str, conn_id: str, job_id: str, kind: str) -> Job:
    """
    Poll a job again, for the pictures that its vendor sends inside the response.

    :raises FaceSwapError: It could not be polled.
    """
    return hook_for(vendor, conn_id).fetch(job_id, kind)
