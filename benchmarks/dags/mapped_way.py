"""This package, one task for each swap; one archive task for all or for each; resumed on a worker and not."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG
from bench_common import SETTINGS, dags_of, faces, folder

from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator

ROWS = ("mapped", "mapped_on_worker", "mapped_archives")


def listen(context: Any) -> None:
    """Do nothing: that somebody listens is enough for the task to end on a worker."""


def dag_of(row: str, dag_id: str, size: int) -> DAG:
    """Make the Dag for this many swaps."""
    with DAG(dag_id=dag_id, schedule=None) as dag:
        swap = GPTunnelFaceSwapOperator.partial(
            multiple_outputs=False,
            task_id="swap",
            target_image=SETTINGS["target"],
            deferrable=True,
            timeout=SETTINGS["timeout"],
            retries=0,
            on_success_callback=listen if row.endswith("on_worker") else None,
        ).expand(face_image=faces(size))
        into = {"task_id": "archive", "destination": f"file://{folder(dag_id)}"}
        if row == "mapped_archives":
            ArchiveOperator.partial(**into).expand(source=swap.output)
        else:
            ArchiveOperator(source=swap.output, **into)
    return dag


for _row, _dag_id, _size in dags_of(*ROWS):
    globals()[_dag_id] = dag_of(_row, _dag_id, _size)
