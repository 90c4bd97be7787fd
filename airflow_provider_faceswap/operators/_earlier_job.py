"""Errors that come before a job is polled or submitted, with the job of an earlier attempt in them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_faceswap.exceptions import FaceSwapError, VendorUnavailableError
from airflow_provider_faceswap.hooks.connection import ConnectionNotFoundError
from airflow_provider_faceswap.lifecycle.ledger import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_faceswap.lifecycle.ledger import Ledger, Record


@contextmanager
def names_earlier_job(ledger: Ledger) -> Iterator[None]:
    """
    Add the job of an earlier attempt to errors of the connection and the arguments.

    A picture or a connection that cannot be read now may have been read then.

    :raises VendorUnavailableError: There is a job, and no such connection now: Airflow reports a secrets backend that is
        down in the same way.
    """
    try:
        yield
    except FaceSwapError as error:
        if (record := _paid_record(ledger)) is None:
            raise
        if isinstance(error, ConnectionNotFoundError):
            missing = VendorUnavailableError(
                error.message,
                vendor=record.vendor,
                advice="Nothing was bought now. Restore the connection, then retry.",
            )
            raise naming(missing, record) from None
        named = naming(error, record)
        if named is error:
            raise
        raise named from None


def naming(error: FaceSwapError, record: Record) -> FaceSwapError:
    """The error, which also names the job of a record that may be paid."""
    if record.job_id is not None and record.job_id in str(error):
        return error
    where = f"{record.vendor} connection {record.conn_id!r}"
    if record.stage is Stage.INTENT or record.job_id is None:
        earlier = f"An earlier attempt may have submitted a job of unknown id at {where}: look in the vendor's job list."
    elif record.stage is Stage.SUBMITTED:
        earlier = (
            f"An earlier attempt submitted job {record.job_id}: resume it with resume_job_id, at {where}."
        )
    else:
        earlier = (
            f"An earlier attempt bought job {record.job_id} ({record.outcome}): "
            f"resume it with resume_job_id, at {where}."
        )
    return error.replaced(job_id=error.job_id or record.job_id, advice=f"{error.advice} {earlier}".lstrip())


def _paid_record(ledger: Ledger) -> Record | None:
    """The record of a job that may be paid; ``None`` also if it cannot be read."""
    try:
        record = ledger.read()
    except FaceSwapError:
        return None
    return record if record is not None and record.may_be_paid else None
