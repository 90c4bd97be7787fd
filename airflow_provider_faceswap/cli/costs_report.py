"""What the jobs of an archive cost, from its manifests."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.archive.manifest import Manifest
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.spending.amounts import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import ObjectStoragePath

#: The columns that costs can be added up by.
COLUMNS = ("dag", "vendor", "kind", "day", "month")
#: Manifests that are read at a time.
_READERS = 16


def costs_of(folder: ObjectStoragePath, by: str) -> list[dict[str, Any]]:
    """
    The costs in a folder and below it.

    A job counts once, however many pictures it made. The jobs before it in a chain count too.

    :param by: Columns with commas between them.
    :returns: One row for each value of the columns and each unit: these, ``jobs``, ``amount``, ``unit``. Jobs whose
        vendor reports no cost have the unit ``None``.
    :raises InvalidRequestError: A column is unknown, or there is no such folder.
    """
    columns = [name.strip() for name in by.split(",") if name.strip()]
    if not columns or set(columns) - set(COLUMNS):
        raise InvalidRequestError(f"--by: must be of {', '.join(COLUMNS)}, got {by!r}")
    if not folder.exists():
        raise InvalidRequestError(f"{folder} is not a folder")
    jobs: dict[tuple[str, str], dict[str, Any]] = {}
    for manifest in _manifests(folder):
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


def written(rows: list[dict[str, Any]], output: str) -> str:
    """
    The rows as text.

    :param output: ``table``, ``json`` or ``csv``.
    """
    if output == "json":
        return json.dumps(rows) + "\n"
    out = io.StringIO()
    names = list(rows[0]) if rows else ["jobs", "amount", "unit"]
    if output == "csv":
        table = csv.DictWriter(out, names, lineterminator="\n")
        table.writeheader()
        # A spreadsheet would run a text that begins like a formula.
        table.writerows({name: _plain_cell(value) for name, value in row.items()} for row in rows)
        return out.getvalue()
    lines = [names, *([str(row[name] if row[name] is not None else "-") for name in names] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")
    return out.getvalue()


def _plain_cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"} else value


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


def _manifests(folder: ObjectStoragePath) -> Iterator[Manifest]:
    """The manifests of a folder. Other JSON files are left out."""
    paths = [path for path in folder.fs.find(folder.path) if path.endswith(".json")]

    def read(path: str) -> Manifest | None:
        try:
            return Manifest.parse(folder.fs.cat_file(path, start=0))
        except ValueError:
            return None

    with ThreadPoolExecutor(_READERS, thread_name_prefix="faceswap-costs") as threads:
        yield from (found for found in threads.map(read, sorted(paths)) if found is not None)
