"""What a batch does when its task is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_faceswap.batch.ending import cancel_all
from airflow_provider_faceswap.triggers._airflow_internals import ENDED_STATES, UNSUPERVISED, task_state_sync

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.batch.runner import BatchRunner

#: Seconds for all cancellations when the task is ended. Airflow kills the process five seconds after the signal.
CANCEL_TIMEOUT = 3.0


class KillableBatch(BaseOperator):
    """Operator that may cancel the running jobs of its batch when a person ends the task."""

    cancel_on_kill: bool
    _running: tuple[Context, BatchRunner] | None = None

    def on_kill(self) -> None:
        """
        Submit nothing more; cancel the running jobs if a person ended the task, as for a single job.

        Airflow kills the process soon after the signal. So the log lists the jobs first, all cancellations together
        have a few seconds, and submissions that were sent can record their ids meanwhile.
        """
        if self._running is None:
            return
        context, runner = self._running
        runner.ending = True
        jobs = dict(runner.running)
        self.log.warning("The task is ending. Jobs at the vendor: %s", ", ".join(jobs) or "none")
        state = task_state_sync(context["ti"])
        if state not in {*ENDED_STATES, UNSUPERVISED} or not self.cancel_on_kill:
            self.log.info("%d jobs continue: the task's state is %s", len(jobs), state or "unknown")
            return
        self.log.warning(
            "The task was ended (%s) with %d job(s) running; the vendor confirmed %d cancellation(s). The other "
            "jobs may finish and be charged; a later attempt resumes them",
            state,
            len(jobs),
            cancel_all(jobs, CANCEL_TIMEOUT),
        )
