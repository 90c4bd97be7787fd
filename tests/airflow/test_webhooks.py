"""A webhook of the sandbox wakes a run of a whole Airflow, through the receiver of the how-to page."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from airflow_stack import free_port

from tests.airflow.part import WEBHOOK_SECRET, WEBHOOK_TOKEN

pytestmark = pytest.mark.airflow

RECEIVER = Path(__file__).resolve().parents[2] / "docs" / "how-to"
#: Seconds in which an event becomes a run and its result is archived; a busy machine needs them.
PATIENCE = 120


def until(found, what):
    """Wait for a condition of another process; returns what it found."""
    deadline = time.monotonic() + PATIENCE
    while not (there := found()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return there


def answers(url):
    try:
        return httpx.get(url).status_code == httpx.codes.NOT_FOUND
    except httpx.TransportError:
        return False


@pytest.fixture
def receiver(stack):
    """The receiver of the page, started as on the page; returns its root URL."""
    port = free_port()
    env = {
        name: value
        for name, value in stack.airflow.env.items()
        if not name.startswith(("AIRFLOW", "SANDBOX"))
    }
    env |= {
        "AIRFLOW_URL": stack.airflow.url,
        "AIRFLOW_USERNAME": "admin",
        "AIRFLOW_PASSWORD": "admin",
        "WEBHOOK_TOKEN": WEBHOOK_TOKEN,
        "PIAPI_WEBHOOK_SECRET": WEBHOOK_SECRET,
    }
    command = (
        sys.executable,
        "-m",
        "uvicorn",
        "webhook_receiver:app",
        "--no-access-log",
        "--port",
        str(port),
    )
    with subprocess.Popen(command, cwd=RECEIVER, env=env | {"PYTHONDONTWRITEBYTECODE": "1"}) as process:
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/"), "the receiver does not answer")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_a_webhook_starts_the_run_that_archives_the_result(stack, receiver):
    part, airflow = stack.part("airflow"), stack.airflow
    vendor = part.vendors["webhooks"].url
    httpx.post(f"{vendor}/sandbox/settings", json={"webhooks_to": receiver}).raise_for_status()
    airflow._insist(404, "PATCH", "/dags/collect_finished_jobs", json={"is_paused": False})
    given = {
        "conn_id": "webhooks",
        "target_image": f"{vendor}/samples/anna.jpg",
        "face_image": f"{vendor}/samples/boris.jpg",
    }
    submitted = airflow.run_dag("submit_and_leave", given)
    assert airflow.wait_for("submit_and_leave", submitted) == "success"
    job_id = airflow.xcom("submit_and_leave", submitted, "submit")

    def delivered():
        [webhook] = httpx.get(f"{vendor}/sandbox/ledger").json()["webhooks"]
        assert webhook["state"] != "failed", webhook
        return webhook["state"] == "delivered" and webhook

    assert until(delivered, "the webhook is not delivered")["job_id"] == job_id
    [run] = until(
        lambda: airflow.api("GET", "/dags/collect_finished_jobs/dagRuns")["dag_runs"], "no run was woken"
    )
    assert run["run_type"] == "asset_triggered"
    state = airflow.wait_for("collect_finished_jobs", run["dag_run_id"])
    assert state == "success", airflow.story("collect_finished_jobs", run["dag_run_id"])
    kept = part.home / "webhooks" / "finished"
    [manifest] = kept.glob("*.json")
    assert json.loads(manifest.read_text())["job"]["job_id"] == job_id
    assert list((part.home / "webhooks" / "open-jobs").iterdir()) == []
    assert httpx.get(f"{vendor}/sandbox/ledger").json()["creates"] == 1
