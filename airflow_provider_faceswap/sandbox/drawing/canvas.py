"""A canvas for soft shapes, in units of the head that is drawn on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from airflow_provider_faceswap.sandbox.drawing.encoding import as_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from airflow_provider_faceswap.sandbox.drawing.encoding import Picture

    Plane = NDArray[np.float32]
    """Height x width, values 0-1."""
    Points = Sequence[tuple[float, float]]
    """Places in head units: x to the right, y down, (0, 0) in the middle of the face, chin near y = 1."""
    Colour = tuple[float, float, float]
    """Blue, green, red, each 0-255."""

_SUBPIXEL_BITS = 4
_LEAST_SPREAD = 0.4


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two.

    :param share: 0 gives ``one``, 1 gives ``other``.
    """
    blue, green, red = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return blue, green, red


def oval(x: float, y: float, across: float, down: float, turn: float = 0.0) -> list[tuple[float, float]]:
    """Points around an ellipse.

    :param across: half width.
    :param down: half height.
    :param turn: radians, clockwise.
    """
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    xs, ys = across * np.cos(angles), down * np.sin(angles)
    cos, sin = np.cos(turn), np.sin(turn)
    return [(float(x + a * cos - b * sin), float(y + a * sin + b * cos)) for a, b in zip(xs, ys, strict=True)]


def curve(points: Points, *, closed: bool = True, steps: int = 10) -> list[tuple[float, float]]:
    """A smooth line through points (a Catmull-Rom spline)."""
    knots = np.array(points, np.float64)
    knots = np.vstack([knots[-1:], knots, knots[:2]]) if closed else np.vstack([knots[:1], knots, knots[-1:]])
    share = np.linspace(0, 1, steps, endpoint=False)[:, None]
    a, b, c, d = (knots[at : len(knots) - 3 + at, None] for at in range(4))
    pieces = 0.5 * (
        2 * b + (c - a) * share + (2 * a - 5 * b + 4 * c - d) * share**2 + (3 * b - a - 3 * c + d) * share**3
    )
    line = pieces.reshape(-1, 2)
    places = np.vstack([line, knots[-1:]]) if not closed else line
    return [(x, y) for x, y in places.tolist()]


