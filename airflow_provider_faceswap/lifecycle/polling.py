"""
When to ask next, when to give up, and what the ending is: one decision object for every waiting loop.

The sync loop of a worker and the async loop of a trigger differ in how they sleep and fetch, and in nothing
else. Both feed what they saw to a :class:`Watch` and do what it says.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from airflow_provider_faceswap.exceptions import FaceSwapError, JobLostError, RateLimitError
from airflow_provider_faceswap.jobs import JobState
from airflow_provider_faceswap.lifecycle.outcomes import Ending, Trouble, Word, worth_asking_again

if TYPE_CHECKING:
    from airflow_provider_faceswap.jobs import Job
    from airflow_provider_faceswap.vendors.base import Timing

#: Failed reads in a row before the job is left alone, resumable. With the waits below: about four minutes.
ERROR_BUDGET = 8
#: A success without a link is asked again this many times.
EMPTY_BUDGET = 3
#: Seconds; a failed read is repeated after 2, 4, 8 ... and never later than this.
LONGEST_ERROR_WAIT = 60.0
#: The first question comes at so many times the shortest time of the kind: before that most would be in vain.
START = 1.5
#: The gap between two questions: this share of the geometric mean of the shortest time and the age ...
SPAN = 0.35
#: ... and of the age alone, once that is more. Together they cost little more questions than the least possible.
GROWTH = 0.15
#: Percent: while the vendor's word stays the same, progress is told once for each such share.
TOLD_EVERY = 25.0
#: Every wait varies by this share, so that jobs of one second do not ask in one second for ever.
JITTER = 0.1
#: One for all waits: each would take more memory than the rest of its wait.
_JITTER = random.Random()  # noqa: S311 - spreads questions, guards nothing


@dataclass(frozen=True, slots=True)
class Wait:
    """
    Sleep, then ask.

    :param seconds: How long.
    :param news: One line worth logging, empty where nothing changed.
    """

    seconds: float
    news: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    The time between two questions, as a function of the job's age alone.

    It needs no memory, so it goes on unchanged where another triggerer takes over.

    :param shortest: Seconds that the kind takes at least.
    :param floor: The least seconds between two questions.
    :param cap: The most seconds between two questions, where ``floor`` is not above it.
    """

    shortest: float
    floor: float
    cap: float

    @property
    def first(self) -> float:
        """Seconds of age before the first question."""
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
        """Seconds from now to the next question, for a job of this age in seconds."""
        if age < self.first:
            return max(self.first - max(age, 0.0), self.floor)
        gap = max(SPAN * sqrt(age * self.shortest), GROWTH * age)
        return min(max(gap, self.floor), self.cap)


