"""
The scheduler's late-exit race.

A worker's exit may be noticed up to five seconds late; a task that was resumed in the meantime is then taken for
a lost one and failed. Jobs of four seconds sit in the middle of that window.
"""

from __future__ import annotations

import pytest

from tests.conftest import NEEDS_STATE_STORE

pytestmark = [pytest.mark.airflow, NEEDS_STATE_STORE]


@pytest.mark.parametrize("dag_id", ["late_exit_in_triggerer", "late_exit_on_worker"])
def test_forty_five_short_swaps_all_succeed_without_a_retry(world, platform, dag_id):
    before = world.creates("late_exit")
    run_id = world.airflow.run_dag(dag_id)
    world.airflow.wait_for(dag_id, run_id, timeout=600)
    states = [task["state"] for task in world.airflow.tasks(dag_id, run_id)]
    assert states == ["success"] * 45, world.airflow.story(dag_id, run_id)
    assert world.creates("late_exit") - before == 45


def test_airflow_still_has_the_race(world, platform):
    """Where this fails, Airflow has mended it: then the wait before a resume on a worker may go."""
    run_id = world.airflow.run_dag("probe_late_exit")
    assert world.airflow.wait_for("probe_late_exit", run_id) == "failed"
    assert "finished with state success, but the task instance" in world.airflow.log("scheduler")


def test_airflow_still_cuts_on_kill_short(world, platform):
    """Where this fails, Airflow lets ``on_kill`` finish: then the cancel needs no shield."""
    run_id = world.airflow.run_dag("probe_slow_kill")
    world.until((world.home / "kill-armed").exists)
    where = f"/dags/probe_slow_kill/dagRuns/{run_id}/taskInstances/probe"
    world.airflow.api("PATCH", where, json={"new_state": "failed"})
    world.until((world.home / "kill-begun").exists)
    with pytest.raises(TimeoutError):
        world.until((world.home / "kill-done").exists, timeout=8)
