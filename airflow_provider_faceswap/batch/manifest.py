"""The batch's own manifest: a file with one JSON line for each item."""

from __future__ import annotations

import hashlib
import json
import tempfile
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote

from airflow_provider_faceswap.batch.report import describe
from airflow_provider_faceswap.storage.files import write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.archive.manifest import RunInfo
    from airflow_provider_faceswap.batch.items import BatchItem
    from airflow_provider_faceswap.lifecycle.ledger import Record

#: Bytes of the manifest that are held in memory; a longer one is on the worker's disk until it is written.
IN_MEMORY = 1024 * 1024
#: Characters of the readable part of the manifest's name. A disk allows 255 bytes, and the other parts need some.
MAX_NAME_LENGTH = 120
#: Fields of an item's record that the manifest leaves out.
_NOT_SHOWN = {"final", "epoch"}


class BatchManifest:
    """
    Collects the lines of a batch, and writes them at its end.

    :param folder: The batch's destination.
    :param run: The task attempt, from which the file's name is made.
    """

    def __init__(self, folder: ObjectStoragePath, run: RunInfo) -> None:
        self._path = folder / manifest_name(run)
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - write() closes it

    @property
    def uri(self) -> str:
        """Where the manifest is written."""
        return str(self._path)

    def add(self, item: BatchItem, end: Mapping[str, Any]) -> None:
        """Add the line of an item: how it ended, and its arguments without queries and picture data."""
        shown = {name: value for name, value in end.items() if name not in _NOT_SHOWN}
        self._add_line({"position": item.position, **shown, "item": item.provenance["arguments"]})

    def _add_line(self, line: Mapping[str, Any]) -> None:
        self._file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())

    def add_left_behind(self, record: Record) -> None:
        """Add the line of a job whose item is gone."""
        shown = record.model_dump(mode="json", include={"job_id", "kind", "conn_id", "submitted_at", "cost"})
        self._add_line({"position": None, "status": "left behind", **shown, "item": None})

    def write(self) -> str | None:
        """
        Write the manifest. No line can be added after that.

        :returns: Why the write failed, if it did. It raises nothing, because the batch may have ended with a
            more important error.
        """
        try:
            with self._file:
                write(self._path, cast("BinaryIO", self._file))
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            return f"the batch's manifest {self._path} could not be written ({describe(error)})"
        return None


def manifest_name(run: RunInfo) -> str:
    """
    The file name of a task instance's manifest. No other task instance has the same.

    The readable part may be cut, and ids may contain the dash that separates them, so a hash is added.
    """
    parts = [run.dag_id, run.run_id, run.task_id]
    if run.map_index is not None and run.map_index >= 0:
        parts.append(str(run.map_index))
    if run.iteration is not None:
        parts.append(f"iteration={run.iteration}")
    # A command has no Dag and no run.
    readable = quote("-".join(str(part) for part in parts if part is not None), safe="")[:MAX_NAME_LENGTH]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return f"batch-{readable}-{digest}.jsonl"
