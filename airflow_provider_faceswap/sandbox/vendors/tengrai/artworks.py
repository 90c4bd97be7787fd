"""The pictures behind Tengrai's artworks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from airflow_provider_faceswap.sandbox.drawing.pictures import (
    as_picture,
    decode,
    edited,
    encode,
    fitted,
    foreground,
    frame,
    resized,
)
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.drawing.swapping import swap
from airflow_provider_faceswap.sandbox.output import JobFailedError, Output
from airflow_provider_faceswap.sandbox.vendors.tengrai.requests import MOST_PIXELS

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.drawing.pictures import Picture
    from airflow_provider_faceswap.sandbox.server.inputs import Inputs

#: Strength of a swap for each value of ``denoising``.
_SWAP_STRENGTH = {1: 0.45, 2: 0.7, 3: 1.0, 4: 1.0, 5: 1.0}
#: Longest side of an enlarged picture: the true factors would make files too large for tests.
_MOST_SIDE = 2048


def draw_artwork(artwork_type: str, parameters: dict[str, Any], inputs: Inputs) -> list[Output]:
    """The files of one artwork.

    :param artwork_type: such as ``face_swap``.
    :param parameters: the checked request with its defaults.
    :param inputs: reads the links in it.
    :raises JobFailedError: if it cannot be made.
    """
    # "auto" is documented to be the same as "webp".
    wanted = parameters.get("outputFormat") or parameters.get("imageFormat")
    suffix = "png" if wanted == "png" else "webp"
    if artwork_type in ("selena", "quantum", "hamilton"):
        return [encode(picture, suffix) for picture in _drawn(parameters)]
    if artwork_type == "face_swap":
        donor, receiver = (decode(inputs.read(parameters[name])) for name in ("sourceImage", "targetImage"))
        return [encode(swap(receiver, donor, _SWAP_STRENGTH[parameters["denoising"]]), suffix)]
    if artwork_type.startswith("style_dna"):
        return [encode(_in_style(parameters, inputs), suffix)]
    picture = decode(inputs.read(parameters["imageUrl"]))
    return [encode(_reworked(artwork_type, picture, parameters), suffix)]


def _drawn(parameters: dict[str, Any]) -> list[Picture]:
    """One or two portraits for a prompt."""
    size = frame(parameters.get("aspectRatio", "1:1"))
    if "width" in parameters and "height" in parameters:
        size = fitted(parameters["width"], parameters["height"])
    words = f"{parameters['prompt']} {parameters.get('seed', '')}".strip()
    pictures = [draw_portrait(words, *size, take=number) for number in range(parameters.get("batch", 1))]
    return (
        [_cut_out(picture) for picture in pictures] if parameters.get("transparentBackground") else pictures
    )


def _in_style(parameters: dict[str, Any], inputs: Inputs) -> Picture:
    """A portrait that sets a style, or another picture in the style of one."""
    words = parameters.get("visualPrompt") or parameters.get("prompt") or parameters.get("description") or ""
    given = parameters.get("anchorImageUrl") or parameters.get("imageUrl")
    if given:
        return edited(decode(inputs.read(given)), words)
    return draw_portrait(words, *frame(parameters.get("aspectRatio", "1:1")))


def _reworked(artwork_type: str, picture: Picture, parameters: dict[str, Any]) -> Picture:
    """The artwork made from one given picture."""
    if artwork_type in ("selena_variete", "photo_pilot"):
        return edited(picture, parameters.get("prompt", ""))
    if artwork_type == "face_refiner":
        return _sharpened(picture, parameters["denoising"])
    if artwork_type == "upscaling_v2":
        return _enlarged(picture, parameters["scaleFactor"])
    if artwork_type == "detailer_upscaler":
        return _sharpened(_enlarged(picture, parameters["scaleFactor"]), parameters["details"])
    if artwork_type == "remove_background":
        return _cut_out(picture)
    if artwork_type == "segmentation":
        return foreground(picture)
    # Depth: the lower is nearer, and the subject is nearer than the ground.
    down = np.linspace(20, 120, picture.shape[0])[:, None]
    near = as_picture(down + cv2.GaussianBlur(foreground(picture), (0, 0), picture.shape[1] / 40) * 0.4)
    return 255 - near if parameters["invertDepth"] else near


def _cut_out(picture: Picture) -> Picture:
    return np.dstack([picture, foreground(picture)])


def _enlarged(picture: Picture, factor: float) -> Picture:
    height, width = picture.shape[:2]
    if height * width > MOST_PIXELS:
        raise JobFailedError(f"the input has more than {MOST_PIXELS} pixels")
    return resized(picture, *fitted(round(width * factor), round(height * factor), _MOST_SIDE))


def _sharpened(picture: Picture, strength: int) -> Picture:
    share = 0.25 * strength
    return cv2.addWeighted(picture, 1 + share, cv2.GaussianBlur(picture, (0, 0), 2.0), -share, 0)
