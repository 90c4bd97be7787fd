"""
Lineage of pictures: the extras of asset events, and Airflow's hook lineage.

A dataset's name is only its location: no Airflow connection id, no credentials and no signature.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.jobs import GivenResult
from airflow_provider_faceswap.lifecycle.provenance import provenance
from airflow_provider_faceswap.storage.places import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.archive.manifest import Archived
    from airflow_provider_faceswap.archive.sources import ArchiveSource

#: Files, pictures or jobs that an event lists; the others are only counted. An event is a row in a database, and
#: this many take about 5 kB.
MAX_LISTED = 20

#: A text that is a place and nothing else. A prompt may begin with a link.
_PLACE = re.compile(r"https?://\S+|(?!https?:)[a-z][a-z0-9+.-]*://[^\r\n]+", re.IGNORECASE)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Output:
    """
    A file or folder that a task wrote.

    :param place: As :func:`~airflow_provider_faceswap.storage.places.place_of` names it.
    :param bytes: Its size; for a folder, of the files that were written to it.
    :param files: The number of files.
    :param sha256: Of a single file, in hex.
    """

    place: str
    bytes: int | None = None
    files: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class LineageRecord:
    """
    The inputs and outputs of one task.

    :param inputs: Places, each once; at most :data:`MAX_LISTED`.
    :param outputs: At most :data:`MAX_LISTED`, otherwise the folder that holds them.
    :param jobs: ``vendor``, ``kind``, ``job_id``, ``conn_id``, ``cost`` and ``attempt_reused`` of at most
        :data:`MAX_LISTED` jobs.
    :param total: The number of jobs.
    :param cost: The sum over all jobs, unit to amount.
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    jobs: tuple[dict[str, Any], ...] = ()
    total: int = 0
    cost: Mapping[str, float] | None = None


# -- inputs and outputs of a task ---------------------------------------------------------------------


def job_lineage(outcome: Mapping[str, Any] | None, arguments: Mapping[str, Any]) -> LineageRecord:
    """
    The lineage of one job.

    :param outcome: What the operator returns; ``None`` if the job failed.
    :param arguments: Its content arguments.
    """
    inputs = _first(_places(provenance(arguments)["arguments"]))
    result = GivenResult.parse(outcome)
    if result is None:
        return LineageRecord(inputs=inputs)
    return _with_jobs([result], inputs, output_lineage(result.links).outputs)


def output_lineage(urls: Iterable[str]) -> LineageRecord:
    """The lineage of a vendor's outputs, without the job."""
    return LineageRecord(outputs=tuple(map(Output, _first(map(place_of, urls)))))


def archive_lineage(
    sources: Sequence[ArchiveSource], archived: Sequence[Archived], folder: object
) -> LineageRecord:
    """
    The lineage of archived results.

    :param archived: The file of each source, in the same order.
    :param folder: Where they are.
    """
    if len(archived) > MAX_LISTED:
        whole = Output(place_of(str(folder)), sum(file.bytes for file in archived), len(archived))
        outputs: tuple[Output, ...] = (whole,)
    else:
        outputs = tuple(Output(place_of(file.uri), file.bytes, 1, file.sha256) for file in archived)
    return _with_jobs(
        _results(sources), _first(place_of(source.url) for source in sources if source.url), outputs
    )


