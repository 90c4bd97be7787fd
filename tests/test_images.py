"""Pictures in memory: what a vendor would refuse of them, and how they are made fit."""

from __future__ import annotations

import io
import struct
import sys

import pytest
from PIL import Image as Pictures

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.file_structure import dimensions
from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.media.fit import fitted, problems_with, upright
from airflow_provider_faceswap.vendors.kinds import Accepts

JPEG_AND_PNG = frozenset({"image/jpeg", "image/png"})
#: EXIF: the camera was turned to the right.
TURNED = 6


def paint(form="PNG", size=(60, 40), mode="RGB", colour="teal", orientation=None, **options):
    out = io.BytesIO()
    if orientation:
        exif = Pictures.Exif()
        exif[0x0112] = orientation
        exif[0x010F] = "a camera"
        options["exif"] = exif
    Pictures.new(mode, size, colour).save(out, form, **options)
    return Image(out.getvalue())


def noise(size):
    """A picture that no format makes small."""
    out = io.BytesIO()
    Pictures.effect_noise(size, 100).convert("RGB").save(out, "PNG")
    return Image(out.getvalue())


# -- the value ----------------------------------------------------------------------------------------


def test_a_picture_is_shown_by_its_hash_and_never_by_its_bytes():
    image = Image(b"\x89PNG\r\n\x1a\n planted")
    assert repr(image) == f"Image(image/png, 16 bytes, sha256:{image.sha256})"
    assert "planted" not in str(image)


def test_equal_bytes_are_the_same_picture():
    assert Image(b"a") == Image(b"a")
    assert Image(b"a") != Image(b"b")


@pytest.mark.parametrize("form", ["{path}", "file://{path}"])
def test_a_picture_is_read_from_a_path_or_a_uri(tmp_path, form):
    path = tmp_path / "a.png"
    path.write_bytes(paint().data)
    assert Image.read(form.format(path=path)) == paint()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidRequestError, match=r"none\.png could not be read \(FileNotFoundError\)"):
        Image.read(tmp_path / "none.png")


def test_a_storage_in_trouble_is_no_fault_of_the_argument(tmp_path, monkeypatch):
    def away(*_, **__):
        raise TimeoutError("https://storage.test/a?X-Amz-Signature=planted")

    monkeypatch.setattr("airflow.sdk.ObjectStoragePath.open", away)
    with pytest.raises(FaceSwapError, match=r"could not be read \(TimeoutError\)") as caught:
        Image.read(tmp_path / "a.png")
    assert type(caught.value) is FaceSwapError, "the task may be tried again"
    assert "planted" not in str(caught.value)


def test_a_side_may_be_shrunk_further_than_the_limit():
    assert dimensions(fitted(paint(size=(400, 200)), Accepts(max_side=200, fit_side=190)).file) == (190, 95)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(InvalidRequestError, match="is empty"):
        Image.read(tmp_path / "a.png")


def test_a_huge_file_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__MAX_PICTURE_BYTES", "10")
    (tmp_path / "a.png").write_bytes(bytes(11))
    with pytest.raises(InvalidRequestError, match="is larger than 10 bytes"):
        Image.read(tmp_path / "a.png")


# -- checking -----------------------------------------------------------------------------------------


def test_a_picture_within_all_limits_has_no_faults():
    accepts = Accepts(formats=JPEG_AND_PNG, max_bytes=10_000, max_side=60)
    assert problems_with(paint(size=(60, 40)), accepts) == []


def test_every_fault_is_told():
    accepts = Accepts(formats=JPEG_AND_PNG, max_bytes=10, max_side=59)
    image = paint("WEBP", size=(60, 40))
    assert problems_with(image, accepts) == [
        "it is image/webp, and only image/jpeg and image/png are taken",
        f"it has {len(image.data)} bytes, over the limit of 10",
        "it is 60 x 40, over 59 x 59",
    ]


def test_what_is_no_picture_is_told():
    assert problems_with(Image(b"<html>"), Accepts()) == ["it is neither a picture nor a video"]


def test_a_vendor_that_states_nothing_takes_everything():
    assert problems_with(paint("GIF", size=(5000, 10)), Accepts()) == []


# -- turning ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_camera_was_held(form):
    turned = upright(paint(form, size=(60, 40), orientation=TURNED))
    assert dimensions(turned.file) == (40, 60)
    with Pictures.open(turned.file) as picture:
        assert picture.format == form
        assert not picture.getexif(), "where and when it was taken does not travel on"