class Canvas:
    """A picture in the making.

    :param width: pixels.
    :param height: pixels.
    :param unit: pixels in one head unit (half the height of a face).
    :param centre: the middle of the face, in pixels.
    :param tilt: turn of the head, in radians, clockwise.
    """

    def __init__(
        self, width: int, height: int, unit: float, centre: tuple[float, float], tilt: float
    ) -> None:
        self.width, self.height, self.unit = width, height, unit
        self._centre = centre
        self._cos, self._sin = float(np.cos(tilt)), float(np.sin(tilt))
        self.image: NDArray[np.float32] = np.zeros((height, width, 3), np.float32)
        down, across = np.mgrid[0:height, 0:width].astype(np.float32)
        dx, dy = (across - centre[0]) / unit, (down - centre[1]) / unit
        self.x: NDArray[np.float32] = (dx * self._cos + dy * self._sin).astype(np.float32)
        self.y: NDArray[np.float32] = (dy * self._cos - dx * self._sin).astype(np.float32)

    def pixels(self, points: Points) -> NDArray[np.float64]:
        """The places in pixels."""
        places = np.array(points, np.float64)
        across = places[:, 0] * self._cos - places[:, 1] * self._sin
        down = places[:, 0] * self._sin + places[:, 1] * self._cos
        return np.stack([across * self.unit + self._centre[0], down * self.unit + self._centre[1]], axis=1)

    def mask(self, points: Points, soft: float = 0.0) -> Plane:
        """How much of each pixel lies within an outline.

        :param soft: width of the soft edge, in head units.
        """
        plane: Plane = np.zeros((self.height, self.width), np.float32)
        patch = self._patch(points, soft)
        if patch is not None:
            plane[patch[0]] = patch[1]
        return plane

    def lay(self, mask: Plane, colour: Colour, opacity: float = 1.0) -> None:
        """Colour the picture through a mask of its size."""
        rows, columns = np.flatnonzero(mask.max(axis=1)), np.flatnonzero(mask.max(axis=0))
        if len(rows):
            part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            self._blend(part, mask[part], np.array(colour, np.float32), opacity)

    def fill(
        self,
        points: Points,
        colour: Colour,
        *,
        opacity: float = 1.0,
        soft: float = 0.0,
        within: Plane | None = None,
    ) -> None:
        """Fill an outline.

        :param soft: width of the soft edge, in head units.
        :param within: only where this mask is.
        """
        self._apply(self._patch(points, soft), colour, opacity, within)

    def stroke(
        self,
        points: Points,
        colour: Colour,
        thickness: float,
        *,
        opacity: float = 1.0,
        soft: float = 0.0,
        within: Plane | None = None,
        closed: bool = False,
    ) -> None:
        """Draw a line.

        :param thickness: in head units.
        """
        self._apply(self._patch(points, soft, thickness=thickness, closed=closed), colour, opacity, within)

    def strands(
        self, lines: list[Points], colours: list[Colour], thickness: float, within: Plane, opacity: float
    ) -> None:
        """Draw many thin lines at once, each in its colour, only where a mask is."""
        sheet = np.zeros((self.height, self.width, 3), np.uint8)
        plane = np.zeros((self.height, self.width), np.uint8)
        weight = max(1, round(thickness * self.unit))
        fixed = [_fixed(self.pixels(line)) for line in lines]
        cv2.polylines(plane, fixed, False, (255,), weight, cv2.LINE_AA, _SUBPIXEL_BITS)
        for places, colour in zip(fixed, colours, strict=True):
            cv2.polylines(sheet, [places], False, colour, weight, cv2.LINE_AA, _SUBPIXEL_BITS)
        cover = plane.astype(np.float32) / 255
        # Antialiased ends are dark on the black sheet: divide the cover out again.
        paint = np.clip(sheet.astype(np.float32) / np.maximum(cover, 1 / 255)[..., None], 0, 255)
        self._blend(np.s_[:, :], (cover * within).astype(np.float32), paint.astype(np.float32), opacity)

    def finished(self) -> Picture:
        """The picture in 8 bits."""
        return as_picture(self.image)

    def _patch(
        self, points: Points, soft: float, *, thickness: float | None = None, closed: bool = True
    ) -> tuple[tuple[slice, slice], Plane] | None:
        """A shape's mask, only as large as it need be, and where it lies; ``None`` outside the picture."""
        places = self.pixels(points)
        spread = soft * self.unit
        weight = 0 if thickness is None else max(1, round(thickness * self.unit))
        margin = 3 * spread + weight + 2
        low = np.maximum(np.floor(places.min(axis=0) - margin), 0).astype(int)
        high = np.minimum(np.ceil(places.max(axis=0) + margin), (self.width, self.height)).astype(int)
        if (high <= low).any():
            return None
        plane = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
        fixed = [_fixed(places - low)]
        if weight:
            cv2.polylines(plane, fixed, closed, (255,), weight, cv2.LINE_AA, _SUBPIXEL_BITS)
        else:
            cv2.fillPoly(plane, fixed, (255,), cv2.LINE_AA, _SUBPIXEL_BITS)
        mask: Plane = plane.astype(np.float32) / np.float32(255)
        if spread > _LEAST_SPREAD:
            mask = cv2.GaussianBlur(mask, (0, 0), spread).astype(np.float32)
        return (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))), mask

    def _apply(
        self,
        patch: tuple[tuple[slice, slice], Plane] | None,
        colour: Colour,
        opacity: float,
        within: Plane | None,
    ) -> None:
        if patch is not None:
            part, mask = patch
            share = mask if within is None else mask * within[part]
            self._blend(part, share, np.array(colour, np.float32), opacity)

    def _blend(
        self, part: tuple[slice, slice], mask: Plane, paint: NDArray[np.float32], opacity: float
    ) -> None:
        share = mask[..., None] * np.float32(opacity)
        here = self.image[part]
        here += (paint - here) * share


def _fixed(places: NDArray[np.float64]) -> NDArray[np.int32]:
    """Pixels as the fixed point numbers that OpenCV draws with."""
    return np.rint(places * (1 << _SUBPIXEL_BITS)).astype(np.int32)
