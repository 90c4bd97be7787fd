"""
A thousand waiting triggers on one event loop: what they cost while nothing happens but questions and answers.

The triggers are the package's own, run side by side on an asyncio loop as a triggerer does; what Airflow's own
bookkeeping of a trigger costs comes on top. The vendor is the sandbox, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx
import psutil

KEY = "sandbox-key"
#: Seconds that are measured, after the first round of questions.
MEASURED = 60.0
SETTLING = 20.0


def start_vendor() -> tuple[subprocess.Popen[str], str]:
    """The sandbox in its own process, with jobs that outlast the measurement; its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_faceswap.sandbox", "--port", "0", "--job-seconds", "3600"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    return process, process.stdout.readline().split()[3]


async def lag(worst: list[float]) -> None:
    """Note by how much the loop is late."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(0.05)
        worst[0] = max(worst[0], time.perf_counter() - begun - 0.05)


async def wait_together(number: int, url: str, job_id: str) -> dict[str, float]:
    """Run so many triggers for jobs of all ages up to ten minutes."""
    from airflow_provider_faceswap.jobs import Submission
    from airflow_provider_faceswap.triggers.job import JobTrigger

    now = datetime.now(UTC)

    def trigger(age: float) -> JobTrigger:
        submission = Submission(
            vendor="gptunnel",
            kind="face_swap",
            job_id=job_id,
            conn_id="gptunnel_default",
            submitted_at=now - timedelta(seconds=age),
            deadline=now + timedelta(hours=1),
        )
        return JobTrigger(submission=submission.model_dump(mode="json"), end_in_place=True)

    async def run(one: JobTrigger) -> None:
        async for _ in one.run():
            raise RuntimeError("a job ended, and should have outlasted the measurement")

    process, worst = psutil.Process(), [0.0]
    # The first one pays for the client and what it imports.
    tasks = [asyncio.create_task(run(trigger(60)))]
    await asyncio.sleep(3)
    memory = process.memory_info().rss
    tasks += [asyncio.create_task(run(trigger(600 * n / number))) for n in range(number - 1)]
    tasks.append(asyncio.create_task(lag(worst)))
    await asyncio.sleep(SETTLING)
    worst[0] = 0.0
    asked = ledger(url)
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    begun = time.perf_counter()
    await asyncio.sleep(MEASURED)
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "triggers": number,
        "questions per second": round((ledger(url) - asked) / seconds, 1),
        "share of a core": round(
            (after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime) / seconds, 3
        ),
        "KiB each": round((process.memory_info().rss - memory) / 1024 / number, 1),
        "longest lag in ms": round(worst[0] * 1000, 1),
    }
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return figures


def ledger(url: str) -> int:
    """How often the vendor was asked so far."""
    return int(httpx.get(f"{url}/sandbox/ledger").json()["requests"]["gptunnel"]["fetch"])


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1000)
    number = parser.parse_args().number
    vendor, url = start_vendor()
    try:
        os.environ["AIRFLOW_CONN_GPTUNNEL_DEFAULT"] = json.dumps(
            {"conn_type": "gptunnel", "host": url, "password": KEY}
        )
        body = {"sourceImage": f"{url}/samples/emil.png", "faceImage": f"{url}/samples/anna.jpg"}
        made = httpx.post(f"{url}/v1/faceswap/create", json=body, headers={"Authorization": KEY}).json()
        print(json.dumps(asyncio.run(wait_together(number, url, made["id"]))))
    finally:
        vendor.terminate()
        vendor.wait()


if __name__ == "__main__":
    main()
