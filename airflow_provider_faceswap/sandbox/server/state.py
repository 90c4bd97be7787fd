"""What a sandbox remembers: jobs, what they cost, and how often each vendor was called."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.sandbox.output import JobFailedError
from airflow_provider_faceswap.sandbox.server.faults import VENDORS, FaultBook
from airflow_provider_faceswap.sandbox.server.settings import UNITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_faceswap.sandbox.output import Output
    from airflow_provider_faceswap.sandbox.server.settings import Settings

QUEUED, RUNNING, DONE, FAILED, CANCELED = "queued", "running", "done", "failed", "canceled"
"""Phases of a job in the sandbox's own words; each vendor's file translates them."""

TERMINAL = frozenset({DONE, FAILED, CANCELED})
QUEUED_SHARE = 0.2
"""Share of a job's time that it spends waiting for a worker."""


@dataclass
class Job:
    """One accepted job.

    :param id: the vendor's identifier.
    :param vendor: ``gptunnel``, ``tengrai`` or ``piapi``.
    :param kind: what is done, such as ``face_swap`` or ``imagine``.
    :param created_at: epoch seconds.
    :param seconds: time from creation to the end.
    :param request: the accepted request body.
    :param base_url: root URL under which the caller reached the sandbox; result links start with it.
    :param work: the painting, under way in a worker thread.
    :param lifetime: seconds for which the finished files can be fetched; ``None`` when no figure is known.
    :param failure: text of a failure that is already decided (moderation, a planted fault).
    :param born_failed: whether the failure was reported in the answer to create.
    :param facts: what only this vendor needs to remember.
    """

    id: str
    vendor: str
    kind: str
    created_at: float
    seconds: float
    request: dict[str, Any]
    base_url: str
    work: Future[list[Output]]
    lifetime: float | None = None
    failure: str | None = None
    born_failed: bool = False
    canceled_at: float | None = None
    worked_at: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    signature: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    def phase(self, now: float) -> str:
        """Phase at ``now``: a job whose picture is late goes on running, so that a read never waits."""
        if self.canceled_at is not None:
            return CANCELED
        if self.born_failed:
            return FAILED
        elapsed = now - self.created_at
        if elapsed < QUEUED_SHARE * self.seconds:
            return QUEUED
        if elapsed < self.seconds or not self.work.done():
            return RUNNING
        return FAILED if self.failure_text() is not None else DONE

    def percent(self, now: float) -> int:
        """Progress 0-100; 100 only once the job has succeeded."""
        phase = self.phase(now)
        if phase == DONE:
            return 100
        if phase != RUNNING:
            return 0
        return max(1, min(99, int(100 * (now - self.created_at) / self.seconds))) if self.seconds else 99

    def finished_at(self, now: float) -> float | None:
        """Epoch seconds at which the job ended, or ``None`` while it has not."""
        phase = self.phase(now)
        if phase not in TERMINAL:
            return None
        if self.born_failed:
            return self.created_at
        if self.canceled_at is not None:
            return self.canceled_at
        return max(self.created_at + self.seconds, self.worked_at or 0.0)

    def failure_text(self) -> str | None:
        """Why the job fails, or ``None``; only meaningful once the work is done."""
        if self.failure is not None:
            return self.failure
        if not self.work.done() or self.work.cancelled():
            return None
        trouble = self.work.exception()
        if trouble is None:
            return None
        return str(trouble) if isinstance(trouble, JobFailedError) else f"internal error: {trouble!r}"

    def outputs(self, now: float) -> list[Output]:
        """The finished files, or an empty list before the job has succeeded."""
        return self.work.result() if self.phase(now) == DONE else []

    def file_urls(self, now: float) -> list[str]:
        """Links to the finished files, each with a random signature."""
        return [
            f"{self.base_url}/files/{self.id}-{number}.{output.suffix}?sig={self.signature}"
            for number, output in enumerate(self.outputs(now))
        ]

    def gone(self, now: float) -> bool:
        """Whether the vendor has deleted the files by now (retention counts from creation)."""
        return self.lifetime is not None and now - self.created_at > self.lifetime


@dataclass
class Entry:
    """One charge: an accepted create."""

    vendor: str
    kind: str
    job_id: str
    amount: float
    unit: str
    at: float
    refunded: bool = False


@dataclass
class Upload:
    """A file a caller has stored (PiAPI's ephemeral resource)."""

    output: Output
    signature: str
    expires_at: float


