"""
Jobs, seconds, cost and errors, through Airflow's own metrics: StatsD, Datadog or OpenTelemetry, as it is set up.

======================== ======= ============================ ================================================
``faceswap.jobs``        counter vendor, kind                 jobs that have ended, whichever way
``faceswap.job_seconds`` timing  vendor, kind                 from the create to the end, as the vendor tells
``faceswap.cost``        counter vendor, kind, unit           what the vendor says it took, in its own unit
``faceswap.errors``      counter vendor, kind, error          endings other than success, and refused purchases
======================== ======= ============================ ================================================

The third column is the tags. A job is counted once, by the task that bought it, however often it is taken up.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.lifecycle.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_faceswap.jobs import Cost, Submission
    from airflow_provider_faceswap.lifecycle.outcomes import WaitResult

_log = logging.getLogger(__name__)


def cost_of(submission: Submission, ending: WaitResult) -> Cost | None:
    """What a job took, as its vendor told at its end, or else at its start."""
    return (ending.job.cost if ending.job else None) or submission.cost


def job_ended(submission: Submission, ending: WaitResult, *, in_triggerer: bool = False) -> None:
    """
    Count one ending. It never raises: a metric is no reason to fail a paid job.

    :param in_triggerer: Whether this process is a triggerer's, whose metrics Airflow sets up elsewhere.
    """

    def told(stats: Any) -> None:
        tags = {"vendor": submission.vendor, "kind": submission.kind}
        if ending.is_final and not submission.counted:
            stats.incr("faceswap.jobs", tags=tags)
            if ending.job is not None:
                begun = ending.job.created_at or submission.submitted_at
                taken = (ending.job.finished_at or CLOCK.moment()) - begun
                stats.timing("faceswap.job_seconds", max(taken, timedelta()), tags=tags)
            cost = cost_of(submission, ending)
            if cost is not None and cost.amount > 0:
                stats.incr("faceswap.cost", cost.amount, tags={**tags, "unit": cost.unit})
        if ending.outcome is not Outcome.SUCCEEDED:
            stats.incr("faceswap.errors", tags={**tags, "error": type(ending.to_error()).__name__})

    _tell(told, in_triggerer=in_triggerer)


@contextmanager
def failures_counted(vendor: str, kind: str) -> Iterator[None]:
    """Count an error inside the block: a job that could not be submitted, or not be resumed."""
    try:
        yield
    except FaceSwapError as error:
        tags = {"vendor": vendor, "kind": kind, "error": type(error).__name__}
        _tell(lambda stats: stats.incr("faceswap.errors", tags=tags))
        raise


def _tell(told: Callable[[Any], None], *, in_triggerer: bool = False) -> None:
    try:
        told(_stats(in_triggerer=in_triggerer))
    except Exception as error:  # noqa: BLE001 - whatever a metrics backend raises, the job goes on
        _log.warning("Metrics could not be told: %s", type(error).__name__)


def _stats(*, in_triggerer: bool) -> Any:
    """
    Airflow's metrics in this process.

    From 3.2 on they are two modules with a state each: Airflow sets up the core's in a triggerer, and the SDK's in
    a worker. The other one drops everything without a word.
    """
    if not in_triggerer:
        from airflow.providers.common.compat.sdk import Stats

        return Stats
    try:
        from airflow.observability import stats
    except ImportError:  # Airflow 3.1
        from airflow import stats  # type: ignore[no-redef]
    return stats.Stats
