"""Limits of a vendor that are not certain: a picture or a video over one is sent, with a warning."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_faceswap.foundation.file_structure import dimensions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_faceswap.media.image import Image
    from airflow_provider_faceswap.vendors.kinds import Accepts

#: Boxes of an MP4 file that are looked at.
_MAX_BOXES = 10_000


class Video(NamedTuple):
    """What an MP4 file says about its picture; 0 for what it does not say."""

    width: int
    height: int
    frames: int


def doubts_about(image: Image, accepts: Accepts) -> list[str]:
    """
    The reasons why a vendor may refuse a picture or a video, although that is not certain.

    :returns: One text each, such as ``it has 700 frames, and at most 600 may be accepted``.
    """
    doubts = []
    if accepts.doubtful_bytes is not None and len(image.data) > accepts.doubtful_bytes:
        doubts.append(f"it has {len(image.data)} bytes, and at most {accepts.doubtful_bytes} may be accepted")
    if image.media is None:
        return doubts
    if image.media.is_picture:
        side = max(dimensions(image.file) or (0,))
        if accepts.doubtful_side is not None and side >= accepts.doubtful_side:
            doubts.append(
                f"a side has {side} pixels, and fewer than {accepts.doubtful_side} may be asked for"
            )
        return doubts
    video = read_mp4(image.data)
    lines = min(video.width, video.height)
    if accepts.doubtful_lines is not None and lines > accepts.doubtful_lines:
        doubts.append(
            f"it is {video.width} x {video.height}, and at most {accepts.doubtful_lines}p may be accepted"
        )
    if accepts.doubtful_frames is not None and video.frames > accepts.doubtful_frames:
        doubts.append(f"it has {video.frames} frames, and at most {accepts.doubtful_frames} may be accepted")
    return doubts


def read_mp4(data: bytes) -> Video:
    """Size and number of frames of the first video track, from the file's index (ISO 14496-12); a decoder is not needed."""
    inside = functools.partial(_inside, data, iter(range(_MAX_BOXES)))
    for track in inside((0, len(data)), b"moov", b"trak"):
        if not any(data[start + 8 : start + 12] == b"vide" for start, _ in inside(track, b"mdia", b"hdlr")):
            continue
        entries = [start for start, _ in inside(track, b"mdia", b"minf", b"stbl", b"stsd")]
        sizes = (
            [_number(data, start + 40, 2) for start in entries],
            [_number(data, start + 42, 2) for start in entries],
        )
        counts = [
            _number(data, start + 8, 4) for start, _ in inside(track, b"mdia", b"minf", b"stbl", b"stsz")
        ]
        return Video(max(sizes[0], default=0), max(sizes[1], default=0), max(counts, default=0))
    return Video(0, 0, 0)


def _inside(
    data: bytes, budget: Iterator[int], place: tuple[int, int], *path: bytes
) -> Iterator[tuple[int, int]]:
    """
    Beginning and end of the content of each box at a path.

    :param budget: Gives one value for each box that may still be looked at.
    """
    first, *rest = path
    start, end = place
    for _ in budget:
        size, header = _number(data, start, 4), 8
        if size == 1:
            size, header = _number(data, start + 8, 8), 16
        stop = end if size == 0 else start + size
        if start + header > end or stop > end or stop < start + header:
            return
        if data[start + 4 : start + 8] == first:
            content = start + header, stop
            if rest:
                yield from _inside(data, budget, content, *rest)
            else:
                yield content
        start = stop


def _number(data: bytes, start: int, length: int) -> int:
    return int.from_bytes(data[start : start + length])
