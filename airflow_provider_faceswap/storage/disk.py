"""
Whole files on a disk: each is written under a temporary name beside the final one, and then gets that.

Of one final name, the temporary ones are always the same few, and a writer locks its own. What a killed worker left is
not locked: the next writer of that name takes it, and nothing is left.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import ObjectStoragePath

#: Bytes copied at a time.
CHUNK = 256 * 1024
#: Protocols of a disk.
DISKS = frozenset({"", "file", "local"})


def write_on_disk(path: ObjectStoragePath, source: BinaryIO) -> None:
    """
    Write a file, and replace the old one if there is one.

    :raises OSError: There is no new file under the final name.
    """
    with _written_beside(path, source) as part:
        # Not fsspec's move, which would move the file into a folder with the final name.
        os.replace(part, path.path)  # noqa: PTH105 - the path is one of fsspec


def create_on_disk(path: ObjectStoragePath, source: BinaryIO) -> None:
    """
    Write a file if there is none under that name.

    :raises FileExistsError: There is one.
    :raises OSError: There is no new file under the final name.
    """
    with _written_beside(path, source) as part:
        try:
            os.link(part, path.path)
        except FileExistsError:
            raise
        except OSError:
            # Some disks have no hard links. There, the name is taken with an empty file.
            os.close(os.open(path.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            os.replace(part, path.path)  # noqa: PTH105


@contextmanager
def _written_beside(path: ObjectStoragePath, source: BinaryIO) -> Iterator[str]:
    """A temporary file with the content, which is removed unless the block moves it."""
    # Airflow's path would make several paths of its own for what follows, which takes as long as the write itself.
    folder, name = os.path.split(path.path)
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    part, descriptor = _temporary(folder, name)
    with open(descriptor, "wb") as target:  # noqa: PTH123 - it is open already
        try:
            shutil.copyfileobj(source, target, CHUNK)
            target.flush()
            yield part
        finally:
            # Still locked. Once it is moved, another writer may have made its own under this name.
            if _is_still(part, descriptor):
                os.unlink(part)  # noqa: PTH108


def _temporary(folder: str, final: str) -> tuple[str, int]:
    """
    An empty temporary file that only this writer has.

    :returns: Its name, and its descriptor, which holds the lock.
    """
    # It does not contain the final name, which may be as long as a disk allows.
    name = hashlib.sha256(final.encode()).hexdigest()[:32]
    for number in count():
        part = os.path.join(folder, f".{name}.{number}.part")  # noqa: PTH118
        try:
            descriptor = os.open(part, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
        except OSError:
            if os.path.lexists(part):
                continue  # somebody else's
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(part, descriptor):
                os.ftruncate(descriptor, 0)
                return part, descriptor
        except BlockingIOError:
            pass
        except OSError:
            break  # a disk without locks
        os.close(descriptor)
    os.close(descriptor)
    with suppress(FileNotFoundError):
        os.unlink(part)  # noqa: PTH108
    part = os.path.join(folder, f".{uuid.uuid4().hex}.part")  # noqa: PTH118
    return part, os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)


def _is_still(part: str, descriptor: int) -> bool:
    """False if another writer has moved or removed the file between its opening and its lock."""
    try:
        found = os.stat(part)  # noqa: PTH116
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))
