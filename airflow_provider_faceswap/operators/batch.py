"""Thousands of face swaps in one task."""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_faceswap.batch.items import Items
from airflow_provider_faceswap.batch.report import BatchReport, raise_if_failed, words
from airflow_provider_faceswap.batch.runner import BatchRunner
from airflow_provider_faceswap.batch.sharded_store import ShardedStore
from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    FaceSwapError,
    InvalidRequestError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.validation import as_choice, as_count, as_seconds
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.lifecycle.ledger import epoch_of
from airflow_provider_faceswap.lifecycle.provenance import provenance, request_arguments
from airflow_provider_faceswap.lifecycle.purchase import PurchasePolicy
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.links import ManifestLink
from airflow_provider_faceswap.media.inputs import PREFLIGHTS
from airflow_provider_faceswap.operators.archive import archive_at, folder_of, pieces_of
from airflow_provider_faceswap.storage.files import write
from airflow_provider_faceswap.storage.task_records import store_of
from airflow_provider_faceswap.telemetry import lineage
from airflow_provider_faceswap.telemetry.openlineage import facets
from airflow_provider_faceswap.triggers._airflow_internals import ENDED_STATES, UNSUPERVISED, task_state_sync

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_faceswap.archive.store import Archived
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import JobResult
    from airflow_provider_faceswap.media.inputs import Preflight
    from airflow_provider_faceswap.vendors.messages import Request

#: The records' key in the store, before the number of a shard.
KEY = "faceswap_batch"
#: Bytes of the manifest that are held in memory before it goes to the worker's disk.
IN_MEMORY = 1024 * 1024
#: Wrong items that an error names; there may be thousands.
MOST_NAMED = 5
#: Seconds for all cancels of a task that is ended: Airflow kills its process five seconds after the signal.
CANCELS_TAKE = 3.0
#: Bytes of a task instance's name that its manifest's name has. A disk takes 255, and those beside it need some.
LONGEST_NAME = 120


