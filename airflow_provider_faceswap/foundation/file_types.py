"""Media types, recognised by a file's first bytes and not by its name or an HTTP header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable

#: Number of bytes that :func:`sniff` needs.
HEAD = 16


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type and the suffix its files usually have."""

    name: str
    suffix: str

    @property
    def is_picture(self) -> bool:
        """False for a video."""
        return self.name.startswith("image/")


#: Brands of still pictures in an MP4 container. They are not supported.
_STILLS = frozenset({b"heic", b"heix", b"mif1", b"msf1"})

_SIGNATURES: tuple[tuple[Callable[[bytes], bool], MediaType], ...] = (
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), MediaType("image/png", ".png")),
    (lambda head: head.startswith(b"\xff\xd8\xff"), MediaType("image/jpeg", ".jpg")),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", MediaType("image/webp", ".webp")),
    (lambda head: head.startswith((b"GIF87a", b"GIF89a")), MediaType("image/gif", ".gif")),
    (lambda head: head[4:12] in {b"ftypavif", b"ftypavis"}, MediaType("image/avif", ".avif")),
    (lambda head: head[4:8] == b"ftyp" and head[8:12] not in _STILLS, MediaType("video/mp4", ".mp4")),
    (lambda head: head.startswith(b"\x1a\x45\xdf\xa3"), MediaType("video/webm", ".webm")),
)


def sniff(head: bytes) -> MediaType | None:
    """
    The media type of a picture or a video.

    :param head: Its first 16 bytes.
    :returns: ``None`` for anything else, such as an error page.
    """
    return next((media for matches, media in _SIGNATURES if matches(head)), None)


def dimensions(file: BinaryIO) -> tuple[int, int] | None:
    """
    Width and height of a picture, read from its header.

    :param file: At any position; it is left at its beginning.
    :returns: ``None`` if the header does not say.
    """
    import imagesize

    file.seek(0)
    try:
        width, height = imagesize.get(file)
    except (ValueError, OSError):
        width, height = -1, -1
    file.seek(0)
    return (int(width), int(height)) if width > 0 and height > 0 else None
