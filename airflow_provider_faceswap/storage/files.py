"""Files on a disk or in an object store: paths, and writes that are never seen half-done."""

from __future__ import annotations

import errno
import hashlib
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.storage.disk import CHUNK, DISKS, create_on_disk, write_on_disk

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: Bytes in one request to an object store; a larger file is uploaded in parts of this size. An upload needs about
#: twice as much memory. S3 allows ten thousand parts of at least 5 MiB.
PART = 8 * 1024 * 1024
#: Uploads of a file that is created, if S3 asks for it again; and the seconds between two.
_CONFLICTS = 5
_AGAIN = 0.2
#: The HTTP status of a range that begins at the end of a file, or after it.
_NO_SUCH_RANGE = "416"


def path_of(place: object, conn_id: str | None = None) -> ObjectStoragePath:
    """
    A path in object storage, or on a disk.

    :param place: A URI, a path on a disk, or such a path already.
    :param conn_id: The Airflow connection, if the URI names none.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    if isinstance(place, ObjectStoragePath):
        return place
    # Airflow 3.1 treats conn_id=None as explicit and then ignores the connection in the URI.
    return ObjectStoragePath(str(place), conn_id=conn_id) if conn_id else ObjectStoragePath(str(place))


def usable_path(place: object, conn_id: str | None = None) -> ObjectStoragePath:
    """
    A path, as from :func:`path_of`, in a storage that this Airflow has.

    :raises ValueError: There is no such storage.
    :raises ImportError: Its library is not installed.
    """
    path = path_of(place, conn_id)
    # A path looks up its storage on first use, which may be after a paid submission.
    path.fs  # noqa: B018
    return path


def write(path: ObjectStoragePath, source: BinaryIO, media_type: str | None = None) -> None:
    """
    Write a file so that it is never seen half-written.

    On a disk, it gets a temporary name beside the final one and is then renamed. In an object store, it is one
    request, or a multipart upload that is completed at the end and aborted on an error. In another storage, it is
    written without a commit and then committed. A plain ``with`` block would commit the part before an error.

    Nothing is reported to Airflow's hook lineage here: it would be the temporary name, or a ledger's record.

    :param media_type: What S3, GCS and Azure store as its ``Content-Type``.
    :raises Exception: The storage's own error; there is no new file under the final name.
    """
    source.seek(0)
    if path.protocol in DISKS:
        write_on_disk(path, source)
    else:
        _upload(path, source, "wb", media_type)


def create(path: ObjectStoragePath, source: BinaryIO, media_type: str | None = None) -> None:
    """
    Write a file as :func:`write` does, if there is none under that name. Of several callers at a time, one succeeds.

    :raises FileExistsError: There is one.
    :raises NotImplementedError: This storage cannot refuse to replace a file. Disks, S3, GCS and Azure can; a few
        servers with an S3 API cannot, and of these some say so and others replace the file.
    :raises Exception: The storage's own error; there is no new file under the final name.
    """
    source.seek(0)
    if path.protocol in DISKS:
        create_on_disk(path, source)
    elif path.protocol in _HEADERS:
        _create_object(path, source, media_type)
    else:
        raise NotImplementedError(path.protocol)


def _create_object(path: ObjectStoragePath, source: BinaryIO, media_type: str | None) -> None:
    for more in reversed(range(_CONFLICTS)):
        source.seek(0)
        try:
            _upload(path, source, "xb", media_type)
        except FileExistsError:
            raise
        except Exception as error:
            if getattr(error, "errno", None) == errno.ENOSYS:
                raise NotImplementedError(path.protocol) from None
            # Refused in other words than the library knows. Or it was stored, and the answer was lost: the caller
            # looks at what is there.
            if _seems_there(path):
                raise FileExistsError(path.path) from None
            if not (more and _is_conflict(error)):
                raise
            CLOCK.sleep(_AGAIN)
        else:
            return


def _seems_there(path: ObjectStoragePath) -> bool:
    try:
        return exists(path)
    except Exception:  # noqa: BLE001 - the error of the upload is the one to raise
        return False


def _is_conflict(error: Exception) -> bool:
    """True if S3 says that another request for this name was in progress, and asks for the upload again."""
    response = getattr(error.__cause__, "response", None) or {}
    return response.get("Error", {}).get("Code") in {"ConditionalRequestConflict", "OperationAborted", "409"}


def read(path: ObjectStoragePath) -> bytes:
    """
    The whole content of a small file.

    Not through the path's own reading: without a connection id it does not use Airflow's storage, it would report to
    Airflow's lineage, and a cached listing could hide a file.

    :raises FileNotFoundError: There is none.
    :raises Exception: The storage's own error.
    """
    return part_of(path.fs, path.path)


def part_of(storage: Any, name: str, start: int = 0, end: int | None = None) -> bytes:
    """
    A part of a file, shorter where the file ends before.

    It is always asked for as a range, because the S3 library would otherwise ask for the size first.

    :param storage: The path's ``fs``.
    :param name: The path's ``path``.
    :raises FileNotFoundError: There is no such file.
    :raises Exception: The storage's own error.
    """
    try:
        found: bytes = storage.cat_file(name, start=start, end=end)
    except Exception as error:
        if begins_at_the_end(error):
            return b""
        raise
    return found


def begins_at_the_end(error: Exception) -> bool:
    """True if an object store refused a range because nothing is there: in an empty object, that is every range."""
    response = getattr(error.__cause__, "response", None)
    amazon = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    said = (amazon.get("HTTPStatusCode"), getattr(error, "code", None), getattr(error, "status_code", None))
    return _NO_SUCH_RANGE in map(str, said)


def holds(path: ObjectStoragePath, size: int, sha256: str) -> bool:
    """
    True if there is a file with exactly this content.

    :raises Exception: It could not be read.
    """
    digest, start = hashlib.sha256(), 0
    while start < size:
        # The last part would be a byte longer if the file was.
        end = start + PART if start + PART < size else size + 1
        try:
            part = part_of(path.fs, path.path, start, end)
        except FileNotFoundError:
            return False
        digest.update(part)
        if len(part) != min(end, size) - start:
            return False
        start = end
    return digest.hexdigest() == sha256


def exists(path: ObjectStoragePath) -> bool:
    """True if there is something under that name now, whatever a listing said before."""
    path.fs.invalidate_cache()
    return bool(path.fs.exists(path.path))


def _upload(path: ObjectStoragePath, source: BinaryIO, mode: str, media_type: str | None) -> None:
    from fsspec.spec import AbstractBufferedFile

    # fsspec's object stores are the async ones. There, closing a file creates the object in one step. With a separate
    # commit, even a small object would take three requests, and stay in memory as long as the process.
    closing_commits = path.fs.async_impl
    # Closing a file drops cached listings, which fails if another thread drops the same one at that moment.
    path.fs.invalidate_cache()
    headers = _HEADERS[path.protocol](media_type) if media_type and path.protocol in _HEADERS else {}
    target = path.fs.open(path.path, mode, block_size=PART, autocommit=closing_commits, **headers)
    try:
        shutil.copyfileobj(source, target, CHUNK)
        target.close()
        if not closing_commits:
            target.commit()
    except BaseException:
        # The discard may fail for the same reason as the upload. The first error is the one to raise.
        with suppress(Exception):
            target.discard()
        if isinstance(target, AbstractBufferedFile):
            # Otherwise its finalizer would close it, which uploads what is in its buffer.
            target.closed = True
        raise


def _s3_headers(media_type: str) -> dict[str, Any]:
    return {"ContentType": media_type}


def _gcs_headers(media_type: str) -> dict[str, Any]:
    return {"content_type": media_type}


def _azure_headers(media_type: str) -> dict[str, Any]:
    from azure.storage.blob import ContentSettings

    # A dict would do for newer versions of adlfs only.
    return {"content_settings": ContentSettings(content_type=media_type)}


#: Object stores that can create an object exclusively, and how each is told the type of an object.
_HEADERS = {
    **dict.fromkeys(("s3", "s3a", "s3n"), _s3_headers),
    **dict.fromkeys(("gs", "gcs"), _gcs_headers),
    **dict.fromkeys(("abfs", "abfss", "adl"), _azure_headers),
}
