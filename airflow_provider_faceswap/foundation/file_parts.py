"""The parts that a file consists of, read with bounded work: a reader with a budget, and a walk for each container."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Reads for a file of any size, and bytes for which one more is allowed. Parts are larger in all real files.
_READS, _BYTES_PER_READ = 100_000, 100
#: Bytes of the largest part that is read as a whole.
_LARGEST = 1024 * 1024


class FlawError(Exception):
    """What is wrong with a file, as the end of a sentence that begins with the file's name."""


class Part(NamedTuple):
    """
    A chunk, segment, block or box.

    :param start: Where it begins, with its header.
    :param data: Where its content begins.
    :param end: The first byte after it.
    """

    kind: bytes
    start: int
    data: int
    end: int


class Reader:
    """
    A file that is read at given places, a limited number of times.

    :ivar length: Bytes of the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.length = file.seek(0, io.SEEK_END)
        self._reads = _READS + self.length // _BYTES_PER_READ

    def at(self, place: int, count: int) -> bytes:
        """
        Exactly so many bytes.

        :raises FlawError: The file ends before, or it was read too often.
        """
        if place + count > self.length:
            raise self.cut()
        return self.some(place, count)

    def some(self, place: int, count: int) -> bytes:
        """So many bytes, or fewer at the end of the file."""
        self._reads -= 1
        if self._reads < 0 or count > _LARGEST:
            raise FlawError("has more, or larger, parts than a real file")
        self._file.seek(place)
        return self._file.read(count)

    def cut(self) -> FlawError:
        """The flaw of a file that ends too early."""
        return FlawError(f"is cut off: it ends after {self.length} bytes, and more must follow")

    def part(self, kind: bytes, start: int, data: int, end: int) -> Part:
        """
        A part.

        :raises FlawError: The file ends before it does.
        """
        if end > self.length:
            raise self.cut()
        return Part(kind, start, data, end)


def png_chunks(reader: Reader) -> Iterator[Part]:
    """The chunks of a PNG (ISO/IEC 15948) up to IEND."""
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", reader.at(at, 8))
        yield reader.part(kind, at, at + 8, at + 12 + length)
        at += 12 + length


def png_checksum_is_right(reader: Reader, chunk: Part) -> bool:
    """Whether the checksum at the end of a chunk is that of its type and content."""
    found, at = 0, chunk.start + 4
    while at < chunk.end - 4:
        block = reader.at(at, min(_LARGEST, chunk.end - 4 - at))
        found, at = zlib.crc32(block, found), at + len(block)
    return found.to_bytes(4, "big") == reader.at(chunk.end - 4, 4)


#: A marker of a JPEG (ISO/IEC 10918-1) with the fill bytes before it. Data that are coded have only those of restarts.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
#: Markers without a length: TEM and SOI. EOI ends the file.
_BARE, _EOI = {b"\x01", b"\xd8"}, b"\xd9"


def jpeg_segments(reader: Reader) -> Iterator[Part]:
    """The segments of a JPEG up to EOI. What is between them is the coded picture."""
    at = 2
    while True:
        start, kind, data = _next_marker(reader, at)
        if kind == _EOI:
            yield Part(kind, start, data, data)
            return
        at = data
        if kind not in _BARE:
            length = int.from_bytes(reader.at(data, 2), "big")
            if length < 2:
                raise FlawError("has a damaged segment")
            at = data + length
            yield reader.part(kind, start, data + 2, at)


def _next_marker(reader: Reader, at: int) -> tuple[int, bytes, int]:
    """Where the next marker begins, which it is, and where it ends."""
    count = 64
    while at < reader.length:
        block = reader.some(at, count)
        if found := _MARKER.search(block):
            return at + found.start(), found[1], at + found.end()
        # Fill bytes at the end of a block belong to the marker in the next one.
        at += max(1, len(block) - (block[-1] == 0xFF))
        count = min(2 * count, _LARGEST)
    raise reader.cut()


def gif_blocks(reader: Reader) -> Iterator[Part]:
    """The blocks of a GIF (GIF89a, section 15 and following) up to the trailer: extensions by their label, pictures."""
    at = 13 + _colours(reader.at(10, 1)[0])
    while (mark := reader.at(at, 1)) != b";":
        start = at
        if mark == b"!":
            kind, at = reader.at(at + 1, 1), at + 2
        elif mark == b",":
            kind, at = mark, at + 11 + _colours(reader.at(at + 9, 1)[0])
        else:
            raise FlawError("has a damaged block")
        data = at
        while size := reader.at(at, 1)[0]:
            at += 1 + size
        at += 1
        yield reader.part(kind, start, data, at)
    yield Part(mark, at, at + 1, at + 1)


def _colours(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def riff_chunks(reader: Reader) -> Iterator[Part]:
    """The chunks of a RIFF file, such as WebP (RFC 9649)."""
    end = 8 + int.from_bytes(reader.at(4, 4), "little")
    at = 12
    while at + 8 <= end:
        kind, length = struct.unpack("<4sI", reader.at(at, 8))
        yield reader.part(kind, at, at + 8, at + 8 + length)
        # Some writers leave out the last padding byte.
        at += 8 + length + length % 2
    if at > end + 1:
        raise FlawError("has a damaged chunk")


#: The type of a box: four letters or digits. QuickTime also has the sign for copyright.
_BOX_TYPE = re.compile(rb"[\x20-\x7e\xa9]{4}")
#: Stands for the type of what is not a box.
NO_BOX = b""


def iso_boxes(reader: Reader, at: int = 0, end: int | None = None) -> Iterator[Part]:
    """
    The boxes (ISO/IEC 14496-12) between two places, by default all of the file.

    What follows the boxes and is none is one part of the kind :data:`NO_BOX`.
    """
    last = reader.length if end is None else end
    while at + 8 <= last:
        size, kind = struct.unpack(">I4s", reader.at(at, 8))
        if not _BOX_TYPE.fullmatch(kind):
            yield Part(NO_BOX, at, at, last)
            return
        data = at + 8
        if size == 1:
            size, data = int.from_bytes(reader.at(data, 8), "big"), data + 8
        stop = last if size == 0 else at + size
        if stop < data:
            raise FlawError("has a damaged box")
        yield reader.part(kind, at, data, stop)
        at = stop
