"""A chain whose process is killed by the system, again and again, pays for each job once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import httpx
import pytest

from tests.conftest import NEEDS_STATE_STORE

pytestmark = [pytest.mark.program, pytest.mark.slow, pytest.mark.full]

ITEMS = 12

RUN = """
import json, sys, types
from pathlib import Path
from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step

class Store:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
    def get(self, key, default=None):
        path = self.folder / key
        return json.loads(path.read_text()) if path.exists() else default
    def set(self, key, value, **_):
        part = self.folder / f"{key}.part"
        part.write_text(json.dumps(value))
        part.replace(self.folder / key)

folder, url, number = sys.argv[1:]
operator = MediaBatchOperator(
    task_id="chains",
    items=[{"name": f"p{n}", "role": f"captain {n}", "face": f"{url}/samples/anna.jpg?n={n}"} for n in range(int(number))],
    steps=[
        Step("picture", "gptunnel_default", "image", model="gpt-image-1-low", prompt="portrait of {role}"),
        Step("swap", "piapi_default", "face_swap", target_image="{picture}", face_image="{face}"),
    ],
    destination=f"file://{folder}/pictures",
    filename="{name}",
    concurrency=4,
    thumbnails=False,
    on_uncertain="resubmit",
)
instance = types.SimpleNamespace(
    dag_id="d", run_id="r", task_id="chains", map_index=-1, try_number=1, max_tries=0, task=operator
)
print("summary", json.dumps(operator.execute({"ti": instance, "task_state_store": Store(f"{folder}/records")})))
"""


def creates(sandbox):
    ledger = httpx.get(f"{sandbox.url}/sandbox/ledger").json()
    return sum(requests.get("create", 0) for requests in ledger["requests"].values())


@NEEDS_STATE_STORE
def test_a_killed_chain_goes_on_and_pays_for_nothing_twice(sandbox, tmp_path):
    def start():
        return subprocess.Popen(
            [sys.executable, "-c", RUN, str(tmp_path), sandbox.url, str(ITEMS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    pause, killed = threading.Event(), 0
    for bound in (3, 11):
        process = start()
        while process.poll() is None and creates(sandbox) < bound:
            pause.wait(0.02)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
    output, _ = start().communicate()
    summary = json.loads(output.rpartition("summary")[2])
    assert (killed, summary["archived"]) == (2, ITEMS)
    # A submission that was under way at a kill has an intent and no id. Each kill has at most four of them.
    assert 2 * ITEMS <= creates(sandbox) <= 2 * ITEMS + 4 * killed
    records = [
        record
        for shard in (tmp_path / "records").glob("faceswap_batch.*")
        for record in json.loads(shard.read_text()).values()
    ]
    named = {job for record in records for job in (record["job_id"], *record.get("earlier", ()))}
    repeated = sum(record["purchases"] > 1 for record in records)
    assert len(named) + repeated >= creates(sandbox), (
        "only what an unanswered submission left was bought again"
    )
