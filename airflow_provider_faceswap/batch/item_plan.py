"""Where an item stands before this attempt: the records of its steps, and the steps that its archive may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.batch.item_records import DONE, SUCCEEDED
from airflow_provider_faceswap.batch.steps import PARENT
from airflow_provider_faceswap.batch.templates import names_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_faceswap.batch.item_records import ItemRecords
    from airflow_provider_faceswap.batch.options import JobOptions, PreparedStep
    from airflow_provider_faceswap.lifecycle.ledger import Record


class ItemPlan:
    """
    Where an item stands.

    It is made in one thread, in the order of the items, because equal items have records with numbers.

    :param records: Those of all items.
    :param prepared: The steps of the item.
    :ivar keys: By step, the key of the record at each connection.
    """

    def __init__(self, jobs: JobOptions, records: ItemRecords, prepared: list[PreparedStep]) -> None:
        self._jobs = jobs
        self._records = records
        self.prepared = prepared
        self.keys = [self._keys_of(step) for step in prepared]
        self.last = len(prepared) - 1

    def _keys_of(self, prepared: PreparedStep) -> dict[str, str]:
        hooks = {hook.conn_id: hook for hook in prepared.step.hooks}
        return {
            conn_id: self._records.key_of(hooks[conn_id], kind, request)
            for conn_id, (kind, request) in prepared.requests.items()
        }

    def earlier(self) -> tuple[int, dict[str, Any] | None]:
        """
        The step to continue with, and the end of the item if an earlier attempt has reached it.

        The last step with a job that may be paid, or has failed, is the one: its record identifies the whole chain before
        it.

        :raises Exception: The store's own error.
        """
        for number in range(self.last, -1, -1):
            ended, live = self._standing(number)
            if live or (ended is not None and number == self.last and ended["status"] == DONE):
                return number, None
            if ended is not None:
                if ended["status"] in SUCCEEDED and number < self.last:
                    return number + 1, None
                return number, ended
            if self._has_failed(number):
                return number, None
        return 0, None

    def _has_failed(self, number: int) -> bool:
        keys = [] if self.is_wanted_anew() else self.keys[number].values()
        return any(map(self._records.has_failed, keys))

    def is_paid(self, number: int) -> bool:
        """
        Whether a job of this step in an earlier attempt is resumed, or has ended well.

        :raises Exception: The store's own error.
        """
        ended, live = self._standing(number)
        return live or (ended is not None and ended["status"] in SUCCEEDED)

    @property
    def may_be_made(self) -> bool:
        """
        Whether a job of this item may still make its picture, whatever the error of this attempt.

        :raises Exception: The store's own error.
        """
        keys = [key for by_connection in self.keys for key in by_connection.values()]
        return any(
            record.may_be_paid
            and not self._records.has_failed(key)
            and self._records.end_of(key).get("status") not in SUCCEEDED
            for key in keys
            if (record := self._records.record_of(key)) is not None
        )

    def recorded(self, number: int) -> tuple[str, str, Record] | None:
        """
        The job of an earlier attempt whose result later steps take: its connection, the key of its record, and the record.

        :returns: ``None`` if there is none, as of a step that was taken from the archive.
        :raises Exception: The store's own error.
        """
        for conn_id, key in self.keys[number].items():
            record = self._records.record_of(key)
            if record is None:
                continue
            if self._records.earlier_end(key) or (record.may_be_paid and not self._records.has_failed(key)):
                return conn_id, key, record
        return None

    def _standing(self, number: int) -> tuple[dict[str, Any] | None, bool]:
        return self._records.standing(self.keys[number].values(), on_clear=self._jobs.policy.on_clear)

    def wanted(self, first: int) -> tuple[list[int], bool]:
        """
        The steps that may be taken from the archive, and whether a job of an earlier attempt is resumed before.

        A step may be taken if its picture is kept there, and no later step needs its job.

        :param first: The step to continue with, whose job that would be.
        :returns: The steps, the last one first.
        :raises Exception: The store's own error.
        """
        if self.is_wanted_anew():
            return [], False
        steps = range(self.last, first - 1, -1)
        wanted = [number for number in steps if self.may_be_taken(number, range(number + 1, self.last + 1))]
        is_paid = self._standing(first)[1]
        return [number for number in wanted if not is_paid or first < number], is_paid

    def may_be_taken(self, number: int, users: Iterable[int]) -> bool:
        """
        Whether a step may be taken from the archive.

        :param users: The later steps that are to be made.
        """
        step = self.prepared[number].step
        parents = [(self.prepared[user].step.arguments or {}).get(PARENT) for user in users]
        return self._jobs.is_kept(step) and not any(step.name in names_in(parent) for parent in parents)

    def is_wanted_anew(self) -> bool:
        """
        Whether nothing is taken from the archive, because a clear asks for new pictures.

        :raises Exception: The store's own error.
        """
        if self._jobs.policy.on_clear != "resubmit":
            return False
        found = [self._records.record_of(key) for keys in self.keys for key in keys.values()]
        return any(record is not None and record.epoch != self._jobs.epoch for record in found)
