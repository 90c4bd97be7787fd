"""Body of ``airflow faceswap batch``; imported when it is run."""

from __future__ import annotations

import fcntl
import uuid
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.archive.names import folder_of
from airflow_provider_faceswap.archive.store import archive_at
from airflow_provider_faceswap.archive.thumbnails import keeper
from airflow_provider_faceswap.batch.item_storage import ItemStorage
from airflow_provider_faceswap.batch.items import Items
from airflow_provider_faceswap.batch.manifest import BatchManifest
from airflow_provider_faceswap.batch.money import BatchMoney
from airflow_provider_faceswap.batch.options import JobOptions
from airflow_provider_faceswap.batch.report import BatchReport
from airflow_provider_faceswap.batch.runner import BatchRunner
from airflow_provider_faceswap.batch.sharded_store import ShardedStore
from airflow_provider_faceswap.batch.steps import PlannedStep
from airflow_provider_faceswap.cli.console import ConsoleLog
from airflow_provider_faceswap.cli.destination import as_uri
from airflow_provider_faceswap.cli.exits import Exit
from airflow_provider_faceswap.cli.interrupt import interruptible
from airflow_provider_faceswap.cli.money_commands import budget_of_command
from airflow_provider_faceswap.cli.output import read_connections, show
from airflow_provider_faceswap.exceptions import BudgetExceededError, FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.foundation.text import as_name
from airflow_provider_faceswap.foundation.validation import as_conn_ids, as_count, as_seconds
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.hooks.private_host import check_private_host
from airflow_provider_faceswap.lifecycle.purchase import PurchasePolicy
from airflow_provider_faceswap.spending.amounts import as_price
from airflow_provider_faceswap.storage.files import path_of
from airflow_provider_faceswap.storage.object_records import ObjectRecords

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Mapping

#: Prefix of the keys of the records' shards.
_KEY = "batch"
#: The name of the file in the records' folder that a running command locks.
_LOCK = "lock"
#: The name of the file there that says who buys, so that a repeated command takes up what it has reserved.
_BUYER = "buyer"


@suppress_logs_and_warning
def batch(options: Namespace) -> None:
    """Submit a job for each row, wait for all, save the pictures."""
    console = ConsoleLog()
    read_connections()
    command = _BatchCommand(options, console)
    error, more = None, ""
    with interruptible():
        try:
            code = command.run()
        except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001 - whatever it is, jobs may be paid
            code = command.exit_after(caught)
            error = {"type": type(caught).__name__, "message": _sentence(caught)}
            console.say(error["message"])
            if isinstance(caught, BudgetExceededError):
                more = " with a higher amount, or in the budget's next period"
    if code is Exit.RESUMABLE:
        console.say(f"The same command continues from here{more}, and pays for nothing twice.")
    show({"ending": code.name.lower(), **command.summary, "error": error}, options.output)
    raise SystemExit(code)


