"""The items of a batch: from a list, from another task, or from a file in object storage."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_faceswap.archive.names import given_filename
from airflow_provider_faceswap.batch.item_files import READERS, BadRow, Header, as_name, file_of, twice
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import bare_url, error_line, without_queries
from airflow_provider_faceswap.foundation.rendered import is_set, is_text_of_result, without_blanks
from airflow_provider_faceswap.foundation.text import MAX_DEPTH
from airflow_provider_faceswap.lifecycle.provenance import provenance
from airflow_provider_faceswap.storage.files import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Column with the name of the archived file.
FILENAME = "filename"
#: Columns that name a row for a person, the best first.
_LABELS = (FILENAME, "name", "id")
#: Characters of a row's name in a message.
MAX_LABEL = 80
#: How similar two names are, from 0 to 1, if one is probably a misspelling of the other.
SIMILAR = 0.8

#: Errors that mean a wrong path or a damaged file. After any other error of a storage, a retry may help.
_WRONG_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError, csv.Error)


@dataclass(frozen=True, slots=True)
class BatchItem:
    """
    One row of a batch.

    :param position: Its place among the items, from 0.
    :param columns: Names to values, as the user gave them; an empty cell of a file is left out.
    :param problem: Why the row cannot be an item; ``None`` if it can.
    :param names: The names of all columns of the row, also of those with an empty cell.
    """

    position: int
    columns: Mapping[str, Any]
    problem: str | None = None
    names: Collection[str] = field(default=(), compare=False, repr=False)

    @classmethod
    def parse(cls, position: int, row: Any) -> Self:
        """Make an item of a row; one with a problem if the row cannot be one."""
        if isinstance(row, BadRow):
            return cls(position, {}, row.problem)
        if not isinstance(row, Mapping):
            return cls(
                position,
                {},
                f"must be a mapping with target_image and face_image, got {type(row).__name__}",
            )
        if _is_too_deep(row):
            return cls(position, {}, f"is nested deeper than {MAX_DEPTH} levels")
        named = {as_name(name): value for name, value in row.items() if name is not None}
        if len(named) < len(row) and (name := twice(name for name in row if name is not None)) is not None:
            return cls(position, {}, f"two columns have the name {name!r}", names=named.keys())
        columns = {name: without_blanks(value) for name, value in named.items() if is_set(value)}
        return cls(position, columns, names=named.keys())

    def arguments(self, known: Collection[str]) -> dict[str, Any]:
        """
        The columns that are arguments. Any other column is only copied to the manifest.

        :param known: The names of the arguments.
        :raises InvalidRequestError: The row cannot be an item, or the name of a column looks like a misspelt argument.
        """
        if self.problem is not None:
            raise InvalidRequestError(self.problem)
        for name in self.columns:
            if name not in known and (meant := _meant(name, known)) is not None:
                raise InvalidRequestError(
                    f"{name}: is no argument; if {meant} is meant, rename it, else choose a less similar name"
                )
        return {name: value for name, value in self.columns.items() if name in known}

    @property
    def filename(self) -> str | None:
        """
        The name of the archived file, if the row gives one.

        :raises InvalidRequestError: It cannot be a name.
        """
        return given_filename(self.columns.get(FILENAME))

    @property
    def label(self) -> str:
        """The item in a message: its position, and what names the row for a person."""
        names = (self.columns.get(name) for name in _LABELS)
        name = next((name for name in names if isinstance(name, str | int)), None)
        shown = "" if name is None else f" ({without_queries(str(name))[:MAX_LABEL]})"
        return f"items[{self.position}]{shown}"

    @property
    def provenance(self) -> dict[str, Any]:
        """The item's arguments as they may be shown, and the jobs before it."""
        return provenance(self.columns)


def _is_too_deep(row: Any) -> bool:
    """True if what follows would exhaust the stack."""
    level = [row]
    for _ in range(MAX_DEPTH + 1):
        level = [
            part
            for value in level
            if isinstance(value, Mapping | list | tuple)
            for part in (value.values() if isinstance(value, Mapping) else value)
        ]
    return bool(level)


def _meant(name: str, known: Collection[str]) -> str | None:
    """The argument that a column's name is probably a misspelling of; ``None`` if it is another name."""
    plain = name.lower().replace("-", "_").replace(" ", "_")
    if plain.startswith(tuple(f"{argument}_" for argument in known)):
        # Such as face_image_source: a column about an argument.
        return None
    return next(iter(get_close_matches(plain, known, n=1, cutoff=SIMILAR)), None)


class Items:
    """
    The items of a batch, which can be read more than once; those of a file are never all in memory.

    :param source: A list of mappings, a lazy sequence of another task's results, or the URI of a JSON Lines, CSV
        or Parquet file.
    :param trusted: Whether a file on this disk may be read wherever it is: the one that a command's user has named.
    :ivar columns: The names of the columns of a file with a header, once it was read.
    :raises InvalidRequestError: It is none of these.
    """

    def __init__(self, source: Any, *, trusted: bool = False) -> None:
        self._read: Callable[[], Iterator[Any]]
        self.columns: frozenset[str] = frozenset()
        if isinstance(source, str):
            source = source.strip()
        if isinstance(source, str) or hasattr(source, "open"):
            suffix = PurePosixPath(str(source)).suffix.lower()
            if suffix not in READERS:
                raise _unreadable(str(source))
            self._read = lambda: READERS[suffix](path_of(source) if trusted else file_of(source))
        elif isinstance(source, Iterable) and not isinstance(source, Mapping | bytes):
            # All at once: iterating over a lazy sequence would make one request to Airflow for each item.
            held = source[:] if isinstance(source, Sequence) else list(source)
            self._read = lambda: iter(held)
        else:
            raise InvalidRequestError(
                f"items: must be a list, or the URI of a file, got {type(source).__name__}"
            )

    def __iter__(self) -> Iterator[BatchItem]:
        """
        Read the items.

        :raises InvalidRequestError: The file is damaged or missing.
        :raises FaceSwapError: The file could not be read; a retry may help.
        """
        position = 0
        for row in self._rows():
            if isinstance(row, Header):
                self.columns = frozenset(map(as_name, row.names))
            else:
                yield BatchItem.parse(position, row)
                position += 1

    def _rows(self) -> Iterator[Any]:
        try:
            yield from self._read()
        except FaceSwapError:
            raise
        except Exception as error:  # noqa: BLE001 - every object store has its own errors
            wrong = isinstance(error, _WRONG_FILE)
            raise (InvalidRequestError if wrong else FaceSwapError)(
                f"items: the file could not be read ({error_line(error)})",
                advice=None if wrong else "Retry when the storage is available again.",
            ) from None


def _unreadable(source: str) -> InvalidRequestError:
    """The error for a text that is not the URI of a file. It shows little of it, because it may contain signed links."""
    if is_text_of_result(source):
        return InvalidRequestError(
            f"items: this looks like the text of a {'list' if source.lstrip()[0] == '[' else 'dict'}",
            advice="Nothing was bought. Give the task's output itself, or set render_template_as_native_obj=True "
            "on the Dag.",
        )
    ending = PurePosixPath(bare_url(source)).suffix[:16] or "no suffix"
    return InvalidRequestError(
        f"items: the name of a file must end in one of {', '.join(sorted(READERS))}, but this one ends in "
        f"{ending}{' and a query' if '?' in source else ''}"
    )
