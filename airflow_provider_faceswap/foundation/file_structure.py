"""
What a file's own structure says: whether it is whole, and the size of its picture.

Nothing is decoded, and the work is bounded by :class:`~airflow_provider_faceswap.foundation.file_parts.Reader`, because the
bytes come from strangers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

from airflow_provider_faceswap.foundation import iso_structure, stream_structure
from airflow_provider_faceswap.foundation.file_parts import (
    FlawError,
    Reader,
    gif_blocks,
    jpeg_segments,
    png_checksum_is_right,
    png_chunks,
    riff_chunks,
)
from airflow_provider_faceswap.foundation.file_types import HEAD, MediaType, sniff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: JPEG markers of a frame header, which has the picture's size.
_FRAMES = frozenset(bytes([marker]) for marker in range(0xC0, 0xD0)) - {b"\xc4", b"\xc8", b"\xcc"}


@dataclass(frozen=True, slots=True)
class Structure:
    """
    What the structure of a file says.

    :param media: Its type; ``None`` if it is not one of the known types.
    :param size: Width and height of a picture in pixels; ``None`` for another file, or if its header does not say.
    :param flaw: Why the file is not whole, as the end of a sentence; ``None`` if it is, or if its type cannot say.
    """

    media: MediaType | None
    size: tuple[int, int] | None = None
    flaw: str | None = None


def examine(file: BinaryIO) -> Structure:
    """
    Read the structure of a file.

    :param file: At any position; it is left at its beginning.
    """
    file.seek(0)
    media = sniff(file.read(HEAD))
    size, flaw = None, None
    try:
        for size in (_EXAMINERS[media.name](Reader(file)) if media is not None else None) or ():
            if 0 in size:
                return Structure(media, flaw=f"has {size[0]} x {size[1]} pixels")
    except FlawError as error:
        flaw = str(error)
    finally:
        file.seek(0)
    return Structure(media, size, flaw)


def dimensions(file: BinaryIO) -> tuple[int, int] | None:
    """
    Width and height of a picture, read from its header.

    :param file: At any position; it is left at its beginning.
    :returns: ``None`` if the header does not say.
    """
    return examine(file).size


def _png(reader: Reader) -> Iterator[tuple[int, int]]:
    kinds = set[bytes]()
    for chunk in png_chunks(reader):
        if not kinds:
            if chunk.kind != b"IHDR" or chunk.end - chunk.data != 17:
                raise FlawError("has no header")
            yield _two(reader.at(chunk.data, 8), "big")
        # Decoders ignore a damaged chunk whose type begins with a small letter.
        if chunk.kind[:1].isupper() and not png_checksum_is_right(reader, chunk):
            raise FlawError(f"is damaged: the checksum of its part {chunk.kind.decode('latin-1')!r} is wrong")
        kinds.add(chunk.kind)
    if b"IDAT" not in kinds:
        raise FlawError("has no picture data")


def _jpeg(reader: Reader) -> Iterator[tuple[int, int]]:
    framed = scanned = False
    for segment in jpeg_segments(reader):
        if segment.kind in _FRAMES and not framed:
            height, width = _two(reader.at(segment.data + 1, 4), "big")
            framed = True
            yield width, height
        scanned |= segment.kind == b"\xda"
    if not (framed and scanned):
        raise FlawError("has no picture data")


def _gif(reader: Reader) -> Iterator[tuple[int, int]]:
    yield _two(reader.at(6, 4), "little")
    if b"," not in {block.kind for block in gif_blocks(reader)}:
        raise FlawError("has no picture data")


def _webp(reader: Reader) -> Iterator[tuple[int, int]]:
    kinds = set[bytes]()
    for chunk in riff_chunks(reader):
        if not kinds and (size := _webp_size(chunk.kind, reader.some(chunk.data, 10))):
            yield size
        kinds.add(chunk.kind)
    if not kinds & {b"VP8 ", b"VP8L", b"ANMF"}:
        raise FlawError("has no picture data")


def _webp_size(kind: bytes, data: bytes) -> tuple[int, int] | None:
    """The size in a chunk's first ten bytes (RFC 9649, RFC 6386)."""
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if kind == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        width, height = _two(data[6:10], "little")
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and data[:1] == b"\x2f":
        bits = int.from_bytes(data[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def _two(data: bytes, order: Literal["big", "little"]) -> tuple[int, int]:
    """Two numbers of equal length."""
    half = len(data) // 2
    return int.from_bytes(data[:half], order), int.from_bytes(data[half:], order)


_EXAMINERS: dict[str, Callable[[Reader], Iterable[tuple[int, int]] | None]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
    **iso_structure.EXAMINERS,
    **stream_structure.EXAMINERS,
}
