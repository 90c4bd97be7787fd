"""A job of the sandbox: its state over time, and its price."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.sandbox.output import JobFailedError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from airflow_provider_faceswap.sandbox.output import Output

#: Phases of a job in the sandbox's own words; each vendor has its own words for them.
QUEUED, RUNNING, DONE, FAILED, CANCELED = "queued", "running", "done", "failed", "canceled"
TERMINAL = frozenset({DONE, FAILED, CANCELED})
#: Share of a job's time that it spends in the queue.
QUEUED_SHARE = 0.2


@dataclass
class Job:
    """One accepted job.

    :param job_id: the vendor's identifier.
    :param vendor: the vendor's name.
    :param kind: what is done, such as ``face_swap`` or ``imagine``.
    :param price: its charge, in ``unit``.
    :param refundable: whether the charge is returned if the job fails or is cancelled.
    :param created_at: epoch seconds.
    :param seconds: time from creation to the end.
    :param request: the accepted request body.
    :param base_url: root URL under which the caller reached the sandbox; result links start with it.
    :param work: the drawing, in a worker thread.
    :param lifetime: seconds for which the finished files can be fetched; ``None`` when no figure is known.
    :param failure: text of a failure that is already decided (moderation, an injected fault).
    :param born_failed: whether the response to create reported the failure.
    :param facts: facts that only this vendor needs.
    """

    job_id: str
    vendor: str
    kind: str
    price: float
    unit: str
    refundable: bool
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
        """Phase at ``now``. A job whose picture is late stays running, so that a read never waits."""
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
        if self.phase(now) not in TERMINAL:
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
        error = self.work.exception()
        if error is None:
            return None
        return str(error) if isinstance(error, JobFailedError) else f"internal error: {error!r}"

    def refunded(self, now: float) -> bool:
        """Whether the charge has been returned."""
        return self.refundable and self.phase(now) in (FAILED, CANCELED)

    def outputs(self, now: float) -> list[Output]:
        """The finished files; none before the job has succeeded."""
        return self.work.result() if self.phase(now) == DONE else []

    def gone(self, now: float) -> bool:
        """Whether the vendor has deleted the files by now (retention counts from creation)."""
        return self.lifetime is not None and now - self.created_at > self.lifetime


@dataclass(frozen=True)
class View:
    """A job as a response shows it: as it is, or as a fault changes it.

    :param now: epoch seconds.
    :param fresh: whether this answers create: the job is then queued, or already failed.
    :param word: status word to show instead of the true one.
    :param empty: whether to show a success without a link.
    :param place: the only place that shows the cause of a failure; ``None`` for the usual one.
    """

    job: Job
    now: float
    fresh: bool = False
    word: str | None = None
    empty: bool = False
    place: str | None = None

    @property
    def phase(self) -> str:
        """The phase to show; the word of a fault does not change it."""
        if self.empty:
            return DONE
        if self.fresh:
            return FAILED if self.job.born_failed else QUEUED
        return self.job.phase(self.now)

    @property
    def percent(self) -> int:
        """The progress to show."""
        return 100 if self.empty else 0 if self.fresh else self.job.percent(self.now)

    @property
    def failure(self) -> str | None:
        """Why the job failed, if it is shown as failed."""
        return self.job.failure_text() if self.phase == FAILED else None

    @property
    def urls(self) -> list[str]:
        """The links to show, each with a random signature."""
        if self.phase != DONE or self.empty or self.word is not None:
            return []
        job = self.job
        return [
            f"{job.base_url}/files/{job.job_id}-{number}.{output.suffix}?sig={job.signature}"
            for number, output in enumerate(job.outputs(self.now))
        ]

    def status(self, words: dict[str, str]) -> str:
        """The status word to show.

        :param words: the vendor's word for each phase.
        """
        return self.word or words[self.phase]
