"""Thumbnails: small, upright, without metadata, and never of what is too large to decode."""

from __future__ import annotations

import io
import time

import pytest
from PIL import Image

from airflow_provider_faceswap.media import thumbnails
from airflow_provider_faceswap.media.thumbnails import NoThumbnailError, thumbnail


def painted(form="PNG", size=(1024, 768), mode="RGB", colour="teal", **options):
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, form, **options)
    out.seek(3)
    return out


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_longer_side_has_320_pixels(form):
    made = thumbnail(painted(form))
    assert (made.width, made.height) == (320, 240)
    assert made.data[:3] == b"\xff\xd8\xff"
    assert Image.open(io.BytesIO(made.data)).size == (320, 240)


def spent_on(work):
    """Seconds of a core."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def test_all_but_the_decoding_costs_a_fraction_of_it():
    """A noisy megapixel, which compresses badly: its decompression is most of the time."""
    noise = Image.effect_noise((1024, 1024), 12)
    file = io.BytesIO()
    Image.merge("RGB", [noise, noise.rotate(90), noise.rotate(180)]).save(file, "PNG")

    def decode():
        with Image.open(file) as opened:
            opened.load()

    whole, decoding = [], []
    # What else the machine does makes some of the rounds slower, and none faster.
    for _ in range(60):
        whole.append(spent_on(lambda: thumbnail(file)))
        decoding.append(spent_on(decode))
        if min(whole) < 1.6 * min(decoding):
            break
    assert min(whole) < 1.6 * min(decoding)


def test_a_small_picture_is_not_made_larger():
    made = thumbnail(painted(size=(37, 23)))
    assert (made.width, made.height) == (37, 23)


def test_it_is_upright_and_has_no_metadata():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "planted description"
    made = thumbnail(painted("JPEG", exif=exif, comment=b"planted comment"))
    assert (made.width, made.height) == (240, 320)
    assert b"planted" not in made.data
    assert not Image.open(io.BytesIO(made.data)).getexif()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "1", "P", "I;16"])
def test_every_kind_of_pixel_becomes_a_jpeg(mode):
    made = thumbnail(painted(mode=mode, colour=0))
    assert Image.open(io.BytesIO(made.data)).mode == "RGB"


def test_what_is_transparent_becomes_white():
    made = thumbnail(painted(mode="RGBA", colour=(0, 0, 0, 0)))
    assert Image.open(io.BytesIO(made.data)).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "its type is not known"),
        (b"<html>" * 10, "its type is not known"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(20), "a file of type video/mp4 has no thumbnail"),
        (painted().getvalue()[:200], "cannot be decoded"),
    ],
)
def test_the_reason_is_given_if_there_is_none(data, reason):
    file = io.BytesIO(data)
    with pytest.raises(NoThumbnailError, match=reason):
        thumbnail(file)
    assert file.tell() == 0


def test_a_picture_with_too_many_pixels_is_not_decoded(monkeypatch):
    monkeypatch.setattr(thumbnails, "MAX_PIXELS", 1024 * 768 - 1)
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was decoded"))
    with pytest.raises(NoThumbnailError, match="1024 x 768 pixels, over the limit"):
        thumbnail(painted())


def test_pillow_decodes_only_the_format_that_the_first_bytes_say(monkeypatch):
    asked = []
    really = Image.open
    monkeypatch.setattr(Image, "open", lambda file, **more: asked.append(more) or really(file, **more))
    thumbnail(painted("WEBP"))
    assert asked == [{"formats": ["WEBP"]}]
