"""A decoded picture in 8-bit RGB, so that it shows what it showed before."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image as Picture

#: What shows through transparency if the vendor accepts no transparent picture.
BACKGROUND = (255, 255, 255)
#: Rows of a picture that are converted at a time.
_STRIP = 256
#: The colour space in the header of an ICC profile (ICC.1, section 7.2.6), by Pillow's mode.
_SPACES = {"RGB": b"RGB ", "CMYK": b"CMYK", "L": b"GRAY", "LAB": b"Lab "}


def as_rgb(picture: Picture, *, transparency: bool) -> Picture:
    """
    A picture in RGB, or in RGBA.

    A CMYK, grey or Lab picture is converted by its colour profile to sRGB, and has no profile afterwards. An RGB picture
    keeps its numbers and its profile.

    :param transparency: Whether it may stay transparent. Otherwise :data:`BACKGROUND` is put behind it.
    :raises InvalidRequestError: Its numbers have no known meaning as colours.
    """
    profile = picture.info.get("icc_profile")
    picture = _in_8_bits(picture)
    if picture.has_transparency_data:
        return _transparent(picture, profile, keep=transparency)
    if picture.mode in {"1", "P"}:
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    if picture.mode == "RGB":
        return _with_profile(picture, profile)
    if picture.mode in {"CMYK", "L", "LAB"}:
        picture = _by_profile(picture, profile)
    return _with_profile(picture if picture.mode == "RGB" else picture.convert("RGB"), None)


def _transparent(picture: Picture, profile: Any, *, keep: bool) -> Picture:
    """RGBA, or RGB on the background. A grey profile is applied to the colours, not to the transparency."""
    from PIL import Image as Pictures

    if picture.mode in {"L", "LA", "La"}:
        whole = picture.convert("LA")
        colours = _by_profile(whole.getchannel("L"), profile).convert("RGB")
        colours.putalpha(whole.getchannel("A"))
        picture, profile = colours, None
    elif picture.mode != "RGBA":
        picture = picture.convert("RGBA")
    if keep:
        return _with_profile(picture, profile)
    behind = Pictures.new("RGB", picture.size, BACKGROUND)
    for top, strip in _strips(picture, "RGBA"):
        behind.paste(strip, (0, top), strip)
    return _with_profile(behind, profile)


def _in_8_bits(picture: Picture) -> Picture:
    """
    A picture whose grey has 16 or 32 bits, in 8 bits. Others are returned as they are.

    :raises InvalidRequestError: It is not clear which number is white.
    """
    if not picture.mode.startswith(("I", "F")):
        return picture
    from PIL import Image as Pictures

    extrema = [strip.getextrema() for _, strip in _strips(picture, "F")]
    darkest, lightest = min(low for low, _ in extrema), max(high for _, high in extrema)
    if picture.mode == "F" and darkest >= 0 and lightest <= 1:
        white = 1.0
    elif picture.mode == "F" and darkest >= 0 and 2 <= lightest <= 255:
        white = 255.0
    elif picture.mode != "F" and darkest >= 0 and lightest <= 65535:
        white = 65535.0
    else:
        raise InvalidRequestError(
            f"the picture's values are from {darkest:g} to {lightest:g}, and it does not say which of them is white",
            advice="Nothing was bought. Convert the picture to 8 bits per colour before.",
        )
    grey = Pictures.new("L", picture.size)
    for top, strip in _strips(picture, "F"):
        grey.paste(strip.point(lambda value: value * (255 / white) + 0.5).convert("L"), (0, top))
    grey.info.update(picture.info)
    return grey


def _strips(picture: Picture, mode: str) -> Iterator[tuple[int, Any]]:
    """A picture in strips, from the top, so that a converted copy does not need memory for all of it."""
    width, height = picture.size
    for top in range(0, height, _STRIP):
        yield top, picture.crop((0, top, width, min(top + _STRIP, height))).convert(mode)


def _by_profile(picture: Picture, profile: Any) -> Picture:
    """A picture in sRGB, as its profile says; itself if it has no profile of its own colour space."""
    from PIL import ImageCms

    if picture.mode == "LAB":
        source: Any = ImageCms.createProfile("LAB")
    elif isinstance(profile, bytes) and profile[16:20] == _SPACES.get(picture.mode):
        source = io.BytesIO(profile)
    else:
        return picture
    try:
        converted = ImageCms.profileToProfile(
            picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        # A damaged profile says nothing.
        return picture
    return converted if converted is not None else picture


def _with_profile(picture: Picture, profile: Any) -> Picture:
    """A picture that keeps a profile only if that is one for RGB."""
    is_rgb = isinstance(profile, bytes) and profile[16:20] == _SPACES["RGB"]
    picture.info["icc_profile"] = profile if is_rgb else None
    return picture
