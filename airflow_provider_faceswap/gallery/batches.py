"""The lines of a batch's manifest, in the order of its items, of which only those of a page are parsed."""

from __future__ import annotations

import json
import posixpath
import re
from array import array
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.foundation.text import safe_json
from airflow_provider_faceswap.gallery.files import NotShownError, asking, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import ObjectStoragePath

#: Bytes of a manifest. That of 100,000 items has 46 MB.
MAX_BYTES = 512 * 1024 * 1024
#: Bytes read at a time.
_BLOCK = 4 * 1024 * 1024
#: The beginning of a line as a batch writes it.
_BEGINNING = re.compile(rb'\{"position": (\d+|null), "status": "([^"\\]*)"')
#: The position of a line that has none, such as that of a job whose item is gone: after all others.
_LAST = 2**62
#: Indexes that are remembered. That of 100,000 items has 2 MB.
_REMEMBERED = 8


class BatchLines:
    """
    The lines of one batch.

    :param starts: Where each line begins, in the order of the items.
    :param ends: Where it ends.
    :param failed: The places, in that order, of the items that are not archived.
    """

    def __init__(
        self, path: ObjectStoragePath, starts: array[int], ends: array[int], failed: array[int]
    ) -> None:
        self._path = path
        self._starts = starts
        self._ends = ends
        self.failed = failed

    def __len__(self) -> int:
        """The number of lines."""
        return len(self._starts)

    def lines(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """
        Some of the lines, parsed.

        :raises NotShownError: They cannot be read.
        """
        if not numbers:
            return []
        try:
            with asking(self._path.fs):
                found = self._path.fs.cat_ranges(
                    [self._path.path] * len(numbers),
                    [self._starts[number] for number in numbers],
                    [self._ends[number] for number in numbers],
                )
        except NotShownError:
            raise
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise NotShownError(f"The batch's manifest cannot be read ({type(error).__name__}).") from None
        return [_parsed(line) for line in found]


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        parsed = safe_json(json.loads(line))
    except (ValueError, RecursionError):
        parsed = None
    return parsed if isinstance(parsed, dict) else {"status": "a damaged line"}


_indexes: OrderedDict[tuple[Any, ...], BatchLines] = OrderedDict()
_lock = Lock()


def batch_lines(uri: str, name: str) -> BatchLines:
    """
    The lines of a batch's manifest; its index is made once for each version of the file.

    :param name: The name that the manifest of the task instance has. Another one is that of another task.
    :raises NotShownError: It may not be read, is gone, or is too large.
    """
    if posixpath.basename(uri) != name:
        raise NotShownError("It is not the manifest of this task instance.")
    path = opened(uri)
    try:
        path.fs.invalidate_cache(path.path)
        with asking(path.fs):
            info = path.fs.info(path.path)
        size = int(info.get("size") or 0)
        version = (uri, size, *(str(info.get(name)) for name in ("mtime", "ETag", "etag", "LastModified")))
        with _lock:
            if (known := _indexes.get(version)) is not None:
                return known
        with asking(path.fs):
            lines = _indexed(path) if size <= MAX_BYTES else None
    except NotShownError:
        raise
    except FileNotFoundError:
        raise NotShownError("The batch's manifest is not there any more.") from None
    except Exception as error:  # noqa: BLE001 - every storage has its own errors
        raise NotShownError(f"The batch's manifest cannot be read ({type(error).__name__}).") from None
    if lines is None:
        raise NotShownError(f"The batch's manifest is larger than {MAX_BYTES} bytes.")
    with _lock:
        _indexes[version] = lines
        if len(_indexes) > _REMEMBERED:
            _indexes.popitem(last=False)
    return lines


def _indexed(path: ObjectStoragePath) -> BatchLines:
    found: list[tuple[int, int, int, bool]] = []
    start = 0
    with path.fs.open(path.path, "rb", block_size=_BLOCK, cache_type="readahead") as file:
        for line in file:
            end = start + len(line)
            if line.strip():
                position, archived = _head(line)
                found.append((position, start, end, archived))
            start = end
    found.sort()
    return BatchLines(
        path,
        array("q", (one[1] for one in found)),
        array("q", (one[2] for one in found)),
        array("q", (number for number, one in enumerate(found) if not one[3])),
    )


def _head(line: bytes) -> tuple[int, bool]:
    """The position of a line's item, and whether it is archived."""
    if (head := _BEGINNING.match(line)) is not None:
        return _LAST if head[1] == b"null" else int(head[1]), head[2] == b"archived"
    parsed = _parsed(line)
    position = parsed.get("position")
    return position if isinstance(position, int) else _LAST, parsed.get("status") == "archived"
