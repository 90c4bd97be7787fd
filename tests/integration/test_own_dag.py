"""The page on the sandbox shows how to test a Dag of one's own: this is that test, as it stands there."""

from __future__ import annotations

# [START own_dag]
import json

import httpx
import pytest

from airflow_provider_faceswap.sandbox import SandboxServer
from example_dags.first_swap import dag  # your own


@pytest.fixture
def sandbox(monkeypatch):
    with SandboxServer() as server:
        connection = {"conn_type": "piapi", "host": server.url, "password": server.key}
        monkeypatch.setenv("AIRFLOW_CONN_PIAPI_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
        yield server.url


def test_a_lost_answer_costs_no_second_job(sandbox, tmp_path):
    # The next swap is accepted and charged, and the vendor's answer never arrives.
    fault = {"vendor": "piapi", "operation": "create", "fault": {"type": "drop", "when": "after"}}
    httpx.post(f"{sandbox}/sandbox/faults", json=fault).raise_for_status()
    run = dag.test(
        run_conf={
            "target_image": f"{sandbox}/samples/anna.jpg",
            "face_image": f"{sandbox}/samples/boris.jpg",
            "destination": f"file://{tmp_path}",
        }
    )
    assert run.state == "success"
    [manifest] = tmp_path.glob("*.json")
    assert json.loads(manifest.read_text())["job"]["vendor"] == "piapi"
    assert httpx.get(f"{sandbox}/sandbox/ledger").json()["creates"] == 1


# [END own_dag]

pytestmark = [pytest.mark.program, pytest.mark.usefixtures("database"), pytest.mark.filterwarnings("default")]
