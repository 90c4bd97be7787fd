"""What the end-to-end tests add to the stack: every example Dag, the sandbox with planted secrets, and StatsD."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_faceswap.sandbox import SandboxServer, Settings
from tests.stack import Part, dag_files

ROOT = Path(__file__).resolve().parents[2]

KEY = "planted-api-key-4711"
WRONG_KEY = "planted-wrong-key-4712"
WEBHOOK_SECRET = "planted-webhook-secret-4713"
#: A port that nobody listens on.
NOBODY = "http://127.0.0.1:9"
WEBHOOK_TOKEN = "planted-webhook-token-4714"
#: What replaces the folder of ``collect_on_webhook.py``, and its hourly schedule: a run of the clock could be first.
FOLDER, HOURLY = "file:///tmp/faceswap", '"@hourly"'
#: Where a test starts the runs, the clock must not: a missed run is made up for until a tenth of the interval, here
#: more than two hours, has passed.
DAILY = 'schedule="0 6 * * *"'


@dataclass
class EndToEndPart(Part):
    """
    The part of the end-to-end tests.

    :param statsd: A StatsD server, whose queue holds what it was sent.
    """

    statsd: socket.socket


@contextmanager
def part(home, database):
    """The sandbox and the StatsD server run as long as the stack."""
    dags = {
        name: text.replace(DAILY, "schedule=None")
        for folder in (ROOT / "example_dags", Path(__file__).parent / "dags")
        for name, text in dag_files(folder).items()
    }
    assert "schedule=None" in dags["scheduled_swap_with_asset.py"]
    collecting = dags["collect_on_webhook.py"]
    assert HOURLY in collecting
    dags["collect_on_webhook.py"] = collecting.replace(FOLDER, f"file://{home}/webhooks").replace(
        HOURLY, "None"
    )
    with (
        # Its webhooks reach nobody: their address is public.
        SandboxServer(settings=Settings(job_seconds=3, key=KEY, webhooks_to=NOBODY)) as sandbox,
        SandboxServer(job_seconds=1, key=KEY) as webhooks,
        # A vendor of its own: the jobs of the other one are counted.
        SandboxServer(job_seconds=3, key=KEY) as after_success,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd,
    ):
        statsd.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        statsd.bind(("127.0.0.1", 0))
        statsd.setblocking(False)

        def connection(vendor, key=KEY):
            extra = {"webhook": "https://hooks.example.com/piapi", "webhook_secret": WEBHOOK_SECRET}
            return json.dumps(
                {
                    "conn_type": vendor,
                    "host": sandbox.url,
                    "password": key,
                    "extra": extra if vendor == "piapi" else {},
                }
            )

        env = {
            f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT": connection(vendor)
            for vendor in ("gptunnel", "tengrai", "piapi")
        }
        env["AIRFLOW_CONN_PIAPI_WRONG_KEY"] = connection("piapi", WRONG_KEY)
        extra = {
            "webhook": f"https://hooks.example.com/piapi/{WEBHOOK_TOKEN}",
            "webhook_secret": WEBHOOK_SECRET,
        }
        env["AIRFLOW_CONN_WEBHOOKS"] = json.dumps(
            {"conn_type": "piapi", "host": webhooks.url, "password": KEY, "extra": extra}
        )
        env["SANDBOX_URL"] = sandbox.url
        env["AIRFLOW_CONN_AFTER_SUCCESS"] = json.dumps(
            {"conn_type": "gptunnel", "host": after_success.url, "password": KEY}
        )
        env |= {"AFTER_SUCCESS_URL": after_success.url, "AFTER_SUCCESS_KEPT": f"file://{home}/kept"}
        port = str(statsd.getsockname()[1])
        metrics = {"ON": "True", "HOST": "127.0.0.1", "PORT": port, "INFLUXDB_ENABLED": "True"}
        env |= {f"AIRFLOW__METRICS__STATSD_{name}": value for name, value in metrics.items()}
        env["AIRFLOW__METRICS__METRICS_ALLOW_LIST"] = "faceswap"
        vendors = {"sandbox": sandbox, "after_success": after_success, "webhooks": webhooks}
        yield EndToEndPart(home, dags, env, vendors, statsd)
