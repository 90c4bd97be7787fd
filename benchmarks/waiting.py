"""
A thousand jobs that one triggerer waits for: ``python benchmarks/waiting.py --help``.

A real Airflow defers so many swaps of an hour each; then its triggerer is looked at while nothing happens but
questions and answers. Starts a PostgreSQL, an Airflow and the sandbox vendor of its own, and leaves nothing running.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import psutil
from airflow_stack import AirflowStack
from measure import Vendor, cpu_seconds, family, own_pss
from postgres import PostgreSQL
from run import PARALLELISM, ROOT, environment, prepare, say

#: What Airflow writes when a trigger has held its loop.
BLOCKED = "async thread was blocked"


def main() -> int:
    """Measure, and write the figures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000, help="jobs that are waited for")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the triggerer is looked at")
    parser.add_argument("--figures", type=Path, default=ROOT / "benchmarks" / "waiting.json")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="faceswap-waiting-"))
    try:
        with Vendor(job_seconds=7200) as vendor:
            settings = prepare(home, vendor, [options.number])
            with (
                PostgreSQL() as database,
                AirflowStack(
                    home / "airflow",
                    ROOT / "benchmarks" / "dags",
                    env={
                        **environment(vendor, settings),
                        "AIRFLOW__TRIGGERER__CAPACITY": str(options.number + 10),
                    },
                    parallelism=PARALLELISM,
                    database=database.url,
                    say=say,
                ) as airflow,
            ):
                figures = measure(airflow, database, vendor, options.number, options.seconds)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    options.figures.write_text(json.dumps(figures, indent=1) + "\n")
    say(json.dumps(figures))
    return 0


def measure(
    airflow: AirflowStack, database: PostgreSQL, vendor: Vendor, number: int, seconds: float
) -> dict[str, float]:
    """Defer one job, then all of them, and tell them apart."""
    airflow.run_dag("mapped_1")
    wait_until_deferred(database, 1)
    time.sleep(30)
    triggerer = triggerer_of(airflow)
    idle_memory, idle_cpu = memory(triggerer), cpu_share(triggerer, 20)
    say(f"With one job, the triggerer has {idle_memory / 2**20:.0f} MiB and takes {idle_cpu:.1%} of a core")
    airflow.run_dag(f"mapped_{number}")
    wait_until_deferred(database, number + 1)
    time.sleep(30)
    vendor.news()
    blocked = airflow.log("triggerer").count(BLOCKED)
    share = cpu_share(triggerer, seconds)
    asked = vendor.news()[1].get("fetch", 0)
    blocked = airflow.log("triggerer").count(BLOCKED) - blocked
    return {
        "jobs": number,
        "seconds": seconds,
        "share_of_a_core": round(share, 3),
        "share_of_a_core_with_one_job": round(idle_cpu, 3),
        "kib_each": round((memory(triggerer) - idle_memory) / 1024 / number, 1),
        "triggerer_mib_with_one_job": round(idle_memory / 2**20),
        "questions_per_second": round(asked / seconds, 1),
        "blocked_loop_warnings": blocked,
        "failed_tasks": int(
            database.rows("select count(*) from task_instance where state in ('failed', 'up_for_retry')")[0][
                0
            ]
        ),
    }


def triggerer_of(airflow: AirflowStack) -> psutil.Process:
    """The triggerer's first process; its loop runs in a child of it."""
    for child in psutil.Process().children():
        if "triggerer" in child.cmdline() and child.environ().get("AIRFLOW_HOME") == str(airflow.home):
            return child
    raise LookupError("no triggerer runs")


def memory(root: psutil.Process) -> int:
    """Bytes of a process and all below it; pages that they share count once."""
    return sum(own_pss(process.pid) for process in family([root]))


def cpu_share(root: psutil.Process, seconds: float) -> float:
    """Processor seconds per second of a process and all below it."""
    before, begun = cpu_seconds([root]), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds([root]) - before) / (time.monotonic() - begun)


def wait_until_deferred(database: PostgreSQL, number: int) -> None:
    """
    Wait until so many tasks wait in the triggerer.

    :raises TimeoutError: They do not.
    """
    deadline = time.monotonic() + 60 + number
    while time.monotonic() < deadline:
        [[found]] = database.rows(
            "select count(*) from task_instance join trigger on trigger.id = trigger_id"
            " where state = 'deferred' and triggerer_id is not null"
        )
        if found >= number:
            return
        time.sleep(1)
    raise TimeoutError(f"only {found} of {number} tasks are deferred")


if __name__ == "__main__":
    sys.exit(main())
