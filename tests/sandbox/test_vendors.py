"""A vendor is its own file: the sandbox finds it, and names none anywhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from airflow_provider_faceswap import sandbox
from airflow_provider_faceswap.sandbox import SandboxServer, Settings, vendors

TOY = '''
"""A vendor that enlarges pictures for coins."""

from starlette.responses import JSONResponse

from airflow_provider_faceswap.sandbox.drawing.pictures import decode, encode, resized
from airflow_provider_faceswap.sandbox.server.exchange import Endpoint
from airflow_provider_faceswap.sandbox.server.registry import Vendor


def error(status):
    return JSONResponse({"toy": status}, status_code=status)


async def create(call):
    call.pay(2.0)
    inputs, link = call.inputs, call.argument("picture")
    draw = lambda: [encode(resized(decode(inputs.read(link)), 64, 80), "png")]
    return JSONResponse({"number": call.accept("7", "enlargement", 2.0, draw, call.fields()).job.job_id})


async def fetch(call):
    return JSONResponse({"links": call.view(call.job).urls} if call.job else {})


VENDOR = Vendor(
    name="toy",
    unit="coin",
    funds=3.0,
    endpoints=[
        Endpoint("/toy", "POST", "create", create, kind="enlargement"),
        Endpoint("/toy/{number}", "GET", "fetch", fetch, job="number"),
    ],
    error=error,
    unknown_job=lambda: error(404),
    key_header="x-toy",
)
'''
KEY = {"x-toy": "sandbox-key"}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(TOY, encoding="utf-8")
    monkeypatch.setattr(vendors, "__path__", [*vendors.__path__, str(tmp_path)])
    with SandboxServer(job_seconds=0) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        yield server, client
    monkeypatch.delattr(vendors, "toy")
    monkeypatch.delitem(sys.modules, f"{vendors.__name__}.toy")


def test_a_new_file_is_a_vendor_with_jobs_money_files_and_faults(toy):
    server, client = toy
    body = {"picture": f"{server.url}/samples/anna.jpg"}
    assert client.post("/toy", json=body).json() == {"toy": 401}
    assert client.post("/toy", json=body, headers=KEY).json() == {"number": "7"}
    assert client.post("/toy", json=body, headers=KEY).json() == {"toy": 402}
    server.sandbox.settle()
    link = client.get("/toy/7", headers=KEY).json()["links"][0]
    assert client.get(link).headers["content-type"] == "image/png"
    assert client.get(link, headers=KEY).status_code == 400, "its key is a credential too"
    ledger = client.get("/sandbox/ledger").json()
    assert (ledger["total"]["coin"], ledger["balance"]["coin"]) == (2, 1)
    assert ledger["requests"]["toy"]["create"] == 3
    order = {"vendor": "toy", "kind": "enlargement", "fault": {"type": "not_found"}}
    assert client.post("/sandbox/faults", json=order).status_code == 201
    assert client.get("/toy/7", headers=KEY).json() == {"toy": 404}
    Settings(balance={"coin": 1})


@pytest.mark.parametrize("vendor", ["gptunnel", "tengrai", "piapi"])
def test_no_code_outside_a_vendors_own_files_names_it(vendor):
    root = Path(sandbox.__file__).parent
    naming = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if vendor in path.read_text(encoding="utf-8").lower()
    ]
    own = [name for name in naming if name.startswith(f"vendors/{vendor}")]
    assert own
    # Both say what the sandbox is, in prose.
    assert set(naming) - set(own) <= {"__init__.py", "__main__.py"}


def test_an_unknown_unit_of_account_is_refused():
    with pytest.raises(ValueError, match="no such unit of account: coin"):
        Settings(balance={"coin": 1})
