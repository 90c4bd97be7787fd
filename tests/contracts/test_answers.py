"""
What the vendors really answer, over a real socket, read through the hooks.

``answers.json`` says for each answer where it was seen and what it must be read as.
"""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from airflow_provider_faceswap import exceptions
from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError, MalformedResponseError
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.jobs import FailureReason, JobState
from airflow_provider_faceswap.lifecycle.reconcile import find_job
from airflow_provider_faceswap.operators.balance import BalanceCheckOperator

ANSWERS = {
    answer["id"]: answer for answer in json.loads((Path(__file__).parent / "answers.json").read_text("utf-8"))
}

PICTURES = {"target_image": "https://pictures.test/t.jpg", "face_image": "https://pictures.test/f.jpg"}
ARGUMENTS = {
    "face_swap": PICTURES,
    "task": {"model": "m", "task_type": "t", "input": {"prompt": "p"}},
    "image": {"model": "m", "prompt": "p"},
}
#: The job that is polled: the one that the answer names, unless it is about another.
JOB_IDS = {
    "gptunnel": "666666666666666666666666",
    "tengrai": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "piapi": "t1",
}
RESULT = "https://cdn.example.org/a.png"
#: A poll of that job that says it is done.
DONE = {
    "gptunnel": {"id": JOB_IDS["gptunnel"], "status": "done", "percent": 100, "result": RESULT},
    "tengrai": {
        "id": JOB_IDS["tengrai"],
        "artworkType": "face_swap",
        "status": "succeeded",
        "results": [RESULT],
    },
    "piapi": {"code": 200, "data": {"task_id": "t1", "status": "completed", "output": {"image_url": RESULT}}},
}

pytestmark = pytest.mark.usefixtures("clock", "no_waiting_between_tries")


class Server:
    """A vendor on a loopback socket that gives its answers in turn, and the last one again and again."""

    def __init__(self):
        self.answers = []
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("content-length") or 0))
                outer.requests.append(f"{self.command} {self.path}")
                status, body = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                # Escapes, as vendors send them: half an emoji has no other form.
                data = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = answer  # noqa: N815 - the names of http.server

            def log_message(self, *_):
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def will(self, *answers):
        self.answers[:] = answers

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(connections, monkeypatch):
    vendor = Server()
    connections(vendor.url)
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
    yield vendor
    vendor.close()


def named(phase, *, still_waits=False):
    """The answers of one phase, each a test of its own."""
    chosen = [
        answer
        for answer in ANSWERS.values()
        if answer["phase"] == phase and ("still_waits" in answer["expect"]) is still_waits
    ]
    return pytest.mark.parametrize("answer", [pytest.param(one, id=one["id"]) for one in chosen])


def hook_of(answer):
    return hook_for_connection(f"{answer['vendor']}_default")


def check(expect, read):
    """Compare a job, or the error of reading it, with what the file says."""
    if "error" in expect:
        with pytest.raises(FaceSwapError) as caught:
            read()
        assert type(caught.value) is getattr(exceptions, expect["error"])
        assert expect.get("text", "") in str(caught.value)
        return
    job = read()
    assert job.state is JobState(expect["state"])
    assert job.failure_reason is FailureReason(expect.get("reason", "unknown"))
    assert expect.get("text", "") in (job.failure or "")
    if "urls" in expect:
        assert job.urls == tuple(expect["urls"])
    assert set(job.urls) >= set(expect.get("urls_contain", ()))
    if expect.get("printable"):
        assert job.failure.isprintable()
        assert job.model_dump_json().isprintable()


def test_every_answer_of_the_file_is_read_here_and_says_where_it_is_from():
    assert {(answer["phase"], len(answer["source"]) > 5) for answer in ANSWERS.values()} == {
        ("create", True),
        ("fetch", True),
        ("history", True),
        ("balance", True),
    }
    assert len(ANSWERS) >= 34


@named("create")
def test_an_answer_to_a_submission_is_read_as_the_file_says(server, answer):
    server.will((answer["status"], answer["body"]))
    with hook_of(answer) as hook:
        check(answer["expect"], lambda: hook.submit(answer["kind"], **ARGUMENTS[answer["kind"]]))


@named("fetch")
def test_an_answer_to_a_poll_is_read_as_the_file_says(server, answer):
    server.will((answer["status"], answer["body"]))
    with hook_of(answer) as hook:
        check(answer["expect"], lambda: hook.fetch(JOB_IDS[answer["vendor"]], answer["kind"]))


@named("fetch", still_waits=True)
def test_one_odd_answer_to_a_poll_does_not_end_the_wait(server, answer):
    vendor, kind = answer["vendor"], answer["kind"]
    odd, done = (answer["status"], answer["body"]), (200, DONE[vendor])
    server.will(done)
    with hook_of(answer) as hook:
        job = hook.fetch(JOB_IDS[vendor], kind)
        running = job.model_copy(update={"state": JobState.RUNNING, "urls": ()})
        server.will(odd, done)
        assert hook.wait(running).urls == (RESULT,)
        # Several in a row leave the job resumable: the error names it, and is no refusal.
        server.will(odd)
        with pytest.raises(MalformedResponseError) as caught:
            hook.wait(running, timeout=36_000)
    assert caught.value.job_id == JOB_IDS[vendor]
    assert "resume_job_id" in str(caught.value)


@named("history")
def test_a_row_of_a_list_leads_to_the_job_of_a_lost_submission(server, answer, clock):
    with hook_of(answer) as hook:
        request = hook.prepare(answer["kind"], **ARGUMENTS[answer["kind"]])
        shown = {**DONE["piapi"]["data"], **request.body}
        server.will((answer["status"], answer["body"]), (200, {"code": 200, "data": shown}))
        found = find_job(
            hook,
            answer["kind"],
            request,
            datetime.fromtimestamp(clock.time, UTC),
            log=logging.getLogger("test"),
        )
    assert [found.job_id] == answer["expect"]["job_ids"]
    assert found.urls == (RESULT,)


@named("balance")
def test_a_balance_is_in_its_own_unit(server, answer):
    server.will((answer["status"], answer["body"]))
    expect = answer["expect"]
    with hook_of(answer) as hook:
        assert {balance.unit: balance.amount for balance in hook.balances()} == expect["balances"]
    check_at = BalanceCheckOperator(task_id="enough", conn_id=f"{answer['vendor']}_default", at_least=1)
    if unit := expect["default_unit"]:
        assert check_at.execute({})["unit"] == unit
        return
    check_at.at_least = 100
    with pytest.raises(InvalidRequestError, match="USD is not in the reply"):
        check_at.execute({})
