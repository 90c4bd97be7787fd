from __future__ import annotations

import cv2
import numpy as np
import pytest

from airflow_provider_faceswap.sandbox.drawing.people import Person
from airflow_provider_faceswap.sandbox.drawing.pictures import decode
from airflow_provider_faceswap.sandbox.drawing.portraits import draw_portrait
from airflow_provider_faceswap.sandbox.drawing.samples import draw_sample
from airflow_provider_faceswap.sandbox.drawing.swapping import find_faces, swap, swap_several
from airflow_provider_faceswap.sandbox.output import JobFailedError

WORDS = ("", "smile", "glasses", "beard", "night", "sunset", "black", "night glasses beard")


@pytest.mark.slow
@pytest.mark.parametrize("words", WORDS)
def test_every_portrait_shows_one_face(words):
    sizes = [(320, 320), (240, 336), (400, 225), (300, 420)]
    counts = [
        len(find_faces(draw_portrait(f"{words} person {seed}", *size))) for seed, size in enumerate(sizes * 2)
    ]
    assert counts == [1] * 8


def test_a_hard_portrait_is_still_found():
    # Dark, bearded and behind glasses: the picture that once escaped the detector.
    assert len(find_faces(draw_portrait("night glasses beard person 23", 512, 512))) == 1


def test_the_same_words_give_the_same_person_and_others_another():
    one, same = draw_portrait("anna", 200, 240), draw_portrait("anna", 200, 240)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, draw_portrait("anna", 200, 240, take=1))
    assert not np.array_equal(one, draw_portrait("anna", 200, 240, mood=1))
    assert len({Person(f"person {seed}").skin for seed in range(30)}) > 20
    assert len({Person(f"person {seed}").hair_style for seed in range(60)}) == 5


def test_words_matter():
    assert Person("a man with beard").beard
    assert Person("glasses please").glasses
    assert Person("smile").smile == 1
    assert (Person("at night").scene, Person("sunset").scene) == ("night", "sunset")
    red, blue = Person("in red").clothes, Person("in blue").clothes
    assert red[2] > red[0]
    assert blue[0] > blue[2]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_groups_show_as_many_faces(count):
    faces = find_faces(decode(draw_sample(f"group-{count}.jpg").data))
    assert len(faces) == count
    assert [face.x for face in faces] == sorted(face.x for face in faces)


def test_a_landscape_shows_none_and_odd_names_give_nothing():
    assert find_faces(decode(draw_sample("landscape.jpg").data)) == []
    assert [draw_sample(name) for name in ("x.gif", "other.mp4", "a b.png", "..png")] == [None] * 4


def test_a_swap_looks_more_like_the_donor_and_has_a_face():
    receiver, donor = draw_portrait("anna", 384, 460), draw_portrait("boris", 384, 460)
    swapped = swap(receiver, donor)
    assert len(find_faces(swapped)) == 1
    place, origin = find_faces(receiver)[0], find_faces(donor)[0]

    def outline(picture, face):
        """The lines of a face, wherever it is in its picture."""
        rows = slice(round(face.y + face.side * 0.3), round(face.y + face.side * 0.85))
        columns = slice(round(face.x + face.side * 0.25), round(face.x + face.side * 0.75))
        grey = cv2.resize(cv2.cvtColor(picture[rows, columns], cv2.COLOR_BGR2GRAY), (100, 110))
        return cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 2), cv2.CV_32F).ravel()

    like_donor = np.corrcoef(outline(swapped, place), outline(donor, origin))[0, 1]
    like_receiver = np.corrcoef(outline(swapped, place), outline(receiver, place))[0, 1]
    assert like_donor > 0.8 > like_receiver
    gentle = swap(receiver, donor, 0.3).astype(int)
    full = swapped.astype(int)
    assert np.abs(gentle - receiver).mean() < np.abs(full - receiver).mean()


def test_swaps_without_faces_fail():
    nobody, somebody = decode(draw_sample("landscape.jpg").data), draw_portrait("anna", 300, 360)
    for pair in ((nobody, somebody), (somebody, nobody)):
        with pytest.raises(JobFailedError, match="no face"):
            swap(*pair)
        with pytest.raises(JobFailedError, match="no face"):
            swap_several(*pair, None)
    assert swap_several(somebody, somebody, None).shape == somebody.shape


def test_damaged_pictures_are_refused():
    with pytest.raises(JobFailedError, match="damaged"):
        decode(draw_sample("anna.png").data[:40])
    with pytest.raises(JobFailedError, match="not a png"):
        decode(b"GIF89a")
