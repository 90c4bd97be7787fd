"""This package, one task for all swaps."""

from __future__ import annotations

from airflow.sdk import DAG
from bench_common import SETTINGS, dags_of, folder, items

from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator


def dag_of(row: str, dag_id: str, size: int) -> DAG:
    """Make the Dag for this many swaps."""
    with DAG(dag_id=dag_id, schedule=None) as dag:
        FaceSwapBatchOperator(
            task_id="batch",
            conn_id="gptunnel_default",
            items=items(size),
            destination=f"file://{folder(dag_id)}",
            concurrency=SETTINGS["concurrency"],
            thumbnails=row == "batch",
            retries=0,
        )
    return dag


for _row, _dag_id, _size in dags_of("batch", "batch_plain"):
    globals()[_dag_id] = dag_of(_row, _dag_id, _size)
