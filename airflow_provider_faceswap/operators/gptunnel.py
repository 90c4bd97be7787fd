"""Operators for GPTunneL: face swap, the media API's image models, Midjourney."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.base import JobOperator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_faceswap.operators._keywords import JobArguments


class _GPTunnelOperator(JobOperator):
    hook_class = GPTunnelHook


class GPTunnelFaceSwapOperator(_GPTunnelOperator):
    """
    Put the face of one picture onto another.

    The vendor's API calls ``target_image`` ``sourceImage``. Usable faces are frontal, clear and uncropped. The
    vendor takes PNG and JPEG, and keeps the result for three days.

    :param target_image: The picture whose face is replaced: an http(s) URL, a ``data:`` URI (PNG or JPEG), or
        the whole result of another operator of this package.
    :param face_image: The picture that donates the face; same forms.
    :param enhance_face: Improve the quality of the face.
    :param enhance_background: Improve the quality of the background.
    :param use_wallet_balance: Pay from the personal wallet instead of the organisation's account.
    :param webhook: URL that the vendor calls when done. Airflow polls for the result either way. It is rendered
        with Jinja, but not stored with the rendered fields, because it often carries a token.
    """

    kind = "face_swap"

    def __init__(
        self,
        *,
        target_image: Any,
        face_image: Any,
        enhance_face: bool | None = None,
        enhance_background: bool | None = None,
        use_wallet_balance: bool | None = None,
        webhook: str | None = None,
        **kwargs: Unpack[JobArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.target_image = target_image
        self.face_image = face_image
        self.enhance_face = enhance_face
        self.enhance_background = enhance_background
        self.use_wallet_balance = use_wallet_balance
        self.webhook = webhook


class GPTunnelImageOperator(_GPTunnelOperator):
    """
    Generate a picture with any asynchronous model of the media API; the link expires after 48 hours.

    Other models of that API make videos and songs. ``urls`` then has every file, the covers of songs last.

    :param model: The model's id, free text: ``gpt-image-1-low``, ``gpt-image-1-medium``, ``gpt-image-1-high``,
        ``google-imagen-3``, ``flux-dev``, ``seedream-3`` and whatever the vendor adds. The vendor refuses an unknown
        one, free of charge, and lists the known ones. For ``seedream-4`` use :class:`GPTunnelGenerateOperator`.
    :param prompt: What to draw.
    :param images: Reference pictures for models that take them: a URL or a result, or a list of these.
        Inline pictures are refused by this API.
    :param aspect_ratio: ``1:1``, ``16:9``, ``9:16``, ``4:3`` or ``3:4``; some models take more.
    :param options: Further fields of the model under the vendor's own names, such as ``quality``, ``duration`` or
        ``callback_url``, sent as they are. They cannot replace the arguments above. Options with ``webhook``,
        ``callback`` or ``secret`` in their names are rendered, but not stored with the rendered fields.
    """

    kind = "image"

    def __init__(
        self,
        *,
        model: str,
        prompt: str,
        images: Any = None,
        aspect_ratio: str | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Unpack[JobArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.prompt = prompt
        self.images = images
        self.aspect_ratio = aspect_ratio
        self.options = self._without_private("options", options)


class GPTunnelGenerateOperator(GPTunnelImageOperator):
    """
    Generate a picture with a synchronous model of the media API, such as ``seedream-4``.

    The vendor replies when the picture is drawn, so the submission takes up to three minutes, on the worker, and there is
    nothing to defer. The job cannot be polled: its link is kept in the task's record, and a retry uses that. The link
    expires after about 24 hours.

    :param model: The model's id; the vendor's pages name ``seedream-4``.
    :param prompt: What to draw.
    :param images: Reference pictures: a URL or a result, or a list of these. Inline pictures are refused by this API.
    :param aspect_ratio: ``1:1``, ``16:9``, ``9:16``, ``4:3``, ``3:4``, ``21:9`` or ``9:21``.
    :param size: ``1K``, ``2K``, ``3K`` or ``4K``.
    :param options: Further fields of the model, as for :class:`GPTunnelImageOperator`.
    """

    kind = "generate"

    def __init__(
        self,
        *,
        model: str,
        prompt: str,
        images: Any = None,
        aspect_ratio: str | None = None,
        size: str | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Unpack[JobArguments],
    ) -> None:
        super().__init__(
            model=model, prompt=prompt, images=images, aspect_ratio=aspect_ratio, options=options, **kwargs
        )
        self.size = size


class _MidjourneyOperator(_GPTunnelOperator):
    default_timeout: ClassVar[float] = 1800.0


class GPTunnelImagineOperator(_MidjourneyOperator):
    """
    Draw a 2x2 grid of four pictures with Midjourney.

    :class:`GPTunnelUpsampleOperator` takes one of them out.

    :param prompt: What to draw, with Midjourney's own options such as ``--ar 1:1``.
    :param use_wallet_balance: Pay from the personal wallet instead of the organisation's account.
    """

    kind = "imagine"

    def __init__(
        self, *, prompt: str, use_wallet_balance: bool | None = None, **kwargs: Unpack[JobArguments]
    ) -> None:
        super().__init__(**kwargs)
        self.prompt = prompt
        self.use_wallet_balance = use_wallet_balance


class GPTunnelUpsampleOperator(_MidjourneyOperator):
    """
    Extract one picture of a grid.

    :param parent_job_id: The job that made the grid: its id, or its operator's whole result.
    :param image: Which one: 1 to 4, row by row.
    """

    kind = "upsample"

    def __init__(self, *, parent_job_id: Any, image: int | str, **kwargs: Unpack[JobArguments]) -> None:
        super().__init__(**kwargs)
        self.parent_job_id = parent_job_id
        self.image = image


class GPTunnelVariationOperator(_MidjourneyOperator):
    """
    Draw a new grid of variations.

    :param parent_job_id: A grid or an upsampled picture: its job id, or its operator's whole result.
    :param image: Which picture of a grid: 1 to 4. Required if the parent is a grid.
    :param mode: ``high`` or ``low``. Required if the parent is an upsampled picture.
    """

    kind = "variation"

    def __init__(
        self,
        *,
        parent_job_id: Any,
        image: int | None = None,
        mode: str | None = None,
        **kwargs: Unpack[JobArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.parent_job_id = parent_job_id
        self.image = image
        self.mode = mode


class GPTunnelInpaintOperator(_MidjourneyOperator):
    """
    Redraw a part of an upsampled picture.

    :param parent_job_id: The picture: its job id, or its operator's whole result.
    :param mask: Black and white PNG of the parent's size, white is redrawn: base64, or a ``data:`` URI.
    :param prompt: What to draw there; default: the parent's prompt. The vendor may misread Russian here.
    """

    kind = "inpaint"

    def __init__(
        self, *, parent_job_id: Any, mask: Any, prompt: str | None = None, **kwargs: Unpack[JobArguments]
    ) -> None:
        super().__init__(**kwargs)
        self.parent_job_id = parent_job_id
        self.mask = mask
        self.prompt = prompt
