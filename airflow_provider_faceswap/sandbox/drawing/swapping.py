"""Finding faces and putting one person's face on another's head."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from airflow_provider_faceswap.sandbox.drawing.encoding import as_picture
from airflow_provider_faceswap.sandbox.server.state import JobFailedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_faceswap.sandbox.drawing.encoding import Picture

NO_FACE = "no face found in the image"
_SEARCH_SIDE = 416
_SMALLEST_SHARE = 0.085
_STRICT, _LENIENT = 6, 3
_LEAST_SIDE = 8
_TAPER = 0.3


@dataclass(frozen=True)
class Face:
    """A square around a face, in pixels of its picture."""

    x: float
    y: float
    side: float


_own = threading.local()


def _cascade() -> cv2.CascadeClassifier:
    """This thread's cascade: one shared by threads finds faces where there are none."""
    if not hasattr(_own, "cascade"):
        _own.cascade = _load_cascade()
    cascade: cv2.CascadeClassifier = _own.cascade
    return cascade


def _load_cascade() -> cv2.CascadeClassifier:
    # OpenCV 4 wheels bring the trained cascades along, so nothing is downloaded.
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"))


def find_faces(picture: Picture) -> list[Face]:
    """The frontal faces in a picture, left to right.

    :param picture: see :data:`~airflow_provider_faceswap.sandbox.drawing.encoding.Picture`.
    """
    height, width = picture.shape[:2]
    share = min(2.0, _SEARCH_SIDE / max(height, width))
    small = cv2.resize(
        picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    )
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    lifted = as_picture(255 * np.sqrt(grey / 255))
    smallest = max(24, int(_SMALLEST_SHARE * max(grey.shape)))
    # Dark pictures need their shadows lifted; the first plane that shows a face will do.
    for plane, neighbours in ((cv2.equalizeHist(grey), _STRICT), (lifted, _STRICT), (lifted, _LENIENT)):
        boxes = _cascade().detectMultiScale(
            plane, scaleFactor=1.08, minNeighbors=neighbours, minSize=(smallest, smallest)
        )
        if len(boxes):
            found = [Face(float(x) / share, float(y) / share, float(side) / share) for x, y, side, _ in boxes]
            return sorted(_apart(found), key=lambda face: face.x)
    return []


