"""``airflow faceswap jobs``: the jobs of an account, as its vendor lists them."""

from __future__ import annotations

import json
from datetime import datetime

import httpx
import pytest

from airflow_provider_faceswap.cli.exits import Exit

HOUR = 3600


def rows(done):
    return json.loads(done.stdout)


@pytest.fixture
def at(hasty):
    """The time so many seconds ago, in ISO 8601 with an offset."""
    return lambda seconds: datetime.fromtimestamp(hasty.now() - seconds).astimezone().isoformat()


def task(job_id, created_at):
    return {
        "task_id": job_id,
        "action": "face-swap",
        "status": "finished",
        "usage": 100000,
        "usage_type": "point",
        "created_at": created_at,
    }


@pytest.mark.parametrize("as_text", [True, False])
def test_piapis_jobs_are_listed_with_their_costs_the_newest_first(run, wire, hasty, at, as_text):
    times = [at(7200), at(60)] if as_text else [int(hasty.now()) - 7200, int(hasty.now()) - 60]
    found = [task("old", times[0]), task("new", times[1]), {"task_id": None}, "no row"]
    wire.will({"code": 200, "data": {"data": found}})
    done = run("jobs", "piapi_default")
    assert done.code == Exit.DONE
    assert [(row["job_id"], row["what"], row["status"], row["cost"]) for row in rows(done)] == [
        ("new", "face-swap", "finished", "100000 point"),
        ("old", "face-swap", "finished", "100000 point"),
    ]
    assert int(wire.requests[0].url.params["start_time"]) <= hasty.now() - 24 * HOUR + 60


def test_tengrais_jobs_are_cut_by_time_here(run, wire, at):
    artworks = [
        {"id": name, "artworkType": "face_swap", "status": "succeeded", "createdAt": at(seconds)}
        for name, seconds in (("new", 60), ("old", 3 * HOUR))
    ]
    wire.will(httpx.Response(200, json=artworks))
    assert [row["job_id"] for row in rows(run("jobs", "tengrai_default", "--hours", 2))] == ["new"]


def test_a_long_list_is_read_page_by_page(run, wire, at):
    pages = [[task(f"{page}-{row}", at(row)) for row in range(100)] for page in range(2)]
    wire.will(*({"code": 200, "data": {"data": page}} for page in pages), {"code": 200, "data": {"data": []}})
    assert len(rows(run("jobs", "piapi_default"))) == 200
    assert [request.url.params["page"] for request in wire.requests] == ["1", "2", "3"]


def test_a_list_without_an_end_is_not_read_for_ever(run, wire, at):
    page = {"code": 200, "data": {"data": [task(str(row), at(row)) for row in range(100)]}}
    wire.will(*[page] * 30)
    done = run("jobs", "piapi_default")
    assert len(wire.requests) == 20
    assert "The list goes on" in done.stderr


def test_a_vendor_without_a_list_is_said(run, wire):
    done = run("jobs", "gptunnel_default")
    assert done.code == Exit.USAGE
    assert "gptunnel has no list of jobs" in done.stderr
    assert wire.requests == []


@pytest.mark.parametrize("hours", ["0", "-1", "nan"])
def test_wrong_hours_ask_nobody(run, wire, hours):
    assert run("jobs", "piapi_default", f"--hours={hours}").code == Exit.USAGE
    assert wire.requests == []


@pytest.mark.sandbox
@pytest.mark.parametrize("conn_id", ["piapi_default", "tengrai_default"])
def test_a_job_that_was_bought_is_in_the_list(run, sandbox, conn_id):
    links = (f"{sandbox.url}/samples/emil.png", f"{sandbox.url}/samples/anna.jpg")
    bought = run("swap", "--conn-id", conn_id, "--target", links[0], "--face", links[1]).told
    [row] = rows(run("jobs", conn_id, "--hours", 10_000))
    assert row["job_id"] == bought["job_id"]
    assert "face" in row["what"]


@pytest.mark.parametrize("output", ["table", "plain", "yaml"])
def test_every_format_shows_the_ids(run, wire, at, output):
    wire.will({"code": 200, "data": {"data": [task("a-job", at(60))]}})
    assert "a-job" in run("jobs", "piapi_default", output=output).stdout
