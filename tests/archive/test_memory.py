"""A video of a hundred megabytes passes through the archive, and not through the worker's memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytestmark = pytest.mark.program

SIZE = 100 * 1024 * 1024
HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"

KEEP = """
import resource, sys
from airflow.sdk import ObjectStoragePath
from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.archive.sources import ArchiveSource
from airflow_provider_faceswap.archive.store import Archive

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

url, folder = sys.argv[1:]
archive = Archive(
    ObjectStoragePath(f"file://{folder}"),
    filename=None, overwrite="replace", max_bytes=2**30, open_hosts={"127.0.0.1"}, run=RunInfo(),
)
# What is imported and made by the first use is no part of what a video costs.
archive.keep(ArchiveSource(url=f"{url}/small"))
before = peak()
kept = archive.keep(ArchiveSource(url=f"{url}/large"))
print(kept.bytes, peak() - before)
"""


class Videos(BaseHTTPRequestHandler):
    def do_GET(self):
        size = SIZE if self.path == "/large" else 64 * 1024
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(HEAD)
        left, block = size - len(HEAD), bytes(1024 * 1024)
        while left:
            left -= self.wfile.write(block[: min(left, len(block))])

    def log_message(self, *_):
        pass


@pytest.fixture
def videos():
    with ThreadingHTTPServer(("127.0.0.1", 0), Videos) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_large_video_costs_less_than_sixteen_megabytes(videos, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KEEP, videos, str(tmp_path)], capture_output=True, text=True, check=True
    )
    size, grown = map(int, done.stdout.split()[-2:])
    assert size == SIZE
    assert 0 <= grown < 16 * 1024 * 1024
