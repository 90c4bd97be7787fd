"""The pictures behind Tengrai's artworks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2

from airflow_provider_faceswap.sandbox.drawing.effects import (
    cut_out,
    depth,
    edited,
    enlarged,
    foreground,
    refined,
)
from airflow_provider_faceswap.sandbox.drawing.encoding import (
    LONGEST,
    as_picture,
    decode,
    encode,
    fitted,
    frame,
    resized,
)
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.drawing.swapping import swap
from airflow_provider_faceswap.sandbox.server.inputs import Inputs, UnreadableInputError
from airflow_provider_faceswap.sandbox.server.state import JobFailedError, Output
from airflow_provider_faceswap.sandbox.vendors.tengrai_requests import MOST_PIXELS

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.drawing.encoding import Picture

_SWAP_STRENGTH = {1: 0.45, 2: 0.7, 3: 1.0, 4: 1.0, 5: 1.0}
_LIMITED = ("upscaling_v2", "detailer_upscaler")


def paint(artwork_type: str, parameters: dict[str, Any], inputs: Inputs) -> list[Output]:
    """The files of one artwork.

    :param artwork_type: such as ``face_swap``.
    :param parameters: the checked request with its defaults.
    :param inputs: reads the links in it.
    :raises JobFailedError: if it cannot be made.
    """
    # "auto" is documented to be the same as "webp".
    suffix = "png" if parameters.get("outputFormat") == "png" else "webp"
    if artwork_type == "face_swap":
        donor, receiver = (_read(inputs, parameters[name]) for name in ("sourceImage", "targetImage"))
        return [encode(swap(receiver, donor, _SWAP_STRENGTH[parameters["denoising"]]), suffix)]
    if artwork_type in ("selena", "quantum", "hamilton"):
        return [encode(picture, suffix) for picture in _drawn(parameters)]
    picture = _read(inputs, parameters["imageUrl"])
    if artwork_type in _LIMITED and picture.shape[0] * picture.shape[1] > MOST_PIXELS:
        raise JobFailedError(f"the input has more than {MOST_PIXELS} pixels")
    return [encode(_reworked(artwork_type, picture, parameters), suffix)]


def _read(inputs: Inputs, link: str) -> Picture:
    try:
        return decode(inputs.read(link))
    except UnreadableInputError as error:
        raise JobFailedError(str(error)) from error


def _drawn(parameters: dict[str, Any]) -> list[Picture]:
    """One or two portraits for a prompt."""
    if "width" in parameters and "height" in parameters:
        size = fitted(parameters["width"], parameters["height"])
    else:
        size = frame(parameters.get("aspectRatio", "1:1"), LONGEST)
    words = f"{parameters['prompt']} {parameters.get('seed', '')}".strip()
    pictures = [draw_portrait(words, *size, take=number) for number in range(parameters.get("batch", 1))]
    if parameters.get("transparentBackground"):
        pictures = [cut_out(picture) for picture in pictures]
    return pictures


def _reworked(artwork_type: str, picture: Picture, parameters: dict[str, Any]) -> Picture:
    """The artwork made from one given picture."""
    if artwork_type in ("selena_variete", "photo_pilot"):
        small = resized(picture, *fitted(picture.shape[1], picture.shape[0]))
        return edited(small, parameters.get("prompt", ""))
    if artwork_type == "face_refiner":
        return refined(picture, parameters["denoising"])
    if artwork_type == "upscaling_v2":
        return enlarged(picture, parameters["scaleFactor"])
    if artwork_type == "detailer_upscaler":
        return refined(enlarged(picture, parameters["scaleFactor"]), parameters["details"])
    if artwork_type == "remove_background":
        return cut_out(picture)
    if artwork_type == "segmentation":
        return as_picture(cv2.cvtColor(foreground(picture), cv2.COLOR_GRAY2BGR))
    return depth(picture, inverted=parameters["invertDepth"])
