"""A face swap at whichever vendor takes it."""

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
from airflow_provider_faceswap.hooks.base import hook_for, hook_for_connection
from airflow_provider_faceswap.lifecycle.ledger import KEY, Ledger, Stage
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, read_event
from airflow_provider_faceswap.lifecycle.provenance import materialized
from airflow_provider_faceswap.operators.base import JobOperator
from airflow_provider_faceswap.storage.task_records import store_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.hooks.base import JobHook

#: A vendor's own trouble, or its own taste in pictures, in which it has accepted nothing.
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
    Put the face of one picture onto another, at the first vendor that does it.

    The next connection is tried where a vendor accepts nothing (key, balance, limits, not reachable, a picture that
    it cannot be given) or reports the job failed. It is not tried where the input is at fault (no face, content
    refused, a bad argument), and not where a paid job may still be on its way: then this one is waited for, or left
    resumable.

    :param target_image: The picture whose face is replaced: an http(s) URL, or the whole result of another
        operator of this package.
    :param face_image: The picture that donates the face; same forms.
    :param conn_ids: Connections of this package's types, the preferred one first. With ``resume_job_id``, the first is
        the one that has the job, and no other is asked.
    """

    template_fields: Sequence[str] = ("target_image", "face_image", "conn_ids", "resume_job_id")
    ui_color = "#e8e0f7"
    kind = "face_swap"

    def __init__(self, *, target_image: Any, face_image: Any, conn_ids: Sequence[str], **kwargs: Any) -> None:
        # Another task's output is known when this one runs.
        known = _checked(conn_ids) if isinstance(conn_ids, str | list | tuple) else ["unknown"]
        super().__init__(conn_id=known[0], **kwargs)
        self.target_image = target_image
        self.face_image = face_image
        self.conn_ids = conn_ids
        self._vendor: str | None = None

    def arguments(self) -> dict[str, Any]:
        """The content arguments under their neutral names."""
        return {"target_image": self.target_image, "face_image": self.face_image}

    @property
    def hook(self) -> JobHook:
        """A hook on the connection that is being tried."""
        if self._vendor is None:
            self._vendor = hook_for_connection(self.conn_id).vendor.name
        return hook_for(self._vendor, self.conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Go on where a job may be on its way, else try the connections in order."""
        conn_ids = _checked(materialized(self.conn_ids))
        if self.resumes:
            return self._first_of(context, conn_ids[:1])
        begun = [conn_id for conn_id in conn_ids if self._begun(context, conn_id)]
        return self._first_of(context, [*begun, *(c for c in conn_ids if c not in begun)])

    def execute_complete(
        self, context: Context, event: Any = None, submission: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Take the event; a failed job goes to the connections after the one that failed."""
        waited, _ = read_event(event, submission)
        # No need to read the connection for what is known: it may be unreadable while the job is done.
        self.conn_id, self._vendor = waited.conn_id, waited.vendor
        try:
            return super().execute_complete(context, event, submission)
        except JobFailedError as error:
            conn_ids = list(materialized(self.conn_ids))
            tried = conn_ids.index(self.conn_id) if self.conn_id in conn_ids else -1
            rest = conn_ids[tried + 1 :]
            if self.resumes or not rest:
                raise
            self.log.warning("Trying %s next: %s", rest[0], error)
            return self._first_of(context, rest)

    def _first_of(self, context: Context, conn_ids: Sequence[str]) -> dict[str, Any]:
        *others, last = conn_ids
        for position, conn_id in enumerate(others):
            self.conn_id, self._vendor = conn_id, None
            try:
                return super().execute(context)
            except FaceSwapError as error:
                if not _another_may(error):
                    raise
                self.log.warning("Trying %s next: %s", conn_ids[position + 1], error)
        self.conn_id, self._vendor = last, None
        return super().execute(context)

    def _ledger(self, context: Context) -> Ledger:
        """One record a connection: a job at one vendor says nothing about another's."""
        return Ledger(store_of(context), f"{KEY}.{self.conn_id}")

    def _begun(self, context: Context, conn_id: str) -> bool:
        """True where an earlier try may have a paid job at this connection."""
        record = Ledger(store_of(context), f"{KEY}.{conn_id}").read()
        return record is not None and (
            record.stage is not Stage.SETTLED or record.outcome == Outcome.SUCCEEDED
        )


def _checked(conn_ids: Any) -> list[str]:
    """
    The connections, in their order.

    :raises InvalidRequestError: It is no list of connection ids, or an empty one.
    """
    named = isinstance(conn_ids, list | tuple) and all(isinstance(c, str) and c.strip() for c in conn_ids)
    if not named or not conn_ids:
        raise InvalidRequestError("conn_ids: must be a list of at least one connection id")
    return list(conn_ids)


def _another_may(error: FaceSwapError) -> bool:
    return isinstance(error, JobFailedError) or (isinstance(error, _REFUSALS) and error.job_id is None)
