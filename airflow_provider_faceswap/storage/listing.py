"""A folder as it is now: the names of its files, and when each was written."""

from __future__ import annotations

import posixpath
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import ObjectStoragePath


def listed(folder: ObjectStoragePath) -> list[tuple[str, float | None]]:
    """
    The names of the files in a folder, and when each was written; empty if there is no folder.

    :raises Exception: The storage's own error.
    """
    fs, path = folder.fs, folder.path
    # Object stores keep lists, and these would be old ones.
    fs.invalidate_cache(path)
    try:
        found = fs.ls(path, detail=True)
    except FileNotFoundError:
        return []
    return [
        (posixpath.basename(one["name"].rstrip("/")), _written(one))
        for one in found
        if one.get("type") != "directory"
    ]


def _written(found: Mapping[str, Any]) -> float | None:
    for name in ("mtime", "LastModified", "last_modified", "updated"):
        value = found.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return None


def removed(path: ObjectStoragePath) -> None:
    """
    Delete a file, if it is there.

    :raises Exception: The storage's own error.
    """
    with suppress(FileNotFoundError):
        path.fs.rm_file(path.path)
