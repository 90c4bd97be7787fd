"""
How a picture gets from wherever it is to a vendor.

A link travels as it is. What is in object storage travels by a link that the storage signs; where it cannot sign, and
for bytes, inside the request, where the vendor takes that, or through the vendor's own upload. Where none of these
is possible, the error names the choices. What passes through here is checked first, so that nothing is bought for a
picture that the vendor would refuse.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath, conf

from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    FaceSwapError,
    InvalidRequestError,
    PictureNotTakenError,
)
from airflow_provider_faceswap.foundation.redaction import without_queries
from airflow_provider_faceswap.images import LARGEST, Image, faults_of, fitted, upright
from airflow_provider_faceswap.lifecycle.provenance import is_archived
from airflow_provider_faceswap.storage.files import usable_path

if TYPE_CHECKING:
    from typing import BinaryIO

    from airflow_provider_faceswap.vendors.base import Accepts, Vendor
    from airflow_provider_faceswap.vendors.messages import Request

Preflight = Literal["auto", "check", "fit", "off"]
PREFLIGHTS = ("auto", "check", "fit", "off")

#: Seconds that a signed link is good for: the vendor may queue a job before it looks at its pictures.
SIGNED_FOR = 6 * 3600
#: Stands for a picture where its link is not known yet or differs from try to try; no such host can exist.
_NOWHERE = "https://picture.invalid"


def open_hosts() -> frozenset[str]:
    """The hosts of ``[faceswap] allowed_private_hosts``, in lower case."""
    hosts = conf.get("faceswap", "allowed_private_hosts", fallback="") or ""
    return frozenset(host.strip().lower() for host in hosts.split(",") if host.strip())


@dataclass
class MediaPreparer:
    """
    The pictures of one request, each made into what can be sent.

    :param preflight: ``auto`` checks what passes through here, ``check`` fetches and checks links too, ``fit``
        also converts and shrinks what would be refused, ``off`` does nothing of it.
    :ivar uploads: What has to be stored at the vendor first, by what stands for its link.
    """

    vendor: Vendor
    preflight: Preflight
    uploads: dict[str, bytes] = field(default_factory=dict)

    def arguments(
        self, media: Mapping[str, Accepts], given: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Make every picture of the arguments ready.

        :param media: What is taken for which argument.
        :returns: The arguments to send; and those that they are known by, which are the same in every try.
        :raises InvalidRequestError: A picture would be refused, or cannot travel; the argument is named.
        :raises FaceSwapError: It could not be read now; a retry may help.
        """
        sent, known = {}, {}
        for name, value in given.items():
            accepts = media.get(name)
            try:
                sent[name], known[name] = self._value(
                    value, accepts or self.vendor.nested, declared=bool(accepts)
                )
            except FaceSwapError as error:
                raise type(error)(
                    f"{name}: {error.message}", vendor=self.vendor.name, advice=error.advice
                ) from None
        return sent, known

    def _value(self, value: Any, accepts: Accepts, *, declared: bool) -> tuple[Any, Any]:
        """One argument; a text is a picture only where a picture is expected."""
        if isinstance(value, Image):
            return self._bytes(value, accepts)
        if isinstance(value, ObjectStoragePath) or is_archived(value):
            return self._stored(value if isinstance(value, ObjectStoragePath) else value["uri"], accepts)
        if isinstance(value, Mapping):
            pairs = {key: self._value(part, accepts, declared=False) for key, part in value.items()}
            return {key: pair[0] for key, pair in pairs.items()}, {
                key: pair[1] for key, pair in pairs.items()
            }
        if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
            # All at once: a lazy sequence would ask Airflow for each of a thousand.
            listed = [self._value(part, accepts, declared=declared) for part in value[:]]
            return [pair[0] for pair in listed], [pair[1] for pair in listed]
        if declared and isinstance(value, str) and "://" in value[:16]:
            if value.lower().startswith(("http://", "https://")):
                return self._link(value, accepts)
            return self._stored(value, accepts)
        return value, value

    def _link(self, url: str, accepts: Accepts) -> tuple[str, str]:
        """A link is the vendor's to fetch; it is looked at here only where that is asked for."""
        if self.preflight not in {"check", "fit"}:
            return url, url
        from airflow_provider_faceswap.http.download import download

        with tempfile.SpooledTemporaryFile(LARGEST) as spool:
            file = cast("BinaryIO", spool)
            try:
                download(url, file, max_bytes=LARGEST, open_hosts=open_hosts())
            except ArchiveError as error:
                final = isinstance(error, AirflowFailException)
                raise (InvalidRequestError if final else FaceSwapError)(
                    f"the picture could not be looked at: {error.message}",
                    advice="Nothing was bought by this try. "
                    + ("Correct the link, or set" if final else "Retry, or set")
                    + " preflight='auto' to leave it to the vendor.",
                ) from None
            image = Image(file.read())
        fit = self._checked(image, accepts)
        return (url, url) if fit.data == image.data and accepts.link else self._bytes(fit, accepts, image)

    def _stored(self, source: Any, accepts: Accepts) -> tuple[str, str]:
        """A file in object storage: by a signed link where that can be had, else by its bytes."""
        path = _path(source)
        signed = _signed(path) if accepts.link else None
        if signed is not None and self.preflight == "off":
            # Airflow 3.1 leaves the connection's name in the bucket's.
            place = (path.protocol, path.bucket.rpartition("@")[2], path.key.strip("/"))
            return signed, "/".join((_NOWHERE, *filter(None, place)))
        image = Image.read(path)
        fit = self._checked(image, accepts)
        if signed is not None and fit.data == image.data:
            return signed, _mark(image)
        return self._bytes(fit, accepts, image)

    def _checked(self, image: Image, accepts: Accepts) -> Image:
        """
        The picture as it may be sent.

        :raises PictureNotTakenError: The vendor would refuse it.
        """
        faults = faults_of(image, accepts)
        # Where only links are taken, a picture that was turned could not be sent at all.
        changeable = bool(accepts.inline) or self.vendor.takes_uploads
        if self.preflight == "off" or not (faults or changeable):
            return image
        if self.preflight == "fit":
            return fitted(image, accepts)
        turned = upright(image) if changeable else image
        if faults := faults_of(turned, accepts):
            raise PictureNotTakenError("; ".join(faults))
        return turned

    def _bytes(self, image: Image, accepts: Accepts, original: Image | None = None) -> tuple[str, str]:
        """
        Bytes travel inside the request, or are stored at the vendor first.

        :param original: What it was made of, which is what it is known by.
        :raises PictureNotTakenError: This vendor takes neither.
        """
        if original is None:
            original, image = image, self._checked(image, accepts)
        mark = _mark(original)
        if image.media and len(image.data) <= accepts.inline:
            sent = f"data:{image.media.name};base64,{base64.b64encode(image.data).decode()}"
            return sent, mark if accepts.link else sent
        if self.vendor.takes_uploads and accepts.link:
            self.uploads[mark] = image.data
            return mark, mark
        raise PictureNotTakenError(
            f"{len(image.data)} bytes cannot be sent to {self.vendor.name} here"
            + (f": inline it takes {accepts.inline}" if accepts.inline else ", which takes links only"),
            advice="Nothing was bought. Give a public link, or put the picture into storage that can sign links, "
            "such as s3:// or gs://; or choose a vendor that takes pictures inside the request.",
        )


