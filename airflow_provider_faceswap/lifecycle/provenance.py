"""The origin of a picture: the arguments that may be shown, and the jobs that made its inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import LONGEST_TEXT, SHORTER_TEXT, bare_url, redacted
from airflow_provider_faceswap.foundation.rendered import is_nan, is_set
from airflow_provider_faceswap.foundation.text import MAX_DEPTH, check_sendable
from airflow_provider_faceswap.jobs import GivenResult

#: Characters of the arguments of one job as JSON. They travel in XCom and in the trigger's row; above this, long texts
#: are replaced by their hashes.
MAX_SIZE = 256 * 1024
#: Parts of the names of arguments that may contain a token, at any depth: addresses that the vendor calls, and secrets.
#: A manifest leaves them out.
_PRIVATE = ("webhook", "callback", "secret")

#: Fields of a job that a manifest contains for each job of a chain.
_CHAIN_FIELDS = {"vendor", "kind", "job_id", "conn_id", "cost", "submitted_at", "finished_at"}


def is_private(name: object) -> bool:
    """True for the name of an argument that may contain a token."""
    return isinstance(name, str) and any(part in name.casefold() for part in _PRIVATE)


def split_private(value: Any, depth: int = 0) -> tuple[Any, dict[Any, Any]]:
    """
    A value without its private parts, at any depth; and those parts, for :func:`joined_private`.

    :returns: The value; and names, or places in a list, to private parts. Empty if there is none.
    """
    if depth > MAX_DEPTH or not isinstance(value, Mapping | list | tuple):  # what is deeper will be refused
        return value, {}
    parts = value.items() if isinstance(value, Mapping) else enumerate(value)
    shown: dict[Any, Any] = {}
    private: dict[Any, Any] = {}
    for name, part in parts:
        if is_private(name):
            private[name] = part
            continue
        shown[name], inner = split_private(part, depth + 1)
        if inner:
            private[name] = inner
    if not private:
        return value, {}
    return shown if isinstance(value, Mapping) else list(shown.values()), private


def joined_private(value: Any, private: Mapping[Any, Any]) -> Any:
    """The value that :func:`split_private` has split."""
    if not private:
        return value
    whole = dict(value) if isinstance(value, Mapping) else dict(enumerate(value))
    for name, part in private.items():
        whole[name] = part if is_private(name) else joined_private(whole.get(name, {}), part)
    return whole if isinstance(value, Mapping) else list(whole.values())


def private_texts(arguments: Mapping[str, Any]) -> set[str]:
    """The texts of arguments that no message may show: of a link, its path, because messages have no queries."""
    texts: set[str] = set()
    waiting: list[tuple[Any, bool, int]] = [(arguments, False, 0)]
    while waiting:
        value, private, depth = waiting.pop()
        if depth > MAX_DEPTH:  # it will be refused
            return set()
        if isinstance(value, str) and private:
            texts.add(bare_url(value).partition("://")[2].partition("/")[2] if "://" in value else value)
        if isinstance(value, Mapping):
            waiting += [(part, private or is_private(name), depth + 1) for name, part in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(part, private, depth + 1) for part in value]
    return texts - {""}


def archived_uri(value: Any) -> str | None:
    """The URI of a picture that the archive operator returned; ``None`` if the value is something else."""
    if isinstance(value, Mapping) and {"uri", "manifest_uri", "sha256"} <= value.keys():
        return str(value["uri"])
    return None


def parents_of(value: Any) -> list[GivenResult]:
    """The results of other job operators that an argument contains, at any depth."""
    if (result := GivenResult.parse(value)) is not None:
        return [result]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [parent for item in value for parent in parents_of(item)]
    return []


def materialized(value: Any) -> Any:
    """An argument with the lazy sequence of a mapped task's results read into a list."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | list | tuple):
        return list(value[:])
    return value


