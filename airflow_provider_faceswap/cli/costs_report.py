"""What the jobs of an archive cost, from its manifests."""

from __future__ import annotations

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.archive.manifest import Manifest
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.spending.costs import COLUMNS, costs_by, some_of
from airflow_provider_faceswap.storage.files import part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import ObjectStoragePath

#: Manifests that are read at a time.
_READERS = 16
#: What makes a spreadsheet take a cell for a formula. It skips blanks, and may take wide characters for plain ones.
_BEGIN_FORMULAS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def costs_of(
    folder: ObjectStoragePath, by: str, say: Callable[[str], object] | None = None
) -> list[dict[str, Any]]:
    """
    The costs in a folder and below it.

    :param by: Columns with commas between them.
    :param say: Called with a sentence about what is not in the sums.
    :returns: The rows of :func:`~airflow_provider_faceswap.spending.costs.costs_by`.
    :raises InvalidRequestError: A column is unknown, or there is no such folder.
    """
    columns = _columns(by)
    if not columns or set(columns) - set(COLUMNS):
        raise InvalidRequestError(f"--by: must be of {', '.join(COLUMNS)}, got {by!r}")
    if not folder.exists():
        raise InvalidRequestError(f"{folder} is not a folder")
    return costs_by(columns, _manifests(folder, say), say)


def written(rows: list[dict[str, Any]], by: str, output: str) -> str:
    """
    The rows as text.

    :param by: Columns with commas between them.
    :param output: ``table``, ``json`` or ``csv``.
    """
    if output == "json":
        return json.dumps(rows) + "\n"
    out = io.StringIO()
    names = list(dict.fromkeys((*_columns(by), "jobs", "amount", "unit")))
    if output == "csv":
        table = csv.DictWriter(out, names, lineterminator="\n")
        table.writeheader()
        table.writerows({name: _plain_cell(value) for name, value in row.items()} for row in rows)
        return out.getvalue()
    lines = [names, *([str(row[name] if row[name] is not None else "-") for name in names] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")
    return out.getvalue()


def _columns(by: str) -> list[str]:
    return [name.strip() for name in by.split(",") if name.strip()]


def _plain_cell(value: Any) -> Any:
    """A value that no spreadsheet runs as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_BEGIN_FORMULAS) else value


def _manifests(folder: ObjectStoragePath, say: Callable[[str], object] | None) -> Iterator[Manifest]:
    """The manifests of a folder. Other JSON files are left out; what is no JSON, or has gone, is also said."""
    unread: list[str] = []
    paths = [path for path in folder.fs.find(folder.path) if path.endswith(".json")]

    def read(path: str) -> Manifest | None:
        try:
            return Manifest.parse(part_of(folder.fs, path))
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
            unread.append(path)
            return None
        except ValueError:
            return None

    with ThreadPoolExecutor(_READERS, thread_name_prefix="faceswap-costs") as threads:
        yield from (found for found in threads.map(read, sorted(paths)) if found is not None)
    if unread and say is not None:
        say(f"Left out, because it is no JSON or is not there any more: {some_of(sorted(unread))}.")
