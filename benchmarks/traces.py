"""What a row has left behind, in Airflow's database and on disk: slots, failures, when results were seen."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from postgres import PostgreSQL

#: Events of Airflow's log at which a task leaves its worker.
_LEAVES = ("deferred", "success", "failed", "up_for_retry", "up_for_reschedule", "skipped")


def slots(database: PostgreSQL, dag_id: str) -> tuple[float, int]:
    """
    Worker slot seconds, and how often a task process ran.

    Airflow's log has one event where a task begins on a worker, also after a deferral, and one where it
    leaves: deferred, ended. What a trigger ends has no beginning, and adds nothing.
    """
    found = database.rows(
        "select task_id, map_index, event, extract(epoch from dttm) from log where dag_id = %s"
        " and task_id is not null and event in %s order by task_id, map_index, dttm, id",
        dag_id,
        ("running", *_LEAVES),
    )
    total, runs = 0.0, 0
    for (task, index, event, begun), (next_task, next_index, next_event, ended) in pairwise(
        [*found, (None, None, "", 0)]
    ):
        if event == "running":
            runs += 1
            if (task, index) == (next_task, next_index) and next_event in _LEAVES:
                total += float(ended) - float(begun)
    return total, runs


def failed_tries(database: PostgreSQL, dag_id: str) -> int:
    """Tries that failed, also where a later one came through."""
    [[count]] = database.rows(
        "select (select count(*) from task_instance where dag_id = %s and state in ('failed', 'upstream_failed'))"
        " + (select count(*) from task_instance_history where dag_id = %s and state = 'failed')",
        dag_id,
        dag_id,
    )
    return int(count)


def seen(database: PostgreSQL, home: Path, row: str, name: str) -> dict[str, float]:
    """When a result could be used, by job."""
    if row.startswith(("mapped", "chain_mapped")):
        rows = database.rows(
            "select value, extract(epoch from timestamp) from xcom where dag_id = %s"
            " and task_id in ('swap', 'one.swap') and key = 'return_value'",
            name,
        )
        return {job: float(at) for value, at in rows if (job := _job_of(value))}
    if row.startswith(("batch", "chain_batch")):
        return _from_manifests(home / "pictures" / name)
    path = home / "seen" / f"{name}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {entry["job_id"]: entry["at"] for entry in map(json.loads, lines)}


def _from_manifests(folder: Path) -> dict[str, float]:
    """The vendor tells no time of its own, so a manifest has the moment at which the job was seen done."""
    found = {}
    for path in folder.rglob("*.json"):
        job = json.loads(path.read_text()).get("job") or {}
        if job.get("job_id") and job.get("finished_at"):
            found[job["job_id"]] = datetime.fromisoformat(job["finished_at"]).timestamp()
    return found


def _job_of(value: Any) -> str | None:
    """The job in a return value; Airflow stores JSON, as text or parsed."""
    if isinstance(value, str):
        value = json.loads(value)
    return value.get("job_id") if isinstance(value, dict) else None
