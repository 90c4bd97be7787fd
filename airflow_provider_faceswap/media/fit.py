"""Whether a vendor accepts a picture, and conversion of one that it would refuse."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.file_structure import dimensions
from airflow_provider_faceswap.media.image import Image

if TYPE_CHECKING:
    from airflow_provider_faceswap.vendors.kinds import Accepts

#: The EXIF field for the camera's orientation, and its value for "upright".
_ORIENTATION, _UPRIGHT = 0x0112, 1
#: Pillow's name of each media type that it can write.
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
#: JPEG qualities that are tried before the picture is made smaller, and by which factor it is made smaller.
_QUALITIES, _SHRINK = (95, 88, 80), 0.8


def problems_with(image: Image, accepts: Accepts) -> list[str]:
    """
    The reasons why a vendor would refuse a picture.

    :returns: One text each, such as ``it is image/webp, and only image/png is taken``.
    """
    if image.media is None:
        return ["it is neither a picture nor a video"]
    problems = []
    if accepts.formats and image.media.name not in accepts.formats:
        problems.append(
            f"it is {image.media.name}, and only {' and '.join(sorted(accepts.formats))} are taken"
        )
    if accepts.max_bytes is not None and len(image.data) > accepts.max_bytes:
        problems.append(f"it has {len(image.data)} bytes, over the limit of {accepts.max_bytes}")
    size = dimensions(image.file) if image.media.is_picture else None
    if size is not None and accepts.max_side is not None and max(size) > accepts.max_side:
        problems.append(f"it is {size[0]} x {size[1]}, over {accepts.max_side} x {accepts.max_side}")
    return problems


def upright(image: Image) -> Image:
    """
    A picture rotated as its EXIF orientation says, because most vendors ignore that field.

    :returns: The same picture if it is upright, is a video, cannot be rotated, or if Pillow is not installed.
    """
    if image.media is None or image.media.name not in _FORMATS:
        return image
    try:
        from PIL import Image as Pictures
        from PIL import ImageOps
    except ImportError:
        return image
    try:
        with Pictures.open(image.file) as picture:
            if picture.getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT:
                return image
            return Image(_encoded(ImageOps.exif_transpose(picture), image.media.name, _QUALITIES[0]))
    except Exception:  # noqa: BLE001 - Pillow raises many kinds of errors for a damaged file
        return image


def fitted(image: Image, accepts: Accepts) -> Image:
    """
    A picture that the vendor accepts: upright, in an accepted format, and within the limits.

    It becomes a JPEG, or a PNG if it has transparency; the aspect ratio stays.

    :returns: The same picture if nothing has to be changed.
    :raises InvalidRequestError: Pillow is not installed, or the picture cannot be opened or converted.
    """
    try:
        from PIL import Image as Pictures
        from PIL import ImageOps
    except ImportError:
        raise InvalidRequestError(
            "preflight='fit' needs Pillow",
            advice="Nothing was bought. Install airflow-provider-faceswap[images].",
        ) from None
    image = upright(image)
    if not problems_with(image, accepts):
        return image
    try:
        with Pictures.open(image.file) as opened:
            picture: Pictures.Image = ImageOps.exif_transpose(opened)
            if accepts.max_side is not None and max(picture.size) > accepts.max_side:
                side = accepts.fit_side or accepts.max_side
                picture.thumbnail((side, side))
            media_type = _output_type(picture, image, accepts)
            while min(picture.size) > 1:
                for quality in _QUALITIES:
                    smaller = Image(_encoded(picture, media_type, quality))
                    if not problems_with(smaller, accepts):
                        return smaller
                picture = picture.resize([max(1, int(side * _SHRINK)) for side in picture.size])
    except Exception as error:  # noqa: BLE001 - as above
        raise InvalidRequestError(f"the picture cannot be opened ({type(error).__name__})") from None
    raise InvalidRequestError("the picture could not be converted and shrunk to what the vendor accepts")


def _output_type(picture: Any, image: Image, accepts: Accepts) -> str:
    """The media type to write: its own if that is accepted, else PNG for transparency, else JPEG."""
    accepted = accepts.formats or frozenset(_FORMATS)
    own = [image.media.name] if image.media else []
    transparent = ["image/png"] if picture.has_transparency_data else []
    choices = (*own, *transparent, "image/jpeg", "image/png")
    return next(choice for choice in choices if choice in accepted and choice in _FORMATS)


def _encoded(picture: Any, media_type: str, quality: int) -> bytes:
    if media_type == "image/jpeg" and picture.mode != "RGB":
        picture = picture.convert("RGB")
    out = io.BytesIO()
    # Keep the colour profile, and drop the other metadata: it may contain a place and a time.
    picture.save(
        out, _FORMATS[media_type], quality=quality, icc_profile=picture.info.get("icc_profile"), exif=b""
    )
    return out.getvalue()
