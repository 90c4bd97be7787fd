"""One Airflow for every suite that needs a whole one: its start takes half a minute."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airflow_stack import AirflowStack
    from postgres import PostgreSQL

    from airflow_provider_faceswap.sandbox import SandboxServer

#: Folders in ``tests`` whose ``part.py`` says what the suite adds to the stack.
SUITES = ("airflow", "browser", "celery", "chaos", "cleared")
#: What all suites need.
SETTINGS = {
    "AIRFLOW__FACESWAP__ALLOWED_LOCAL_PATHS": tempfile.gettempdir(),
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS": "127.0.0.1",
}


@dataclass
class Part:
    """
    What a suite adds to the stack before it starts.

    :param home: A folder of its own.
    :param dags: Names and texts of Dag files.
    :param env: Environment of Airflow.
    :param vendors: The sandboxes of the suite, by name.
    """

    home: Path
    dags: Mapping[str, str]
    env: Mapping[str, str]
    vendors: Mapping[str, SandboxServer]


@dataclass
class Stack:
    """
    The running Airflow.

    :param database: PostgreSQL; ``None`` where it is not installed, and Airflow keeps its data in SQLite.
    :param missing: Why a suite cannot run here, by its name.
    """

    airflow: AirflowStack
    database: PostgreSQL | None
    parts: dict[str, Part]
    missing: dict[str, str] = field(default_factory=dict)

    def part(self, suite: str) -> Part:
        """What a suite has added; skips the test where the suite cannot run."""
        if suite in self.missing:
            pytest.skip(self.missing[suite])
        return self.parts[suite]


class NotHereError(Exception):
    """A suite needs something that is not installed; the message says what."""


def dag_files(folder: Path) -> dict[str, str]:
    """The Dag files of a folder, by name."""
    return {file.name: file.read_text() for file in folder.glob("*.py")}


@contextmanager
def started(suites: set[str], folder: Path) -> Iterator[Stack]:
    """Start Airflow with the parts of these suites."""
    # Not at the top: the smoke test runs without what these need.
    from airflow_stack import AirflowStack
    from postgres import PostgreSQL, programs

    home, dags = folder / "airflow", folder / "dags"
    dags.mkdir()
    parts: dict[str, Part] = {}
    missing: dict[str, str] = {}
    with ExitStack() as leaving:
        database = leaving.enter_context(PostgreSQL()) if programs() else None
        for suite in SUITES:
            if suite in suites:
                (folder / suite).mkdir()
                part = import_module(f"tests.{suite}.part").part
                try:
                    parts[suite] = leaving.enter_context(part(folder / suite, database))
                except NotHereError as error:
                    missing[suite] = str(error)
        env = dict(SETTINGS)
        for part in parts.values():
            env |= part.env
            for name, text in part.dags.items():
                (dags / name).write_text(text)
        url, tasks = (database.url, 32) if database else (None, 4)
        airflow = AirflowStack(home, dags, env=env, parallelism=tasks, database=url)
        yield Stack(leaving.enter_context(airflow), database, parts, missing)


@pytest.fixture(scope="session")
def stack(request, tmp_path_factory):
    """A whole Airflow with what the collected suites need."""
    runs = (item for item in request.session.items if not any(m.args[0] for m in item.iter_markers("skipif")))
    with started({item.path.parent.name for item in runs}, tmp_path_factory.mktemp("stack")) as found:
        yield found
