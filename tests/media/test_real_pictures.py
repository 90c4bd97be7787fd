"""
Every vendor's preflight and fit, run over photographs and odd files; the outcome is in ``real_pictures.txt``.

``FACESWAP_WRITE_TABLE=1`` writes that file anew. Read it before it is committed.
"""

from __future__ import annotations

import base64
import os
from functools import cache
from pathlib import Path

import pytest

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.media.inputs import MediaPreparer
from airflow_provider_faceswap.media.metadata import without_metadata
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.piapi import PiAPI
from tests.pictures import odd, packaged

TABLE = Path(__file__).with_name("real_pictures.txt")
#: The vendors that can be sent bytes, with the arguments that differ. Tengrai accepts links only.
PLACES = {
    "gptunnel": (GPTunnel(), "face_swap", "target_image"),
    "mask": (GPTunnel(), "inpaint", "mask"),
    "piapi": (PiAPI(), "face_swap", "target_image"),
}
#: What an error says, and the word for it in the table.
WORDS = {
    "is an animation": "refused: animation",
    "neither a picture": "refused: type",
    "are taken": "refused: type",
    "over 2048": "refused: size",
    "cannot be opened": "refused: cannot be opened",
    "which of them is white": "refused: values",
}


def everything():
    return {**odd(), **packaged()}


def outcome(data, place, preflight):
    vendor, kind, name = PLACES[place]
    prepared = MediaPreparer(vendor, preflight)
    try:
        sent, _ = prepared.arguments(vendor.kind(kind).media, {name: Image(data)})
    except FaceSwapError as error:
        return next((word for text, word in WORDS.items() if text in str(error)), str(error))
    made = next(iter(prepared.uploads.values()), None) or base64.b64decode(sent[name].partition(",")[2])
    if made == data:
        return "as it is"
    if made == without_metadata(Image(data)).data:
        return "without metadata"
    after = Image(made)
    assert after.structure.flaw is None
    return f"{after.media.suffix[1:]} {'x'.join(map(str, after.structure.size))}"


def row(name, data):
    image = Image(data)
    size = "x".join(map(str, image.structure.size)) if image.structure.size else "?"
    what = image.media.suffix[1:] if image.media else "?"
    cells = [outcome(data, place, preflight) for place in PLACES for preflight in ("auto", "fit")]
    return " | ".join(
        text.ljust(width) for text, width in zip((name, f"{what} {size}", *cells), WIDTHS, strict=True)
    )


HEADS = ("file", "is", *(f"{place} {preflight}" for place in PLACES for preflight in ("auto", "fit")))
WIDTHS = (39, 15, *[25] * 6)


@cache
def table():
    lines = [" | ".join(text.ljust(width) for text, width in zip(HEADS, WIDTHS, strict=True))]
    lines += [row(name, data) for name, data in everything().items()]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def test_the_table_shows_what_becomes_of_each_file():
    if os.environ.get("FACESWAP_WRITE_TABLE"):
        TABLE.write_text(table(), encoding="utf-8")
    names = [*everything(), HEADS[0]]
    kept = [
        line
        for line in TABLE.read_text(encoding="utf-8").splitlines()
        if line.split(" | ")[0].strip() in names
    ]
    assert table().splitlines() == kept


def test_there_are_at_least_sixty_files_with_photographs_and_odd_ones():
    assert len(everything()) >= 60
    assert {"scikit-image: astronaut.png", "scikit-image: retina.jpg"} <= packaged().keys()


@pytest.mark.parametrize(
    "name", [name for name, data in everything().items() if Image(data).media is not None]
)
def test_every_file_of_a_known_type_is_whole_and_a_third_of_it_is_not(name):
    data = everything()[name]
    found = Image(data).structure
    assert (found.flaw, found.size is None) == (None, False)
    assert Image(data[: len(data) // 3]).structure.flaw
