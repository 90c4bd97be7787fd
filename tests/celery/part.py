"""What the Celery tests add to the stack: a second executor with its broker, two Dags and their vendors."""

from __future__ import annotations

import json
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from redis_server import program, redis_server

from airflow_provider_faceswap.sandbox import SandboxServer
from tests.stack import NotHereError, Part, dag_files

KEY = "planted-celery-key"
#: Seconds that a job takes at the vendor.
JOB_SECONDS = 5
#: Swaps in mapped tasks, and items of the batch.
MAPPED, BATCH = 100, 40


@contextmanager
def part(home, database):
    """Redis and the vendors run as long as the stack."""
    here = {
        "PostgreSQL": database,
        "Redis": program(),
        "apache-airflow-providers-celery": find_spec("airflow.providers.celery"),
    }
    if lacking := [name for name, found in here.items() if not found]:
        raise NotHereError(f"not installed: {', '.join(lacking)}")
    with (
        SandboxServer(JOB_SECONDS, KEY) as mapped,
        SandboxServer(JOB_SECONDS, KEY) as batch,
        redis_server() as broker,
    ):
        vendors = {"mapped": mapped, "batch": batch}
        env = {
            "CELERY_TEST_HOME": str(home),
            "CELERY_TEST_MAPPED_URL": mapped.url,
            "CELERY_TEST_BATCH_URL": batch.url,
            "CELERY_TEST_MAPPED": str(MAPPED),
            "CELERY_TEST_BATCH": str(BATCH),
            **{
                f"AIRFLOW_CONN_{name.upper()}": json.dumps(
                    {"conn_type": "tengrai", "host": vendor.url, "password": KEY}
                )
                for name, vendor in vendors.items()
            },
            # The first is for all Dags that do not name one.
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor,CeleryExecutor",
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database.url}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "6",
            # A task of a lost worker that had begun: no heartbeat.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            # A task that the lost worker had taken and not begun: queued for too long.
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        }
        yield Part(home, dag_files(Path(__file__).parent / "dags"), env, vendors)
