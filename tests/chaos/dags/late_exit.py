"""
Forty-five swaps of four seconds without a retry: where the scheduler's late-exit race would strike.

Sixteen at a time, as twice as many on two cores would make the scheduler later than the race alone does.
"""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator

URL = os.environ["CHAOS_LATE_EXIT_URL"]

for _dag_id, _more in {
    "late_exit_in_triggerer": {},
    "late_exit_on_worker": {"on_success_callback": print},
}.items():
    with DAG(_dag_id, schedule=None, max_active_tasks=16) as _dag:
        GPTunnelFaceSwapOperator.partial(
            task_id="swap",
            conn_id="late_exit",
            target_image=f"{URL}/samples/emil.png",
            deferrable=True,
            retries=0,
            **_more,
        ).expand(face_image=[f"{URL}/samples/anna.jpg?of={_dag_id}&number={number}" for number in range(45)])
    globals()[_dag_id] = _dag
