"""Which files of this worker's disk may be read: regular files only, and below the folders that a setting names."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import without_queries
from airflow_provider_faceswap.storage.files import path_of

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: Folders of the kernel. What is in them looks like regular files, and contains keys of this process.
_KERNEL = ("/proc", "/sys")
_SETTING = "[faceswap] allowed_local_paths"


def is_local(path: ObjectStoragePath) -> bool:
    """True for a file on this machine, whatever its scheme."""
    if path.protocol in {"", "file", "local"}:
        return True
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(path.fs, LocalFileSystem)


def check_regular(path: ObjectStoragePath) -> None:
    """
    Check that a path leads to no device, pipe, folder or file of the kernel. It may lead to nothing.

    :param path: A path on this machine.
    :raises InvalidRequestError: It leads to one.
    """
    real = os.path.realpath(path.path)
    try:
        regular = stat.S_ISREG(os.stat(real).st_mode)  # noqa: PTH116 - a path of fsspec is a text
    except OSError:
        regular = True
    if not regular or _is_below(real, _KERNEL):
        raise InvalidRequestError(
            f"{without_queries(str(path))} is not a regular file",
            advice="Nothing was bought. Give the path of a file.",
        )


def allowed(path: ObjectStoragePath) -> ObjectStoragePath:
    """
    A path that came as text, from a Dag, its parameters or another task, if it may be read.

    :returns: A path elsewhere as it is; a path on this machine without symbolic links.
    :raises InvalidRequestError: It is on this machine, and below none of the folders of the setting or no regular file.
    """
    if not is_local(path):
        return path
    real = os.path.realpath(path.path)
    if not _is_below(real, _folders()):
        # Nothing is said about what is there.
        raise InvalidRequestError(
            f"{without_queries(str(path))} is on the worker's disk, and below no folder that {_SETTING} names",
            advice=f"Nothing was bought. Add the file's folder to {_SETTING} wherever tasks run, or put the file "
            "into object storage.",
        )
    found = path_of(f"file://{real}")
    check_regular(found)
    return found


def _folders() -> tuple[str, ...]:
    """
    The folders of ``[faceswap] allowed_local_paths``, without symbolic links.

    :raises InvalidRequestError: One is not absolute: what it would allow depends on where the worker was started.
    """
    setting = conf.get("faceswap", "allowed_local_paths", fallback="") or ""
    folders = [folder.strip().removeprefix("file://") for folder in setting.split(",") if folder.strip()]
    if relative := [folder for folder in folders if not folder.startswith("/")]:
        raise InvalidRequestError(
            f"{_SETTING} has the relative path {relative[0]!r}",
            advice="Nothing was bought. Set it to absolute paths with commas between them.",
        )
    return tuple(map(os.path.realpath, folders))


def _is_below(real: str, folders: tuple[str, ...]) -> bool:
    return any(os.path.commonpath((real, folder)) == folder for folder in folders)
