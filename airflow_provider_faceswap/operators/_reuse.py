"""An operator's use of what was archived before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_faceswap.archive.names import check_known, folder_of
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError, SubmissionUncertainError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.iterations import iteration_of
from airflow_provider_faceswap.foundation.rendered import is_set
from airflow_provider_faceswap.foundation.validation import as_choice
from airflow_provider_faceswap.lifecycle.ledger import Stage, epoch_of
from airflow_provider_faceswap.lifecycle.outcomes import Outcome
from airflow_provider_faceswap.operators._spending import SpendingOperator
from airflow_provider_faceswap.storage.local_files import allowed
from airflow_provider_faceswap.telemetry import lineage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.archive.index import Index
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import JobResult, Submission
    from airflow_provider_faceswap.lifecycle.ledger import Record
    from airflow_provider_faceswap.lifecycle.outcomes import WaitResult
    from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
    from airflow_provider_faceswap.vendors.messages import Request


class ReusedError(Exception):
    """
    The request was archived before, so nothing is submitted.

    :param result: Its result.
    """

    def __init__(self, result: JobResult) -> None:
        super().__init__()
        self.result = result


class ReusingOperator(SpendingOperator):
    """
    Operator that may return an archived picture instead of buying it again.

    :param reuse: ``run``: a retry or a cleared task reuses its own job. ``archive``: a request that was archived below
        ``reuse_from``, by whatever Dag and run, is not bought again.
    :param reuse_from: The folder of the archive. It may be a template.
    :param reuse_links: What a link means in a request: the ``link`` itself, or its ``content``, which is fetched for it.
    """

    timeout: float
    on_clear: Literal["reuse", "resubmit"]

    def __init__(
        self, *, reuse: str = "run", reuse_from: Any = None, reuse_links: str = "link", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.reuse = as_choice("reuse", reuse, ("run", "archive"))
        self.reuse_links = as_choice("reuse_links", reuse_links, ("link", "content"))
        self.reuse_from = reuse_from
        if self.reuse == "archive":
            if not is_set(reuse_from):
                raise InvalidRequestError("reuse_from: must be the archive's folder, for reuse='archive'")
            try:
                check_known(reuse_from, None)
            except InvalidRequestError as error:
                raise error.replaced(message=error.message.replace("destination", "reuse_from", 1)) from None

    def _index(self, context: Context) -> Index:
        """
        The index of the archive that is searched.

        :raises InvalidRequestError: It is no folder, or one on the worker's disk that no setting allows: no later task
            could use a picture from there.
        """
        place = self.reuse_from
        if isinstance(place, str) and ("{{" in place or "{%" in place):
            place = self.render_template(place, context)
        try:
            return index_of(folder_of(place, None), self.reuse_links)
        except FaceSwapError as error:
            message = error.message.removeprefix("destination: ")
            raise error.replaced(
                message=f"reuse_from: {message}",
                advice=error.advice.replace("Nothing was archived", "Nothing was bought"),
            ) from None

    def _key(self, context: Context, hook: JobHook, request: Request) -> str:
        """The request's key in the index."""
        return self._index(context).key_of(hook.vendor.name, self.kind, request)

    def _archived(self, context: Context, hook: JobHook, key: str) -> JobResult | None:
        """
        The result of a request that was archived before; ``None`` if it was not.

        :param key: The request's, in the index.
        """
        from airflow_provider_faceswap.archive.reuse import result_of_archived

        index = self._index(context)
        manifests = index.find(key)
        return result_of_archived(manifests, index.folder, hook.vendor.cost_unit or "") if manifests else None

    def _reuse_or_claim(
        self, context: Context, hook: JobHook, key: str, template: SubmissionTemplate
    ) -> None:
        """
        Look for the request in the archive; if it is not there, claim it, and mark its result for the archive.

        :param key: The request's, in the index.
        :raises ReusedError: It is there.
        :raises FaceSwapError: The archive cannot be read, or another task is making the picture.
        """
        from airflow_provider_faceswap.archive.reuse import mark_of
        from airflow_provider_faceswap.archive.turns import (
            TO_ARCHIVE,
            AnotherMakesItError,
            ClaimWait,
            found_or_claimed,
        )

        index = self._index(context)
        template.provenance["reuse"] = mark_of(key, index.folder)
        record = self._ledger(context, hook.conn_id).read()
        if record is not None:
            own = record.stage is not Stage.SETTLED
            wanted_anew = self.on_clear == "resubmit" and record.epoch != epoch_of(context)
            if own or wanted_anew:
                return
        waiting = ClaimWait(self.timeout, self.log.info, vendor=hook.vendor.name)
        while True:
            try:
                found = found_or_claimed(
                    lambda: self._archived(context, hook, key),
                    lambda: index.claim(key, owner_of(context), self.timeout + TO_ARCHIVE),
                    lambda: self._unclaim(context, template.provenance),
                )
            except AnotherMakesItError as other:
                CLOCK.sleep(waiting.pause(other))
                continue
            if found is not None:
                raise ReusedError(found)
            return

    def _reused(self, context: Context, hook: JobHook, result: JobResult) -> dict[str, Any]:
        """Return what was archived before."""
        self.log.info(
            "The same request was archived before, as job %s: nothing was bought. Its manifest: %s",
            result.job_id,
            result.reused_from,
        )
        self.outcome = result.to_xcom()
        lineage.collect(hook, lineage.job_lineage(self.outcome, self.arguments()))
        lineage.set_outlet_extras(context, self.outlets, lineage.job_event(self.outcome), result.url)
        return self.outcome

    def _close(self, context: Context, submission: Submission, waited: WaitResult) -> Record | None:
        """Settle the record; a job without a picture gives its claim back."""
        if waited.outcome is not Outcome.SUCCEEDED:
            self._unclaim(context, submission.provenance)
        return super()._close(context, submission, waited)

    def _nothing_bought(self, context: Context, template: SubmissionTemplate, error: FaceSwapError) -> None:
        """Give the claim back, if it is certain that nothing was bought."""
        if error.job_id is None and not isinstance(error, SubmissionUncertainError):
            self._unclaim(context, template.provenance)

    def _unclaim(self, context: Context, provenance: Mapping[str, Any]) -> None:
        if self.reuse != "archive" or not isinstance(mark := provenance.get("reuse"), dict):
            return
        try:
            self._index(context).release(str(mark.get("key")), owner_of(context))
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            self.log.warning("The claim on the picture stays until it ends (%s)", type(error).__name__)


def index_of(folder: ObjectStoragePath, links: str) -> Index:
    """
    The index of an archive.

    :param links: What a link counts as: ``link`` or ``content``.
    :raises FaceSwapError: The folder is on the worker's disk, and no setting allows to read from there.
    """
    # A Dag file that reuses nothing does not pay for this import.
    from airflow_provider_faceswap.archive.index import Index
    from airflow_provider_faceswap.archive.link_contents import LinkContents

    if folder.protocol in {"", "file", "local"}:
        # Nothing is there before the first archive.
        allowed(folder / "any")
    return Index(folder, LinkContents() if links == "content" else None)


def owner_of(context: Context) -> str:
    """The task instance, the same in all its attempts."""
    instance: Any = context["ti"]
    ids = [instance.dag_id, instance.run_id, instance.task_id, instance.map_index, iteration_of(instance)]
    return "/".join(str(part) for part in ids if part not in (-1, None))
