"""Nothing, sixteen times: the executor starts its workers before anything is measured."""

from __future__ import annotations

import time

from airflow.sdk import DAG, task

with DAG(dag_id="warmup", schedule=None) as dag:

    @task
    def nothing(number: int) -> int:
        """Hold a slot for a moment, so that the next one needs another worker."""
        time.sleep(2)
        return number

    nothing.expand(number=list(range(16)))
