"""The gallery's page of what the pictures of a Dag cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_faceswap.gallery import _airflow_database as database
from airflow_provider_faceswap.gallery.page import rendered
from airflow_provider_faceswap.gallery.pages import problems_of, results_of
from airflow_provider_faceswap.gallery.results import Filter, Scope
from airflow_provider_faceswap.jobs import Cost
from airflow_provider_faceswap.spending.costs import costs_by

if TYPE_CHECKING:
    from airflow_provider_faceswap.archive.manifest import Manifest

#: Runs, and manifests in all, that are read for one page: the newest.
MOST_RUNS, MOST_MANIFESTS = 100, 2000
#: What the costs can be added up by, the usual one first. All are of one Dag.
CHOICES = ("day", "month", "vendor", "kind", "day,vendor")


def costs(dag_id: str, by: str) -> str:
    """
    The page of a Dag's costs, by its manifests, as ``airflow faceswap costs`` counts them.

    :param by: One of :data:`CHOICES`; anything else means the first.
    """
    by = by if by in CHOICES else CHOICES[0]
    manifests, problems, all_read = _newest(dag_id)
    columns = by.split(",")
    rows = costs_by(columns, manifests, problems.append)
    if not all_read:
        problems.append(
            f"Only the newest {len(manifests):,} pictures are counted here. `airflow faceswap costs` counts a whole archive."
        )
    return rendered(
        "costs",
        title="Costs of the pictures",
        where=dag_id,
        back="../",
        chips=_sums(manifests),
        choices=[(name.replace(",", " and "), f"?by={name}", name == by) for name in CHOICES],
        problems=problems,
        names=[*columns, "jobs", "amount", "unit"],
        rows=[["" if value is None else value for value in row.values()] for row in reversed(rows)],
    )


def _newest(dag_id: str) -> tuple[list[Manifest], list[str], bool]:
    """The manifests of the newest runs, why some are not there, and whether there are no others."""
    runs = database.last_runs(dag_id, MOST_RUNS)
    manifests: list[Manifest] = []
    problems: list[str] = []
    for run_id, _ in runs:
        left = MOST_MANIFESTS - len(manifests)
        results = results_of(Scope(dag_id, run_id))
        cards, total = results.page(Filter(), left)
        manifests += [card.manifest for card in cards if card.manifest is not None]
        problems += [problem for problem in problems_of(results) if problem not in problems]
        unread = sorted({card.problem for card in cards if card.problem})
        problems += [problem for problem in unread if problem not in problems]
        if total > len(cards) or len(manifests) >= MOST_MANIFESTS:
            return manifests, problems, False
    return manifests, problems, len(runs) < MOST_RUNS


def _sums(manifests: list[Manifest]) -> list[tuple[str, bool]]:
    """The summary above the table."""
    rows = costs_by((), manifests)
    chips = [(f"{sum(row['jobs'] for row in rows):,} jobs", False)]
    return chips + [
        (str(Cost(amount=float(row["amount"]), unit=row["unit"])), False) for row in rows if row["unit"]
    ]
