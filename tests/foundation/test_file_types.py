"""What bytes are, told from their beginning."""

from __future__ import annotations

import io

import pytest

from airflow_provider_faceswap.foundation.file_types import HEAD, dimensions, sniff

PICTURES = [
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png", ".png"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01", "image/jpeg", ".jpg"),
    (b"\xff\xd8\xff\xe1\0\x10Exif\0\0MM\0\x2a", "image/jpeg", ".jpg"),
    (b"RIFF\x90\x02\0\0WEBPVP8 ", "image/webp", ".webp"),
    (b"GIF87a%\0\x17\0\x87\0\0\xff\xff\xff", "image/gif", ".gif"),
    (b"GIF89a%\0\x17\0\x87\0\0\xff\xff\xff", "image/gif", ".gif"),
    (b"\0\0\0\x20ftypavif\0\0\0\0", "image/avif", ".avif"),
    (b"\0\0\0\x20ftypavis\0\0\0\0", "image/avif", ".avif"),
]
VIDEOS = [
    (b"\0\0\0\x20ftypisom\0\0\x02\0", "video/mp4", ".mp4"),
    (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4", ".mp4"),
    (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x86\x81\x01", "video/webm", ".webm"),
]
FORMS = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("GIF", {}),
]


@pytest.mark.parametrize(("head", "name", "suffix"), PICTURES + VIDEOS)
def test_a_signature_tells_type_and_suffix(head, name, suffix):
    assert len(head) == HEAD
    media = sniff(head)
    assert (media.name, media.suffix) == (name, suffix)


@pytest.mark.parametrize(
    ("head", "is_picture"), [(PICTURES[0][0], True), (VIDEOS[0][0], False), (VIDEOS[2][0], False)]
)
def test_a_video_is_no_picture(head, is_picture):
    assert sniff(head).is_picture is is_picture


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x89PNG",
        b"\xff\xd8",
        b"<!DOCTYPE html>\n",
        b'<?xml version="1.',
        b'{"error": "gone"}',
        b"RIFF\x90\x02\0\0WAVEfmt ",
        b"RIFF\x90\x02\0\0AVI LIST",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1",
        b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0",
        b"\n\x89PNG\r\n\x1a\n\0\0\0\rIHD",
        b"GIF88a%\0\x17\0\x87\0\0\xff\xff\xff",
        b"ftypmp42\0\0\0\0mp42",
    ],
)
def test_anything_else_is_unknown(head):
    assert sniff(head) is None


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1"])
def test_a_still_picture_in_the_container_of_mp4_is_not_called_a_video(brand):
    media = sniff(b"\0\0\0\x20ftyp" + brand + b"\0\0\0\0")
    assert media is None or media.is_picture


@pytest.mark.parametrize(("form", "options"), FORMS)
def test_width_and_height_come_from_the_header(picture, form, options):
    file = io.BytesIO(picture(form, (37, 23), **options))
    file.seek(0, io.SEEK_END)
    assert dimensions(file) == (37, 23)
    assert file.tell() == 0


@pytest.mark.parametrize(("form", "options"), FORMS)
def test_a_header_that_breaks_off_tells_nothing_wrong_and_breaks_nothing(picture, form, options):
    whole = picture(form, (37, 23), **options)
    told = {dimensions(io.BytesIO(whole[:end])) for end in range(len(whole))}
    assert told <= {None, (37, 23)}
    assert dimensions(io.BytesIO(whole[:HEAD])) is None or form == "GIF"
    assert dimensions(io.BytesIO(whole[:6])) is None


@pytest.mark.parametrize("data", [b"", b"<html></html>", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_no_size_is_made_up(data):
    file = io.BytesIO(data)
    assert dimensions(file) is None
    assert file.tell() == 0
