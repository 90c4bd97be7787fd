"""A real Airflow on PostgreSQL, and for each scenario a vendor of its own that counts what it bills."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from airflow_stack import AirflowStack
from postgres import PostgreSQL, programs

from airflow_provider_faceswap.sandbox import SandboxServer
from tests.chaos.cases import CASES, DATABASE, PLATFORM, SCHEDULER, TRIGGERER, Ending, scenarios

HERE = Path(__file__).parent
KEY = "planted-chaos-key"
MINUTE = 60.0
#: Seconds from one run to the next.
BETWEEN_RUNS = 0.5


@dataclass
class World:
    """Airflow, its database, and the vendors."""

    home: Path
    database: PostgreSQL
    airflow: AirflowStack
    vendors: dict[str, SandboxServer]
    seen: dict[str, Ending] = field(default_factory=dict)

    def creates(self, name: str) -> int:
        return len(self.vendors[name].sandbox.entries)

    def asked(self, name: str, vendor: str) -> int:
        return self.vendors[name].sandbox.requests[vendor]["fetch"]

    def order(self, scenario) -> None:
        for fault in scenario.case.faults:
            answer = httpx.post(
                f"{self.vendors[scenario.name].url}/sandbox/faults", json={**fault, "vendor": scenario.vendor}
            )
            answer.raise_for_status()

    def states(self) -> dict[str, str]:
        """The state of every run, by Dag."""
        return dict(self.database.rows("select dag_id, state from dag_run"))

    def state(self, dag_id: str, task_id: str = "swap") -> str | None:
        found = self.database.rows(
            "select state from task_instance where dag_id = %s and task_id = %s", dag_id, task_id
        )
        return found[0][0] if found else None

    def until(self, what, timeout: float = 120.0):
        """Look until something is true; what it is then."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := what():
                return found
            time.sleep(0.25)
        raise TimeoutError(f"not within {timeout:.0f} s: {self.states()}")

    def ended(self, chosen, timeout: float = 600.0, meanwhile=lambda: None) -> None:
        """Wait until the runs of these scenarios are over."""
        names = {scenario.name for scenario in chosen}

        def all_over():
            meanwhile()
            states = self.states()
            return all(states.get(name) in {"success", "failed"} for name in names)

        self.until(all_over, timeout)
        for scenario in chosen:
            self.seen[scenario.name] = self.ending(scenario)

    def ending(self, scenario) -> Ending:
        """What came of a scenario: its picture or its error, and what was billed."""
        noted = self.home / f"{scenario.name}.error.json"
        pictures = sorted((self.home / "pictures" / scenario.name).glob("*"))
        if noted.exists():
            error = json.loads(noted.read_text())["error"]
        elif self.states()[scenario.name] == "success" and len(pictures) == 2:  # with its manifest
            error = ""
        else:
            error = (
                f"no ending: {self.airflow.summary(scenario.name, self.run_id(scenario.name))}, {pictures}"
            )
        return Ending(error, self.creates(scenario.name))

    def run_id(self, dag_id: str) -> str:
        return self.database.rows("select run_id from dag_run where dag_id = %s", dag_id)[0][0]


