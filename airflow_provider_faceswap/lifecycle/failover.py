"""The records of a task instance that may submit its job at one of several connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    InsufficientBalanceError,
    JobFailedError,
    PermissionDeniedError,
    PictureNotTakenError,
    RateLimitError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.lifecycle.ledger import KEY, Ledger, Stage, record_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_faceswap.lifecycle.ledger import Record, Store

#: Errors of one vendor or account, and of a failed job: another vendor may succeed.
ANOTHER_MAY = (
    AuthenticationError,
    InsufficientBalanceError,
    JobFailedError,
    PermissionDeniedError,
    PictureNotTakenError,
    RateLimitError,
    VendorUnavailableError,
)
#: The key of the list of connections. No record has it: theirs end in a dot and a connection id.
CONNECTIONS_KEY = f"{KEY}_connections"


class FailoverRecords:
    """
    One record for each connection, and a list of the connections that were ever used.

    The list also names connections that have been taken out of the task's arguments since.

    :param store: The store; ``None`` if this Airflow has none, and nothing is recorded.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store

    @property
    def remember(self) -> bool:
        """False without a store: nothing can be learnt from records then."""
        return self._store is not None

    def ledger(self, conn_id: str) -> Ledger:
        """The record of the job at one connection."""
        return Ledger(self._store, f"{KEY}.{conn_id}")

    def used(self) -> list[str]:
        """
        The connections that were used.

        :raises FaceSwapError: They could not be read.
        """
        if self._store is None:
            return []
        try:
            value = self._store.get(CONNECTIONS_KEY)
        except Exception as error:  # noqa: BLE001 - each store has its own errors
            raise record_error(CONNECTIONS_KEY, "read", error) from None
        if not isinstance(value, list | None):
            raise record_error(CONNECTIONS_KEY, "read", TypeError())
        return [str(conn_id) for conn_id in value or ()]

    def add(self, conn_id: str) -> None:
        """
        Add a connection to the list, before anything is submitted there.

        :raises FaceSwapError: The list could not be read or written.
        """
        used = self.used()
        if self._store is None or conn_id in used:
            return
        try:
            self._store.set(CONNECTIONS_KEY, [*used, conn_id])
        except Exception as error:  # noqa: BLE001 - each store has its own errors
            raise record_error(CONNECTIONS_KEY, "written", error) from None

    def paid(self, conn_ids: Iterable[str]) -> dict[str, Record]:
        """
        The records that may be of a paid job: those with a known job first.

        :param conn_ids: Connections that are read even if the list does not name them.
        :raises FaceSwapError: A record could not be read.
        """
        places = dict.fromkeys([*conn_ids, *self.used()])
        records = {conn_id: self.ledger(conn_id).read() for conn_id in places}
        paid = {place: record for place, record in records.items() if record and record.may_be_paid}
        return dict(sorted(paid.items(), key=lambda one: one[1].stage is Stage.INTENT))