class FaceSwapBatchOperator(BaseOperator):
    """
    Swap many faces in one task instance, and archive each picture as soon as it is done.

    Each item has its own record in the ledger, so that a retry goes on where it was and pays for nothing twice.
    A failed item does not stop the others. One worker slot is held for the whole batch.

    Returns a dict: ``total``, ``archived``, ``failed``, ``not_started``, ``reused`` (from an earlier try),
    ``errors`` (class to number), ``cost`` (unit to amount, of this try), ``seconds`` and ``manifest_uri``.

    :param conn_id: A connection of this package's types.
    :param items: A list of mappings with ``target_image``, ``face_image`` and whatever else the vendor's face
        swap takes; another task's output; or the URI of a JSON Lines, CSV or Parquet file in object storage.
    :param destination: Folder for pictures, their manifests, and the batch's own manifest, one JSON line an item.
    :param concurrency: Jobs at once; less where the vendor allows less and says so.
    :param fail_on: When the task fails: ``any`` failed item, ``all`` of them, or a share as a float above 0.0 and up
        to 1.0: when that share of the items, or more, have failed.
    :param timeout: Seconds for each job.
    :param poll_interval: Least seconds between two questions about one job.
    :param cancel_on_kill: Cancel the running jobs when a person ends the task, where the vendor can.
    :param on_uncertain: As for a single job, for each item; so are ``on_clear``, ``max_submissions`` and
        ``preflight``. Pictures that pass through the worker are read twice: when all items are checked, and when
        theirs is bought.
    :raises InvalidRequestError: An argument or an item is wrong. Nothing was bought.
    :raises BatchFailedError: More items failed than ``fail_on`` allows, or the task was told to end before all were
        started; the others are archived.
    :raises ArchiveError: All went well, but the batch's manifest could not be written.
    :raises FaceSwapError: The batch broke off: the records or the items could not be read or written. The message
        says how many jobs go on, and which of them could not be recorded.
    """

    template_fields: Sequence[str] = ("items", "destination", "conn_id")
    operator_extra_links = (ManifestLink(),)
    ui_color = "#e8e0f7"
    kind = "face_swap"

    def __init__(
        self,
        *,
        conn_id: str,
        items: Any,
        destination: Any,
        concurrency: int = 16,
        destination_conn_id: str | None = None,
        fail_on: Literal["any", "all"] | float = "any",
        timeout: float | timedelta = 600.0,
        poll_interval: float | None = None,
        cancel_on_kill: bool = True,
        on_uncertain: Literal["fail", "resubmit"] = "fail",
        on_clear: Literal["reuse", "resubmit"] = "reuse",
        max_submissions: int = 2,
        preflight: Preflight = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(fail_on, bool) or (
            fail_on not in {"any", "all"} and not (isinstance(fail_on, float) and 0 < fail_on <= 1)
        ):
            raise InvalidRequestError(
                f"fail_on: must be 'any', 'all' or a share above 0.0 and up to 1.0, got {fail_on!r}"
            )
        self.conn_id = conn_id
        self.items = items
        self.destination = destination
        self.destination_conn_id = destination_conn_id
        self.concurrency = as_count("concurrency", concurrency)
        self.fail_on = fail_on
        self.timeout = as_seconds("timeout", timeout)
        self.poll_interval = None if poll_interval is None else as_seconds("poll_interval", poll_interval)
        self.cancel_on_kill = cancel_on_kill
        self.on_uncertain = as_choice("on_uncertain", on_uncertain, ("fail", "resubmit"))
        self.on_clear = as_choice("on_clear", on_clear, ("reuse", "resubmit"))
        self.max_submissions = as_count("max_submissions", max_submissions)
        self.preflight = as_choice("preflight", preflight, PREFLIGHTS)
        self.outcome: dict[str, Any] | None = None
        self._running: tuple[Context, BatchRunner] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Check every item, then buy, wait and archive; the manifest is written however it ends."""
        begun = CLOCK.now()
        folder = folder_of(self.destination, self.destination_conn_id)
        hook = hook_for_connection(self.conn_id)
        items = Items(self.items)
        tally = BatchReport(self._check(hook, items))
        store = store_of(context)
        if store is None:
            self.log.warning("There is no place for records: a retry of this task may pay for jobs again.")
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as report:
            batch = BatchRunner(
                hook=hook,
                kind=self.kind,
                records=None if store is None else ShardedStore(store, KEY),
                policy=PurchasePolicy(self.on_uncertain, self.on_clear, self.max_submissions),
                epoch=epoch_of(context),
                concurrency=self._at_once(hook, tally.total),
                timeout=self.timeout,
                poll_interval=self.poll_interval,
                template=partial(self._template, hook.vendor.name),
                prepare=partial(self._request, hook),
                keep=partial(self._keep, context),
                report=cast("BinaryIO", report),
                tally=tally,
                log=self.log,
            )
            self._running = (context, batch)
            manifest = folder / _manifest_name(context["ti"])
            try:
                self._go(batch, items)
            finally:
                self._running = None
                unwritten = self._write(manifest, cast("BinaryIO", report))
        summary = self.outcome = tally.summary(CLOCK.now() - begun, str(manifest))
        self.log.info("%s; %s", tally.line(), manifest)
        lineage.collect(folder, lineage.of_batch(summary, self.items, folder))
        raise_if_failed(tally, self.fail_on, str(manifest))
        if unwritten is not None:
            raise ArchiveError(
                f"{unwritten}; {tally.line()}",
                advice="What is archived stays. A retry pays for none of it again, and writes the manifest.",
            )
        lineage.set_outlet_extras(context, self.outlets, lineage.extra_of_batch(summary, hook.vendor.name))
        return summary

    def _write(self, manifest: ObjectStoragePath, report: BinaryIO) -> str | None:
        """
        Write the batch's own manifest.

        :returns: Why it could not be written: no error yet, as the batch may have ended in one that says more.
        """
        try:
            write(manifest, report)
        except Exception as error:  # noqa: BLE001 - every storage raises what its own library has
            unwritten = f"the batch's manifest {manifest} could not be written ({words(error)})"
            self.log.warning("%s", unwritten)
            return unwritten
        return None

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What OpenLineage is told: the items, the folder and the batch's manifest, how many jobs and their cost."""
        del task_instance
        return facets(lineage.of_batch(self.outcome, self.items, self.destination))

    def _go(self, batch: BatchRunner, items: Items) -> None:
        """
        Run the batch, while its records are open.

        :raises BaseException: What broke it off; one of several, where the log has all.
        """
        try:
            with batch.records or nullcontext():
                batch.go(items)
        except BaseException as raised:  # noqa: BLE001 - a timeout of Airflow's is no less
            errors = raised.exceptions if isinstance(raised, BaseExceptionGroup) else (raised,)
            error = self._broken_off(batch, errors)
            raise error from (None if error in errors else errors[0])

    def _broken_off(self, batch: BatchRunner, errors: Sequence[BaseException]) -> BaseException:
        """Tell the log what broke the batch off and which jobs go on, and make the error that tells it too."""
        secrets = batch.hook.endpoint().secrets
        for error in errors:
            self.log.warning("The batch breaks off: %s", words(error, secrets))
        if batch.running:
            self.log.warning("These jobs go on at the vendor: %s", ", ".join(batch.running))
        if batch.records is None:
            lost = list(batch.running)
        else:  # what could not be written at once may have been since
            lost = [] if batch.records.is_written else batch.unrecorded
        told = f"the batch broke off there: {batch.tally.line()}"
        advice = "A retry takes up what was bought, and pays for nothing twice."
        if lost:
            told += f"; not recorded: {', '.join(lost)}"
            advice = "A retry does not know what is not recorded: JobSensor waits for a job by its id."
        first = next((error for error in errors if not isinstance(error, Exception)), errors[0])
        if not isinstance(first, Exception):  # a timeout of Airflow's: the log has the rest
            first.add_note(told)
            return first
        if not isinstance(first, FaceSwapError):
            return FaceSwapError(f"{words(first, secrets)}; {told}", advice=advice)
        first.message += f"; {told}"
        first.advice = advice
        return first

    def _check(self, hook: JobHook, items: Items) -> int:
        """
        Build every item's request, so that a wrong one is found before anything is bought.

        :returns: How many there are.
        :raises InvalidRequestError: Some are wrong; the message names the first.
        :raises FaceSwapError: One could not be looked at; the message names it.
        """
        total, wrong = 0, []
        for position, item in enumerate(items):
            total += 1
            try:
                self._request(hook, item)
            except InvalidRequestError as error:
                wrong.append(f"items[{position}]: {error.message}")
            except FaceSwapError as error:
                error.message = f"items[{position}]: {error.message}"
                raise
            except Exception as error:  # every storage raises what its own library has
                raise FaceSwapError(
                    f"items[{position}]: could not be checked ({words(error, hook.endpoint().secrets)})",
                    vendor=hook.vendor.name,
                    advice="This try has bought nothing. Retry; if it stays, leave the item out.",
                ) from error
        if wrong:
            more = f"; and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
            raise InvalidRequestError("; ".join(wrong[:MOST_NAMED]) + more, vendor=hook.vendor.name)
        return total

    def _request(self, hook: JobHook, item: Mapping[str, Any]) -> Request:
        return hook.prepare(self.kind, preflight=self.preflight, **request_arguments(item))

    def _at_once(self, hook: JobHook, total: int) -> int:
        """Jobs at once: what was asked for, no more than there are, and no more than the vendor takes."""
        allowed = hook.concurrency_limit()
        if allowed is not None and allowed < self.concurrency:
            self.log.info("%s takes %d jobs at once from this account", hook.vendor.name, allowed)
        return max(1, min(self.concurrency, total, allowed or self.concurrency))

    def _template(self, vendor: str, item: Mapping[str, Any]) -> SubmissionTemplate:
        return SubmissionTemplate(vendor, self.kind, self.conn_id, self.timeout, provenance=provenance(item))

    def _keep(self, context: Context, result: JobResult) -> list[Archived]:
        archive = archive_at(context, self.destination, self.destination_conn_id)
        try:
            return [archive.keep(piece, inline) for piece, inline in pieces_of(result.to_xcom())]
        except OSError as error:
            raise ArchiveError(
                f"the picture could not be written ({type(error).__name__})",
                vendor=result.vendor,
                job_id=result.job_id,
            ) from error

    def on_kill(self) -> None:
        """
        Buy nothing more; cancel the running jobs if a person ended the task, as for a single job.

        Airflow kills the process soon after: so creates that are on their way get to record their ids meanwhile, the
        log has the jobs before anything else is tried, and all cancels together have a few seconds.
        """
        if self._running is None:
            return
        context, batch = self._running
        batch.ending = True
        jobs = dict(batch.running)
        self.log.warning("The task is told to end; at the vendor: %s", ", ".join(jobs) or "no job")
        state = task_state_sync(context["ti"])
        if state not in {*ENDED_STATES, UNSUPERVISED} or not self.cancel_on_kill:
            self.log.info("%d jobs go on: the task is %s", len(jobs), state or "in a state not known")
            return
        self.log.warning(
            "The task was ended (%s) while %d jobs were running: %d cancels confirmed; the others may finish and "
            "be charged, and a later try takes them up",
            state,
            len(jobs),
            batch.cancel_all(jobs, CANCELS_TAKE),
        )


def _manifest_name(instance: Any) -> str:
    """
    The name of a task instance's manifest, which no other task instance has.

    It is there to be read, so it may be cut, and a dash in an id may be one between two: the hash tells them apart.
    """
    parts = [instance.dag_id, instance.run_id, instance.task_id]
    if instance.map_index is not None and instance.map_index >= 0:
        parts.append(str(instance.map_index))
    told = quote("-".join(map(str, parts)), safe="")[:LONGEST_NAME]
    mark = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return f"batch-{told}-{mark}.jsonl"