def _apart(faces: list[Face]) -> list[Face]:
    """The faces without those that lie mostly within a larger one."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda one: -one.side):
        middle = (face.x + face.side / 2, face.y + face.side / 2)
        inside = any(
            other.x < middle[0] < other.x + other.side and other.y < middle[1] < other.y + other.side
            for other in kept
        )
        if not inside:
            kept.append(face)
    return kept


def largest(faces: list[Face]) -> Face:
    """The largest face.

    :raises JobFailedError: if there is none.
    """
    if not faces:
        raise JobFailedError(NO_FACE)
    return max(faces, key=lambda face: face.side)


def swap(receiver: Picture, donor: Picture, strength: float = 1.0) -> Picture:
    """The receiver with the donor's face; of several faces the largest are taken.

    :param strength: 0 leaves the receiver as it is, 1 puts the donor's face on fully.
    :raises JobFailedError: if either picture shows no face.
    """
    target, source = largest(find_faces(receiver)), largest(find_faces(donor))
    return blend(receiver, target, donor, source, strength)


def swap_several(receiver: Picture, donor: Picture, pairs: list[tuple[int, int]] | None) -> Picture:
    """The receiver with several faces of the donor picture.

    :param pairs: (donor face, receiver face), counted from 0 from the left; ``None`` pairs them in order.
    :raises JobFailedError: if a face is missing.
    """
    targets, sources = find_faces(receiver), find_faces(donor)
    if not targets or not sources:
        raise JobFailedError(NO_FACE)
    if pairs is None:
        pairs = [(number, number) for number in range(min(len(targets), len(sources)))]
    for source, target in pairs:
        if source >= len(sources) or target >= len(targets):
            raise JobFailedError(f"{NO_FACE}: index {source},{target} of {len(sources)},{len(targets)} faces")
    picture = receiver
    for source, target in pairs:
        picture = blend(picture, targets[target], donor, sources[source])
    return picture


def blend(receiver: Picture, target: Face, donor: Picture, source: Face, strength: float = 1.0) -> Picture:
    """Put one face onto another.

    The donor's face is moved and scaled onto the target, cut out along an oval, and blended so that its
    edges take the light of the receiver's skin.

    :param strength: 0-1.
    """
    height, width = receiver.shape[:2]
    left, top = max(0, int(target.x)), max(0, int(target.y))
    right = min(width, math.ceil(target.x + target.side))
    bottom = min(height, math.ceil(target.y + target.side * 1.1))
    if right - left < _LEAST_SIDE or bottom - top < _LEAST_SIDE:
        raise JobFailedError(NO_FACE)
    # All work is done on the part of the picture around the face.
    part = np.ascontiguousarray(receiver[top:bottom, left:right])
    place = Face(target.x - left, target.y - top, target.side)
    scale = place.side / source.side
    move = np.array(
        [[scale, 0.0, place.x - scale * source.x], [0.0, scale, place.y - scale * source.y]], np.float64
    )
    size = (part.shape[1], part.shape[0])
    moved = as_picture(
        cv2.warpAffine(donor, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    )
    mask = _oval(part, place, 0.56, 0.325, 0.345)
    toned = _toned(moved, part, _oval(part, place, 0.6, 0.22, 0.2))
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, place.side * 0.03)).astype(np.float32) / 255
    matched = toned + _seam(toned, part, mask, place.side)
    share = soft[..., None] * strength
    result = receiver.copy()
    result[top:bottom, left:right] = as_picture(matched * share + part.astype(np.float32) * (1 - share))
    return result


def _oval(picture: Picture, face: Face, level: float, across: float, down: float) -> Picture:
    """Mask of an egg within a face's square, the point towards the chin; lengths are shares of its side."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    narrowing = 1 - _TAPER * np.clip(np.sin(angles), 0, 1)
    xs = face.x + face.side * (0.5 + across * narrowing * np.cos(angles))
    ys = face.y + face.side * (level + down * np.sin(angles))
    cv2.fillPoly(mask, [np.rint(np.stack([xs, ys], axis=1)).astype(np.int32)], (255,))
    return mask


def _toned(moved: Picture, receiver: Picture, skin: Picture) -> NDArray[np.float32]:
    """The moved face in the receiver's skin tone, judged by the middle of both faces."""
    lab = cv2.cvtColor(moved, cv2.COLOR_BGR2LAB).astype(np.float32)
    inside = skin > 0
    here = np.median(cv2.cvtColor(receiver, cv2.COLOR_BGR2LAB)[inside], axis=0).astype(np.float32)
    there = np.median(lab[inside], axis=0).astype(np.float32)
    # Lightness is scaled, so that dark lines stay dark; colour is shifted, less where it is dark.
    share = np.clip(lab[..., 0] / max(1.0, float(there[0])), 0, 1)[..., None]
    lab[..., 1:] += (here[1:] - there[1:]) * share
    lab[..., 0] *= np.clip(here[0] / max(1.0, float(there[0])), 0.5, 1.6)
    return np.asarray(cv2.cvtColor(as_picture(lab), cv2.COLOR_LAB2BGR), np.float32)


def _seam(toned: NDArray[np.float32], receiver: Picture, mask: Picture, side: float) -> NDArray[np.float32]:
    """What to add to the face so that it meets the receiver's skin along the edge of the mask.

    The difference along the edge is spread inwards; places that differ much (hair, ground) have no say.
    """
    width = max(3, round(side * 0.05)) | 1
    edge = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((width, width), np.uint8)) > 0
    difference = receiver.astype(np.float32) - toned
    trust = np.exp(-((np.abs(difference).mean(axis=2) / 22.0) ** 2)).astype(np.float32) * edge
    # What is spread this widely needs no full resolution.
    height, width = trust.shape
    size = (max(1, width // 4), max(1, height // 4))
    spread = side * 0.16 / 4
    weight = cv2.GaussianBlur(cv2.resize(trust, size, interpolation=cv2.INTER_AREA), (0, 0), spread)
    shares = cv2.resize(difference * trust[..., None], size, interpolation=cv2.INTER_AREA)
    total = cv2.GaussianBlur(shares, (0, 0), spread)
    addition = total / np.maximum(weight, 1e-3)[..., None]
    return np.asarray(cv2.resize(addition, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
