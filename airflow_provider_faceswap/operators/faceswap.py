"""Operator for a face swap at any vendor, with failover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from airflow_provider_faceswap.operators._failover import FailoverOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_faceswap.operators._keywords import FailoverArguments


class FaceSwapOperator(FailoverOperator):
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

    template_fields: Sequence[str] = ("target_image", "face_image", *FailoverOperator.template_fields)
    kind = "face_swap"

    def __init__(
        self,
        *,
        target_image: Any,
        face_image: Any,
        conn_ids: Sequence[str],
        **kwargs: Unpack[FailoverArguments],
    ) -> None:
        super().__init__(conn_ids=conn_ids, **kwargs)
        self.target_image = target_image
        self.face_image = face_image

    def arguments(self) -> dict[str, Any]:
        """The content arguments under their neutral names."""
        return {"target_image": self.target_image, "face_image": self.face_image}
