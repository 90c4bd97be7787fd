"""What is measured from outside: processor time and memory of processes, and what the vendor counted."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import psutil
from airflow_stack import free_port
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KEY = "sandbox-key"
MIB = 1024 * 1024
#: Pixels. The sandbox computes each picture on the machine that is measured: a small one takes it 20 ms.
WIDTH, HEIGHT = 64, 80


def family(roots: Iterable[psutil.Process]) -> list[psutil.Process]:
    """These processes and everything below them."""
    found = {}
    for root in roots:
        with suppress(psutil.Error):
            for process in [root, *root.children(recursive=True)]:
                found[process.pid] = process
    return list(found.values())


def cpu_seconds(roots: Iterable[psutil.Process]) -> float:
    """
    Processor time that these processes and all their descendants have ever used.

    A process that has ended is in the "children" time of the parent that reaped it, together with what it had
    reaped itself: so every process counts exactly once, however short its life.
    """
    total = 0.0
    for process in family(roots):
        with suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


def own_pss(pid: int) -> int:
    """Proportional set size in bytes: pages that processes share are divided among them."""
    with suppress(OSError), Path(f"/proc/{pid}/smaps_rollup").open() as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


class MemoryWatch:
    """
    Look at memory again and again in a thread.

    :param roots: The processes whose families are added up.
    :param every: Seconds between two looks; a look at 40 processes takes some 50 ms of its own.
    """

    def __init__(self, roots: Sequence[psutil.Process], every: float = 1.0) -> None:
        self.peak = 0
        #: The largest resident set of a process that was born meanwhile, which is a task's.
        self.largest_task = 0
        self._roots = roots
        self._every = every
        # Not by the time of birth, which the kernel rounds.
        self._old = {process.pid for process in family(roots)}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(self._every):
            processes = family(self._roots)
            self.peak = max(self.peak, sum(own_pss(process.pid) for process in processes))
            for process in processes:
                with suppress(psutil.Error):
                    if process.pid not in self._old:
                        self.largest_task = max(self.largest_task, process.memory_info().rss)


class Vendor:
    """
    The sandbox in a process of its own, and what it counted since the last look.

    It is never reset, as the input pictures are stored in it: figures are differences.
    """

    def __init__(self, job_seconds: float) -> None:
        self.job_seconds = job_seconds
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._known: set[str] = set()
        self._requests: dict[str, int] = {}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "airflow_provider_faceswap.sandbox", "--port", str(self.port)]
        self.process = psutil.Popen(
            [*command, "--job-seconds", str(self.job_seconds), "--key", KEY],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Threads that spin for a picture of 64 pixels would only take time from what is measured.
            env={**os.environ, "OPENCV_FOR_THREADS_NUM": "1"},
        )
        self._client = httpx.Client(base_url=self.url, timeout=60)
        deadline = time.monotonic() + 60
        while True:
            try:
                self._client.get("/sandbox/health").raise_for_status()
                break
            except httpx.HTTPError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.process.kill()
                    raise
                time.sleep(0.2)
        self.set(balance=1e9)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self.process.terminate()
        self.process.wait(10)

    def set(self, **changes: float) -> None:
        """Change settings of the sandbox: ``balance``, and ``job_seconds`` of the jobs to come."""
        self._client.post("/sandbox/settings", json=changes).raise_for_status()

    def picture(self, name: str) -> str:
        """Store a small portrait at the vendor; its link, which has a query already."""
        sample = Image.open(BytesIO(self._client.get(f"/samples/{name}.png").raise_for_status().content))
        small = BytesIO()
        sample.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BOX).save(small, "PNG")
        stored = self._client.post(
            "/api/ephemeral_resource",
            json={"file_name": f"{name}.png", "file_data": base64.b64encode(small.getvalue()).decode()},
            headers={"X-API-Key": KEY},
        )
        return str(stored.raise_for_status().json()["data"]["url"])

    def cpu(self) -> float:
        """Processor time of the sandbox so far."""
        return cpu_seconds([self.process])

    def news(self) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """The jobs and the number of requests by operation since this was last called."""
        ledger = self._client.get("/sandbox/ledger").raise_for_status().json()
        jobs = [job for job in ledger["jobs"] if job["job_id"] not in self._known]
        self._known |= {job["job_id"] for job in jobs}
        requests: Counter[str] = Counter()
        for counted in ledger["requests"].values():
            requests.update(counted)
        new = {name: count - self._requests.get(name, 0) for name, count in requests.items()}
        self._requests = requests
        return jobs, {name: count for name, count in new.items() if count}
