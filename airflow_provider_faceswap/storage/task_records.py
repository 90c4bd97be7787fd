"""
Where the records of a task instance are stored.

In Airflow's task state store, for the life of the run, and in object storage under ``[faceswap] ledger_uri`` if that is
set. Airflow before 3.3 has no task state store. Airflow 3.4 deletes what is in it when a task is cleared, unless the person
asks to keep it. Without either of the two, a retry may pay again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_faceswap.storage.object_records import ObjectRecords

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_faceswap.lifecycle.ledger import Store


class TaskStateStore:
    """Airflow's task state store, with records that do not expire while the run exists."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or the default if there is none."""
        return self._store.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Write a value."""
        from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]  # lazily exported

        self._store.set(key, value, retention=NEVER_EXPIRE)


@dataclass(frozen=True)
class MirroredRecords:
    """
    A store with a mirror, which has the records that were deleted from the store.

    Both must work: a record that only one of them has could be lost with it.
    """

    store: Store
    mirror: Store

    def get(self, key: str, default: Any = None) -> Any:
        """The store's value; the mirror's, if the store certainly has none."""
        value = self.store.get(key)
        return self.mirror.get(key, default) if value is None else value

    def set(self, key: str, value: Any) -> None:
        """Write a value to both; also to the mirror if the store fails, because the value may have a job id."""
        try:
            self.store.set(key, value)
        finally:
            self.mirror.set(key, value)


def store_of(context: Mapping[str, Any]) -> Store | None:
    """The store for the task instance of this context, ``None`` if there is none."""
    uri = conf.get("faceswap", "ledger_uri", fallback="")
    mirror = ObjectRecords.of(uri, context["ti"]) if uri else None
    if (store := context.get("task_state_store")) is None:
        return mirror
    own = TaskStateStore(store)
    return own if mirror is None else MirroredRecords(own, mirror)
