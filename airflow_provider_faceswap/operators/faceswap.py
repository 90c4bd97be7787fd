"""Operator for a face swap at any vendor, with failover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    PermissionDeniedError,
    PictureNotTakenError,
    RateLimitError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.lifecycle.ledger import KEY, Ledger, Stage
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, read_event
from airflow_provider_faceswap.lifecycle.provenance import materialized
from airflow_provider_faceswap.lifecycle.submissions import latest_deadline
from airflow_provider_faceswap.operators.base import JobOperator
from airflow_provider_faceswap.storage.task_records import store_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.hooks.base import JobHook

#: Errors of one vendor or account, after which nothing was accepted: another vendor may succeed.
_REFUSALS = (
    AuthenticationError,
    InsufficientBalanceError,
    PermissionDeniedError,
    PictureNotTakenError,
    RateLimitError,
    VendorUnavailableError,
)


class FaceSwapOperator(JobOperator):
    """
    Put the face of one picture onto another, at the first vendor that succeeds.

    The next connection is tried if a vendor accepts nothing (key, balance, limits, not reachable, a picture that it
    does not accept) or reports the job as failed. It is not tried if the input is at fault (no face, content refused, a
    bad argument), or if a paid job may still be running: that job is waited for, or left resumable.

    :param target_image: The picture whose face is replaced: an http(s) URL, or the whole result of another
        operator of this package.
    :param face_image: The picture that donates the face; same forms.
    :param conn_ids: Connections of this package's types, the preferred one first. With ``resume_job_id``, the first
        must be the account of that job; no other is tried.
    """

    template_fields: Sequence[str] = ("target_image", "face_image", "conn_ids", "resume_job_id")
    kind = "face_swap"

    def __init__(self, *, target_image: Any, face_image: Any, conn_ids: Sequence[str], **kwargs: Any) -> None:
        # Connection ids that another task chooses are not known yet.
        known = _checked(conn_ids) if isinstance(conn_ids, str | list | tuple) else ["unknown"]
        super().__init__(conn_id=known[0], **kwargs)
        self.target_image = target_image
        self.face_image = face_image
        self.conn_ids = conn_ids

    def arguments(self) -> dict[str, Any]:
        """The content arguments under their neutral names."""
        return {"target_image": self.target_image, "face_image": self.face_image}

    @property
    def hook(self) -> JobHook:
        """A hook on the preferred connection."""
        return hook_for_connection(self.conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Resume an open job if there is one, else try the connections in order."""
        self._begun_at = CLOCK.now()
        conn_ids = _checked(materialized(self.conn_ids))
        if self.resumes:
            return self._run_at_first(context, conn_ids[:1])
        return self._run_at_first(context, sorted(conn_ids, key=lambda one: not self._has_job(context, one)))

    def execute_complete(
        self, context: Context, event: Any = None, submission: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Handle the trigger's event. After a failed job, the connections after that job's are tried."""
        self._begun_at = CLOCK.now()
        waited_for, waited = read_event(event, submission)
        try:
            return self._complete(context, waited_for, waited)
        except JobFailedError as error:
            conn_ids = list(materialized(self.conn_ids))
            tried = conn_ids.index(waited_for.conn_id) if waited_for.conn_id in conn_ids else -1
            rest = conn_ids[tried + 1 :]
            if self.resumes or not rest or self._is_late():
                raise
            self.log.warning("Trying %s next: %s", rest[0], error)
        return self._run_at_first(context, rest)

    def _run_at_first(self, context: Context, conn_ids: Sequence[str]) -> dict[str, Any]:
        """Swap at the first of these connections whose vendor succeeds."""
        *others, last = conn_ids
        for position, conn_id in enumerate(others):
            try:
                return self._run(context, self._hook_at(context, conn_id))
            except FaceSwapError as error:
                if not _another_may(error) or self._is_late():
                    raise
                self.log.warning("Trying %s next: %s", conn_ids[position + 1], error)
        return self._run(context, self._hook_at(context, last))

    def _hook_at(self, context: Context, conn_id: str) -> JobHook:
        """A hook on a connection, at which an earlier attempt may have a paid job."""
        with names_earlier_job(self._ledger(context, conn_id)):
            return hook_for_connection(conn_id)

    def _is_late(self) -> bool:
        """True if a job that is submitted now could only time out."""
        latest = latest_deadline(self._begun_at, self.execution_timeout)
        return latest is not None and CLOCK.moment() >= latest

    def _ledger(self, context: Context, conn_id: str) -> Ledger:
        """
        The record for one connection.

        Each connection has its own, because jobs at different vendors are independent.
        """
        return Ledger(store_of(context), f"{KEY}.{conn_id}")

    def _has_job(self, context: Context, conn_id: str) -> bool:
        """True if an earlier attempt may have a paid job at this connection."""
        record = self._ledger(context, conn_id).read()
        return record is not None and (
            record.stage is not Stage.SETTLED or record.outcome == Outcome.SUCCEEDED
        )


def _checked(conn_ids: Any) -> list[str]:
    """
    Check that this is a list of connection ids.

    :raises InvalidRequestError: It is something else, or empty.
    """
    named = isinstance(conn_ids, list | tuple) and all(isinstance(c, str) and c.strip() for c in conn_ids)
    if not named or not conn_ids:
        raise InvalidRequestError("conn_ids: must be a list of at least one connection id")
    return list(conn_ids)


def _another_may(error: FaceSwapError) -> bool:
    """True if another vendor may do the swap, and this one has no paid job."""
    return isinstance(error, JobFailedError) or (isinstance(error, _REFUSALS) and error.job_id is None)
