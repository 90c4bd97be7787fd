"""How to wake a run from a webhook: the receiver and the Dags, as they stand on the page."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path

import httpx
import pytest

from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "webhook.md"
RECEIVER, DAGS = ROOT / "docs/how-to/webhook_receiver.py", ROOT / "example_dags/collect_on_webhook.py"
TOKEN, SECRET = "token-of-this-test", "secret-of-this-test"
HEADERS = {"x-webhook-secret": SECRET}


def loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setenv("AIRFLOW_URL", "http://127.0.0.1:1")
    for name in ("AIRFLOW_USERNAME", "AIRFLOW_PASSWORD"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("WEBHOOK_TOKEN", TOKEN)
    monkeypatch.setenv("PIAPI_WEBHOOK_SECRET", SECRET)
    return loaded(RECEIVER)


@pytest.fixture
def woken(receiver, monkeypatch):
    """The ids of the jobs that Airflow gets."""
    ids = []

    async def wake(job_id):
        ids.append(job_id)

    monkeypatch.setattr(receiver, "wake", wake)
    return ids


@pytest.fixture
def post(receiver):
    """Send the receiver a webhook; returns the status of its response."""

    def send(path, body, headers=None):
        async def sent():
            transport = httpx.ASGITransport(receiver.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                return (await client.post(path, content=content, headers=headers)).status_code

        return asyncio.run(sent())

    return send


def test_the_page_shows_the_code_that_is_tested_here():
    text = PAGE.read_text()
    for path in (RECEIVER, DAGS):
        (link,) = [part for part in text.split() if part.endswith(path.name) and not part.startswith("[")]
        assert (PAGE.parent / link).resolve() == path


@pytest.mark.parametrize(
    ("vendor", "body"),
    [
        ("piapi", {"timestamp": 1, "data": {"task_id": "job-1", "status": "completed"}}),
        ("piapi", {"code": 200, "data": {"task_id": "job-1", "status": "failed"}}),
        ("tengrai", {"id": "job-1", "status": "succeeded", "results": []}),
        ("gptunnel", {"id": "job-1", "status": "done", "result": "https://example.com/1.png"}),
        ("gptunnel", {"id": "job-1", "status": "a word of next month"}),
        ("gptunnel", {"id": "job-1"}),
    ],
)
def test_a_webhook_wakes_airflow_with_the_id_of_its_job(post, woken, vendor, body):
    assert post(f"/{vendor}/{TOKEN}", body, HEADERS) == 204
    assert woken == ["job-1"]


@pytest.mark.parametrize(
    "body",
    [
        {"id": "job-1", "status": "running"},
        {"data": {"task_id": "job-1", "status": "Pending"}},
        {"type": "quota", "time": 1, "message": "low", "detail": {}},
        {"data": None},
        {"id": 7},
        [],
        b"",
        b"not JSON",
        b"[" * 10_000,
    ],
)
def test_what_is_not_about_the_end_of_a_job_is_accepted_and_left_alone(post, woken, body):
    assert post(f"/gptunnel/{TOKEN}", body) == 204
    assert woken == []


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/gptunnel/wrong", {}, 404),
        ("/gptunnel/t%C3%B6ken", {}, 404),
        (f"/piapi/{TOKEN}", {}, 401),
        (f"/piapi/{TOKEN}", {"x-webhook-secret": "wrong"}, 401),
        (f"/piapi/{TOKEN}", {"x-webhook-secret": b"\xe9"}, 401),
    ],
)
def test_a_stranger_wakes_nobody(post, woken, path, headers, status):
    assert post(path, {"id": "job-1", "status": "done"}, headers) == status
    assert woken == []


def test_a_body_that_is_too_large_is_not_read(post, woken, receiver):
    assert post(f"/gptunnel/{TOKEN}", b" " * (receiver.MOST_BYTES + 1)) == 413
    assert woken == []


def test_while_airflow_is_away_the_vendor_is_asked_to_send_again(post):
    assert post(f"/gptunnel/{TOKEN}", {"id": "job-1", "status": "done"}) == 503


@pytest.mark.program
@pytest.mark.usefixtures("database")
@pytest.mark.filterwarnings("default")
def test_what_no_webhook_has_announced_is_collected_every_hour(sandbox, unkind, ledger, tmp_path):
    unkind("refuse")  # the task that submits has no retries
    dags = loaded(DAGS)
    open_jobs, kept = tmp_path / "open-jobs", tmp_path / "finished"
    where, face = {"open_jobs": f"file://{open_jobs}"}, f"{sandbox.url}/samples/boris.jpg"
    given = {"target_image": f"{sandbox.url}/samples/anna.jpg", "face_image": face}
    assert dags.dag.test(run_conf=where | given).state == "success"
    # Submitted by another program; it will fail.
    with GPTunnelHook() as hook:
        failing = hook.submit(
            "face_swap", target_image=f"{sandbox.url}/samples/landscape.jpg", face_image=face
        )
    record = {"conn_id": hook.conn_id, "kind": "face_swap", "job_id": failing.job_id}
    (open_jobs / f"{failing.job_id}.json").write_text(json.dumps(record))
    dags.every_hour.test(run_conf=where | {"destination": f"file://{kept}"})
    [manifest] = kept.glob("*.json")
    assert json.loads(manifest.read_text())["job"]["vendor"] == "piapi"
    assert [path.stem for path in open_jobs.iterdir()] == [failing.job_id], "the other record is deleted"
    assert ledger()["creates"] == 2
