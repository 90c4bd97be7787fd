"""A picture in memory."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import without_queries
from airflow_provider_faceswap.http.limits import in_thread
from airflow_provider_faceswap.media.limits import max_picture_bytes, max_transfer_seconds
from airflow_provider_faceswap.storage.files import path_of
from airflow_provider_faceswap.storage.local_files import check_regular, is_local

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.foundation.file_structure import Structure
    from airflow_provider_faceswap.foundation.file_types import MediaType

#: Errors that mean a wrong path or missing permission. After any other error of a storage, a retry may help.
_WRONG_PATH = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ValueError)


@dataclass(frozen=True)
class Image:
    """
    A picture, or a short video, as an argument.

    ``Image(data)`` holds bytes; :meth:`read` reads them from a disk or an object store. Make it in the task that uses
    it: bytes belong neither in a Dag file nor in an XCom.

    :param data: The file's bytes, unchanged.
    """

    data: bytes = field(repr=False)

    @classmethod
    def read(cls, source: Any, *, conn_id: str | None = None) -> Self:
        """
        Read a file. Your code decides which: a path on this machine needs no setting, unlike a text argument.

        :param source: A path on this machine, or the URI or path object of an object store.
        :param conn_id: Airflow connection for that storage, if the URI names none.
        :raises InvalidRequestError: There is no such file, it is no regular file, it is empty, or it is larger than
            ``[faceswap] max_picture_bytes``.
        :raises FaceSwapError: It could not be read; a retry may help.
        """
        name = without_queries(str(source))
        try:
            path = path_of(source, conn_id)
            if is_local(path):
                check_regular(path)
            data = in_thread(lambda: _content(path), max_transfer_seconds())
        except InvalidRequestError:
            raise
        except _WRONG_PATH as error:
            raise InvalidRequestError(
                f"{name} could not be read ({type(error).__name__})",
                advice="Nothing was bought. Correct the path, or the storage's connection.",
            ) from None
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise FaceSwapError(
                f"{name} could not be read ({type(error).__name__})",
                advice="This attempt bought nothing. Retry when the storage is available again.",
            ) from None
        limit = max_picture_bytes()
        if not data or len(data) > limit:
            raise InvalidRequestError(f"{name} {'is empty' if not data else f'is larger than {limit} bytes'}")
        return cls(data)

    @cached_property
    def sha256(self) -> str:
        """The hash of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def media(self) -> MediaType | None:
        """The media type, recognised by the bytes; ``None`` if it is not a known one."""
        return self.structure.media

    @cached_property
    def structure(self) -> Structure:
        """The size in pixels, and whether the file is whole."""
        # Not when a Dag is parsed.
        from airflow_provider_faceswap.foundation.file_structure import examine

        return examine(self.file)

    @property
    def file(self) -> BinaryIO:
        """The bytes as a file."""
        return io.BytesIO(self.data)

    def __repr__(self) -> str:
        """Type, size and hash, never the bytes."""
        return f"Image({self.media.name if self.media else 'unknown'}, {len(self.data)} bytes, sha256:{self.sha256})"


def _content(path: ObjectStoragePath) -> bytes:
    with path.open("rb") as file:
        return bytes(file.read(max_picture_bytes() + 1))
