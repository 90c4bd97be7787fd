"""
Pictures for the tests: photographs and odd files from Python packages, and odd ones that Pillow writes.

Every one made here shows the same: four bars, red, green, grey and white, in as far as its format has colours.
"""

from __future__ import annotations

import io
import struct
from functools import cache
from importlib.metadata import files

from PIL import Image

#: The bars that each picture of this module shows, in RGB.
BARS = ((200, 30, 40), (40, 160, 60), (100, 100, 100), (255, 255, 255))
WIDTH, HEIGHT = 64, 48


def bars(mode: str = "RGB", size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    """The four bars, from left to right."""
    picture = Image.new("RGB", (4, 1))
    picture.putdata(BARS)
    picture = picture.resize(size, Image.Resampling.NEAREST)
    return picture.quantize(16) if mode == "P" else picture.convert(mode)


def writes(form: str) -> bool:
    """Whether this Pillow can write a format."""
    Image.init()
    return form in Image.SAVE


def written(picture: Image.Image, form: str, **options) -> bytes:
    """The bytes of a picture; none if this Pillow cannot write the format, as the oldest cannot write AVIF."""
    if not writes(form):
        return b""
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def seen(data: bytes) -> list[tuple[int, int, int]]:
    """The colour in the middle of each of four bars, as a viewer that ignores profiles shows it."""
    with Image.open(io.BytesIO(data)) as opened:
        picture = opened.convert("RGB")
    width, height = picture.size
    return [picture.getpixel((width * (2 * bar + 1) // 8, height // 2)) for bar in range(4)]


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2 (ICC.1:2001-04) for an output device."""
    body, table, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += padded
    pcs = b"Lab " if space == b"CMYK" else b"XYZ "
    head = struct.pack(">I4xI4s4s4s", at + len(body), 0x02400000, b"prtr", space, pcs)
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _text(text: str) -> bytes:
    return b"text\0\0\0\0" + text.encode() + b"\0"


@cache
def grey_profile(gamma: float) -> bytes:
    """A profile for grey."""
    white = b"XYZ \0\0\0\0" + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    return _profile(b"GRAY", {b"cprt": _text("none"), b"wtpt": white, b"kTRC": curve})


@cache
def cmyk_profile() -> bytes:
    """A profile for CMYK whose first ink is not cyan but red, so that whoever ignores it shows another colour."""
    corners = b""
    for cyan in (0, 1):
        for magenta in (0, 1):
            for yellow in (0, 1):
                for black in (0, 1):
                    light = 100 * (1 - 0.5 * cyan) * (1 - 0.3 * magenta) * (1 - 0.1 * yellow) * (1 - black)
                    tint = 0 if black else 70 * cyan
                    corners += bytes([round(light * 2.55), 128 + tint, 128 + (0 if black else 50 * cyan)])
    line = bytes(range(256))
    identity = struct.pack(">9I", *(0x10000 if at % 4 == 0 else 0 for at in range(9)))
    table = b"mft1\0\0\0\0\4\3\2\0" + identity + line * 4 + corners + line * 3
    white = b"XYZ \0\0\0\0" + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return _profile(b"CMYK", {b"cprt": _text("none"), b"wtpt": white, b"A2B0": table})


def exif(orientation: int | None = None) -> bytes:
    """EXIF data with a place, a camera and maybe an orientation."""
    data = Image.Exif()
    if orientation is not None:
        data[0x0112] = orientation
    data[0x010F] = "planted camera"
    data.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 14.0), 3: "E", 4: (11.0, 34.0, 31.0)})
    return data.tobytes()


def _frames() -> dict:
    return {"save_all": True, "append_images": [bars().rotate(180)], "duration": 100}


def _sixteen(mode: str = "I;16") -> Image.Image:
    grey = bars("L").convert("I").point(lambda value: value * 257)
    return grey if mode == "I" else grey.convert(mode)


def _transparent(mode: str = "RGBA") -> Image.Image:
    picture = bars("RGBA")
    picture.paste((0, 0, 0, 0), (WIDTH * 3 // 4, 0, WIDTH, HEIGHT))
    return picture.convert(mode)


def _palette_with_transparency() -> Image.Image:
    picture = bars("P")
    picture.info["transparency"] = picture.getpixel((WIDTH - 2, 2))
    return picture


@cache
def odd() -> dict[str, bytes]:
    """Odd pictures that Pillow writes, by their name."""
    made = _odd()
    return {name: data for name, data in made.items() if data}


def _odd() -> dict[str, bytes]:
    cmyk, floats = bars("CMYK"), bars("F").point(lambda value: value / 255 + 0)
    return {
        "rgb.png": written(bars(), "PNG"),
        "rgb.jpg": written(bars(), "JPEG", quality=95, subsampling=0),
        "progressive.jpg": written(bars(), "JPEG", quality=95, subsampling=0, progressive=True),
        "rgb.webp": written(bars(), "WEBP", lossless=True),
        "lossy.webp": written(bars(), "WEBP", quality=95),
        "rgb.avif": written(bars(), "AVIF", quality=95, subsampling="4:4:4"),
        "rgb.jp2": written(bars(), "JPEG2000"),
        "rgb.bmp": written(bars(), "BMP"),
        "rgb.ppm": written(bars(), "PPM"),
        "rgb.tif": written(bars(), "TIFF"),
        "rgb.gif": written(bars(), "GIF"),
        "palette.png": written(bars("P"), "PNG"),
        "palette transparent.png": written(_palette_with_transparency(), "PNG"),
        "grey.png": written(bars("L"), "PNG"),
        "grey.jpg": written(bars("L"), "JPEG", quality=95),
        "grey alpha.png": written(_transparent("LA"), "PNG"),
        "grey with profile.png": written(bars("L"), "PNG", icc_profile=grey_profile(1.0)),
        "grey with profile.jpg": written(bars("L"), "JPEG", quality=95, icc_profile=grey_profile(1.0)),
        "grey with profile.tif": written(bars("L"), "TIFF", icc_profile=grey_profile(1.0)),
        "black and white.png": written(bars("1"), "PNG"),
        "black and white.tif": written(bars("1"), "TIFF", compression="group4"),
        "alpha.png": written(_transparent(), "PNG"),
        "alpha.webp": written(_transparent(), "WEBP", lossless=True),
        "alpha.tif": written(_transparent(), "TIFF"),
        "alpha.gif": written(_transparent(), "GIF"),
        "cmyk.jpg": written(cmyk, "JPEG", quality=95, subsampling=0),
        "cmyk.tif": written(cmyk, "TIFF"),
        "cmyk with profile.jpg": written(cmyk, "JPEG", quality=95, icc_profile=cmyk_profile()),
        "cmyk with profile.tif": written(cmyk, "TIFF", icc_profile=cmyk_profile()),
        "16 bit.png": written(_sixteen(), "PNG"),
        "16 bit.tif": written(_sixteen(), "TIFF"),
        "16 bit big endian.tif": written(_sixteen("I;16B"), "TIFF"),
        "16 bit.pgm": written(_sixteen("I"), "PPM"),
        "16 bit.jp2": written(_sixteen(), "JPEG2000"),
        "32 bit.tif": written(_sixteen("I"), "TIFF"),
        "float.tif": written(floats, "TIFF"),
        "float to 255.tif": written(bars("F"), "TIFF"),
        "float of heights.tif": written(bars("F").point(lambda value: value * 10 + 0), "TIFF"),
        "turned.jpg": written(bars().rotate(90, expand=True), "JPEG", quality=95, exif=exif(6)),
        "orientation 0.jpg": written(bars(), "JPEG", quality=95, exif=exif(0)),
        "orientation 9.jpg": written(bars(), "JPEG", quality=95, exif=exif(9)),
        "orientation 65535.jpg": written(bars(), "JPEG", quality=95, exif=exif(65535)),
        "with a place.jpg": written(bars(), "JPEG", quality=95, exif=exif(), comment=b"planted comment"),
        "with a place.png": written(bars(), "PNG", exif=exif()),
        "with a place.webp": written(bars(), "WEBP", lossless=True, exif=exif(), xmp=b"<planted/>"),
        "with a place.avif": written(bars(), "AVIF", quality=95, exif=exif(), xmp=b"<planted/>"),
        "animated.gif": written(bars("P"), "GIF", **_frames()),
        "animated.png": written(bars(), "PNG", **_frames()),
        "animated.webp": written(bars(), "WEBP", **_frames()),
        "two pages.tif": written(bars(), "TIFF", save_all=True, append_images=[bars()]),
        "one row.png": written(bars(size=(3000, 1)), "PNG"),
        "one column.gif": written(bars(size=(1, 3000)), "GIF"),
        "one pixel.png": written(bars(size=(1, 1)), "PNG"),
        "drawn by a program.eps": written(bars(), "EPS"),
        "an icon.ico": written(bars(), "ICO"),
        "a drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    }


@cache
def packaged() -> dict[str, bytes]:
    """Photographs and odd files that are in packages of the development environment, by package and name."""
    found = {}
    for package, folder in (("scikit-image", "skimage/data/"), ("pygame", "pygame/examples/data/")):
        for path in files(package) or ():
            if str(path).startswith(folder) and path.suffix in SUFFIXES:
                found[f"{package}: {path.name}"] = path.read_binary()
    return found


#: Of the files in packages that are pictures.
SUFFIXES = {".png", ".jpg", ".gif", ".tif", ".webp", ".bmp", ".ppm", ".pgm", ".pnm", ".tga", ".pcx"}
