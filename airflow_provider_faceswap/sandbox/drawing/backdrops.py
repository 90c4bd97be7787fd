"""What is behind the people: plain walls, nights, sunsets, a landscape."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np

from airflow_provider_faceswap.sandbox.drawing.canvas import mixed
from airflow_provider_faceswap.sandbox.drawing.encoding import as_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_faceswap.sandbox.drawing.canvas import Colour
    from airflow_provider_faceswap.sandbox.drawing.encoding import Picture

_WHITE: Colour = (255.0, 255.0, 255.0)
_BLACK: Colour = (0.0, 0.0, 0.0)
_SKIES: dict[str, tuple[Colour, Colour]] = {
    "night": ((64.0, 28.0, 16.0), (122.0, 74.0, 58.0)),
    "sunset": ((130.0, 70.0, 96.0), (88.0, 168.0, 255.0)),
}


def _gradient(width: int, height: int, above: Colour, below: Colour) -> NDArray[np.float32]:
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sheet = np.array(above, np.float32) * (1 - share) + np.array(below, np.float32) * share
    return np.repeat(sheet, width, axis=1).astype(np.float32)


def backdrop(width: int, height: int, scene: str, colour: Colour, seed: int) -> NDArray[np.float32]:
    """A soft ground for a portrait.

    :param scene: ``plain``, ``night`` or ``sunset``.
    :param colour: main colour of a plain ground.
    :returns: height x width x 3.
    """
    rng = np.random.default_rng(seed)
    above, below = _SKIES.get(scene, (mixed(colour, _WHITE, 0.25), mixed(colour, _BLACK, 0.22)))
    sheet = _gradient(width, height, above, below)
    glow = np.zeros((height, width, 3), np.float32)
    size = max(width, height)
    if scene == "sunset":
        place = (round(width * 0.8), round(height * 0.34))
        cv2.circle(glow, place, round(size * 0.1), (120, 200, 255), -1, cv2.LINE_AA)
        glow = glow + cv2.GaussianBlur(glow, (0, 0), size * 0.07) * 1.5
    lights = 26 if scene == "night" else 12
    for _ in range(lights):
        place = (int(rng.integers(width)), int(rng.integers(height)))
        radius = int(size * rng.uniform(0.01, 0.03 if scene == "night" else 0.09))
        strength = float(rng.uniform(25, 80) if scene == "night" else rng.uniform(6, 18))
        tone = (0.55, 0.85, 1.0) if scene == "night" else (1.0, 1.0, 1.0)
        reach = max(2, radius) + 2
        left, top = max(0, place[0] - reach), max(0, place[1] - reach)
        layer = np.zeros(
            (min(height, place[1] + reach) - top, min(width, place[0] + reach) - left), np.float32
        )
        cv2.circle(layer, (place[0] - left, place[1] - top), max(2, radius), strength, -1)
        glow[top : top + layer.shape[0], left : left + layer.shape[1]] += layer[..., None] * np.array(
            tone, np.float32
        )
    sheet += cv2.GaussianBlur(glow, (0, 0), max(1.0, size * 0.004))
    return sheet


def finish(image: NDArray[np.float32], seed: int) -> None:
    """Darken the corners a little and add a fine grain, in place."""
    height, width = image.shape[:2]
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    image *= (1 - 0.13 * np.clip(across**2 + down**2 - 0.35, 0, 2))[..., None]
    image += np.random.default_rng(seed).normal(0, 1.6, (height, width, 1)).astype(np.float32)


def landscape(words: str, width: int, height: int) -> Picture:
    """Hills below a sky, and nobody there."""
    rng = np.random.default_rng(zlib.crc32(words.encode()))
    sheet = _gradient(width, height, (232.0, 196.0, 150.0), (214.0, 226.0, 240.0))
    cv2.circle(sheet, (round(width * 0.74), round(height * 0.24)), round(height * 0.07), (205, 238, 255), -1)
    sheet = cv2.GaussianBlur(sheet, (0, 0), height * 0.012).astype(np.float32)
    across = np.arange(width, dtype=np.float32) / width
    tones: list[Colour] = [
        (182.0, 172.0, 140.0),
        (142.0, 156.0, 112.0),
        (104.0, 140.0, 84.0),
        (66.0, 112.0, 64.0),
    ]
    for number, tone in enumerate(tones):
        phase, waves = rng.uniform(0, 6, 2), rng.uniform(1.2, 3.2, 2)
        ridge = 0.52 + 0.11 * number + 0.05 * np.sin(across * waves[0] * 6 + phase[0])
        ridge += 0.025 * np.sin(across * waves[1] * 11 + phase[1])
        edge = np.stack([across * width, ridge * height], axis=1)
        outline = np.vstack([edge, [[width, height], [0, height]]]).astype(np.int32)
        cv2.fillPoly(sheet, [outline], tone, cv2.LINE_AA)
    finish(sheet, 1)
    return as_picture(sheet)
