"""Airflow on CeleryExecutor: Redis, PostgreSQL, two workers, two triggerers, and two vendors that count."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.celery.part import JOB_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_stack import AirflowStack
    from postgres import PostgreSQL

    from airflow_provider_faceswap.sandbox import SandboxServer

WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer", "triggerer-2")
#: Seconds that a job takes there while it is held: longer than any of these tests.
HELD = 3600
#: Seconds in which a record that was sent to the api server is certainly in the database.
ON_ITS_WAY = 1.0
#: How often such a moment is looked for.
MOMENTS = 30
#: The triggerers that are alive.
TRIGGERER_JOBS = (
    "select id from job where job_type = 'TriggererJob' and state = 'running'"
    " and latest_heartbeat > now() - interval '15 seconds' order by id"
)

LOG = logging.getLogger(__name__)


@dataclass
class Cluster:
    """
    Airflow, its database, and the vendors of the two Dags.

    :param triggerers: The job id of each triggerer in Airflow's database.
    """

    home: Path
    database: PostgreSQL
    airflow: AirflowStack
    vendors: dict[str, SandboxServer]
    triggerers: dict[str, int] = field(default_factory=dict)
    begun: float = 0.0

    def billed(self, vendor: str) -> list[str]:
        """The ids of the jobs that were charged."""
        return [entry.job_id for entry in self.vendors[vendor].sandbox.entries]

    def swaps(self, vendor: str) -> list[str]:
        """The ids of the face swaps that were charged."""
        return [entry.job_id for entry in self.vendors[vendor].sandbox.entries if entry.kind == "face_swap"]

    def wanted(self, vendor: str) -> set[str]:
        """What tells the jobs apart, of every job that was bought: the face of a swap, the prompt of a picture."""
        requests = [job.request for job in self.vendors[vendor].sandbox.jobs.values()]
        return {request.get("sourceImage") or request["prompt"] for request in requests}

    def hold(self, vendor: str) -> None:
        """Let no job end that is bought from now on, so that there is still something to lose when it comes to it."""
        self.vendors[vendor].sandbox.job_seconds = HELD

    def release(self, vendor: str) -> None:
        """Let the held jobs end as all others do."""
        sandbox = self.vendors[vendor].sandbox
        sandbox.job_seconds = JOB_SECONDS
        for job in list(sandbox.jobs.values()):
            job.seconds = JOB_SECONDS

    def archived(self, name: str) -> list[str]:
        """The id of the job of every picture that is kept with its manifest: twice, if one is kept twice."""
        return [
            json.loads(manifest.read_text())["job"]["job_id"]
            for manifest in sorted((self.home / name).glob("*.json"))
            if manifest.with_suffix("").exists()
        ]

    def tries(self, dag_id: str) -> list[int]:
        """The number of the last try of every task of a Dag."""
        rows = self.database.rows("select try_number from task_instance where dag_id = %s", dag_id)
        return [number for (number,) in rows]

    def states(self) -> dict[str, int]:
        """How many tasks are in which state; for messages."""
        return {
            f"{task} {state}": count
            for task, state, count in self.database.rows(
                "select task_id, state, count(*) from task_instance group by 1, 2 order by 1, 2"
            )
        }

    def working(self) -> dict[str, set[str]]:
        """The Dags of which each worker runs a task now."""
        found: dict[str, set[str]] = {worker: set() for worker in WORKERS}
        for dag_id, pid in self.database.rows(
            "select dag_id, pid from task_instance where state = 'running' and pid is not null"
        ):
            with suppress(psutil.Error):
                above = {process.pid for process in psutil.Process(pid).parents()}
                for worker in WORKERS:
                    if self.airflow.pid(worker) in above:
                        found[worker].add(dag_id)
        return found

    def waiting(self) -> dict[str, int]:
        """How many triggers each triggerer has: they need not share them evenly."""
        held = dict(
            self.database.rows(
                "select triggerer_id, count(*) from trigger where triggerer_id is not null group by 1"
            )
        )
        return {name: held.get(job, 0) for name, job in self.triggerers.items()}

    def until(self, what, timeout: float = 400.0):
        """Look until something is true; what it is then."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := what():
                return found
            time.sleep(0.25)
        raise TimeoutError(f"not within {timeout:.0f} s: {self.states()}")

    def say(self, what: str) -> None:
        """A line with the time since the first run; shown with ``pytest -s`` and where the test fails."""
        LOG.warning("%6.1f s  %s", time.monotonic() - self.begun, what)

    def lose(self, name: str) -> None:
        """End a component and every process below it at once, as when its machine goes down."""
        self.freeze(name)
        for process in self.below(name):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.airflow.kill(name)

    def lose_without_doubt(self, name: str) -> None:
        """
        As :meth:`lose`, at a moment when none of its tasks is between an intent and its job.

        What becomes of one that is, which nobody can know of, is told in tests/chaos.
        """
        for _ in range(MOMENTS):
            self.freeze(name)
            time.sleep(ON_ITS_WAY)
            with suppress(TimeoutError):
                # Those of the other worker come and go; one of this one stays.
                self.until(lambda: not self.intents(), timeout=2)
                break
            self.thaw(name)
            time.sleep(0.5)
        else:
            raise TimeoutError(f"{name} has always a create on its way")
        self.lose(name)

    def intents(self) -> int:
        """How many creates may be on their way."""
        records = self.database.rows("select value from task_state_store where value like '%intent%'")
        return len(records)

    def below(self, name: str) -> list[psutil.Process]:
        """The processes that a component has started; a task's is in a group of its own."""
        return psutil.Process(self.airflow.pid(name)).children(recursive=True)

    def freeze(self, name: str) -> None:
        """Stop a component, from the top, so that nothing is started meanwhile."""
        os.killpg(self.airflow.pid(name), signal.SIGSTOP)
        for process in self.below(name):
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self, name: str) -> None:
        """Let it go on."""
        for process in self.below(name):
            with suppress(psutil.NoSuchProcess):
                process.resume()
        os.killpg(self.airflow.pid(name), signal.SIGCONT)


@pytest.fixture(scope="module")
def cluster(stack):
    """Two workers and a second triggerer, for as long as these tests run."""
    part, airflow = stack.part("celery"), stack.airflow
    found = Cluster(part.home, stack.database, airflow, part.vendors)
    airflow.start("triggerer", TRIGGERERS[1])
    for worker in WORKERS:
        pid_file = str(airflow.home / f"{worker}.pid")
        options = ("--skip-serve-logs", "--celery-hostname", f"{worker}@%h", "--pid", pid_file)
        airflow.start("celery", worker, "worker", *options)
    found.until(lambda: all(" ready." in airflow.log(worker) for worker in WORKERS))
    found.triggerers = found.until(lambda: triggerer_ids(found))
    yield found
    for worker in WORKERS:
        if airflow.runs(worker):
            found.lose(worker)
    if airflow.runs(TRIGGERERS[1]):
        airflow.kill(TRIGGERERS[1], signal.SIGTERM)
    if not airflow.runs(TRIGGERERS[0]):
        airflow.start("triggerer", TRIGGERERS[0])


def triggerer_ids(cluster) -> dict[str, int] | None:
    """The job id of each triggerer, once all are at work: the first to be started has the lowest."""
    alive = [job for (job,) in cluster.database.rows(TRIGGERER_JOBS)]
    return dict(zip(TRIGGERERS, alive, strict=True)) if len(alive) == len(TRIGGERERS) else None
