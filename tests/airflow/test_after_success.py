"""K2, F4: whatever a task wants after its success, it gets the same whether it was deferred or not, in a real Airflow."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from airflow_provider_faceswap.triggers._airflow_internals import stores_map_index_early
from tests.conftest import needs

pytestmark = pytest.mark.airflow

DEFERRED, WAITED = "after_success_deferred", "after_success_waited"
#: What ends in the triggerer: nothing is wanted that only a worker can do.
IN_TRIGGERER = {"plain": [-1], "one_xcom": [-1], "mapped_over": [-1], "mapped": [0, 1], "failover": [-1]}
ON_WORKER = {
    "no_xcom": [-1],
    "post_execute": [-1],
    "on_success": [-1],
    "outlets": [-1],
    "subclass_post_execute": [-1],
    "subclass_result": [-1],
    "subclass_link": [-1],
    "named": [0],
}
if not stores_map_index_early():
    # It has a map_index_template.
    ON_WORKER["mapped"] = IN_TRIGGERER.pop("mapped")
#: What differs between two jobs.
OF_A_JOB = re.compile(
    r"[0-9a-f]{16,64}|[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)"
    r"|\"seconds\": [\d.]+|[?&]sig=[\w-]+|after_success_\w+|/deferred/|/waited/"
)


@pytest.fixture(scope="module")
def airflow(stack):
    stack.part("airflow")
    return stack.airflow


@pytest.fixture(scope="module")
def runs(airflow):
    """Both Dags once, side by side."""
    started = {dag_id: airflow.run_dag(dag_id) for dag_id in (DEFERRED, WAITED)}
    for dag_id, run_id in started.items():
        state = airflow.wait_for(dag_id, run_id, timeout=600)
        assert state == "success", airflow.summary(dag_id, run_id)
    return started


def stored(airflow, dag_id, run_id):
    """Every XCom of a run, without what differs between two jobs: task, index and key to value."""
    found, where = {}, f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
    for one in airflow.tasks(dag_id, run_id):
        of_a_task = f"{where}/{one['task_id']}/xcomEntries"
        params = {"map_index": one["map_index"], "limit": 100}
        for entry in airflow.api("GET", of_a_task, params=params)["xcom_entries"]:
            place = one["task_id"], one["map_index"], entry["key"]
            params = {"map_index": one["map_index"], "deserialize": "false"}
            value = airflow.api("GET", f"{of_a_task}/{entry['key']}", params=params)["value"]
            value = "*" if entry["key"] == "seconds" else value
            found[place] = OF_A_JOB.sub("*", json.dumps(value, sort_keys=True))
    return found


@pytest.fixture(scope="module")
def xcoms(airflow, runs):
    return {dag_id: stored(airflow, dag_id, run_id) for dag_id, run_id in runs.items()}


def test_every_task_ends_alike_and_is_mapped_alike(airflow, runs):
    def ended(dag_id):
        return sorted(
            (one["task_id"], one["map_index"], one["state"], one["rendered_map_index"])
            for one in airflow.tasks(dag_id, runs[dag_id])
        )

    keys = len(airflow.xcom(DEFERRED, runs[DEFERRED], "mapped_over"))
    for task_id, tasks in (("each", keys), ("each_mapped", 2)):
        found = [one[:3] for one in ended(DEFERRED) if one[0] == task_id]
        assert found == [(task_id, index, "success") for index in range(tasks)]
    assert ("mapped", 1, "success", "emil.png") in ended(DEFERRED)
    assert ("named", 0, "success", "face_swap") in ended(DEFERRED)
    assert ended(DEFERRED) == ended(WAITED)


def test_every_task_stores_the_same(xcoms):
    deferred, waited = xcoms[DEFERRED], xcoms[WAITED]
    assert set(deferred) == set(waited)
    different = [(value, waited[place]) for place, value in deferred.items() if value != waited[place]]
    assert not different, different
    keys = {key for task_id, _, key in xcoms[DEFERRED] if task_id == "plain"}
    assert {"return_value", "url", "urls", "job_id", "cost", "_link_ResultLink"} <= keys


def test_every_callback_is_called(xcoms):
    noticed = {task_id for task_id, _, key in xcoms[DEFERRED] if key == "noticed"}
    assert noticed == {"post_execute", "on_success", "subclass_post_execute"}
    assert ("subclass_link", -1, "_link_HouseLink") in xcoms[DEFERRED]
    assert ("subclass_result", -1, "house") in xcoms[DEFERRED]


def test_a_key_of_a_result_reaches_the_next_task(airflow, runs):
    for dag_id, run_id in runs.items():

        def returned(task_id, map_index=-1, dag_id=dag_id, run_id=run_id):
            return airflow.xcom(dag_id, run_id, task_id, map_index)

        plain = returned("plain")
        assert returned("show") == {
            **{key: plain[key] for key in ("url", "job_id", "urls", "cost")},
            "text": "face_swap by gptunnel",
            "mapped": [returned("mapped", index)["url"] for index in range(2)],
            "failover": returned("failover")["url"],
            "sensor": returned("sensor")["url"],
            "uri": returned("archive")["uri"],
            "uris": [file["manifest_uri"] for file in returned("archive_all")],
            "manifest": returned("batch")["manifest_uri"],
        }


@needs("results of Dags", at="airflow.sdk", has="DAG.add_result")
def test_the_dag_has_its_results(airflow, runs):
    for dag_id, run_id in runs.items():
        where = f"{airflow.url}/api/v2/dags/{dag_id}/dagRuns/{run_id}/wait"
        headers = {"Authorization": airflow._api.headers["Authorization"]}
        answer = httpx.get(where, params={"interval": 1}, headers=headers, timeout=30).raise_for_status()
        results = json.loads(answer.text.splitlines()[-1])["results"]
        assert results == {
            "plain": airflow.xcom(dag_id, run_id, "plain"),
            "mapped": [airflow.xcom(dag_id, run_id, "mapped", index) for index in range(2)],
        }


def test_an_outlet_has_its_event(airflow, runs):
    events = airflow.api("GET", "/assets/events", params={"limit": 100})["asset_events"]
    for name, dag_id in (("after-success-deferred", DEFERRED), ("after-success-waited", WAITED)):
        assert [one["source_run_id"] for one in events if one["name"] == name] == [runs[dag_id]]


def ended_in_triggerer(airflow, runs, tasks):
    return {
        (task_id, index): airflow.ended_in_triggerer(DEFERRED, runs[DEFERRED], task_id, index)
        for task_id, indexes in tasks.items()
        for index in indexes
    }


def test_a_task_ends_in_the_triggerer_where_a_trigger_can_do_all_it_wants(airflow, runs):
    assert all(ended_in_triggerer(airflow, runs, IN_TRIGGERER).values())
    assert not any(ended_in_triggerer(airflow, runs, ON_WORKER).values())


def test_every_job_was_bought_once(stack, runs):
    vendor = stack.part("airflow").vendors["after_success"]
    ledger = httpx.get(f"{vendor.url}/sandbox/ledger").json()
    # Tasks of one job each, two of the mapped one, and one item of the batch.
    assert ledger["creates"] == len(runs) * (
        sum(len(indexes) for tasks in (IN_TRIGGERER, ON_WORKER) for indexes in tasks.values()) + 1
    )
