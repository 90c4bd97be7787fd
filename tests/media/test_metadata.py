"""Places, times and comments do not leave with a picture whose bytes pass through this package."""

from __future__ import annotations

import base64
import io
import struct
import sys

import pytest
from PIL import Image as Pictures
from PIL.PngImagePlugin import PngInfo

from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.media.inputs import MediaPreparer
from airflow_provider_faceswap.media.metadata import orientation_of, without_metadata
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.piapi import PiAPI
from tests.pictures import bars, exif, odd, seen, written

XMP = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
TEXT = PngInfo()
TEXT.add_text("Comment", "planted")
TEXT.add_itxt("XML:com.adobe.xmp", "planted", zip=True)

NOTED = {
    "JPEG": odd()["with a place.jpg"],
    "PNG": odd()["with a place.png"],
    "WebP": odd()["with a place.webp"],
    **{name: data for name, data in odd().items() if name == "with a place.avif"},
    "GIF": written(bars("P"), "GIF", comment=b"planted comment"),
    "JPEG with something after it": odd()["rgb.jpg"] + odd()["with a place.jpg"],
    "PNG with a text": written(bars(), "PNG", pnginfo=TEXT),
}


def box(kind, data):
    return struct.pack(">I4s", 8 + len(data), kind) + data


VIDEO = (
    box(b"ftyp", b"isom\0\0\2\0isom")
    + box(
        b"moov",
        box(b"mvhd", bytes(100)) + box(b"udta", b"\0\0\0\x1e\xa9xyz\0\x12\x15\xc7+48.1+011.5/planted"),
    )
    + box(b"mdat", b"video")
)


@pytest.mark.parametrize("data", NOTED.values(), ids=NOTED)
def test_nothing_of_it_is_left_and_the_picture_is_the_same(data):
    assert b"planted" in data
    clean = without_metadata(Image(data))
    assert b"planted" not in clean.data
    assert (clean.structure.size, clean.structure.flaw) == (Image(data).structure.size, None)
    with Pictures.open(clean.file) as after, Pictures.open(io.BytesIO(data)) as before:
        assert not after.getexif()
        assert not after.info.keys() & {"exif", "xmp", "comment", "Comment"}
        assert after.convert("RGB").tobytes() == before.convert("RGB").tobytes()


def test_a_video_keeps_its_length_and_its_boxes():
    clean = without_metadata(Image(VIDEO))
    assert b"planted" not in clean.data
    assert b"\xa9xyz" not in clean.data
    assert len(clean.data) == len(VIDEO)
    assert clean.data.endswith(box(b"mdat", b"video"))
    assert clean.structure.flaw is None


@pytest.mark.parametrize("name", ["rgb.jpg", "rgb.png", "rgb.webp", "rgb.gif", "animated.png", "rgb.jp2"])
def test_a_picture_without_any_stays_as_it_is_to_the_byte(name):
    image = Image(odd()[name])
    assert without_metadata(image) is image


def test_a_colour_profile_is_no_metadata():
    image = Image(odd()["grey with profile.jpg"])
    assert without_metadata(image) is image


def test_a_jpeg_that_is_not_upright_stays_turned_where_pillow_is_missing(monkeypatch):
    clean = without_metadata(Image(odd()["turned.jpg"]))
    assert b"planted" not in clean.data
    assert orientation_of(clean) == 6
    with Pictures.open(clean.file) as picture:
        assert dict(picture.getexif()) == {0x0112: 6}


@pytest.mark.parametrize(
    ("data", "orientation"),
    [
        (odd()["turned.jpg"], 6),
        (written(bars(), "PNG", exif=exif(8)), 8),
        (written(bars(), "WEBP", exif=exif(3)), 3),
        (b"\xff\xd8\xff\xe1" + struct.pack(">H", 2 + len(XMP)) + XMP + odd()["rgb.jpg"][2:], 6),
        (odd()["orientation 9.jpg"], 1),
        (odd()["rgb.jpg"], 1),
        (odd()["turned.jpg"].replace(b"MM\0*", b"MM\xff*"), 1),
        (b"<html>", 1),
    ],
)
def test_an_orientation_is_read_without_decoding(monkeypatch, data, orientation):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert orientation_of(Image(data)) == orientation


@pytest.mark.parametrize("preflight", ["auto", "check", "fit"])
@pytest.mark.parametrize("name", ["with a place.jpg", "turned.jpg"])
def test_it_does_not_leave_inside_a_request(preflight, name):
    sent = travelled(Image(odd()[name]), preflight)
    assert b"planted" not in sent
    assert max(abs(one - other) for one, other in zip(seen(sent)[0], (200, 30, 40), strict=True)) < 12


def travelled(value, preflight="auto"):
    prepared = MediaPreparer(GPTunnel(), preflight)
    sent, known = prepared.arguments(GPTunnel().kind("face_swap").media, {"target_image": value})
    assert "planted" not in str(known)
    return base64.b64decode(sent["target_image"].partition(",")[2])


def test_it_leaves_where_everything_is_asked_to_be_sent_as_it_is():
    assert travelled(Image(odd()["with a place.jpg"]), "off") == odd()["with a place.jpg"]


def test_it_does_not_leave_in_an_upload():
    prepared = MediaPreparer(PiAPI(), "auto")
    prepared.arguments({}, {"input": {"video": Image(VIDEO), "image": Image(odd()["with a place.webp"])}})
    assert len(prepared.uploads) == 2
    assert not any(b"planted" in data for data in prepared.uploads.values())


def test_it_does_not_leave_in_a_data_uri_and_the_request_is_known_as_before():
    given = f"data:image/jpeg;base64,{base64.b64encode(odd()['with a place.jpg']).decode()}"
    prepared = MediaPreparer(GPTunnel(), "auto")
    sent, known = prepared.arguments(GPTunnel().kind("face_swap").media, {"target_image": given})
    assert known["target_image"] == given
    assert sent["target_image"].startswith("data:image/jpeg;base64,")
    assert b"planted" not in base64.b64decode(sent["target_image"].partition(",")[2])


def test_a_mask_is_known_as_before():
    """It has no other way than inside the request, so an older version's records know it by its bytes."""
    prepared = MediaPreparer(GPTunnel(), "auto")
    sent, known = prepared.arguments(
        GPTunnel().kind("inpaint").media, {"mask": Image(odd()["with a place.png"])}
    )
    assert known["mask"] == f"data:image/png;base64,{base64.b64encode(odd()['with a place.png']).decode()}"
    assert b"planted" not in base64.b64decode(sent["mask"].partition(",")[2])
