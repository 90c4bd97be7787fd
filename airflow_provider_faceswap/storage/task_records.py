"""
Where the records of a task instance are stored.

In Airflow's task state store, for the life of the run. If this Airflow has none (before 3.3): in object storage under
``[faceswap] ledger_uri``. If that is not set either: nowhere, and a retry may pay again.
"""

from __future__ import annotations

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


def store_of(context: Mapping[str, Any]) -> Store | None:
    """The store for the task instance of this context, ``None`` if there is none."""
    if (store := context.get("task_state_store")) is not None:
        return TaskStateStore(store)
    uri = conf.get("faceswap", "ledger_uri", fallback="")
    return ObjectRecords.of(uri, context["ti"]) if uri else None
