"""What the tests of cleared tasks add to the stack: their Dags, a sandbox, and a folder for mirrors of records."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_faceswap.sandbox import SandboxServer
from tests.stack import Part, dag_files

KEY = "cleared-key"


@contextmanager
def part(home, database):
    """The sandbox runs as long as the stack."""
    del database
    with SandboxServer(job_seconds=2, key=KEY) as sandbox:
        env = {
            f"AIRFLOW_CONN_CLEARED_{vendor.upper()}": json.dumps(
                {"conn_type": vendor, "host": sandbox.url, "password": KEY}
            )
            for vendor in ("gptunnel", "tengrai", "piapi")
        }
        env["CLEARED_SANDBOX_URL"] = sandbox.url
        env["CLEARED_LEDGER_URI"] = f"file://{home}/ledger"
        yield Part(home, dag_files(Path(__file__).parent / "dags"), env, {"sandbox": sandbox})
