"""Head, eyes, nose, mouth and beard of a portrait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_faceswap.sandbox.drawing.canvas import curve, mixed, oval

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.drawing.canvas import Canvas, Colour, Plane, Points
    from airflow_provider_faceswap.sandbox.drawing.people import Person

_BLACK: Colour = (18.0, 14.0, 16.0)
_WHITE: Colour = (255.0, 255.0, 255.0)
_WARM_SHADE: Colour = (30.0, 34.0, 84.0)
_BLUSH: Colour = (110.0, 105.0, 225.0)
EYE_LEVEL = -0.08
MOUTH_LEVEL = 0.56


def outline(person: Person) -> list[tuple[float, float]]:
    """The outline of the face, from the crown round to the crown."""
    broad, jaw, chin = person.broad, person.broad * person.jaw, person.chin
    right = [
        (broad * 0.62, -0.93),
        (broad * 0.96, -0.55),
        (broad, -0.1),
        (broad * 0.97, 0.25),
        (jaw * 1.02, 0.62),
        (jaw * 0.62, 0.88),
        (jaw * 0.24, chin),
    ]
    left = [(-x, y) for x, y in reversed(right)]
    return curve([(0.0, -1.06), *right, *left])


def draw_body(canvas: Canvas, person: Person) -> None:
    """Shoulders, collar and neck."""
    dark = mixed(person.clothes, _BLACK, 0.45)
    shoulders = curve(
        [
            (0, 1.22),
            *[(0.5, 1.32), (1.15, 1.56), (1.62, 1.95), (1.9, 2.9), (1.9, 5)],
            *[(-1.9, 5), (-1.9, 2.9), (-1.62, 1.95), (-1.15, 1.56), (-0.5, 1.32)],
        ]
    )
    cloth = canvas.mask(shoulders)
    canvas.lay(cloth, person.clothes)
    canvas.fill(oval(1.25, 2.5, 0.75, 1.1), dark, opacity=0.6, soft=0.25, within=cloth)
    canvas.fill(oval(-0.9, 1.95, 0.5, 0.28), _WHITE, opacity=0.13, soft=0.16, within=cloth)
    shade = mixed(person.skin, _WARM_SHADE, 0.34)
    neck = canvas.mask(
        curve([(-0.4, 0.5), (0.4, 0.5), (0.4, 1.1), (0.56, 1.36), (0.0, 1.72), (-0.56, 1.36), (-0.4, 1.1)])
    )
    canvas.lay(neck, mixed(person.skin, _WARM_SHADE, 0.12))
    canvas.fill(oval(0.05, 0.86, 0.62, 0.36), shade, opacity=0.9, soft=0.08, within=neck)
    canvas.fill(oval(0.36, 1.2, 0.16, 0.5), shade, opacity=0.6, soft=0.08, within=neck)
    collar = curve([(-0.6, 1.28), (-0.36, 1.55), (0.0, 1.78), (0.36, 1.55), (0.6, 1.28)], closed=False)
    canvas.stroke(collar, dark, 0.07, opacity=0.8, soft=0.012, within=cloth)
    canvas.stroke([(x, y + 0.05) for x, y in collar], mixed(person.clothes, _WHITE, 0.3), 0.025, within=cloth)


def draw_head(canvas: Canvas, person: Person) -> Plane:
    """Ears and the bare face with its light and shade.

    :returns: the mask of the face.
    """
    for side in (-1, 1):
        x = side * person.broad * 1.0
        ear = mixed(person.skin, _WARM_SHADE, 0.1 if side < 0 else 0.24)
        canvas.fill(oval(x, 0.05, 0.11, 0.22, side * 0.16), ear)
        canvas.fill(oval(x, 0.05, 0.055, 0.13, side * 0.16), mixed(ear, _WARM_SHADE, 0.3), soft=0.02)
        if person.earrings:
            canvas.fill(oval(x, 0.31, 0.035, 0.035), (110.0, 205.0, 240.0))
            canvas.fill(oval(x - 0.01, 0.3, 0.012, 0.012), _WHITE)
    face = canvas.mask(outline(person))
    from_middle, down = canvas.x, canvas.y
    # Light from the upper left: a round form that darkens towards the right edge and the jaw.
    turned = np.clip((from_middle + 0.22) / person.broad, -1.4, 1.4)
    shade = np.clip(0.34 * np.abs(turned) ** 2.4 + 0.1 * np.clip(down - 0.2, 0, 1), 0, 0.55).astype(
        np.float32
    )
    canvas.lay(face, person.skin)
    canvas.lay((face * shade).astype(np.float32), mixed(person.skin, _WARM_SHADE, 0.8))
    light = mixed(person.skin, _WHITE, 0.6)
    canvas.fill(oval(-0.14, -0.58, 0.36, 0.2), light, opacity=0.42, soft=0.12, within=face)
    for side, share in ((-1, 1.0), (1, 0.65)):
        canvas.fill(oval(side * 0.43, 0.2, 0.17, 0.11), light, opacity=0.36 * share, soft=0.08, within=face)
        canvas.fill(oval(side * 0.47, 0.32, 0.17, 0.13), _BLUSH, opacity=0.2, soft=0.09, within=face)
    canvas.fill(oval(-0.02, 0.87, 0.16, 0.08), light, opacity=0.25, soft=0.06, within=face)
    if person.freckles:
        _freckles(canvas, person, face)
    return face


def _freckles(canvas: Canvas, person: Person, face: Plane) -> None:
    rng = np.random.default_rng(person.seed)
    tone = mixed(person.skin, (40.0, 70.0, 130.0), 0.6)
    for _ in range(46):
        x, y = float(rng.normal(0, 0.3)), float(rng.normal(0.2, 0.07))
        size = float(rng.uniform(0.008, 0.014))
        canvas.fill(oval(x, y, size, size), tone, opacity=0.5, within=face)


def draw_eyes(canvas: Canvas, person: Person, face: Plane) -> None:
    """Sockets, eyes, lids and brows."""
    shade = mixed(person.skin, _WARM_SHADE, 0.62)
    for side in (-1, 1):
        x = side * person.eye_gap
        canvas.fill(oval(x, EYE_LEVEL - 0.06, 0.25, 0.15), shade, opacity=0.55, soft=0.055, within=face)
        canvas.fill(oval(x, EYE_LEVEL + 0.13, 0.16, 0.035), shade, opacity=0.3, soft=0.03, within=face)
        _eye(canvas, person, side)
        _brow(canvas, person, side)


def _eye(canvas: Canvas, person: Person, side: int) -> None:
    x, y, half = side * person.eye_gap, EYE_LEVEL, person.eye_size
    tall = half * (0.52 - 0.1 * max(0.0, person.smile))
    inner, outer = x - side * half, x + side * half

    def lid(height: float) -> list[tuple[float, float]]:
        points = [
            (inner, y + 0.018),
            (x - side * half * 0.5, y - height * 0.8),
            (x + side * half * 0.12, y - height),
            (x + side * half * 0.66, y - height * 0.62),
            (outer, y - 0.006),
        ]
        return curve(points, closed=False)

    upper, lower = lid(tall), lid(-tall * 0.72)
    shape = canvas.mask([*upper, *reversed(lower)])
    canvas.lay(shape, (228.0, 236.0, 240.0))
    ring, middle = half * 0.56, (x, y - tall * 0.1)
    canvas.fill(oval(*middle, ring, ring), mixed(person.iris, _BLACK, 0.6), within=shape)
    canvas.fill(oval(*middle, ring * 0.86, ring * 0.86), person.iris, within=shape, soft=0.006)
    canvas.fill(
        oval(middle[0], middle[1] + ring * 0.4, ring * 0.5, ring * 0.32),
        mixed(person.iris, _WHITE, 0.5),
        opacity=0.55,
        soft=0.012,
        within=shape,
    )
    canvas.fill(oval(*middle, ring * 0.44, ring * 0.44), _BLACK, within=shape)
    canvas.stroke([(px, py + 0.02) for px, py in upper], _BLACK, 0.05, opacity=0.4, soft=0.012, within=shape)
    canvas.fill(oval(middle[0] - ring * 0.34, middle[1] - ring * 0.36, ring * 0.2, ring * 0.2), _WHITE)
    canvas.fill(oval(middle[0] + ring * 0.3, middle[1] + ring * 0.34, 0.012, 0.012), _WHITE, opacity=0.7)
    lash = 0.034 if person.feminine else 0.024
    canvas.stroke(upper, _BLACK, lash, opacity=0.92)
    if person.feminine:
        tip = [upper[-4], (outer + side * 0.02, y - 0.03), (outer + side * 0.055, y - 0.065)]
        canvas.stroke(curve(tip, closed=False), _BLACK, 0.022, opacity=0.9)
    canvas.stroke(lower, mixed(person.skin, _WARM_SHADE, 0.75), 0.012, opacity=0.6)
    crease = [(px, py - 0.055) for px, py in upper[6:-3]]
    canvas.stroke(crease, mixed(person.skin, _WARM_SHADE, 0.8), 0.014, opacity=0.5, soft=0.006)


def _brow(canvas: Canvas, person: Person, side: int) -> None:
    x, level, weight, arch = side * person.eye_gap, -0.315, person.brow_weight, person.brow_arch
    lift = 0.015 * person.smile

    def edge(offset: float) -> list[tuple[float, float]]:
        points = [
            (x - side * 0.2, level + 0.025 + offset * 0.8),
            (x - side * 0.06, level - arch * 0.7 - lift + offset),
            (x + side * 0.1, level - arch - lift + offset * 0.8),
            (x + side * 0.245, level + 0.035),
        ]
        return curve(points, closed=False)

    tone = mixed(person.hair, _BLACK, 0.4)
    shape = [*edge(-weight * 0.6), *reversed(edge(weight * 0.6))]
    canvas.fill(shape, tone, opacity=0.85, soft=0.009)


def draw_nose(canvas: Canvas, person: Person, face: Plane) -> None:
    """Bridge, tip and nostrils."""
    wide, tip = person.nose, 0.31
    shade = mixed(person.skin, _WARM_SHADE, 0.7)
    light = mixed(person.skin, _WHITE, 0.65)
    side = curve([(0.1, -0.12), (0.075, 0.05), (wide * 0.85, tip - 0.05), (wide, tip), (0.05, tip - 0.02)])
    canvas.fill(side, shade, opacity=0.42, soft=0.032, within=face)
    canvas.stroke([(-0.1, -0.2), (-0.085, -0.02)], shade, 0.05, opacity=0.22, soft=0.03)
    canvas.fill(oval(0.02, tip + 0.075, wide * 0.95, 0.045), shade, opacity=0.5, soft=0.026, within=face)
    canvas.fill(oval(-0.02, 0.02, 0.045, 0.22), light, opacity=0.5, soft=0.028, within=face)
    canvas.fill(oval(-0.025, tip - 0.05, 0.06, 0.055), light, opacity=0.55, soft=0.026, within=face)
    dark = mixed(person.skin, (16.0, 18.0, 40.0), 0.8)
    for turn in (-1, 1):
        canvas.fill(
            oval(turn * wide * 0.5, tip + 0.035, 0.042, 0.02, turn * -0.35), dark, opacity=0.8, soft=0.007
        )
        wing = curve(
            [
                (turn * wide * 0.86, tip - 0.09),
                (turn * wide * 1.06, tip - 0.01),
                (turn * wide * 0.8, tip + 0.045),
            ],
            closed=False,
        )
        canvas.stroke(wing, shade, 0.02, opacity=0.55 if turn > 0 else 0.35, soft=0.008)


def draw_mouth(canvas: Canvas, person: Person, face: Plane) -> None:
    """Lips, and teeth in a broad smile."""
    half = person.mouth * (1 + 0.16 * max(0.0, person.smile))
    level, lift, full = MOUTH_LEVEL, 0.075 * person.smile, person.lip_fullness
    top, bottom = 0.045 + 0.04 * full, 0.065 + 0.055 * full
    open_by = 0.085 if person.smile > 0.7 else 0.0
    corners = ((-half, level - lift), (half, level - lift))
    upper = curve(
        [
            corners[0],
            (-half * 0.45, level - top * 0.9 - lift * 0.2),
            (-half * 0.14, level - top),
            (0, level - top * 0.72),
            (half * 0.14, level - top),
            (half * 0.45, level - top * 0.9 - lift * 0.2),
            corners[1],
        ],
        closed=False,
    )
    middle: Points = curve(
        [
            corners[0],
            (-half * 0.45, level),
            (0, level + 0.012 + lift * 0.25),
            (half * 0.45, level),
            corners[1],
        ],
        closed=False,
    )
    sag = bottom + open_by + lift * 0.35
    lower = curve(
        [
            corners[0],
            (-half * 0.5, level + sag * 0.82),
            (0, level + sag),
            (half * 0.5, level + sag * 0.82),
            corners[1],
        ],
        closed=False,
    )
    canvas.fill(
        oval(0, level + sag + 0.055, half * 0.62, 0.04),
        mixed(person.skin, _WARM_SHADE, 0.7),
        opacity=0.42,
        soft=0.03,
        within=face,
    )
    canvas.fill([*middle, *reversed(lower)], person.lips)
    canvas.fill([*upper, *reversed(middle)], mixed(person.lips, _WARM_SHADE, 0.32))
    if open_by:
        gap = curve(
            [
                corners[0],
                (-half * 0.5, level + open_by * 0.78),
                (0, level + open_by + 0.02),
                (half * 0.5, level + open_by * 0.78),
                corners[1],
            ],
            closed=False,
        )
        inside = canvas.mask([*middle, *reversed(gap)])
        canvas.lay(inside, (38.0, 24.0, 70.0))
        canvas.fill(
            oval(0, level + 0.028, half * 0.78, 0.062), (236.0, 244.0, 248.0), soft=0.006, within=inside
        )
    canvas.stroke(middle, mixed(person.lips, _BLACK, 0.72), 0.018, opacity=0.85)
    canvas.fill(
        oval(-0.03, level + open_by + bottom * 0.58, half * 0.32, 0.02), _WHITE, opacity=0.32, soft=0.016
    )
    for side in (-1, 1):
        canvas.fill(
            oval(side * (half + 0.025), level - lift, 0.03, 0.03),
            mixed(person.skin, _WARM_SHADE, 0.8),
            opacity=0.4,
            soft=0.02,
            within=face,
        )


def draw_beard(canvas: Canvas, person: Person) -> None:
    """A full beard around the mouth, in strands."""
    rng = np.random.default_rng(person.seed + 5)
    jaw, chin = person.broad * person.jaw, person.chin
    right = [
        (person.broad * 0.99, 0.12),
        (person.broad * 1.0, 0.35),
        (jaw * 1.06, 0.68),
        (jaw * 0.68, 0.97),
        (jaw * 0.26, chin + 0.13),
    ]
    inner = [(0.3, 0.44), (0.1, 0.4), (-0.1, 0.4), (-0.3, 0.44), (-0.52, 0.42)]
    ring = curve(
        [*right, *((-x, y) for x, y in reversed(right)), (-0.52, 0.42), *reversed(inner), (0.52, 0.42)]
    )
    mouth = canvas.mask(oval(0, MOUTH_LEVEL + 0.035, person.mouth * 1.06, 0.1), 0.012)
    hair = (canvas.mask(ring, 0.025) * (1 - mouth)).astype(np.float32)
    canvas.lay(hair, mixed(person.hair, person.skin, 0.12), 0.9)
    lines: list[Points] = []
    tones: list[Colour] = []
    for _ in range(260):
        x = float(rng.uniform(-person.broad, person.broad))
        y = float(rng.uniform(0.2, chin + 0.1))
        lines.append([(x, y), (x * 1.02 + float(rng.normal(0, 0.012)), y + 0.09)])
        tones.append(
            mixed(person.hair, _WHITE if rng.random() < 0.4 else _BLACK, float(rng.uniform(0.05, 0.3)))
        )
    canvas.strands(lines, tones, 0.007, hair, 0.7)


def draw_glasses(canvas: Canvas, person: Person) -> None:
    """Round glasses with a glint."""
    frame: Colour = (44.0, 40.0, 48.0)
    for side in (-1, 1):
        x = side * (person.eye_gap + 0.01)
        rim = oval(x, EYE_LEVEL + 0.02, 0.255, 0.215)
        canvas.fill(rim, _WHITE, opacity=0.07)
        glint = [(x - 0.15, EYE_LEVEL + 0.1), (x - 0.02, EYE_LEVEL - 0.14), (x + 0.05, EYE_LEVEL - 0.14)]
        canvas.fill([*glint, (x - 0.09, EYE_LEVEL + 0.13)], _WHITE, opacity=0.1, soft=0.01)
        canvas.stroke(rim, frame, 0.028, closed=True)
        canvas.stroke(
            [(x + side * 0.25, EYE_LEVEL - 0.02), (side * person.broad, EYE_LEVEL - 0.05)], frame, 0.026
        )
    bridge = curve([(-0.09, EYE_LEVEL), (0, EYE_LEVEL - 0.035), (0.09, EYE_LEVEL)], closed=False)
    canvas.stroke(bridge, frame, 0.028)
