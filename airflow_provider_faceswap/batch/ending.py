"""The early end of a batch: cancellation of running jobs, and the error of a batch that stopped early."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from airflow_provider_faceswap.batch.report import describe
from airflow_provider_faceswap.exceptions import FaceSwapError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_faceswap.batch.report import RunningJob
    from airflow_provider_faceswap.batch.runner import BatchRunner

#: Cancellations that are requested at the same time.
MAX_CANCELS = 64
#: Instead of the id of a job whose submission got no answer.
UNKNOWN_ID = "a job of unknown id"


def cancel_all(jobs: Mapping[str, RunningJob], seconds: float) -> int:
    """
    Cancel many jobs at a time, with one time limit.

    :param jobs: By their ids.
    :param seconds: For all of them together.
    :returns: The number of cancellations that the vendor confirmed.
    """
    threads = ThreadPoolExecutor(MAX_CANCELS, thread_name_prefix="faceswap-cancel")
    cancels = [threads.submit(job.hook.cancel, job_id, job.kind) for job_id, job in jobs.items()]
    done = wait(cancels, timeout=seconds).done
    threads.shutdown(wait=False, cancel_futures=True)
    return sum(cancel.exception() is None and cancel.result() for cancel in done)


def report_left_behind(runner: BatchRunner) -> None:
    """
    Name the jobs of earlier attempts whose items are gone, in the log, the manifest and the report.

    Nothing else would name them: an item that was taken out, or changed, has no line of its own. If not all items were
    started, the others' jobs cannot be told from these, and a retry resumes them.
    """
    if runner.report.ended < runner.report.total:
        return
    try:
        records = runner.item_records.left_behind()
    except Exception as error:  # noqa: BLE001 - every store has its own errors
        runner.log.warning("The jobs of items that are gone could not be read: %s", describe(error))
        return
    if not records:
        return
    runner.report.left_behind = [record.job_id or UNKNOWN_ID for record in records]
    for record in records:
        runner.manifest.add_left_behind(record)
    runner.log.warning(
        "%d jobs of earlier attempts belong to no item of this one, and may be charged: %s. "
        "To fetch one, wait for it by its id, with JobSensor",
        len(records),
        ", ".join(runner.report.left_behind),
    )


def broken_off(runner: BatchRunner, errors: Sequence[BaseException]) -> BaseException:
    """
    Log why a batch stopped early, and which jobs continue.

    :returns: The error to raise. It has the counters, and the ids of jobs that could not be recorded.
    """
    secrets = runner.jobs.secrets
    for error in errors:
        runner.log.warning("The batch stopped early: %s", describe(error, secrets))
    if runner.running:
        runner.log.warning("These jobs continue at the vendor: %s", ", ".join(runner.running))
    text = f"the batch stopped early: {runner.report.line()}"
    advice = "A retry resumes the jobs that were submitted, and pays for nothing twice."
    if unrecorded := runner.unrecorded_jobs():
        text += f"; not recorded: {', '.join(unrecorded)}"
        advice = "A retry does not find a job that is not recorded: wait for it by its id, with JobSensor."
    first = next((error for error in errors if not isinstance(error, Exception)), errors[0])
    if not isinstance(first, Exception):  # such as Airflow's timeout; the others are in the log
        first.add_note(text)
        return first
    if not isinstance(first, FaceSwapError):
        return FaceSwapError(f"{describe(first, secrets)}; {text}", advice=advice)
    return first.replaced(message=f"{first.message}; {text}", advice=advice)
