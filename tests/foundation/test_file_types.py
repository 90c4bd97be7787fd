"""What bytes are, told from their beginning."""

from __future__ import annotations

import pytest

from airflow_provider_faceswap.foundation.file_types import sniff

PICTURES = [
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png", ".png"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01", "image/jpeg", ".jpg"),
    (b"\xff\xd8\xff\xe1\0\x10Exif\0\0MM\0\x2a", "image/jpeg", ".jpg"),
    (b"RIFF\x90\x02\0\0WEBPVP8 ", "image/webp", ".webp"),
    (b"GIF87a%\0\x17\0\x87\0\0\xff\xff\xff", "image/gif", ".gif"),
    (b"GIF89a%\0\x17\0\x87\0\0\xff\xff\xff", "image/gif", ".gif"),
    (b"\0\0\0\x20ftypavif\0\0\0\0", "image/avif", ".avif"),
    (b"\0\0\0\x20ftypavis\0\0\0\0", "image/avif", ".avif"),
    (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14", "image/jp2", ".jp2"),
]
VIDEOS = [
    (b"\0\0\0\x20ftypisom\0\0\x02\0", "video/mp4", ".mp4"),
    (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4", ".mp4"),
    (b"\0\0\0\x14ftypqt  \0\0\0\0", "video/quicktime", ".mov"),
    (b"\0\0\0\x08wide\0\1\2\3mdat", "video/quicktime", ".mov"),
    (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x86\x81\x01", "video/webm", ".webm"),
    (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska", "video/matroska", ".mkv"),
    (b"OggS\0\2" + bytes(20) + b"\x01\x2a\x80theora", "video/ogg", ".ogv"),
]
OTHERS = [
    (b"ID3\x04\0\0\0\0\0\x23TSSE\0\0", "audio/mpeg", ".mp3"),
    (b"\xff\xfb\x90\x44" + bytes(12), "audio/mpeg", ".mp3"),
    (b"\xff\xf3\x84\xc4" + bytes(12), "audio/mpeg", ".mp3"),
    (b"RIFF\x90\x02\0\0WAVEfmt ", "audio/wav", ".wav"),
    (b"fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0", "audio/flac", ".flac"),
    (b"OggS\0\2" + bytes(20) + b"\x01\x13OpusHead", "audio/ogg", ".ogg"),
    (b"\0\0\0\x1cftypM4A \0\0\0\0", "audio/mp4", ".m4a"),
    (b"glTF\2\0\0\0\x40\0\0\0\x20\0\0\0", "model/gltf-binary", ".glb"),
]


@pytest.mark.parametrize(("head", "name", "suffix"), PICTURES + VIDEOS + OTHERS)
def test_a_signature_tells_type_and_suffix(head, name, suffix):
    media = sniff(head)
    assert (media.name, media.suffix) == (name, suffix)


@pytest.mark.parametrize(
    ("head", "is_picture", "is_visible"),
    [(PICTURES[0][0], True, True), (VIDEOS[0][0], False, True), (OTHERS[0][0], False, False)],
)
def test_a_video_is_no_picture_and_a_sound_is_not_to_be_seen(head, is_picture, is_visible):
    media = sniff(head)
    assert (media.is_picture, media.is_visible) == (is_picture, is_visible)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x89PNG",
        b"\xff\xd8",
        b"<!DOCTYPE html>\n",
        b'<?xml version="1.',
        b'{"error": "gone"}',
        b"RIFF\x90\x02\0\0AVI LIST",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1",
        b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0",
        b"\n\x89PNG\r\n\x1a\n\0\0\0\rIHD",
        b"GIF88a%\0\x17\0\x87\0\0\xff\xff\xff",
        b"ftypmp42\0\0\0\0mp42",
        "<html>".encode("utf-16"),
        b"\xff\xff\xff\xff" + bytes(12),
        b"glTF\1\0\0\0" + bytes(8),
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ],
)
def test_anything_else_is_unknown(head):
    assert sniff(head) is None


def ftyp(*brands):
    return (12 + 4 * len(brands)).to_bytes(4, "big") + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])


@pytest.mark.parametrize(
    ("brands", "name"),
    [
        ((b"heic", b"mif1"), "image/heic"),
        ((b"heix",), "image/heic"),
        ((b"heim",), "image/heic"),
        ((b"heis",), "image/heic"),
        ((b"hevc",), "image/heic-sequence"),
        ((b"hevx",), "image/heic-sequence"),
        ((b"mif1",), "image/heif"),
        ((b"mif2",), "image/heif"),
        ((b"miaf",), "image/heif"),
        ((b"msf1",), "image/heif-sequence"),
        ((b"avio",), "image/avif"),
        ((b"mif1", b"miaf", b"avif", b"MA1B"), "image/avif"),
        ((b"mif1", b"heic"), "image/heic"),
        ((b"avis", b"msf1", b"iso8", b"avif"), "image/avif"),
        ((b"jp2 ",), "image/jp2"),
        ((b"isom", b"iso2", b"avc1", b"mp41"), "video/mp4"),
        ((b"iso6", b"dash", b"cmfc"), "video/mp4"),
        ((b"3gp5", b"isom"), "video/3gpp"),
        ((b"M4A ", b"mp42", b"isom"), "audio/mp4"),
    ],
)
def test_brands_say_what_an_iso_file_is(brands, name):
    assert sniff(ftyp(*brands)).name == name


@pytest.mark.parametrize(
    "brands", [(b"crx ", b"isom"), (b"jpm ",), (b"mjp2", b"mp42"), (b"what",), (b"\0\0\0\0",)]
)
def test_a_brand_of_something_else_is_unknown(brands):
    """The first is a camera's raw picture, which names the brand of a video as compatible."""
    assert sniff(ftyp(*brands)) is None
