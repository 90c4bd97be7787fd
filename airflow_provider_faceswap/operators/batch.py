"""Thousands of face swaps in one task."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_faceswap import lineage
from airflow_provider_faceswap.batch import Batch, Tally
from airflow_provider_faceswap.clock import CLOCK
from airflow_provider_faceswap.exceptions import ArchiveError, BatchFailedError, InvalidRequestError
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.items import Items
from airflow_provider_faceswap.jobs import Submission
from airflow_provider_faceswap.ledger import epoch_of, store_of
from airflow_provider_faceswap.links import ManifestLink
from airflow_provider_faceswap.openlineage import facets
from airflow_provider_faceswap.operators.archive import archive_at, folder_of, pieces_of
from airflow_provider_faceswap.options import count_of, one_of, seconds_of
from airflow_provider_faceswap.pictures import PREFLIGHTS
from airflow_provider_faceswap.provenance import on_the_wire, provenance
from airflow_provider_faceswap.purchase import Terms
from airflow_provider_faceswap.shared_records import SharedRecords
from airflow_provider_faceswap.storage import write
from airflow_provider_faceswap.supervisor import ALONE, ENDED, task_state_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_faceswap.archive import Archived
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import JobResult
    from airflow_provider_faceswap.pictures import Preflight
    from airflow_provider_faceswap.vendors.wire import Request

#: The records' key in the store, before the number of a shard.
KEY = "faceswap_batch"
#: Bytes of the manifest that are held in memory before it goes to the worker's disk.
IN_MEMORY = 1024 * 1024
#: Wrong items that an error names; there may be thousands.
MOST_NAMED = 5


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
    :param fail_on: When the task fails: ``any`` failed item, ``all`` of them, or a share of them, 0 to 1.
    :param timeout: Seconds for each job.
    :param poll_interval: Least seconds between two questions about one job.
    :param cancel_on_kill: Cancel the running jobs when a person ends the task, where the vendor can.
    :param on_uncertain: As for a single job, for each item; so are ``on_clear``, ``max_submissions`` and
        ``preflight``. Pictures that pass through the worker are read twice: when all items are checked, and when
        theirs is bought.
    :raises InvalidRequestError: An argument or an item is wrong. Nothing was bought.
    :raises BatchFailedError: More items failed than ``fail_on`` allows; the others are archived.
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
        self.concurrency = count_of("concurrency", concurrency)
        self.fail_on = fail_on
        self.timeout = seconds_of("timeout", timeout)
        self.poll_interval = None if poll_interval is None else seconds_of("poll_interval", poll_interval)
        self.cancel_on_kill = cancel_on_kill
        self.on_uncertain = one_of("on_uncertain", on_uncertain, ("fail", "resubmit"))
        self.on_clear = one_of("on_clear", on_clear, ("reuse", "resubmit"))
        self.max_submissions = count_of("max_submissions", max_submissions)
        self.preflight = one_of("preflight", preflight, PREFLIGHTS)
        self.outcome: dict[str, Any] | None = None
        self._running: tuple[Context, Batch] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Check every item, then buy, wait and archive; the manifest is written however it ends."""
        begun = CLOCK.now()
        folder = folder_of(self.destination, self.destination_conn_id)
        hook = hook_for_connection(self.conn_id)
        items = Items(self.items)
        tally = Tally(self._check(hook, items))
        store = store_of(context)
        if store is None:
            self.log.warning("There is no place for records: a retry of this task may pay for jobs again.")
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as report:
            batch = Batch(
                hook=hook,
                kind=self.kind,
                records=None if store is None else SharedRecords(store, KEY),
                terms=Terms(self.on_uncertain, self.on_clear, self.max_submissions),
                epoch=epoch_of(context),
                concurrency=self._at_once(hook, tally.total),
                timeout=self.timeout,
                poll_interval=self.poll_interval,
                submission=partial(self._submission, hook.vendor.name),
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
                write(manifest, cast("BinaryIO", report))
        summary = self.outcome = _summary(tally, CLOCK.now() - begun, str(manifest))
        self.log.info("%s; %s", tally.line(0, 0), manifest)
        lineage.collect(folder, lineage.of_batch(summary, self.items, folder))
        self._judge(tally, summary)
        lineage.tell_outlets(context, self.outlets, lineage.extra_of_batch(summary, hook.vendor.name))
        return summary

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What OpenLineage is told: the items, the folder and the batch's manifest, how many jobs and their cost."""
        del task_instance
        return facets(lineage.of_batch(self.outcome, self.items, self.destination))

    def _go(self, batch: Batch, items: Items) -> None:
        try:
            if batch.records is None:
                asyncio.run(batch.run(items))
            else:
                with batch.records:
                    asyncio.run(batch.run(items))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    def _check(self, hook: JobHook, items: Items) -> int:
        """
        Build every item's request, so that a wrong one is found before anything is bought.

        :returns: How many there are.
        :raises InvalidRequestError: Some are wrong; the message names the first.
        """
        total, wrong = 0, []
        for position, item in enumerate(items):
            total += 1
            try:
                self._request(hook, item)
            except InvalidRequestError as error:
                wrong.append(f"items[{position}]: {error.message}")
        if wrong:
            more = f"; and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
            raise InvalidRequestError("; ".join(wrong[:MOST_NAMED]) + more, vendor=hook.vendor.name)
        return total

    def _request(self, hook: JobHook, item: Mapping[str, Any]) -> Request:
        return hook.prepare(self.kind, preflight=self.preflight, **on_the_wire(item))

    def _at_once(self, hook: JobHook, total: int) -> int:
        """Jobs at once: what was asked for, no more than there are, and no more than the vendor takes."""
        allowed = hook.most_at_once()
        if allowed is not None and allowed < self.concurrency:
            self.log.info("%s takes %d jobs at once from this account", hook.vendor.name, allowed)
        return max(1, min(self.concurrency, total, allowed or self.concurrency))

    def _submission(self, vendor: str, item: Mapping[str, Any], job_id: str, **known: Any) -> Submission:
        now = CLOCK.moment()
        submitted_at = known.pop("submitted_at", None) or now
        deadline = known.pop("deadline", None) or now + timedelta(seconds=self.timeout)
        return Submission(
            vendor=vendor,
            kind=self.kind,
            job_id=job_id,
            conn_id=self.conn_id,
            submitted_at=submitted_at,
            deadline=deadline,
            provenance=provenance(item),
            **known,
        )

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

    def _judge(self, tally: Tally, summary: Mapping[str, Any]) -> None:
        """
        Decide whether the task has failed.

        :raises BatchFailedError: It has.
        """
        if tally.told != tally.total:
            raise BatchFailedError(
                f"the items have changed while they were worked on: {tally.total} were checked, {tally.told} were "
                f"seen; {summary['manifest_uri']} tells of each"
            )
        if tally.stopped is not None:
            tally.stopped.message += (
                f"; the batch stopped there: {tally.line(0, 0)}; {summary['manifest_uri']}"
            )
            raise tally.stopped
        limit = {"any": 0.0, "all": 1.0}.get(str(self.fail_on), self.fail_on)
        share = tally.failed / tally.total if tally.total else 0.0
        failed = share > 0 if self.fail_on == "any" else share >= cast("float", limit) and share > 0
        if failed:
            kinds = ", ".join(f"{number} {name}" for name, number in tally.errors.most_common())
            raise BatchFailedError(
                f"{tally.failed} of {tally.total} items failed ({kinds}); {tally.archived} are archived; "
                f"{summary['manifest_uri']} tells of each"
            )

    def on_kill(self) -> None:
        """Start nothing more; cancel the running jobs if a person ended the task, as for a single job."""
        if self._running is None:
            return
        context, batch = self._running
        state = task_state_now(context["ti"])
        if state not in {*ENDED, ALONE}:
            self.log.info(
                "%d jobs go on: the task is %s", len(batch.running), state or "in a state not known"
            )
            return
        batch.ended_from_outside = True
        if not self.cancel_on_kill:
            return
        jobs = dict(batch.running)
        confirmed = sum(batch.hook.cancel(job_id, kind) for job_id, kind in jobs.items())
        self.log.warning(
            "The task was ended (%s) while %d jobs were running: %d cancels confirmed; the others may finish and "
            "be charged, and a later try takes them up",
            state,
            len(jobs),
            confirmed,
        )


def _manifest_name(instance: Any) -> str:
    parts = [instance.dag_id, instance.run_id, instance.task_id]
    if instance.map_index is not None and instance.map_index >= 0:
        parts.append(str(instance.map_index))
    return "batch-" + "-".join(quote(str(part), safe="") for part in parts) + ".jsonl"


def _summary(tally: Tally, seconds: float, manifest_uri: str) -> dict[str, Any]:
    return {
        "total": tally.total,
        "archived": tally.archived,
        "failed": tally.failed,
        "not_started": tally.total - tally.ended,
        "reused": tally.reused,
        "errors": dict(tally.errors),
        "cost": dict(tally.cost),
        "seconds": round(seconds, 3),
        "manifest_uri": manifest_uri,
    }
