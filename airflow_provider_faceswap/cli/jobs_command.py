"""Body of ``airflow faceswap jobs``; imported when it is run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_faceswap.cli.console import ConsoleLog
from airflow_provider_faceswap.cli.exits import Exit
from airflow_provider_faceswap.cli.output import read_connections, show_rows
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.foundation.validation import as_seconds
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.lifecycle.reconcile import CLOCK_SKEW, MOST_PAGES

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_faceswap.vendors.history import ListedJob


@suppress_logs_and_warning
def jobs(options: Namespace) -> None:
    """Show the jobs of an account, the newest first."""
    console = ConsoleLog()
    read_connections()
    try:
        found, is_all = _listed(options.conn_id, as_seconds("--hours", options.hours))
        if not is_all:
            console.say(f"The list goes on: these are its first {MOST_PAGES} pages. Give fewer --hours.")
        show_rows([_row(job) for job in found], options.output)
        code = Exit.DONE
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one sentence
        console.say(str(error) if isinstance(error, FaceSwapError) else error_line(error))
        code = Exit.USAGE if isinstance(error, InvalidRequestError) else Exit.FAILED
    raise SystemExit(code)


def _listed(conn_id: str, hours: float) -> tuple[list[ListedJob], bool]:
    """
    The jobs of the last hours, and whether these are all of them.

    :raises InvalidRequestError: The vendor has no list.
    :raises VendorError: It could not be read.
    """
    found: dict[str, ListedJob] = {}
    with hook_for_connection(conn_id) as hook:
        history = hook.vendor.history
        if history is None:
            raise InvalidRequestError(
                f"{hook.vendor.name} has no list of jobs",
                vendor=hook.vendor.name,
                advice="'airflow faceswap job CONN_ID JOB_ID' shows one job. Its id is in the log of its task, in the "
                "manifest of its picture, and on the vendor's site.",
            )
        until = CLOCK.moment() + CLOCK_SKEW
        since, more, page = CLOCK.moment() - timedelta(hours=hours), True, 0
        while more and page < MOST_PAGES:
            listed, more = hook.read(history.request(since, until, page), history.jobs)
            found.update((job.job_id, job) for job in listed)
            page += 1
    # Not every vendor selects by time, and some jobs may have none.
    kept = [job for job in found.values() if job.created_at is None or job.created_at >= since]
    return sorted(kept, key=lambda job: job.created_at or since, reverse=True), not more


def _row(job: ListedJob) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "what": job.what,
        "status": job.status,
        "created_at": job.created_at.isoformat(timespec="seconds") if job.created_at else None,
        "cost": str(job.cost) if job.cost else None,
    }
