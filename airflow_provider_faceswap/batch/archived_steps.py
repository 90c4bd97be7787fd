"""The steps of an item in the archive of its batch: their keys in its index, what is there, and what is left to make."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from airflow_provider_faceswap.archive.reuse import result_of_archived
from airflow_provider_faceswap.batch.results import StepResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_faceswap.archive.index import Index
    from airflow_provider_faceswap.batch.item_plan import ItemPlan
    from airflow_provider_faceswap.batch.options import PreparedStep
    from airflow_provider_faceswap.hooks.base import JobHook


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

    :param first: The step to continue with.
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
