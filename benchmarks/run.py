"""
Run the same swaps, or chains, in many ways and compare what they cost: ``python benchmarks/run.py --help``.

Starts a PostgreSQL, an Airflow, an S3 server and the sandbox vendors of its own, and leaves nothing running.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import psutil
from airflow_stack import AirflowStack
from measure import KEY, Vendor
from postgres import PostgreSQL
from report import NOISE, plot, write_tables
from rows import SCRIPTS, STORAGE, SUITES, SWAPS, Bench, Figures
from storage import Storage

ROOT = Path(__file__).resolve().parent.parent
#: Airflow's tasks at once.
PARALLELISM = 16
#: Jobs under way at once, where a way chooses it itself.
CONCURRENCY = 100


def main() -> int:
    """Measure, write, draw; returns the exit code."""
    options = arguments()
    # Without byte code, each task would compile all that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    home = Path(tempfile.mkdtemp(prefix="faceswap-bench-"))
    figures: list[Figures] = []
    skipped: dict[str, str] = {}
    about: dict[str, Any] = {
        "job_seconds": options.job_seconds,
        "parallelism": PARALLELISM,
        "concurrency": CONCURRENCY,
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "limit": options.limit,
    }
    try:
        with Vendor(options.job_seconds) as vendor, Storage() as storage:
            settings = prepare(home, vendor, options.sizes)
            with (
                PostgreSQL() as database,
                AirflowStack(
                    home / "airflow",
                    ROOT / "benchmarks" / "dags",
                    env=environment(vendor, storage, settings),
                    parallelism=PARALLELISM,
                    database=database.url,
                    say=say,
                ) as airflow,
            ):
                bench = Bench(home, settings, vendor, storage, database, airflow)
                warm_up(bench, options.rows, skipped)
                about["idle_rate"] = bench.idle_rate(20)
                say(
                    f"Idle, Airflow and its database take {about['idle_rate']:.2f} processor seconds per second"
                )
                measure_all(bench, options, figures, skipped)
    finally:
        if options.keep:
            print(f"Kept: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
        # What was measured before an end from outside is worth keeping.
        if figures:
            write_all(options, about, figures, skipped)
    return 0


def write_all(
    options: argparse.Namespace, about: dict[str, Any], figures: list[Figures], skipped: dict[str, str]
) -> None:
    """Write the raw figures, the tables and the plot."""
    raw = {"about": about, "figures": [entry.to_json() for entry in figures], "skipped": skipped}
    options.figures.parent.mkdir(parents=True, exist_ok=True)
    options.figures.write_text(json.dumps(raw, indent=1) + "\n")
    write_tables(options.out.with_suffix(".md"), raw, options.suite, SUITES[options.suite])
    print(f"Written: {options.figures}, {options.out.with_suffix('.md')}")
    if options.plot is not None:
        plot(options.plot, raw)
        print(f"Written: {options.plot}")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)

    def numbers(text: str) -> list[int]:
        return sorted(int(part) for part in text.split(","))

    parser.add_argument("--suite", choices=SUITES, default="figures", help="which tables")
    parser.add_argument("--sizes", type=numbers, default=[10, 100, 1000], help="numbers of items")
    parser.add_argument("--rows", type=lambda text: text.split(","), help="only these of the suite's rows")
    parser.add_argument("--job-seconds", type=float, default=4.0, help="what a job takes at the vendor")
    parser.add_argument(
        "--limit", type=float, default=600.0, help="seconds; what would take longer is skipped"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "performance", help="tables, without .md")
    parser.add_argument("--plot", type=Path, help="the plot; default for swaps: docs/images/performance.png")
    parser.add_argument("--figures", type=Path, help="raw figures; default: benchmarks/<suite>.json")
    parser.add_argument("--keep", action="store_true", help="keep the working folder, for its logs")
    options = parser.parse_args()
    known = {row for rows in SUITES[options.suite].values() for row in rows}
    if unknown := set(options.rows or ()) - known:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(known)}")
    options.rows = [
        row for rows in SUITES[options.suite].values() for row in rows if row in (options.rows or known)
    ]
    options.figures = options.figures or ROOT / "benchmarks" / f"{options.suite}.json"
    if options.suite == "figures":
        options.plot = options.plot or ROOT / "docs" / "images" / "performance.png"
    return options


def prepare(home: Path, vendor: Vendor, sizes: list[int]) -> Path:
    """Store the pictures, and what Dags and the script need to know."""
    home.chmod(0o755)
    (home / "seen").mkdir()
    settings = home / "settings.json"
    told = {
        "url": vendor.url,
        "key": KEY,
        "target": vendor.picture("emil"),
        "face": vendor.picture("anna"),
        "sizes": sizes,
        "home": str(home),
        "concurrency": CONCURRENCY,
        "timeout": 600 + vendor.job_seconds,
    }
    settings.write_text(json.dumps(told))
    return settings


def environment(vendor: Vendor, storage: Storage, settings: Path) -> dict[str, str]:
    """Airflow's settings beside those of the stack; what is not here has its default."""

    def connection(**fields: Any) -> str:
        return json.dumps(fields)

    return {
        "BENCH_SETTINGS": str(settings),
        # The triggerer looks for the check of HttpEventTrigger on the import path only.
        "PYTHONPATH": str(ROOT / "benchmarks" / "dags"),
        "AIRFLOW_CONN_GPTUNNEL_DEFAULT": connection(conn_type="gptunnel", host=vendor.url, password=KEY),
        "AIRFLOW_CONN_TENGRAI_DEFAULT": connection(conn_type="tengrai", host=vendor.url, password=KEY),
        "AIRFLOW_CONN_AWS_DEFAULT": connection(**storage.connection),
        "AIRFLOW_CONN_VENDOR_API": connection(
            conn_type="http", host=vendor.url, extra={"Authorization": KEY}
        ),
        "AIRFLOW_CONN_VENDOR_FILES": connection(conn_type="http", host=vendor.url),
        "AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS": "127.0.0.1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(PARALLELISM),
        # The Dag files do not change; reading them again and again is no part of any row.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
    }


