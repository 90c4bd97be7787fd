"""The plugin: what Airflow loads in every process, which is next to nothing, and the app that it makes on demand."""

from __future__ import annotations

import asyncio
import importlib.metadata
import subprocess
import sys

import httpx
import pytest

from airflow_provider_faceswap.gallery import plugin
from airflow_provider_faceswap.gallery.plugin import FaceSwapPlugin, LazyApp
from airflow_provider_faceswap.get_provider_info import get_provider_info

LOADED = """
import sys, time
import airflow.plugins_manager
before = set(sys.modules)
start = time.perf_counter()
import airflow_provider_faceswap.gallery.plugin
print(time.perf_counter() - start, *sorted(set(sys.modules) - before))
"""


@pytest.mark.program
def test_loading_it_loads_nothing_else():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    _, *loaded = done.stdout.split()
    package = "airflow_provider_faceswap"
    assert set(loaded) <= {package, f"{package}.gallery", f"{package}.gallery.plugin"}


def test_airflow_finds_it_by_its_entry_point():
    [entry] = [
        entry
        for entry in importlib.metadata.entry_points(group="airflow.plugins")
        if entry.value.startswith("airflow_provider_faceswap.")
    ]
    assert entry.load() is FaceSwapPlugin
    [told] = get_provider_info()["plugins"]
    assert told["plugin-class"] == entry.value.replace(":", ".")


def test_each_tab_has_a_route_of_its_own_and_an_address_below_any_base_url():
    views = FaceSwapPlugin.external_views
    assert [view["destination"] for view in views] == ["dag", "dag_run", "task_instance"]
    assert len({view["url_route"] for view in views}) == 3
    prefix = FaceSwapPlugin.fastapi_apps[0]["url_prefix"]
    for view in views:
        assert view["href"].startswith(f"{prefix[1:]}/gallery/dags/{{DAG_ID}}/")
        assert "?" not in view["href"], "Airflow 3.1 does not escape ids"


def ask(app):
    async def answer():
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow.test") as client:
            return [await client.get("/faceswap/gallery/x") for _ in range(2)]

    return asyncio.run(answer())


def test_the_app_is_made_once_for_the_first_request(monkeypatch):
    made = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(plugin, "_app", lambda: made.append(1) or app)
    assert [answer.status_code for answer in ask(LazyApp())] == [204, 204]
    assert len(made) == 1


def test_an_error_is_an_answer_and_not_a_closed_connection(monkeypatch, caplog):
    async def broken(scope, receive, send):
        raise RuntimeError("planted")

    monkeypatch.setattr(plugin, "_app", lambda: broken)
    answer = ask(LazyApp())[0]
    assert answer.status_code == 500
    assert answer.text == "The gallery failed. The log of the api-server says why."
    assert "planted" in caplog.text


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(monkeypatch):
    async def broken(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("planted")

    monkeypatch.setattr(plugin, "_app", lambda: broken)
    with pytest.raises(RuntimeError):
        ask(LazyApp())
