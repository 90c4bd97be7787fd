"""
The record that makes sure that a job is paid for only once.

There is one record for one logical job of one task instance (Dag, run, task, map index; the same for all attempts). Its
stages are *intent → submitted → settled*. The intent is written before the paid call and the id right after it. So a crash
leaves no submission, an id to resume, or an intent which says that a job may have been submitted.

Where it is stored: see :mod:`~airflow_provider_faceswap.storage.task_records`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.text import safe_json
from airflow_provider_faceswap.jobs import Cost, Job, JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_faceswap.jobs import Submission
    from airflow_provider_faceswap.lifecycle.marks import Marks

#: The record's key in the store; operators with several records add to it.
KEY = "faceswap_job"


#: The outcome of a submission that was certainly not accepted.
REFUSED = "refused"
#: Outcomes of a settled job that was, or may be, paid and not in vain.
_MAY_BE_PAID = ("succeeded", "lost")


class Stage(StrEnum):
    """The stage of a logical job."""

    INTENT = "intent"
    SUBMITTED = "submitted"
    SETTLED = "settled"


class Record(BaseModel):
    """
    One logical job.

    :param fingerprint: Hash of vendor, connection id, kind and request, so that the record holds no secret. It is that of
        version 0.1.0, so that workers of that version know the record during an upgrade.
    :param mark: The hash of this version, which knows more kinds of signatures; ``None`` in a record of 0.1.0.
    :param epoch: A number that changes when the task is cleared, and never otherwise.
    :param purchases: Submissions within this epoch, including this one.
    :param begun_at: When the intent was written, just before the submission.
    :param earlier: Ids of the jobs that this task instance had before.
    :param outcome: How the job ended, once it is settled.
    :param counted: Whether metrics have counted its end, or may have.
    :param attempt: The attempt that wrote the intent, as Airflow counts them; 0 if it is unknown.
    :param urls: Links to the output of a job of a kind that cannot be polled; else empty. They may be signed, like those
        in XCom.
    :param reservation: The name of the money that was reserved for the job in a budget.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    fingerprint: str
    stage: Stage
    epoch: int
    purchases: int
    vendor: str
    kind: str
    conn_id: str
    begun_at: datetime
    earlier: tuple[str, ...] = ()
    job_id: str | None = None
    submitted_at: datetime | None = None
    deadline: datetime | None = None
    cost: Cost | None = None
    outcome: str | None = None
    counted: bool = False
    attempt: int = 0
    urls: tuple[str, ...] = ()
    mark: str | None = None
    reservation: str | None = None

    def is_of(self, marks: Marks) -> bool:
        """True if this is the record of a request with these hashes."""
        return self.fingerprint == marks.fingerprint if self.mark is None else self.mark == marks.mark

    @property
    def may_be_paid(self) -> bool:
        """
        True if this may be a paid job that is running or has a result.

        A lost job is one: the vendor may have lost its record only for now, or for this key.
        """
        return self.stage is not Stage.SETTLED or self.outcome in _MAY_BE_PAID

    @property
    def ids(self) -> tuple[str, ...]:
        """Every job of this task instance whose id is known."""
        return (*self.earlier, self.job_id) if self.job_id else self.earlier

    def ended_job(self, job_id: str) -> Job:
        """The job of a kind that cannot be polled, as the reply to its submission showed it: with links, or failed."""
        return Job(
            vendor=self.vendor,
            kind=self.kind,
            job_id=job_id,
            state=JobState.SUCCEEDED if self.urls else JobState.FAILED,
            status="recorded",
            urls=self.urls,
            cost=self.cost,
            created_at=self.submitted_at,
        )

    def submitted(self, submission: Submission) -> Record:
        """The record after the vendor has accepted the job."""
        return self.model_copy(
            update={
                "stage": Stage.SUBMITTED,
                "job_id": submission.job_id,
                "submitted_at": submission.submitted_at,
                "deadline": submission.deadline,
                "cost": submission.cost,
                "counted": submission.counted,
            }
        )

    def refused(self) -> Record:
        """The record once it is certain that the vendor did not accept the submission."""
        return self.model_copy(
            update={"stage": Stage.SETTLED, "outcome": REFUSED, "purchases": self.purchases - 1}
        )

    def cleared(self, epoch: int, submission: Submission) -> Record:
        """The record after a cleared task has resumed its job: no submission in this epoch, a new deadline."""
        return self.model_copy(update={"epoch": epoch, "purchases": 0}).submitted(submission)

    def settled(self, outcome: str) -> Record:
        """The record after the job's end was seen."""
        return self.over(outcome).model_copy(update={"counted": True})

    def over(self, outcome: str) -> Record:
        """The record of a job that ended, or was given up, without this task waiting for it."""
        return self.model_copy(update={"stage": Stage.SETTLED, "outcome": outcome})

    def beside(self, *job_ids: str) -> Record:
        """The record, which also names jobs of a concurrent attempt."""
        more = [job_id for job_id in job_ids if job_id not in (*self.earlier, self.job_id)]
        return self.model_copy(update={"earlier": (*self.earlier, *more)})