def batch_lineage(outcome: Mapping[str, Any] | None, items: Any, folder: object) -> LineageRecord:
    """
    The lineage of a batch. Its jobs are not listed, because the batch's own manifest lists them.

    :param outcome: What the operator returns; ``None`` if the batch failed before that.
    :param items: The operator's argument.
    :param folder: Where the pictures are.
    """
    inputs: Iterable[str] = ()
    if isinstance(items, str) or hasattr(items, "open"):
        inputs = [place_of(str(items))]
    elif isinstance(items, list | tuple):  # a lazy sequence would make a request to Airflow for each item
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
    """Every place in an argument, at any depth, as a manifest shows it."""
    if isinstance(value, str) and _PLACE.fullmatch(value):
        yield place_of(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _places(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _places(part)


def _first(places: Iterable[str]) -> tuple[str, ...]:
    """The first places, each once, in their order."""
    seen: dict[str, None] = {}
    for place in places:
        seen.setdefault(place)
        if len(seen) == MAX_LISTED:
            break
    return tuple(seen)


def _results(sources: Iterable[ArchiveSource]) -> list[GivenResult]:
    return [source.result for source in sources if source.result is not None]


def _with_jobs(
    results: Iterable[GivenResult], inputs: tuple[str, ...], outputs: tuple[Output, ...]
) -> LineageRecord:
    """A record with each job once, even if it has several pictures."""
    jobs = {(result.vendor, result.job_id): result for result in results}
    fields = {"vendor", "kind", "job_id", "conn_id", "cost", "attempt_reused"}
    cost: dict[str, float] = {}
    for result in jobs.values():
        if result.cost is not None:
            cost[result.cost.unit] = cost.get(result.cost.unit, 0.0) + result.cost.amount
    listed = tuple(job.model_dump(mode="json", include=fields) for job in islice(jobs.values(), MAX_LISTED))
    return LineageRecord(inputs, outputs, listed, len(jobs), cost)


# -- asset events -------------------------------------------------------------------------------------


def archive_event(sources: Sequence[ArchiveSource], archived: Sequence[Archived]) -> dict[str, Any]:
    """
    The extra field of the asset event for archived files.

    :returns: ``files``, at most :data:`MAX_LISTED`; ``total``, the number of files; ``cost`` of all jobs.
    """
    listed = islice(zip(sources, archived, strict=True), MAX_LISTED)
    return {
        "files": [{"uri": file.uri, "sha256": file.sha256, **_job_of(source)} for source, file in listed],
        "total": len(archived),
        "cost": dict(_with_jobs(_results(sources), (), ()).cost or {}),
    }


def _job_of(source: ArchiveSource) -> dict[str, Any]:
    fields = ("vendor", "job_id", "cost")
    if source.result is None:
        return dict.fromkeys(fields)
    return source.result.model_dump(mode="json", include=set(fields))


def batch_event(outcome: Mapping[str, Any], vendor: str) -> dict[str, Any]:
    """
    The extra field of the asset event for a batch. It names the batch's manifest, which lists the files.

    :param outcome: What the operator returns.
    """
    fields = ("manifest_uri", "total", "archived", "failed", "cost")
    return {"vendor": vendor, **{name: outcome[name] for name in fields}}


def job_event(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """
    The extra field of the asset event for a job, without its link, which may be signed.

    :param outcome: What the operator returns.
    """
    fields = ("vendor", "kind", "job_id", "conn_id", "cost", "finished_at", "expires_at")
    return {name: outcome.get(name) for name in fields}


def set_outlet_extras(
    context: Context, outlets: Iterable[Any] | None, extra: dict[str, Any], place: object
) -> None:
    """
    Set the extra of the events of a task's assets, so that a consumer can find the pictures.

    An alias makes no event by itself: it gets one of the asset that is the place.

    :param place: The folder or the link with the pictures.
    """
    from airflow.sdk import Asset, AssetAlias
    from airflow.sdk.definitions.asset import AssetRef

    for outlet in outlets or ():
        # An outlet for lineage only has no event.
        if isinstance(outlet, Asset | AssetAlias | AssetRef):
            event = context["outlet_events"][outlet]
            event.extra = extra
            if isinstance(outlet, AssetAlias):
                try:
                    event.add(Asset(place_of(str(place))), extra=extra)
                except Exception as error:  # noqa: BLE001 - such as a place that is no asset: the job is paid for
                    _log.warning("%s made no event (%s)", outlet, type(error).__name__)


# -- hook lineage -------------------------------------------------------------------------------------


def collect(context: Any, record: LineageRecord) -> None:
    """
    Report a record to Airflow's hook lineage, which does nothing unless a plugin reads it.

    :param context: The hook or the storage path through which the data went.
    """
    from airflow.providers.common.compat.sdk import get_hook_lineage_collector

    try:
        collector = get_hook_lineage_collector()
        for place in record.inputs:
            collector.add_input_asset(context=context, uri=place)
        for output in record.outputs:
            collector.add_output_asset(context=context, uri=output.place)
    except Exception as error:  # noqa: BLE001 - such as a name too long for an asset: no reason to lose a paid job
        _log.warning("Lineage could not be reported (%s)", type(error).__name__)
