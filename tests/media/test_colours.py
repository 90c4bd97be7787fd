"""What a fitted picture shows, by numbers."""

from __future__ import annotations

import io

import pytest
from PIL import Image as Pictures
from PIL import ImageCms

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.media.fit import fitted
from airflow_provider_faceswap.vendors.kinds import Accepts
from tests.pictures import BARS, HEIGHT, WIDTH, bars, cmyk_profile, odd, seen, written

JPEG = Accepts(formats=frozenset({"image/jpeg"}))
JPEG_AND_PNG = Accepts(formats=frozenset({"image/jpeg", "image/png"}))
SMALLER = Accepts(formats=frozenset({"image/jpeg", "image/png"}), max_side=60)

GREY = [(80, 80, 80), (113, 113, 113), (100, 100, 100), (255, 255, 255)]
#: As a profile with linear numbers shows the same grey: 255 * srgb(value / 255).
LINEAR_GREY = [(152, 152, 152), (177, 177, 177), (168, 168, 168), (255, 255, 255)]
BLACK_OR_WHITE = [(0, 0, 0), (255, 255, 255)]
#: What is left of the colours by Pillow's plain conversion from CMYK, which is exact for these.
PLAIN = list(BARS)

EXPECTED = {
    **dict.fromkeys(
        ("rgb.png", "rgb.jpg", "progressive.jpg", "rgb.webp", "lossy.webp", "rgb.avif", "rgb.jp2"), PLAIN
    ),
    **dict.fromkeys(("rgb.bmp", "rgb.ppm", "rgb.tif", "rgb.gif", "palette.png"), PLAIN),
    **dict.fromkeys(("cmyk.jpg", "cmyk.tif", "turned.jpg", "orientation 9.jpg"), PLAIN),
    # The last bar is transparent black or white, and what is behind it is white.
    **dict.fromkeys(("alpha.png", "alpha.webp", "alpha.tif", "alpha.gif", "palette transparent.png"), PLAIN),
    **dict.fromkeys(("grey.png", "grey.jpg", "grey alpha.png"), GREY),
    **dict.fromkeys(("16 bit.png", "16 bit.tif", "16 bit big endian.tif", "16 bit.pgm", "16 bit.jp2"), GREY),
    **dict.fromkeys(("32 bit.tif", "float.tif", "float to 255.tif"), GREY),
    **dict.fromkeys(("grey with profile.png", "grey with profile.jpg", "grey with profile.tif"), LINEAR_GREY),
}


def close(found, expected, *, by=8):
    return all(
        abs(one - other) <= by
        for pair in zip(found, expected, strict=True)
        for one, other in zip(*pair, strict=True)
    )


@pytest.mark.parametrize("accepts", [JPEG, SMALLER], ids=["as a JPEG", "made smaller"])
@pytest.mark.parametrize("name", [name for name in EXPECTED if name in odd()])
def test_a_fitted_picture_shows_the_colours_of_the_original(name, accepts):
    made = fitted(Image(odd()[name]), accepts)
    with Pictures.open(made.file) as picture:
        assert picture.mode in {"RGB", "RGBA", "P", "L"} or made.data == odd()[name]
        background = Pictures.new("RGBA", picture.size, "white")
        background.alpha_composite(picture.convert("RGBA"))
    if made.data != odd()[name]:
        assert close(seen(written(background.convert("RGB"), "PNG")), EXPECTED[name], by=12), name


