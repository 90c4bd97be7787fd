"""Result of a command on stdout: one object, in the formats of Airflow's own commands."""

from __future__ import annotations

import json
import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.foundation.text import safe_json
from airflow_provider_faceswap.jobs import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def read_connections() -> None:
    """Find connections in Airflow's database too, as its own commands do."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"


def show(report: Mapping[str, Any], output: str) -> None:
    """
    Write one object.

    :param report: JSON-safe values.
    :param output: ``json`` and ``yaml`` write all of it; ``table`` and ``plain`` one line for each value that is set.
    """
    report = safe_json(dict(report))
    readable = _takes_any_text()
    if output == "json":
        sys.stdout.write(json.dumps(report, ensure_ascii=not readable) + "\n")
    elif output == "yaml":
        from airflow.utils import yaml

        sys.stdout.write(yaml.dump(report, sort_keys=False, allow_unicode=readable))
    else:
        from airflow.cli.simple_table import AirflowConsole
        from rich.markup import escape

        lines = [(name, _line(value)) for name, value in report.items() if value not in (None, [], "")]
        mark = escape if output == "table" else str
        AirflowConsole().print_as([{"field": name, "value": mark(line)} for name, line in lines], output)


def show_rows(rows: Sequence[Mapping[str, Any]], output: str) -> None:
    """
    Write several objects with the same fields.

    :param rows: JSON-safe values.
    :param output: ``json`` writes them as one list on one line, as :func:`show` writes one.
    """
    rows = [safe_json(dict(row)) for row in rows]
    readable = _takes_any_text()
    if output == "json":
        sys.stdout.write(json.dumps(rows, ensure_ascii=not readable) + "\n")
    elif output == "yaml":
        from airflow.utils import yaml

        sys.stdout.write(yaml.dump(rows, sort_keys=False, allow_unicode=readable))
    else:
        from airflow.cli.simple_table import AirflowConsole
        from rich.markup import escape

        mark = escape if output == "table" else str
        shown = [
            {name: mark("" if value is None else str(value)) for name, value in row.items()} for row in rows
        ]
        AirflowConsole().print_as(shown, output)


def _takes_any_text() -> bool:
    """
    Whether stdout can write every character.

    One that cannot gets escapes instead: the command must not fail after a paid job.
    """
    if (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf"):
        return True
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return False


def _line(value: Any) -> str:
    """A value on one line: a cost, the address of a file, a message."""
    match value:
        case {"amount": amount, "unit": unit}:
            return str(Cost(amount=amount, unit=unit))
        case {"uri": uri}:
            return str(uri)
        case {"message": message}:
            return str(message)
        case list():
            return ", ".join(map(_line, value))
        case _:
            return str(value)
