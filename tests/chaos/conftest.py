"""A real Airflow on PostgreSQL, and for each scenario a vendor of its own that counts what it bills."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.chaos.cases import CASES, CLOCK_STEP, DATABASE, PLATFORM, SCHEDULER, TRIGGERER, Ending, scenarios
from tests.sizes import SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_stack import AirflowStack
    from postgres import PostgreSQL

    from airflow_provider_faceswap.sandbox import SandboxServer

#: Seconds until something must have happened. On an idle machine it takes a few; a busy one needs many more.
PATIENCE = 400.0
#: Seconds from one run to the next.
BETWEEN_RUNS = 0.5


@dataclass
class World:
    """Airflow, its database, and a vendor for each scenario."""

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
                f"{self.vendors[scenario.name].url}/sandbox/faults",
                # With escapes: httpx cannot send half an emoji otherwise.
                content=json.dumps({**fault, "vendor": scenario.vendor}),
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

    def until(self, what, timeout: float = PATIENCE):
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
        pictures = sorted((self.home / "pictures" / scenario.name).glob("[!.]*"))
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


@pytest.fixture(scope="session")
def world(stack):
    """The chaos tests' part of the stack."""
    part = stack.part("chaos")
    return World(part.home, stack.database, stack.airflow, part.vendors)


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
            elif scenario.case.minute and time.monotonic() - begun[scenario.name] > SIZES.fault_seconds:
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
    states = world.states()
    busy = {scenario.name for scenario in chosen if not scenario.case.minute}
    return sum(states.get(name) in {"queued", "running"} for name in busy) < 8


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

    all_running(CLOCK_STEP)
    (world.home / "clock").write_text("-3600")
    world.ended(cases[CLOCK_STEP])
    (world.home / "clock").unlink()

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
