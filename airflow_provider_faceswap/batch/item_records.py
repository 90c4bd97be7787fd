"""The record of each item of a batch: its intent, its job, and how it ended."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.lifecycle.ledger import Ledger, Record, fingerprint
from airflow_provider_faceswap.lifecycle.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_faceswap.batch.sharded_store import ShardedStore
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.vendors.messages import Request

#: Characters of a failed item's message that its record keeps, as JSON writes them: a Russian letter is six.
LONGEST_MESSAGE = 300


class ItemRecords:
    """
    The records of a batch's items, by the items' names.

    :param records: Where they stand; ``None`` where there is no place for them, so that nothing is remembered.
    """

    def __init__(self, records: ShardedStore | None, epoch: int) -> None:
        self._records = records
        self._epoch = epoch
        self._seen: Counter[str] = Counter()
        self._over: set[str] = set()

    def name_of(self, hook: JobHook, kind: str, request: Request) -> str:
        """The name of an item's record: its request, and a number where several items are the same."""
        mark = fingerprint(hook.vendor.name, hook.conn_id, kind, request)
        self._seen[mark] += 1
        return f"{mark}.{self._seen[mark]}"

    def ledger(self, name: str) -> Ledger:
        """What buys the item's job, or takes it up."""
        return Ledger(self._records, name)

    def before(self, name: str) -> dict[str, Any] | None:
        """
        How an earlier try ended this item for good.

        :raises Exception: Whatever the store raises.
        """
        record = self._records.get(name) if self._records else None
        end: dict[str, Any] = (record or {}).get("end") or {}
        if end.get("epoch") != self._epoch:
            return None
        return end if end["status"] == "archived" or end["final"] else None

    def over(self, name: str) -> None:
        """The item's job has ended, and metrics have it."""
        if self._records is not None:
            self._over.add(name)

    def remember(self, name: str, end: Mapping[str, Any]) -> None:
        """
        Keep the item's end beside its record, which says no more than it did: an intent stays an intent.

        A long message is cut, as many records stand in one value of the store; the report has it whole.

        :raises Exception: Whatever the store raises.
        """
        if self._records is None or (record := self._records.get(name)) is None:
            return
        if end["status"] == "archived":
            record = Record.model_validate(record).settled(Outcome.SUCCEEDED).model_dump(mode="json")
        if "message" in end:
            end = {**end, "message": cut(end["message"])}
        counted = name in self._over or record.get("counted", False)
        self._over.discard(name)
        self._records.finish(
            name, {**record, "counted": counted, "end": {"final": False, **end, "epoch": self._epoch}}
        )


def cut(text: str) -> str:
    """A text that takes no more room in JSON than a record has for it."""
    if len(json.dumps(text)) <= LONGEST_MESSAGE:
        return text
    while len(json.dumps(text)) > LONGEST_MESSAGE - len("\\u2026"):
        text = text[: len(text) * 9 // 10]
    return f"{text}\u2026"
