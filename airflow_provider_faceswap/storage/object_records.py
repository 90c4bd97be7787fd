"""A record store in object storage: JSON objects, which no clear of a task deletes."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from airflow_provider_faceswap.foundation.iterations import iteration_of
from airflow_provider_faceswap.storage.files import path_of, read, write

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: Characters; a longer part of a path is cut and gets a hash.
MAX_NAME_LENGTH = 120
#: What identifies a task instance; all its attempts share the records.
_PARTS = ("dag_id", "run_id", "task_id", "map_index")


class ObjectRecords:
    """
    A record store with one small JSON object for each key, under a readable path.

    :param folder: The folder of one task instance.
    """

    def __init__(self, folder: ObjectStoragePath) -> None:
        self._folder = folder

    @classmethod
    def of(cls, uri: str, task_instance: Any) -> Self:
        """
        The records of a task instance.

        :param uri: The value of ``[faceswap] ledger_uri``, such as ``s3://conn_id@bucket/ledger``.
        """
        folder = path_of(uri)
        for part in _PARTS:
            folder /= f"{part}={_as_name(str(getattr(task_instance, part)))}"
        iteration = iteration_of(task_instance)
        return cls(folder if iteration is None else folder / f"iteration={iteration}")

    def get(self, key: str, default: Any = None) -> Any:
        """
        Read a value; the default only if there certainly is none.

        :raises OSError: It could not be read.
        :raises ValueError: It is damaged.
        """
        try:
            text = read(self._path(key)).decode()
        except FileNotFoundError:
            return default
        return json.loads(text)

    def set(self, key: str, value: Any) -> None:
        """
        Write a value, completely or not at all.

        :raises OSError: It could not be written.
        """
        write(self._path(key), io.BytesIO(json.dumps(value).encode()))

    def _path(self, key: str) -> ObjectStoragePath:
        return self._folder / f"{key}.json"


def _as_name(text: str) -> str:
    """A text as one name in a path, short enough for disks that allow 255 bytes."""
    name = quote(text, safe="")
    if len(name) <= MAX_NAME_LENGTH:
        return name
    return f"{name[:MAX_NAME_LENGTH]}-{hashlib.sha256(text.encode()).hexdigest()}"