class Sandbox:
    """All state of one sandbox.

    Everything here is touched from the event loop only, except for the finished work of jobs, which worker
    threads hand over in futures; so there are no locks.

    :param settings: see :class:`~airflow_provider_faceswap.sandbox.server.settings.Settings`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = FaultBook()
        self.job_seconds = settings.job_seconds
        self.jobs: dict[str, Job] = {}
        self.uploads: dict[str, Upload] = {}
        self.entries: list[Entry] = []
        self.requests: dict[str, Counter[str]] = defaultdict(Counter)
        self.funds = dict(settings.balance)
        # Two threads: enough that a video does not hold up a picture, little enough for a small machine.
        self.workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="sandbox-painter")

    def now(self) -> float:
        """Epoch seconds by the sandbox's clock."""
        return self.settings.clock()

    def reset(self) -> None:
        """Forget jobs, uploads, charges, counts and faults; the account holds its starting sums again."""
        for job in self.jobs.values():
            job.work.cancel()
        self.jobs.clear()
        self.uploads.clear()
        self.entries.clear()
        self.requests.clear()
        self.faults.clear()
        self.funds = dict(self.settings.balance)
        self.job_seconds = self.settings.job_seconds

    def close(self) -> None:
        """Stop the worker threads; pictures not begun are dropped."""
        self.workers.shutdown(wait=True, cancel_futures=True)

    def settle(self, timeout: float = 30.0) -> None:
        """Block until all painting begun so far is over.

        Tests with a clock of their own call it before they move the clock.

        :param timeout: seconds to wait at most.
        :raises TimeoutError: if work is still under way by then.
        """
        left = wait([job.work for job in self.jobs.values()], timeout=timeout).not_done
        if left:
            raise TimeoutError(f"{len(left)} jobs are still being painted")

    def accept(
        self,
        job_id: str,
        vendor: str,
        kind: str,
        *,
        amount: float,
        unit: str,
        paint: Callable[[], list[Output]],
        request: dict[str, Any],
        base_url: str,
        lifetime: float | None = None,
        failure: str | None = None,
        born_failed: bool = False,
        facts: dict[str, Any] | None = None,
    ) -> Job:
        """Take a job on: start the painting, charge the account.

        :param amount: the price, in ``unit``.
        :param paint: makes the files, in a worker thread; raises :class:`JobFailedError` if it cannot.
        """
        work: Future[list[Output]]
        if failure is None:
            work = self.workers.submit(paint)
        else:
            work = Future()
            work.set_result([])
        now = self.now()
        job = Job(
            id=job_id,
            vendor=vendor,
            kind=kind,
            created_at=now,
            seconds=self.job_seconds,
            request=request,
            base_url=base_url,
            work=work,
            lifetime=lifetime,
            failure=failure,
            born_failed=born_failed,
            facts=facts or {},
        )
        work.add_done_callback(lambda _: setattr(job, "worked_at", self.now()))
        self.jobs[job_id] = job
        self.entries.append(Entry(vendor, kind, job_id, amount, unit, now))
        return job

    def find(self, vendor: str, job_id: str) -> Job | None:
        """The vendor's job with this identifier, or ``None``."""
        job = self.jobs.get(job_id)
        return job if job is not None and job.vendor == vendor else None

    def refund(self) -> None:
        """Note refunds: PiAPI freezes points at create and does not take them for a job that failed."""
        now = self.now()
        for entry in self.entries:
            job = self.jobs.get(entry.job_id)
            if entry.vendor == "piapi" and job is not None and job.phase(now) in (FAILED, CANCELED):
                entry.refunded = True

    def balance(self, unit: str) -> float:
        """What the account holds now, in ``unit``."""
        self.refund()
        return self.funds[unit] - self._charged(unit)

    def set_balance(self, unit: str, amount: float) -> None:
        """Make the account hold ``amount`` from now on."""
        self.refund()
        self.funds[unit] = amount + self._charged(unit)

    def can_pay(self, unit: str, amount: float) -> bool:
        """Whether ``amount`` can be charged without going below zero."""
        return self.balance(unit) >= amount

    def _charged(self, unit: str) -> float:
        return sum(entry.amount for entry in self.entries if entry.unit == unit and not entry.refunded)

    def report(self) -> dict[str, Any]:
        """The ledger as the control endpoint answers it: money, calls and jobs."""
        self.refund()
        now = self.now()
        return {
            "creates": len(self.entries),
            "total": {unit: self._charged(unit) for unit in UNITS},
            "balance": {unit: self.balance(unit) for unit in UNITS},
            "entries": [
                {
                    "vendor": entry.vendor,
                    "kind": entry.kind,
                    "job_id": entry.job_id,
                    "amount": entry.amount,
                    "unit": entry.unit,
                    "at": entry.at,
                    "refunded": entry.refunded,
                }
                for entry in self.entries
            ],
            "requests": {
                vendor: {
                    operation: self.requests[vendor][operation]
                    for operation in ("create", "fetch", "cancel", "list", "account", "upload")
                }
                for vendor in VENDORS
                if vendor != "files"
            }
            | {"files": {"download": self.requests["files"]["download"]}},
            "jobs": [
                {
                    "vendor": job.vendor,
                    "kind": job.kind,
                    "job_id": job.id,
                    "state": job.phase(now),
                    "created_at": job.created_at,
                    "finished_at": job.finished_at(now),
                    "canceled": job.canceled_at is not None,
                    "failure": job.failure_text() if job.phase(now) == FAILED else None,
                }
                for job in self.jobs.values()
            ],
        }
