"""The control endpoints change nothing for a page of another site, and keys are checked before bodies are read."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from airflow_provider_faceswap.sandbox import Settings, create_app
from airflow_provider_faceswap.sandbox.server.bodies import MOST_BODY

WRITES = [
    ("POST", "/sandbox/settings", '{"job_seconds": 99}'),
    ("POST", "/sandbox/reset", ""),
    ("POST", "/sandbox/faults", '{"fault": {"type": "malformed"}, "times": null}'),
    ("DELETE", "/sandbox/faults", ""),
]
#: What a browser sends of its own accord when a page of another site makes the request.
CROSS_SITE = [
    {"Origin": "https://evil.test"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Content-Type": "text/plain;charset=UTF-8"},
    {"Content-Type": "multipart/form-data; boundary=x"},
]


@pytest.mark.parametrize("headers", CROSS_SITE)
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_page_of_another_site_changes_nothing(desk, method, path, body, headers):
    desk.order({"type": "truncate"}, kind="never")
    answer = desk.client.request(method, path, content=body, headers=headers)
    assert answer.status_code == 403
    assert "cross-site" in answer.json()["error"]
    assert len(desk.client.get("/sandbox/faults").json()["faults"]) == 1
    assert desk.client.post("/sandbox/settings", json={}).json()["job_seconds"] == 10


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/json"},
        # What ``curl -d`` and ``urllib`` send.
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_plain_clients_change_the_settings(desk, headers):
    answer = desk.client.post("/sandbox/settings", content='{"job_seconds": 3}', headers=headers)
    assert (answer.status_code, answer.json()["job_seconds"]) == (200, 3)


def test_the_sandboxs_own_address_is_no_other_site_and_a_name_that_points_at_it_is(desk):
    own = {"Origin": desk.url, "Sec-Fetch-Site": "same-origin"}
    assert desk.client.post("/sandbox/reset", headers=own).status_code == 200
    rebound = {"Origin": "http://evil.test:80", "Host": "evil.test:80", "Sec-Fetch-Site": "same-origin"}
    assert desk.client.post("/sandbox/reset", headers=rebound).status_code == 403
    local = {"Origin": "http://localhost:80", "Host": "localhost:80"}
    assert desk.client.post("/sandbox/reset", headers=local).status_code == 200


def test_reads_of_the_control_endpoints_stay_open(desk):
    headers = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    assert desk.client.get("/sandbox/ledger", headers=headers).status_code == 200


def _answered(headers, path="/api/v1/task", announced="419430400"):
    """The status of an answer to a request of which only the head arrives, and how often the body was asked for."""
    app, asked, sent = create_app(Settings(job_seconds=0)), [], []

    async def receive():
        asked.append(1)
        return {"type": "http.request", "body": b"x" * 1024 * 1024, "more_body": True}

    async def send(message):
        sent.append(message)

    length = [(b"content-length", announced.encode())] if announced else []
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"sandbox.test"), *length, *headers],
        "scheme": "http",
        "server": ("sandbox.test", 80),
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(app(scope, receive, send))
    app.state.sandbox.close()
    return sent[0]["status"], len(asked)


@pytest.mark.parametrize(
    "path", ["/api/v1/task", "/api/ephemeral_resource", "/v1/faceswap/create", "/v2/artworks/face-swap"]
)
def test_a_wrong_key_is_refused_before_the_body_is_read(path):
    wrong = [(b"x-api-key", b"wrong"), (b"authorization", b"wrong")]
    assert _answered(wrong, path) == (401, 0)


def test_a_body_larger_than_any_vendor_takes_is_not_read_to_its_end():
    key = [(b"x-api-key", b"sandbox-key")]
    assert _answered(key) == (413, 0)
    status, asked = _answered(key, announced="")
    assert (status, asked) == (413, MOST_BODY // 1024 // 1024 + 1)


def test_a_large_body_with_a_wrong_key_gets_its_401_over_a_socket(desk):
    body = json.dumps({"padding": "x" * 8 * 1024 * 1024})
    answer = httpx.post(f"{desk.url}/api/v1/task", content=body, headers={"x-api-key": "wrong"})
    assert answer.status_code == 401
    assert desk.swap_piapi().status_code == 200
