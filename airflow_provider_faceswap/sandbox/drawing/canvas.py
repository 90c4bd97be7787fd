"""A picture that is being drawn, in units of the head that is drawn on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from airflow_provider_faceswap.sandbox.drawing.pictures import Colour, Picture

#: OpenCV draws at fractions of a pixel when it gets fixed point numbers.
_FRACTION_BITS = 4


def oval(x: float, y: float, across: float, down: float) -> NDArray[Any]:
    """An ellipse with half width ``across`` and half height ``down``."""
    angles = np.linspace(0, 2 * np.pi, 40)
    return np.stack([x + across * np.cos(angles), y + down * np.sin(angles)], axis=1)


def curve(points: ArrayLike, *, closed: bool = False) -> NDArray[Any]:
    """A smooth line through points (a Catmull-Rom spline)."""
    knots = np.array(points)
    knots = np.vstack([knots[-1:], knots, knots[:2]] if closed else [knots[:1], knots, knots[-1:]])
    share = np.linspace(0, 1, 8)[:, None]
    a, b, c, d = (knots[at : len(knots) - 3 + at, None] for at in range(4))
    bend = 2 * a - 5 * b + 4 * c - d + share * (3 * (b - c) + d - a)
    return np.reshape(b + 0.5 * share * (c - a + share * bend), (-1, 2))


def symmetrical(right: ArrayLike) -> NDArray[Any]:
    """A smooth outline from the points of its right half."""
    return curve(np.vstack([right, np.flip(right, 0) * (-1, 1)]), closed=True)


class Canvas:
    """A picture to draw on, in place. ``tilt`` turns the head clockwise, in radians.

    Points are in head units: (0, 0) is the middle of the face, y = 1 the chin.
    """

    def __init__(self, image: Picture, tilt: float) -> None:
        height, width = image.shape[:2]
        self.image = image
        self._unit, self._centre = min(width / 3.0, height / 3.7), (width / 2, height * 0.47)
        self._turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])

    def fill(self, points: ArrayLike, colour: Colour) -> None:
        """Fill an outline."""
        cv2.fillPoly(self.image, [self._pixels(points)], colour, cv2.LINE_AA, _FRACTION_BITS)

    def line(self, points: ArrayLike, colour: Colour, thickness: float) -> None:
        """Draw a line."""
        width = max(1, round(thickness * self._unit))
        cv2.polylines(self.image, [self._pixels(points)], False, colour, width, cv2.LINE_AA, _FRACTION_BITS)

    @contextmanager
    def within(self, outline: ArrayLike) -> Iterator[None]:
        """What is drawn meanwhile shows only inside the outline."""
        before, outside = self.image.copy(), np.full(self.image.shape[:2], 255, np.uint8)
        cv2.fillPoly(outside, [self._pixels(outline)], (0,), cv2.LINE_AA, _FRACTION_BITS)
        yield
        cv2.copyTo(before, outside, self.image)

    def light(self, spread: float, *spots: tuple[Any, float]) -> None:
        """Lighten and darken with soft edges.

        :param spots: outlines, and the brightness inside, 1 being no change. A later one covers an earlier one.
        """
        height, width = self.image.shape[:2]
        # What is soft needs a quarter of the resolution only.
        light = np.full((height // 4 + 1, width // 4 + 1), 128, np.uint8)
        for outline, brightness in spots:
            cv2.fillPoly(light, [self._pixels(outline) // 4], (128 * brightness,), cv2.LINE_8, _FRACTION_BITS)
        soft = cv2.GaussianBlur(light, (0, 0), max(0.5, spread * self._unit / 4))
        light = cv2.resize(soft, (width, height))
        # Red changes less, so that shadows on skin are warm.
        red = cv2.addWeighted(light, 0.7, light, 0, 0.3 * 128)
        cv2.multiply(self.image, cv2.merge([light, light, red]), self.image, scale=1 / 128)

    def _pixels(self, points: ArrayLike) -> NDArray[Any]:
        places = np.asarray(points) @ self._turn * self._unit + self._centre
        return np.asarray(places * (1 << _FRACTION_BITS), np.int32)
