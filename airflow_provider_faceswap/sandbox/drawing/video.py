"""Face swaps in short MP4 videos."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from airflow_provider_faceswap.sandbox.drawing.encoding import as_picture, format_of
from airflow_provider_faceswap.sandbox.drawing.swapping import NO_FACE, blend, find_faces, largest
from airflow_provider_faceswap.sandbox.server.state import JobFailedError, Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_faceswap.sandbox.drawing.encoding import Picture

MOST_FRAMES = 600
"""Longest video PiAPI takes, in frames."""


def swap_video(video: bytes, donor: Picture) -> Output:
    """The video with the donor's face in every frame that shows one.

    :param video: bytes of an MP4 file.
    :raises JobFailedError: if it is no video, is too long, or shows no face at all.
    """
    source = largest(find_faces(donor))
    if format_of(video) != "mp4":
        raise JobFailedError("failed to get valid video")
    with tempfile.TemporaryDirectory(prefix="sandbox-video-") as folder:
        given = Path(folder) / "given.mp4"
        given.write_bytes(video)
        swapped = 0
        frames: list[Picture] = []
        rate = frame_rate(given)
        for number, picture in enumerate(read_frames(given)):
            if number >= MOST_FRAMES:
                raise JobFailedError(f"the video has more than {MOST_FRAMES} frames")
            faces = find_faces(picture)
            swapped += bool(faces)
            frames.append(blend(picture, largest(faces), donor, source) if faces else picture)
        if not frames:
            raise JobFailedError("failed to get valid video")
        if not swapped:
            raise JobFailedError(NO_FACE)
        return write_video(frames, rate)


def frame_rate(path: Path) -> float:
    """Frames per second of a video file; 24 if it does not say."""
    capture = cv2.VideoCapture(str(path))
    try:
        return float(capture.get(cv2.CAP_PROP_FPS)) or 24.0
    finally:
        capture.release()


def read_frames(path: Path) -> Iterator[Picture]:
    """The pictures of a video file, one after another."""
    capture = cv2.VideoCapture(str(path))
    try:
        while True:
            there, picture = capture.read()
            if not there:
                return
            yield as_picture(picture)
    finally:
        capture.release()


def write_video(frames: list[Picture], rate: float) -> Output:
    """An MP4 file of the pictures, all of one size.

    :param rate: frames per second.
    """
    height, width = frames[0].shape[:2]
    with tempfile.TemporaryDirectory(prefix="sandbox-video-") as folder:
        path = Path(folder) / "made.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
        try:
            for picture in frames:
                writer.write(picture)
        finally:
            writer.release()
        return Output(path.read_bytes(), "mp4")
