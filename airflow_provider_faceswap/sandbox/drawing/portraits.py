"""Portraits drawn from words: illustrations with a face that OpenCV's detector finds."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from airflow_provider_faceswap.sandbox.drawing.canvas import Canvas, curve, oval, symmetrical
from airflow_provider_faceswap.sandbox.drawing.people import BLACK, WHITE, Person
from airflow_provider_faceswap.sandbox.drawing.pictures import Colour, Picture, as_picture, mixed

_SHADE, _LIPS, _FRAME = (30.0, 34.0, 84.0), (63.0, 65.0, 184.0), (50.0, 46.0, 54.0)
#: Colours at the top and at the bottom of a scene.
_SCENES: dict[str, tuple[Colour, Colour]] = {
    "night": ((64.0, 28.0, 16.0), (122.0, 74.0, 58.0)),
    "sunset": ((130.0, 70.0, 96.0), (88.0, 168.0, 255.0)),
}
#: Hairlines from the right temple to the left one; x is a share of the face's half width.
_HAIRLINES: dict[str, list[tuple[float, float]]] = {
    "short": [(1.02, -0.1), (0.92, -0.5), (0.5, -0.77), (-0.5, -0.77), (-0.92, -0.5), (-1.02, -0.1)],
    "fringe": [(1.02, -0.05), (0.93, -0.36), (0.4, -0.48), (-0.4, -0.46), (-0.93, -0.34), (-1.02, -0.05)],
    "parted": [(1.02, 0.0), (0.92, -0.4), (0.4, -0.7), (-0.28, -0.9), (-0.9, -0.42), (-1.02, 0.0)],
    "swept": [(1.02, -0.1), (0.9, -0.52), (0.6, -0.78), (0.1, -0.7), (-0.9, -0.46), (-1.02, -0.1)],
    "long": [(1.02, 0.42), (0.93, -0.2), (0.5, -0.66), (0.06, -0.92), (-0.5, -0.68), (-1.02, 0.42)],
}
_EYES, _MOUTH, _CROWN = -0.08, 0.56, -1.27


@lru_cache(maxsize=32)
def draw_portrait(words: str, width: int, height: int, *, take: int = 0, mood: int = 0) -> Picture:
    """A portrait of :class:`Person`. It is cached, so do not modify it."""
    person = Person(words, take, mood)
    canvas, stretch = Canvas(_ground(person, width, height), person.tilt), (person.half_width, 1)
    if person.hair_style == "long":
        right = np.array([(0.3, _CROWN), (0.85, -1.1), (1.28, -0.5), (1.4, 0.3), (1.42, 1.5), (1.1, 2.2)])
        strands = [[(0.8 * x, -0.7), (x, 0.2), (x, 2.2)] for x in np.linspace(-1.1, 1.1, 50)]
        _draw_hair(canvas, mixed(person.hair, BLACK, 0.35), symmetrical(right * stretch), strands)
    _draw_body(canvas, person)
    _draw_head(canvas, person)
    for side in (-1, 1):
        _draw_eye(canvas, person, side)
    if person.beard:
        cheek = np.array([(1.0, 0.12), (1.0, 0.35), (0.86, 0.68), (0.56, 0.97), (0.2, 1.14)])
        lip = [(-0.64, 0.42), (-0.4, 0.44), (-0.13, 0.4), (0.13, 0.4), (0.4, 0.44), (0.64, 0.42)]
        outline = curve(np.vstack([cheek, np.flip(cheek, 0) * (-1, 1), lip]) * stretch, closed=True)
        places = np.random.default_rng(1).uniform((-0.8, 0.2), (0.8, 1.1), (150, 2))
        _draw_hair(canvas, person.hair, outline, [[(x, y), (x, y + 0.09)] for x, y in places])
    _draw_mouth(canvas, person)
    _draw_hair_before(canvas, person)
    if person.glasses:
        for side in (-1, 1):
            canvas.line(oval(side * 0.34, _EYES + 0.02, 0.25, 0.21), _FRAME, 0.022)
            canvas.line([(side * 0.59, _EYES), (side * person.half_width, _EYES - 0.05)], _FRAME, 0.022)
        canvas.line([(-0.09, _EYES), (0, _EYES - 0.02), (0.09, _EYES)], _FRAME, 0.022)
    return canvas.image


def _ground(person: Person, width: int, height: int) -> Picture:
    """The background: a gradient with soft lights: stars at night; at sunset there is also a sun."""
    rng, night = np.random.default_rng(person.seed), person.scene == "night"
    plain = (mixed(person.ground, WHITE, 0.3), mixed(person.ground, BLACK, 0.2))
    above, below = np.array(_SCENES.get(person.scene, plain))
    lights = np.zeros((height // 2, width // 2), np.uint8)
    for x, y, size in rng.uniform(0, (width / 2, height / 2, 1), (26 if night else 10, 3)):
        radius = round(max(lights.shape) * (0.002 + 0.01 * size if night else 0.02 + 0.06 * size))
        cv2.circle(lights, (round(x), round(y)), radius, (70,) if night else (14,), -1, cv2.LINE_AA)
    if person.scene == "sunset":
        cv2.circle(lights, (round(width * 0.41), round(height * 0.17)), width // 18, (150,), -1, cv2.LINE_AA)
    down = np.linspace(0, 1, height // 2)[:, None, None]
    sheet = above + (below - above) * down + cv2.GaussianBlur(lights, (0, 0), 1.0)[..., None]
    return cv2.resize(as_picture(sheet), (width, height))


def _draw_body(canvas: Canvas, person: Person) -> None:
    shoulders = symmetrical([(0.5, 1.32), (1.15, 1.56), (1.62, 1.95), (1.9, 2.9), (1.9, 5.0)])
    canvas.fill(shoulders, person.clothes)
    neck = symmetrical([(0.4, 0.5), (0.4, 1.1), (0.56, 1.36), (0.08, 1.72)])
    canvas.fill(neck, person.skin)
    with canvas.within(neck):
        canvas.light(0.12, (oval(0.06, 0.95, 0.5, 0.4), 0.74))
    collar = curve([(-0.6, 1.28), (-0.36, 1.55), (0.0, 1.78), (0.36, 1.55), (0.6, 1.28)])
    canvas.line(collar, mixed(person.clothes, BLACK, 0.4), 0.07)


def _draw_head(canvas: Canvas, person: Person) -> None:
    """Ears, and the face with its light and shade, which also makes the nose."""
    broad, jaw, sides = person.half_width, person.jaw, (-1, 1)
    cheek = [(0.1, -1.06), (0.62 * broad, -0.93), (0.96 * broad, -0.55), (broad, -0.1), (0.97 * broad, 0.25)]
    face = symmetrical([*cheek, (1.02 * jaw, 0.62), (0.62 * jaw, 0.88), (0.24 * jaw, 1.0)])
    canvas.fill(oval(0, 0.05, broad + 0.11, 0.2), mixed(person.skin, _SHADE, 0.15))
    canvas.fill(face, person.skin)
    sockets = [(oval(side * 0.335, _EYES - 0.05, 0.24, 0.15), 0.72) for side in sides]
    cheeks = [(oval(side * 0.42, 0.22, 0.16, 0.11), 1.08) for side in sides]
    below = [(oval(0.0, 0.39, 0.14, 0.05), 0.74), (oval(0, _MOUTH + 0.19, 0.2, 0.03), 0.8)]
    bridge = [([(0.07, -0.2), (0.14, 0.28), (0.02, 0.3)], 0.82), (oval(-0.02, 0.06, 0.05, 0.25), 1.12)]
    with canvas.within(face):
        # The light comes from the upper left.
        forehead = (oval(-0.14, -0.54, 0.34, 0.2), 1.12)
        canvas.light(0.13, (face, 0.8), (oval(-0.08, -0.05, broad * 0.82, 0.98), 1.04), forehead)
        canvas.light(0.045, *sockets, *cheeks, *below, *bridge)
    for side in sides:
        canvas.fill(oval(side * 0.07, 0.345, 0.04, 0.018), mixed(person.skin, _SHADE, 0.75))


def _draw_eye(canvas: Canvas, person: Person, side: int) -> None:
    """Eye, lids and brow; ``side`` is -1 on the left and 1 on the right."""
    middle = side * 0.335

    def line(*points: tuple[float, float]) -> Any:
        return curve([(middle + side * x, _EYES + y) for x, y in points])

    upper = line((-0.18, 0.018), (-0.09, -0.07), (0.02, -0.088), (0.12, -0.055), (0.18, -0.006))
    eye = np.vstack([upper, line((0.18, -0.006), (0.12, 0.04), (0.02, 0.064), (-0.09, 0.05), (-0.18, 0.018))])
    canvas.fill(eye, (228.0, 236.0, 240.0))
    with canvas.within(eye):
        for size, colour in ((0.1, mixed(person.iris, BLACK, 0.6)), (0.084, person.iris), (0.044, BLACK)):
            canvas.fill(oval(middle, _EYES - 0.01, size, size), colour)
    canvas.fill(oval(middle - 0.034, _EYES - 0.04, 0.02, 0.02), WHITE)
    canvas.line(upper, BLACK, 0.036 if person.woman else 0.026)
    high = -0.26 if person.woman else -0.28
    brow = line((-0.2, -0.2), (-0.06, -0.25), (0.1, -0.26), (0.245, -0.19), (0.1, high - 0.05), (-0.2, high))
    canvas.fill(brow, mixed(person.hair, BLACK, 0.45))


def _draw_mouth(canvas: Canvas, person: Person) -> None:
    """Lips, and teeth in a broad smile."""
    half, lift = 0.27 + 0.05 * person.smile, 0.075 * person.smile
    full, opening = 0.1 if person.woman else 0.06, 0.085 if person.smile > 0.7 else 0.0

    # A line from corner to corner, so much below the level of the mouth.
    def edge(drop: float) -> Any:
        left = np.array([(-half, _MOUTH - lift), (-half * 0.45, _MOUTH + 0.8 * drop), (-0.04, _MOUTH + drop)])
        return curve(np.vstack([left, np.flip(left, 0) * (-1, 1)]))

    lips, line = mixed(person.skin, _LIPS, 0.55 if person.woman else 0.4), edge(0.01 + lift * 0.25)
    canvas.fill(np.vstack([edge(-full), np.flip(edge(full * 1.3 + opening + lift * 0.35), 0)]), lips)
    if opening:
        canvas.fill(np.vstack([line, np.flip(edge(opening), 0)]), (236.0, 244.0, 248.0))
    canvas.line(line, mixed(lips, BLACK, 0.7), 0.018)


def _draw_hair_before(canvas: Canvas, person: Person) -> None:
    """The hair above the face, with its shadow on the forehead."""
    edge, stretch = np.array(_HAIRLINES[person.hair_style]), (person.half_width, 1)
    # Locks of long hair fall beside the cheeks.
    temple = (1.16, 0.9) if person.hair_style == "long" else (1.1, edge[0][1] - 0.12)
    over = np.array([(0.1, _CROWN), (0.72, _CROWN * 0.88), (1.1, -0.6), temple])
    outline = curve(np.vstack([edge, np.flip(over, 0) * (-1, 1), over]) * stretch, closed=True)
    canvas.light(0.05, (edge * stretch + (0, 0.06), 0.78))
    root = {"parted": -0.22, "swept": 0.45}.get(person.hair_style, 0.0)
    bends = np.random.default_rng(person.seed).uniform((-1, -1.27), (1, -0.6), (90, 2))
    strands = [[(root + 0.1 * x, _CROWN), (0.8 * x, y + 0.4 * x**2), (0.8 * x, 0.3)] for x, y in bends]
    _draw_hair(canvas, person.hair, outline, strands)


def _draw_hair(canvas: Canvas, colour: Colour, outline: Any, strands: list[Any]) -> None:
    """A mass of hair with strands that show its direction."""
    canvas.fill(outline, colour)
    with canvas.within(outline):
        for number, strand in enumerate(strands):
            tone = mixed(colour, WHITE if number % 3 == 0 else BLACK, 0.04 * (1 + number % 5))
            canvas.line(curve(strand), tone, 0.012)
