"""Whether a sound, a video in Matroska or Ogg, or a 3D model is whole, by its own structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_faceswap.foundation.file_parts import FlawError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_faceswap.foundation.file_parts import Reader


def _wav(reader: Reader) -> None:
    size = int.from_bytes(reader.at(4, 4), "little")
    # A program that writes to a pipe does not know the size.
    if size not in {0, 0xFFFFFFFF} and 8 + size > reader.length + size % 2:
        raise reader.cut()


def _ebml(reader: Reader) -> None:
    """WebM and Matroska (RFC 8794, RFC 9559): elements with a known size are whole."""
    at, count = 0, 0
    while at < reader.length:
        head = reader.some(at, 12)
        name = _vint_length(head[0])
        size = _vint_length(head[name]) if name < len(head) else 9
        if name + size > len(head):
            if len(head) < 12:
                raise reader.cut()
            # This is no element, so nothing can be said of the rest.
            return
        content = int.from_bytes(head[name : name + size], "big") & ((1 << 7 * size) - 1)
        count += 1
        if content == (1 << 7 * size) - 1:
            # A live stream, which may end anywhere.
            return
        at += name + size + content
    if at > reader.length or count < 2:
        raise reader.cut()


def _vint_length(first: int) -> int:
    """Bytes of a number of variable length that begins with this byte; 9 for none."""
    return 9 - first.bit_length()


def _ogg(reader: Reader) -> None:
    """Ogg (RFC 3533): the last page is whole."""
    at = 0
    while at < reader.length:
        head = reader.at(at, 27)
        if head[:4] != b"OggS":
            raise FlawError("has a damaged page")
        at += 27 + head[26] + sum(reader.at(at + 27, head[26]))
    if at > reader.length:
        raise reader.cut()


def _glb(reader: Reader) -> None:
    """GLB (glTF 2.0, section 4.4): the header has the length."""
    if int.from_bytes(reader.at(8, 4), "little") > reader.length:
        raise reader.cut()


def _mp3(reader: Reader) -> None:
    """MP3: the tag before the sound is whole, and the size in an Xing header is there. Others do not say their size."""
    head, at = reader.some(0, 10), 0
    if head.startswith(b"ID3"):
        at = 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(reader.at(6, 4))))
    frame = reader.at(at, 4) + reader.some(at + 4, 60)
    mark = max(frame.find(b"Xing"), frame.find(b"Info"))
    if mark > 0 and len(frame) >= mark + 16 and frame[mark + 7] & 2:
        size_at = mark + 8 + (4 if frame[mark + 7] & 1 else 0)
        if at + int.from_bytes(frame[size_at : size_at + 4], "big") > reader.length:
            raise reader.cut()


def _flac(reader: Reader) -> None:
    """FLAC (RFC 9639): its metadata are whole, and sound follows. A frame does not say its size."""
    at, last = 4, 0
    while not last:
        head = reader.at(at, 4)
        last, at = head[0] & 0x80, at + 4 + int.from_bytes(head[1:], "big")
    reader.at(at, 2)


EXAMINERS: dict[str, Callable[[Reader], None]] = {
    **dict.fromkeys(("video/webm", "video/matroska"), _ebml),
    **dict.fromkeys(("audio/ogg", "video/ogg"), _ogg),
    "audio/wav": _wav,
    "audio/mpeg": _mp3,
    "audio/flac": _flac,
    "model/gltf-binary": _glb,
}
