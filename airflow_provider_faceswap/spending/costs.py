"""What the jobs of archived pictures cost, added up from their manifests."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.spending.amounts import as_amount, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from airflow_provider_faceswap.archive.manifest import Manifest

#: The columns that costs can be added up by.
COLUMNS = ("dag", "vendor", "kind", "day", "month")
#: Of many names, those that a warning has.
_NAMED = 3


def costs_by(
    columns: Sequence[str], manifests: Iterable[Manifest], warn: Callable[[str], object] | None = None
) -> list[dict[str, Any]]:
    """
    The costs of the jobs that manifests name.

    A job counts once, however many pictures it made. The jobs before it in a chain count too.

    :param columns: Names of :data:`COLUMNS`.
    :param warn: Called with a sentence about costs that are damaged.
    :returns: One row for each value of the columns and each unit: these, ``jobs``, ``amount``, ``unit``. Jobs whose
        vendor reports no cost, or whose cost is damaged, have the unit ``None``.
    """
    jobs: dict[tuple[str, str], tuple[tuple[bool, bool, Decimal], dict[str, Any]]] = {}
    damaged: dict[str, None] = {}
    for manifest in manifests:
        for place, job in enumerate((manifest.job, *manifest.parents)):
            if job is None:
                continue
            row = _row(job, manifest)
            key = (row["vendor"], str(job.get("job_id")))
            if row["amount"] is None and job.get("cost") is not None:
                damaged[f"{key[0]} job {key[1]}"] = None
            # A copy of a picture that was reused says 0, so what was paid comes first. Then comes the job's own
            # manifest: one of another Dag may name it, too.
            rank = (bool(row["amount"]), place == 0, row["amount"] or Decimal(0))
            if key not in jobs or rank > jobs[key][0]:
                jobs[key] = (rank, row)
    if damaged and warn is not None:
        warn(f"The cost counts as not known where the manifest says no amount of money: {some_of(damaged)}.")
    sums: dict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
    for _, row in jobs.values():
        sums[*(row[name] for name in columns), row["unit"]].append(row["amount"] or Decimal(0))
    return [
        {
            **dict(zip(columns, key, strict=False)),
            "jobs": len(amounts),
            "amount": plain(sum(amounts, Decimal(0))) if key[-1] else None,
            "unit": key[-1],
        }
        for key, amounts in sorted(sums.items(), key=lambda pair: tuple(map(str, pair[0])))
    ]


def some_of(names: Collection[str]) -> str:
    """The first of some names, and how many there are besides."""
    shown = ", ".join(list(names)[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"


def _row(job: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    amount, unit = _cost(job.get("cost"))
    ended = str(job.get("finished_at") or job.get("submitted_at") or manifest.archived_at)
    return {
        "dag": manifest.airflow.dag_id,
        "vendor": str(job.get("vendor")),
        "kind": str(job.get("kind")),
        "day": ended[:10],
        "month": ended[:7],
        "amount": amount,
        "unit": unit,
    }


def _cost(given: Any) -> tuple[Decimal | None, str | None]:
    """The amount and the unit of a cost, which anybody may have written; ``None`` for both if it is not known."""
    cost: Mapping[str, Any] = given if isinstance(given, dict) else {}
    amount, unit = cost.get("amount"), cost.get("unit")
    if isinstance(amount, int | float) and isinstance(unit, str):
        with suppress(InvalidRequestError):
            return as_amount("cost", amount), unit
    return None, None
