"""
A whole Airflow on this machine: scheduler, triggerer, dag processor and api server, in a folder of its own.

The demo and the end-to-end tests run on it. Nothing of it is left running, and nothing outside its folder is
touched.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

COMPONENTS = ("api-server", "dag-processor", "scheduler", "triggerer")

#: Seconds. A cold start of all four takes about 15 on two cores; a busy machine needs more.
START_TIMEOUT = 180.0
#: Seconds without a heartbeat after which a scheduler is taken for dead; it beats every five.
STOPPED_HEART = 60.0
#: The HTTP status for what is there already.
CONFLICT = 409


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class AirflowStack:
    """
    Start with ``with``; everything is stopped on leaving.

    :param home: Folder for configuration, database and logs; created.
    :param dags: Folder with the Dag files.
    :param env: Further environment, such as ``AIRFLOW_CONN_*``.
    :param parallelism: Tasks at once.
    :param database: SQLAlchemy URL; default: SQLite in ``home``.
    :param components: What to start; default: all four.
    :param path: The path below which it is served, such as ``/air/flow``.
    :param python: The interpreter of the environment that Airflow is installed in; default: this one.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        env: Mapping[str, str] | None = None,
        parallelism: int = 4,
        database: str | None = None,
        components: Sequence[str] = COMPONENTS,
        path: str = "",
        python: str = sys.executable,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{path}"
        self.database = database or f"sqlite:///{home}/airflow.db"
        self._say = say
        self._python = python
        self._components = tuple(components)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._api: httpx.Client | None = None
        home.mkdir(parents=True, exist_ok=True)
        (home / "passwords.json").write_text(json.dumps({"admin": "admin"}))
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")},
            "PATH": f"{Path(python).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": str(parallelism),
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
            # Sixteen tasks that begin in the same moment were seen to use up the api server's fifteen connections, each
            # with one and waiting for a second, until half a minute had passed.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "20",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "40",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            # The files do not change while it runs; each look at one costs a second.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "2",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **(env or {}),
        }

    # -- life -----------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Make the database and start every component."""
        try:
            self._say("Preparing Airflow's database")
            self.run("db", "migrate")
            self._say("Starting Airflow: " + ", ".join(self._components))
            for component in self._components:
                self.start(component)
            self._wait_healthy()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every component."""
        self.close()

    def run(self, *arguments: str) -> str:
        """
        Run one ``airflow`` command.

        :returns: What it printed.
        :raises RuntimeError: It failed; the message has the end of its output.
        """
        done = subprocess.run(
            [self._python, "-m", "airflow", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"airflow {' '.join(arguments)} failed:\n{(done.stdout + done.stderr)[-3000:]}"
            )
        return done.stdout

    def start(self, component: str, name: str | None = None, *more: str) -> int:
        """
        Start a component in a process group of its own.

        :param name: Its name here, where a component runs more than once.
        :param more: Further arguments of its command.
        :returns: The process id.
        """
        with (self.home / f"{name or component}.log").open("ab") as log:
            process = subprocess.Popen(
                [self._python, "-m", "airflow", component, *more],
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes[name or component] = process
        return process.pid

    def kill(self, name: str, sign: signal.Signals = signal.SIGKILL) -> None:
        """Signal a component and everything it started, and wait for its end."""
        process = self._processes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        process.wait(60)

    def pid(self, name: str) -> int:
        """The process id of a component that was started."""
        return self._processes[name].pid

    def runs(self, name: str) -> bool:
        """Whether a component was started, and neither killed nor ended."""
        return name in self._processes and self._processes[name].poll() is None

    def revive(self) -> list[str]:
        """
        Start again what has ended by itself, as whatever runs services would, and a scheduler whose heart has stopped.

        A scheduler that its database left was seen to wait for ever for a worker of its executor.

        :returns: The names of what was started.
        """
        if self._scheduler_is_dead():
            self.kill("scheduler")
            self.start("scheduler")
            return ["scheduler"]
        ended = [name for name, process in self._processes.items() if process.poll() is not None]
        for name in ended:
            self.start(next(part for part in COMPONENTS if name.startswith(part)), name)
        return ended

    def _scheduler_is_dead(self) -> bool:
        """Whether there is a process, and its last heartbeat, and its start, are long ago."""
        process = self._processes.get("scheduler")
        if process is None or process.poll() is not None:
            return False
        with suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
            health = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
            beat = datetime.fromisoformat(health["scheduler"]["latest_scheduler_heartbeat"]).timestamp()
            return time.time() - max(beat, psutil.Process(process.pid).create_time()) > STOPPED_HEART
        return False

    def close(self) -> None:
        """Stop everything, politely first; also what has outlived the component that started it."""
        if self._api is not None:
            self._api.close()
            self._api = None
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()
        for orphan in psutil.process_iter():
            with suppress(psutil.Error):
                if orphan.environ().get("AIRFLOW_HOME") == str(self.home):
                    orphan.kill()

    def _wait_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        watched = {"metadatabase", *(component.replace("-", "_") for component in self._components)}
        state = "no answer yet"
        while time.monotonic() < deadline:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended at once:\n{self.log(name)[-3000:]}")
            with suppress(httpx.HTTPError, ValueError):
                health = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
                states = {name: part.get("status") for name, part in health.items() if name in watched}
                state = str(states)
                if states and set(states.values()) == {"healthy"}:
                    return
            time.sleep(0.5)
        raise RuntimeError(f"Airflow is not healthy after {START_TIMEOUT:.0f} s: {state}")

    def log(self, name: str) -> str:
        """What a component has printed."""
        return (self.home / f"{name}.log").read_text(errors="replace")

    # -- REST -----------------------------------------------------------------------------------------

    def api(self, method: str, path: str, **options: Any) -> Any:
        """
        Call the public REST API.

        :param path: Below ``/api/v2``.
        :returns: The parsed answer.
        :raises httpx.HTTPStatusError: The status is not 2xx.
        """
        if self._api is None:
            self._api = httpx.Client(base_url=self.url, timeout=30)
            token = self._api.post("/auth/token", json={"username": "admin", "password": "admin"})
            self._api.headers["Authorization"] = f"Bearer {token.raise_for_status().json()['access_token']}"
        answer = self._api.request(method, f"/api/v2{path}", **options).raise_for_status()
        return answer.json() if answer.content else None

    def run_dag(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """
        Wait until a Dag is known, unpause it and start a run.

        :returns: The run's id.
        """
        run_id = run_id or f"run-{uuid.uuid4().hex}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        self._insist(404, "PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        try:
            self._insist(500, "POST", f"/dags/{dag_id}/dagRuns", json=body)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != CONFLICT:  # made, though the answer was a 500
                raise
        return run_id

    def _insist(self, not_yet: int, method: str, path: str, **options: Any) -> None:
        """Call the API until it does as it is told: on a busy machine a moment's 500 was seen, on SQLite."""
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self.api(method, path, **options)
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in {not_yet, 500} or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run."""
        return str(self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run, as the REST API tells them."""
        found = self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 1000})
        instances: list[dict[str, Any]] = found["task_instances"]
        return instances

    def wait_for(
        self, dag_id: str, run_id: str, *, timeout: float = 180.0, seen: Callable[[], None] = lambda: None
    ) -> str:
        """
        Wait until a run has ended.

        :param seen: Called after every look, for showing progress.
        :returns: ``success`` or ``failed``.
        :raises TimeoutError: It is still going.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            state = self.run_state(dag_id, run_id)
            seen()
            if state in {"success", "failed"}:
                return state
            time.sleep(0.5)
        raise TimeoutError(
            f"{dag_id} {run_id} is not done after {timeout:.0f} s: {self.summary(dag_id, run_id)}"
        )

    def summary(self, dag_id: str, run_id: str) -> str:
        """One line: every task and its state."""
        return ", ".join(f"{task['task_id']} {task['state']}" for task in self.tasks(dag_id, run_id))

    def story(self, dag_id: str, run_id: str) -> str:
        """What is known of the tasks of a run that did not succeed: what they, and the scheduler, say went wrong."""
        told = []
        for task in self.tasks(dag_id, run_id):
            if task["state"] == "success":
                continue
            who = f"{task['task_id']}[{task['map_index']}] {task['state']}, try {task['try_number']}"
            told.append(f"{who}, {task['start_date']} to {task['end_date']}")
            with suppress(httpx.HTTPError):
                log = self.task_log(dag_id, run_id, task["task_id"], task["try_number"], task["map_index"])
                told += [
                    f"  {line['timestamp']} {line['event']} {line.get('error_detail', '')}"
                    for line in json.loads(log)["content"]
                    if line.get("level") in {"warning", "error"}
                ]
        told += [line for line in self.log("scheduler").splitlines() if dag_id in line and "[error" in line]
        return "\n".join(told)

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """What a task returned."""
        where = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.api("GET", where, params={"map_index": map_index, "deserialize": "false"})["value"]

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """The log of one try, as the UI shows it."""
        where = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        return json.dumps(self.api("GET", where, params={"map_index": map_index, "full_content": "true"}))

    def ended_in_triggerer(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> bool:
        """Whether a task's trigger fired, and no worker ran the task after that."""
        log = self.task_log(dag_id, run_id, task_id, map_index=map_index)
        return "Trigger fired event" in log and log.count("DAG bundles loaded") == 1
