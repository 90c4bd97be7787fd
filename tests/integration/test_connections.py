"""Connections as networks really have them: a proxy of the environment, a proxy in the host, a secrets backend."""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from tests.conftest import KEY

HOOKS = {"gptunnel": GPTunnelHook, "tengrai": TengraiHook, "piapi": PiAPIHook}


@pytest.fixture
def proxy(sandbox):
    """A proxy in front of the sandbox, below ``/vendors`` or as a forward proxy; its port, and what it was asked for."""
    asked = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            parts = urlsplit(self.path)
            path = parts.path.removeprefix("/vendors") + (f"?{parts.query}" if parts.query else "")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            with httpx.Client(trust_env=False) as client:
                got = client.request(self.command, sandbox.url + path, content=body, headers=headers)
            self.send_response(got.status_code)
            self.send_header("Content-Type", got.headers["Content-Type"])
            self.send_header("Content-Length", str(len(got.content)))
            self.end_headers()
            self.wfile.write(got.content)

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, asked
        server.shutdown()


@pytest.mark.sandbox
@pytest.mark.parametrize("vendor", HOOKS)
def test_a_job_goes_through_the_proxy_of_the_environment(
    monkeypatch, proxy, connections, ledger, two, vendor
):
    port, asked = proxy
    connections("http://vendor.invalid")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    hook = HOOKS[vendor]()
    assert hook.wait(hook.submit("face_swap", **two)).urls
    assert {urlsplit(url).hostname for url in asked} == {"vendor.invalid"}
    monkeypatch.delenv("HTTP_PROXY")
    assert ledger()["creates"] == 1


@pytest.mark.sandbox
@pytest.mark.parametrize("vendor", HOOKS)
def test_a_job_goes_through_a_proxy_at_a_path_of_its_own(proxy, connections, ledger, two, vendor):
    port, asked = proxy
    connections(f"http://127.0.0.1:{port}/vendors/")
    hook = HOOKS[vendor]()
    assert hook.test_connection()[0]
    assert hook.wait(hook.submit("face_swap", **two)).urls
    assert all(path.startswith("/vendors/") for path in asked)
    assert ledger()["creates"] == 1


@pytest.mark.program
@pytest.mark.parametrize("form", ["json", "uri"])
def test_a_connection_of_a_secrets_backend_has_all_its_fields(monkeypatch, sandbox, tmp_path, form):
    host = sandbox.url.replace("://", "%3A%2F%2F").replace(":", "%3A")
    written = {
        "json": {
            "conn_type": "piapi",
            "host": sandbox.url,
            "password": KEY,
            "extra": {"service_mode": "public"},
        },
        "uri": f"piapi://:{KEY}@{host}/?service_mode=public",
    }[form]
    (tmp_path / "connections.json").write_text(json.dumps({"kept_elsewhere": written}))
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "airflow.secrets.local_filesystem.LocalFilesystemBackend")
    kwargs = {"connections_file_path": str(tmp_path / "connections.json")}
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps(kwargs))
    program = (
        "from airflow_provider_faceswap.hooks.piapi import PiAPIHook\n"
        "hook = PiAPIHook('kept_elsewhere')\n"
        "print(hook.test_connection()[0], hook.endpoint().options['service_mode'])"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "True public"
