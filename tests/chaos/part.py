"""What the chaos tests add to the stack: a Dag, a connection and a vendor of its own for each scenario."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_faceswap.sandbox import SandboxServer
from tests.chaos.cases import CASES, PLATFORM, scenarios
from tests.sizes import SIZES
from tests.stack import NotHereError, Part, dag_files

HERE = Path(__file__).parent
KEY = "planted-chaos-key"


@contextmanager
def running(servers):
    """Start and stop them side by side: a hundred, one after the other, take half a minute."""
    with ThreadPoolExecutor(16) as pool:
        try:
            list(pool.map(SandboxServer.__enter__, servers.values()))
            yield servers
        finally:
            list(pool.map(lambda server: server.__exit__(None, None, None), servers.values()))


@contextmanager
def part(home, database):
    """The vendors run as long as the stack."""
    if database is None:
        raise NotHereError("not installed: PostgreSQL")
    chosen = scenarios((*CASES, *PLATFORM))
    seconds = {scenario.name: scenario.case.job_seconds for scenario in chosen}
    # PiAPI cancels what still waits in its queue: a fifth of this time.
    seconds |= {"ended": 900, "late_exit": 1, "short": 4}
    with running({name: SandboxServer(of_a_job, KEY) for name, of_a_job in seconds.items()}) as vendors:
        kinds = {scenario.name: scenario.vendor for scenario in chosen}
        second = {f"{scenario.name}__second": scenario for scenario in chosen if scenario.case.failover}
        kinds |= {"ended": "piapi", "late_exit": "gptunnel", "short": "gptunnel"}
        env = {
            f"AIRFLOW_CONN_{name.upper()}": json.dumps(
                {"conn_type": kind, "host": vendors[name].url, "password": KEY}
            )
            for name, kind in kinds.items()
        }
        env |= {
            f"AIRFLOW_CONN_{name.upper()}": json.dumps(
                {
                    "conn_type": "tengrai" if scenario.vendor != "tengrai" else "piapi",
                    "host": vendors[scenario.name].url,
                    "password": KEY,
                }
            )
            for name, scenario in second.items()
        }
        told = [scenario.to_json(vendors[scenario.name].url) for scenario in chosen]
        (home / "scenarios.json").write_text(json.dumps(told))
        env |= {
            "CHAOS_HOME": str(home),
            "CHAOS_ENDED_URL": vendors["ended"].url,
            "CHAOS_LATE_EXIT_URL": vendors["late_exit"].url,
            "CHAOS_LATE_EXIT_SWAPS": str(SIZES.late_exits),
            "CHAOS_SHORT_URL": vendors["short"].url,
            "CHAOS_SHORT_SWAPS": str(SIZES.short_swaps),
            "PYTHONPATH": str(HERE / "probes"),
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
            "AIRFLOW__SCHEDULER__MAX_DAGRUNS_TO_CREATE_PER_LOOP": "64",
            "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "64",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        }
        yield Part(home, dag_files(HERE / "dags"), env, vendors)
