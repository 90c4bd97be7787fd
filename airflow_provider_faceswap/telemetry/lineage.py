"""
Where pictures come from and go to, for those who keep track: asset events and hook lineage.

A dataset is named by its place alone: without the connection that leads there, and without what may open it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.lifecycle.provenance import provenance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.archive.store import Archived, Piece

#: Files, pictures or jobs that are named one by one; the others are counted. An event is a row in a database, and
#: has about 5 kB with so many.
MOST_NAMED = 20

#: Schemes that mean the same as another.
_SAME = {"": "file", "local": "file", "s3a": "s3", "s3n": "s3", "gcs": "gs"}
#: A text that is a place and nothing else; a prompt may begin with a link.
_PLACE = re.compile(r"https?://\S+|(?!https?:)[a-z][a-z0-9+.-]*://[^\r\n]+", re.IGNORECASE)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Output:
    """
    Something that was made.

    :param place: As :func:`place_of` names it.
    :param bytes: Its size; of a folder, what was put into it.
    :param files: How many files that is.
    :param sha256: Of a single file, in hex.
    """

    place: str
    bytes: int | None = None
    files: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class LineageRecord:
    """
    What one task took and made.

    :param inputs: Places, each once; at most :data:`MOST_NAMED`.
    :param outputs: At most :data:`MOST_NAMED`, else the folder that holds them.
    :param jobs: ``vendor``, ``kind``, ``job_id``, ``conn_id``, ``cost`` and ``attempt_reused`` of each, as far as
        they are named.
    :param total: How many jobs there are.
    :param cost: Of all of them, unit to amount.
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    jobs: tuple[dict[str, Any], ...] = ()
    total: int = 0
    cost: Mapping[str, float] | None = None


def place_of(uri: str) -> str:
    """
    A link, a URI of object storage, or a path on a disk, as a dataset is named.

    :returns: A link without user info, query and fragment; a URI without the id of its Airflow connection.
    """
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return f"file://{uri}"
    if scheme.lower() in {"http", "https"}:
        return bare_url(uri)
    authority, slash, path = rest.partition("/")
    return f"{_SAME.get(scheme, scheme)}://{authority.rpartition('@')[2]}{slash}{path}"


# -- what a task took and made ------------------------------------------------------------------------


def of_job(outcome: Mapping[str, Any] | None, arguments: Mapping[str, Any]) -> LineageRecord:
    """
    The story of one job.

    :param outcome: What the operator returns; ``None`` where the job failed.
    :param arguments: Its content arguments.
    """
    inputs = _places(provenance(arguments)["arguments"])
    if outcome is None:
        return LineageRecord(inputs=_first(inputs))
    return _with_jobs([outcome], _first(inputs), of_links(outcome["urls"]).outputs)


def of_links(urls: Iterable[str]) -> LineageRecord:
    """The story of what a vendor has made, without the job."""
    return LineageRecord(outputs=tuple(map(Output, _first(map(place_of, urls)))))


def of_archive(pieces: Sequence[Piece], kept: Sequence[Archived], folder: object) -> LineageRecord:
    """
    The story of results that were kept.

    :param pieces: What was to be kept.
    :param kept: The same, kept; in the same order.
    :param folder: Where they are.
    """
    if len(kept) > MOST_NAMED:
        whole = Output(place_of(str(folder)), sum(file.bytes for file in kept), len(kept))
        outputs: tuple[Output, ...] = (whole,)
    else:
        outputs = tuple(Output(place_of(file.uri), file.bytes, 1, file.sha256) for file in kept)
    results = [piece.result for piece in pieces if piece.result]
    return _with_jobs(results, _first(place_of(piece.url) for piece in pieces if piece.url), outputs)


def of_batch(outcome: Mapping[str, Any] | None, items: Any, folder: object) -> LineageRecord:
    """
    The story of a batch: its jobs are not named one by one, as the batch's own manifest does that.

    :param outcome: What the operator returns; ``None`` where it did not come so far.
    :param items: As the operator takes them.
    :param folder: Where the pictures are.
    """
    inputs: Iterable[str] = ()
    if isinstance(items, str) or hasattr(items, "open"):
        inputs = [place_of(str(items))]
    elif isinstance(items, list | tuple):  # a lazy sequence would have to ask Airflow
        inputs = (
            place
            for item in items
            if isinstance(item, Mapping)
            for place in _places(provenance(item)["arguments"])
        )
    if outcome is None:
        return LineageRecord(inputs=_first(inputs))
    outputs = (
        Output(place_of(str(folder)), files=outcome["archived"]),
        Output(place_of(outcome["manifest_uri"]), files=1),
    )
    return LineageRecord(_first(inputs), outputs, (), outcome["total"], outcome["cost"])


