"""
Metrics of jobs, through Airflow's own metrics: StatsD, Datadog or OpenTelemetry, as they are configured.

========================= ======= ============================ ================================================
``faceswap.jobs``         counter vendor, kind                 jobs that have ended, in any state
``faceswap.job_seconds``  timing  vendor, kind                 from the submission to the end
``faceswap.cost``         counter vendor, kind, unit           the cost that the vendor reports, in its unit
``faceswap.errors``       counter vendor, kind, error          jobs without success, and refused submissions
``faceswap.budget_share`` gauge   budget, unit                 the share of a budget that is spent or reserved
========================= ======= ============================ ================================================

The third column has the tags. A job is counted once, by the task that submitted it, however often it is resumed.
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
    """The cost of a job as its vendor reported it at the end, or else at the submission."""
    return (ending.job.cost if ending.job else None) or submission.cost


def job_ended(submission: Submission, ending: WaitResult, *, in_triggerer: bool = False) -> None:
    """
    Count the end of a job. It never raises: a metric is no reason to fail a paid job.

    :param in_triggerer: Whether this process is a triggerer, which has Airflow's metrics in another module.
    """

    def count(stats: Any) -> None:
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

    _report(count, in_triggerer=in_triggerer)


@contextmanager
def failures_counted(vendor: str, kind: str) -> Iterator[None]:
    """Count an error inside the block: a job that could not be submitted or resumed."""
    try:
        yield
    except FaceSwapError as error:
        tags = {"vendor": vendor, "kind": kind, "error": type(error).__name__}
        _report(lambda stats: stats.incr("faceswap.errors", tags=tags))
        raise


def budget_share(budget: str, unit: str, share: float) -> None:
    """
    Report how much of a budget is spent or reserved. It never raises.

    :param budget: The budget's folder.
    :param share: 1 at the cap.
    """
    _report(lambda stats: stats.gauge("faceswap.budget_share", share, tags={"budget": budget, "unit": unit}))


def _report(count: Callable[[Any], None], *, in_triggerer: bool = False) -> None:
    try:
        count(_stats(in_triggerer=in_triggerer))
    except Exception as error:  # noqa: BLE001 - whatever a metrics backend raises, the job continues
        _log.warning("Metrics could not be reported: %s", type(error).__name__)


def _stats(*, in_triggerer: bool) -> Any:
    """
    Airflow's metrics in this process.

    Since 3.2 there are two modules with their own state: Airflow configures the core's in a triggerer and the SDK's
    in a worker. The other one silently drops everything.
    """
    if not in_triggerer:
        from airflow.providers.common.compat.sdk import Stats

        return Stats
    try:
        from airflow.observability import stats
    except ImportError:  # Airflow 3.1
        from airflow import stats  # type: ignore[no-redef]
    return stats.Stats