class _BatchCommand:
    """
    One pass over the rows of a file.

    Its records are in a folder of this disk, so that a command that is repeated after any ending buys no job twice.
    """

    def __init__(self, options: Namespace, console: ConsoleLog) -> None:
        self._options = options
        self._console = console
        self._begun = self._ended = False
        self.summary: Mapping[str, Any] = {}

    def run(self) -> Exit:
        """
        Check every row, then submit, wait and save.

        :raises InvalidRequestError: An argument or a row is wrong. Nothing was bought.
        :raises BatchFailedError: Some rows failed.
        :raises FaceSwapError: The batch stopped early.
        """
        start, options = CLOCK.monotonic(), self._options
        source, out = as_uri("ITEMS", options.items), as_uri("--out", options.out)
        items, folder = Items(source, trusted=True), folder_of(out, None)
        jobs = self._job_options(source, out)
        [hook] = jobs.hooks
        check_private_host(hook.endpoint())
        concurrency = as_count("--concurrency", options.concurrency)
        with _locked(self._records_folder(source)) as records:
            money = self._money(jobs, records)
            checked = jobs.check(items)
            report = BatchReport(checked.total)
            # A command is no task: the name of its file tells this manifest from others.
            manifest = BatchManifest(folder, RunInfo(task_id=PurePosixPath(source).name))
            runner = BatchRunner(
                jobs=jobs,
                records=ShardedStore(ObjectRecords(path_of(f"file://{records}")), _KEY),
                archive=archive_at(out, None, run=None, thumbnails=keeper(wanted=True, log=self._console)),
                manifest=manifest,
                report=report,
                concurrency=max(1, min(concurrency, report.total)),
                log=self._console,
                wrong=checked.wrong,
                money=money,
            )
            self._begun = True
            try:
                runner.go(items)
            finally:
                if (not_written := manifest.write()) is not None:
                    self._console.warning("%s", not_written)
                self.summary = report.summary(CLOCK.monotonic() - start, manifest.uri)
                self._console.info("%s; %s", report.line(), manifest.uri)
        self._ended = report.stopped is None and report.seen == report.ended == report.total
        report.raise_if_failed("any", manifest.uri)
        return Exit.RESUMABLE if not_written else Exit.DONE

    def exit_after(self, error: BaseException) -> Exit:
        """The exit code after an error. Once jobs may have been submitted, the same command goes on."""
        if self._ended:
            return Exit.FAILED
        if self._begun:
            return Exit.RESUMABLE
        if isinstance(error, KeyboardInterrupt):
            return Exit.INTERRUPTED
        return Exit.USAGE if isinstance(error, InvalidRequestError | ValueError) else Exit.RESUMABLE

    def _job_options(self, source: str, out: str) -> JobOptions:
        options = self._options
        hook = hook_for_connection(options.conn_id)
        hook.vendor.kind(options.kind)  # refuses one that is unknown
        timeout = as_seconds("--timeout", options.timeout)
        price = as_price(options.price, "--price")
        return JobOptions(
            steps=(
                PlannedStep(
                    options.kind, options.kind, (hook,), timeout, None, options.preflight, price=price
                ),
            ),
            policy=PurchasePolicy(on_uncertain="fail", on_clear="reuse", max_submissions=2),
            epoch=0,
            on_bad_item=options.on_bad_item,
            log=self._console,
            storage=ItemStorage.of(
                [(source, None), (out, None)], as_conn_ids("--picture-conn-id", options.picture_conn_ids)
            ),
        )

    def _money(self, jobs: JobOptions, records: Path) -> BatchMoney:
        """
        The budget that the jobs are bought from, if there is one.

        :raises InvalidRequestError: It is wrong, or cannot be used for these jobs.
        """
        [hook] = jobs.hooks
        budget = budget_of_command(self._options.budget, hook)
        if budget is None:
            return BatchMoney()
        # The name of the file may change between two attempts. The folder of the records says who buys.
        task = SimpleNamespace(
            dag_id="airflow faceswap batch",
            run_id=_buyer(records),
            task_id="batch",
            map_index=-1,
            try_number=1,
        )
        money = BatchMoney({hook.conn_id: budget}, task, log=self._console)
        money.check(jobs.steps)
        return money

    def _records_folder(self, source: str) -> Path:
        given = self._options.records
        if given is None:
            return Path(f"{PurePosixPath(source).name}.records").resolve()
        if "://" in as_name("--records", given):
            raise InvalidRequestError(
                "--records: must be a folder on this disk, where a running command can lock it",
                advice="Nothing was bought.",
            )
        return Path(given).resolve()


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """
    The folder of the records, while no other command works with it. The lock ends with the process, however that ends.

    :raises InvalidRequestError: Another command works with it, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open("w")
    except OSError as error:
        raise InvalidRequestError(
            f"--records: {folder} cannot be written to ({error_line(error)})", advice="Nothing was bought."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidRequestError(
                f"another command is at work with the records in {folder}",
                advice="Nothing was bought. Wait until it ends, or give other --records.",
            ) from None
        yield folder


def _buyer(records: Path) -> str:
    """The name of who buys with these records, the same whenever the command is repeated."""
    file = records / _BUYER
    if not file.exists():
        # Renamed when it is whole: a command that is killed in between must not leave an empty name.
        new = records / f"{_BUYER}.new"
        new.write_text(uuid.uuid4().hex)
        new.rename(file)
    return file.read_text()


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted."
    return str(error) if isinstance(error, FaceSwapError) else error_line(error)
