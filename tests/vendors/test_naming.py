"""Target and face: the vendors' words for them clash, and a swap the wrong way round is paid all the same."""

from __future__ import annotations

import pytest

from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai

TARGET = "https://pictures.test/target.jpg"
FACE = "https://pictures.test/face.jpg"
VIDEO = "https://pictures.test/target.mp4"

#: vendor, kind, the word for the picture that is changed, the word for the one that donates its face
WORDS = [
    (GPTunnel(), "face_swap", "sourceImage", "faceImage"),
    (Tengrai(), "face_swap", "targetImage", "sourceImage"),
    (PiAPI(), "face_swap", "target_image", "swap_image"),
    (PiAPI(), "multi_face_swap", "target_image", "swap_image"),
]


@pytest.mark.parametrize(
    ("vendor", "kind", "target_word", "face_word"), WORDS, ids=[f"{row[0].name}-{row[1]}" for row in WORDS]
)
def test_the_target_keeps_its_place_and_the_face_is_donated_under_the_words_of_the_vendor(
    vendor, kind, target_word, face_word
):
    body = vendor.submit(kind, {"target_image": TARGET, "face_image": FACE}).body
    pictures = body.get("input", body)
    assert pictures == {target_word: TARGET, face_word: FACE}


def test_the_source_image_of_one_vendor_is_the_opposite_of_the_others():
    arguments = {"target_image": TARGET, "face_image": FACE}
    assert GPTunnel().submit("face_swap", arguments).body["sourceImage"] == TARGET
    assert Tengrai().submit("face_swap", arguments).body["sourceImage"] == FACE


def test_a_video_is_the_target_and_the_swap_image_donates_the_face():
    body = PiAPI().submit("video_face_swap", {"target_video": VIDEO, "face_image": FACE}).body
    assert body["input"] == {"target_video": VIDEO, "swap_image": FACE}


def test_the_face_lists_of_piapi_follow_the_same_words():
    """The target's positions go to ``target_faces_index``, the donor's to ``swap_faces_index``."""
    body = (
        PiAPI()
        .submit(
            "multi_face_swap",
            {"target_image": TARGET, "face_image": FACE, "target_faces": [2, 0], "source_faces": [1, 3]},
        )
        .body
    )
    assert body["input"]["target_faces_index"] == "2,0"
    assert body["input"]["swap_faces_index"] == "1,3"


@pytest.mark.parametrize("word", ["sourceImage", "faceImage", "targetImage", "swap_image", "source_image"])
@pytest.mark.parametrize("vendor", [GPTunnel(), Tengrai(), PiAPI()], ids=lambda vendor: vendor.name)
def test_the_words_of_the_wire_are_no_argument_names(vendor, word):
    with pytest.raises(ValueError, match=word):
        vendor.submit("face_swap", {"target_image": TARGET, "face_image": FACE, word: FACE})
