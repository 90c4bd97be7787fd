"""
What a file says about the place and time of a picture and about its author: it is removed without decoding the picture.

Whatever only describes the picture goes: EXIF, XMP, IPTC, comments, the user data of a video, and data after the end of a
picture. What is needed to show it stays, such as its colour profile.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_faceswap.foundation.file_parts import (
    FlawError,
    Reader,
    gif_blocks,
    iso_boxes,
    jpeg_segments,
    png_chunks,
    riff_chunks,
)
from airflow_provider_faceswap.media.image import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_faceswap.foundation.file_parts import Part

#: The EXIF field for the camera's orientation, and its values for a picture that is not upright.
_ORIENTATION, TURNED = 0x0112, range(2, 9)
_XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:>|=["'])([0-9])""")
#: Chunks of a PNG that are needed to show it, besides those whose type begins with a capital letter.
_PNG_KEPT = frozenset(
    b"tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT acTL fcTL fdAT".split()
)
#: Application blocks of a GIF that are needed to show it.
_GIF_KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")
#: Boxes of an ISO file that hold others, and those that only describe.
_ISO_PARENTS, _ISO_NOTES = frozenset({b"moov", b"trak"}), frozenset({b"udta", b"uuid", b"xml "})


@dataclass
class _Notes:
    """
    What a file has of metadata.

    :ivar places: Begin and end of the bytes to leave out.
    :ivar erased: Begin and end of the bytes to overwrite, in a file whose parts refer to each other by position.
    """

    exif: bytes = b""
    xmp: bytes = b""
    places: list[tuple[int, int]] = field(default_factory=list)
    erased: list[tuple[int, int, bytes]] = field(default_factory=list)


def orientation_of(image: Image) -> int:
    """The orientation in the metadata of a JPEG, PNG or WebP; 1, which is upright, if it says nothing valid."""
    notes = _notes_of(image)
    found = _in_exif(notes.exif.removeprefix(b"Exif\0\0"))
    if found == 0 and (named := _XMP_ORIENTATION.search(notes.xmp)):
        found = int(named[1])
    return found if found in TURNED else 1


def without_metadata(image: Image) -> Image:
    """
    The same picture or video without metadata.

    A JPEG that is not upright keeps its orientation.

    :returns: The same object if there are none, or if its type is not known.
    """
    notes = _notes_of(image)
    if not notes.places and not notes.erased:
        return image
    data = bytearray(image.data)
    for start, end, instead in notes.erased:
        data[start:end] = instead.ljust(end - start, b"\0")
    for start, end in reversed(notes.places):
        del data[start:end]
    if image.media is not None and image.media.name == "image/webp":
        data[4:8] = struct.pack("<I", len(data) - 8)
        if data[12:16] == b"VP8X":
            data[20] &= ~0x0C
    if image.media is not None and image.media.name == "image/jpeg" and (turn := orientation_of(image)) != 1:
        tiff = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", _ORIENTATION, 3, 1, turn, 0) + bytes(4)
        data[2:2] = b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff
    return Image(bytes(data))


def _notes_of(image: Image) -> _Notes:
    notes = _Notes()
    find = _FINDERS.get(image.media.name) if image.media is not None else None
    if find is not None:
        try:
            find(Reader(io.BytesIO(image.data)), notes)
        except FlawError:
            # A file that is not whole is refused where files are checked.
            return _Notes()
    return notes


