"""
Swaps without a retry where the scheduler's late-exit race would strike.

In two Dags each process leaves such that its exit is noticed late. In two others many swaps of four seconds leave it to
chance; sixteen at a time, as twice as many on two cores would make the scheduler later than the race alone does.
"""

from __future__ import annotations

import os
import time

from airflow.sdk import DAG

from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator


def leave_late(context):
    """
    Let the supervisor notice the end of this process as late as it can by chance.

    It looks for it when one of the process's streams closes, and then every five seconds. A process that closes them
    all and ends a moment later is noticed after five.
    """
    from airflow.sdk.execution_time import task_runner

    whole = task_runner.finalize

    def finalize(*arguments, **options):
        whole(*arguments, **options)
        os.closerange(0, 1024)
        time.sleep(0.5)
        os._exit(0)

    task_runner.finalize = finalize


WAYS = {"in_triggerer": {}, "on_worker": {"on_success_callback": print}}

for _name, _options in {"late_exit": {"pre_execute": leave_late}, "short": {}}.items():
    _url = os.environ[f"CHAOS_{_name.upper()}_URL"]
    _swaps = int(os.environ[f"CHAOS_{_name.upper()}_SWAPS"])
    for _way, _more in WAYS.items():
        _dag_id = f"{_name}_{_way}"
        with DAG(_dag_id, schedule=None, max_active_tasks=16) as _dag:
            GPTunnelFaceSwapOperator.partial(
                task_id="swap",
                conn_id=_name,
                target_image=f"{_url}/samples/emil.png",
                deferrable=True,
                retries=0,
                **_options,
                **_more,
            ).expand(face_image=[f"{_url}/samples/anna.jpg?of={_dag_id}&number={n}" for n in range(_swaps)])
        globals()[_dag_id] = _dag
