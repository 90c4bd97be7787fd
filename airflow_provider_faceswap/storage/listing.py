"""A folder as it is now: the names of its files, and when each was written."""

from __future__ import annotations

import posixpath
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import ObjectStoragePath

#: Storages whose library lists everything below a folder page by page, in the order of the names.
_ONE_LIST = frozenset({"s3", "s3a", "s3n"})


def listed(folder: ObjectStoragePath) -> list[tuple[str, float | None]]:
    """
    The names of the files in a folder, and when each was written; empty if there is no folder.

    :raises Exception: The storage's own error.
    """
    return [(_name(one), _written(one)) for one in _in(folder) if one.get("type") != "directory"]


def listed_below(
    folder: ObjectStoragePath, names: Sequence[str]
) -> dict[str, list[tuple[str, float | None]]]:
    """
    The files of several folders in a folder, as :func:`listed` returns them.

    A file that moves from one of them to a later one, by being written there first, is in at least one of the lists.

    :param names: The folders, in the order of their names.
    :raises Exception: The storage's own error.
    """
    if folder.protocol not in _ONE_LIST:
        return {name: listed(folder / name) for name in names}
    found: dict[str, list[tuple[str, float | None]]] = {name: [] for name in names}
    try:
        files = folder.fs.find(folder.path, detail=True)
    except FileNotFoundError:
        return found
    for path, one in files.items():
        parent, _, name = path.rpartition("/")
        if (place := parent.rpartition("/")[2]) in found:
            found[place].append((name, _written(one)))
    return found


def folders_in(folder: ObjectStoragePath) -> list[str]:
    """
    The names of the folders in a folder; empty if there is no folder.

    :raises Exception: The storage's own error.
    """
    return [_name(one) for one in _in(folder) if one.get("type") == "directory"]


def last_written(folder: ObjectStoragePath) -> dict[str, float | None]:
    """
    By folder in a folder: when the newest file in or below it was written; ``None`` if the storage does not say.

    :raises Exception: The storage's own error.
    """
    found: dict[str, float | None] = {}
    for path, one in folder.fs.find(folder.path, detail=True).items():
        name, is_below, _ = path.removeprefix(folder.path).strip("/").partition("/")
        if is_below:
            found[name] = max(found.get(name), _written(one), key=lambda moment: moment or 0)
    return found


def _in(folder: ObjectStoragePath) -> list[dict[str, Any]]:
    fs, path = folder.fs, folder.path
    # Object stores keep lists, and these would be old ones.
    fs.invalidate_cache(path)
    try:
        found: list[dict[str, Any]] = fs.ls(path, detail=True)
    except FileNotFoundError:
        return []
    return found


def _name(found: Mapping[str, Any]) -> str:
    return posixpath.basename(str(found["name"]).rstrip("/"))


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