class Watch:
    """
    The decisions of one wait.

    Times are epoch seconds, given from outside; nothing here reads a clock.

    :param submitted_at: When the job was created.
    :param deadline: When to stop waiting; the job itself goes on.
    :param not_before: No question earlier than this.
    :param grace: Seconds after the create during which "not found" is taken for "not yet".
    """

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
        jitter: random.Random | None = None,
    ) -> None:
        self.vendor = vendor
        self.job_id = job_id
        self.schedule = schedule
        self.submitted_at = submitted_at
        self.deadline = deadline
        self.not_before = not_before
        self.grace = grace
        self._jitter = jitter or _JITTER
        self._job: Job | None = None
        self._told: tuple[str, float] | None = None
        self._troubles: set[str] = set()
        self._errors = 0
        self._empty = 0

    def start(self, now: float) -> Wait:
        """How long before the first question; at a resumed job that is old already, a moment."""
        age = self._age(now)
        first = self._vary(self.schedule.first - age) if age < self.schedule.first else 0.0
        return self._until_deadline(max(first, self.not_before - now), now)

    def saw(self, job: Job, now: float) -> Wait | Ending:
        """Decide after the job was read."""
        news = self._news(job, now)
        self._job = job
        self._errors = 0
        if job.state is JobState.FAILED:
            return self._end(Word.FAILED)
        if job.state is JobState.CANCELED:
            return self._end(Word.CANCELED)
        if job.state is JobState.SUCCEEDED:
            if job.has_output:
                return self._end(Word.SUCCEEDED)
            self._empty += 1
            if self._empty > EMPTY_BUDGET:
                return self._end(Word.NO_OUTPUT)
            return self._until_deadline(max(self.schedule.floor, 2.0), now, news)
        if now >= self.deadline:
            return self._end(Word.TIMED_OUT)
        return self._until_deadline(self._gap(self.schedule.wait(self._age(now))), now, news)

    def missed(self, error: FaceSwapError, now: float) -> Wait | Ending:
        """Decide after a read failed. A failed read is not a failed job."""
        trouble = Trouble.of(error)
        if isinstance(error, JobLostError):
            if self._age(now) < self.grace and now < self.deadline:
                news = self._trouble(error, f"is not there yet: {error.message}")
                return self._until_deadline(max(self.schedule.floor, 2.0), now, news)
            return self._end(Word.LOST, trouble)
        if not worth_asking_again(error):
            return self._end(Word.REFUSED, trouble)
        if now >= self.deadline:
            return self._end(Word.TIMED_OUT, trouble)
        told = f"could not be read ({type(error).__name__}: {error.message}), asking again"
        news = self._trouble(error, told)
        if isinstance(error, RateLimitError):
            # The vendor is well and asks for patience: that says nothing against the job.
            asked = error.retry_after or self.schedule.cap
            return self._until_deadline(max(asked, self.schedule.floor), now, news)
        self._errors += 1
        if self._errors >= ERROR_BUDGET:
            return self._end(Word.UNREADABLE, trouble)
        pause = self._gap(min(2.0**self._errors, LONGEST_ERROR_WAIT))
        return self._until_deadline(max(pause, getattr(error, "retry_after", None) or 0.0), now, news)

    def _end(self, word: Word, trouble: Trouble | None = None) -> Ending:
        return Ending(word=word, vendor=self.vendor, job_id=self.job_id, job=self._job, trouble=trouble)

    def _age(self, now: float) -> float:
        """Seconds since the create; a vendor's clock may be ahead of ours."""
        return max(0.0, now - self.submitted_at)

    def _vary(self, seconds: float) -> float:
        return seconds * (1 + self._jitter.uniform(-JITTER, JITTER))

    def _gap(self, seconds: float) -> float:
        """A gap between two questions: varied, but never below the floor."""
        return max(self._vary(seconds), self.schedule.floor)

    def _until_deadline(self, seconds: float, now: float, news: str = "") -> Wait:
        """Never sleep past the deadline: the job is looked at once more there."""
        return Wait(max(0.0, min(seconds, self.deadline - now)), news)

    def _news(self, job: Job, now: float) -> str:
        """One line where the vendor's word has changed, or a quarter more is done."""
        word, share = job.status, (job.percent or 0.0) // TOLD_EVERY
        if self._told is not None and self._told[0] == word:
            # Not "share <= told": a percent that is no number is no progress either.
            if not share > self._told[1]:
                return ""
        else:
            self._troubles.clear()
        self._told = word, share
        percent = f", {job.percent:.0f} %" if job.percent is not None else ""
        # A job that was bought elsewhere, and is known by its id alone, may be older than the wait for it.
        born = self.submitted_at if job.created_at is None else job.created_at.timestamp()
        age = max(self._age(now), now - born)
        return f"is {word or 'without a status'}{percent}, after {age:.0f} s"

    def _trouble(self, error: FaceSwapError, text: str) -> str:
        """One line for each kind of trouble, until the vendor's word changes: a vendor may be down for long."""
        kind = type(error).__name__
        if kind in self._troubles:
            return ""
        self._troubles.add(kind)
        return text
