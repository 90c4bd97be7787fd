"""Whether a file is whole, and the size of its picture, by its structure."""

from __future__ import annotations

import io
import struct
import time
import zlib

import pytest

from airflow_provider_faceswap.foundation.file_structure import dimensions, examine
from tests.pictures import writes

FORMS = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"exif": b"Exif\0\0MM\0*"}),
    ("GIF", {}),
    ("JPEG2000", {}),
    # The oldest Pillow that is supported cannot write it.
    *[("AVIF", {})] * writes("AVIF"),
]


@pytest.mark.parametrize(("form", "options"), FORMS)
def test_width_and_height_come_from_the_header(picture, form, options):
    file = io.BytesIO(picture(form, (37, 23), **options))
    file.seek(0, io.SEEK_END)
    found = examine(file)
    assert (found.size, found.flaw) == ((37, 23), None)
    assert file.tell() == 0


@pytest.mark.parametrize(("form", "options"), FORMS)
def test_a_file_that_breaks_off_anywhere_is_not_whole_and_tells_no_wrong_size(picture, form, options):
    whole = picture(form, (37, 23), **options)
    found = [examine(io.BytesIO(whole[:end])) for end in range(len(whole))]
    assert {one.size for one in found} <= {None, (37, 23)}
    assert all(one.flaw for one in found if one.media is not None)


@pytest.mark.parametrize(("form", "options"), FORMS)
@pytest.mark.parametrize("more", [b"\0" * 100, b"\0"])
def test_bytes_after_the_end_do_not_matter(picture, form, options, more):
    assert examine(io.BytesIO(picture(form, (37, 23), **options) + more)).flaw is None


@pytest.mark.parametrize("data", [b"", b"<html></html>", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_no_size_is_made_up(data):
    file = io.BytesIO(data)
    assert dimensions(file) is None
    assert file.tell() == 0


def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def header(width, height):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


END = b"IEND", b""
DATA = b"IDAT", b"x"


def box(kind, data=b"", size=None):
    return struct.pack(">I4s", 8 + len(data) if size is None else size, kind) + data


MP4 = box(b"ftyp", b"isom\0\0\2\0isom")

FLAWED = {
    "only a signature": (png(), "is cut off: it ends after 8 bytes"),
    "no pixels": (png(header(0, 0), DATA, END), "has 0 x 0 pixels"),
    "no width": (png(header(0, 9), DATA, END), "has 0 x 9 pixels"),
    "no header": (png(DATA, END), "has no header"),
    "no data": (png(header(1, 1), END), "has no picture data"),
    "a wrong checksum": (
        png(header(1, 1), (b"IDAT", b"abc"), END).replace(b"abc", b"abd"),
        "is damaged: the checksum of its part 'IDAT' is wrong",
    ),
    "a JPEG without picture data": (b"\xff\xd8\xff\xd9\xff\xd9", "has no picture data"),
    "a JPEG without pixels": (b"\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\x09\1\1\x11\0\xff\xd9", "has 9 x 0 pixels"),
    "an MP4 without tracks": (MP4, "has no description of its tracks"),
    "an MP4 with a part of its data": (MP4 + box(b"moov") + box(b"mdat", bytes(9), 99), "is cut off"),
    "a WAV": (b"RIFF\x28\0\0\0WAVEfmt " + bytes(9), "is cut off"),
    "an Ogg": (b"OggS\0\2" + bytes(20) + b"\x02\x13\x13OpusHead" + bytes(11), "is cut off"),
    "a GLB": (b"glTF\2\0\0\0\x40\0\0\0" + bytes(8), "is cut off"),
    "a WebM": (b"\x1a\x45\xdf\xa3\x84\x42\x86\x81\x01\x18\x53\x80\x67\x90" + bytes(9), "is cut off"),
    "the header of a WebM": (b"\x1a\x45\xdf\xa3\x84\x42\x86\x81\x01", "is cut off"),
    "a FLAC": (b"fLaC\x80\0\0\x22" + bytes(20), "is cut off"),
    "an MP3": (b"ID3\x04\0\0\0\0\1\0" + bytes(20), "is cut off"),
    "an MP3 with its size": (
        b"\xff\xfb\x90\x44" + bytes(32) + b"Xing\0\0\0\2\0\0\x10\0" + bytes(100),
        "is cut off",
    ),
}


@pytest.mark.parametrize(("data", "flaw"), FLAWED.values(), ids=FLAWED)
def test_a_flaw_is_named(data, flaw):
    assert flaw in examine(io.BytesIO(data)).flaw


WHOLE = {
    "a damaged comment": png(header(1, 1), (b"tEXt", b"abc"), DATA, END).replace(b"abc", b"abd"),
    "an MP4 that ends with a box of any size": MP4 + box(b"moov") + box(b"mdat", bytes(9), 0),
    "an MP4 with a box of 64 bits": MP4 + b"\0\0\0\1mdat\0\0\0\0\0\0\0\x14" + bytes(4) + box(b"moov"),
    "an MP4 with something after it": MP4 + box(b"moov") + bytes(range(40)),
    "a WAV from a pipe": b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(9),
    "a live WebM": b"\x1a\x45\xdf\xa3\x84\x42\x86\x81\x01\x18\x53\x80\x67\x01" + b"\xff" * 7 + bytes(9),
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_what_may_be_whole_is_not_refused(data):
    assert examine(io.BytesIO(data)).flaw is None


def avif(iloc):
    meta = bytes(4) + box(b"pitm", bytes(4) + b"\0\1") + box(b"iloc", iloc)
    return box(b"ftyp", b"avif\0\0\0\0mif1") + box(b"meta", meta) + box(b"mdat", b"x")


HOSTILE = {
    "an AVIF with billions of extents of no size": avif(
        b"\1\0\0\0\0\0\xff\xff" + (b"\0\1\0\0\0\0\xff\xff" * 700)
    ),
    "a JPEG of empty segments": b"\xff\xd8" + b"\xff\xe0\0\2" * 500_000,
    "a JPEG of single bytes between segments": b"\xff\xd8" + b".\xff\xe0\0\2" * 400_000,
    "a PNG of empty chunks": png(header(1, 1)) + b"\0\0\0\0tEXt\x12\x34\x56\x78" * 200_000,
    "a GIF of blocks of one byte": b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1." * 1_000_000,
    "a WebP of empty chunks": b"RIFF\0\0\x40\0WEBP" + b"XMP \0\0\0\0" * 400_000,
    "an AVIF of empty boxes": box(b"ftyp", b"avif\0\0\0\0mif1") + b"\0\0\0\x08free" * 400_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_costs_little(data):
    begun = time.process_time()
    found = examine(io.BytesIO(data))
    assert time.process_time() - begun < 2
    assert found.size in {None, (1, 1)}
