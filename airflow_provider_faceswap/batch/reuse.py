"""The claims of an item on what it makes for the archive of its batch, and what it takes from there instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.archive.turns import (
    TO_ARCHIVE,
    AnotherMakesItError,
    ClaimWait,
    found_or_claimed,
)
from airflow_provider_faceswap.batch.archived_steps import find, requests_of
from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.lifecycle.submitter import NotSubmittedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_faceswap.archive.index import Index
    from airflow_provider_faceswap.archive.manifest import Manifest
    from airflow_provider_faceswap.batch.item_plan import ItemPlan
    from airflow_provider_faceswap.batch.options import PreparedStep
    from airflow_provider_faceswap.batch.results import StepResult
    from airflow_provider_faceswap.batch.runner import BatchRunner
    from airflow_provider_faceswap.hooks.base import JobHook

#: Errors of jobs that made nothing: others may make the picture.
_MADE_NOTHING = frozenset({"ContentRefusedError", "JobCanceledError", "JobFailedError", "NoFaceError"})


@dataclass
class ItemReuse:
    """
    The requests of one item in the archive's index.

    :param prepared: The steps of the item.
    :param keys: By step, the key of the record at each connection.
    :ivar made: The connection that made a step, by step, as far as this is known.
    """

    runner: BatchRunner
    prepared: list[PreparedStep]
    keys: list[dict[str, str]]
    log: Any
    made: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        #: The steps that this attempt has claimed.
        self.claimed: set[int] = set()

    @property
    def _index(self) -> Index:
        if self.runner.index is None:
            raise AssertionError
        return self.runner.index

    async def look(self, numbers: Iterable[int], *, claim: int) -> tuple[int, StepResult] | None:
        """
        Look for a step in the archive. If it is not there, claim it, so that no other task or item makes it meanwhile.

        :param numbers: The steps to look for, the best first.
        :param claim: The step to claim. If only an earlier one is there, this item makes the claimed one from it.
        :returns: The step that was found, and its result; ``None`` if none is there.
        :raises NotSubmittedError: The batch ended meanwhile.
        :raises FaceSwapError: The archive cannot be read, or another task is making the picture for too long.
        """
        runner, numbers = self.runner, list(numbers)
        # Who makes it may be at the first step.
        seconds = sum(prepared.step.timeout for prepared in self.prepared[: claim + 1])
        waiting = ClaimWait(seconds, self.log.info)
        look = partial(
            found_or_claimed,
            lambda: find(self._index, self.prepared, [claim], self.made),
            lambda: self._claim(claim),
            lambda: self._release([claim]),
        )
        earlier = [number for number in numbers if number != claim]
        while True:
            try:
                found = await runner.in_thread(
                    lambda: look() or find(self._index, self.prepared, earlier, self.made)
                )
            except AnotherMakesItError as other:
                if runner.ending or runner.report.stopped is not None:
                    raise NotSubmittedError from None
                await CLOCK.asleep(waiting.pause(other))
                continue
            if found is None:
                return None
            number, result, conn_ids = found
            self.made.update(conn_ids)
            return number, result

    def _claim(self, number: int) -> str | None:
        """Claim a step; what :meth:`~airflow_provider_faceswap.archive.index.Index.claim` returns."""
        if self.runner.ending:
            # Nobody would give it back.
            raise NotSubmittedError
        key = next(iter(requests_of(self._index, self.prepared, number, self.made)))
        seconds = sum(prepared.step.timeout for prepared in self.prepared) + TO_ARCHIVE
        holder = self._index.claim(key, self._owner(number), seconds)
        if holder is None:
            self.claimed.add(number)
            return None
        return holder.partition("#")[0]

    def _owner(self, number: int) -> str:
        # Equal items of a batch have records of their own, and one of them buys.
        return f"{self.runner.owner}#{next(iter(self.keys[number].values()))}"

    def key_of(self, number: int, hook: JobHook) -> str | None:
        """
        The key of a step that a connection makes.

        :returns: ``None`` if it is not known which vendor made a step before it, or a link cannot be fetched that counts by its
            content. Its picture is made all the same, and is not found again: it may be paid already.
        """
        made = {**self.made, self.prepared[number].step.name: hook.conn_id}
        try:
            keys = list(requests_of(self._index, self.prepared, number, made))
        except FaceSwapError as error:
            self.log.warning("a request cannot be reused: %s", error.message)
            return None
        return keys[0] if len(keys) == 1 else None

    def record(self, number: int, hook: JobHook, made: Sequence[Manifest]) -> None:
        """
        Write the index entry of a step whose files are all archived, and end the claims on it.

        It never raises: the files are archived all the same.

        :param made: The manifests of the files.
        """
        try:
            if (key := self.key_of(number, hook)) is not None:
                self._index.record(key, made)
            if len(requests_of(self._index, self.prepared, number)) == 1:
                return
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            self.log.warning(
                "a request cannot be reused: its entry could not be written (%s)", error_line(error)
            )
        # This attempt, or an earlier one, has claimed it for the first connections, and others may have made it.
        self._release([number])

    def give_up(self, end: Mapping[str, Any], plan: ItemPlan) -> None:
        """
        Give the claims back, unless a job may still make the picture. It never raises.

        :param end: The end of the item.
        """
        error, job_id = end.get("error"), end.get("job_id")
        if end["status"] == "failed":
            made_nothing = error in _MADE_NOTHING and job_id not in self.runner.running
            if error == "SubmissionUncertainError" or (job_id is not None and not made_nothing):
                return
        try:
            if plan.may_be_made:
                return
        except Exception as failed:  # noqa: BLE001 - every store has its own errors
            self.log.warning("The claim on the picture stays until it ends (%s)", type(failed).__name__)
            return
        kept = self.runner.jobs.is_kept
        self._release(number for number, prepared in enumerate(self.prepared) if kept(prepared.step))

    def _release(self, numbers: Iterable[int]) -> None:
        """Give the claims on steps back, also those of an earlier attempt."""
        for number in numbers:
            try:
                for key in requests_of(self._index, self.prepared, number):
                    self._index.release(key, self._owner(number))
            except Exception as failed:  # noqa: BLE001 - every storage has its own errors
                self.log.warning("The claim on the picture stays until it ends (%s)", type(failed).__name__)
