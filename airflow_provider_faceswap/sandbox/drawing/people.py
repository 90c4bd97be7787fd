"""Who is drawn: looks that follow from a text, the same text giving the same person."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_provider_faceswap.sandbox.drawing.canvas import mixed

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.drawing.canvas import Colour


def _rgb(text: str) -> Colour:
    red, green, blue = (float(int(text[at : at + 2], 16)) for at in (0, 2, 4))
    return blue, green, red


SKINS = tuple(map(_rgb, ("ffe0c8", "f8d0b0", "f0c19c", "e2ab82", "cd9166", "b5764d", "955c3b")))
HAIRS = tuple(
    map(_rgb, ("1c1715", "35231a", "54351f", "7a4a26", "a8642f", "c99a55", "e0bd80", "8c2f1d", "8f8d8c"))
)
IRISES = tuple(map(_rgb, ("5b3a1e", "7a5a2c", "3f6f8f", "5f8f9f", "4d7a48", "6f7f86")))
CLOTHES = tuple(map(_rgb, ("2f4a6d", "7b2d3b", "2e6155", "d9a441", "4b4453", "c96f4a", "e8e2d6", "5a7f94")))
GROUNDS = tuple(map(_rgb, ("a9c4cf", "d8c3a5", "b7c9a8", "cdb4c9", "9fb3c8", "e3b9a1", "c7c2b4", "8fb0a9")))
COLOUR_WORDS = {
    "red": _rgb("c22f33"),
    "blue": _rgb("2d5fb8"),
    "green": _rgb("3b8a4e"),
    "yellow": _rgb("e6bd33"),
    "orange": _rgb("e07b2a"),
    "purple": _rgb("7a45a0"),
    "pink": _rgb("e28bab"),
    "white": _rgb("efece6"),
    "black": _rgb("26252b"),
    "gold": _rgb("cfa23b"),
    "teal": _rgb("2a8585"),
    "brown": _rgb("7a5236"),
}
HAIR_STYLES = ("short", "parted", "fringe", "long", "bob", "curly", "bun", "swept")


@dataclass(frozen=True)
class Person:
    """Looks of one person, lengths in head units.

    :param broad: half width of the face at the cheekbones.
    :param jaw: width of the jaw as a share of ``broad``.
    :param chin: how far the chin reaches down.
    :param smile: -0.3 (stern) to 1 (laughing).
    :param beard: 0 none, 1 full.
    """

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    clothes: Colour
    ground: Colour
    hair_style: str
    broad: float
    jaw: float
    chin: float
    eye_gap: float
    eye_size: float
    brow_weight: float
    brow_arch: float
    nose: float
    mouth: float
    lip_fullness: float
    smile: float
    beard: float
    glasses: bool
    earrings: bool
    freckles: bool
    tilt: float
    scene: str
    seed: int

    @property
    def feminine(self) -> bool:
        """Whether lashes and lips are drawn with more weight."""
        return self.lip_fullness > 0.5 and self.beard == 0


def _pick(rng: np.random.Generator, choices: tuple[Colour, ...]) -> Colour:
    """A colour between two neighbours of a palette."""
    at = float(rng.uniform(0, len(choices) - 1))
    low = int(at)
    return mixed(choices[low], choices[min(low + 1, len(choices) - 1)], at - low)


def person_of(words: str, take: int = 0, mood: int = 0) -> Person:
    """The person a text describes.

    Colour words dress the person and tint the ground; ``smile``, ``night``, ``sunset``, ``glasses`` and
    ``beard`` are drawn; everything else only decides who it is.

    :param words: any text.
    :param take: another number gives another person.
    :param mood: another number gives the same person with another expression, attitude and ground.
    """
    said = re.findall(r"[a-z]+", words.lower())
    rng = np.random.default_rng(zlib.crc32(f"{words}|{take}".encode()))
    skin = _pick(rng, SKINS)
    hair = HAIRS[int(rng.integers(len(HAIRS)))]
    woman = bool(rng.random() < 0.5)
    if len(said) == 1 and said[0].endswith("a"):
        woman = True  # most first names that end so
    if {"woman", "girl", "lady", "female", "queen"} & set(said):
        woman = True
    elif {"man", "boy", "gentleman", "male", "king", "beard", "bearded"} & set(said):
        woman = False
    styles = HAIR_STYLES[1:] if woman else ("short", "parted", "fringe", "curly", "swept")
    bearded = {"beard", "bearded"} & set(said) or (not woman and rng.random() < 0.22)
    looks = {
        "skin": skin,
        "hair": hair,
        "iris": IRISES[int(rng.integers(len(IRISES)))],
        "lips": mixed(skin, _rgb("b8413f" if woman else "a85a4c"), 0.55 if woman else 0.42),
        "hair_style": str(rng.choice(styles)),
        "broad": float(rng.uniform(0.70, 0.80)),
        "jaw": float(rng.uniform(0.66, 0.78) if woman else rng.uniform(0.76, 0.88)),
        "chin": float(rng.uniform(0.96, 1.06)),
        "eye_gap": float(rng.uniform(0.315, 0.355)),
        "eye_size": float(rng.uniform(0.165, 0.195)),
        "brow_weight": float(rng.uniform(0.035, 0.05) if woman else rng.uniform(0.05, 0.07)),
        "brow_arch": float(rng.uniform(0.02, 0.08)),
        "nose": float(rng.uniform(0.12, 0.165)),
        "mouth": float(rng.uniform(0.24, 0.31)),
        "lip_fullness": float(rng.uniform(0.6, 1.0) if woman else rng.uniform(0.2, 0.45)),
        "beard": 1.0 if bearded else 0.0,
        "glasses": "glasses" in said or bool(rng.random() < 0.1),
        "earrings": woman and bool(rng.random() < 0.5),
        "freckles": bool(rng.random() < 0.15),
    }
    clothes, ground = _pick(rng, CLOTHES), GROUNDS[int(rng.integers(len(GROUNDS)))]
    spoken = [COLOUR_WORDS[word] for word in said if word in COLOUR_WORDS]
    if spoken:
        clothes = spoken[0]
        ground = mixed(spoken[-1], (235.0, 235.0, 235.0), 0.45)
    feeling = np.random.default_rng(zlib.crc32(f"{words}|{take}|{mood}".encode()))
    smile = float(feeling.uniform(-0.05, 0.4))
    if {"smile", "smiling", "smiles", "happy", "laughing"} & set(said):
        smile = 1.0
    if mood and not spoken:
        ground = GROUNDS[int(feeling.integers(len(GROUNDS)))]
    scene = next((word for word in ("night", "sunset") if word in said), "plain")
    return Person(
        **looks,  # type: ignore[arg-type]
        clothes=clothes,
        ground=ground,
        smile=smile,
        tilt=float(feeling.uniform(-0.05, 0.05)),
        scene=scene,
        seed=int(feeling.integers(1 << 31)),
    )
