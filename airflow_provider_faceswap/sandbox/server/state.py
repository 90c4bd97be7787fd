"""The state of a sandbox: jobs, accounts, uploads, and how often each vendor was called."""

from __future__ import annotations

import re
import secrets
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.sandbox.server.faults import OPERATIONS, FaultBook
from airflow_provider_faceswap.sandbox.server.jobs import FAILED
from airflow_provider_faceswap.sandbox.server.registry import find_vendors
from airflow_provider_faceswap.sandbox.server.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_faceswap.sandbox.output import Output
    from airflow_provider_faceswap.sandbox.server.jobs import Job
    from airflow_provider_faceswap.sandbox.server.settings import Settings

#: The name and the one operation of the file store, for counts and faults.
FILES, DOWNLOAD = "files", "download"
#: Name of a file: the identifier of its job or upload, its number, its suffix.
FILE_NAME = re.compile(r"(?P<job>[0-9a-f-]+)-(?P<number>\d{1,3})\.(?P<suffix>[a-z0-9]+)")


class NotStoredError(Exception):
    """The storage has no such file for this caller.

    :param status: 403 for a wrong signature, 404 for a file that does not exist (any more).
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Upload:
    """A file that a caller has stored."""

    output: Output
    expires_at: float
    signature: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    def outputs(self, _now: float) -> list[Output]:
        """Its one file."""
        return [self.output]

    def gone(self, now: float) -> bool:
        """Whether it has been deleted by now."""
        return now >= self.expires_at


class Sandbox:
    """All state of one sandbox.

    Only the event loop touches it, except for the finished work of jobs, which worker threads hand over in
    futures, and for the webhooks, which have a lock of their own.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.vendors = find_vendors()
        self.faults = FaultBook((*self.vendors, FILES))
        self.job_seconds = settings.job_seconds
        self.jobs: dict[str, Job] = {}
        self.uploads: dict[str, Upload] = {}
        self.requests: dict[str, Counter[str]] = defaultdict(Counter)
        self.funds = dict(settings.balance)
        self.webhooks = Webhooks(self.now, settings.webhooks_to)
        # Two threads: enough that a video does not hold up a picture, few enough for a small machine.
        self.workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="sandbox-painter")

    @property
    def entries(self) -> list[Job]:
        """The charges, in order: each accepted job is one."""
        return list(self.jobs.values())

    def now(self) -> float:
        """Epoch seconds by the sandbox's clock."""
        return self.settings.clock()

    def reset(self) -> None:
        """Forget jobs, uploads, charges, counts and faults; settings are as at the start."""
        for job in self.entries:
            job.work.cancel()
        self.webhooks.reset()
        self.webhooks.receiver = self.settings.webhooks_to
        self.jobs.clear()
        self.uploads.clear()
        self.requests.clear()
        self.faults.clear()
        self.funds = dict(self.settings.balance)
        self.job_seconds = self.settings.job_seconds

    def close(self) -> None:
        """Stop the threads; drawing that has not begun and webhooks that have not arrived are dropped."""
        self.webhooks.close()
        self.workers.shutdown(wait=True, cancel_futures=True)

    def settle(self, timeout: float = 30.0) -> None:
        """Block until all drawing that has begun is over.

        Tests with a clock of their own call it before they move the clock.

        :param timeout: seconds to wait at most.
        :raises TimeoutError: if work is still in progress by then.
        """
        left = wait([job.work for job in self.entries], timeout=timeout).not_done
        if left:
            raise TimeoutError(f"{len(left)} jobs are still being drawn")

    def start(self, draw: Callable[[], list[Output]], failure: str | None) -> Future[list[Output]]:
        """Start the work of a job in a worker thread; there is none if its failure is already decided."""
        if failure is None:
            return self.workers.submit(draw)
        work: Future[list[Output]] = Future()
        work.set_result([])
        return work

    def accept(self, job: Job) -> None:
        """Add a new job, which also charges the account."""
        job.work.add_done_callback(lambda _: setattr(job, "worked_at", self.now()))
        self.jobs[job.job_id] = job

    def find(self, vendor: str, job_id: str) -> Job | None:
        """The vendor's job with this identifier, or ``None``."""
        job = self.jobs.get(job_id)
        return job if job is not None and job.vendor == vendor else None

    def stored(self, name: str, signature: str) -> Output:
        """The file with this name.

        :param signature: the link's ``sig``.
        :raises NotStoredError: if it cannot be fetched.
        """
        match, now = FILE_NAME.fullmatch(name), self.now()
        owner = match and (self.uploads.get(match["job"]) or self.jobs.get(match["job"]))
        if not match or not owner:
            raise NotStoredError(404)
        if signature != owner.signature:
            raise NotStoredError(403)
        outputs, number = owner.outputs(now), int(match["number"])
        if owner.gone(now) or number >= len(outputs) or outputs[number].suffix != match["suffix"]:
            raise NotStoredError(404)
        return outputs[number]

    def charged(self, unit: str) -> float:
        """The sum of all charges that were not refunded."""
        now = self.now()
        return sum(job.price for job in self.entries if job.unit == unit and not job.refunded(now))

    def balance(self, unit: str) -> float:
        """What the account holds now."""
        return self.funds[unit] - self.charged(unit)

    def set_balance(self, unit: str, amount: float) -> None:
        """Make the account hold ``amount`` from now on."""
        self.funds[unit] = amount + self.charged(unit)

    def report(self) -> dict[str, Any]:
        """The ledger as the control endpoint answers it: money, calls, jobs and webhooks."""
        now = self.now()
        operations = [operation for operation in OPERATIONS if operation != DOWNLOAD]
        return {
            "creates": len(self.jobs),
            "total": {unit: self.charged(unit) for unit in self.funds},
            "balance": {unit: self.balance(unit) for unit in self.funds},
            "entries": [
                {
                    "vendor": job.vendor,
                    "kind": job.kind,
                    "job_id": job.job_id,
                    "amount": job.price,
                    "unit": job.unit,
                    "at": job.created_at,
                    "refunded": job.refunded(now),
                }
                for job in self.entries
            ],
            "requests": {
                vendor: {operation: self.requests[vendor][operation] for operation in operations}
                for vendor in self.vendors
            }
            | {FILES: {DOWNLOAD: self.requests[FILES][DOWNLOAD]}},
            "jobs": [
                {
                    "vendor": job.vendor,
                    "kind": job.kind,
                    "job_id": job.job_id,
                    "state": job.phase(now),
                    "created_at": job.created_at,
                    "finished_at": job.finished_at(now),
                    "canceled": job.canceled_at is not None,
                    "failure": job.failure_text() if job.phase(now) == FAILED else None,
                }
                for job in self.entries
            ],
            "webhooks": self.webhooks.listed(),
        }
