"""Submissions: what is known before the vendor accepts one, and what the response adds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.jobs import Submission

if TYPE_CHECKING:
    from airflow_provider_faceswap.jobs import Cost


#: The deadline is before the end of ``execution_timeout`` by this share of it,
EARLY_SHARE = 0.1
#: but at most by this many seconds. A poll that is under way can then finish.
EARLY_SECONDS = 10.0


def latest_deadline(begun_at: float, execution_timeout: timedelta | None) -> datetime | None:
    """
    The latest deadline that still comes before Airflow ends the task.

    Airflow does not enforce ``execution_timeout`` while a task is deferred, and interrupts a running task at any point.

    :param begun_at: Epoch seconds; when this attempt began.
    """
    if execution_timeout is None:
        return None
    limit = execution_timeout.total_seconds()
    return datetime.fromtimestamp(begun_at + limit - min(EARLY_SECONDS, limit * EARLY_SHARE), UTC)


@dataclass(frozen=True, slots=True)
class SubmissionTemplate:
    """
    All of a submission that is known before the vendor answers.

    :param timeout: Seconds to wait for the job, from its acceptance.
    :param latest: The deadline is never later than this.
    :param provenance: What the manifest will say about the job.
    """

    vendor: str
    kind: str
    conn_id: str
    timeout: float
    latest: datetime | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def submission(
        self,
        job_id: str,
        *,
        submitted_at: datetime | None = None,
        deadline: datetime | None = None,
        cost: Cost | None = None,
        reused: bool = False,
        counted: bool = False,
    ) -> Submission:
        """
        The complete submission.

        :param submitted_at: Default: now.
        :param deadline: Default: now plus the timeout. Never later than that: the clock that set it may be ahead.
        """
        now = CLOCK.moment()
        end = now + timedelta(seconds=self.timeout)
        if deadline is None:
            deadline = end if self.latest is None else min(end, self.latest)
        deadline = min(deadline, end)
        return Submission(
            vendor=self.vendor,
            kind=self.kind,
            job_id=job_id,
            conn_id=self.conn_id,
            submitted_at=submitted_at or now,
            deadline=deadline,
            cost=cost,
            reused=reused,
            counted=counted,
            provenance=self.provenance,
        )
