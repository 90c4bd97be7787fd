from __future__ import annotations

import builtins
import signal
import subprocess
import sys
import threading

import httpx
import pytest

from airflow_provider_faceswap import sandbox
from airflow_provider_faceswap.sandbox import SandboxServer, Settings, create_app
from airflow_provider_faceswap.sandbox.__main__ import main


def test_the_server_leaves_no_threads_and_lets_hanging_answers_go():
    before = set(threading.enumerate())
    with SandboxServer(job_seconds=0) as server:
        assert server.url.startswith("http://127.0.0.1:")
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/sandbox/health").json() == {"status": "ok"}
            client.post("/sandbox/faults", json={"fault": {"type": "hang", "seconds": 600}})
            trouble = []

            def ask():
                try:
                    client.get("/v1/balance", headers={"Authorization": "sandbox-key"}, timeout=60)
                except httpx.HTTPError as error:
                    trouble.append(error)

            asking = threading.Thread(target=ask)
            asking.start()
            while not client.get("/sandbox/faults").json()["faults"][0]["hits"]:
                pass
            server.__exit__(None, None, None)
            asking.join(10)
    assert isinstance(trouble[0], httpx.RemoteProtocolError | httpx.ReadError)
    assert set(threading.enumerate()) <= before
    with pytest.raises(RuntimeError):
        _ = server.sandbox


@pytest.mark.program
def test_the_command_says_when_it_is_ready_and_stops_on_a_signal():
    command = [sys.executable, "-W", "error", "-m", "airflow_provider_faceswap.sandbox", "--port", "0"]
    with subprocess.Popen(
        [*command, "--key", "k", "--job-seconds", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        line = process.stdout.readline()
        assert line.startswith("sandbox ready at http://127.0.0.1:")
        assert line.endswith(" (key: k)\n")
        url = line.split()[3]
        assert httpx.get(f"{url}/v1/balance", headers={"Authorization": "k"}).status_code == 200
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_missing_packages_are_named(monkeypatch, capsys):
    true_import = builtins.__import__

    def without_starlette(name, *args, **kwargs):
        if name == "airflow_provider_faceswap.sandbox.server.server":
            raise ImportError("No module named 'starlette'")
        return true_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_starlette)
    assert main(["--port", "0"]) == 2
    shown = capsys.readouterr().err
    assert "pip install 'airflow-provider-faceswap[sandbox]'" in shown
    assert shown.count("\n") == 1


def test_a_taken_port_and_wrong_settings_are_reported(capsys):
    with SandboxServer() as server:
        assert main(["--port", server.url.rsplit(":", 1)[1]]) == 2
    assert main(["--port", "0", "--job-seconds", "-1"]) == 2
    assert "cannot start" in capsys.readouterr().err
    with pytest.raises(ValueError, match="unit"):
        Settings(balance={"EUR": 1})
    with pytest.raises(AttributeError):
        _ = sandbox.nothing


async def _in_process(app, method, path, **more):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as client:
        return await client.request(method, path, **more)


def test_the_app_also_serves_in_process():
    import asyncio

    app = create_app(Settings(job_seconds=0))
    header = {"Authorization": "sandbox-key"}
    body = {
        "sourceImage": "http://sandbox.test/samples/a.jpg",
        "faceImage": "http://sandbox.test/samples/b.jpg",
    }
    task = asyncio.run(_in_process(app, "POST", "/v1/faceswap/create", headers=header, json=body)).json()[
        "id"
    ]
    app.state.sandbox.settle()
    query = {"taskId": task}
    done = asyncio.run(_in_process(app, "GET", "/v1/faceswap/result", headers=header, params=query)).json()
    assert done["result"].startswith("http://sandbox.test/files/")
    again = asyncio.run(
        _in_process(
            app, "POST", "/v1/faceswap/create", headers=header, json=body | {"sourceImage": done["result"]}
        )
    ).json()["id"]
    app.state.sandbox.settle()
    query = {"taskId": again}
    chained = asyncio.run(_in_process(app, "GET", "/v1/faceswap/result", headers=header, params=query)).json()
    assert chained["status"] == "done"
    asyncio.run(
        _in_process(app, "POST", "/sandbox/faults", json={"fault": {"type": "drop", "when": "before"}})
    )
    with pytest.raises(ConnectionResetError):
        asyncio.run(_in_process(app, "GET", "/v1/balance", headers=header))
    app.state.sandbox.close()


def test_ledger_settings_and_reset(desk):
    assert desk.client.get("/no/such/path").text == "404 page not found"
    task = desk.swap_gptunnel().json()["id"]
    desk.wait()
    ledger = desk.ledger()
    assert ledger["creates"] == 1
    assert ledger["total"]["RUB"] == 15
    assert ledger["entries"][0] | {"at": 0} == {
        "vendor": "gptunnel",
        "kind": "face_swap",
        "job_id": task,
        "amount": 15.0,
        "unit": "RUB",
        "at": 0,
        "refunded": False,
    }
    assert ledger["requests"]["gptunnel"]["create"] == 1
    job = ledger["jobs"][0]
    assert (job["state"], job["finished_at"] - job["created_at"]) == ("done", 10.0)
    changed = desk.client.post("/sandbox/settings", json={"job_seconds": 2, "balance": 50}).json()
    assert changed == {"job_seconds": 2.0, "balance": {"RUB": 50.0, "point": 50.0, "credit": 50.0}}
    for wrong in ([], {"speed": 1}, {"job_seconds": "1"}, {"job_seconds": -1}, {"balance": {"EUR": 1}}):
        assert desk.client.post("/sandbox/settings", json=wrong).status_code == 422
    desk.client.post("/sandbox/reset")
    ledger = desk.ledger()
    assert (ledger["creates"], ledger["jobs"], ledger["balance"]["RUB"]) == (0, [], 100000.0)
