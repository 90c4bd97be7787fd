"""Finding faces, and putting one person's face on another's head, in pictures and in videos."""

from __future__ import annotations

import tempfile
import threading
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from airflow_provider_faceswap.sandbox.drawing.canvas import oval
from airflow_provider_faceswap.sandbox.drawing.pictures import Picture, as_picture
from airflow_provider_faceswap.sandbox.output import JobFailedError, Output

#: Longest video that is taken, in frames.
_MOST_FRAMES = 600
NO_FACE = "no face found in the image"
#: Faces are searched in a reduced picture of so many pixels; a share of its shorter side is the smallest face.
_SEARCH_AREA, _SMALLEST_SHARE = 80_000, 0.12


class Face(NamedTuple):
    """A square around a face, in pixels of its picture."""

    x: float
    y: float
    side: float


@lru_cache(maxsize=16)
def _cascade(_thread: int) -> cv2.CascadeClassifier:
    """Each thread's own cascade: one that threads share finds faces where there are none."""
    return cv2.CascadeClassifier(f"{Path(cv2.__file__).parent}/data/haarcascade_frontalface_alt2.xml")


def find_faces(picture: Picture) -> list[Face]:
    """The frontal faces in a picture, left to right."""
    height, width = picture.shape[:2]
    share = (_SEARCH_AREA / (height * width)) ** 0.5
    grey = cv2.cvtColor(cv2.resize(picture, None, fx=share, fy=share), cv2.COLOR_BGR2GRAY)
    smallest = max(24, int(_SMALLEST_SHARE * min(grey.shape)))
    # With lifted shadows first: the box then fits the face best, and dark pictures show one.
    for plane in (as_picture(np.sqrt(grey * 255.0)), cv2.equalizeHist(grey)):
        boxes = _cascade(threading.get_ident()).detectMultiScale(plane, 1.08, 3, minSize=(smallest, smallest))
        if len(boxes):
            return sorted(Face(x / share, y / share, side / share) for x, y, side, _ in boxes)
    return []


def largest_face(picture: Picture) -> Face:
    """The largest face in a picture.

    :raises JobFailedError: if there is none.
    """
    faces = find_faces(picture)
    if not faces:
        raise JobFailedError(NO_FACE)
    return max(faces, key=lambda face: face.side)


def swap(receiver: Picture, donor: Picture, strength: float = 1.0) -> Picture:
    """The receiver with the donor's face, on fully at strength 1; the largest face of each picture counts.

    :raises JobFailedError: if either picture shows no face.
    """
    return blend(receiver, largest_face(receiver), donor, largest_face(donor), strength)


def swap_several(receiver: Picture, donor: Picture, pairs: list[tuple[int, int]] | None) -> Picture:
    """The receiver with several faces of the donor picture.

    :param pairs: (donor face, receiver face), counted from 0 from the left; ``None`` pairs them in order.
    :raises JobFailedError: if a face is missing.
    """
    targets, sources = find_faces(receiver), find_faces(donor)
    for source, target in pairs or [(n, n) for n in range(max(1, min(len(targets), len(sources))))]:
        if source >= len(sources) or target >= len(targets):
            raise JobFailedError(f"{NO_FACE}: index {source},{target} of {len(sources)},{len(targets)} faces")
        receiver = blend(receiver, targets[target], donor, sources[source])
    return receiver


def blend(receiver: Picture, target: Face, donor: Picture, source: Face, strength: float = 1.0) -> Picture:
    """The receiver with one face replaced: moved, scaled, brought to the receiver's skin tone, with soft edges."""
    side, left, top = target.side, max(0, int(target.x)), max(0, int(target.y))
    # All work is done on the part of the picture around the face.
    part = receiver[top : int(target.y + side * 1.1), left : int(target.x + side)]
    scale, x, y = side / source.side, target.x - left, target.y - top
    move = np.array([[scale, 0.0, x - scale * source.x], [0.0, scale, y - scale * source.y]])
    moved = cv2.warpAffine(donor, move, part.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    egg, planes = oval(0, 0, 0.34, 0.38), np.zeros((2, *part.shape[:2]), np.uint8)
    egg[:, 0] *= 1 - np.maximum(egg[:, 1], 0)
    for plane, size in zip(planes, (0.6, 1.0), strict=True):
        cv2.fillPoly(plane, [((egg * size + (0.5, 0.54)) * side + (x, y)).astype(np.int32)], (255,))
    skin, mask = planes[0] > 0, cv2.GaussianBlur(planes[1], (0, 0), max(1.0, side * 0.04))
    lab = cv2.cvtColor(moved, cv2.COLOR_BGR2LAB).astype(np.float32)
    here = np.median(cv2.cvtColor(part, cv2.COLOR_BGR2LAB)[skin], axis=0)
    there = np.maximum(np.median(lab[skin], axis=0), 1.0)
    # Lightness is scaled, so that dark lines stay dark; colour is shifted, less where it is dark.
    lab[..., 1:] += (here - there)[1:] * np.minimum(lab[..., :1] / there[0], 1.0)
    lab[..., 0] *= np.clip(here[0] / there[0], 0.5, 1.6)
    toned = cv2.cvtColor(as_picture(lab), cv2.COLOR_LAB2BGR).astype(np.float32)
    result, share = receiver.copy(), mask[..., None] * (strength / 255)
    result[top : top + part.shape[0], left : left + part.shape[1]] = as_picture(part + (toned - part) * share)
    return result


def swap_video(video: bytes, donor: Picture) -> Output:
    """The MP4 video with the donor's face in every frame that shows one.

    :raises JobFailedError: if it is not a video, is too long, or shows no face at all.
    """
    source = largest_face(donor)
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        Path(file.name).write_bytes(video)
        capture = cv2.VideoCapture(file.name)
        frames: list[Picture] = []
        while len(frames) <= _MOST_FRAMES and (frame := capture.read()[1]) is not None:
            frames.append(frame)
        rate = capture.get(cv2.CAP_PROP_FPS) or 24.0
    if not 0 < len(frames) <= _MOST_FRAMES:
        raise JobFailedError("failed to get valid video")
    found = [find_faces(frame) for frame in frames]
    if not any(found):
        raise JobFailedError(NO_FACE)
    pairs = zip(frames, found, strict=True)
    swapped = [blend(frame, faces[0], donor, source) if faces else frame for frame, faces in pairs]
    return write_video(swapped, rate)


def write_video(frames: list[Picture], rate: float) -> Output:
    """An MP4 file of frames of one size; ``rate`` is frames per second."""
    size = frames[0].shape[1::-1]
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        writer = cv2.VideoWriter(file.name, cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
        for frame in frames:
            writer.write(frame)
        writer.release()
        return Output(Path(file.name).read_bytes(), "mp4")
