"""A metric reaches a StatsD server, on every supported version: ``tests/test_metrics.py`` says which and when."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.program

#: What Airflow does in a worker before a task, where metrics have to be started.
REFUSED = """
from contextlib import suppress
from airflow_provider_faceswap.telemetry import metrics
from airflow_provider_faceswap.exceptions import RateLimitError
with suppress(ImportError):
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
with suppress(RateLimitError), metrics.failures_counted("piapi", "face_swap"):
    raise RateLimitError("slowly")
"""


def test_a_metric_arrives(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)
        port = str(server.getsockname()[1])
        for name, value in {
            "ON": "True",
            "HOST": "127.0.0.1",
            "PORT": port,
            "INFLUXDB_ENABLED": "True",
        }.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{name}", value)
        subprocess.run([sys.executable, "-c", REFUSED], check=True)
        expected = b"airflow.faceswap.errors,vendor=piapi,kind=face_swap,error=RateLimitError:1|c"
        # Airflow may tell something of its own first.
        while b"faceswap" not in (told := server.recv(4096)):
            pass
        assert told == expected
