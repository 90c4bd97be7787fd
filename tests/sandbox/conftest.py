"""A sandbox whose clock the tests move, so that none of them waits."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import pytest

from airflow_provider_faceswap.sandbox import SandboxServer, Settings

JOB_SECONDS = 10.0
GPTUNNEL = {"Authorization": "sandbox-key"}
TENGRAI = {"Authorization": "Bearer sandbox-key"}
PIAPI = {"x-api-key": "sandbox-key"}


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@dataclass
class Desk:
    """One running sandbox, a client for it, and its clock."""

    server: SandboxServer
    client: httpx.Client
    clock: Clock

    @property
    def url(self):
        return self.server.url

    def sample(self, name):
        return f"{self.url}/samples/{name}"

    def wait(self, seconds=JOB_SECONDS):
        """Let the painting end, then move the clock."""
        self.server.sandbox.settle()
        self.clock.now += seconds

    def order(self, fault, **where):
        answer = self.client.post("/sandbox/faults", json={"fault": fault, **where})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def ledger(self):
        return self.client.get("/sandbox/ledger").json()

    def swap_gptunnel(self, receiver="anna.jpg", donor="boris.png"):
        return self.client.post(
            "/v1/faceswap/create",
            headers=GPTUNNEL,
            json={"sourceImage": self.sample(receiver), "faceImage": self.sample(donor)},
        )

    def swap_tengrai(self, **more):
        body = {"sourceImage": self.sample("boris.png"), "targetImage": self.sample("anna.jpg"), **more}
        return self.client.post("/v2/artworks/face-swap", headers=TENGRAI, json=body)

    def task_piapi(self, task_type="face-swap", model="Qubico/image-toolkit", config=None, **given):
        body = {"model": model, "task_type": task_type, "input": given}
        if config is not None:
            body["config"] = config
        return self.client.post("/api/v1/task", headers=PIAPI, json=body)

    def swap_piapi(self, **more):
        given = {"target_image": self.sample("anna.jpg"), "swap_image": self.sample("boris.png"), **more}
        return self.task_piapi(**given)

    def get(self, path, headers, **query):
        return self.client.get(path, headers=headers, params=query)


@pytest.fixture(scope="module")
def _running():
    clock = Clock()
    with (
        SandboxServer(settings=Settings(job_seconds=JOB_SECONDS, clock=clock)) as server,
        httpx.Client(base_url=server.url, timeout=20) as client,
    ):
        yield Desk(server, client, clock)


@pytest.fixture
def desk(_running):
    _running.client.post("/sandbox/reset")
    return _running
