"""K9: a clear by REST in a running Airflow buys nothing unasked, whether it deletes the task state store or not."""

from __future__ import annotations

import pytest

from airflow_provider_faceswap.triggers._airflow_internals import clear_deletes_records
from tests.conftest import NEEDS_STATE_STORE

pytestmark = [pytest.mark.airflow, NEEDS_STATE_STORE]

VENDORS = ("gptunnel", "tengrai", "piapi")
#: GPTunneL has no job list to search.
NOT_FOUND = "gptunnel"
DAGS = [f"cleared_{vendor}_{one}_ledger_uri" for vendor in VENDORS for one in ("with", "without")]


@pytest.fixture(scope="module")
def ends(stack):
    """Each Dag succeeds, is cleared, and ends again; the state of its second end."""
    airflow = stack.airflow
    stack.part("cleared")
    airflow.api("PATCH", "/dags", params={"dag_id_pattern": "cleared_%"}, json={"is_paused": False})
    runs = {dag_id: airflow.run_dag(dag_id) for dag_id in DAGS}
    for dag_id, run_id in runs.items():
        assert airflow.wait_for(dag_id, run_id, timeout=300) == "success", airflow.story(dag_id, run_id)
    for dag_id, run_id in runs.items():
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "task_ids": ["swap"]}
        airflow.api("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)
    return {
        dag_id: (airflow.wait_for(dag_id, run_id, timeout=300), airflow.story(dag_id, run_id))
        for dag_id, run_id in runs.items()
    }


@pytest.mark.parametrize("dag_id", DAGS)
def test_a_clear_buys_no_second_job(stack, ends, dag_id):
    state, story = ends[dag_id]
    sandbox = stack.part("cleared").vendors["sandbox"].sandbox
    mark = f"?dag={dag_id}"
    assert sum(mark in str(job.request) for job in sandbox.jobs.values()) == 1, story
    stops = clear_deletes_records() and NOT_FOUND in dag_id and "without" in dag_id
    assert state == ("failed" if stops else "success"), story
    if stops:
        assert "Nothing was bought." in story