def _in_exif(tiff: bytes) -> int:
    """The orientation in the first directory of EXIF data; 0 if it has none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    try:
        if order is not None:
            (at,) = struct.unpack_from(f"{order}I", tiff, 4)
            (count,) = struct.unpack_from(f"{order}H", tiff, at)
            for place in range(at + 2, at + 2 + 12 * count, 12):
                tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, place)
                if (tag, kind) == (_ORIENTATION, 3):
                    return int(value)
    except struct.error:
        pass
    return 0


def _jpeg(reader: Reader, notes: _Notes) -> None:
    for segment in jpeg_segments(reader):
        marker, end = segment.kind[0], segment.end
        if marker == 0xD9:
            _after(reader, end, notes)
            return
        head = reader.some(segment.data, min(end - segment.data, 29))
        if marker == 0xE1 and head.startswith(b"Exif\0\0"):
            notes.exif = notes.exif or reader.at(segment.data, end - segment.data)
        elif marker == 0xE1:
            notes.xmp = notes.xmp or reader.at(segment.data, end - segment.data)
        # APP0 is JFIF, APP14 says how the colours are stored, and FE is a comment.
        is_note = 0xE1 <= marker <= 0xEF and marker != 0xEE and not head.startswith(b"ICC_PROFILE\0")
        if is_note or marker == 0xFE:
            notes.places.append((segment.start, end))


def _png(reader: Reader, notes: _Notes) -> None:
    end = 0
    for chunk in png_chunks(reader):
        end = chunk.end
        if chunk.kind == b"eXIf":
            notes.exif = reader.at(chunk.data, end - 4 - chunk.data)
        if not chunk.kind[:1].isupper() and chunk.kind not in _PNG_KEPT:
            notes.places.append((chunk.start, end))
    _after(reader, end, notes)


def _webp(reader: Reader, notes: _Notes) -> None:
    end = 0
    for chunk in riff_chunks(reader):
        end = min(chunk.end + (chunk.end - chunk.data) % 2, reader.length)
        if chunk.kind == b"EXIF":
            notes.exif = reader.at(chunk.data, chunk.end - chunk.data)
        elif chunk.kind == b"XMP ":
            notes.xmp = reader.at(chunk.data, chunk.end - chunk.data)
        if chunk.kind in {b"EXIF", b"XMP "}:
            notes.places.append((chunk.start, end))
    _after(reader, end, notes)


def _gif(reader: Reader, notes: _Notes) -> None:
    end = 0
    for block in gif_blocks(reader):
        end = block.end
        if block.kind == b"\xfe" or (
            block.kind == b"\xff" and reader.some(block.data + 1, 11) not in _GIF_KEPT
        ):
            notes.places.append((block.start, end))
    _after(reader, end, notes)


def _after(reader: Reader, end: int, notes: _Notes) -> None:
    """What is after the end of a picture, such as a video of the moment. Zeros say nothing."""
    at = end
    while block := reader.some(at, 1024 * 1024):
        if block.strip(b"\0"):
            notes.places.append((end, reader.length))
            return
        at += len(block)


def _iso(reader: Reader, notes: _Notes) -> None:
    """Videos, and pictures in JPEG 2000: boxes that describe become free space."""
    _erase_boxes(reader, 0, reader.length, notes, also=b"meta")


def _erase_boxes(reader: Reader, at: int, end: int, notes: _Notes, *, also: bytes = b"") -> None:
    for box in iso_boxes(reader, at, end):
        if box.kind in _ISO_NOTES or box.kind == also:
            notes.erased += [(box.start + 4, box.start + 8, b"free"), (box.data, box.end, b"")]
        elif box.kind in _ISO_PARENTS:
            _erase_boxes(reader, box.data, box.end, notes, also=also)


def _heif(reader: Reader, notes: _Notes) -> None:
    """HEIF and AVIF: the items for EXIF and XMP get a type that nobody reads, and their content is overwritten."""
    _erase_boxes(reader, 0, reader.length, notes)
    for meta in iso_boxes(reader):
        if meta.kind != b"meta":
            continue
        boxes = {box.kind: box for box in iso_boxes(reader, meta.data + 4, meta.end)}
        if not boxes.keys() >= {b"iinf", b"iloc"}:
            continue
        at = boxes[b"iinf"].data
        items = set()
        for entry in iso_boxes(reader, at + (8 if reader.at(at, 1)[0] else 6), boxes[b"iinf"].end):
            width = 4 if reader.at(entry.data, 1)[0] > 2 else 2
            name, kind = struct.unpack(
                f">{'I' if width == 4 else 'H'}xx4s", reader.at(entry.data + 4, width + 6)
            )
            if kind in {b"Exif", b"mime"}:
                items.add(name)
                notes.erased.append((entry.data + 6 + width, entry.data + 10 + width, b"skip"))
        data_at = boxes[b"idat"].data if b"idat" in boxes else 0
        notes.erased += _extents(reader, boxes[b"iloc"], items, data_at)


def _extents(reader: Reader, iloc: Part, items: set[int], idat: int) -> list[tuple[int, int, bytes]]:
    """
    Where the content of items is, as the box ``iloc`` says.

    :raises FlawError: It says so in a way that is not used by real files.
    """
    data = reader.at(iloc.data, iloc.end - iloc.data)
    version = data[0]
    offset, length, base, index = data[4] >> 4, data[4] & 15, data[5] >> 4, data[5] & 15 if version else 0
    id_bytes = 4 if version > 1 else 2
    # Without a size, an extent takes no bytes, and there could be billions of them.
    if not offset + length or not {offset, length, base, index} <= {0, 4, 8}:
        raise FlawError("has a damaged list of items")
    at = 6 + id_bytes
    found = []

    def number(count: int) -> int:
        nonlocal at
        at += count
        if at > len(data):
            raise FlawError("has a damaged list of items")
        return int.from_bytes(data[at - count : at], "big")

    while at < len(data):
        name = number(id_bytes)
        method = number(2) & 15 if version else 0
        number(2)
        begin = number(base) + (idat if method == 1 else 0)
        for _ in range(number(2)):
            number(index)
            start = begin + number(offset)
            end = start + number(length)
            if name in items and start < end <= reader.length:
                found.append((start, end, b""))
    return found


_FINDERS: dict[str, Callable[[Reader, _Notes], None]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/webp": _webp,
    "image/gif": _gif,
    **dict.fromkeys(("image/jp2", "video/mp4", "video/quicktime", "video/3gpp", "audio/mp4"), _iso),
    **dict.fromkeys(
        ("image/avif", "image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"), _heif
    ),
}
