"""The report of a batch: its counters, the log lines of its items, and the error it ends with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_faceswap.exceptions import (
    BatchFailedError,
    BatchRefusedError,
    FaceSwapError,
    InvalidRequestError,
)
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.jobs import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
#: Jobs whose items are gone that the return value names; the log and the manifest name all.
MAX_LEFT_BEHIND = 100

#: The status of a wrong item that was left out.
SKIPPED = "skipped"
#: Lines about failed and skipped items in the log; there may be thousands, and the manifest lists each.
MAX_LOGGED_ITEMS = 100


class BufferedItemLog:
    """
    The log of one item, which writes info lines only if something goes wrong: there may be thousands of items.

    :param is_immediate: Whether to write info lines at once.
    """

    def __init__(self, log: Any, position: int, is_immediate: Callable[[], bool]) -> None:
        self._log = log
        self._position = position
        self._is_immediate = is_immediate
        self._buffer: list[str] = []

    def info(self, text: str, *args: object) -> None:
        """Write a line, or buffer it."""
        if self._is_immediate():
            self._log.info(f"items[%d]: {text}", self._position, *args)
        else:
            self._buffer.append(text % args if args else text)

    def warning(self, text: str, *args: object) -> None:
        """Write a warning with the item's position."""
        self._log.warning(f"items[%d]: {text}", self._position, *args)

    def flush(self) -> None:
        """Write the buffered lines, so that they appear before the error: one may contain a job's id."""
        for line in self._buffer:
            self.warning("logged before the error that follows: %s", line)
        self._buffer.clear()


class FailedItemLog:
    """
    The lines about items that failed or were skipped, up to a number of them.

    :param manifest_uri: Where each of them is listed.
    """

    def __init__(self, log: Any, manifest_uri: str) -> None:
        self._log = log
        self._manifest_uri = manifest_uri
        self._number = 0

    def add(self, label: str, end: Mapping[str, Any]) -> None:
        """Write a line if the item failed or was skipped."""
        if end["status"] not in {"failed", SKIPPED}:
            return
        self._number += 1
        if self._number <= MAX_LOGGED_ITEMS:
            self._log.warning("%s %s: %s", label, end["status"], end["message"])
        elif self._number == MAX_LOGGED_ITEMS + 1:
            self._log.warning("More items failed or were skipped; %s lists each", self._manifest_uri)


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
    :param running: Jobs that were submitted and may still run, with their kinds.
    :param left_behind: Jobs of earlier attempts whose items are gone.
    :param stopped: The error of the account that stopped the batch early.
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
    running: dict[str, str] = field(default_factory=dict)
    left_behind: list[str] = field(default_factory=list)
    stopped: FaceSwapError | None = None

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
        elif end["status"] == SKIPPED:
            self.skipped += 1

    def add_cost(self, cost: Mapping[str, Any] | None, *, earlier: bool) -> None:
        """
        Count the cost of a job.

        :param cost: ``amount`` and ``unit``; ``None`` if the vendor did not report it.
        :param earlier: Whether an earlier attempt submitted the job.
        """
        if cost:
            costs = self.earlier_cost if earlier else self.cost
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
            f"{len(self.running)} at the vendor, {cost}{left}"
        )

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
            raise self.stopped.replaced(message=text) from None
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
