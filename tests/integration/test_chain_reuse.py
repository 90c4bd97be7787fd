"""What is the same request for a step that takes the results of earlier steps."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from airflow_provider_faceswap.batch.step_run import StepRun
from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step
from tests.conftest import NEEDS_STATE_STORE, FakeStore, FakeTaskInstance

pytestmark = [pytest.mark.sandbox, NEEDS_STATE_STORE]


@pytest.fixture
def run(sandbox, tmp_path):
    """Take one item through steps, in a run of its own."""
    runs = iter(range(100))

    def of(steps, face=f"{sandbox.url}/samples/anna.jpg", store=None, **more):
        instance = FakeTaskInstance()
        vars(instance).update(run_id="retried" if store else f"run {next(runs)}")
        given = {"task_id": "chains", "reuse": "archive", "timeout": 86_400, "keep": "all"}
        items = [{"scene": f"{sandbox.url}/samples/emil.png", "face": face}]
        return MediaBatchOperator(
            **{**given, "items": items, "steps": steps, "destination": f"file://{tmp_path}/out", **more}
        ).execute({"ti": instance, "task_state_store": store or FakeStore()})

    return of


@pytest.fixture
def steps(sandbox):
    """The face of the item, and then one that never changes."""

    def make(**one):
        where = {} if "conn_ids" in one else {"conn_id": "gptunnel_default"}
        face = f"{sandbox.url}/samples/boris.jpg"
        return [
            Step("one", kind="face_swap", target_image="{scene}", face_image="{face}", **where, **one),
            Step("two", kind="face_swap", conn_id="piapi_default", target_image="{one}", face_image=face),
        ]

    return make


@pytest.fixture
def person(sandbox):
    """A link whose picture can be changed."""
    shown = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if shown["is"] else 404)
            self.send_header("Content-Length", str(len(shown["is"])))
            self.end_headers()
            self.wfile.write(shown["is"])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def show(name):
        shown["is"] = httpx.get(f"{sandbox.url}/samples/{name}.jpg").content if name else b""
        return f"http://127.0.0.1:{server.server_port}/person.jpg"

    yield show
    server.shutdown()
    server.server_close()


@pytest.fixture
def out_of_credits(sandbox):
    def set_to(vendor):
        httpx.delete(f"{sandbox.url}/sandbox/faults").raise_for_status()
        if vendor:
            fault = {"type": "refuse", "reason": "no_credits", "status": 402}
            body = {"vendor": vendor, "operation": "create", "times": None, "fault": fault}
            httpx.post(f"{sandbox.url}/sandbox/faults", json=body).raise_for_status()

    return set_to


def bought(summary):
    return {name: step["jobs"] for name, step in summary["steps"].items()}


@pytest.mark.parametrize("keep", ["last", "all"])
def test_another_person_at_the_same_link_of_an_earlier_step_is_another_request(run, steps, person, keep):
    run(steps(), person("anna"), reuse_links="content", keep=keep)
    summary = run(steps(), person("boris"), reuse_links="content", keep=keep)
    assert (summary["reused"], bought(summary)) == (0, {"one": 1, "two": 1})


def test_the_same_person_at_another_link_of_an_earlier_step_is_the_same_request(run, steps, person):
    link = person("anna")
    run(steps(), f"{link}?v=1", reuse_links="content")
    assert run(steps(), f"{link}?v=2", reuse_links="content")["reused"] == 1
    assert run(steps(), f"{link}?v=2")["reused"] == 0


def test_the_webhook_of_an_earlier_step_is_no_part_of_a_request(run, steps):
    run(steps(webhook="https://example.com/1"))
    assert run(steps(webhook="https://example.com/2"))["reused"] == 1


def test_the_names_of_the_connections_of_an_earlier_step_are_no_part_of_a_request(run, steps, monkeypatch):
    for name in ("TENGRAI", "PIAPI"):
        for letter in "AZ":
            connection = os.environ[f"AIRFLOW_CONN_{name}_DEFAULT"]
            monkeypatch.setenv(f"AIRFLOW_CONN_{letter}_{name}", connection)
    run(steps(conn_ids=["a_tengrai", "z_piapi"]))
    assert run(steps(conn_ids=["z_tengrai", "a_piapi"]))["reused"] == 1


def test_the_vendor_that_made_an_earlier_step_is_a_part_of_the_request(run, steps, out_of_credits, tmp_path):
    out_of_credits("gptunnel")
    both = ["gptunnel_default", "piapi_default"]
    run(steps(conn_ids=both))
    assert not list(tmp_path.rglob("claim-*"))
    out_of_credits(None)
    assert run(steps(conn_ids=both))["reused"] == 1
    assert run(steps(conn_ids=["piapi_default"]))["reused"] == 1
    summary = run(steps(conn_ids=["gptunnel_default"]))
    assert (summary["reused"], bought(summary)) == (0, {"one": 1, "two": 1})


def test_a_step_is_looked_for_after_the_vendor_that_made_the_step_before(run, steps, out_of_credits):
    both = ["gptunnel_default", "piapi_default"]
    out_of_credits("gptunnel")
    run(steps(conn_ids=both)[:1])
    out_of_credits(None)
    summary = run(steps(conn_ids=both))
    assert (summary["reused"], bought(summary)) == (0, {"one": 0, "two": 1})
    assert run(steps(conn_ids=["piapi_default"]))["reused"] == 1


class Killed(BaseException):
    pass


@pytest.fixture
def killed(run, monkeypatch):
    """Take an item through steps, until the process dies while it waits for the last one."""

    def of(steps, *arguments, **more):
        wait = StepRun.wait

        async def until_the_last(self, *waited):
            if self.prepared.step.name == steps[-1].name:
                raise Killed
            return await wait(self, *waited)

        with monkeypatch.context() as patched:
            patched.setattr(StepRun, "wait", until_the_last)
            with pytest.raises(Killed):
                run(steps, *arguments, **more)

    return of


def test_a_retry_knows_which_vendor_made_the_step_before(run, steps, killed, out_of_credits):
    store, both = FakeStore(), ["gptunnel_default", "piapi_default"]
    out_of_credits("gptunnel")
    killed(steps(conn_ids=both), store=store)
    out_of_credits(None)
    summary = run(steps(conn_ids=both), store=store)
    assert (summary["archived"], bought(summary)) == (1, {"one": 0, "two": 0})
    assert run(steps(conn_ids=["piapi_default"]))["reused"] == 1
    assert run(steps(conn_ids=["gptunnel_default"]))["reused"] == 0


def test_a_paid_job_is_resumed_although_a_link_that_counts_by_content_has_died(run, steps, killed, person):
    store = FakeStore()
    killed(steps(), link := person("anna"), store=store, reuse_links="content")
    person(None)
    summary = run(steps(), link, store=store, reuse_links="content")
    assert (summary["archived"], bought(summary)) == (1, {"one": 0, "two": 0})
