"""A picture held in memory, and whether a vendor takes it as it is: checked, and made fit, before anything is bought."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import without_queries
from airflow_provider_faceswap.media.file_types import HEAD, dimensions, sniff
from airflow_provider_faceswap.storage.files import path_of

if TYPE_CHECKING:
    from airflow_provider_faceswap.media.file_types import MediaType
    from airflow_provider_faceswap.vendors.base import Accepts

#: Bytes; nothing larger is read for an argument, whatever the vendor says.
LARGEST = 64 * 1024 * 1024
#: What says that there is no such file, or that it may not be read; whatever else a storage has to say may pass.
_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ValueError)
#: The EXIF field that says how a camera was held, and the value for "upright".
_ORIENTATION, _UPRIGHT = 0x0112, 1
#: Pillow's word for each media type that it can write.
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
#: JPEG qualities that are tried before a picture is made smaller, and by how much it then is.
_QUALITIES, _SHRINK = (95, 88, 80), 0.8


@dataclass(frozen=True)
class Image:
    """
    A picture, or a short video, as an argument.

    ``Image(data)`` holds bytes; :meth:`read` takes them from a disk or an object store. It is made where it is used,
    in a task: bytes belong neither in a Dag's own text nor in an XCom.

    :param data: The file's bytes, as they are.
    """

    data: bytes = field(repr=False)

    @classmethod
    def read(cls, source: Any, *, conn_id: str | None = None) -> Self:
        """
        Read a file.

        :param source: A path on this machine, or the URI or path object of an object store.
        :param conn_id: Airflow connection for that storage, where the URI names none.
        :raises InvalidRequestError: There is no such file, it is empty, or it is larger than 64 MiB.
        :raises FaceSwapError: It could not be read; a retry may help.
        """
        name = without_queries(str(source))
        try:
            with path_of(source, conn_id).open("rb") as file:
                data = file.read(LARGEST + 1)
        except _ABSENT as error:
            raise InvalidRequestError(
                f"{name} could not be read ({type(error).__name__})",
                advice="Nothing was bought. Correct the path, or the storage's connection.",
            ) from None
        except Exception as error:  # noqa: BLE001 - every storage raises what its own library has
            raise FaceSwapError(
                f"{name} could not be read ({type(error).__name__})",
                advice="Nothing was bought by this try. Retry once the storage is well.",
            ) from None
        if not data or len(data) > LARGEST:
            raise InvalidRequestError(
                f"{name} {'is empty' if not data else f'is larger than {LARGEST} bytes'}"
            )
        return cls(data)

    @cached_property
    def sha256(self) -> str:
        """Of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def media(self) -> MediaType | None:
        """What the bytes are, by their beginning."""
        return sniff(self.data[:HEAD])

    @property
    def file(self) -> BinaryIO:
        """The bytes as a file."""
        return io.BytesIO(self.data)

    def __repr__(self) -> str:
        """What may be shown: the hash, never the bytes."""
        return f"Image({self.media.name if self.media else 'unknown'}, {len(self.data)} bytes, sha256:{self.sha256})"


def faults_of(image: Image, accepts: Accepts) -> list[str]:
    """
    Say what a vendor would refuse.

    :returns: One text for each fault, such as ``it is image/webp, and only image/png is taken``.
    """
    if image.media is None:
        return ["it is neither a picture nor a video"]
    found = []
    if accepts.formats and image.media.name not in accepts.formats:
        found.append(f"it is {image.media.name}, and only {' and '.join(sorted(accepts.formats))} are taken")
    if accepts.max_bytes is not None and len(image.data) > accepts.max_bytes:
        found.append(f"it has {len(image.data)} bytes, over the limit of {accepts.max_bytes}")
    size = dimensions(image.file) if image.media.is_picture else None
    if size is not None and accepts.max_side is not None and max(size) > accepts.max_side:
        found.append(f"it is {size[0]} x {size[1]}, over {accepts.max_side} x {accepts.max_side}")
    return found


def upright(image: Image) -> Image:
    """
    Turn a picture the way its camera was held; most vendors look at the pixels only.

    :returns: The same picture where it is upright, is a video, cannot be turned, or Pillow is not installed.
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
            return Image(_written(ImageOps.exif_transpose(picture), image.media.name, _QUALITIES[0]))
    except Exception:  # noqa: BLE001 - Pillow raises whatever a damaged part of a file brings up
        return image


def fitted(image: Image, accepts: Accepts) -> Image:
    """
    Make a picture that the vendor takes: upright, in a format and of a size within its limits.

    It becomes a JPEG, or a PNG where it has transparency; the sides keep their proportion.

    :returns: The same picture where nothing has to be done.
    :raises InvalidRequestError: Pillow is not installed, or the picture cannot be opened or made fit.
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
    if not faults_of(image, accepts):
        return image
    try:
        with Pictures.open(image.file) as opened:
            picture: Pictures.Image = ImageOps.exif_transpose(opened)
            if accepts.max_side is not None and max(picture.size) > accepts.max_side:
                side = accepts.fit_side or accepts.max_side
                picture.thumbnail((side, side))
            form = _form(picture, image, accepts)
            while min(picture.size) > 1:
                for quality in _QUALITIES:
                    made = Image(_written(picture, form, quality))
                    if not faults_of(made, accepts):
                        return made
                picture = picture.resize([max(1, int(side * _SHRINK)) for side in picture.size])
    except Exception as error:  # noqa: BLE001 - as above
        raise InvalidRequestError(f"the picture cannot be opened ({type(error).__name__})") from None
    raise InvalidRequestError("the picture cannot be made fit")


def _form(picture: Any, image: Image, accepts: Accepts) -> str:
    """The media type to write: its own where that is taken, else PNG for transparency, else JPEG."""
    taken = accepts.formats or frozenset(_FORMATS)
    wanted = ["image/png"] if picture.has_transparency_data else []
    own = [image.media.name] if image.media else []
    return next(
        form for form in (*own, *wanted, "image/jpeg", "image/png") if form in taken and form in _FORMATS
    )


def _written(picture: Any, form: str, quality: int) -> bytes:
    if form == "image/jpeg" and picture.mode != "RGB":
        picture = picture.convert("RGB")
    out = io.BytesIO()
    # The colour profile belongs to the picture, where and when it was taken does not.
    picture.save(out, _FORMATS[form], quality=quality, icc_profile=picture.info.get("icc_profile"), exif=b"")
    return out.getvalue()
