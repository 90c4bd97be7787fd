"""What an error of a poll or of a cancellation says about the job."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import FaceSwapError, VendorUnavailableError
from airflow_provider_faceswap.hooks.connection import ConnectionNotFoundError
from airflow_provider_faceswap.vendors.messages import as_id

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def naming_job(job_id: str, vendor: str) -> Iterator[None]:
    """Add the job's id to errors raised while polling it."""
    try:
        yield
    except ConnectionNotFoundError as error:
        # It may be missing only now: Airflow reports a secrets backend that is down like this.
        raise VendorUnavailableError(
            error.message,
            vendor=vendor,
            job_id=job_id,
            advice="The job is not affected. Restore the connection, then retry.",
        ) from None
    except FaceSwapError as error:
        raise error.replaced(job_id=error.job_id or as_id(job_id) or None) from None


@contextmanager
def logging_failure(log: Any, job_id: str) -> Iterator[None]:
    """Log an error of a cancellation instead of raising it: the job may still run and be charged."""
    try:
        yield
    except FaceSwapError as error:
        log.warning("The cancellation of job %s was not confirmed: %s", job_id, error)
