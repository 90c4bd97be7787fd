from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import pytest

from airflow_provider_faceswap.archive.manifest import Archived
from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.exceptions import ResultExpiredError
from airflow_provider_faceswap.lifecycle.polling import Poller
from tests.batch.chain_world import World

#: Seconds that nobody waits for.
NEVER = 1e9


@pytest.fixture
def world(monkeypatch, connections, no_waiting_between_tries, clock, tmp_path):
    newest: list[World] = []

    def make(kind=World, **more) -> World:
        newest[:] = [kind(clock, tmp_path / "pictures", **more)]
        return newest[0]

    def sleep(seconds):
        newest[0].step("a sleep")
        clock.time += seconds

    async def asleep(seconds):
        if seconds >= NEVER:
            await asyncio.Event().wait()
        newest[0].step("a sleep")
        clock.time += seconds
        await asyncio.sleep(0)

    def keep(_, source):
        newest[0].step("before a file is archived")
        uri = f"file:///kept/{source.job_id}.png"
        size = {"media_type": "image/png", "bytes": 1, "sha256": "0" * 64, "width": 1, "height": 1}
        return Archived(uri=uri, manifest_uri=f"{uri}.json", **size)

    def check(url):
        newest[0].step("before a link is tried")
        if any(job_id in url for job_id in newest[0].expired):
            raise ResultExpiredError("the link has expired")

    def answer(request: httpx.Request) -> httpx.Response:
        return newest[0](request)

    clock.sleep, clock.asleep = sleep, asleep
    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.api.sync_client", lambda **_: httpx.Client(transport=transport)
    )
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.client.async_client",
        lambda **_: httpx.AsyncClient(transport=transport),
    )
    monkeypatch.setattr("airflow_provider_faceswap.batch.sharded_store.GAP", 0.0)
    monkeypatch.setattr("airflow_provider_faceswap.batch.runner.REPORT_INTERVAL", NEVER)
    monkeypatch.setattr("airflow_provider_faceswap.batch.results._check", check)
    monkeypatch.setattr(Archive, "keep", keep)
    monkeypatch.setattr(Poller, "jitter", SimpleNamespace(uniform=lambda least, most: (least + most) / 2))
    connections("https://vendor.test")
    return make
