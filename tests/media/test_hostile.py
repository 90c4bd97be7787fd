"""Hostile files and answers, each in a process of its own with little memory and little time."""

from __future__ import annotations

import gzip
import http.server
import os
import struct
import subprocess
import sys
import threading
import zlib

import pytest

from tests.foundation.test_file_structure import HOSTILE, header, png
from tests.pictures import odd

pytestmark = pytest.mark.program

#: Bytes of memory beyond the start, and seconds of the processor, for each.
MEMORY, SECONDS = 300 * 1024 * 1024, 10

#: Each file is tried in a process that was forked after all imports, so that the limit is on what the file costs.
TRY = """
import os, resource, sys, tempfile, time, traceback
from pathlib import Path

import airflow.sdk
from PIL import Image as Pictures, ImageCms, ImageOps
from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.http import limits
from airflow_provider_faceswap.http.download import download
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.images import Image
from airflow_provider_faceswap.media.inputs import MediaPreparer
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.piapi import PiAPI

Pictures.init()
memory, seconds, folder, url = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]

def prepared(value):
    said = []
    for vendor in (GPTunnel(), PiAPI()):
        for preflight in ("auto", "fit"):
            try:
                MediaPreparer(vendor, preflight).arguments(vendor.kind("face_swap").media, {"target_image": value()})
                said.append("sent")
            except FaceSwapError as error:
                said.append(str(error))
    return said

def fetched(path):
    try:
        with tempfile.TemporaryFile() as file:
            download(url + path, file, max_bytes=10 * 1024 * 1024, open_hosts={"127.0.0.1"}, seconds=2)
            return ["kept"]
    except FaceSwapError as error:
        return [str(error)]

def answered(path):
    hook = GPTunnelHook()
    try:
        hook.fetch(path, "face_swap")
        return ["answered"]
    except FaceSwapError as error:
        return [str(error)]

cases = {path.name: (lambda path=path: prepared(lambda: Image.read(path))) for path in sorted(folder.iterdir())}
cases |= {name: (lambda name=name: fetched(f"/{name}")) for name in ("twice.gz", "bomb.gz", "drip")}
cases["an answer"] = lambda: answered("twice")
for name, case in cases.items():
    child = os.fork()
    if not child:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        begun = time.monotonic()
        try:
            said = case()
        except BaseException:
            said = ["escaped: " + traceback.format_exc()[-300:]]
        print(name, "|", f"{time.monotonic() - begun:.1f}", "|", " / ".join(said).replace(chr(10), " "), flush=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if status:
        print(name, "|", 99, "| ended by", status, flush=True)
"""


def squeezed(size, *, times, bits):
    """Zeros, so many bytes so many times, compressed without being written out: each block is the same."""
    pack = zlib.compressobj(9, zlib.DEFLATED, bits)
    first = pack.compress(bytes(size)) + pack.flush(zlib.Z_FULL_FLUSH)
    block = pack.compress(bytes(size)) + pack.flush(zlib.Z_FULL_FLUSH)
    return first + block * (times - 1) + pack.flush()


def bomb(side, rows=100):
    """A black picture with many pixels."""
    data = squeezed(rows * (1 + 3 * side), times=side // rows, bits=15)
    return png(header(side, side), (b"IDAT", data), (b"IEND", b""))


def black(side):
    """A black picture that can be decoded."""
    return png(header(side, side), (b"IDAT", zlib.compress(bytes(side * (1 + 3 * side)), 1)), (b"IEND", b""))


def large_tiff():
    """A TIFF whose header promises 40,000 x 40,000 pixels."""
    data = bytearray(odd()["rgb.tif"])
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    for place in range(at + 2, at + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from(f"{order}H", data, place)
        if tag in {256, 257}:
            struct.pack_into(f"{order}HII", data, place + 2, 4, 1, 40_000)
    return bytes(data)


#: What is refused, and a part of what the error says of it.
REFUSED = {
    **dict.fromkeys(HOSTILE, ""),
    "a PNG of 13,000 pixels a side": "13000 x 13000 pixels",
    "a TIFF of 40,000 pixels a side": "",
    "an EPS": "neither a picture nor a video",
    "an SVG": "neither a picture nor a video",
    "a pipe": "is not a regular file",
    "a device": "is not a regular file",
}


@pytest.fixture
def hostile(tmp_path):
    folder = tmp_path / "hostile"
    folder.mkdir()
    made = {
        **HOSTILE,
        "a PNG of 13,000 pixels a side": bomb(13_000),
        "a PNG of 5,700 pixels a side": black(5_700),
        "a TIFF of 40,000 pixels a side": large_tiff(),
        "an EPS": odd()["drawn by a program.eps"],
        "an SVG": odd()["a drawing.svg"],
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)
    os.mkfifo(folder / "a pipe")
    (folder / "a device").symlink_to("/dev/zero")
    return folder


def twice():
    """Eight gigabytes in a few kilobytes."""
    return gzip.compress(squeezed(8 * 1024 * 1024, times=1024, bits=31))


class Answers(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self):
        self.send_response(200)
        if self.path == "/drip":
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            while True:
                try:
                    self.wfile.write(b".")
                    self.wfile.flush()
                except OSError:
                    return
                threading.Event().wait(0.05)
        self.send_header("Content-Encoding", "gzip" if self.path == "/bomb.gz" else "gzip, gzip")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def answers():
    Answers.body = twice()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_hostile_file_or_answer_costs_little_and_is_refused_in_words(hostile, answers, connections):
    connections(answers)
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(MEMORY), str(SECONDS), str(hostile), answers],
        # Else each new thread may reserve addresses of 128 MiB, which count although they are not used.
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    found = {}
    for line in done.stdout.splitlines():
        name, mark, rest = line.partition(" | ")
        if mark:
            found[name] = (float(rest.partition(" | ")[0]), rest.partition(" | ")[2])
    assert len(found) == len(list(hostile.iterdir())) + 4, done.stderr[-2000:]
    for name, (seconds, said) in found.items():
        assert seconds < SECONDS, name
        assert "escaped" not in said, (name, said)
        assert "MemoryError" not in said, (name, said)
    for name, part in REFUSED.items():
        assert part in found[name][1], name
        assert "sent" not in found[name][1], name
    assert found["a PNG of 5,700 pixels a side"][1].count("sent") == 3, "it is within the limits"
    assert "UnwantedEncodingError" in found["twice.gz"][1]
    assert "UnwantedEncodingError" in found["bomb.gz"][1]
    assert "did not arrive within 2 s" in found["drip"][1]
    assert "compressed in a way that was not asked for" in found["an answer"][1]
