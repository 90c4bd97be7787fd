"""
Media types, recognised by a file's own bytes and not by its name or an HTTP header.

The tables are those of the formats' standards. The libraries that guess types know hundreds of formats by the first few
bytes, among them web pages and programs, and do not read the compatible brands of ISO files: to them an AVIF with the
major brand ``mif1`` is something else, and a raw photograph is a video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Number of bytes that :func:`sniff` uses at most. Fewer are enough for most types.
HEAD = 4096


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type and the suffix its files usually have."""

    name: str
    suffix: str

    @property
    def is_picture(self) -> bool:
        """False for a video, a sound and a 3D model."""
        return self.name.startswith("image/")

    @property
    def is_visible(self) -> bool:
        """True for a picture and a video."""
        return self.name.startswith(("image/", "video/"))


_AVIF = MediaType("image/avif", ".avif")
_HEIC = MediaType("image/heic", ".heic")
_HEIC_SEQUENCE = MediaType("image/heic-sequence", ".heics")
_HEIF = MediaType("image/heif", ".heif")
_HEIF_SEQUENCE = MediaType("image/heif-sequence", ".heifs")
_JP2 = MediaType("image/jp2", ".jp2")
_MP4 = MediaType("video/mp4", ".mp4")
_3GP = MediaType("video/3gpp", ".3gp")
_QUICKTIME = MediaType("video/quicktime", ".mov")
_M4A = MediaType("audio/mp4", ".m4a")
_WEBM = MediaType("video/webm", ".webm")
_MATROSKA = MediaType("video/matroska", ".mkv")
_OGG_AUDIO = MediaType("audio/ogg", ".ogg")
_OGG_VIDEO = MediaType("video/ogg", ".ogv")

#: Brands that name one type: ISO/IEC 14496-12 Annex E, 23008-12 (HEIF) and 15444-1 (JPEG 2000), the AV1 Image File
#: Format, and the registry at mp4ra.org.
_BRANDS: dict[bytes, MediaType] = {
    **dict.fromkeys((b"avif", b"avis", b"avio", b"MA1A", b"MA1B"), _AVIF),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), _HEIC),
    **dict.fromkeys((b"hevc", b"hevx", b"hevm", b"hevs"), _HEIC_SEQUENCE),
    b"jp2 ": _JP2,
    b"qt  ": _QUICKTIME,
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "), _M4A),
    **dict.fromkeys((b"3gp4", b"3gp5", b"3gp6", b"3gp7", b"3gp8", b"3gp9", b"3ge6", b"3gr6", b"3gs6"), _3GP),
    **dict.fromkeys((b"mp41", b"mp42", b"avc1", b"hvc1", b"av01", b"M4V ", b"M4VH", b"M4VP", b"F4V "), _MP4),
    **dict.fromkeys((b"f4v ", b"MSNV", b"dash", b"cmfc", b"cmf2", b"cmff", b"mp71", b"mmp4", b"XAVC"), _MP4),
    **dict.fromkeys((b"iso" + bytes([digit]) for digit in b"m23456789abc"), _MP4),
}
#: Brands that only say how a still picture is stored. A compatible brand may say which kind of picture it is.
_STRUCTURES = {
    **dict.fromkeys((b"mif1", b"mif2", b"miaf", b"1pic"), _HEIF),
    b"msf1": _HEIF_SEQUENCE,
}
#: The types that a compatible brand may choose for a file with one of these major brands.
_PICTURES = frozenset({_AVIF, _HEIC, _HEIC_SEQUENCE})


def _iso(head: bytes) -> MediaType | None:
    """The type of an ISO file by its brands; ``None`` for a brand of something else, such as a camera's raw file."""
    major = head[8:12]
    if major in _BRANDS:
        return _BRANDS[major]
    size = int.from_bytes(head[:4], "big")
    compatible = [head[at : at + 4] for at in range(16, min(size, len(head)) - 3, 4)]
    known = [_BRANDS[brand] for brand in compatible if brand in _BRANDS]
    if major in _STRUCTURES:
        return next((media for media in known if media in _PICTURES), _STRUCTURES[major])
    return None


def _ebml(head: bytes) -> MediaType:
    """WebM or Matroska, by the document type (RFC 8794); WebM if the head does not say."""
    return _MATROSKA if b"\x42\x82\x88matroska" in head else _WEBM


def _ogg(head: bytes) -> MediaType:
    return _OGG_VIDEO if head[28:35] == b"\x80theora" else _OGG_AUDIO


def _is_mp3(head: bytes) -> bool:
    """An ID3 tag, or the header of an MPEG frame of layer III with values that are allowed."""
    if head.startswith(b"ID3"):
        return True
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2 or head[1] & 0x18 == 0x08:
        return False
    return head[2] >> 4 not in {0, 15} and head[2] & 0x0C != 0x0C


_SIGNATURES: tuple[tuple[Callable[[bytes], bool], MediaType | Callable[[bytes], MediaType | None]], ...] = (
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), MediaType("image/png", ".png")),
    (lambda head: head.startswith(b"\xff\xd8\xff"), MediaType("image/jpeg", ".jpg")),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", MediaType("image/webp", ".webp")),
    (lambda head: head.startswith((b"GIF87a", b"GIF89a")), MediaType("image/gif", ".gif")),
    (lambda head: head.startswith(b"\0\0\0\x0cjP  \r\n\x87\n"), _JP2),
    (lambda head: head[4:8] == b"ftyp", _iso),
    # QuickTime files from before the file type box begin with one of these.
    (lambda head: head[4:8] in {b"moov", b"wide"} or head[4:12] == b"mdat\0\0\0\0", _QUICKTIME),
    (lambda head: head.startswith(b"\x1a\x45\xdf\xa3"), _ebml),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE", MediaType("audio/wav", ".wav")),
    (lambda head: head.startswith(b"fLaC"), MediaType("audio/flac", ".flac")),
    (lambda head: head.startswith(b"OggS"), _ogg),
    (lambda head: head.startswith(b"glTF\x02\0\0\0"), MediaType("model/gltf-binary", ".glb")),
    (_is_mp3, MediaType("audio/mpeg", ".mp3")),
)


def sniff(head: bytes) -> MediaType | None:
    """
    The media type of a picture, a video, a sound or a 3D model.

    :param head: Its first bytes, at most :data:`HEAD`; 16 are enough, except for the compatible brands of an ISO file.
    :returns: ``None`` for anything else, such as an error page.
    """
    for matches, media in _SIGNATURES:
        if matches(head):
            return media if isinstance(media, MediaType) else media(head)
    return None
