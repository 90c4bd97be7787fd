"""Search the vendor's job list for the job of a submission without a response."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from airflow_provider_faceswap.jobs import Job
    from airflow_provider_faceswap.lifecycle.waiting import JobClient
    from airflow_provider_faceswap.vendors.capabilities import History
    from airflow_provider_faceswap.vendors.history import Listing
    from airflow_provider_faceswap.vendors.messages import Reply, Request

#: The vendor's clock and ours may differ by this much.
CLOCK_SKEW = timedelta(seconds=60)
#: The longest that a submission can take: every repetition of it, with all its timeouts.
LONGEST_SUBMISSION = timedelta(minutes=10)
#: A longer list is not searched: the result would not be certain.
MOST_PAGES = 20
#: If more jobs were submitted at about that time, none is polled, for the same reason.
MOST_CANDIDATES = 100
#: Seconds before each search. The assumption is that a job is listed within five seconds of its acceptance. A search
#: before that could find only an equal job of somebody else.
SEARCH_DELAYS = (5.0, 5.0, 5.0)


def find_job(
    client: JobClient,
    kind: str,
    request: Request,
    begun_at: datetime,
    *,
    until: datetime | None = None,
    known: Collection[str] = (),
    log: Any,
) -> Job | None:
    """
    Find the one job that this request created at about that time.

    If the submission never arrived, that can be the job of an equal request on this account, such as one of another task
    instance. Then both share its picture, which is paid for once.

    :param begun_at: When the submission was about to be sent.
    :param until: When it had been sent; default: the longest that a submission can take.
    :param known: Ids of other jobs: those that this task has submitted before.
    :returns: ``None`` if the vendor has no list, or if none or several jobs match.
    """
    until = min(CLOCK.moment(), until or begun_at + LONGEST_SUBMISSION) + CLOCK_SKEW
    history = client.vendor.history
    if history is None:
        log.info("%s has no job list to search", client.vendor.name)
        return None
    search = _Search(client, history, kind, request, begun_at - CLOCK_SKEW, until)
    for pause in SEARCH_DELAYS:
        CLOCK.sleep(pause)
        try:
            found = search.matching(known)
        except FaceSwapError as error:
            log.warning("The job list could not be searched: %s", error)
            continue
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(job.job_id for job in found)
            log.warning("The submission may have created any of these jobs: %s", ids)
            return None
    log.info("No job in %s's job list could be matched to this submission", client.vendor.name)
    return None


@dataclass(frozen=True)
class _Search:
    """One search of a vendor's job list, for jobs with a given request in a given time span."""

    client: JobClient
    history: History
    kind: str
    request: Request
    since: datetime
    until: datetime

    def matching(self, known: Collection[str]) -> list[Job]:
        """
        The jobs that came from the request, or from an equal one.

        :raises FaceSwapError: The list cannot be read, or is too long for a certain result.
        """
        candidates = [job_id for job_id in self._listed() if job_id not in known]
        if len(candidates) > MOST_CANDIDATES:
            raise FaceSwapError(
                f"more than {MOST_CANDIDATES} jobs were submitted at about that time, "
                "too many to check one by one"
            )
        jobs = map(self._read_if_own, candidates)
        return [job for job in jobs if job is not None]

    def _listed(self) -> list[str]:
        found: dict[str, None] = {}
        for page in range(MOST_PAGES):
            listing = self.client.read(self.history.request(self.since, self.until, page), self._page)
            found.update(dict.fromkeys(listing.job_ids))
            if not listing.more:
                return list(found)
        raise FaceSwapError(f"it has more than {MOST_PAGES} pages")

    def _page(self, reply: Reply) -> Listing:
        return self.history.read(self.kind, self.request, reply, self.since, self.until)

    def _read_if_own(self, job_id: str) -> Job | None:
        vendor = self.client.vendor

        def read(reply: Reply) -> Job | None:
            job = vendor.read_job(self.kind, reply, job_id=job_id).believed(CLOCK.moment())
            return job if self.history.matches(self.kind, self.request, reply) else None

        return self.client.read(vendor.fetch(self.kind, job_id), read)
