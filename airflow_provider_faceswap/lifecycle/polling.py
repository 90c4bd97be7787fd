"""
When to poll next, when to give up, and what the outcome is: one decision object for every waiting loop.

The sync loop of a worker and the async loop of a trigger differ only in how they sleep and fetch. Both report each
poll to a :class:`Poller` and follow its decision.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_faceswap.exceptions import FaceSwapError, JobLostError, RateLimitError
from airflow_provider_faceswap.jobs import JobState
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, ReadFailure, WaitResult, is_transient

if TYPE_CHECKING:
    from airflow_provider_faceswap.jobs import Job
    from airflow_provider_faceswap.vendors.kinds import Timing

#: Failed polls in a row before the wait ends and the job is left resumable. With the waits below: about four minutes.
ERROR_BUDGET = 8
#: A success without a link is polled again this many times.
EMPTY_BUDGET = 3
#: Seconds. A failed poll is repeated after 2, 4, 8 ... seconds, but never later than this.
LONGEST_ERROR_WAIT = 60.0
#: Minimum seconds before the next poll of a job that is not found yet, or that has no link yet.
SHORT_WAIT = 2.0
#: The first poll comes at this many times the shortest time of the kind; before that, most jobs are still
#: running.
START = 1.5
#: The gap between two polls is this share of the geometric mean of the shortest time and the age,
SPAN = 0.35
#: or this share of the age, whichever is more. Together they need only a few more polls than the minimum.
GROWTH = 0.15
#: Percent. While the vendor's status stays the same, progress is logged once for each such share.
PROGRESS_STEP = 25.0
#: Every wait varies by this share, so that jobs submitted in one second do not stay in step.
JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Wait:
    """
    The decision to sleep, then poll.

    :param seconds: How long to sleep.
    :param message: A line to log, empty if nothing changed.
    """

    seconds: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    The time between two polls, as a function of the job's age alone.

    It needs no memory, so it continues unchanged on another triggerer.

    :param shortest: Seconds that a job of this kind takes at least.
    :param floor: Minimum seconds between two polls.
    :param cap: Maximum seconds between two polls, unless ``floor`` is more.
    """

    shortest: float
    floor: float
    cap: float

    @property
    def first(self) -> float:
        """The job's age in seconds at the first poll."""
        return self.shortest * START

    @classmethod
    def of(cls, timing: Timing, poll_interval: float | None) -> Schedule:
        """
        The schedule of a kind.

        :param poll_interval: The user's floor in seconds, ``None`` for the default of one second.
        """
        floor = 1.0 if poll_interval is None else poll_interval
        return cls(shortest=timing.first, floor=floor, cap=max(timing.cap, floor))

    def wait(self, age: float) -> float:
        """Seconds from now to the next poll, for a job of this age in seconds."""
        if age < self.first:
            return max(self.first - max(age, 0.0), self.floor)
        gap = max(SPAN * sqrt(age * self.shortest), GROWTH * age)
        return min(max(gap, self.floor), self.cap)


