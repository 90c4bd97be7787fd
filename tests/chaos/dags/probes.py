"""What Airflow itself does with deferred tasks, without anything of this package."""

from __future__ import annotations

import os
import time
from datetime import timedelta

from airflow.sdk import DAG, BaseOperator
from faceswap_probes import FireAtOnce, SlowKill


class LateExit(BaseOperator):
    """Defers, and leaves its process seven seconds later; the resumed task takes twelve."""

    def execute(self, context):
        from airflow.sdk.execution_time import task_runner

        whole = task_runner.finalize

        def late(*args, **kwargs):
            time.sleep(7)
            return whole(*args, **kwargs)

        task_runner.finalize = late
        self.defer(trigger=FireAtOnce(), method_name="resumed")

    def resumed(self, context, event=None):
        time.sleep(12)
        return event


class Killed(BaseOperator):
    def execute(self, context):
        self.defer(
            trigger=SlowKill(os.environ["CHAOS_HOME"]), method_name="resumed", timeout=timedelta(hours=1)
        )

    def resumed(self, context, event=None):
        return event


with DAG("probe_late_exit", schedule=None):
    LateExit(task_id="probe", retries=0)

with DAG("probe_slow_kill", schedule=None):
    Killed(task_id="probe", retries=0)
