"""Write to a disk or an object store so that nobody ever sees half of it."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: Bytes copied at a time.
CHUNK = 256 * 1024


def write(path: ObjectStoragePath, source: BinaryIO) -> None:
    """
    Write a file so that nobody ever sees half of it.

    On a disk: under a temporary name beside the final one, then renamed. In an object store: uploaded without
    a commit, then committed; a plain ``with`` block would commit the part that was written before an error.

    :raises OSError: The storage refused; nothing is left under the final name.
    """
    source.seek(0)
    if path.protocol in {"", "file", "local"}:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            with part.open("wb") as target:
                shutil.copyfileobj(source, target, CHUNK)
            path.fs.mv(part.path, path.path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return
    target = path.open("wb", autocommit=False)
    try:
        shutil.copyfileobj(source, target, CHUNK)
        target.close()
        target.commit()
    except BaseException:
        target.discard()
        raise