def test_an_upright_picture_stays_as_it_is_to_the_byte():
    image = paint("JPEG", orientation=1)
    assert upright(image) is image


@pytest.mark.parametrize("data", [b"<html>", b"\x89PNG\r\n\x1a\n broken", b"GIF89a"])
def test_what_cannot_be_turned_is_left(data):
    assert upright(Image(data)).data == data


def damaged(form, found, instead, **options):
    """A picture with a few bytes of its EXIF replaced."""
    return Image(paint(form, **options).data.replace(found, instead))


#: What Pillow raises of each: struct.error, SyntaxError.
DAMAGED = {
    "a field of another type": damaged("JPEG", b"\x02\x01\x0f", b"\x02\x01\x01", orientation=TURNED),
    "EXIF without its mark": damaged("WEBP", b"MM\x00*", b"MM\xe1*", orientation=TURNED),
}


@pytest.mark.parametrize("image", DAMAGED.values(), ids=DAMAGED)
def test_a_picture_whose_exif_makes_no_sense_goes_as_it_is(image):
    assert upright(image) is image
    assert fitted(image, Accepts()) is image


@pytest.mark.parametrize("error", [struct.error, SyntaxError, RuntimeError])
def test_whatever_pillow_raises_of_a_picture_it_goes_as_it_is_or_is_refused(monkeypatch, error):
    def broken(*_, **__):
        raise error

    image = paint("JPEG", orientation=TURNED)
    monkeypatch.setattr("PIL.ImageOps.exif_transpose", broken)
    assert upright(image) is image
    with pytest.raises(InvalidRequestError, match=rf"cannot be opened \({error.__name__}\)"):
        fitted(image, Accepts(max_side=20))


def test_without_pillow_nothing_is_turned(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    image = Image(b"\xff\xd8\xff")
    assert upright(image) is image


# -- making fit ---------------------------------------------------------------------------------------


def test_what_fits_is_not_touched():
    image = paint("PNG")
    assert fitted(image, Accepts(formats=JPEG_AND_PNG, max_side=60)) is image


@pytest.mark.parametrize("form", ["WEBP", "GIF"])
def test_another_format_becomes_jpeg(form):
    assert fitted(paint(form), Accepts(formats=JPEG_AND_PNG)).media.name == "image/jpeg"


def test_transparency_is_kept_where_it_can_be():
    image = paint("WEBP", mode="RGBA", colour=(0, 100, 100, 128), lossless=True)
    made = fitted(image, Accepts(formats=JPEG_AND_PNG))
    assert made.media.name == "image/png"
    with Pictures.open(made.file) as picture:
        assert picture.getpixel((5, 5))[3] == 128
    assert fitted(image, Accepts(formats=frozenset({"image/jpeg"}))).media.name == "image/jpeg"


def test_a_large_picture_gets_under_the_side_and_keeps_its_proportion():
    made = fitted(paint(size=(400, 200)), Accepts(max_side=200))
    assert dimensions(made.file) == (200, 100)
    assert made.media.name == "image/png"


def test_a_turned_picture_is_measured_upright():
    made = fitted(paint("JPEG", size=(400, 200), orientation=TURNED), Accepts(max_side=200))
    assert dimensions(made.file) == (100, 200)


def test_too_many_bytes_are_made_fewer():
    image = noise((300, 300))
    made = fitted(image, Accepts(formats=JPEG_AND_PNG, max_bytes=len(image.data) // 4))
    assert len(made.data) <= len(image.data) // 4


def test_it_is_the_same_in_every_try():
    image = noise((100, 100))
    accepts = Accepts(formats=frozenset({"image/jpeg"}), max_side=50)
    assert fitted(image, accepts) == fitted(image, accepts)


def test_what_cannot_be_made_fit_is_refused():
    with pytest.raises(InvalidRequestError, match="could not be converted and shrunk"):
        fitted(paint(), Accepts(max_bytes=5))


def test_what_cannot_be_opened_is_refused():
    with pytest.raises(InvalidRequestError, match=r"cannot be opened \(UnidentifiedImageError\)"):
        fitted(Image(b"\x89PNG\r\n\x1a\n broken"), Accepts(formats=frozenset({"image/jpeg"})))


def test_a_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Pictures, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InvalidRequestError, match="DecompressionBombError"):
        fitted(paint(), Accepts(max_side=20))


def test_without_pillow_the_missing_extra_is_named(monkeypatch):
    image = paint()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InvalidRequestError, match=r"Install airflow-provider-faceswap\[images\]"):
        fitted(image, Accepts())
