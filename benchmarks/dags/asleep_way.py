"""Triggers of Airflow's own that only sleep: what any waiting task costs, whatever it waits for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG
from bench_common import dags_of


def dag_of(dag_id: str, size: int) -> DAG:
    """Make the Dag for this many sleepers."""
    with DAG(dag_id=dag_id, schedule=None) as dag:
        # That far from its time, the trigger sleeps for an hour at once.
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        DateTimeSensorAsync.partial(task_id="sleep").expand(
            target_time=[(tomorrow + timedelta(seconds=number)).isoformat() for number in range(size)]
        )
    return dag


for _, _dag_id, _size in dags_of("asleep"):
    globals()[_dag_id] = dag_of(_dag_id, _size)
