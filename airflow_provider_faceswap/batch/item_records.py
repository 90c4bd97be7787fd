"""The record of each item of a batch: its intent, its job, and how it ended."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_faceswap.lifecycle.ledger import Ledger, Record, Stage
from airflow_provider_faceswap.lifecycle.marks import marks_of
from airflow_provider_faceswap.lifecycle.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_faceswap.batch.sharded_store import ShardedStore
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.vendors.messages import Request

#: Characters of a failed item's message in its record, as JSON writes them: a Russian letter takes six.
MAX_MESSAGE_LENGTH = 300
#: The status of a job whose output is archived; and of one whose output is only the input of a later step.
ARCHIVED, DONE = SUCCEEDED = ("archived", "done")
#: Errors of jobs that have ended without a result.
_WITHOUT_RESULT = frozenset(
    {
        "ContentRefusedError",
        "InsufficientBalanceError",
        "InvalidRequestError",
        "JobCanceledError",
        "JobFailedError",
        "NoFaceError",
    }
)


class ItemRecords:
    """
    The records of a batch's items.

    :param records: Their store; ``None`` if there is none, so that a retry may pay again.
    :param epoch: Changes when the task is cleared, and never otherwise.
    """

    def __init__(self, records: ShardedStore | None, epoch: int) -> None:
        self._records = records
        self._epoch = epoch
        self._equal_items: Counter[str] = Counter()
        self._counted: set[str] = set()
        self._keys: set[str] = set()

    def key_of(self, hook: JobHook, kind: str, request: Request) -> str:
        """
        The key of an item's record: the hash of its request, and a number, because items may be equal.

        If there is a record under the hash of version 0.1.0 only, it is that one.
        """
        marks = marks_of(hook.vendor.name, hook.conn_id, kind, request)
        for digest in set(marks):
            self._equal_items[digest] += 1
        old, key = (f"{digest}.{self._equal_items[digest]}" for digest in marks)
        if self._records is not None and old in self._records and key not in self._records:
            key = old
        self._keys.add(key)
        return key

    def ledger(self, key: str) -> Ledger:
        """The ledger of the item's job."""
        return Ledger(self._records, key, vanished=self.is_incomplete)

    def record_of(self, key: str) -> Record | None:
        """
        The record of an item's job.

        :raises Exception: The store's own error.
        """
        value = self._records.get(key) if self._records else None
        return None if value is None else Record.model_validate(value)

    def earlier_end(self, key: str) -> dict[str, Any] | None:
        """
        The final result of this job in an earlier attempt; ``None`` if there is none.

        :raises Exception: The store's own error.
        """
        record = self._records.get(key) if self._records else None
        end: dict[str, Any] = (record or {}).get("end") or {}
        if end.get("epoch") != self._epoch:
            return None
        return end if end["status"] in SUCCEEDED or end["final"] else None

    def standing(
        self, keys: Iterable[str], *, on_clear: Literal["reuse", "resubmit"]
    ) -> tuple[dict[str, Any] | None, bool]:
        """
        The final end of a step in an earlier attempt, and whether it has a job that is to be resumed.

        :param keys: Those of its records, one for each connection.
        :raises Exception: The store's own error.
        """
        ends, live = [], False
        for key in keys:
            if (end := self.earlier_end(key)) is not None:
                ends.append(end)
                continue
            record = self.ledger(key).read()
            is_old = record is not None and record.epoch != self._epoch
            is_over = is_old and on_clear == "resubmit"
            live |= record is not None and record.may_be_paid and not is_over and not self.has_failed(key)
        if succeeded := [end for end in ends if end["status"] in SUCCEEDED]:
            return succeeded[0], False
        # Of several connections, the last one whose job has failed.
        return (ends[-1] if ends and not live else None), live

    def has_failed(self, key: str) -> bool:
        """
        Whether the job has ended without a result, as far as its record says. Nobody waits for that to be written.

        :raises Exception: The store's own error.
        """
        value = self._records.get(key) if self._records else None
        return value is not None and _has_failed(value)

    def end_of(self, key: str) -> dict[str, Any]:
        """
        What the record says about the end of the job, also before a clear; empty if it says nothing.

        :raises Exception: The store's own error.
        """
        record = self._records.get(key) if self._records else None
        return dict((record or {}).get("end") or {})

    def left_behind(self) -> list[Record]:
        """
        The records of jobs that may be paid, are not archived, and belong to no item that had a key in this attempt.

        :raises Exception: The store's own error.
        """
        if self._records is None:
            return []
        return [
            Record.model_validate(value) for value in self._records.others(self._keys) if _may_be_left(value)
        ]

    def reserved(self) -> Iterator[tuple[Record, bool]]:
        """
        The records of submissions with money of a budget, and whether the end of each job is known.

        :raises Exception: The store's own error.
        """
        for value in () if self._records is None else self._records.others(()):
            if value.get("reservation"):
                end, record = value.get("end") or {}, Record.model_validate(value)
                is_final = end.get("status") in SUCCEEDED or bool(end.get("final"))
                # Of an uncertain submission, the item has ended, and nobody knows whether there is a job.
                yield record, is_final and record.stage is not Stage.INTENT

    @property
    def is_incomplete(self) -> bool:
        """True if records have vanished."""
        return self._records is not None and self._records.is_incomplete

    def mark_counted(self, key: str) -> None:
        """Record that the end of the item's job has already been counted in the metrics."""
        if self._records is not None:
            self._counted.add(key)

    def remember(self, key: str, end: Mapping[str, Any]) -> None:
        """
        Add how the item ended to its record. A record that is only an intent remains one.

        A long message is shortened, because many records share one value of the store; the manifest has the
        whole message.

        :raises Exception: The store's own error.
        """
        if self._records is None or (record := self._records.get(key)) is None:
            return
        if end["status"] in SUCCEEDED:
            record = Record.model_validate(record).settled(Outcome.SUCCEEDED).model_dump(mode="json")
        if "message" in end:
            end = {**end, "message": cut(end["message"])}
        counted = key in self._counted or record.get("counted", False)
        self._counted.discard(key)
        self._records.finish(
            key, {**record, "counted": counted, "end": {"final": False, **end, "epoch": self._epoch}}
        )


def _may_be_left(value: Mapping[str, Any]) -> bool:
    """True if a batch's record may be of a paid job whose result is not archived."""
    return value["stage"] != Stage.SETTLED and not _has_failed(value)


def _has_failed(value: Mapping[str, Any]) -> bool:
    """True if a batch's record says that its job has ended without a result. That of a later job does not say so."""
    return bool(value.get("counted")) and (value.get("end") or {}).get("error") in _WITHOUT_RESULT


def cut(text: str) -> str:
    """A text, cut to the length that a record allows in JSON."""
    if len(json.dumps(text)) <= MAX_MESSAGE_LENGTH:
        return text
    while len(json.dumps(text)) > MAX_MESSAGE_LENGTH - len("\\u2026"):
        text = text[: len(text) * 9 // 10]
    return f"{text}\u2026"