class Poller:
    """
    The decisions of one wait.

    Times are seconds of one clock that never steps, given by the caller; nothing here reads a clock.

    :param submitted_at: When the job was submitted.
    :param deadline: When to stop waiting; the job itself is not cancelled.
    :param not_before: The earliest time of a poll.
    :param grace: Seconds after the submission during which "not found" means "not yet".
    :param zero: Epoch seconds at the clock's zero, for the times that the vendor reports.
    """

    #: Varies the waits. One generator for all: one for each would take more memory than the rest of its wait.
    jitter: ClassVar[random.Random] = random.Random()  # noqa: S311 - spreads polls, guards nothing

    def __init__(
        self,
        *,
        vendor: str,
        job_id: str,
        schedule: Schedule,
        submitted_at: float,
        deadline: float,
        not_before: float = 0.0,
        grace: float = 0.0,
        zero: float = 0.0,
    ) -> None:
        self.vendor = vendor
        self.job_id = job_id
        self.schedule = schedule
        self.submitted_at = submitted_at
        self.deadline = deadline
        self.not_before = not_before
        self.grace = grace
        self.zero = zero
        self._job: Job | None = None
        #: Status and share of progress at the last message.
        self._reported: tuple[str, float] | None = None
        self._reported_errors: set[str] = set()
        self._errors = 0
        self._empty = 0

    def start(self, now: float, first: Job | None = None) -> Wait | WaitResult:
        """
        Decide when to poll first. An old job, resumed, is polled at once.

        :param first: The job as just seen, ``None`` if it was not. If it is over, no poll is needed.
        """
        if first is not None and first.state.terminal:
            return self.after_poll(first, now)
        self._job = first
        age = self._age(now)
        seconds = self._vary(self.schedule.first - age) if age < self.schedule.first else 0.0
        return self._until_deadline(max(seconds, self.not_before - now), now)

    def after_poll(self, job: Job, now: float) -> Wait | WaitResult:
        """Decide after a successful poll."""
        message = self._progress(job, now)
        self._job = job
        self._errors = 0
        if job.state is JobState.FAILED:
            return self._end(Outcome.FAILED)
        if job.state is JobState.CANCELED:
            return self._end(Outcome.CANCELED)
        if job.state is JobState.SUCCEEDED:
            if job.has_output:
                return self._end(Outcome.SUCCEEDED)
            self._empty += 1
            if self._empty > EMPTY_BUDGET:
                return self._end(Outcome.NO_OUTPUT)
            return self._until_deadline(max(self.schedule.floor, SHORT_WAIT), now, message)
        if now >= self.deadline:
            return self._end(Outcome.TIMED_OUT)
        return self._until_deadline(self._gap(self.schedule.wait(self._age(now))), now, message)

    def after_error(self, error: FaceSwapError, now: float) -> Wait | WaitResult:
        """
        Decide after a failed poll. A failed poll is not a failed job.

        Only the vendor's own statement that it has no such job ends the wait at once. Every other error uses up the
        budget, a refused key too: the job is paid for, and the key may be replaced during the wait.
        """
        failure = ReadFailure.of(error)
        if isinstance(error, JobLostError):
            if self._age(now) < self.grace and now < self.deadline:
                message = self._error_message(error, f"is not there yet: {error.message}")
                return self._until_deadline(max(self.schedule.floor, SHORT_WAIT), now, message)
            return self._end(Outcome.LOST, failure)
        if now >= self.deadline:
            return self._end(Outcome.TIMED_OUT, failure)
        message = self._error_message(
            error, f"could not be polled ({type(error).__name__}: {error.message}), polling again"
        )
        if isinstance(error, RateLimitError):
            # The vendor is available and limits requests. That says nothing about the job.
            pause = error.retry_after or self.schedule.cap
            return self._until_deadline(max(pause, self.schedule.floor), now, message)
        self._errors += 1
        if self._errors >= ERROR_BUDGET:
            return self._end(Outcome.UNREADABLE if is_transient(error) else Outcome.REFUSED, failure)
        pause = self._gap(min(2.0**self._errors, LONGEST_ERROR_WAIT))
        return self._until_deadline(max(pause, getattr(error, "retry_after", None) or 0.0), now, message)

    def _end(self, outcome: Outcome, failure: ReadFailure | None = None) -> WaitResult:
        return WaitResult(
            outcome=outcome, vendor=self.vendor, job_id=self.job_id, job=self._job, failure=failure
        )

    def _age(self, now: float) -> float:
        """Seconds since the submission, never below 0."""
        return max(0.0, now - self.submitted_at)

    def _vary(self, seconds: float) -> float:
        return seconds * (1 + self.jitter.uniform(-JITTER, JITTER))

    def _gap(self, seconds: float) -> float:
        """A gap between two polls: varied, but never below the floor."""
        return max(self._vary(seconds), self.schedule.floor)

    def _until_deadline(self, seconds: float, now: float, message: str = "") -> Wait:
        """Never sleep past the deadline: the job is polled once more there."""
        return Wait(max(0.0, min(seconds, self.deadline - now)), message)

    def _progress(self, job: Job, now: float) -> str:
        """One line if the vendor's status changed, or another quarter is done."""
        share = (job.percent or 0.0) // PROGRESS_STEP
        if self._reported is not None and self._reported[0] == job.status:
            # Not "share <= reported": NaN is no progress either.
            if not share > self._reported[1]:
                return ""
        else:
            self._reported_errors.clear()
        self._reported = job.status, share
        percent = f", {job.percent:.0f} %" if job.percent is not None else ""
        # A job known by its id alone may be older than the wait for it.
        created = self.submitted_at if job.created_at is None else job.created_at.timestamp() - self.zero
        age = max(self._age(now), now - created)
        return f"is {job.status or 'without a status'}{percent}, after {age:.0f} s"

    def _error_message(self, error: FaceSwapError, text: str) -> str:
        """One line for each class of error until the vendor's status changes: an outage may last long."""
        kind = type(error).__name__
        if kind in self._reported_errors:
            return ""
        self._reported_errors.add(kind)
        return text
