"""
A thousand jobs that one triggerer waits for: ``python benchmarks/waiting.py --help``.

A real Airflow defers so many swaps of two hours each; then its triggerer is looked at while nothing happens but
questions and answers. The same with as many triggers of Airflow's own that only sleep: what is more is ours. Starts a PostgreSQL, an Airflow and the sandbox vendor of its own, and leaves nothing running.
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
#: Whose triggers wait: Airflow's own, which only sleep, and this package's.
WAYS = ("asleep", "mapped")


def main() -> int:
    """Measure, and write the figures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000, help="jobs that are waited for")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the triggerer is looked at")
    parser.add_argument("--figures", type=Path, default=ROOT / "benchmarks" / "waiting.json")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="whose triggers wait")
    options = parser.parse_args()
    figures = {way: measured(way, options.number, options.seconds) for way in options.ways}
    options.figures.write_text(json.dumps(figures, indent=1) + "\n")
    say(json.dumps(figures))
    return 0


def measured(way: str, number: int, seconds: float) -> dict[str, float]:
    """Start everything, measure one way, stop everything."""
    home = Path(tempfile.mkdtemp(prefix="faceswap-waiting-"))
    try:
        with Vendor(job_seconds=7200) as vendor:
            settings = prepare(home, vendor, [number // 5, number - number // 5])
            with (
                PostgreSQL() as database,
                AirflowStack(
                    home / "airflow",
                    ROOT / "benchmarks" / "dags",
                    env={
                        **environment(vendor, settings),
                        "AIRFLOW__TRIGGERER__CAPACITY": str(number + 10),
                    },
                    parallelism=PARALLELISM,
                    database=database.url,
                    say=say,
                ) as airflow,
            ):
                return measure(way, airflow, database, vendor, number, seconds)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def measure(  # noqa: PLR0917 - what runs, and what is looked at
    way: str, airflow: AirflowStack, database: PostgreSQL, vendor: Vendor, number: int, seconds: float
) -> dict[str, float]:
    """
    Defer one task, then a fifth of all, then the rest, and tell them apart.

    The triggerer has worked before: what it loads with its first result, and the pages that its two processes share
    until their garbage is first collected, are no part of what a waiting task costs.
    """
    triggerer = triggerer_of(airflow)
    first = number // 5
    vendor.set(job_seconds=1.0)
    airflow.wait_for(f"mapped_{first}", airflow.run_dag(f"mapped_{first}"), timeout=60 + number)
    vendor.set(job_seconds=7200.0)
    taken = {}
    shares = {}
    for size, more in ((1, 1), (first + 1, first), (number + 1, number - first)):
        airflow.run_dag(f"{way}_{more}")
        wait_until_deferred(database, size)
        time.sleep(30)
        vendor.message()
        blocked = airflow.log("triggerer").count(BLOCKED)
        shares[size] = cpu_share(triggerer, seconds if size > number else 20)
        taken[size] = memory(triggerer)
        say(
            f"{way}: with {size} the triggerer has {sum(taken[size]) / 2**20:.0f} MiB, {shares[size]:.1%} of a core"
        )
    asked = vendor.message()[1].get("fetch", 0)
    blocked = airflow.log("triggerer").count(BLOCKED) - blocked
    [[failed]] = database.rows("select count(*) from task_instance where state in ('failed', 'up_for_retry')")

    def kib_each(since: int, *processes: int) -> float:
        more = sum(taken[number + 1][process] - taken[since][process] for process in processes)
        return round(more / 1024 / (number + 1 - since), 1)

    return {
        "jobs": number,
        "seconds": seconds,
        "share_of_a_core": round(shares[number + 1], 3),
        "share_of_a_core_with_one": round(shares[1], 3),
        "triggerer_mib_with_one": round(sum(taken[1]) / 2**20),
        "kib_each": kib_each(1, 0, 1),
        "kib_each_supervisor": kib_each(1, 0),
        "kib_each_runner": kib_each(1, 1),
        "kib_each_after_first_fifth": kib_each(first + 1, 0, 1),
        "questions_per_second": round(asked / seconds, 1),
        "blocked_loop_warnings": blocked,
        "failed_tasks": int(failed),
    }


def triggerer_of(airflow: AirflowStack) -> psutil.Process:
    """The triggerer's first process; its loop runs in a child of it."""
    for child in psutil.Process().children():
        if "triggerer" in child.cmdline() and child.environ().get("AIRFLOW_HOME") == str(airflow.home):
            return child
    raise LookupError("no triggerer runs")


def memory(root: psutil.Process) -> tuple[int, int]:
    """
    Bytes of the supervisor, and of all below it, which is the process with the loop.

    Pages that they share count once, as a half of each.
    """
    return own_pss(root.pid), sum(own_pss(child.pid) for child in family([root]) if child.pid != root.pid)


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
