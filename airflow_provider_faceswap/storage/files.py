"""Files on a disk or in an object store: paths, and writes that are never seen half-done."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: Bytes copied at a time.
CHUNK = 256 * 1024
#: Bytes in one request to an object store; a larger file is uploaded in parts of this size. An upload needs about
#: twice as much memory. S3 allows ten thousand parts of at least 5 MiB.
PART = 8 * 1024 * 1024


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


def write(path: ObjectStoragePath, source: BinaryIO) -> None:
    """
    Write a file so that it is never seen half-written.

    On a disk, it gets a temporary name beside the final one and is then renamed. In an object store, it is one
    request, or a multipart upload that is completed at the end and aborted on an error. In another storage, it is
    written without a commit and then committed. A plain ``with`` block would commit the part before an error.

    Nothing is reported to Airflow's hook lineage here: it would be the temporary name, or a ledger's record.

    :raises Exception: The storage's own error; there is no new file under the final name.
    """
    source.seek(0)
    if path.protocol in {"", "file", "local"}:
        _write_on_disk(path, source)
    else:
        _upload(path, source)


def _write_on_disk(path: ObjectStoragePath, source: BinaryIO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # It does not contain the final name, which may be as long as a disk allows.
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with path.fs.open(part.path, "wb") as target:
            shutil.copyfileobj(source, target, CHUNK)
        # Not fsspec's move, which would move the file into a folder with the final name.
        os.replace(part.path, path.path)  # noqa: PTH105 - the path is one of fsspec
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _upload(path: ObjectStoragePath, source: BinaryIO) -> None:
    from fsspec.spec import AbstractBufferedFile

    # fsspec's object stores are the async ones. There, closing a file creates the object in one step. With a separate
    # commit, even a small object would take three requests, and stay in memory as long as the process.
    closing_commits = path.fs.async_impl
    target = path.fs.open(path.path, "wb", block_size=PART, autocommit=closing_commits)
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