def warm_up(bench: Bench, rows: list[str], skipped: dict[str, str]) -> None:
    """Have every worker process started, and every row run once; a row that cannot run is left out."""
    airflow = bench.airflow
    airflow.wait_for("warmup", airflow.run_dag("warmup"))
    for row in rows:
        if row not in SCRIPTS:
            say(f"Warming up: {row}")
            try:
                bench.warm_up(row)
            except LookupError as error:
                say(f"{row} is not available: {error}")
                skipped[row] = "not available"
    time.sleep(5)


def measure_all(
    bench: Bench, options: argparse.Namespace, figures: list[Figures], skipped: dict[str, str]
) -> None:
    """Every row at every size, the small sizes first: they tell how long the larger ones would take."""
    for size in options.sizes:
        for row in options.rows:
            if row in skipped or not is_wanted(options, row, size):
                continue
            expected = expectation([entry for entry in figures if entry.row == row], size)
            if expected and expected > options.limit:
                skipped[f"{row}_{size}"] = f"about {expected / 60:.0f} min expected"
                say(f"{row} with {size}: not run, {skipped[f'{row}_{size}']}")
                continue
            found = bench.run(row, size, 2 * options.limit)
            figures.append(found)
            say(
                f"{row} with {size}: {found.state}, {found.wall:.1f} s, {found.cpu:.1f} CPU s, "
                f"{found.pictures} pictures, {found.failed_tries or 0} failed tries"
            )
            if found.others_share > NOISE:
                say(f"    {found.others_share:.0%} of the machine was taken by others meanwhile")
            # What is left of a row must not be counted with the next.
            time.sleep(5)


def is_wanted(options: argparse.Namespace, row: str, size: int) -> bool:
    """False for a row that is only looked at with many items, or, beside chains, only with many."""
    largest = max(options.sizes)
    if row in STORAGE or row.endswith("_plain"):
        return size == largest
    return options.suite == "figures" or row not in SWAPS or size * 10 >= largest


def expectation(known: list[Figures], size: int) -> float | None:
    """Seconds that a row would take: along the line through the last two sizes, or in proportion to one."""
    if not known:
        return None
    if len(known) == 1:
        return known[0].wall * size / known[0].size
    first, last = known[-2:]
    slope = (last.wall - first.wall) / (last.size - first.size)
    return last.wall + slope * (size - last.size)


_BEGUN = time.monotonic()


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"[{time.monotonic() - _BEGUN:6.1f} s] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