def _places(value: Any) -> Iterable[str]:
    """Every place that an argument names, at any depth; arguments are as a manifest shows them."""
    if isinstance(value, str) and _PLACE.fullmatch(value):
        yield place_of(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _places(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _places(part)


def _first(places: Iterable[str]) -> tuple[str, ...]:
    """Each once, in their order, as many as are named."""
    seen: dict[str, None] = {}
    for place in places:
        seen.setdefault(place)
        if len(seen) == MOST_NAMED:
            break
    return tuple(seen)


def _with_jobs(
    results: Iterable[Mapping[str, Any]], inputs: tuple[str, ...], outputs: tuple[Output, ...]
) -> LineageRecord:
    """Each job once, though several of its pictures may be there."""
    jobs = {(result["vendor"], result["job_id"]): result for result in results}
    told = ("vendor", "kind", "job_id", "conn_id", "cost", "attempt_reused")
    cost: dict[str, float] = {}
    for result in jobs.values():
        if paid := result.get("cost"):
            cost[paid["unit"]] = cost.get(paid["unit"], 0.0) + paid["amount"]
    named = tuple({name: job.get(name) for name in told} for job in islice(jobs.values(), MOST_NAMED))
    return LineageRecord(inputs, outputs, named, len(jobs), cost)


# -- asset events -------------------------------------------------------------------------------------


def extra_of_archive(pieces: Sequence[Piece], kept: Sequence[Archived]) -> dict[str, Any]:
    """
    What the event of an outlet says of files that were kept.

    :returns: ``files``, at most :data:`MOST_NAMED` of them; ``total``, how many there are; ``cost`` of all.
    """
    named = list(zip(pieces, kept, strict=True))[:MOST_NAMED]
    return {
        "files": [
            {
                "uri": file.uri,
                "sha256": file.sha256,
                **{name: (piece.result or {}).get(name) for name in ("vendor", "job_id", "cost")},
            }
            for piece, file in named
        ],
        "total": len(kept),
        "cost": dict(_with_jobs([piece.result for piece in pieces if piece.result], (), ()).cost or {}),
    }


def extra_of_batch(outcome: Mapping[str, Any], vendor: str) -> dict[str, Any]:
    """
    What the event of an outlet says of a batch; each file stands in the manifest that it names.

    :param outcome: What the operator returns.
    """
    told = ("manifest_uri", "total", "archived", "failed", "cost")
    return {"vendor": vendor, **{name: outcome[name] for name in told}}


def set_outlet_extras(context: Context, outlets: Iterable[Any] | None, extra: dict[str, Any]) -> None:
    """Give the events of a task's assets and aliases what a consumer needs to find the pictures."""
    from airflow.sdk import Asset, AssetAlias
    from airflow.sdk.definitions.asset import AssetRef

    for outlet in outlets or ():
        # An outlet may be something else, for lineage alone: that has no event.
        if isinstance(outlet, Asset | AssetAlias | AssetRef):
            context["outlet_events"][outlet].extra = extra


# -- hook lineage -------------------------------------------------------------------------------------


def collect(context: Any, story: LineageRecord) -> None:
    """
    Report to Airflow's hook lineage, which does nothing where nobody reads it.

    :param context: The hook or the storage path by which the data went.
    """
    from airflow.providers.common.compat.sdk import get_hook_lineage_collector

    try:
        collector = get_hook_lineage_collector()
        for place in story.inputs:
            collector.add_input_asset(context=context, uri=place)
        for output in story.outputs:
            collector.add_output_asset(context=context, uri=output.place)
    except Exception as error:  # noqa: BLE001 - such as a name too long for an asset: no reason to lose a paid job
        _log.warning("Lineage could not be told (%s)", type(error).__name__)
