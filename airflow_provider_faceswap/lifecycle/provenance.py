"""Where a picture came from: the arguments fit to be shown, and the jobs that made its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import redacted

#: Arguments that may carry a token: they are no part of what a manifest tells.
_PRIVATE = ("webhook", "webhook_secret")

#: What a manifest says of each job of a chain.
_TOLD = ("vendor", "kind", "job_id", "conn_id", "cost", "submitted_at", "finished_at")


def is_result(value: Any) -> bool:
    """True for what a job operator of this package returned."""
    return isinstance(value, Mapping) and {"vendor", "job_id", "url"} <= value.keys()


def is_archived(value: Any) -> bool:
    """True for what the archive operator returned."""
    return isinstance(value, Mapping) and {"uri", "manifest_uri", "sha256"} <= value.keys()


def parents_of(value: Any) -> list[Mapping[str, Any]]:
    """The results of other job operators that an argument holds, at any depth."""
    if is_result(value):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [parent for item in value for parent in parents_of(item)]
    return []


def materialized(value: Any) -> Any:
    """An argument as it is; another task's many results, which Airflow hands over as a lazy sequence, as a list."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | list | tuple):
        return list(value[:])
    return value


def with_links(value: Any) -> Any:
    """
    An argument with every result of another job replaced by its link.

    :raises InvalidRequestError: A result has no link, as its vendor answered with the picture itself.
    """
    if is_result(value):
        if not value["url"]:
            raise InvalidRequestError(
                f"the result of {value['vendor']} job {value['job_id']} has no link",
                advice="Nothing was bought. Archive it first and give the archived picture.",
            )
        return value["url"]
    if isinstance(value, Mapping):
        return {key: with_links(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_links(item) for item in value]
    return value


def request_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Put a job's id in the place of a parent's whole result, and a link in the place of any other."""
    return {
        name: value["job_id"] if name == "parent_job_id" and is_result(value) else with_links(value)
        for name, value in arguments.items()
    }


def provenance(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    What is told of a job that is about to be bought.

    :param arguments: Neutral names to values as the user gave them; results of other jobs among them.
    :returns: ``arguments``: JSON-safe, URLs without query, inline pictures by hash, a result by its link;
        ``parents``: the jobs before it, the nearest first, each with its own arguments.
    """
    shown: dict[str, Any] = {}
    parents: dict[str, dict[str, Any]] = {}
    for name, value in arguments.items():
        if value is None or name in _PRIVATE:
            continue
        job = value["job_id"] if name == "parent_job_id" and is_result(value) else None
        shown[name] = job or redacted(_named(value))
    chains = [chain_of(result) for value in arguments.values() for result in parents_of(value)]
    # The direct parents first, then what was before them.
    for parent in (*(chain[0] for chain in chains), *(job for chain in chains for job in chain[1:])):
        parents.setdefault(f"{parent['vendor']} {parent['job_id']}", parent)
    return {"arguments": shown, "parents": list(parents.values())}


def chain_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    A job and those before it, the nearest first.

    :param result: What a job operator returned.
    :returns: One dict each: vendor, kind, job_id, conn_id, cost, submitted_at, finished_at, arguments.
    """
    story = result.get("provenance") or {}
    told = {name: result.get(name) for name in _TOLD}
    return [{**told, "arguments": story.get("arguments") or {}}, *(story.get("parents") or [])]


def _named(value: Any) -> Any:
    """An argument with every result of another job, and every picture, replaced by what names it."""
    if is_result(value):
        return value["url"] or f"job {value['job_id']}"
    if is_archived(value):
        return value["uri"]
    # A picture in memory, and a path in object storage: neither class is known this far down.
    if hasattr(value, "sha256"):
        return f"sha256:{value.sha256}"
    if hasattr(value, "protocol"):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _named(item) for key, item in value.items() if key not in _PRIVATE}
    if isinstance(value, list | tuple):
        return [_named(item) for item in value]
    return value
