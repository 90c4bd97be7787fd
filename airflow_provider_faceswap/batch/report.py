"""The report of a batch: its counters, and the error it ends with."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_faceswap.exceptions import (
    BatchFailedError,
    BatchRefusedError,
    BudgetBusyError,
    BudgetExceededError,
    FaceSwapError,
    InvalidRequestError,
)
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.jobs import Cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_faceswap.hooks.base import JobHook

#: Jobs whose items are gone that the return value names; the log and the manifest name all.
MAX_LEFT_BEHIND = 100

#: Errors of a budget. They stop the batch, and no item fails by them.
NO_MONEY = (BudgetBusyError, BudgetExceededError)
#: The status of a wrong item that was left out.
SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that was submitted and may still run."""

    hook: JobHook
    kind: str
    step: str


@dataclass
class StepCount:
    """
    The counters of one step.

    :param cost: Of the jobs that this attempt submitted, by unit.
    :param cost_in_all: With those of earlier attempts.
    """

    jobs: int = 0
    reused: int = 0
    failed: int = 0
    cost: dict[str, float] = field(default_factory=dict)
    cost_in_all: dict[str, float] = field(default_factory=dict)


@dataclass
class BatchReport:
    """
    The counters of a batch.

    :param total: Items that were checked before the start.
    :param seen: Items that have a line in the manifest.
    :param skipped: Wrong items that were left out, because the user wants that.
    :param reused: Items that an earlier attempt archived.
    :param cost: The cost of the jobs that this attempt submitted, by unit.
    :param earlier_cost: The cost of the jobs that earlier attempts submitted, by unit, as far as it is recorded.
    :param errors: Failed items by class.
    :param retriable: Failed items that a retry may help.
    :param running: Jobs that were submitted and may still run, by their ids.
    :param left_behind: Jobs of earlier attempts whose items are gone.
    :param stopped: The error of the account that stopped the batch early.
    :param steps: The counters of each step of a chain; empty for a batch of one kind of job.
    """

    total: int
    seen: int = 0
    archived: int = 0
    failed: int = 0
    skipped: int = 0
    reused: int = 0
    cost: dict[str, float] = field(default_factory=dict)
    earlier_cost: dict[str, float] = field(default_factory=dict)
    retriable: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    running: dict[str, RunningJob] = field(default_factory=dict)
    left_behind: list[str] = field(default_factory=list)
    stopped: FaceSwapError | None = None
    steps: dict[str, StepCount] = field(default_factory=dict)

    @property
    def ended(self) -> int:
        """The number of items that are archived, have failed or were left out."""
        return self.archived + self.failed + self.skipped

    def add(self, end: Mapping[str, Any]) -> None:
        """Count the end of an item."""
        self.seen += 1
        if end["status"] == "archived":
            self.archived += 1
        elif end["status"] == "failed":
            self.failed += 1
            self.errors[end["error"]] += 1
            self.retriable += not end.get("final")
            if (step := self.steps.get(end.get("step", ""))) is not None:
                step.failed += 1
        elif end["status"] == SKIPPED:
            self.skipped += 1

    def add_cost(self, cost: Mapping[str, Any] | None, *, earlier: bool, step: str = "") -> None:
        """
        Count a job and its cost.

        :param cost: ``amount`` and ``unit``; ``None`` if the vendor did not report it.
        :param earlier: Whether an earlier attempt submitted the job.
        """
        sums = [self.earlier_cost if earlier else self.cost]
        if (counted := self.steps.get(step)) is not None:
            counted.jobs += not earlier
            counted.reused += earlier
            sums += [counted.cost_in_all] if earlier else [counted.cost, counted.cost_in_all]
        if not cost:
            return
        for costs in sums:
            costs[cost["unit"]] = costs.get(cost["unit"], 0.0) + cost["amount"]

    @property
    def cost_in_all(self) -> dict[str, float]:
        """The cost of this and of earlier attempts, by unit."""
        units = (*self.earlier_cost, *self.cost)
        return {unit: self.earlier_cost.get(unit, 0.0) + self.cost.get(unit, 0.0) for unit in units}

    def line(self, seconds: float = 0, ended_now: int = 0) -> str:
        """
        One line of progress.

        :param seconds: Since the start.
        :param ended_now: Items that ended since the start, without those of earlier attempts.
        """
        left = f", about {(self.total - self.ended) * seconds / ended_now:.0f} s left" if ended_now else ""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        if self.earlier_cost:
            cost = f"{_money(self.cost) or 'nothing'} in this attempt, {_money(self.cost_in_all)} in all"
        else:
            cost = f"{_money(self.cost) or 'no cost reported'} so far"
        return (
            f"{self.archived} of {self.total} archived, {self.failed} failed{skipped}, "
            f"{self._at_vendors()}, {cost}{left}"
        )

    def _at_vendors(self) -> str:
        """The number of running jobs, by step if there are several."""
        jobs = list(self.running.values())  # which another thread may change
        if not self.steps:
            return f"{len(jobs)} at the vendor"
        running = Counter(job.step for job in jobs)
        return "at the vendors: " + ", ".join(f"{running[step]} {step}" for step in self.steps)

    def summary(self, seconds: float, manifest_uri: str) -> dict[str, Any]:
        """The return value of the operator."""
        return {
            "total": self.total,
            "archived": self.archived,
            "failed": self.failed,
            "not_started": self.total - self.ended,
            "reused": self.reused,
            "errors": dict(self.errors),
            "cost": dict(self.cost),
            "seconds": round(seconds, 3),
            "manifest_uri": manifest_uri,
            "skipped": self.skipped,
            "cost_in_all": self.cost_in_all,
            **({"steps": {name: asdict(count) for name, count in self.steps.items()}} if self.steps else {}),
            **({"left_behind": self.left_behind[:MAX_LEFT_BEHIND]} if self.left_behind else {}),
        }

    def raise_if_failed(self, fail_on: str | float, manifest_uri: str) -> None:
        """
        Decide whether the task has failed.

        :param fail_on: ``any``, ``all``, or a share.
        :raises BatchFailedError: The task has failed; a :class:`BatchRefusedError` if a retry can help no item.
        :raises FaceSwapError: An error of the account stopped the batch.
        """
        if self.seen != self.total:
            raise BatchFailedError(
                f"the list of items changed while the batch was running: {self.total} items were checked at the start, "
                f"{self.seen} were processed; {manifest_uri} lists the processed items",
                advice="Do not change the items while the batch runs. A retry does not pay again for archived items.",
            )
        if self.stopped is not None:
            text = f"{self.stopped.message}; the batch stopped early: {self.line()}; {manifest_uri}"
            if not isinstance(self.stopped, NO_MONEY):
                raise self.stopped.replaced(message=text) from None
            advice = self.stopped.advice.removeprefix("Nothing was bought. ")
            raise self.stopped.replaced(
                message=f"{text}; {self.total - self.ended} items are left",
                advice=f"Nothing more was bought. {advice} A later attempt goes on, and pays for nothing twice.",
            ) from None
        if self.ended < self.total:
            raise BatchFailedError(
                f"the task was ended before all items were started: {self.line()}; {manifest_uri} lists each item",
                advice="A retry continues with the others and pays for nothing twice.",
            )
        share = self.failed / self.total if self.total else 0.0
        limits = {"any": 0.0, "all": 1.0}
        if share > 0 and share >= (limits[fail_on] if isinstance(fail_on, str) else fail_on):
            kinds = ", ".join(f"{number} {name}" for name, number in self.errors.most_common())
            raise (BatchFailedError if self.retriable else BatchRefusedError)(
                f"{self.failed} of {self.total} items failed ({kinds}); {self.archived} are archived; "
                f"{manifest_uri} lists each item"
            )


