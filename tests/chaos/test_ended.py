"""Ended from outside, in every way there is: what becomes of the job, and of the money."""

from __future__ import annotations

import json
import os
import signal

import psutil
import pytest

from tests.conftest import NEEDS_STATE_STORE

pytestmark = [pytest.mark.airflow, NEEDS_STATE_STORE]

#: What is done to each task once its job is running.
DEFERRED = (
    "deferred_marked_failed",
    "deferred_marked_success",
    "deferred_cleared",
    "deferred_moved",
    "deferred_dagrun_timeout",
    "deferred_execution_timeout",
    "deferred_timeout",
    "deferred_timeout_cancel",
)
RUNNING = ("running_marked_failed", "running_cleared", "running_terminated", "running_execution_timeout")
#: Deferred when no triggerer lives.
UNWATCHED = "deferred_unwatched"


class Ended:
    """The swaps of these tests: their runs, tasks, logs and jobs."""

    def __init__(self, world) -> None:
        self.world = world
        self.runs: dict[str, str] = {}

    @property
    def sandbox(self):
        return self.world.vendors["ended"].sandbox

    def jobs(self, dag_id):
        """This Dag's jobs at the vendor."""
        mark = f"?dag={dag_id}"
        return [job for job in self.sandbox.jobs.values() if job.request["target_image"].endswith(mark)]

    def state(self, dag_id):
        return self.world.state(dag_id)

    def tell(self, dag_id, state):
        """Mark the task, as a person does in the UI."""
        where = f"/dags/{dag_id}/dagRuns/{self.runs[dag_id]}/taskInstances/swap"
        self.world.airflow.api("PATCH", where, json={"new_state": state})

    def clear(self, dag_id):
        body = {"dry_run": False, "dag_run_id": self.runs[dag_id], "only_failed": False, "task_ids": ["swap"]}
        self.world.airflow.api("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)

    def log(self, dag_id):
        """Everything that any try of the task wrote, its trigger included."""
        files = sorted((self.world.airflow.home / "logs" / f"dag_id={dag_id}").rglob("*.log*"))
        return "\n".join(
            str(json.loads(line).get("event", "")) + " " + str(json.loads(line).get("error_detail", ""))
            for file in files
            for line in file.read_text().splitlines()
            if line.startswith("{")
        )

    def logged(self, dag_id, text):
        self.world.until(lambda: text in self.log(dag_id))

    def worker(self, dag_id):
        """The process that runs the task, and the one that supervises it."""
        [[pid]] = self.world.database.rows("select pid from task_instance where dag_id = %s", dag_id)
        child = psutil.Process(pid)
        return child, child.parent()


@pytest.fixture(scope="module")
def ended(world, platform):
    """All of them are started, and waited for; each test then ends one. Two triggerers are running."""
    tasks = Ended(world)
    for dag_id in (*DEFERRED, *RUNNING):
        tasks.runs[dag_id] = world.airflow.run_dag(dag_id)
    for dag_id in (*DEFERRED, *RUNNING):
        wanted = {"deferred"} if dag_id in DEFERRED else {"running"}
        past = {"failed", "skipped"} if dag_id.endswith(("timeout", "timeout_cancel")) else set()
        world.until(lambda d=dag_id, w=wanted | past: tasks.state(d) in w and tasks.jobs(d))
    # A deferred task is nobody's until a triggerer runs its trigger: see the test of UNWATCHED.
    for dag_id in DEFERRED:
        tasks.logged(dag_id, "is pending")
    return tasks


def test_a_deferred_task_marked_failed_cancels_its_job_and_says_so(ended):
    ended.tell("deferred_marked_failed", "failed")
    ended.logged("deferred_marked_failed", "the vendor confirmed the cancel")
    [job] = ended.jobs("deferred_marked_failed")
    assert job.canceled_at is not None
    assert ended.state("deferred_marked_failed") == "failed"


def test_a_deferred_task_marked_success_leaves_its_job(ended):
    ended.tell("deferred_marked_success", "success")
    ended.logged("deferred_marked_success", "is left running: the task's state is success")
    [job] = ended.jobs("deferred_marked_success")
    assert job.canceled_at is None


def test_a_cleared_deferred_task_takes_its_job_up_again(ended):
    ended.clear("deferred_cleared")
    ended.logged("deferred_cleared", "Resuming job")
    ended.world.until(lambda: ended.state("deferred_cleared") == "deferred")
    [job] = ended.jobs("deferred_cleared")
    assert job.canceled_at is None


def test_a_dagrun_timeout_cancels_the_job_of_a_deferred_task(ended):
    ended.logged("deferred_dagrun_timeout", "the vendor confirmed the cancel")
    [job] = ended.jobs("deferred_dagrun_timeout")
    assert job.canceled_at is not None
    assert ended.state("deferred_dagrun_timeout") == "skipped"


@pytest.mark.parametrize("dag_id", ["deferred_execution_timeout", "running_execution_timeout"])
def test_an_execution_timeout_is_kept_and_leaves_the_job_resumable(ended, dag_id):
    ended.world.until(lambda: ended.state(dag_id) == "failed")
    [job] = ended.jobs(dag_id)
    assert job.canceled_at is None
    log = ended.log(dag_id)
    assert "JobTimeoutError" in log
    assert f"job {job.job_id}" in log
    assert "resume_job_id" in log


def test_at_the_deadline_the_job_is_left_resumable(ended):
    ended.world.until(lambda: ended.state("deferred_timeout") == "failed")
    [job] = ended.jobs("deferred_timeout")
    assert job.canceled_at is None
    assert "JobTimeoutError" in ended.log("deferred_timeout")


def test_at_the_deadline_the_job_is_cancelled_if_asked(ended):
    ended.world.until(lambda: ended.state("deferred_timeout_cancel") == "failed")
    [job] = ended.jobs("deferred_timeout_cancel")
    assert job.canceled_at is not None
    assert "the vendor confirmed the cancel" in ended.log("deferred_timeout_cancel")


def test_a_running_task_marked_failed_cancels_its_job(ended):
    ended.tell("running_marked_failed", "failed")
    ended.logged("running_marked_failed", "the vendor confirmed the cancel")
    [job] = ended.jobs("running_marked_failed")
    assert job.canceled_at is not None


def test_a_cleared_running_task_takes_its_job_up_again(ended):
    ended.clear("running_cleared")
    ended.logged("running_cleared", "Resuming job")
    [job] = ended.jobs("running_cleared")
    assert job.canceled_at is None


def test_a_worker_that_is_shut_down_cancels_nothing(ended):
    """A rolling deploy: the supervisor of the task is asked to end, and passes it on."""
    _, supervisor = ended.worker("running_terminated")
    os.kill(supervisor.pid, signal.SIGTERM)
    ended.logged("running_terminated", "is left running: the task's state is running")
    [job] = ended.jobs("running_terminated")
    assert job.canceled_at is None


def test_a_trigger_that_moves_cancels_nothing_though_airflow_ends_it(ended, world):
    """
    Airflow calls ``on_kill`` of a trigger that merely goes to another triggerer.

    Where the log line is missing, Airflow has mended it: then the question before the cancel may go.
    """
    [[now]] = world.database.rows(
        "select t.triggerer_id from trigger t join task_instance i on i.trigger_id = t.id where i.dag_id = %s",
        "deferred_moved",
    )
    [[other]] = world.until(
        lambda: world.database.rows(
            "select id from job where job_type = 'TriggererJob' and state = 'running' and id != %s"
            " and latest_heartbeat > now() - interval '15 seconds' order by id desc limit 1",
            now,
        )
    )
    world.database.rows(
        "update trigger set triggerer_id = %s where id ="
        " (select trigger_id from task_instance where dag_id = %s)",
        other,
        "deferred_moved",
    )
    ended.logged("deferred_moved", "is left running: the task's state is deferred")
    [job] = ended.jobs("deferred_moved")
    asked = ended.sandbox.requests["piapi"]["fetch"]
    world.until(lambda: ended.sandbox.requests["piapi"]["fetch"] > asked)
    assert job.canceled_at is None
    assert ended.state("deferred_moved") == "deferred"


@pytest.mark.parametrize(("name", "sign"), [("triggerer", signal.SIGTERM), ("triggerer-2", signal.SIGKILL)])
def test_a_triggerer_that_ends_cancels_nothing(ended, world, name, sign):
    """Shut down for a deploy, or gone: a living one has the trigger soon, and asks on."""
    world.airflow.kill(name, sign)
    [[killed]] = world.database.rows("select now()")
    world.airflow.start("triggerer", name)
    world.until(
        lambda: world.database.rows(
            "select 1 from trigger t join task_instance i on i.trigger_id = t.id"
            " join job j on j.id = t.triggerer_id"
            " where i.dag_id = %s and j.state = 'running' and j.latest_heartbeat > %s",
            "deferred_moved",
            killed,
        )
    )
    asked = ended.sandbox.requests["piapi"]["fetch"]
    world.until(lambda: ended.sandbox.requests["piapi"]["fetch"] > asked)
    [job] = ended.jobs("deferred_moved")
    assert job.canceled_at is None
    assert ended.state("deferred_moved") == "deferred"


def test_a_deferred_task_marked_failed_before_a_triggerer_runs_its_trigger_leaves_its_job(ended, world):
    """Nothing of ours runs between a deferral and its trigger; what the worker logged names the job."""
    for name in ("triggerer", "triggerer-2"):
        world.airflow.kill(name)
    ended.runs[UNWATCHED] = world.airflow.run_dag(UNWATCHED)
    world.until(lambda: ended.state(UNWATCHED) == "deferred")
    [[trigger]] = world.database.rows("select trigger_id from task_instance where dag_id = %s", UNWATCHED)
    ended.tell(UNWATCHED, "failed")
    for name in ("triggerer", "triggerer-2"):
        world.airflow.start("triggerer", name)
    world.until(lambda: not world.database.rows("select 1 from trigger where id = %s", trigger))
    [job] = ended.jobs(UNWATCHED)
    assert job.canceled_at is None
    assert f"accepted face_swap as job {job.job_id}" in ended.log(UNWATCHED)
    assert "the vendor confirmed the cancel" not in ended.log(UNWATCHED)


def test_every_one_was_bought_once(ended):
    bought = (*DEFERRED, *RUNNING, UNWATCHED)
    assert {dag_id: len(ended.jobs(dag_id)) for dag_id in bought} == dict.fromkeys(bought, 1)