def epoch_of(context: Mapping[str, Any]) -> int:
    """A number that changes when the task is cleared, and never otherwise: Airflow then adds the attempts made."""
    return getattr(context["ti"], "max_tries", 0) or 0


def attempt_of(context: Mapping[str, Any]) -> int:
    """The number of this attempt, as Airflow counts them; a clear does not reset it."""
    return getattr(context["ti"], "try_number", 0) or 0


class OvertakenError(Exception):
    """Another attempt of the task has changed the record since it was read."""


class Store(Protocol):
    """Storage for the records of one task instance, by key."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or the default if there is none; raises if it cannot be read."""

    def set(self, key: str, value: Any) -> None:
        """Write a value; raises if that fails."""


def record_error(key: str, done: str, error: Exception, *, job_id: str | None = None) -> FaceSwapError:
    """
    The error for a store that failed.

    :param done: What could not be done: ``read`` or ``written``.
    :param job_id: The job that could not be recorded.
    """
    return FaceSwapError(
        f"the record {key!r} of this task could not be {done} ({type(error).__name__})",
        job_id=job_id,
        advice=(
            "The job was accepted and keeps running: resume it with resume_job_id."
            if job_id
            else "This attempt bought nothing. Retry when Airflow works again."
        ),
    )


class Ledger:
    """
    The record of one logical job in a store.

    :param store: The store; ``None`` if this Airflow has none, and nothing is recorded.
    :param vanished: True if records of this task have vanished from the store, so that no record does not mean that
        nothing was bought.
    """

    def __init__(self, store: Store | None, key: str = KEY, *, vanished: bool = False) -> None:
        self._store = store
        self._key = key
        self.vanished = vanished

    @property
    def remembers(self) -> bool:
        """False without a store: a retry may then pay again."""
        return self._store is not None

    def read(self) -> Record | None:
        """
        Read the record.

        :returns: ``None`` if there certainly is none.
        :raises FaceSwapError: It could not be read.
        """
        if self._store is None:
            return None
        try:
            value = self._store.get(self._key)
            return None if value is None else Record.model_validate(safe_json(value))
        except ValidationError:
            raise FaceSwapError(
                f"the record {self._key!r} of this task is damaged",
                advice="This attempt bought nothing, but an earlier one may have: look for a job id in the earlier "
                "attempts' logs and resume it with resume_job_id. To submit a new job instead, delete this record from "
                "Airflow's task state store or from the ledger_uri folder.",
            ) from None
        except Exception as error:  # noqa: BLE001 - each store has its own errors
            raise record_error(self._key, "read", error) from None

    def replace(self, before: Record | None, record: Record) -> None:
        """
        Write the record over the one that was read before, and over no other.

        The store has no exclusive write. So two attempts that do this within the same milliseconds can still overwrite
        each other.

        :raises OvertakenError: There is another record now. Nothing was written.
        :raises FaceSwapError: It could not be read or written.
        """
        if self._store is None:
            return
        if self.read() != before:
            raise OvertakenError
        self.write(record)

    def settle(self, job_id: str, outcome: str) -> Record | None:
        """
        Record how a job ended.

        :returns: The record as it was before; ``None`` if there is none of this job.
        :raises FaceSwapError: It could not be read or written.
        """
        record = self.read()
        if record is None or record.job_id != job_id:
            return None
        self.write(record.settled(outcome))
        return record

    def write(self, record: Record) -> None:
        """
        Write the record. It is kept as long as the run exists.

        :raises FaceSwapError: It could not be written.
        """
        if self._store is None:
            return
        try:
            self._store.set(self._key, record.model_dump(mode="json"))
        except Exception as error:  # noqa: BLE001 - each store has its own errors
            raise record_error(self._key, "written", error, job_id=record.job_id) from None
