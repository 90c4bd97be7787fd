"""Batches into S3: of requests that are archived there already, and of jobs that are bought from a budget."""

from __future__ import annotations

from airflow.sdk import DAG
from bench_common import SETTINGS, dags_of, items

from airflow_provider_faceswap.budgets import Budget
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator

#: Rows of the same archive: all of it is new, all is known, and a tenth is new.
REUSE = ("reuse_new", "reuse_known", "reuse_grown")
BUDGET = ("budget_without", "budget_with")
BUCKET = "s3://aws_default@bench"
#: More than all jobs cost.
PLENTY = 1_000_000


def dag_of(row: str, dag_id: str, size: int) -> DAG:
    """Make the Dag for this many swaps."""
    more = {}
    folder = dag_id
    first = 0
    if row in REUSE:
        folder, more["reuse"] = f"reuse_{size}", "archive"
        first = size // 10 if row == "reuse_grown" else 0
    if row == "budget_with":
        more["budget"] = Budget(f"{BUCKET}/budget_of_{dag_id}", amount=PLENTY, unit="RUB")
        more["price"] = 15
    with DAG(dag_id=dag_id, schedule=None) as dag:
        FaceSwapBatchOperator(
            task_id="batch",
            conn_id="gptunnel_default",
            items=items(first + size)[first:],
            destination=f"{BUCKET}/{folder}",
            concurrency=SETTINGS["concurrency"],
            # The server takes longer for them than for all else, and they are no part of the comparison.
            thumbnails=False,
            retries=0,
            **more,
        )
    return dag


for _row, _dag_id, _size in dags_of(*REUSE, *BUDGET):
    globals()[_dag_id] = dag_of(_row, _dag_id, _size)
