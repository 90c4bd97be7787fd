"""What a batch takes from its archive instead of buying it, and the claims on what it makes for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.archive.reuse import result_of_archived
from airflow_provider_faceswap.archive.turns import (
    TO_ARCHIVE,
    AnotherMakesItError,
    ClaimWait,
    found_or_claimed,
)
from airflow_provider_faceswap.batch.results import StepResult
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.lifecycle.submitter import NotSubmittedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_faceswap.archive.index import Index
    from airflow_provider_faceswap.archive.manifest import Manifest
    from airflow_provider_faceswap.batch.options import PreparedStep
    from airflow_provider_faceswap.batch.runner import BatchRunner
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.vendors.messages import Request

#: Errors of jobs that made nothing: others may make the picture.
_MADE_NOTHING = frozenset({"ContentRefusedError", "JobCanceledError", "JobFailedError", "NoFaceError"})


def key_at(index: Index, hook: JobHook, prepared: tuple[str, Request]) -> str:
    """
    The key of a step's request in the index. A step that takes results has their requests in it.

    :param prepared: The kind and the request that identify its job.
    :raises FaceSwapError: A link could not be fetched, where links count by their content.
    """
    kind, request = prepared
    return index.key_of(hook.vendor.name, kind, request)


def requests_of(index: Index, prepared: PreparedStep) -> dict[str, JobHook]:
    """The hooks of a step, by the key of its request there, in the order in which they are tried."""
    hooks = {hook.conn_id: hook for hook in prepared.step.hooks}
    return {
        key_at(index, hooks[conn_id], request): hooks[conn_id]
        for conn_id, request in prepared.requests.items()
    }


def find(
    index: Index, prepared: Sequence[PreparedStep], numbers: Iterable[int]
) -> tuple[int, StepResult] | None:
    """
    Look for steps of an item in an archive.

    :param prepared: All steps of the item.
    :param numbers: Those to look for, the best first.
    :returns: The step that was found, and its result.
    :raises FaceSwapError: The archive cannot be read.
    """
    for number in numbers:
        for key, hook in requests_of(index, prepared[number]).items():
            if manifests := index.find(key):
                result = result_of_archived(manifests, index.folder, hook.vendor.cost_unit or "")
                return number, StepResult(prepared[number].step.name, hook, result, checked=manifests)
    return None


@dataclass
class ItemReuse:
    """
    The requests of one item in the archive's index.

    :param prepared: The steps of the item.
    :param keys: By step, the key of the record at each connection.
    """

    runner: BatchRunner
    prepared: list[PreparedStep]
    keys: list[dict[str, str]]
    log: Any

    def __post_init__(self) -> None:
        self._claimed: dict[str, str] = {}

    @property
    def _index(self) -> Index:
        if self.runner.index is None:
            raise AssertionError
        return self.runner.index

    async def look(self, numbers: Iterable[int], *, claim: int) -> tuple[int, StepResult] | None:
        """
        Look for steps in the archive. If none is there, claim one, so that no other task or item makes it meanwhile.

        :param numbers: The steps to look for, the best first.
        :param claim: The step to claim.
        :returns: The step that was found, and its result; ``None`` if this item is to make the picture.
        :raises NotSubmittedError: The batch ended meanwhile.
        :raises FaceSwapError: The archive cannot be read, or another task is making the picture for too long.
        """
        runner, numbers = self.runner, list(numbers)
        waiting = ClaimWait(self.prepared[claim].step.timeout, self.log.info)
        look = partial(
            found_or_claimed,
            lambda: find(self._index, self.prepared, numbers),
            lambda: self._claim(claim),
            self._release,
        )
        while True:
            try:
                return await runner.in_thread(look)
            except AnotherMakesItError as other:
                if runner.ending or runner.report.stopped is not None:
                    raise NotSubmittedError from None
                await CLOCK.asleep(waiting.pause(other))

    def _claim(self, number: int) -> str | None:
        """Claim a step; what :meth:`~airflow_provider_faceswap.archive.index.Index.claim` returns."""
        if self.runner.ending:
            # Nobody would give it back.
            raise NotSubmittedError
        key = next(iter(requests_of(self._index, self.prepared[number])))
        # Equal items of a batch have records of their own, and one of them buys.
        owner = f"{self.runner.owner}#{next(iter(self.keys[number].values()))}"
        seconds = sum(prepared.step.timeout for prepared in self.prepared) + TO_ARCHIVE
        holder = self._index.claim(key, owner, seconds)
        if holder is None:
            self._claimed[key] = owner
            return None
        return holder.partition("#")[0]

    def record(self, number: int, hook: JobHook, made: Sequence[Manifest]) -> None:
        """
        Write the index entry of a step whose files are all archived. It never raises: they are archived all the same.

        :param made: The manifests of the files.
        """
        try:
            self._index.record(key_at(self._index, hook, self.prepared[number].requests[hook.conn_id]), made)
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            self.log.warning(
                "a request cannot be reused: its entry could not be written (%s)", error_line(error)
            )

    def give_up(self, end: Mapping[str, Any]) -> None:
        """
        Give the claims back, unless a job may still make the picture. It never raises.

        :param end: The end of the item.
        """
        error, job_id = end.get("error"), end.get("job_id")
        if end["status"] == "failed":
            made_nothing = error in _MADE_NOTHING and job_id not in self.runner.running
            if error == "SubmissionUncertainError" or (job_id is not None and not made_nothing):
                return
        self._release()

    def _release(self) -> None:
        for key, owner in self._claimed.items():
            try:
                self._index.release(key, owner)
            except Exception as failed:  # noqa: BLE001 - every storage has its own errors
                self.log.warning("The claim on the picture stays until it ends (%s)", type(failed).__name__)
