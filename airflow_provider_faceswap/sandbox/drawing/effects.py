"""Edits of given pictures: colouring, sharpening, cut-outs, masks, depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from airflow_provider_faceswap.sandbox.drawing.encoding import as_picture, fitted, resized
from airflow_provider_faceswap.sandbox.drawing.swapping import find_faces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_faceswap.sandbox.drawing.encoding import Picture

MOST_SIDE = 2048
"""Longest side of an enlarged picture: the true factors would make files nobody wants in a test."""

_TINTS = {
    "red": (60, 60, 220),
    "blue": (220, 110, 50),
    "green": (80, 180, 70),
    "gold": (60, 180, 240),
    "purple": (190, 70, 150),
    "night": (120, 40, 20),
    "sunset": (60, 120, 250),
}
_TINT_SHARE = 0.28


def edited(picture: Picture, instruction: str) -> Picture:
    """A picture reworked the way an image model might: smoother, contrastier, in the colours asked for.

    :param instruction: the prompt; colour words and ``night`` and ``sunset`` tint the picture.
    """
    smooth = cv2.bilateralFilter(picture, 9, 45, 9)
    lab = cv2.cvtColor(smooth, cv2.COLOR_BGR2LAB)
    lab[..., 0] = cv2.createCLAHE(clipLimit=1.8, tileGridSize=(4, 4)).apply(lab[..., 0])
    result: NDArray[Any] = cv2.cvtColor(lab, cv2.COLOR_LAB2BGR).astype(np.float32)
    for word, colour in _TINTS.items():
        if word in instruction.lower():
            light = cv2.cvtColor(smooth, cv2.COLOR_BGR2GRAY).astype(np.float32)[..., None] / 160
            result = result * (1 - _TINT_SHARE) + light * np.array(colour, np.float32) * _TINT_SHARE
    return as_picture(result)


def refined(picture: Picture, strength: int) -> Picture:
    """The picture with finer detail.

    :param strength: 1-5.
    """
    blurred = cv2.GaussianBlur(picture, (0, 0), 2.0)
    share = 0.25 * strength
    return as_picture(cv2.addWeighted(picture, 1 + share, blurred, -share, 0))


def enlarged(picture: Picture, factor: float) -> Picture:
    """The picture ``factor`` times as large, but with no side above :data:`MOST_SIDE`."""
    height, width = picture.shape[:2]
    return resized(picture, *fitted(round(width * factor), round(height * factor), MOST_SIDE))


def foreground(picture: Picture) -> Picture:
    """Mask of the main subject: 255 where it is, 0 elsewhere; one channel."""
    height, width = picture.shape[:2]
    small_width, small_height = fitted(width, height, 320)
    small = resized(picture, small_width, small_height)
    mask = np.full(small.shape[:2], cv2.GC_PR_BGD, np.uint8)
    margin_x, margin_y = small_width // 8, small_height // 8
    mask[margin_y:, margin_x : small_width - margin_x] = cv2.GC_PR_FGD
    mask[: max(2, margin_y // 2)] = cv2.GC_BGD
    for face in find_faces(small):
        centre = (round(face.x + face.side / 2), round(face.y + face.side / 2))
        cv2.circle(mask, centre, max(2, round(face.side * 0.4)), (int(cv2.GC_FGD),), -1)
    model = np.zeros((1, 65), np.float64)
    cv2.setRNGSeed(1)
    cv2.grabCut(small, mask, (0, 0, 1, 1), model, model.copy(), 4, cv2.GC_INIT_WITH_MASK)
    subject = np.where((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)
    return as_picture(cv2.resize(cv2.GaussianBlur(subject, (0, 0), 1.2), (width, height)))


def cut_out(picture: Picture) -> Picture:
    """The main subject on a transparent ground; four channels."""
    return as_picture(np.dstack([picture, foreground(picture)]))


def depth(picture: Picture, *, inverted: bool) -> Picture:
    """A guess at the distance of every point: near is bright, the subject is nearer than the ground.

    :param inverted: near is dark instead.
    """
    height, width = picture.shape[:2]
    down = np.linspace(0.1, 0.45, height, dtype=np.float32)[:, None] * np.ones((1, width), np.float32)
    subject = cv2.GaussianBlur(foreground(picture), (0, 0), max(2.0, width / 40)).astype(np.float32) / 255
    light = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255
    near = np.clip(down + subject * 0.4 + cv2.GaussianBlur(light, (0, 0), 3) * 0.15 * subject, 0, 1)
    grey = as_picture((1 - near if inverted else near) * 255)
    return as_picture(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
