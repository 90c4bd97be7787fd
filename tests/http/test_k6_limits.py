"""
K6: a request has one time limit and one size limit in all, on a worker and on an event loop.

The server here is a socket that sends a byte now and then, because no timeout of a single read ends that.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest

from airflow_provider_faceswap.exceptions import (
    JobTimeoutError,
    MalformedResponseError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.http import limits
from airflow_provider_faceswap.http.endpoint import Endpoint
from airflow_provider_faceswap.jobs import Job
from airflow_provider_faceswap.lifecycle import waiting
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.vendors.messages import Request

ENDPOINT = Endpoint("gptunnel", "https://vendor.test", {"Authorization": "k"}, ("k",))
READ = Request("GET", "/v1/faceswap/result", params={"taskId": "j1"})
CREATE = Request("POST", "/v1/faceswap/create", body={"sourceImage": "https://a.test/a.png"})
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
#: Seconds between two bytes.
PACE = 0.02
#: Seconds after which a test has failed; the drip itself would take minutes.
LONG = 20.0


@pytest.fixture(params=["from the first header", "in the body"])
def drip(request):
    """A server that answers a byte at a time, and how many requests it got."""
    accepted: list[socket.socket] = []
    at_once = HEADERS if request.param == "in the body" else b""
    slowly = b"{" + b" " * 60_000 if at_once else HEADERS

    def serve(connection):
        with suppress(OSError), connection:
            connection.recv(65_536)
            connection.sendall(at_once)
            for byte in slowly:
                connection.sendall(bytes([byte]))
                time.sleep(PACE)
            # Then nothing, as long as the client stays.
            connection.recv(1)

    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                accepted.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", accepted
    listener.close()
    for connection in accepted:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(params=["sync", "async"])
def send(request):
    """Send one request in either world."""

    def sync(endpoint, what, transport=None, **options):
        with httpx.Client(transport=transport) as http:
            return endpoint.send(http, what, **options)

    def on_a_loop(endpoint, what, transport=None, **options):
        async def run():
            async with httpx.AsyncClient(transport=transport) as http:
                return await endpoint.asend(http, what, **options)

        return asyncio.run(run())

    return {"sync": sync, "async": on_a_loop}[request.param]


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(limits, "REQUEST_LIMIT", 0.3)
    monkeypatch.setattr(limits, "BODY_LIMIT", 0.3)


def test_an_answer_that_drips_is_no_answer_to_a_read(drip, send, short):
    begun = time.monotonic()
    with pytest.raises(VendorUnavailableError, match="no complete answer within 0 s"):
        send(replace(ENDPOINT, base_url=drip[0]), READ)
    assert time.monotonic() - begun < LONG


def test_a_submission_whose_answer_drips_is_uncertain_and_sent_once(drip, send, short):
    begun = time.monotonic()
    with pytest.raises(SubmissionUncertainError, match="no complete answer within"):
        send(replace(ENDPOINT, base_url=drip[0]), CREATE, paid=True)
    assert time.monotonic() - begun < LONG
    assert len(drip[1]) == 1


@pytest.mark.parametrize("world", ["worker", "loop"])
def test_a_wait_ends_soon_after_its_deadline_though_the_answer_drips(drip, connections, monkeypatch, world):
    connections(drip[0])
    monkeypatch.setattr(waiting, "LAST_POLL_MARGIN", 0.5)
    hook = GPTunnelHook()
    job = Job(vendor="gptunnel", kind="face_swap", job_id="j1", state="running", status="processing")
    begun = time.monotonic()
    if world == "worker":
        with pytest.raises(JobTimeoutError) as caught:
            hook.wait(job, timeout=0.2)
        assert caught.value.job_id == "j1"
    else:
        template = waiting_for(job)
        waited = asyncio.run(waiting.wait_async(hook, template, log=lambda _: None))
        assert waited.outcome == "timed_out"
    assert time.monotonic() - begun < LONG


def waiting_for(job):
    return SubmissionTemplate(job.vendor, job.kind, "gptunnel_default", 0.2).submission(job.job_id)


def test_the_limits_allow_a_submission_with_pictures_and_end_a_read_sooner():
    assert limits.REQUEST_LIMIT == 60
    assert limits.BODY_LIMIT == 180


# -- size -----------------------------------------------------------------------------------------------------


def endless(count):
    """An answer that has no end, and counts what is taken of it."""

    class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self):
            while True:
                count.append(1)
                yield b"x" * 65_536

        async def __aiter__(self):
            for chunk in self:
                yield chunk

    return httpx.MockTransport(lambda _: httpx.Response(200, stream=Stream()))


def test_an_answer_without_end_is_refused_and_not_kept(send):
    taken = []
    with pytest.raises(MalformedResponseError, match="more than 16777216 bytes"):
        send(ENDPOINT, READ, endless(taken))
    assert len(taken) <= limits.MAX_ANSWER // 65_536 + 1


def test_a_submission_whose_answer_has_no_end_is_uncertain(send):
    with pytest.raises(SubmissionUncertainError, match="more than"):
        send(ENDPOINT, CREATE, endless([]), paid=True)


def test_a_large_picture_inside_an_answer_is_read(send):
    body = {"id": "j1", "picture": "A" * 12_000_000}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    assert send(ENDPOINT, READ, transport).fields["id"] == "j1"


@pytest.mark.parametrize("charset", ["utf-8", "windows-1251"])
def test_a_compressed_answer_in_any_charset_is_read(send, charset):
    text = json.dumps({"id": "j1", "error": "лицо"}, ensure_ascii=False)
    headers = {"Content-Type": f"application/json; charset={charset}", "Content-Encoding": "gzip"}
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers=headers, content=gzip.compress(text.encode(charset)))
    )
    assert send(ENDPOINT, READ, transport).fields == {"id": "j1", "error": "лицо"}
