"""What every way of the comparison shares: the pictures, the vendor's address, and where things are written."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_parsing_context

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS: dict[str, Any] = json.loads(Path(os.environ["BENCH_SETTINGS"]).read_text())
URL: str = SETTINGS["url"]
KEY: str = SETTINGS["key"]
HOME = Path(SETTINGS["home"])
#: Seconds between two questions, in every way that chooses it here.
POLL = 1.0


def dags_of(*rows: str) -> Iterator[tuple[str, str, int]]:
    """
    The Dags to make now: row, Dag id, and how many swaps.

    A task process needs its own Dag only; a thousand mapped items of all the others would cost it time.
    """
    wanted = get_parsing_context().dag_id
    for row in rows:
        # One swap is for warming up.
        for size in [1, *SETTINGS["sizes"]]:
            dag_id = f"{row}_{size}"
            if wanted in {None, dag_id}:
                yield row, dag_id, size


def faces(size: int) -> list[str]:
    """Links to one face, each of its own, so that nothing can take two items for one."""
    return [f"{SETTINGS['face']}&n={number}" for number in range(size)]


def items(size: int) -> list[dict[str, str]]:
    """The swaps under the names that the operators use."""
    return [{"target_image": SETTINGS["target"], "face_image": face} for face in faces(size)]


def body(face: str) -> dict[str, str]:
    """A swap as the vendor wants it."""
    return {"sourceImage": SETTINGS["target"], "faceImage": face}


def folder(dag_id: str) -> Path:
    """Where the pictures of a Dag go."""
    path = HOME / "pictures" / dag_id
    path.mkdir(parents=True, exist_ok=True)
    return path


def note(dag_id: str, job_id: str) -> None:
    """Leave word of when a result was in hand: one short line, appended whole."""
    line = json.dumps({"job_id": job_id, "at": time.time()}) + "\n"
    with (HOME / "seen" / f"{dag_id}.jsonl").open("a") as seen:
        seen.write(line)
