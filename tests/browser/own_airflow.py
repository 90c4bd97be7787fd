"""An Airflow of its own for a test of the gallery that needs other settings than the shared one."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.browser.part import part
from tests.stack import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from airflow_stack import AirflowStack

#: The Dag of ``dags/gallery_pictures.py``.
DAG = "gallery_pictures"


@contextmanager
def own_airflow(
    folder: Path,
    env: Mapping[str, str],
    *,
    users: Sequence[str] = ("admin",),
    path: str = "",
    python: str = sys.executable,
    prepare: Callable[[AirflowStack], None] = lambda _: None,
) -> Iterator[AirflowStack]:
    """
    A whole Airflow with the Dag of the gallery, and its pictures in ``folder / "browser" / "pictures"``.

    :param users: The users of the simple auth manager; each has its name as its password.
    :param path: The path of ``[api] base_url``.
    :param python: The interpreter of the environment with Airflow.
    :param prepare: Called before it starts.
    """
    from airflow_stack import AirflowStack

    (folder / "browser").mkdir()
    dags = folder / "dags"
    dags.mkdir()
    with part(folder / "browser", None) as own:
        for name, text in own.dags.items():
            (dags / name).write_text(text)
        airflow = AirflowStack(
            folder / "airflow", dags, env={**SETTINGS, **own.env, **env}, path=path, python=python
        )
        (folder / "airflow" / "passwords.json").write_text(json.dumps({user: user for user in users}))
        prepare(airflow)
        with airflow:
            yield airflow


class Run:
    """
    A run that is written into Airflow's database: no scheduler makes a thousand tasks in a test's time.

    :param like: The run whose row is copied.
    """

    def __init__(self, airflow: AirflowStack, like: str, run_id: str) -> None:
        self.run_id = run_id
        self._database = airflow.home / "airflow.db"
        with self._connected() as database:
            database.execute("CREATE TEMP TABLE one AS SELECT * FROM dag_run WHERE run_id = ?", (like,))
            [self._id] = database.execute("SELECT max(id) + 1 FROM dag_run").fetchone()
            database.execute("UPDATE one SET id = ?, run_id = ?", (self._id, run_id))
            database.execute("INSERT INTO dag_run SELECT * FROM one")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        # This connection checks no foreign keys: there are no task instances.
        database = sqlite3.connect(self._database, timeout=60)
        try:
            with database:
                yield database
        finally:
            database.close()

    def push(self, task_id: str, values: Sequence[object]) -> None:
        """What the mapped instances of a task have returned; one value is that of a task that is not mapped."""
        rows = [
            (self._id, task_id, index if len(values) > 1 else -1, DAG, self.run_id, json.dumps(value))
            for index, value in enumerate(values)
        ]
        with self._connected() as database:
            database.executemany(
                "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp, dag_result)"
                " VALUES (?, ?, ?, 'return_value', ?, ?, ?, '2026-01-01 00:00:00', 0)",
                rows,
            )
