"""
The scheduler's late-exit race.

A worker's exit may be noticed up to five seconds late; a task that was resumed in the meantime is then taken for
a lost one and failed. Here each process leaves such that this happens; and, in the full size, many jobs of four seconds
leave it to chance, in the middle of that window.
"""

from __future__ import annotations

import pytest

from tests.conftest import NEEDS_STATE_STORE
from tests.sizes import SIZES

pytestmark = [pytest.mark.airflow, NEEDS_STATE_STORE]

#: Name of the vendor, and swaps there in each way.
SWAPS = {"late_exit": SIZES.late_exits, "short": SIZES.short_swaps}


@pytest.mark.parametrize("way", ["in_triggerer", "on_worker"])
@pytest.mark.parametrize("name", [name for name, swaps in SWAPS.items() if swaps])
def test_short_swaps_all_succeed_without_a_retry(world, platform, name, way):
    before = world.creates(name)
    dag_id, swaps = f"{name}_{way}", SWAPS[name]
    run_id = world.airflow.run_dag(dag_id)
    world.airflow.wait_for(dag_id, run_id, timeout=600)
    states = [task["state"] for task in world.airflow.tasks(dag_id, run_id)]
    assert states == ["success"] * swaps, world.airflow.story(dag_id, run_id)
    assert world.creates(name) - before == swaps


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
