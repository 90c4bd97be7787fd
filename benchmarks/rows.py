"""How each row of the comparison is run, and its figures put together."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import psutil
from measure import MIB, MemoryWatch, cpu_seconds
from traces import failed_tries, seen, slots

if TYPE_CHECKING:
    from airflow_stack import AirflowStack
    from measure import Vendor
    from postgres import PostgreSQL
    from storage import Storage

HERE = Path(__file__).resolve().parent

#: Rows of the first table: single swaps.
SWAPS = {
    "bare": "asyncio script, no Airflow",
    "python": "`@task` that sleeps and polls, mapped",
    "http": "HttpOperator, then HttpEventTrigger and a download, mapped group",
    "mapped": "swap operator mapped, then one archive task for all",
    "mapped_on_worker": "the same, resumed on a worker",
    "mapped_archives": "swap operator mapped, then archive operator mapped",
    "batch": "batch operator: one task for all",
}
#: Rows of chains: a picture is made, and a face is put onto it.
CHAINS = {
    "chain_bare": "asyncio script, no Airflow",
    "chain_mapped": "two job operators and the archive operator, mapped group",
    "chain_batch": "batch operator with two steps: one task for all",
    "chain_batch_plain": "the same without thumbnails, which the script does not make either",
}
#: Rows of swaps that are archived on S3.
STORAGE = {
    "reuse_new": 'batch with `reuse="archive"`, nothing is archived yet',
    "reuse_known": "the same, all is archived",
    "reuse_grown": "the same, a tenth is new",
    "budget_without": "batch without a budget",
    "budget_with": "batch with a budget on S3",
}
#: What ``--suite`` measures: the rows of each table. The first is the default.
SUITES = {
    "figures": {"swaps": SWAPS},
    "chains": {
        "chains": CHAINS,
        "swaps": {
            **{row: SWAPS[row] for row in ("bare", "mapped", "batch")},
            "batch_plain": "the same without thumbnails",
        },
        "swaps on S3": STORAGE,
    },
}
#: Rows that are scripts.
SCRIPTS = {"bare": "bare.py", "chain_bare": "bare_chain.py"}


@dataclass
class Figures:
    """What one row at one size came to."""

    row: str
    size: int
    state: str
    wall: float
    cpu: float
    #: Of the sandbox and of the S3 server.
    vendor_cpu: float
    #: Mean seconds that a vendor took for a job.
    vendor_job: float
    peak_mib: float
    task_mib: float
    slot_seconds: float | None
    task_runs: int | None
    requests: dict[str, int]
    requests_per_item: float
    seen_delay: float | None
    seen_count: int
    finished_jobs: int
    failed_tries: int | None
    pictures: int
    #: Share of all processors that was taken by what is no part of the measurement.
    others_share: float

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass
class Bench:
    """The running parts."""

    home: Path
    settings: Path
    vendor: Vendor
    storage: Storage
    database: PostgreSQL
    airflow: AirflowStack

    def __post_init__(self) -> None:
        children = psutil.Process().children()
        components = [child for child in children if _home_of(child) == str(self.airflow.home)]
        #: Airflow's four components and the PostgreSQL server.
        self.roots = [*components, _postmaster(self.database)]

    def idle_rate(self, seconds: float) -> float:
        """Processor seconds per second of an Airflow, with its database, that has nothing to do."""
        before, begun = cpu_seconds(self.roots), time.monotonic()
        time.sleep(seconds)
        return (cpu_seconds(self.roots) - before) / (time.monotonic() - begun)

    def run(self, row: str, size: int, limit: float) -> Figures:
        """Run one row with so many swaps."""
        self.vendor.news()
        vendor_cpu = self._servers_cpu()
        taken, own, begun = _busy_seconds(), time.process_time(), time.monotonic()
        measured = self._script(row, size) if row in SCRIPTS else self._dag(row, size, limit)
        vendor_cpu = self._servers_cpu() - vendor_cpu
        others = _busy_seconds() - taken - measured["cpu"] - vendor_cpu - (time.process_time() - own)
        others /= (time.monotonic() - begun) * (os.cpu_count() or 1)
        jobs, requests = self.vendor.news()
        name = f"{row}_{size}"
        finished = {job["job_id"]: job for job in jobs if job["state"] == "done"}
        seen_at = seen(self.database, self.home, row, name)
        delays = [at - finished[job]["finished_at"] for job, at in seen_at.items() if job in finished]
        times = [job["finished_at"] - job["created_at"] for job in finished.values()]
        return Figures(
            row=row,
            size=size,
            vendor_cpu=vendor_cpu,
            vendor_job=fmean(times) if times else 0.0,
            requests=requests,
            requests_per_item=sum(requests.values()) / size,
            seen_delay=fmean(delays) if delays else None,
            seen_count=len(delays),
            finished_jobs=len(finished),
            pictures=self._pictures(row, size),
            others_share=max(0.0, others),
            **measured,
        )

    def _servers_cpu(self) -> float:
        """Processor time so far of what an account and a bucket are in production."""
        return self.vendor.cpu() + self.storage.cpu()

    def _pictures(self, row: str, size: int) -> int:
        if row in STORAGE:
            return self.storage.pictures(f"reuse_{size}" if row.startswith("reuse") else f"{row}_{size}")
        return len(list((self.home / "pictures" / f"{row}_{size}").rglob("*.png")))

    def _script(self, row: str, size: int) -> dict[str, Any]:
        begun = time.monotonic()
        script = subprocess.Popen([sys.executable, HERE / SCRIPTS[row], self.settings, str(size)])
        with MemoryWatch([psutil.Process(script.pid)], every=0.25) as memory:
            _, status, usage = os.wait4(script.pid, 0)
            wall = time.monotonic() - begun
        # Popen must not wait for what is gone.
        script.returncode = os.waitstatus_to_exitcode(status)
        return {
            "state": "failed" if script.returncode else "success",
            "wall": wall,
            "cpu": usage.ru_utime + usage.ru_stime,
            "peak_mib": memory.peak / MIB,
            "task_mib": usage.ru_maxrss / 1024,
            "slot_seconds": None,
            "task_runs": None,
            "failed_tries": None,
        }

    def _dag(self, row: str, size: int, limit: float) -> dict[str, Any]:
        dag_id = f"{row}_{size}"
        before, begun = cpu_seconds(self.roots), time.time()
        with MemoryWatch(self.roots) as memory:
            run_id = self.airflow.run_dag(dag_id)
            try:
                state = self._state(dag_id, run_id, limit)
            finally:
                cpu = cpu_seconds(self.roots) - before
        [[ended]] = self.database.rows(
            "select extract(epoch from coalesce(end_date, now())) from dag_run where run_id = %s and dag_id = %s",
            run_id,
            dag_id,
        )
        slots_, runs = slots(self.database, dag_id)
        return {
            "state": state,
            "wall": float(ended) - begun,
            "cpu": cpu,
            "peak_mib": memory.peak / MIB,
            "task_mib": memory.largest_task / MIB,
            "slot_seconds": slots_,
            "task_runs": runs,
            "failed_tries": failed_tries(self.database, dag_id),
        }

    def warm_up(self, row: str) -> None:
        """
        Run a row once with one swap, so that nothing is measured that happens once in the life of a process.

        The first value that a trigger stores takes its triggerer some four seconds, for example.

        :raises LookupError: The row's Dag cannot be read.
        """
        dag_id = f"{row}_1"
        deadline = time.monotonic() + 120
        while not self.database.rows("select 1 from serialized_dag where dag_id = %s", dag_id):
            if time.monotonic() > deadline:
                errors = self.database.rows("select filename, stacktrace from import_error")
                raise LookupError(f"Airflow does not know {dag_id}: {errors}")
            time.sleep(0.5)
        self._state(dag_id, self.airflow.run_dag(dag_id), 120)

    def _state(self, dag_id: str, run_id: str, limit: float) -> str:
        """
        Wait for the end of a run.

        The database is asked, not the API: its server's processor time is among what is measured.
        """
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            [[state]] = self.database.rows(
                "select state from dag_run where dag_id = %s and run_id = %s", dag_id, run_id
            )
            if state in {"success", "failed"}:
                return str(state)
            time.sleep(0.5)
        # What goes on would be measured with the next row.
        self.airflow.api("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"})
        time.sleep(30)
        return "stopped at the limit"


def _postmaster(database: PostgreSQL) -> psutil.Process:
    """The server's first process; each connection is served by a child of it."""
    [[folder]] = database.rows("show data_directory")
    return psutil.Process(int((Path(folder) / "postmaster.pid").read_text().split()[0]))


def _busy_seconds() -> float:
    """Processor time of the whole machine since it was started, without idleness."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _home_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("AIRFLOW_HOME")
    except psutil.Error:
        return None