def with_links(value: Any) -> Any:
    """
    An argument with every result of another job replaced by its link.

    :raises InvalidRequestError: A result has no link, because its vendor answered with the picture itself.
    """
    if (result := GivenResult.parse(value)) is not None:
        if not result.url:
            raise InvalidRequestError(
                f"the result of {result.vendor} job {result.job_id} has no link",
                advice="Nothing was bought. Archive that result first, then pass the archived picture.",
            )
        if result.reused_from is not None:
            # As the archive operator returns it: a file in object storage, and no link that a vendor could fetch.
            return {"uri": result.url, "manifest_uri": result.reused_from, "sha256": None}
        return result.url
    if isinstance(value, Mapping):
        return {key: with_links(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_links(item) for item in value]
    return value


def request_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    Arguments with a parent's result replaced by its job id, and any other result by its link.

    :raises InvalidRequestError: An argument cannot be sent.
    """
    for name, value in arguments.items():
        check_sendable(name, value)
    return {name: _parent_id(name, value) or with_links(value) for name, value in arguments.items()}


def provenance(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    The part of a manifest that is known before the job is submitted.

    :param arguments: Neutral names to values as the user gave them, which may contain results of other jobs.
    :returns: ``arguments``: JSON-safe, URLs without query, inline pictures by hash, a result by its link;
        ``parents``: the jobs before it, the nearest first, each with its own arguments. All texts are safe.
    :raises InvalidRequestError: An argument is nested too deep.
    """
    try:
        return _provenance(arguments)
    except RecursionError:
        raise InvalidRequestError("an argument is nested too deep") from None


def _provenance(arguments: Mapping[str, Any]) -> dict[str, Any]:
    shown = _shown(arguments, LONGEST_TEXT)
    if len(json.dumps(shown)) > MAX_SIZE:
        shown = _shown(arguments, SHORTER_TEXT)
    chains = [chain_of(result) for value in arguments.values() for result in parents_of(value)]
    parents: dict[str, dict[str, Any]] = {}
    # The direct parents first, then the jobs before them.
    for parent in (*(chain[0] for chain in chains), *(job for chain in chains for job in chain[1:])):
        parents.setdefault(f"{parent['vendor']} {parent['job_id']}", parent)
    return {"arguments": shown, "parents": list(parents.values())}


def _shown(arguments: Mapping[str, Any], longest: int) -> dict[str, Any]:
    """The arguments that may be shown, with every longer text by its hash."""
    return {
        name: _parent_id(name, value) or redacted(_without_data(value), longest)
        for name, value in arguments.items()
        if is_set(value) and not is_private(name)
    }


def chain_of(result: GivenResult) -> list[dict[str, Any]]:
    """
    A job and those before it, the nearest first.

    :returns: One dict each: vendor, kind, job_id, conn_id, cost, submitted_at, finished_at, arguments.
    """
    known = result.provenance or {}
    job = result.model_dump(mode="json", include=_CHAIN_FIELDS)
    return [{**job, "arguments": known.get("arguments") or {}}, *(known.get("parents") or [])]


def _parent_id(name: str, value: Any) -> str | None:
    """The job id of a result that is given as the parent job."""
    result = GivenResult.parse(value) if name == "parent_job_id" else None
    return result.job_id if result is not None else None


def _without_data(value: Any) -> Any:
    """An argument with every result of another job, and every picture, replaced by a text that identifies it."""
    if (result := GivenResult.parse(value)) is not None:
        return result.url or f"job {result.job_id}"
    if (uri := archived_uri(value)) is not None:
        return uri
    # A picture in memory, and a path in object storage. This room imports neither class.
    if hasattr(value, "sha256"):
        return f"sha256:{value.sha256}"
    if hasattr(value, "protocol"):
        return str(value)
    if is_nan(value):
        return None
    if isinstance(value, date | Decimal | UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _without_data(item) for key, item in value.items() if not is_private(key)}
    if isinstance(value, list | tuple):
        return [_without_data(item) for item in value]
    return value
