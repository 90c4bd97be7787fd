"""What the tests of the gallery add to the stack: a Dag with mapped swaps, a batch and failures, and the sandbox."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_faceswap.sandbox import SandboxServer
from tests.stack import Part, dag_files

KEY = "planted-gallery-key-4f1d"


@contextmanager
def part(home, database):
    with SandboxServer(job_seconds=1, key=KEY) as sandbox:
        connection = {"conn_type": "gptunnel", "host": sandbox.url, "password": KEY}
        env = {
            "AIRFLOW_CONN_GALLERY_GPTUNNEL": json.dumps(connection),
            "AIRFLOW__FACESWAP__GALLERY_ROOTS": f"file://{home}/pictures",
            "GALLERY_SANDBOX": sandbox.url,
            "GALLERY_PICTURES": f"file://{home}/pictures",
        }
        dags = dag_files(Path(__file__).parent / "dags")
        yield Part(home, dags, env, {"sandbox": sandbox})
