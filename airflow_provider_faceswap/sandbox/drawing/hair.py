"""Hair: a mass behind the head, a mass above the face, and strands that give both a direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_faceswap.sandbox.drawing.canvas import curve, mixed, oval

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.drawing.canvas import Canvas, Colour, Plane, Points
    from airflow_provider_faceswap.sandbox.drawing.people import Person

_BLACK: Colour = (14.0, 12.0, 14.0)
_SHINE: Colour = (225.0, 238.0, 250.0)
_LONG = ("long", "bob")


def _mirrored(right: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [*right, *((-x, y) for x, y in reversed(right))]


def draw_hair_behind(canvas: Canvas, person: Person) -> None:
    """What of the hair is behind neck and shoulders."""
    style, broad = person.hair_style, person.broad
    dark = mixed(person.hair, _BLACK, 0.38)
    if style == "curly":
        rng = np.random.default_rng(person.seed + 2)
        for angle in np.linspace(0.88 * np.pi, 2.12 * np.pi, 26):
            x, y = 0.98 * np.cos(angle), -0.25 + 1.02 * np.sin(angle)
            size = float(rng.uniform(0.2, 0.3))
            canvas.fill(oval(float(x), float(y), size, size), dark)
        canvas.fill(oval(0, -0.35, 0.98, 0.95), dark)
        return
    if style == "bun":
        canvas.fill(oval(0.04, -1.32, 0.34, 0.3), person.hair)
        canvas.stroke(oval(0.04, -1.32, 0.2, 0.17), dark, 0.03, opacity=0.6, soft=0.01)
        canvas.fill(oval(-0.06, -1.42, 0.14, 0.09), _SHINE, opacity=0.2, soft=0.05)
    if style in _LONG:
        length = 2.2 if style == "long" else 0.98
        right = [
            (broad * 0.3, -1.27),
            (broad * 0.85, -1.1),
            (broad * 1.28, -0.5),
            (broad * 1.38, 0.3),
            (broad * 1.42, length * 0.7),
            (broad * 1.2, length),
            (broad * 0.5, length * 0.98),
        ]
        mass = canvas.mask(curve(_mirrored(right)))
        canvas.lay(mass, dark)
        rng = np.random.default_rng(person.seed + 3)
        lines: list[Points] = []
        for x in rng.uniform(-1.45 * broad, 1.45 * broad, 110):
            at = float(x)
            lines.append(
                curve([(at * 0.75, -0.7), (at, 0.2), (at * 1.02, 1.0), (at * 0.95, 2.3)], closed=False)
            )
        _draw_strands(canvas, person, lines, mass, 0.55)


def _fringe(style: str, broad: float) -> list[tuple[float, float]]:
    """The lower edge of the hair above the face, from right to left."""
    right, middle, left = _FRINGES.get("long" if style in _LONG else style, _FRINGES["short"])
    return [(broad * x, y) for x, y in right] + list(middle) + [(broad * x, y) for x, y in left]


_Line = tuple[tuple[float, float], ...]
_FRINGES: dict[str, tuple[_Line, _Line, _Line]] = {
    "fringe": (
        ((1.02, -0.05), (0.93, -0.36)),
        ((0.4, -0.47), (0.1, -0.5), (-0.25, -0.48), (-0.5, -0.45)),
        ((-0.93, -0.34), (-1.02, -0.05)),
    ),
    "parted": (
        ((1.02, 0.0), (0.92, -0.4)),
        ((0.36, -0.68), (-0.22, -0.9), (-0.42, -0.72)),
        ((-0.9, -0.42), (-1.02, 0.0)),
    ),
    "swept": (
        ((1.02, -0.1), (0.9, -0.52)),
        ((0.5, -0.78), (0.1, -0.7), (-0.35, -0.58)),
        ((-0.9, -0.46), (-1.02, -0.1)),
    ),
    "long": (
        ((1.02, 0.42), (0.93, -0.2)),
        ((0.4, -0.66), (0.06, -0.92), (-0.3, -0.68)),
        ((-0.92, -0.2), (-1.02, 0.42)),
    ),
    "short": (
        ((1.02, -0.08), (0.92, -0.5)),
        ((0.4, -0.76), (0.0, -0.8), (-0.4, -0.76)),
        ((-0.92, -0.5), (-1.02, -0.08)),
    ),
}
"""Hairlines: near the right temple and the left one (shares of the face's half width), and between."""


def draw_hair_before(canvas: Canvas, person: Person, face: Plane) -> None:
    """What of the hair is above the face, with the shadow it casts on the forehead."""
    style, broad = person.hair_style, person.broad
    edge = _fringe(style, broad)
    high = {"short": -1.2, "swept": -1.36, "curly": -1.3, "bun": -1.16}.get(style, -1.26)
    low = edge[0][1]
    over = [
        (-broad * 1.1, low - 0.12),
        (-broad * 1.1, -0.6),
        (-broad * 0.72, high * 0.88),
        (-0.1, high),
        (broad * 0.7, high * 0.88),
        (broad * 1.1, -0.6),
        (broad * 1.1, low - 0.12),
    ]
    if style in _LONG:
        # Locks that fall beside the cheeks.
        over = [(-broad * 1.16, 0.9), *over[1:-1], (broad * 1.16, 0.9)]
    shape = curve([*edge, *over])
    mass = canvas.mask(shape, 0.008)
    cast = canvas.mask([(x, y + 0.07) for x, y in shape], 0.05)
    canvas.lay((cast * face).astype(np.float32), mixed(person.skin, (30.0, 34.0, 84.0), 0.75), 0.5)
    canvas.lay(mass, person.hair)
    if style == "curly":
        mass = _curls(canvas, person, mass)
    rng = np.random.default_rng(person.seed + 1)
    root_x = {"parted": -0.22, "swept": 0.45, "long": 0.06, "bob": 0.06}.get(style, 0.0)
    lines: list[Points] = []
    for reach in rng.uniform(-1.0, 1.0, 190):
        # From the crown over the silhouette (layer 1) or close above the face (layer 0), then down.
        side, layer = float(reach), float(rng.uniform(0.0, 1.0))
        start = (root_x + 0.12 * side, high * 0.98)
        bend = (
            root_x * 0.35 + side * broad * (0.5 + 0.55 * layer),
            high * (0.66 + 0.3 * layer) + 0.4 * side**2,
        )
        end = (side * broad * (0.92 + 0.22 * layer), -0.42 + 0.75 * abs(side))
        lines.append(curve([start, bend, end], closed=False, steps=6))
    _draw_strands(canvas, person, lines, mass, 0.6)
    canvas.fill(oval(-0.3, high * 0.83, 0.34, 0.1, -0.35), _SHINE, opacity=0.2, soft=0.06, within=mass)
    canvas.fill(oval(broad, -0.5, 0.25, 0.6), _BLACK, opacity=0.3, soft=0.14, within=mass)


def _curls(canvas: Canvas, person: Person, mass: Plane) -> Plane:
    """Ringlets over the hair above the face."""
    rng = np.random.default_rng(person.seed + 4)
    covered = mass
    for _ in range(70):
        angle, far = float(rng.uniform(1.02 * np.pi, 1.98 * np.pi)), float(rng.uniform(0.8, 1.06))
        x, y = far * person.broad * 1.22 * np.cos(angle), -0.22 + far * 1.12 * np.sin(angle)
        size = float(rng.uniform(0.1, 0.17))
        ring = oval(float(x), float(y), size, size)
        tone = mixed(person.hair, _SHINE if rng.random() < 0.35 else _BLACK, float(rng.uniform(0.0, 0.22)))
        patch = canvas.mask(ring, 0.008)
        canvas.lay(patch, tone)
        canvas.stroke(
            oval(float(x) - 0.02, float(y) - 0.02, size * 0.6, size * 0.6), _SHINE, 0.012, opacity=0.14
        )
        covered = np.maximum(covered, patch)
    return covered


def _draw_strands(canvas: Canvas, person: Person, lines: list[Points], mass: Plane, opacity: float) -> None:
    rng = np.random.default_rng(person.seed + 9)
    tones = [
        mixed(person.hair, _SHINE if rng.random() < 0.45 else _BLACK, float(rng.uniform(0.04, 0.3)))
        for _ in lines
    ]
    canvas.strands(lines, tones, 0.014, mass, opacity)
