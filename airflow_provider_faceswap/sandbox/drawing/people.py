"""The looks of a person, derived from a text: the same text gives the same person."""

from __future__ import annotations

import re
import zlib

import numpy as np

from airflow_provider_faceswap.sandbox.drawing.pictures import Colour, colours, mixed

BLACK, WHITE = colours("#100e12 #ffffff")
_SKINS = colours("#ffe0c8 #f8d0b0 #f0c19c #e2ab82 #cd9166 #b5764d #955c3b")
_HAIRS = colours("#1c1715 #35231a #54351f #7a4a26 #a8642f #c99a55 #8c2f1d #8f8d8c")
_IRISES = colours("#5b3a1e #7a5a2c #3f6f8f #5f8f9f #4d7a48 #6f7f86")
_CLOTHES = colours("#2f4a6d #7b2d3b #2e6155 #d9a441 #4b4453 #c96f4a #e8e2d6 #5a7f94")
_GROUNDS = colours("#a9c4cf #d8c3a5 #b7c9a8 #cdb4c9 #9fb3c8 #e3b9a1 #c7c2b4 #8fb0a9")


class Person:
    """The person that a text describes.

    Colours decide the clothes and tint the ground. Words for a smile, a beard, glasses, night, sunset, man and
    woman are drawn. All other words only decide who it is. Half the height of a face is 1.

    :param take: another number gives another person.
    :param mood: another number gives the same person with another expression, pose and ground.
    """

    def __init__(self, words: str, take: int = 0, mood: int = 0) -> None:
        said = dict.fromkeys(re.findall("[a-z]+", words.lower())).keys()
        looks = np.random.default_rng(zlib.crc32(f"{words}:{take}".encode()))
        feeling = np.random.default_rng(zlib.crc32(f"{words}:{take}:{mood}".encode()))

        def one_of(choices: list[Colour]) -> Colour:
            return choices[int(looks.integers(len(choices)))]

        bearded, feminine = said & {"beard", "bearded"}, said & {"woman", "girl", "lady", "female", "queen"}
        self.woman = bool(looks.random() < 0.5)
        if bearded or feminine or said & {"man", "boy", "gentleman", "male", "king"}:
            self.woman = bool(feminine)
        self.skin = mixed(one_of(_SKINS), one_of(_SKINS), float(looks.uniform(0, 0.4)))
        self.hair, self.iris = one_of(_HAIRS), one_of(_IRISES)
        styles = ("fringe", "parted", "swept", "long" if self.woman else "short")
        self.hair_style = styles[int(looks.integers(len(styles)))]
        self.half_width = float(looks.uniform(0.7, 0.8))
        self.jaw = self.half_width * float(looks.uniform(0.66, 0.76) + (0.0 if self.woman else 0.1))
        self.beard = bool(bearded) or (not self.woman and bool(looks.random() < 0.25))
        self.glasses = "glasses" in said
        self.clothes, self.ground = one_of(_CLOTHES), _GROUNDS[int(feeling.integers(len(_GROUNDS)))]
        if named := [mixed(colour, (110.0, 110.0, 110.0), 0.25) for colour in colours(" ".join(said))]:
            self.clothes, self.ground = named[0], mixed(named[-1], WHITE, 0.4)
        self.smile = 1.0 if said & {"smile", "smiling", "smiles", "happy"} else float(feeling.uniform(0, 0.4))
        self.scene = "night" if "night" in said else "sunset" if "sunset" in said else "plain"
        self.tilt, self.seed = float(feeling.uniform(-0.05, 0.05)), int(feeling.integers(1 << 31))
