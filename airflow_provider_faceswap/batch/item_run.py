"""One item of a batch: its steps, one after the other, from the one where an earlier attempt stopped."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.archive.manifest import Manifest
from airflow_provider_faceswap.archive.sources import sources_of
from airflow_provider_faceswap.batch.archived_steps import left_to_make
from airflow_provider_faceswap.batch.item_lines import ItemLines
from airflow_provider_faceswap.batch.item_log import BufferedItemLog
from airflow_provider_faceswap.batch.item_plan import ItemPlan
from airflow_provider_faceswap.batch.item_records import ARCHIVED, DONE
from airflow_provider_faceswap.batch.report import NO_MONEY, failed_end
from airflow_provider_faceswap.batch.results import StepResult, recorded_result
from airflow_provider_faceswap.batch.reuse import ItemReuse
from airflow_provider_faceswap.batch.step_run import InputError, StepRun
from airflow_provider_faceswap.batch.steps import PARENT
from airflow_provider_faceswap.batch.templates import names_in
from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InsufficientBalanceError,
    PermissionDeniedError,
    ResultExpiredError,
)
from airflow_provider_faceswap.lifecycle.purchase import NotSubmittedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_faceswap.archive.manifest import Archived
    from airflow_provider_faceswap.batch.items import BatchItem
    from airflow_provider_faceswap.batch.options import PreparedStep
    from airflow_provider_faceswap.batch.runner import BatchRunner
    from airflow_provider_faceswap.batch.steps import PlannedStep
    from airflow_provider_faceswap.jobs import Job

#: The end of an item of which nothing was submitted, and of one that got no further than some of its steps.
NOT_STARTED, NOT_FINISHED = {"status": "not started"}, {"status": "not finished"}
#: Errors of the account, which every other item would have too.
_ACCOUNT_ERRORS = (AuthenticationError, InsufficientBalanceError, PermissionDeniedError)
#: The result of a step whose record has vanished, while that of a later step has not.
_UNKNOWN = {"vendor": "unknown", "job_id": "unknown", "url": None}


class ItemRun:
    """One item of a batch."""

    def __init__(self, runner: BatchRunner, item: BatchItem) -> None:
        self._runner = runner
        self._jobs = runner.jobs
        self._item = item
        self._log = BufferedItemLog(runner.log, item.position, lambda: runner.ending)
        self._prepared: list[PreparedStep] = []
        self._results: dict[str, StepResult] = {}
        self._lines = ItemLines()

    async def go(self) -> None:
        """Go through the steps. The end of the item is in the manifest and in the report."""
        runner = self._runner
        try:
            self._prepared = await runner.in_thread(lambda: self._jobs.request(self._item))
            self._plan = ItemPlan(self._jobs, runner.item_records, self._prepared)
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            # The picture was there when all items were checked.
            runner.add(self._item, self._failed(error))
            return
        self._reuse = ItemReuse(runner, self._prepared, self._plan.keys, self._log)
        first, end, wanted, is_paid = await runner.in_thread(self._earlier)
        if end is not None:
            runner.report.reused += end["status"] == ARCHIVED
            runner.add(self._item, self._shown(end))
            return
        if is_paid:
            _, end = await self._left_to_make(first)
            end = end or await self._step(first)
            first += 1
        if end is None and wanted:
            first, end = await self._from_archive(first, wanted, claim=self._plan.last)
        left, end = ([], end) if end else await self._left_to_make(first)
        while end is None:
            number = after = left.pop(0)
            is_wanted = number in wanted or (number < first and self._plan.may_be_taken(number, left))
            if is_wanted and number not in self._reuse.claimed:
                after, end = await self._from_archive(number, [number], claim=number)
            if end is None and after == number:
                end = await self._step(number)
        if runner.index is not None and end["status"] != ARCHIVED:
            await runner.in_thread(partial(self._reuse.give_up, end, self._plan))
        runner.add(self._item, self._shown(end))

    async def _from_archive(
        self, first: int, wanted: list[int], *, claim: int
    ) -> tuple[int, dict[str, Any] | None]:
        """
        Take a step from the archive, if it is there.

        :returns: The step to continue with, and the end of the item if it has one.
        """
        try:
            if (found := await self._reuse.look(wanted, claim=claim)) is None:
                return first, None
            number, made = found
            is_last = number == self._plan.last
            end = await self._taken(number, made)
        except NotSubmittedError:
            return first, NOT_FINISHED if self._lines else NOT_STARTED
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            return first, self._failed(error, self._prepared[claim].step)
        self._runner.report.reused += is_last
        return number + 1, end if is_last else None

    async def _taken(self, number: int, made: StepResult) -> dict[str, Any]:
        """Take the picture of a step that the archive has."""
        end = await self._finish(number, made)
        self._runner.report.add_cost(None, earlier=True, step=made.name)
        return end

    async def _left_to_make(self, first: int) -> tuple[list[int], dict[str, Any] | None]:
        """
        The steps that are left, once the archive was asked for results that no record has.

        :returns: Also the end of the item, if it could not be asked.
        """
        runner = self._runner
        if runner.index is None or first == 0:
            return list(range(first, self._plan.last + 1)), None
        known = self._results.keys()
        look = partial(left_to_make, runner.index, self._plan, first, known, self._reuse.made)
        try:
            left, found = await runner.in_thread(look)
            for number, (made, conn_ids) in found.items():
                self._reuse.made.update(conn_ids)
                await self._taken(number, made)
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            if not await runner.in_thread(lambda: self._plan.is_paid(first)):
                return [], self._failed(error, self._prepared[first].step)
            # The job is there: nothing of these is needed for it.
            left = list(range(first, self._plan.last + 1))
        return left, None

    # -- earlier attempts -----------------------------------------------------------------------------

    def _earlier(self) -> tuple[int, dict[str, Any] | None, list[int], bool]:
        """
        The step to continue with, the end of the item if it has one, and what :meth:`ItemPlan.wanted` returns.

        It takes the results of the steps before.
        """
        first, end = self._plan.earlier()
        for number in range(len(self._prepared) if end is not None else first):
            self._remember(number)
        if end is not None or self._runner.index is None:
            return first, end, [], False
        return first, end, *self._plan.wanted(first)

    def _remember(self, number: int) -> None:
        """Take the result of a step that an earlier attempt has finished."""
        step, records = self._prepared[number].step, self._runner.item_records
        if (found := self._plan.recorded(number)) is None:
            return
        conn_id, key, record = found
        self._reuse.made[step.name] = conn_id
        end = records.end_of(key)
        known = record.cost.model_dump() if record.cost else None
        cost = end.get("cost") if end else known
        self._runner.report.add_cost(cost, earlier=True, step=step.name)
        if self._jobs.is_chain:
            hook = next(hook for hook in step.hooks if hook.conn_id == conn_id)
            template = self._jobs.template(step, hook, self._item, self._known(step))
            result = recorded_result(record, template.provenance)
            self._results[step.name] = StepResult(step.name, hook, result, end.get("files") or ())
            self._lines.note(step.name, result, end or {"status": DONE, "cost": cost}, reused=True)

    # -- one step -------------------------------------------------------------------------------------

    async def _step(self, number: int) -> dict[str, Any] | None:
        """
        Take one step.

        :returns: The end of the item; ``None`` if the next step follows.
        """
        runner, prepared = self._runner, self._prepared[number]
        run = StepRun(
            runner,
            self._item,
            prepared,
            self._plan.keys[number],
            self._log,
            self._known(prepared.step),
            lambda: self._usable(prepared.step),
            partial(self._reuse.key_of, number),
        )
        try:
            made = await run.go()
            self._reuse.made[prepared.step.name] = made.hook.conn_id
            end = await self._finish(number, made)
        except NotSubmittedError:
            return NOT_FINISHED if self._lines else NOT_STARTED
        except InputError as failed:
            return self._failed(failed.error, prepared.step)
        except Exception as error:
            if run.submission is None and type(error) is FaceSwapError:
                raise  # the ledger's: without it nothing may be submitted
            if isinstance(error, NO_MONEY):
                runner.stop(run.conn_id, error)
                return NOT_FINISHED if self._lines else NOT_STARTED
            if isinstance(error, _ACCOUNT_ERRORS) and error.job_id is None:
                runner.stop(run.conn_id, error)
            end = self._failed(error, prepared.step, run)
        key = self._plan.keys[number][run.conn_id]
        await runner.in_thread(lambda: runner.item_records.remember(key, end))
        return end if end["status"] in {ARCHIVED, "failed"} else None

    async def _finish(self, number: int, made: StepResult) -> dict[str, Any]:
        """Archive the output of a step, if it is to be kept."""
        result, step = made.result, self._prepared[number].step
        files: list[Archived] = []
        if self._jobs.is_kept(step):
            files = await self._runner.in_thread(lambda: self._archive_output(number, made))
        end: dict[str, Any] = {
            "status": ARCHIVED if number == self._plan.last else DONE,
            "job_id": result.job_id,
            "cost": result.cost.model_dump() if result.cost else None,
            "attempt_reused": result.attempt_reused,
            "files": [{"uri": file.uri, "sha256": file.sha256, "bytes": file.bytes} for file in files],
        }
        if self._jobs.is_chain and result.submitted_at and result.finished_at:
            seconds = (result.finished_at - result.submitted_at).total_seconds()
            end["seconds"] = round(max(0.0, seconds), 3)
        if result.reused_from is not None:
            end["reused_from"] = result.reused_from
        made.files = end["files"]
        self._results[step.name] = made
        self._lines.note(step.name, result, end, reused=bool(result.attempt_reused))
        return end

    def _archive_output(self, number: int, made: StepResult) -> list[Archived]:
        step = self._prepared[number].step

        def fetch(_vendor: str, _conn_id: str, job_id: str, kind: str) -> Job:
            return made.hook.fetch(job_id, kind)

        runner, name = self._runner, self._jobs.filename_of(self._item, step)
        archive = replace(runner.archive, filename=name) if name else runner.archive
        inputs = self._jobs.inputs(step, made.hook, self._item, self._known(step))
        sources = [
            source.model_copy(update={"inputs": inputs, "checked": checked})
            for source, checked in zip_longest(sources_of(made.result, fetch), made.checked)
        ]
        files = [archive.keep(source) for source in sources]
        if runner.index is not None and made.result.reused_from is None:
            manifests = [
                Manifest.of(source, file, archive.run) for source, file in zip(sources, files, strict=True)
            ]
            self._reuse.record(number, made.hook, manifests)
        return files

    # -- results of earlier steps ---------------------------------------------------------------------

    def _known(self, step: PlannedStep) -> dict[str, Any]:
        return {
            name: self._results[name].known if name in self._results else _UNKNOWN for name in step.inputs
        }

    def _usable(self, step: PlannedStep) -> dict[str, Any]:
        """The results that a step takes. A job whose picture is not needed needs no link."""
        pictures = names_in({name: value for name, value in (step.arguments or {}).items() if name != PARENT})
        if missing := sorted(step.inputs - self._results.keys()):
            raise ResultExpiredError(f"the record of step {missing[0]!r} has vanished from its store")
        return {
            name: self._results[name].usable() if name in pictures else self._results[name].known
            for name in step.inputs
        }

    # -- what is said about it ------------------------------------------------------------------------

    def _shown(self, end: Mapping[str, Any]) -> Mapping[str, Any]:
        """The end of the item for the manifest: of a chain, with its steps."""
        order = [prepared.step.name for prepared in self._prepared]
        return self._lines.shown(end, order) if self._jobs.is_chain else end

    def _failed(
        self, error: Exception, step: PlannedStep | None = None, run: StepRun | None = None
    ) -> dict[str, Any]:
        """The end of a failed item. An error from another library does not stop the other items."""
        job_id = run.submission.job_id if run is not None and run.submission else None
        end = failed_end(
            error,
            job_id=job_id,
            secrets=self._jobs.secrets,
            resumable=job_id in self._runner.running,
        )
        if step is not None and self._jobs.is_chain:
            end = {**end, "step": step.name, "message": f"step {step.name!r}: {end['message']}"}
        return end
