"""Operators for PiAPI: face swap on pictures and videos, and every other task of the unified API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from airflow_provider_faceswap.foundation.rendered import is_rendered_to_nothing
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.operators.base import JobOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_faceswap.operators._keywords import JobArguments

#: Who runs a task: PiAPI's own accounts, or yours that it hosts.
ServiceMode = Literal["public", "private"]


class _PiAPIOperator(JobOperator):
    hook_class = PiAPIHook


class PiAPIFaceSwapOperator(_PiAPIOperator):
    """
    Put one face, or several, onto another picture.

    Without index lists one face is swapped: the largest of each picture. With them, each listed face is replaced by
    the face at the same place of the other list. Positions count from 0 in detection order, usually left to right.
    The vendor keeps the result for three days.

    :param target_image: The picture whose face is replaced, under 2048 x 2048: an http(s) URL, a ``data:`` URI
        of at most 10 MB, or the whole result of another operator of this package.
    :param face_image: The picture that donates the face; same forms.
    :param target_faces: Positions of the faces to replace, as a list or ``"0,1"``.
    :param source_faces: Positions of the faces that replace them, equally many.
    :param service_mode: ``public`` (pay as you go) or ``private``; default: the workspace default.
    """

    def __init__(
        self,
        *,
        target_image: Any,
        face_image: Any,
        target_faces: Any = None,
        source_faces: Any = None,
        service_mode: ServiceMode | None = None,
        **kwargs: Unpack[JobArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.target_image = target_image
        self.face_image = face_image
        self.target_faces = target_faces
        self.source_faces = source_faces
        self.service_mode = service_mode

    @property
    def kind(self) -> str:
        """``multi_face_swap`` with index lists, else ``face_swap``."""
        several = not all(map(is_rendered_to_nothing, (self.target_faces, self.source_faces)))
        return "multi_face_swap" if several else "face_swap"


class PiAPIVideoFaceSwapOperator(_PiAPIOperator):
    """
    Put a face onto a video: MP4, at most 600 frames; public clients say at most 10 MB and 720p, too.

    :param target_video: The video whose face is replaced: an http(s) URL, or the whole result of another
        operator of this package.
    :param face_image: The picture that donates the face; a URL, a ``data:`` URI or a result.
    :param target_faces: Positions of the faces to replace, as a list or ``"0,1"``.
    :param source_faces: Positions of the faces that replace them, equally many.
    :param service_mode: ``public`` (pay as you go) or ``private``; default: the workspace default.
    """

    kind = "video_face_swap"
    default_timeout: ClassVar[float] = 3600.0

    def __init__(
        self,
        *,
        target_video: Any,
        face_image: Any,
        target_faces: Any = None,
        source_faces: Any = None,
        service_mode: ServiceMode | None = None,
        **kwargs: Unpack[JobArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.target_video = target_video
        self.face_image = face_image
        self.target_faces = target_faces
        self.source_faces = source_faces
        self.service_mode = service_mode


class PiAPITaskOperator(_PiAPIOperator):
    """
    Run any task of the unified API, such as Flux or Midjourney.

    ``urls`` has every link of the task's output, those without a watermark first. Of Midjourney's ``imagine``, these are
    the four single pictures, then the grid.

    :param model: As the vendor names it: ``Qubico/flux1-schnell``, ``gemini``, ...
    :param task_type: As the vendor names it: ``txt2img``, ``kontext``, ...
    :param input: The task's input under the vendor's own names. A result of another operator is replaced by its
        link. Parts with ``webhook``, ``callback`` or ``secret`` in their names are rendered, but not stored with the
        rendered fields.
    :param service_mode: ``public`` (pay as you go) or ``private``; default: the workspace default.
    """

    template_fields: Sequence[str] = (
        "model",
        "vendor_task_type",
        "input",
        "service_mode",
        *JobOperator.template_fields,
    )
    kind = "task"
    default_timeout: ClassVar[float] = 1800.0

    def __init__(
        self,
        *,
        model: str,
        task_type: str,
        input: Mapping[str, Any],  # noqa: A002 - the vendor's word
        service_mode: ServiceMode | None = None,
        **kwargs: Unpack[JobArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        # BaseOperator.task_type is Airflow's own: the operator's class name.
        self.vendor_task_type = task_type
        self.input = self._without_private("input", input)
        self.service_mode = service_mode

    def arguments(self) -> dict[str, Any]:
        """The content arguments under their neutral names."""
        return {
            "model": self.model,
            "task_type": self.vendor_task_type,
            "input": self._whole("input"),
            "service_mode": self.service_mode,
        }
