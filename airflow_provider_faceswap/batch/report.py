"""What came of a batch, and how it is told: in the log, in the report, in an item's record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_faceswap.exceptions import BatchFailedError, FaceSwapError
from airflow_provider_faceswap.foundation.redaction import without_queries, without_secrets
from airflow_provider_faceswap.lifecycle.provenance import provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class BufferedItemLog:
    """
    A log that leaves out the ordinary: a line for each step of thousands of jobs is no log.

    :param aloud: Whether nothing is to be left out now.
    """

    def __init__(self, log: Any, position: int, aloud: Callable[[], bool]) -> None:
        self._log = log
        self._position = position
        self._aloud = aloud
        self._held: list[str] = []

    def info(self, text: str, *args: object) -> None:
        """Hold a line back, for as long as all is well."""
        if self._aloud():
            self._log.info(f"items[%d]: {text}", self._position, *args)
        else:
            self._held.append(text % args if args else text)

    def warning(self, text: str, *args: object) -> None:
        """A warning, with the item's place."""
        self._log.warning(f"items[%d]: {text}", self._position, *args)

    def tell(self) -> None:
        """Tell what was held back, as something went wrong after it: the id of a job may stand in it."""
        for line in self._held:
            self.warning("before the error: %s", line)
        self._held.clear()


@dataclass
class BatchReport:
    """
    What came of a batch so far.

    :param total: Items that were checked before the start.
    :param told: Items that the report has a line of.
    :param cost: By unit.
    :param errors: Failed items by class.
    :param running: Jobs that were bought and may go on, with their kinds.
    :param stopped: The account's trouble that ended it early.
    """

    total: int
    told: int = 0
    archived: int = 0
    failed: int = 0
    reused: int = 0
    cost: dict[str, float] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    running: dict[str, str] = field(default_factory=dict)
    stopped: FaceSwapError | None = None

    @property
    def ended(self) -> int:
        """Items that are over."""
        return self.archived + self.failed

    @property
    def cost_text(self) -> str:
        """The cost in words."""
        return (
            " and ".join(f"{amount:g} {unit}" for unit, amount in sorted(self.cost.items())) or "no cost told"
        )

    def line(self, seconds: float = 0, fresh: int = 0) -> str:
        """
        One line of progress.

        :param seconds: Since the start.
        :param fresh: Items that ended since the start and not in an earlier try.
        """
        left = f", about {(self.total - self.ended) * seconds / fresh:.0f} s left" if fresh else ""
        return (
            f"{self.archived} of {self.total} archived, {self.failed} failed, {len(self.running)} at the vendor, "
            f"{self.cost_text} so far{left}"
        )

    def summary(self, seconds: float, manifest_uri: str) -> dict[str, Any]:
        """What the operator returns."""
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
        }


def raise_if_failed(tally: BatchReport, fail_on: str | float, manifest_uri: str) -> None:
    """
    Decide whether the task has failed.

    :param fail_on: ``any``, ``all``, or a share.
    :raises BatchFailedError: It has.
    :raises FaceSwapError: The account's trouble has ended it early.
    """
    if tally.told != tally.total:
        raise BatchFailedError(
            f"the items have changed while they were worked on: {tally.total} were checked, {tally.told} were "
            f"seen; {manifest_uri} tells of each"
        )
    if tally.stopped is not None:
        tally.stopped.message += f"; the batch stopped there: {tally.line()}; {manifest_uri}"
        raise tally.stopped
    if tally.ended < tally.total:
        raise BatchFailedError(
            f"the task was told to end before all items were started: {tally.line()}; {manifest_uri} tells of each",
            advice="A retry goes on with the others, and pays for nothing twice.",
        )
    share = tally.failed / tally.total if tally.total else 0.0
    limits = {"any": 0.0, "all": 1.0}
    if share > 0 and share >= (limits[fail_on] if isinstance(fail_on, str) else fail_on):
        kinds = ", ".join(f"{number} {name}" for name, number in tally.errors.most_common())
        raise BatchFailedError(
            f"{tally.failed} of {tally.total} items failed ({kinds}); {tally.archived} are archived; "
            f"{manifest_uri} tells of each"
        )


def words(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """
    An error in words that may be shown, without the advice, which speaks of a single job.

    :param secrets: What a foreign error might repeat, and must not.
    """
    if isinstance(error, FaceSwapError):
        return f"{error.message} [job {error.job_id}]" if error.job_id else error.message
    text = without_secrets(without_queries(str(error)), secrets)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def failure(error: Exception, *, job_id: str | None = None, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """
    How an item failed, as its record and the report say it.

    :param error: Of this package, or of whatever library it stands on.
    :param job_id: The item's job, where one was bought.
    """
    job_id = getattr(error, "job_id", None) or job_id
    message = str(error)
    if not isinstance(error, FaceSwapError):
        goes_on = " The job was bought; a retry takes it up." if job_id else ""
        message = f"{words(error, secrets)}.{goes_on}"
    return {
        "status": "failed",
        "error": type(error).__name__,
        "message": message,
        "job_id": job_id,
        "final": isinstance(error, AirflowFailException),
    }


def shown(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as the report may show it: links without queries, pictures by their hash."""
    told: dict[str, Any] = provenance(item)["arguments"]
    return told
