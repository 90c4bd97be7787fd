"""Operators for Tengrai: face swap and every other artwork kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from airflow_provider_faceswap.operators.base import JobOperator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_faceswap.operators._keywords import JobArguments


class _TengraiOperator(JobOperator):
    hook_class = TengraiHook


class TengraiFaceSwapOperator(_TengraiOperator):
    """
    Put the face of one picture onto another.

    The vendor's API calls ``face_image`` ``sourceImage``. It takes pictures by URL only. The result is WebP unless
    ``output_format`` is ``png``, and is deleted eight days after the submission.

    :param target_image: The picture whose face is replaced: an http(s) URL, or the whole result of another
        operator of this package.
    :param face_image: The picture that donates the face; same forms.
    :param denoising: Strength of the blending, 1 (very subtle) to 5 (extreme); the vendor's default is 3.
    :param seed: 1 to 2147483647. Known to the newer revision of the API only; not sent unless set.
    :param output_format: ``auto``, ``png`` or ``webp``. Newer revision only; not sent unless set.
    :param webhook: https URL that the vendor calls when done. Airflow polls for the result either way. It is
        rendered with Jinja, but not stored with the rendered fields, because it often carries a token.
    """

    kind = "face_swap"

    def __init__(
        self,
        *,
        target_image: Any,
        face_image: Any,
        denoising: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        webhook: str | None = None,
        **kwargs: Unpack[JobArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.target_image = target_image
        self.face_image = face_image
        self.denoising = denoising
        self.seed = seed
        self.output_format = output_format
        self.webhook = webhook


class TengraiArtworkOperator(_TengraiOperator):
    """
    Make an artwork of any other kind.

    :param artwork: ``selena``, ``selena_variete``, ``quantum``, ``hamilton``, ``photo_pilot``,
        ``face_refiner``, ``upscaling``, ``detailer_upscaler``, ``remove_background``, ``segmentation``,
        ``depth_map``, ``style_dna_anchor`` or ``style_dna``.
    :param parameters: The fields of that kind under the vendor's own names, such as ``prompt``, ``imageUrl``,
        ``aspectRatio``. A result of another operator is replaced by its link. Those with ``webhook``, ``callback`` or
        ``secret`` in their names are rendered, but not stored with the rendered fields.
    """

    def __init__(
        self, *, artwork: str, parameters: Mapping[str, Any], **kwargs: Unpack[JobArguments]
    ) -> None:
        super().__init__(**kwargs)
        self.artwork = artwork
        self.parameters = self._without_private("parameters", parameters)

    @property
    def kind(self) -> str:
        """The kind of artwork. Hyphens, as in the vendor's paths, are accepted too."""
        return str(self.artwork).strip().replace("-", "_")

    def arguments(self) -> dict[str, Any]:
        """The content arguments under their neutral names."""
        return {"parameters": self._whole("parameters")}
