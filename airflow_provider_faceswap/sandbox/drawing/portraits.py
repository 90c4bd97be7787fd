"""Portraits drawn from words: an illustration, the same for the same words, with a face a detector finds."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_faceswap.sandbox.drawing.backdrops import backdrop, finish, landscape
from airflow_provider_faceswap.sandbox.drawing.canvas import Canvas
from airflow_provider_faceswap.sandbox.drawing.features import (
    draw_beard,
    draw_body,
    draw_eyes,
    draw_glasses,
    draw_head,
    draw_mouth,
    draw_nose,
)
from airflow_provider_faceswap.sandbox.drawing.hair import draw_hair_before, draw_hair_behind
from airflow_provider_faceswap.sandbox.drawing.people import Person, person_of

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.drawing.encoding import Picture

__all__ = ["draw_clip_frame", "draw_landscape", "draw_portrait"]

_HEADS_ACROSS, _HEADS_DOWN = 3.0, 3.7
_TURN = 0.06
_NIGHT = (1.0, 0.86, 0.8)
_SUNSET = (0.84, 0.95, 1.06)


def draw_portrait(words: str, width: int, height: int, *, take: int = 0, mood: int = 0) -> Picture:
    """A portrait.

    :param words: decide who is drawn; see :func:`~airflow_provider_faceswap.sandbox.drawing.people.person_of`.
    :param width: pixels.
    :param height: pixels.
    :param take: another number gives another person.
    :param mood: another number gives the same person in another mood.
    """
    return _drawn(person_of(words, take, mood), width, height, (0.0, 0.0)).copy()


def draw_clip_frame(words: str, side: int, share: float) -> Picture:
    """One square frame of a clip in which a person moves about.

    :param share: place in the clip, 0-1; the last frame leads back to the first.
    """
    turn = 2 * np.pi * share
    person = person_of(words)
    moved = replace(person, tilt=_TURN * float(np.sin(turn)), smile=0.3 + 0.3 * float(np.sin(2 * turn)))
    return _drawn(moved, side, side, (0.22 * float(np.sin(turn)), 0.06 * float(np.cos(turn))))


def draw_landscape(words: str, width: int, height: int) -> Picture:
    """A picture without any face."""
    return landscape(words, width, height)


@lru_cache(maxsize=32)
def _drawn(person: Person, width: int, height: int, shift: tuple[float, float]) -> Picture:
    unit = min(width / _HEADS_ACROSS, height / _HEADS_DOWN)
    centre = (width / 2 + shift[0] * unit, height * 0.47 + shift[1] * unit)
    canvas = Canvas(width, height, unit, centre, person.tilt)
    canvas.image[:] = backdrop(width, height, person.scene, person.ground, person.seed)
    draw_hair_behind(canvas, person)
    draw_body(canvas, person)
    face = draw_head(canvas, person)
    draw_eyes(canvas, person, face)
    draw_nose(canvas, person, face)
    if person.beard:
        draw_beard(canvas, person)
    draw_mouth(canvas, person, face)
    draw_hair_before(canvas, person, face)
    if person.glasses:
        draw_glasses(canvas, person)
    if person.scene != "plain":
        canvas.image *= np.array(_NIGHT if person.scene == "night" else _SUNSET, np.float32)
    finish(canvas.image, person.seed)
    return canvas.finished()
