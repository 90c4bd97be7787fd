"""Whether a file made of ISO boxes is whole, and the size of the picture in it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from airflow_provider_faceswap.foundation.file_parts import NO_BOX, FlawError, iso_boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_faceswap.foundation.file_parts import Part, Reader


def _picture(reader: Reader) -> Iterator[tuple[int, int]]:
    """HEIF and AVIF (ISO/IEC 23008-12): the size is that of the primary item."""
    kinds = set[bytes]()
    for box in iso_boxes(reader):
        if box.kind == b"meta" and b"meta" not in kinds:
            parts = _by_kind(reader, box.data + 4, box.end)
            kinds |= parts.keys() & {b"idat"}
            if size := _primary_size(reader, parts):
                yield size
        kinds.add(box.kind)
    if not kinds & {b"meta", b"moov"} or not kinds & {b"mdat", b"idat"}:
        raise FlawError("has no picture data")


def _by_kind(reader: Reader, at: int, end: int) -> dict[bytes, Part]:
    return {box.kind: box for box in iso_boxes(reader, at, end)}


def _content(reader: Reader, box: Part) -> bytes:
    return reader.at(box.data, box.end - box.data)


def _primary_size(reader: Reader, meta: dict[bytes, Part]) -> tuple[int, int] | None:
    """
    The size of the primary item, rotated as its properties say.

    Every step of a loop uses up bytes of a box that is in memory, so the work is bounded.
    """
    if not meta.keys() >= {b"iprp", b"pitm"}:
        return None
    primary = _content(reader, meta[b"pitm"])
    item = int.from_bytes(primary[4:8] if primary[:1] != b"\0" else primary[4:6], "big")
    properties = _by_kind(reader, meta[b"iprp"].data, meta[b"iprp"].end)
    if not properties.keys() >= {b"ipco", b"ipma"}:
        return None
    known = list(iso_boxes(reader, properties[b"ipco"].data, properties[b"ipco"].end))
    positions = _positions(_content(reader, properties[b"ipma"]), item)
    own = [known[position - 1] for position in positions if 0 < position <= len(known)]
    found = next((box for box in own if box.kind == b"ispe"), None)
    if found is None:
        return None
    width, height = struct.unpack(">II", reader.at(found.data + 4, 8))
    turned = any(box.kind == b"irot" and reader.at(box.data, 1)[0] % 2 for box in own)
    return (height, width) if turned else (width, height)


def _positions(links: bytes, item: int) -> list[int]:
    """The positions of an item's properties, from 1, as the box ``ipma`` lists them."""
    if len(links) < 8:
        return []
    id_bytes, link_bytes = 4 if links[0] else 2, 1 + (links[3] & 1)
    at = 8
    while at + id_bytes < len(links):
        name, count = int.from_bytes(links[at : at + id_bytes], "big"), links[at + id_bytes]
        at += id_bytes + 1
        if name == item:
            places = range(at, at + count * link_bytes, link_bytes)
            # The first bit says that a property is essential.
            mask = (1 << 8 * link_bytes - 1) - 1
            return [int.from_bytes(links[place : place + link_bytes], "big") & mask for place in places]
        at += count * link_bytes
    return []


def _jpeg_2000(reader: Reader) -> Iterator[tuple[int, int]]:
    """JPEG 2000 (ISO/IEC 15444-1 Annex I)."""
    kinds = set[bytes]()
    for box in iso_boxes(reader):
        kinds.add(box.kind)
        header = _by_kind(reader, box.data, box.end).get(b"ihdr") if box.kind == b"jp2h" else None
        if header is not None:
            height, width = struct.unpack(">II", reader.at(header.data, 8))
            yield width, height
    if b"jp2c" not in kinds:
        raise FlawError("has no picture data")


def _tracks(reader: Reader) -> None:
    """MP4, QuickTime and M4A: every box is whole, and one describes the tracks."""
    kinds = {box.kind for box in iso_boxes(reader)}
    # After something that is no box, nothing can be said.
    if not kinds & {b"moov", NO_BOX}:
        raise FlawError("has no description of its tracks")


EXAMINERS: dict[str, Callable[[Reader], Iterable[tuple[int, int]] | None]] = {
    **dict.fromkeys(
        ("image/avif", "image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"), _picture
    ),
    "image/jp2": _jpeg_2000,
    **dict.fromkeys(("video/mp4", "video/3gpp", "video/quicktime", "audio/mp4"), _tracks),
}
