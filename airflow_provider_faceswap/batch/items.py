"""The items of a batch: from a list, from another task, or from a file in object storage."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import bare_url, without_queries
from airflow_provider_faceswap.storage.files import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


#: What says that the file is no such file; whatever else a storage has to say may pass.
_WRONG = (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError, csv.Error)


class Items:
    """
    Items that can be gone through more than once, a file's without holding them all.

    :param source: A list of mappings, a lazy sequence of another task's results, or the URI of a JSON Lines, CSV
        or Parquet file.
    :raises InvalidRequestError: It is none of these.
    """

    def __init__(self, source: Any) -> None:
        self._read: Callable[[], Iterator[Any]]
        if isinstance(source, str) or hasattr(source, "open"):
            suffix = PurePosixPath(str(source)).suffix.lower()
            if suffix not in _READERS:
                raise _unreadable(str(source))
            self._read = lambda: _READERS[suffix](source)
        elif isinstance(source, Iterable) and not isinstance(source, Mapping | bytes):
            # All at once: a lazy sequence would ask Airflow for each of a thousand.
            held = source[:] if isinstance(source, Sequence) else list(source)
            self._read = lambda: iter(held)
        else:
            raise InvalidRequestError(
                f"items: must be a list, or the URI of a file, got {type(source).__name__}"
            )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """
        Each item as a dict; what is empty in a file is not set.

        :raises InvalidRequestError: An item is no mapping, or the file is damaged or absent.
        :raises FaceSwapError: The file could not be read; a retry may help.
        """
        for position, item in enumerate(self._rows()):
            if not isinstance(item, Mapping):
                raise InvalidRequestError(
                    f"items[{position}]: must be a mapping with target_image and face_image, "
                    f"got {type(item).__name__}"
                )
            yield {str(name): value for name, value in item.items() if value not in (None, "")}

    def _rows(self) -> Iterator[Any]:
        try:
            yield from self._read()
        except FaceSwapError:
            raise
        except Exception as error:  # every storage raises what its own library has
            wrong = isinstance(error, _WRONG)
            raise (InvalidRequestError if wrong else FaceSwapError)(
                f"items: the file could not be read ({type(error).__name__}: {without_queries(str(error))})",
                advice=None if wrong else "Retry once the storage is well.",
            ) from error


def _unreadable(source: str) -> InvalidRequestError:
    """What is said of a text that names no file of items; it may hold signed links, so little of it is told."""
    if source.lstrip().startswith("["):
        return InvalidRequestError(
            "items: this looks like the text of a list",
            advice="Nothing was bought. Give the task's output itself, or set render_template_as_native_obj=True "
            "on the Dag.",
        )
    ending = PurePosixPath(bare_url(source)).suffix[:16] or "no suffix"
    return InvalidRequestError(
        f"items: the name of a file must end in one of {', '.join(sorted(_READERS))}, and this one ends in "
        f"{ending}{' and a query' if '?' in source else ''}"
    )


def _text(source: Any) -> Any:
    path: Any = path_of(source)
    # Spreadsheets put a mark before the text of a file that they save as UTF-8.
    return path.open("r", encoding="utf-8-sig", newline="")


def _lines(file: Any) -> Iterator[str]:
    # Airflow 3.1.0 wraps what it opens, and forgets that a file can be iterated over.
    return iter(file.readline, "")


def _json_lines(source: Any) -> Iterator[Any]:
    with _text(source) as file:
        for number, line in enumerate(_lines(file), 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise InvalidRequestError(f"items: line {number} is not JSON: {error}") from None


def _csv(source: Any) -> Iterator[Any]:
    with _text(source) as file:
        yield from csv.DictReader(_lines(file))


def _parquet(source: Any) -> Iterator[Any]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise InvalidRequestError(
            "items: a Parquet file needs pyarrow",
            advice="Nothing was bought. Install airflow-provider-faceswap[parquet].",
        ) from None
    path = path_of(source)
    # Past Airflow's wrapper, as pyarrow asks a file for more than that passes on.
    with path.fs.open(path.path, "rb") as file:
        for rows in parquet.ParquetFile(file).iter_batches(batch_size=256):
            yield from rows.to_pylist()


_READERS: dict[str, Callable[[Any], Iterator[Any]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
}
