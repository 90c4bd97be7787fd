"""The output of a job: files of known formats, or a failure."""

from __future__ import annotations

from dataclasses import dataclass

#: Media type of a file, by the suffix of its name.
MEDIA_TYPES = {
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "mp4": "video/mp4",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "glb": "model/gltf-binary",
}


class JobFailedError(Exception):
    """A job fails; the text is what a vendor would show."""


@dataclass(frozen=True)
class Output:
    """One finished file.

    :param data: the bytes.
    :param suffix: a key of :data:`MEDIA_TYPES`.
    """

    data: bytes
    suffix: str


def format_of(data: bytes) -> str | None:
    """Format by the first bytes: ``png``, ``jpg``, ``webp``, ``mp4`` or ``None``."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "mp4" if data[4:8] == b"ftyp" else None
