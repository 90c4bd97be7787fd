"""A metric reaches a StatsD server and an OpenTelemetry collector, on every supported version: ``tests/test_metrics.py`` says which and when."""

from __future__ import annotations

import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

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
#: Airflow 3.1 does not send what is left when a process ends.
FLUSHED = """
from opentelemetry import metrics
metrics.get_meter_provider().force_flush()
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


def test_a_metric_arrives_at_an_opentelemetry_collector(monkeypatch):
    service = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    bodies = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        for name, value in {"ON": "True", "HOST": "127.0.0.1", "PORT": str(server.server_port)}.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__OTEL_{name}", value)
        # Newer versions of Airflow leave the address to OpenTelemetry's own variables.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        subprocess.run([sys.executable, "-c", REFUSED + FLUSHED], check=True)
        server.shutdown()
    points = {
        metric.name: (
            point.as_int or point.as_double,
            {tag.key: tag.value.string_value for tag in point.attributes},
        )
        for body in bodies
        for resource in service.ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.sum.data_points
    }
    tags = {"vendor": "piapi", "kind": "face_swap", "error": "RateLimitError"}
    assert points["airflow.faceswap.errors"] == (1, tags)
