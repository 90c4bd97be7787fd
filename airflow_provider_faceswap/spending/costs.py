"""What the jobs of archived pictures cost, added up from their manifests."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.spending.amounts import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_faceswap.archive.manifest import Manifest

#: The columns that costs can be added up by.
COLUMNS = ("dag", "vendor", "kind", "day", "month")


def costs_by(columns: Sequence[str], manifests: Iterable[Manifest]) -> list[dict[str, Any]]:
    """
    The costs of the jobs that manifests name.

    A job counts once, however many pictures it made. The jobs before it in a chain count too.

    :param columns: Names of :data:`COLUMNS`.
    :returns: One row for each value of the columns and each unit: these, ``jobs``, ``amount``, ``unit``. Jobs whose
        vendor reports no cost have the unit ``None``.
    """
    jobs: dict[tuple[str, str], dict[str, Any]] = {}
    for manifest in manifests:
        for job in (manifest.job, *manifest.parents):
            if job is None:
                continue
            row = _row(job, manifest)
            key = (row["vendor"], str(job.get("job_id")))
            # A copy of a picture that was reused says 0.
            if key not in jobs or (row["amount"] or 0) > (jobs[key]["amount"] or 0):
                jobs[key] = row
    sums: dict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
    for row in jobs.values():
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


def _row(job: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    given = job.get("cost")
    cost: Mapping[str, Any] = given if isinstance(given, dict) else {}
    known = isinstance(cost.get("amount"), int | float)
    ended = str(job.get("finished_at") or job.get("submitted_at") or manifest.archived_at)
    return {
        "dag": manifest.airflow.dag_id,
        "vendor": str(job.get("vendor")),
        "kind": str(job.get("kind")),
        "day": ended[:10],
        "month": ended[:7],
        "amount": Decimal(str(cost["amount"])) if known else None,
        "unit": str(cost.get("unit")) if known else None,
    }