@pytest.mark.parametrize("name", ["cmyk with profile.jpg", "cmyk with profile.tif"])
def test_cmyk_is_shown_as_its_profile_says(name):
    """The profile's first ink is red: green, which has much of it, becomes reddish, and red becomes a grey."""
    made = fitted(Image(odd()[name]), SMALLER)
    red, green, grey, white = seen(made.data)
    with Pictures.open(io.BytesIO(odd()[name])) as before:
        direct = ImageCms.profileToProfile(
            before, io.BytesIO(cmyk_profile()), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    assert close([red, green, grey, white], seen(written(direct, "PNG")), by=12)
    assert green[0] > green[1] + 60
    assert max(red) - min(red) < 60
    assert min(white) > 245


@pytest.mark.parametrize("name", [name for name in odd() if "profile" in name])
def test_a_profile_of_another_colour_space_does_not_stay(name):
    made = fitted(Image(odd()[name]), SMALLER)
    with Pictures.open(made.file) as picture:
        assert (picture.mode, picture.info.get("icc_profile")) == ("RGB", None)


def test_a_profile_for_rgb_stays():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = fitted(Image(written(bars(), "WEBP", lossless=True, icc_profile=profile)), JPEG)
    with Pictures.open(made.file) as picture:
        assert picture.info["icc_profile"] == profile


@pytest.mark.parametrize(
    "profile", [b"no profile", b"x" * 16 + b"GRAY" + b"x" * 200], ids=["short", "damaged"]
)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_damaged_profile_says_nothing(mode, profile):
    data = written(bars(mode), "TIFF", icc_profile=profile)
    made = fitted(Image(data), JPEG)
    assert close(seen(made.data), GREY if mode == "L" else PLAIN)


def test_numbers_without_a_meaning_as_colours_are_refused():
    with pytest.raises(
        InvalidRequestError, match=r"values are from 819\.7 to 2550, and it does not say"
    ) as told:
        fitted(Image(odd()["float of heights.tif"]), JPEG)
    assert "Nothing was bought" in str(told.value)


@pytest.mark.parametrize("name", ["animated.gif", "animated.png", "animated.webp", "two pages.tif"])
def test_an_animation_is_refused_and_not_cut_to_its_first_frame(name):
    with pytest.raises(InvalidRequestError, match="is an animation or has several pages"):
        fitted(Image(odd()[name]), Accepts(formats=frozenset({"image/jpeg"}), max_side=60))


def test_transparency_stays_where_it_may():
    made = fitted(Image(odd()["alpha.webp"]), JPEG_AND_PNG)
    with Pictures.open(made.file) as picture:
        assert picture.mode == "RGBA"
        assert picture.getpixel((WIDTH - 2, HEIGHT // 2))[3] == 0
        assert picture.getpixel((2, HEIGHT // 2)) == (*BARS[0], 255)


@pytest.mark.parametrize("name", ["orientation 0.jpg", "orientation 9.jpg", "orientation 65535.jpg"])
def test_an_orientation_without_a_meaning_changes_nothing(name):
    image = Image(odd()[name])
    assert fitted(image, JPEG) is image


@pytest.mark.parametrize(("name", "size"), [("one row.png", (2047, 1)), ("one column.gif", (1, 2047))])
def test_a_picture_of_one_row_can_be_made_smaller(name, size):
    accepts = Accepts(formats=frozenset({"image/png"}), max_side=2048, fit_side=2047)
    assert fitted(Image(odd()[name]), accepts).structure.size == size


def test_a_photograph_that_is_too_large_as_a_png_becomes_a_jpeg_of_the_same_size():
    noise = Pictures.effect_noise((200, 200), 60).convert("RGB")
    image = Image(written(noise, "PNG"))
    made = fitted(
        image, Accepts(formats=frozenset({"image/png", "image/jpeg"}), max_bytes=len(image.data) // 2)
    )
    assert (made.media.name, made.structure.size) == ("image/jpeg", (200, 200))


def test_a_jpeg_with_more_pixels_than_are_decoded_can_be_made_smaller(monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__MAX_DECODED_PIXELS", "130000")
    image = Image(written(bars(size=(800, 600)), "JPEG", quality=95))
    for accepts in (
        Accepts(formats=frozenset({"image/jpeg"}), max_side=300),
        Accepts(formats=frozenset({"image/jpeg"}), max_bytes=len(image.data) - 1),
    ):
        made = fitted(image, accepts)
        assert max(made.structure.size) <= 400
        assert close(seen(made.data), PLAIN)
    with pytest.raises(InvalidRequestError, match="has 800 x 600 pixels, and at most 130000 pixels"):
        fitted(Image(written(bars(size=(800, 600)), "PNG")), JPEG)
