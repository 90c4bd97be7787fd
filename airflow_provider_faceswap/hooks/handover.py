"""A job of a hook as a value that another task can take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.jobs import GivenResult, Job

if TYPE_CHECKING:
    from datetime import timedelta

try:
    # Airflow stores a returned Job in any case, and gives it to the next task only if its class is allowed. Every
    # process that has imported a hook allows it.
    from airflow.sdk.serde import allow_class
except ImportError:  # before Airflow 3.3
    pass
else:
    allow_class(Job)


def as_result(
    job: Job, *, conn_id: str, retention: timedelta | None, provenance: dict[str, Any]
) -> dict[str, Any]:
    """
    A job as the plain dict that a job operator returns; what the vendor did not report is ``None``.

    :param retention: How long the vendor keeps the output.
    :param provenance: The job's part of a manifest.
    """
    result = GivenResult(
        vendor=job.vendor,
        kind=job.kind,
        job_id=job.job_id,
        conn_id=conn_id,
        url=job.urls[0] if job.urls else None,
        urls=job.urls,
        cost=job.cost,
        submitted_at=job.created_at,
        finished_at=job.finished_at,
        expires_at=job.created_at + retention if job.created_at and retention else None,
        attempt_reused=False,
        provenance=provenance,
    )
    return result.model_dump(mode="json")
