"""For each vendor a swap that is cleared after its success: with a mirror of its record, and without."""

from __future__ import annotations

import os
import sys

from airflow.sdk import DAG

from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator

SANDBOX = os.environ.get("CLEARED_SANDBOX_URL", "http://127.0.0.1:1")
VENDORS = {
    "gptunnel": GPTunnelFaceSwapOperator,
    "tengrai": TengraiFaceSwapOperator,
    "piapi": PiAPIFaceSwapOperator,
}


def mirrored(context):
    """Set ``ledger_uri`` for this task only: its process runs nothing else."""
    os.environ["AIRFLOW__FACESWAP__LEDGER_URI"] = os.environ["CLEARED_LEDGER_URI"]


for vendor, operator in VENDORS.items():
    for mirror in (True, False):
        dag_id = f"cleared_{vendor}_{'with' if mirror else 'without'}_ledger_uri"
        with DAG(dag_id, schedule=None) as dag:
            operator(
                task_id="swap",
                conn_id=f"cleared_{vendor}",
                target_image=f"{SANDBOX}/samples/clara.jpg?dag={dag_id}",
                face_image=f"{SANDBOX}/samples/dora.jpg",
                deferrable=mirror,
                retries=0,
                on_success_callback=None,
                pre_execute=mirrored if mirror else None,
            )
        setattr(sys.modules[__name__], dag_id, dag)
