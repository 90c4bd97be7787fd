"""Write to a disk or an object store so that nobody ever sees half of it."""

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
#: Bytes that an object store is sent in one request; a larger file goes in parts of this size. An upload holds
#: about twice as much in memory. S3 takes no smaller part than 5 MiB, and ten thousand of them.
PART = 8 * 1024 * 1024


def path_of(place: object, conn_id: str | None = None) -> ObjectStoragePath:
    """
    A path in object storage, or on a disk.

    :param place: A URI, a path on a disk, or such a path already.
    :param conn_id: The Airflow connection, where the URI names none.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    if isinstance(place, ObjectStoragePath):
        return place
    # Airflow 3.1 takes None for an answer: it would not look at what the URI names.
    return ObjectStoragePath(str(place), conn_id=conn_id) if conn_id else ObjectStoragePath(str(place))


def usable_path(place: object, conn_id: str | None = None) -> ObjectStoragePath:
    """
    As :func:`path_of`, and its storage is one that this Airflow has.

    :raises ValueError: There is no such storage.
    :raises ImportError: Its library is not installed.
    """
    path = path_of(place, conn_id)
    # A path looks for its storage when it is used, which may be after a purchase.
    path.fs  # noqa: B018
    return path


def write(path: ObjectStoragePath, source: BinaryIO) -> None:
    """
    Write a file so that nobody ever sees half of it.

    On a disk: under a temporary name beside the final one, then renamed. In an object store: one request, or a
    multipart upload that is completed at the end and aborted on an error. Elsewhere: written without a commit,
    then committed. A plain ``with`` block would commit the part that was written before an error.

    Airflow's hook lineage is told nothing here: it would be told the temporary name, or a ledger's record.

    :raises Exception: The storage refused, in its library's own words; nothing new is under the final name.
    """
    source.seek(0)
    if path.protocol in {"", "file", "local"}:
        _write_on_disk(path, source)
    else:
        _upload(path, source)


def _write_on_disk(path: ObjectStoragePath, source: BinaryIO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the final name, which may be as long as a disk allows.
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with path.fs.open(part.path, "wb") as target:
            shutil.copyfileobj(source, target, CHUNK)
        # Not fsspec's move, which puts the file into a folder that has the final name.
        os.replace(part.path, path.path)  # noqa: PTH105 - the path is one of fsspec
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _upload(path: ObjectStoragePath, source: BinaryIO) -> None:
    from fsspec.spec import AbstractBufferedFile

    # fsspec's object stores are its async ones. There, closing is what makes the object, all at once. Without a
    # commit at the end even a small one would take three requests, and its file be held as long as the process.
    closing_commits = path.fs.async_impl
    target = path.fs.open(path.path, "wb", block_size=PART, autocommit=closing_commits)
    try:
        shutil.copyfileobj(source, target, CHUNK)
        target.close()
        if not closing_commits:
            target.commit()
    except BaseException:
        # What broke the upload may well break its end too; the first error is the one to be told.
        with suppress(Exception):
            target.discard()
        if isinstance(target, AbstractBufferedFile):
            # Else its finalizer would close it, and with that upload what it holds.
            target.closed = True
        raise
