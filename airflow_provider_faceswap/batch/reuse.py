"""What a batch takes from its archive instead of buying it, and the claims on what it makes for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.archive.reuse import result_of_archived
from airflow_provider_faceswap.archive.turns import (
    TO_ARCHIVE,
    AnotherMakesItError,
    ClaimWait,
    found_or_claimed,
)
from airflow_provider_faceswap.batch.results import StepResult
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
    from airflow_provider_faceswap.batch.runner import BatchRunner
    from airflow_provider_faceswap.hooks.base import JobHook

#: Errors of jobs that made nothing: others may make the picture.
_MADE_NOTHING = frozenset({"ContentRefusedError", "JobCanceledError", "JobFailedError", "NoFaceError"})


def requests_of(
    index: Index, prepared: Sequence[PreparedStep], number: int, made: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """
    The requests that may make a step, by their keys in the index, in the order in which they are tried.

    A step that takes results is another request for each vendor that may have made them.

    :param prepared: All steps of the item.
    :param made: The connection that made a step, by step, as far as this is known.
    :returns: For each key, the connection of the step and of each step before it whose result is in the picture.
    :raises FaceSwapError: A link could not be fetched, where links count by their content.
    """
    needed = _needed(prepared, number)
    names = [one.step.name for one in needed]
    known = made or {}
    choices = ([known[one.step.name]] if one.step.name in known else _different(index, one) for one in needed)
    found: dict[str, dict[str, str]] = {}
    for choice in product(*choices):
        found.setdefault(_key(index, needed, choice), dict(zip(names, choice, strict=True)))
    return found


def _needed(prepared: Sequence[PreparedStep], number: int) -> list[PreparedStep]:
    """A step after all steps whose results are in its picture, in their order."""
    names, needed = {prepared[number].step.name}, []
    for one in reversed(prepared[: number + 1]):
        if one.step.name in names:
            names |= one.step.inputs
            needed.append(one)
    return needed[::-1]


def _different(index: Index, prepared: PreparedStep) -> list[str]:
    """The connections of a step without those that make the same as one before: other accounts of its vendor."""
    if len(prepared.requests) == 1:
        return list(prepared.requests)
    found: dict[str, str] = {}
    for conn_id, (kind, request) in prepared.requests.items():
        found.setdefault(index.key_of(_hook(prepared, conn_id).vendor.name, kind, request), conn_id)
    return list(found.values())


def _key(index: Index, steps: Sequence[PreparedStep], conn_ids: Iterable[str]) -> str:
    """
    The key of the last step, where each is made at one connection.

    What stands for a result in the request of its record has links by their text, webhooks and connections in it. Here the
    key of the step that makes it counts instead.
    """
    key = ""
    results: dict[str, str] = {}
    for one, conn_id in zip(steps, conn_ids, strict=True):
        kind, request = one.requests[conn_id]
        key = index.key_of(_hook(one, conn_id).vendor.name, kind, request, results)
        if one is not steps[-1]:
            result = one.result
            results |= {result["url"]: key, result["job_id"]: key}
    return key


def _hook(prepared: PreparedStep, conn_id: str) -> JobHook:
    return next(hook for hook in prepared.step.hooks if hook.conn_id == conn_id)


def find(
    index: Index,
    prepared: Sequence[PreparedStep],
    numbers: Iterable[int],
    made: Mapping[str, str] | None = None,
) -> tuple[int, StepResult, dict[str, str]] | None:
    """
    Look for steps of an item in an archive.

    :param prepared: All steps of the item.
    :param numbers: Those to look for, the best first.
    :param made: The connection that made a step, by step, as far as this is known.
    :returns: The step that was found, its result, and the connections that made it and the steps before it.
    :raises FaceSwapError: The archive cannot be read.
    """
    for number in numbers:
        name = prepared[number].step.name
        for key, conn_ids in requests_of(index, prepared, number, made).items():
            if manifests := index.find(key):
                hook = _hook(prepared[number], conn_ids[name])
                result = result_of_archived(manifests, index.folder, hook.vendor.cost_unit or "")
                return number, StepResult(name, hook, result, checked=manifests), conn_ids
    return None


def left_to_make(
    index: Index | None,
    plan: ItemPlan,
    first: int,
    known: Iterable[str],
    made: Mapping[str, str] | None = None,
) -> tuple[list[int], dict[int, tuple[StepResult, dict[str, str]]]]:
    """
    The steps of an item that are left, and what an archive has of the results that they take.

    A step that was taken from the archive has no record: a later attempt takes it from there again, or makes it.

    :param first: The step to go on with.
    :param known: The names of the steps before it whose results are known.
    :param made: The connection that made a step, by step, as far as this is known.
    :returns: The steps to make, in their order; and by step the results that were found, each with the connections that made
        it and the steps before it.
    :raises FaceSwapError: The archive cannot be read.
    """
    known, left = set(known), list(range(first, plan.last + 1))
    found: dict[int, tuple[StepResult, dict[str, str]]] = {}
    if index is None or not left or plan.is_wanted_anew():
        return left, found
    paid = [first] if plan.is_paid(first) else []
    for number in range(first - 1, -1, -1):
        name = plan.prepared[number].step.name
        users = [later for later in left if name in plan.prepared[later].step.inputs]
        if name in known or not users:
            continue
        if plan.may_be_taken(number, left) and (there := find(index, plan.prepared, [number], made)):
            found[number] = there[1:]
        elif users != paid and plan.may_be_taken(number, ()):
            # A job that is there needs no input, and what is never archived was not taken from there.
            left.insert(0, number)
    return left, found


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
