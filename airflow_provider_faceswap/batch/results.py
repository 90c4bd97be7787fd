"""The result of an earlier step of an item, as the argument of a later one."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow_provider_faceswap.exceptions import ArchiveError, JobLostError, ResultExpiredError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.http.download import download
from airflow_provider_faceswap.jobs import GivenResult, Job, JobState
from airflow_provider_faceswap.media.image import Image
from airflow_provider_faceswap.media.limits import max_picture_bytes, max_transfer_seconds, open_hosts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_faceswap.archive.manifest import Manifest
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.lifecycle.ledger import Record


def recorded_result(record: Record, provenance: dict[str, Any]) -> GivenResult:
    """The result of a job of an earlier attempt, as far as its record knows it."""
    return GivenResult(
        vendor=record.vendor,
        kind=record.kind,
        job_id=record.job_id or "unknown",
        conn_id=record.conn_id,
        url=record.urls[0] if record.urls else None,
        urls=record.urls,
        cost=record.cost,
        submitted_at=record.submitted_at,
        provenance=provenance,
    )


@dataclass
class StepResult:
    """
    What a step made.

    :param name: The step.
    :param result: Without a link if an earlier attempt saw it, and the vendor can be asked for it.
    :param files: Its archived files, each with ``uri`` and ``sha256``; empty if they are not archived.
    :param job: The job as this attempt saw it end; ``None`` if an earlier attempt did.
    :param checked: The manifests of its pictures, if it is from the archive: they were compared with the pictures just now.
    """

    name: str
    hook: JobHook
    result: GivenResult
    files: Sequence[Mapping[str, Any]] = ()
    job: Job | None = field(default=None, repr=False)
    checked: Sequence[Manifest] = field(default=(), repr=False)

    @property
    def known(self) -> dict[str, Any]:
        """The result, as far as it is known without a request."""
        return self.result.model_dump(mode="json")

    def usable(self) -> Any:
        """
        The result with a link that works; or else its archived file, or the picture itself.

        :raises ResultExpiredError: There is none of these.
        :raises VendorError: The vendor could not be asked now.
        """
        if self.result.reused_from is not None and self.files:
            return self._archived()
        try:
            job = self._live()
        except (JobLostError, ResultExpiredError) as error:
            why = error.message
        else:
            if job.urls:
                update = {"url": job.urls[0], "urls": job.urls}
                return self.result.model_copy(update=update).model_dump(mode="json")
            if job.inline:
                return Image(job.inline[0])
            why = f"the vendor reports it as {job.status}"
        if self.files:
            return self._archived()
        raise ResultExpiredError(
            f"the result of step {self.name!r} can no longer be used: {why}",
            vendor=self.result.vendor,
            job_id=self.result.job_id,
            advice="Its job is paid for. keep='all' archives the pictures of all steps, and a retry then uses those. "
            "To make this one again, clear the task with on_clear='resubmit'.",
        )

    def _archived(self) -> dict[str, Any]:
        uri = self.files[0]["uri"]
        return {"uri": uri, "manifest_uri": f"{uri}.json", "sha256": self.files[0]["sha256"]}

    def _live(self) -> Job:
        """
        The job with links that work.

        :raises JobLostError: The vendor no longer has the job.
        :raises ResultExpiredError: The link does not work.
        """
        expires_at = self.result.expires_at
        is_expired = expires_at is not None and CLOCK.moment() >= expires_at
        if self.job is not None and not (is_expired and self.job.urls):
            return self.job
        job = self._seen()
        if job.urls:
            _check(job.urls[0])
        self.job = job if self.job is None else self.job
        return job

    def _seen(self) -> Job:
        """The job as its vendor shows it now, or as it was recorded if nothing can poll it."""
        result = self.result
        if result.kind is not None and self.hook.vendor.kind(result.kind).polled:
            return self.hook.fetch(result.job_id, result.kind)
        state = JobState.SUCCEEDED
        return Job(
            vendor=result.vendor,
            kind=result.kind or "",
            job_id=result.job_id,
            state=state,
            status="recorded",
            urls=result.links,
        )


def _check(url: str) -> None:
    """
    Check that a link still works; one that cannot be checked from here counts as one that does.

    :raises ResultExpiredError: It does not.
    """
    with tempfile.SpooledTemporaryFile(max_picture_bytes()) as spool:
        try:
            download(
                url,
                cast("BinaryIO", spool),
                max_bytes=max_picture_bytes(),
                open_hosts=open_hosts(),
                seconds=max_transfer_seconds(),
            )
        except ResultExpiredError:
            raise
        except ArchiveError:
            return
