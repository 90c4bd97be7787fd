"""
Pictures of a request, in a form that can be sent to its vendor.

A link is sent unchanged. A file in object storage is sent as a link that the storage signs. If it cannot sign, and
for bytes, the picture goes inside the request if the vendor accepts that, or through the vendor's upload. If none of
these is possible, the error names the choices. The bytes that pass through here are checked first, so that no job is
submitted with a picture that the vendor would refuse.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    FaceSwapError,
    InvalidRequestError,
    PictureNotTakenError,
)
from airflow_provider_faceswap.foundation.rendered import is_text_of_result
from airflow_provider_faceswap.foundation.text import safe_text
from airflow_provider_faceswap.lifecycle.provenance import archived_uri
from airflow_provider_faceswap.media.doubts import doubts_about
from airflow_provider_faceswap.media.fit import check_whole, fitted, problems_with, upright
from airflow_provider_faceswap.media.image import Image
from airflow_provider_faceswap.media.limits import max_picture_bytes, max_transfer_seconds, open_hosts
from airflow_provider_faceswap.media.metadata import orientation_of, without_metadata
from airflow_provider_faceswap.media.placeholders import placeholder_at, placeholder_for, stands_for_picture
from airflow_provider_faceswap.media.remembered import remembered
from airflow_provider_faceswap.media.signing import signed_link
from airflow_provider_faceswap.storage.files import usable_path
from airflow_provider_faceswap.storage.local_files import allowed

if TYPE_CHECKING:
    from typing import BinaryIO

    from airflow_provider_faceswap.media.preflight import Preflight
    from airflow_provider_faceswap.vendors.base import Vendor
    from airflow_provider_faceswap.vendors.kinds import Accepts


@dataclass
class MediaPreparer:
    """
    Prepares the pictures of one request.

    :param preflight: ``auto`` checks the bytes that pass through here, ``check`` also fetches and checks links,
        ``fit`` also converts and shrinks what would be refused, ``off`` checks nothing.
    :ivar uploads: Bytes to upload to the vendor before the submission, by the placeholder for their link.
    :ivar doubts: What the vendor may refuse, with the name of the argument.
    """

    vendor: Vendor
    preflight: Preflight
    uploads: dict[str, bytes] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    def arguments(
        self, media: Mapping[str, Accepts], given: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Prepare every picture of the arguments.

        :param media: The arguments that are pictures, and what the vendor accepts for each.
        :returns: The arguments to send; and those for the fingerprint, which are the same in every attempt.
        :raises InvalidRequestError: A picture would be refused, or cannot be sent; the message names the argument.
        :raises FaceSwapError: A picture could not be read now; a retry may help.
        """
        sent, known = {}, {}
        for name, value in given.items():
            accepts, before = media.get(name), len(self.doubts)
            try:
                sent[name], known[name] = self._value(
                    value, accepts or self.vendor.nested, declared=bool(accepts)
                )
            except FaceSwapError as error:
                raise type(error)(
                    f"{name}: {error.message}", vendor=self.vendor.name, advice=error.advice
                ) from None
            self.doubts[before:] = [f"{name}: {doubt}" for doubt in self.doubts[before:]]
        return sent, known

    def _value(self, value: Any, accepts: Accepts, *, declared: bool) -> tuple[Any, Any]:
        """One argument; a text is a picture only if a picture is expected."""
        if isinstance(value, Image):
            return self._bytes(value, accepts)
        if isinstance(value, ObjectStoragePath):
            return self._stored(value, accepts)
        if (uri := archived_uri(value)) is not None:
            return self._stored(uri, accepts)
        if isinstance(value, Mapping):
            pairs = {key: self._value(part, accepts, declared=False) for key, part in value.items()}
            return {key: pair[0] for key, pair in pairs.items()}, {
                key: pair[1] for key, pair in pairs.items()
            }
        if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
            # All at once: iterating over a lazy sequence would make one request to Airflow for each item.
            listed = [self._value(part, accepts, declared=declared) for part in value[:]]
            return [pair[0] for pair in listed], [pair[1] for pair in listed]
        if declared and isinstance(value, str) and value[:5].lower() == "data:":
            return self._data_uri(value, accepts)
        if declared and isinstance(value, str) and "://" in value[:16] and not is_text_of_result(value):
            if value.lower().startswith(("http://", "https://")):
                return self._link(value, accepts)
            return self._stored(value, accepts)
        return value, value

    def _data_uri(self, value: str, accepts: Accepts) -> tuple[str, str]:
        """
        A picture that is given as a ``data:`` URI: whole, and without metadata.

        Its type and size are checked with the other arguments.
        """
        head, _, body = value.partition(",")
        named = head[5:].partition(";")[0].lower()
        is_taken = accepts.inline and (not accepts.formats or named in accepts.formats)
        if self.preflight == "off" or not is_taken or not head.lower().endswith(";base64"):
            return value, value
        try:
            image = Image(base64.b64decode(body, validate=True))
        except ValueError:
            return value, value
        check_whole(image)
        clean = without_metadata(image)
        return value if clean is image else f"{head},{base64.b64encode(clean.data).decode()}", value

    def _link(self, url: str, accepts: Accepts) -> tuple[str, str]:
        """A link, which the vendor fetches; it is checked here only on request."""
        if self.preflight not in {"check", "fit"} or stands_for_picture(url):
            return url, url
        from airflow_provider_faceswap.http.download import download
        from airflow_provider_faceswap.http.patience import UNKNOWN, Patience

        with tempfile.SpooledTemporaryFile(max_picture_bytes()) as spool:
            file = cast("BinaryIO", spool)
            try:
                fetch = partial(download, url, file, max_bytes=max_picture_bytes(), open_hosts=open_hosts())
                # It may be the result of a job that has just ended.
                Patience().of(partial(fetch, seconds=max_transfer_seconds()), UNKNOWN)
            except ArchiveError as error:
                final = isinstance(error, AirflowFailException)
                raise (InvalidRequestError if final else FaceSwapError)(
                    f"the picture could not be checked: {error.message}",
                    advice="This attempt bought nothing. "
                    + ("Correct the link, or set" if final else "Retry, or set")
                    + " preflight='auto' to leave it to the vendor.",
                ) from None
            image = Image(file.read())
        fit = self._checked(image, accepts, by_link=accepts.link)
        if not accepts.link or fit.data != image.data:
            return self._bytes(fit, accepts, image)
        if self.preflight == "fit" and accepts.may_refuse(url) and len(fit.data) <= accepts.inline:
            # The same picture as behind the link, which therefore still identifies the request.
            return self._bytes(fit, accepts, image)[0], url
        return url, url

    def _stored(self, source: Any, accepts: Accepts) -> tuple[str, str]:
        """A file in object storage: a signed link if the storage can sign, else the bytes."""
        path = allowed(_path(source))
        signed, why = None, ""
        if accepts.link:
            made = signed_link(path)
            signed, why = made.link, made.why
        if signed is not None and self.preflight == "off":
            # On Airflow 3.1 the bucket still contains the connection id.
            return signed, placeholder_at(path.protocol, path.bucket.rpartition("@")[2], path.key.strip("/"))
        pictures, conditions = remembered(), (self.vendor.name, self.preflight, accepts)
        if signed is not None and (known := pictures.placeholder(path, conditions)) is not None:
            return signed, known
        image = pictures.read(path)
        if image.media is None and self.preflight != "fit":
            # No other file of a disk or of a storage is sent to a vendor. What is fitted is opened as a picture.
            raise PictureNotTakenError("it is neither a picture nor a video")
        fit = self._checked(image, accepts, by_link=signed is not None)
        if signed is not None and fit.data == image.data:
            return signed, pictures.keep(path, conditions, placeholder_for(image))
        return self._bytes(fit, accepts, image, unsigned_because=why)

    def _checked(self, image: Image, accepts: Accepts, *, by_link: bool = False) -> Image:
        """
        The picture as it may be sent; what the vendor may refuse of it becomes a doubt.

        :param by_link: Whether the vendor could download the picture if it is not changed.
        :raises InvalidRequestError: It is not whole, or cannot be made acceptable.
        :raises PictureNotTakenError: The vendor would refuse it.
        """
        if self.preflight == "off":
            return image
        check_whole(image)
        accepted = self._accepted(image, accepts, by_link=by_link)
        self.doubts += doubts_about(accepted, accepts)
        return accepted

    def _accepted(self, image: Image, accepts: Accepts, *, by_link: bool) -> Image:
        problems = problems_with(image, accepts)
        # A vendor that accepts links only could not be sent a rotated copy.
        changeable = bool(accepts.inline) or self.vendor.uploads is not None
        if not (problems or changeable):
            return image
        if self.preflight == "fit":
            unchanged = by_link and not problems and orientation_of(image) == 1
            return image if unchanged else fitted(image, self._sendable(accepts))
        rotated = upright(image) if changeable else image
        if problems := problems_with(rotated, accepts):
            raise PictureNotTakenError("; ".join(problems))
        return rotated

    def _sendable(self, accepts: Accepts) -> Accepts:
        """What is accepted of bytes that can go nowhere but inside the request."""
        if not accepts.inline or (self.vendor.uploads is not None and accepts.link):
            return accepts
        return replace(accepts, max_bytes=min(accepts.inline, accepts.max_bytes or accepts.inline))

    def _bytes(
        self, image: Image, accepts: Accepts, original: Image | None = None, *, unsigned_because: str = ""
    ) -> tuple[str, str]:
        """
        Bytes, to be sent inside the request or uploaded to the vendor first; without metadata.

        :param original: The picture before it was converted, which goes into the fingerprint.
        :param unsigned_because: Why the storage signed no link.
        :raises PictureNotTakenError: This vendor accepts neither.
        """
        if original is None:
            original, image = image, self._checked(image, accepts)
        placeholder = placeholder_for(original)
        # Metadata are no part of the fingerprint's picture, so that a retry finds a job that an older version submitted.
        known = image
        if self.preflight != "off":
            image = without_metadata(image)
        if image.media and len(image.data) <= accepts.inline:
            return _inline(image), placeholder if accepts.link else _inline(known)
        uploads = self.vendor.uploads
        if uploads is not None and accepts.link and len(image.data) <= (uploads.max_bytes or len(image.data)):
            self.uploads[placeholder] = image.data
            return placeholder, placeholder
        raise PictureNotTakenError(
            f"{len(image.data)} bytes cannot be sent to {self.vendor.name} here"
            + (f": at most {accepts.inline} inline" if accepts.inline else ", which accepts only links")
            + (f", or at most {uploads.max_bytes} by upload" if uploads and uploads.max_bytes else "")
            + (f"; and {unsigned_because}" if unsigned_because else ""),
            advice="Nothing was bought. Give a public link, or put the picture into storage that can sign links, "
            "such as s3:// or gs://; or choose a vendor that accepts pictures inside the request.",
        )


def _path(source: Any) -> ObjectStoragePath:
    """
    A file's path.

    :raises InvalidRequestError: This Airflow has no storage for such URIs.
    """
    try:
        return usable_path(source)
    except (ValueError, ImportError):
        scheme = safe_text(str(source).partition("://")[0])
        raise InvalidRequestError(
            f"must be a full http or https URL, or the URI of a storage; this Airflow has no storage for {scheme}://"
        ) from None


def _inline(image: Image) -> str:
    """A picture as a ``data:`` URI."""
    name = image.media.name if image.media else "application/octet-stream"
    return f"data:{name};base64,{base64.b64encode(image.data).decode()}"
