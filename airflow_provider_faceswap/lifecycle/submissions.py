"""The one place where a submission is made: what its buyer knows before, and what the vendor's answer adds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.jobs import Submission

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_faceswap.jobs import Cost


@dataclass(frozen=True, slots=True)
class SubmissionTemplate:
    """
    A submission without what only the vendor's answer says.

    :param timeout: Seconds to wait for the job, from its acceptance.
    :param latest: The deadline is not later than this, whatever the timeout.
    :param provenance: What the manifest will say of the job.
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
        Complete it.

        :param submitted_at: Default: now.
        :param deadline: Default: the timeout from now.
        """
        now = CLOCK.moment()
        if deadline is None:
            deadline = now + timedelta(seconds=self.timeout)
            deadline = deadline if self.latest is None else min(deadline, self.latest)
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
