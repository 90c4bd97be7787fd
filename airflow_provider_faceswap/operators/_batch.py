"""Base of the operators that take many items in one task."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.archive.names import check_known, folder_of
from airflow_provider_faceswap.batch.item_storage import ItemStorage
from airflow_provider_faceswap.batch.options import JobOptions
from airflow_provider_faceswap.batch.report import BatchReport, StepCount
from airflow_provider_faceswap.exceptions import ArchiveError, BudgetExceededError, InvalidRequestError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.validation import as_choice, as_conn_ids, as_count, as_seconds
from airflow_provider_faceswap.hooks.private_host import check_private_host
from airflow_provider_faceswap.lifecycle.clears import deleted_record_error
from airflow_provider_faceswap.lifecycle.ledger import attempt_of, epoch_of
from airflow_provider_faceswap.lifecycle.provenance import joined_private, split_private
from airflow_provider_faceswap.lifecycle.purchase import PurchasePolicy
from airflow_provider_faceswap.links import GalleryLink, ManifestLink
from airflow_provider_faceswap.media.preflight import PREFLIGHTS
from airflow_provider_faceswap.operators._batch_kill import KillableBatch
from airflow_provider_faceswap.operators._clears import (
    failure_noted,
    is_kept,
    note_in_shard,
    unrecorded_since,
)
from airflow_provider_faceswap.operators._dry_run import check_flag, estimated, is_dry_run
from airflow_provider_faceswap.operators._failure import failure_shown
from airflow_provider_faceswap.operators._spending import batch_money, check_budget, later
from airflow_provider_faceswap.spending.amounts import as_price
from airflow_provider_faceswap.storage.task_records import store_of
from airflow_provider_faceswap.telemetry import lineage
from airflow_provider_faceswap.telemetry.openlineage import facets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_faceswap.batch.steps import PlannedStep
    from airflow_provider_faceswap.media.preflight import Preflight
    from airflow_provider_faceswap.operators._keywords import TaskArguments

#: Prefix of the keys of the records' shards.
KEY = "faceswap_batch"


class BatchOperator(KillableBatch):
    """
    Take the steps of many items in one task instance, and archive each picture as soon as it is done.

    Each step of each item has its own record in the ledger, so that a retry continues where the last attempt ended and pays
    for nothing twice. A failed item does not stop the others. One worker slot is held for the whole batch.

    Returns a dict: ``total``, ``archived``, ``failed``, ``skipped``, ``not_started``, ``reused`` (from an earlier
    attempt, or from the archive), ``errors`` (class to number), ``cost`` (unit to amount, of this attempt),
    ``cost_in_all`` (with earlier attempts), ``seconds`` and ``manifest_uri``.

    :param items: A list of mappings; another task's output; or the URI of a JSON Lines, CSV or Parquet file in object
        storage. A column ``filename`` names the archived file. A column that is not used is copied to the manifest.
    :param destination: Folder for pictures, their manifests, and the batch's own manifest, one JSON line per
        item.
    :param concurrency: Maximum number of jobs at the same time; fewer if the vendor reports a lower limit.
    :param fail_on: When the task fails: ``any`` item failed, ``all`` items failed, or a share as a float
        above 0.0 and up to 1.0: at least that share of the items failed.
    :param on_bad_item: What to do with a row that cannot be an item, such as one with an empty cell: ``fail`` before
        anything is bought, with the first ones in the error and up to 100 in the log; or ``skip`` it, with its reason in the manifest.
        If all rows are wrong, the task fails in any case.
    :param picture_conn_ids: Airflow connections that rows may name for their pictures, as in ``s3://conn_id@bucket/a.jpg``,
        besides those of ``items`` and ``destination``. A row may name no other, because whoever writes rows must not
        choose among all connections.
    :param timeout: Seconds for each job.
    :param poll_interval: Minimum seconds between two polls of one job.
    :param cancel_on_kill: Cancel the running jobs when a person ends the task, if the vendor supports it.
    :param on_uncertain: Applied to each job, as in a single-job operator. The same holds for ``on_clear``,
        ``max_submissions`` and ``preflight``. A picture in object storage is read once, when all items are checked; one that
        goes inside a request may be read again when its job is submitted, if there are many.
    :param thumbnails: Keep small JPEGs of each output and of its inputs, as the archive operator does.
    :param budget: The :class:`~airflow_provider_faceswap.budgets.Budget`, its JSON, or a list of these with one for each
        unit. Default: ``[faceswap] budget``. Where a job would go over the cap, nothing more is bought and no item is
        started; the jobs that run are waited for.
    :param price: What a job costs, in the budget's unit, until the budget has seen a cost of this kind.
    :param reuse: ``run``: a retry or a cleared task reuses its own jobs. ``archive``: a request that was archived in
        ``destination`` before, by whatever Dag and run, is not bought again.
    :param reuse_links: What a link counts as there: the ``link``, or its ``content``, which is fetched.
    :param dry_run: Buy nothing: check all items, and return how many jobs would be bought, at which price. It may be a
        template.
    :param multiple_outputs: Store each key of the summary as an XCom of its own too, for ``batch.output["manifest_uri"]``.
    :raises InvalidRequestError: An argument or an item is wrong. Nothing was bought.
    :raises BatchFailedError: More items failed than ``fail_on`` allows, or the task was ended before all
        items were started. The items that succeeded are archived.
    :raises BudgetExceededError: A job would have gone over a budget's cap. The error says how many items are left.
    :raises BudgetBusyError: A budget waits for the cost of another task's job.
    :raises ArchiveError: All items succeeded, but the batch's manifest could not be written.
    :raises FaceSwapError: The batch stopped early, because its records or its items could not be read or
        written. The message says how many jobs continue, and which of them could not be recorded.
    """

    template_fields: Sequence[str] = ("items", "destination")
    operator_extra_links = (ManifestLink(), GalleryLink())
    ui_color = "#e8e0f7"

    def __init__(
        self,
        *,
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
        on_bad_item: Literal["fail", "skip"] = "fail",
        picture_conn_ids: Sequence[str] = (),
        thumbnails: bool = True,
        budget: Any = None,
        price: float | None = None,
        reuse: Literal["run", "archive"] = "run",
        reuse_links: Literal["link", "content"] = "link",
        dry_run: bool | str = False,
        multiple_outputs: bool = True,
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        super().__init__(multiple_outputs=multiple_outputs, **kwargs)
        if isinstance(fail_on, bool) or (
            fail_on not in {"any", "all"} and not (isinstance(fail_on, float) and 0 < fail_on <= 1)
        ):
            raise InvalidRequestError(
                f"fail_on: must be 'any', 'all' or a share above 0.0 and up to 1.0, got {fail_on!r}"
            )
        check_known(destination, destination_conn_id)
        # Airflow stores the rendered items: a column that may contain a token is kept back, and rendered at the start.
        self.items, self._private_columns = split_private(items)
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
        self.on_bad_item = as_choice("on_bad_item", on_bad_item, ("fail", "skip"))
        self.picture_conn_ids = as_conn_ids("picture_conn_ids", picture_conn_ids)
        self.thumbnails = thumbnails
        check_budget(budget)
        self.budget = budget
        self.price = price
        as_price(price)
        self.reuse = as_choice("reuse", reuse, ("run", "archive"))
        check_flag(dry_run)
        self.is_dry_run = dry_run
        self.reuse_links = as_choice("reuse_links", reuse_links, ("link", "content"))
        self.outcome: dict[str, Any] | None = None

    @abstractmethod
    def planned_steps(self) -> tuple[PlannedStep, ...]:
        """
        The steps with the hooks of their connections.

        :raises InvalidRequestError: A connection, a kind or an argument is wrong.
        """

    def job_options(self, context: Context) -> JobOptions:
        """The options of all jobs of this attempt."""
        return JobOptions(
            steps=self.planned_steps(),
            policy=PurchasePolicy(self.on_uncertain, self.on_clear, self.max_submissions),
            epoch=epoch_of(context),
            attempt=attempt_of(context),
            on_bad_item=self.on_bad_item,
            log=self.log,
            storage=ItemStorage.of(
                [(self.items, None), (self.destination, self.destination_conn_id)], self.picture_conn_ids
            ),
        )

    @failure_shown
    def execute(self, context: Context) -> dict[str, Any]:
        """Check every item, then submit, wait and archive. The manifest is written in any case."""
        # A Dag file that is only parsed needs none of these.
        from airflow_provider_faceswap.archive.store import archive_at
        from airflow_provider_faceswap.archive.thumbnails import keeper
        from airflow_provider_faceswap.batch.items import Items
        from airflow_provider_faceswap.batch.manifest import BatchManifest
        from airflow_provider_faceswap.batch.runner import BatchRunner
        from airflow_provider_faceswap.batch.sharded_store import ShardedStore
        from airflow_provider_faceswap.operators._reuse import index_of, owner_of

        start = CLOCK.monotonic()
        folder = folder_of(self.destination, self.destination_conn_id)
        items = Items(
            joined_private(self.items, self.render_template(self._private_columns, context))
            if self._private_columns
            else self.items
        )
        if is_dry_run(self, context):
            return estimated(self, context, items, KEY)
        jobs = self.job_options(context)
        for hook in jobs.hooks:
            check_private_host(hook.endpoint())
        store = store_of(context)
        first_shard = f"{KEY}.0"
        nothing_deleted = unrecorded_since(context, self.retries or 0) is None
        certain = nothing_deleted or is_kept(store, first_shard)
        money = batch_money(
            self,
            self.budget,
            context,
            jobs,
            remembers=store is not None,
            # With 'resubmit', the first shard may be of an attempt after the clear.
            keeps=nothing_deleted or (certain and self.on_clear == "reuse"),
        )
        if not certain and self.on_clear == "reuse":
            raise deleted_record_error(vendor=vendors_of(jobs))
        with failure_noted(partial(note_in_shard, store, first_shard), certain=certain):
            checked = jobs.check(items)
        report = BatchReport(checked.total)
        if jobs.is_chain:
            report.steps = {step.name: StepCount() for step in jobs.steps}
        run = RunInfo.of(context["ti"])
        if store is None:
            self.log.warning(
                "This Airflow has no task state store and [faceswap] ledger_uri is not set: a retry of this "
                "task may pay for jobs again."
            )
        manifest = BatchManifest(folder, run)
        runner = BatchRunner(
            jobs=jobs,
            records=None if store is None else ShardedStore(store, KEY),
            archive=archive_at(
                self.destination,
                self.destination_conn_id,
                run=run,
                thumbnails=keeper(self.thumbnails, self.log),
            ),
            manifest=manifest,
            report=report,
            concurrency=max(1, min(self.concurrency, report.total)),
            log=self.log,
            wrong=checked.wrong,
            money=money,
            index=index_of(folder, self.reuse_links) if self.reuse == "archive" else None,
            owner=owner_of(context),
        )
        self._running = (context, runner)
        try:
            runner.go(items)
        finally:
            self._running = None
            if (not_written := manifest.write()) is not None:
                self.log.warning("%s", not_written)
            summary = self.outcome = report.summary(CLOCK.monotonic() - start, manifest.uri)
        self.log.info("%s; %s", report.line(), manifest.uri)
        lineage.collect(folder, lineage.batch_lineage(summary, self.items, folder))
        try:
            report.raise_if_failed(self.fail_on, manifest.uri)
        except BudgetExceededError as error:
            raise later(self, error) from None
        if not_written is not None:
            raise ArchiveError(
                f"{not_written}; {report.line()}",
                advice="The pictures are archived. A retry pays for none of them again, and writes the manifest.",
            )
        lineage.set_outlet_extras(
            context, self.outlets, lineage.batch_event(summary, vendors_of(jobs)), folder
        )
        return summary

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """The items, the folder and the batch's manifest, the number of jobs and their cost, for OpenLineage."""
        del task_instance
        return facets(lineage.batch_lineage(self.outcome, self.items, self.destination))


def vendors_of(jobs: JobOptions) -> str:
    """The vendors of all steps, as one text."""
    return ", ".join(dict.fromkeys(hook.vendor.name for hook in jobs.hooks))
