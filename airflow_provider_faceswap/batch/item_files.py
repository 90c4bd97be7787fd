"""Files of items: JSON Lines, CSV and Parquet, read row by row."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.foundation.text import safe_text
from airflow_provider_faceswap.storage.files import path_of
from airflow_provider_faceswap.storage.local_files import allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow.sdk import ObjectStoragePath

#: Characters of a line, or of a cell of a CSV file. A picture of 10 MB in base64 has fewer.
MAX_LINE = 32 * 1024 * 1024
#: Characters that spreadsheets put between two cells, the usual one first.
_DELIMITERS = ",;\t|"
_NAMED_DELIMITER = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)

_CORRECT = "Nothing was bought. Correct the file."


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of a file that cannot be read, while the rows after it can."""

    problem: str


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a file's columns, before its rows."""

    names: tuple[str, ...]


def twice(names: Iterable[object]) -> str | None:
    """A name that two columns have, apart from blanks around it; ``None`` if there is none."""
    counted = Counter(as_name(name) for name in names)
    return next((name for name, times in counted.items() if name and times > 1), None)


def as_name(name: object) -> str:
    """The name of a column, as a step writes it: without blanks around it, and composed, as most keyboards type it."""
    return normalize("NFC", safe_text(str(name))).strip()


def _header(names: Iterable[str]) -> Header:
    """
    The header of a file.

    :raises InvalidRequestError: Two columns have one name.
    """
    header = Header(tuple(names))
    if (name := twice(header.names)) is not None:
        raise InvalidRequestError(f"items: two columns have the name {name!r}", advice=_CORRECT)
    return header


def file_of(source: Any) -> ObjectStoragePath:
    """
    The path of a file with items.

    :raises InvalidRequestError: It is on the worker's disk, and may not be read.
    """
    try:
        return allowed(path_of(source))
    except InvalidRequestError as error:
        raise error.replaced(message=f"items: {error.message}") from None


def _lines(path: ObjectStoragePath) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers; a byte that is not UTF-8 becomes half an emoji."""
    place: Any = path
    # Spreadsheets write a byte order mark at the beginning of a UTF-8 file.
    with place.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        number = 0
        # The file object of Airflow 3.1.0 cannot be iterated over.
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise InvalidRequestError(
                    f"items: line {number} is longer than {MAX_LINE} characters", advice=_CORRECT
                )
            yield number, line


def _is_utf8(line: str) -> bool:
    return line.isascii() or not any("\udc80" <= character <= "\udcff" for character in line)


def _json_lines(path: ObjectStoragePath) -> Iterator[Any]:
    for number, line in _lines(path):
        if not _is_utf8(line):
            yield BadRow(f"line {number} is not UTF-8")
        elif line.strip():
            try:
                yield json.loads(line, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                yield BadRow(f"line {number} is not JSON ({error_line(error)})")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """
    An object of JSON.

    :raises ValueError: It has a name twice, of which the last would count silently.
    """
    if len(found := dict(pairs)) < len(pairs) and (name := twice(name for name, _ in pairs)) is not None:
        raise ValueError(f"two values have the name {name!r}")
    return found


def _csv(path: ObjectStoragePath) -> Iterator[Any]:
    lines = _checked(_lines(path))
    first = next(lines, "")
    # Excel writes this line if its user chose the separator.
    if named := _NAMED_DELIMITER.fullmatch(first):
        delimiter, first = named[1], next(lines, "")
    else:
        delimiter = _delimiter_of(first)
    # The limit of Python is one for the whole process: it is raised, and never lowered.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))

    def with_first() -> Iterator[str]:
        yield first
        yield from lines

    cells = csv.reader(with_first(), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    before = 0
    try:
        for row in cells:
            place = f"line {before + 1}"
            before = cells.line_num
            if not row:
                continue
            if names is None:
                names = row
                yield _header(names)
            elif len(row) > len(names):
                yield BadRow(f"{place} has more cells than the file has columns")
            else:
                yield dict(zip(names, row, strict=False))
    except csv.Error as error:
        raise InvalidRequestError(
            f"items: the row that begins in line {before + 1} is not CSV ({error})", advice=_CORRECT
        ) from None


def _checked(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for number, line in lines:
        if not _is_utf8(line):
            raise InvalidRequestError(
                f"items: line {number} is not UTF-8",
                advice='Nothing was bought. Save the file as UTF-8; Excel calls it "CSV UTF-8".',
            )
        yield line


def _delimiter_of(header: str) -> str:
    """What separates the cells of a header, outside of quotes."""
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)


class _StoredFile:
    """A file whose own errors can be told from those of its reader."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, *size: int) -> bytes:
        try:
            return bytes(self._file.read(*size))
        except BaseException:
            self.failed = True
            raise


def _parquet(path: ObjectStoragePath) -> Iterator[Any]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise InvalidRequestError(
            "items: a Parquet file needs pyarrow",
            advice="Nothing was bought. Install airflow-provider-faceswap[parquet].",
        ) from None
    # Not through Airflow's path, whose file object lacks methods that pyarrow needs.
    with path.fs.open(path.path, "rb") as file:
        stored = _StoredFile(file)
        number = 0
        try:
            table = parquet.ParquetFile(stored)
            yield _header(table.schema_arrow.names)
            for rows in table.iter_batches(batch_size=256):
                for row in rows.to_pylist():
                    number += 1
                    yield row
        except Exception as error:
            # pyarrow raises OSError for a damaged file, as a storage does that is away.
            if stored.failed or isinstance(error, FaceSwapError):
                raise
            raise InvalidRequestError(
                f"items: the file could not be read after row {number}: it is damaged ({error_line(error)})",
                advice=_CORRECT,
            ) from None


#: The reader of each kind of file, by the suffix of its name.
READERS: dict[str, Callable[[ObjectStoragePath], Iterator[Any]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
}
