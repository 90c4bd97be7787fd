"""
A task that was cleared on an Airflow whose clear deletes the task's records.

Airflow 3.4 deletes the task state store of a task that is cleared in the UI or by the REST API, unless the person asks to
keep it. A missing record then does not mean that nothing was submitted.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.foundation.text import safe_text
from airflow_provider_faceswap.lifecycle.ledger import Record, Stage, record_error
from airflow_provider_faceswap.triggers._airflow_internals import clear_deletes_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.lifecycle.ledger import Ledger, Store

#: The longest time back in which a vendor's list is searched for the job of an earlier attempt.
LONGEST_SEARCH = timedelta(days=7)


def unrecorded_since(context: Mapping[str, Any], retries: int) -> datetime | None:
    """
    The earliest time of a submission whose record a clear may have deleted.

    A clear raises ``max_tries`` by the attempts that were made, so it is above ``retries`` from then on. That holds for
    every attempt after a clear, not only for the first: that one may have ended before it could record anything.

    :param retries: The operator's.
    :returns: When the run was due, but not more than a week ago; ``None`` if no record can be missing.
    """
    instance = context["ti"]
    cleared = instance.try_number > 1 and (getattr(instance, "max_tries", 0) or 0) > retries
    # An Airflow without a task state store keeps records only where no clear deletes them.
    if not cleared or context.get("task_state_store") is None or not clear_deletes_records():
        return None
    earliest = CLOCK.moment() - LONGEST_SEARCH
    due = getattr(context.get("dag_run"), "run_after", None)
    return earliest if due is None else max(earliest, due)


@contextmanager
def failure_noted(note: Callable[[], None], *, certain: bool) -> Iterator[None]:
    """
    If the block fails, note that nothing was bought, unless there is a record.

    Only an Airflow whose clear may delete records needs it. There, the attempt after a clear that kept the records, or
    with a mirror of them, knows from the note that it may submit.

    :param note: Writes the note.
    :param certain: False in an attempt after a clear that may have deleted a record.
    """
    try:
        yield
    except Exception:
        # The block's own error is the one that matters.
        with suppress(Exception):
            if certain and clear_deletes_records():
                note()
        raise


def note_in_ledger(ledger: Ledger, hook: JobHook, kind: str, epoch: int) -> None:
    """Record that an attempt ended before it had a request to submit."""
    if ledger.read() is None:
        ledger.write(
            Record(
                fingerprint="",
                stage=Stage.SETTLED,
                epoch=epoch,
                purchases=0,
                vendor=hook.vendor.name,
                kind=safe_text(kind),
                conn_id=safe_text(hook.conn_id),
                begun_at=CLOCK.moment(),
                outcome="refused",
            )
        )


def note_in_shard(store: Store | None, key: str) -> None:
    """Write a batch's first shard, without a record in it."""
    if store is not None and not is_kept(store, key):
        store.set(key, {})


def is_kept(store: Store | None, key: str) -> bool:
    """
    True if the store has a value, so that no clear has deleted what an earlier attempt wrote.

    :raises FaceSwapError: It could not be read.
    """
    try:
        return store is not None and store.get(key) is not None
    except Exception as error:  # noqa: BLE001 - each store has its own errors
        raise record_error(key, "read", error) from None