def _money(costs: Mapping[str, float]) -> str:
    return " and ".join(str(Cost(amount=costs[unit], unit=unit)) for unit in sorted(costs))


def describe(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """
    The text of an error, without its advice, which is written for a single job.

    :param secrets: Strings to remove from an error raised by another library.
    """
    if isinstance(error, FaceSwapError):
        return f"{error.message} [job {error.job_id}]" if error.job_id else error.message
    return error_line(error, secrets)


def skipped_end(reason: str) -> dict[str, Any]:
    """
    The end of a wrong item that is left out, for the manifest.

    :param reason: What is wrong with it.
    """
    return {
        "status": SKIPPED,
        "error": InvalidRequestError.__name__,
        "message": reason,
        "job_id": None,
        "final": True,
    }


def failed_end(
    error: Exception, *, job_id: str | None = None, secrets: Iterable[str] = (), resumable: bool = False
) -> dict[str, Any]:
    """
    The end of a failed item, for its record and for the manifest.

    :param error: Of this package or of any other library.
    :param job_id: The item's job, if one was submitted.
    :param resumable: Whether the job may still run, so that a retry resumes it whatever the error.
    """
    job_id = getattr(error, "job_id", None) or job_id
    message = str(error)
    if not isinstance(error, FaceSwapError):
        resumed = " The job was submitted; a retry resumes it." if job_id else ""
        message = f"{describe(error, secrets)}.{resumed}"
    return {
        "status": "failed",
        "error": type(error).__name__,
        "message": message,
        "job_id": job_id,
        "final": isinstance(error, AirflowFailException) and not resumable,
    }
