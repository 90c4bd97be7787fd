"""The job of a cleared task whose record is gone: found in the vendor's list, or an error that buys nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_faceswap.exceptions import SubmissionUncertainError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.lifecycle.ledger import Record, Stage
from airflow_provider_faceswap.lifecycle.reconcile import find_job

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_faceswap.lifecycle.marks import Marks
    from airflow_provider_faceswap.lifecycle.purchase import Purchase

#: The epoch of a recovered record. No attempt has it, so the job is resumed as after a clear, with a new deadline.
_EARLIER_EPOCH = -1


def deleted_record_error(*, vendor: str | None = None, advice: str = "") -> SubmissionUncertainError:
    """
    The error of a cleared task without a record, for which it is not certain that nothing was submitted.

    :param advice: What else a person can do.
    """
    return SubmissionUncertainError(
        "the task was cleared, which deleted the record of its earlier attempts; "
        "a job that they submitted may be running or finished",
        vendor=vendor,
        advice=(
            "Nothing was bought. Look in the vendor's job list. To submit, set on_clear='resubmit'. To avoid this, "
            f"keep the task state when you clear, or set [faceswap] ledger_uri. {advice}"
        ).rstrip(),
    )


def recovered(purchase: Purchase, marks: Marks, since: datetime) -> Record:
    """
    The record of the job that an attempt before the clear submitted, made again from the vendor's list.

    :param marks: The hashes of the request.
    :param since: The earliest time of that submission.
    :raises SubmissionUncertainError: There is not exactly one such job.
    """
    template = purchase.template
    purchase.log.warning(
        "The task was cleared, and its record was deleted. Searching the job list of %s.", template.vendor
    )
    job = find_job(
        purchase.client,
        template.kind,
        purchase.sent,
        since,
        until=CLOCK.moment(),
        log=purchase.log,
    )
    if job is None:
        raise deleted_record_error(
            vendor=template.vendor, advice="To use a job that is in the list, set resume_job_id."
        )
    purchase.log.warning("Job %s in the list is the one of this request", job.job_id)
    return Record(
        **marks._asdict(),
        stage=Stage.SUBMITTED,
        epoch=_EARLIER_EPOCH,
        purchases=0,
        vendor=template.vendor,
        kind=template.kind,
        conn_id=template.conn_id,
        begun_at=since,
        job_id=job.job_id,
        # If the vendor does not say when, the result is not taken as expired.
        submitted_at=job.created_at or CLOCK.moment(),
        cost=job.cost,
    )