@contextmanager
def running(servers):
    """Start and stop them side by side: a hundred, one after the other, take half a minute."""
    with ThreadPoolExecutor(16) as pool:
        try:
            list(pool.map(SandboxServer.__enter__, servers.values()))
            yield servers
        finally:
            list(pool.map(lambda server: server.__exit__(None, None, None), servers.values()))


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Everything runs for the whole of the chaos tests."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed")
    home, dags = tmp_path_factory.mktemp("chaos"), tmp_path_factory.mktemp("chaos-dags")
    for file in (HERE / "dags").glob("*.py"):
        shutil.copy(file, dags)
    wanted = {scenario.name: scenario.case.job_seconds for scenario in scenarios((*CASES, *PLATFORM))}
    # PiAPI cancels what still waits in its queue: a fifth of this time.
    wanted |= {"ended": 900, "late_exit": 4}
    with running({name: SandboxServer(seconds, KEY) for name, seconds in wanted.items()}) as vendors:
        env = {}

        def connect(name, conn_type):
            env[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(
                {"conn_type": conn_type, "host": vendors[name].url, "password": KEY}
            )
            return vendors[name].url

        told = [
            scenario.to_json(connect(scenario.name, scenario.vendor))
            for scenario in scenarios((*CASES, *PLATFORM))
        ]
        (home / "scenarios.json").write_text(json.dumps(told))
        env |= {
            "CHAOS_HOME": str(home),
            "CHAOS_ENDED_URL": connect("ended", "piapi"),
            "CHAOS_LATE_EXIT_URL": connect("late_exit", "gptunnel"),
            "PYTHONPATH": str(HERE / "probes"),
            "AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS": "127.0.0.1",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
            "AIRFLOW__SCHEDULER__MAX_DAGRUNS_TO_CREATE_PER_LOOP": "64",
            "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "64",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        }
        with (
            PostgreSQL() as database,
            AirflowStack(home / "airflow", dags, env=env, parallelism=32, database=database.url) as airflow,
        ):
            yield World(home, database, airflow, vendors)


@pytest.fixture(scope="session")
def crashes(world):
    """Every scenario of a killed task and of a failing vendor, side by side."""
    # The slow ones first, and only so many at once: the point is not to drown the machine.
    chosen = sorted(scenarios(CASES), key=lambda scenario: not scenario.case.minute)
    begun, over = {}, set()

    def trouble():
        for scenario in chosen:
            if not scenario.case.faults or scenario.name in over:
                continue
            if scenario.name not in begun:
                if scenario.case.late and world.creates(scenario.name):
                    world.order(scenario)
                    begun[scenario.name] = time.monotonic()
                elif world.vendors[scenario.name].sandbox.requests[scenario.vendor]["create"]:
                    begun[scenario.name] = time.monotonic()
            elif scenario.case.minute and time.monotonic() - begun[scenario.name] > MINUTE:
                httpx.delete(f"{world.vendors[scenario.name].url}/sandbox/faults").raise_for_status()
                over.add(scenario.name)

    for scenario in chosen:
        world.until(lambda: trouble() or room(world, chosen))
        if not scenario.case.late:
            world.order(scenario)
        world.airflow.run_dag(scenario.name)
        time.sleep(BETWEEN_RUNS)
    world.ended(chosen, timeout=1200, meanwhile=trouble)
    return world.seen


def room(world, chosen) -> bool:
    """Whether another run may start: few are busy, and those that wait for a minute to pass are not."""
    waiting = {scenario.name for scenario in chosen if scenario.case.minute}
    return (
        sum(state in {"queued", "running"} for name, state in world.states().items() if name not in waiting)
        < 8
    )


@pytest.fixture(scope="session")
def platform(world):
    """Parts of Airflow itself are killed while jobs run."""
    cases = {case.title: scenarios((case,)) for case in PLATFORM}

    def all_running(title):
        for scenario in cases[title]:
            world.airflow.run_dag(scenario.name)
        world.until(lambda: all(world.asked(scenario.name, scenario.vendor) for scenario in cases[title]))

    all_running(TRIGGERER)
    world.airflow.start("triggerer", "triggerer-2")
    world.until(lambda: triggerers(world) == 2)
    world.airflow.kill("triggerer")
    world.ended(cases[TRIGGERER])

    all_running(SCHEDULER)
    world.airflow.kill("scheduler")
    world.airflow.start("scheduler")
    world.ended(cases[SCHEDULER])

    all_running(DATABASE)
    world.database.restart()
    world.ended(cases[DATABASE], meanwhile=world.airflow.revive)

    world.airflow.start("triggerer")
    world.until(lambda: triggerers(world) == 2)
    return world.seen


def triggerers(world) -> int:
    """How many triggerers are alive."""
    [[count]] = world.database.rows(
        "select count(*) from job where job_type = 'TriggererJob' and state = 'running'"
        " and latest_heartbeat > now() - interval '15 seconds'"
    )
    return int(count)
