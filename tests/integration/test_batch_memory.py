"""A batch of any size needs about the same memory: what is over is on disk, not in the task."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.conftest import NEEDS_STATE_STORE

pytestmark = pytest.mark.program

#: Bytes that one more record may hold: its mark among those that were seen, and its name among the records. 532 were
#: measured on Python 3.13.
AN_ITEM = 640
SMALL, LARGE = 100, 600

RUN = """
import asyncio, gc, importlib, json, sys, time, tracemalloc, types
from airflow_provider_faceswap.batch.runner import BatchRunner
from airflow_provider_faceswap.foundation.clock import CLOCK, Clock
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator, MediaBatchOperator, Step
from pathlib import Path

class Hasty(Clock):
    offset = 0.0
    def now(self):
        return time.time() + self.offset
    def monotonic(self):
        return self.now()
    def sleep(self, seconds):
        self.offset += seconds
    async def asleep(self, seconds):
        real = min(seconds, 0.01)
        await asyncio.sleep(real)
        self.offset += (seconds - real) / 16

CLOCK.source = Hasty()
# Bounded anyway: up to these sizes it would be in the figures.
importlib.import_module("airflow_provider_faceswap.batch.manifest").IN_MEMORY = 1024
importlib.import_module("airflow_provider_faceswap.batch.sharded_store").SHARD = 8

class Store:
    \"\"\"On disk, as Airflow's is in another process.\"\"\"
    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir()
    def get(self, key, default=None):
        path = self.folder / key
        return json.loads(path.read_text()) if path.exists() else default
    def set(self, key, value, **_):
        (self.folder / key).write_text(json.dumps(value))

def run(items, folder):
    options = dict(
        task_id="batch", items=f"file://{items}", destination=f"file://{folder}/pictures", concurrency=16
    )
    operator = (
        FaceSwapBatchOperator(conn_id="gptunnel_default", **options)
        if kind == "swaps"
        else MediaBatchOperator(
            steps=[
                Step("picture", "gptunnel_default", "image", model="flux-dev", prompt="a portrait of {role}"),
                Step("swap", "gptunnel_default", "face_swap", target_image="{picture}", face_image="{face_image}"),
            ],
            keep="all",
            **options,
        )
    )
    instance = types.SimpleNamespace(
        dag_id="d", run_id="r", task_id="batch", map_index=-1, try_number=1, max_tries=0, task=operator
    )
    return operator.execute({"ti": instance, "task_state_store": Store(f"{folder}/records")})

held, batch_run = [], BatchRunner.run

async def look(self, items):
    \"\"\"At the end of a batch, before anything of it goes; what nobody holds any more does not count.\"\"\"
    await batch_run(self, items)
    gc.collect()
    held.append(tracemalloc.get_traced_memory()[0])

BatchRunner.run = look
kind, folder, small, large = sys.argv[1:]
tracemalloc.start()
for number, items in enumerate((small, small, large)):
    Path(f"{folder}/{number}").mkdir()
    assert run(items, f"{folder}/{number}")["failed"] == 0
print("held", *held)
"""

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489000000"
    "0d49444154789c63f8d0cff01f000671027fa2d3df7b0000000049454e44ae426082"
)


class Vendor(BaseHTTPRequestHandler):
    """Every job is done when it is asked for."""

    protocol_version = "HTTP/1.1"
    made = 0

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if job_id := body.get("task_id"):
            self.answer({"id": job_id, "code": 0, "status": "done", "url": self.link(job_id), "cost": 5})
            return
        type(self).made += 1
        job = {"id": f"job{self.made}", "status": "processing"}
        is_media = "/media/" in self.path
        self.answer({**job, "code": 0} if is_media else {**job, "usage": {"total_cost": 15}})

    def do_GET(self):
        if "taskId=" in self.path:
            job_id = self.path.rpartition("=")[2]
            self.answer({"id": job_id, "status": "done", "percent": 100, "result": self.link(job_id)})
        else:
            self.send(PICTURE, "image/png")

    def link(self, job_id):
        return f"http://127.0.0.1:{self.server.server_port}/{job_id}.png"

    def answer(self, body):
        self.send(json.dumps(body).encode(), "application/json")

    def send(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def vendor():
    with ThreadingHTTPServer(("127.0.0.1", 0), Vendor) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@NEEDS_STATE_STORE
@pytest.mark.full
@pytest.mark.parametrize(("kind", "records"), [("swaps", 1), ("chains", 2)])
def test_memory_does_not_grow_with_the_number_of_items(kind, records, vendor, tmp_path, monkeypatch):
    files = []
    for number in (SMALL, LARGE):
        files.append(tmp_path / f"{number}.jsonl")
        with files[-1].open("w") as lines:
            for n in range(number):
                face = f"{vendor}/face.png?n={n}"
                item = {"target_image": f"{vendor}/target.png", "face_image": face, "role": f"person {n}"}
                lines.write(json.dumps(item) + "\n")
    monkeypatch.setenv(
        "AIRFLOW_CONN_GPTUNNEL_DEFAULT",
        json.dumps({"conn_type": "gptunnel", "host": vendor, "password": "a-key-of-the-memory-test"}),
    )
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
    done = subprocess.run(
        [sys.executable, "-c", RUN, kind, str(tmp_path), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    _, small, large = map(int, done.stdout.rpartition("held")[2].split())
    assert large - small < records * AN_ITEM * (LARGE - SMALL)
    assert len(list((tmp_path / "2" / "pictures").glob("*.png"))) == records * LARGE
