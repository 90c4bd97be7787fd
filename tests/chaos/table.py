"""The table of ``docs/reliability.md``, made of what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.cases import CASES, MODES, PLATFORM, VENDORS, Ending, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- the table begins -->\n", "<!-- the table ends -->\n"
EITHER = "either way"


def table(seen: Mapping[str, Ending]) -> str:
    """Markdown: a row for each case and mode, rows of two modes with the same endings as one."""
    rows = ["| what goes wrong | the task waits | GPTunneL | Tengrai | PiAPI |", "|---|---|---|---|---|"]
    for case in (*CASES, *PLATFORM):
        by_mode = {
            mode: " | ".join(str(seen[Scenario(case, vendor, mode).name]) for vendor in VENDORS)
            for mode in case.modes
        }
        if case.modes == MODES and len(set(by_mode.values())) == 1:
            by_mode = {EITHER: by_mode[MODES[0]]}
        rows += [f"| {case.title} | {mode} | {endings} |" for mode, endings in by_mode.items()]
    return "\n".join(rows) + "\n"


def shown() -> dict[tuple[str, str, str], str]:
    """What the page says, by case, mode and vendor."""
    head, _, rest = PAGE.read_text().partition(BEGIN)
    assert head
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in rest.partition(END)[0].splitlines()[2:]
    ]
    return {
        (title, mode, vendor): ending
        for title, modes, *endings in rows
        for mode in (MODES if modes == EITHER else (modes,))
        for vendor, ending in zip(VENDORS, endings, strict=True)
    }


def write(text: str) -> None:
    """Put a table on the page."""
    head, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(head + BEGIN + text + END + rest.partition(END)[2])
