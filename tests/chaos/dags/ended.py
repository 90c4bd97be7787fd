"""Swaps that run for minutes, to be ended from outside in every way there is."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator

URL = os.environ["CHAOS_ENDED_URL"]

#: Dag id: whether the task defers, more for the Dag, more for the task.
DAGS = {
    "deferred_marked_failed": (True, {}, {}),
    "deferred_marked_success": (True, {}, {}),
    "deferred_cleared": (True, {}, {}),
    "deferred_moved": (True, {}, {}),
    "deferred_dagrun_timeout": (True, {"dagrun_timeout": timedelta(seconds=20)}, {}),
    "deferred_execution_timeout": (True, {}, {"execution_timeout": timedelta(seconds=30)}),
    "deferred_timeout": (True, {}, {"timeout": 20}),
    "deferred_timeout_cancel": (True, {}, {"timeout": 20, "cancel_on_timeout": True}),
    "deferred_unwatched": (True, {}, {}),
    "running_marked_failed": (False, {}, {}),
    "running_cleared": (False, {}, {}),
    "running_terminated": (False, {}, {}),
    "running_execution_timeout": (False, {}, {"execution_timeout": timedelta(seconds=30)}),
}

for _dag_id, (_deferrable, _of_dag, _of_task) in DAGS.items():
    with DAG(_dag_id, schedule=None, **_of_dag) as _dag:
        PiAPIFaceSwapOperator(
            task_id="swap",
            conn_id="ended",
            target_image=f"{URL}/samples/emil.png?dag={_dag_id}",
            face_image=f"{URL}/samples/anna.jpg",
            deferrable=_deferrable,
            retries=0,
            **_of_task,
        )
    globals()[_dag_id] = _dag
