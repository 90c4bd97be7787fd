"""Whether a vendor accepts a picture, and conversion of one that it would refuse."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.media.colours import as_rgb
from airflow_provider_faceswap.media.decoding import cannot_open, opened
from airflow_provider_faceswap.media.image import Image
from airflow_provider_faceswap.media.limits import MAX_PIXELS, max_decoded_pixels
from airflow_provider_faceswap.media.metadata import orientation_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image as Picture

    from airflow_provider_faceswap.vendors.kinds import Accepts

#: Pillow's name of each media type that it can write.
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
#: JPEG and WebP qualities that are tried before the picture is made smaller, and by which factor it is made smaller.
_QUALITIES, _SHRINK = (95, 88, 80), 0.8


def check_whole(image: Image) -> None:
    """
    Check that a file is whole, and no larger than any vendor could accept.

    :raises InvalidRequestError: It is not.
    """
    found = image.structure
    if found.flaw:
        raise InvalidRequestError(
            f"the {'picture' if found.media and found.media.is_picture else 'file'} {found.flaw}",
            advice="Nothing was bought. Give the whole file.",
        )
    if found.size is not None and found.size[0] * found.size[1] > MAX_PIXELS:
        raise InvalidRequestError(
            f"the picture has {found.size[0]} x {found.size[1]} pixels, over the limit of {MAX_PIXELS}",
            advice="Nothing was bought. Give a smaller picture.",
        )


def problems_with(image: Image, accepts: Accepts) -> list[str]:
    """
    The reasons why a vendor would refuse a picture.

    :returns: One text each, such as ``it is image/webp, and only image/png is taken``.
    """
    if image.media is None or not (image.media.is_visible or accepts.any_file):
        return ["it is neither a picture nor a video"]
    problems = []
    if accepts.formats and image.media.name not in accepts.formats:
        problems.append(
            f"it is {image.media.name}, and only {' and '.join(sorted(accepts.formats))} are taken"
        )
    if accepts.max_bytes is not None and len(image.data) > accepts.max_bytes:
        problems.append(f"it has {len(image.data)} bytes, over the limit of {accepts.max_bytes}")
    size = image.structure.size
    if size is not None and accepts.max_side is not None and max(size) > accepts.max_side:
        problems.append(f"it is {size[0]} x {size[1]}, over {accepts.max_side} x {accepts.max_side}")
    return problems


def upright(image: Image) -> Image:
    """
    A picture rotated as its EXIF orientation says, because most vendors ignore that field.

    :returns: The same picture if it is upright, is a video or an animation, cannot be rotated, or if Pillow is not
        installed.
    :raises InvalidRequestError: It has too many pixels to be decoded here.
    """
    if image.media is None or image.media.name not in _FORMATS or orientation_of(image) == 1:
        return image
    try:
        from PIL import ImageOps
    except ImportError:
        return image
    try:
        with opened(image) as (picture, _):
            if _is_animated(picture):
                return image
            ImageOps.exif_transpose(picture, in_place=True)
            profile = picture.info.get("icc_profile")
            return Image(_encoded(picture, image.media.name, _QUALITIES[0], profile))
    except InvalidRequestError:
        raise
    except Exception:  # noqa: BLE001 - Pillow raises many kinds of errors for a damaged file
        return image


def fitted(image: Image, accepts: Accepts) -> Image:
    """
    A picture that the vendor accepts: upright, in an accepted format, and within the limits.

    It becomes a JPEG, or a PNG if it has transparency; the aspect ratio stays.

    :returns: The same picture if nothing has to be changed.
    :raises InvalidRequestError: Pillow is not installed, or the picture cannot be opened or converted.
    """
    if find_spec("PIL") is None:
        raise InvalidRequestError(
            "preflight='fit' needs Pillow",
            advice="Nothing was bought. Install airflow-provider-faceswap[images].",
        )
    if not problems_with(image, accepts):
        turned = upright(image)
        if turned is image or not problems_with(turned, accepts):
            return turned
    try:
        for smaller in _versions(_decoded(image, accepts), image, accepts):
            if not problems_with(smaller, accepts):
                return smaller
    except InvalidRequestError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise cannot_open(error) from None
    raise InvalidRequestError("the picture could not be converted and shrunk to what the vendor accepts")


def _decoded(image: Image, accepts: Accepts) -> Picture:
    """
    The picture in RGB or RGBA, upright, and not larger than the vendor accepts.

    :raises InvalidRequestError: It is an animation, has too many pixels, or its colours are not clear.
    """
    from PIL import ImageOps

    side = accepts.fit_side or accepts.max_side
    with opened(image, side=side or _decodable_side(image)) as (picture, size):
        if _is_animated(picture):
            raise InvalidRequestError(
                "the picture is an animation or has several pages, and only the first would be left",
                advice="Nothing was bought. Give one of them as a picture of its own.",
            )
        ImageOps.exif_transpose(picture, in_place=True)
        rgb = as_rgb(picture, transparency=not accepts.formats or "image/png" in accepts.formats)
        if accepts.max_side is not None and side is not None and max(size) > accepts.max_side:
            rgb.thumbnail((side, side))
        return rgb


def _decodable_side(image: Image) -> int | None:
    """The longer side of a picture after it has been halved until it may be decoded here; ``None`` if it may already."""
    if image.structure.size is None:
        return None
    width, height = image.structure.size
    halves = 0
    while (width >> halves) * (height >> halves) > max_decoded_pixels():
        halves += 1
    return max(width, height) >> halves if halves else None


def _is_animated(picture: Any) -> bool:
    """Whether it has more than one frame or page. The other pictures of a photograph do not count."""
    return picture.format != "MPO" and bool(getattr(picture, "is_animated", False))


def _versions(picture: Picture, image: Image, accepts: Accepts) -> Iterator[Image]:
    """The picture in forms that need fewer and fewer bytes."""
    profile = picture.info.get("icc_profile")
    types = _output_types(picture, image, accepts)
    while True:
        for media_type in types:
            for quality in _QUALITIES if media_type != "image/png" else _QUALITIES[:1]:
                yield Image(_encoded(picture, media_type, quality, profile))
        if max(picture.size) == 1:
            return
        picture = picture.resize((_shrunk(picture.size[0]), _shrunk(picture.size[1])))


def _shrunk(side: int) -> int:
    return max(1, int(side * _SHRINK))


def _output_types(picture: Picture, image: Image, accepts: Accepts) -> list[str]:
    """The media types to try: its own if that is accepted, else PNG for transparency, else JPEG."""
    accepted = (accepts.formats or _FORMATS.keys()) & _FORMATS.keys()
    own = image.media.name if image.media else ""
    first = "image/png" if picture.mode == "RGBA" else "image/jpeg"
    best = next(choice for choice in (own, first, "image/jpeg", "image/png") if choice in accepted)
    # A photograph as a PNG would have to lose many pixels before it has few bytes.
    then = ["image/jpeg"] if best == "image/png" and picture.mode != "RGBA" else []
    return [best, *(choice for choice in then if choice in accepted)]


def _encoded(picture: Any, media_type: str, quality: int, profile: Any) -> bytes:
    if media_type == "image/jpeg" and picture.mode not in {"RGB", "L", "CMYK"}:
        picture = as_rgb(picture, transparency=False)
    out = io.BytesIO()
    # Keep the colour profile, and drop the other metadata: it may contain a place and a time.
    options = {"quality": quality, "icc_profile": profile, "exif": b""}
    if media_type == "image/jpeg" and quality == _QUALITIES[0]:
        options["subsampling"] = 0
    picture.save(out, _FORMATS[media_type], **options)
    return out.getvalue()