def _path(source: Any) -> ObjectStoragePath:
    """
    A file's path.

    :raises InvalidRequestError: No storage of this Airflow has such URIs.
    """
    try:
        return usable_path(source)
    except (ValueError, ImportError):
        scheme = str(source).partition("://")[0]
        raise InvalidRequestError(
            f"must be a full http or https URL, or the URI of a storage; {scheme}:// is none that this Airflow knows"
        ) from None


def _signed(path: ObjectStoragePath) -> str | None:
    """
    A link that whoever has it may read the file with; ``None`` where this storage cannot sign.

    :raises FaceSwapError: It can, and did not.
    """
    if path.protocol in {"", "file", "local"}:
        return None
    try:
        link = str(path.sign(expiration=SIGNED_FOR))
    except (NotImplementedError, AttributeError):
        return None
    except Exception as error:  # noqa: BLE001 - every storage raises what its own library has
        raise FaceSwapError(
            f"{without_queries(str(path))} could not be signed ({type(error).__name__})",
            advice="Nothing was bought by this try. Retry once the storage is well, or correct its connection.",
        ) from None
    return link if urlsplit(link).scheme in {"http", "https"} else None


def _mark(image: Image) -> str:
    """What stands for a picture in the body that a request is known by."""
    return f"{_NOWHERE}/{image.sha256}{image.media.suffix if image.media else ''}"


def delivered(request: Request, links: Mapping[str, str]) -> Request:
    """
    A request with the links of its uploads in their places.

    :param links: By what stood for each.
    """

    def put(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: put(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [put(part) for part in value]
        return links.get(value, value) if isinstance(value, str) else value

    return replace(request, body=put(request.body), uploads={})
