"""``airflow faceswap job``: look, wait, save; never buy."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path

import httpx
import pytest

from airflow_provider_faceswap.cli.__main__ import PROGRAM, main
from airflow_provider_faceswap.cli.console import ConsoleLog
from airflow_provider_faceswap.cli.exits import Exit
from airflow_provider_faceswap.cli.job_command import JobCommand
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from tests.cli.conftest import JOB_ID

JOB = ("job", "gptunnel_default", JOB_ID)


def test_a_job_bought_elsewhere_is_waited_for_and_saved(run, sandbox, charged):
    link = f"{sandbox.url}/samples"
    bought = TengraiHook().submit("face_swap", target_image=f"{link}/emil.png", face_image=f"{link}/anna.jpg")
    done = run("job", "tengrai_default", bought.job_id, "--wait", "--out", "kept/")
    assert done.code == Exit.DONE
    assert done.told["files"][0]["uri"].startswith(f"file://{Path.cwd()}/kept/")
    assert charged() == 1


def test_another_kind_is_named(run, sandbox):
    bought = GPTunnelHook().submit("image", model="gpt-image-1-low", prompt="a violinist")
    done = run("job", "gptunnel_default", bought.job_id, "--kind", "image", "--wait", "--out", "violin.png")
    assert done.code == Exit.DONE
    assert done.told["kind"] == "image"
    assert Path("violin.png").exists()


@pytest.mark.parametrize("wait", [(), ("--wait",)])
def test_a_job_of_a_kind_that_cannot_be_polled_is_said_to_be_one(run, wire, wait):
    done = run(*JOB, "--kind", "generate", *wait)
    assert done.code not in {Exit.DONE, Exit.RESUMABLE}
    assert "cannot be polled" in done.told["error"]["message"]
    assert "Use the result of the task that submitted it." in done.stderr
    assert not wire.requests


def test_without_wait_a_running_job_is_only_looked_at(run, wire, answer):
    wire.will(answer("processing", percent=40))
    done = run(*JOB)
    assert done.code == Exit.RESUMABLE
    assert done.told["state"] == "running"
    assert done.told["percent"] == 40
    assert done.told["error"] is None
    assert done.told["resume"] == f"{PROGRAM} job gptunnel_default {JOB_ID} --wait"
    assert len(wire.requests) == 1


def test_a_job_of_another_kind_is_gone_on_with_as_such(run, wire):
    wire.will({"id": "m1", "status": "processing"})
    told = run("job", "gptunnel_default", "m1", "--kind", "imagine", "--out", "grids/").told
    assert told["resume"] == f"{PROGRAM} job gptunnel_default m1 --kind imagine --wait --out grids/"


def test_a_finished_job_is_told_and_not_saved_unless_asked_to(run, wire, answer):
    wire.will(answer("done", percent=100, result="https://files.test/a.png"))
    done = run(*JOB)
    assert done.code == Exit.DONE
    assert done.told["url"] == "https://files.test/a.png"
    assert done.told["files"] == []
    assert "--out" in done.stderr
    assert not list(Path().iterdir())


def test_a_job_that_the_vendor_does_not_know_is_over(run, sandbox):
    done = run("job", "tengrai_default", "7d9f0c6e-0000-4000-8000-000000000000", "--wait")
    assert done.code == Exit.FAILED
    assert done.told["error"]["type"] == "JobLostError"


@pytest.mark.parametrize(
    "trouble",
    [httpx.Response(401, json={}), httpx.Response(500, json={}), httpx.ReadTimeout("slow")],
    ids=["wrong key", "server error", "no answer"],
)
def test_a_job_that_cannot_be_read_may_well_be_there(run, wire, trouble):
    wire.will(*[trouble] * 3)
    done = run(*JOB)
    assert done.code == Exit.RESUMABLE
    assert done.told["job_id"] == JOB_ID
    assert done.told["state"] is None


def test_a_bad_moment_of_the_vendor_is_waited_out(run, wire, answer):
    wire.will(
        *[httpx.ReadTimeout("slow")] * 3, answer("done", percent=100, result="https://files.test/a.png")
    )
    assert run(*JOB, "--wait").code == Exit.DONE


@pytest.mark.parametrize(
    "arguments",
    [
        ("job", "nowhere", JOB_ID),
        (*JOB, "--kind", "portrait"),
        (*JOB, "--timeout", "-1"),
        ("job", "keyless", JOB_ID),
    ],
)
def test_what_is_wrong_on_this_side_is_said_before_anything_is_asked(run, wire, monkeypatch, arguments):
    monkeypatch.setenv("AIRFLOW_CONN_KEYLESS", '{"conn_type": "gptunnel"}')
    done = run(*arguments)
    assert done.code == Exit.USAGE
    assert done.stderr
    assert not wire.requests


# -- K1: text from outside -----------------------------------------------------------------------------


@pytest.mark.parametrize("job_id", ["-1", "-x7", "--wait", "-a=b"])
def test_the_hint_for_an_id_that_begins_with_a_dash_can_be_typed_as_it_is(run, wire, answer, job_id):
    wire.will(answer("processing", job_id), answer("processing", job_id))
    told = run("job", "gptunnel_default", f"--job-id={job_id}", "--out=-x/").told
    assert (
        told["resume"]
        == f"{PROGRAM} job gptunnel_default {shlex.quote(f'--job-id={job_id}')} --wait --out=-x/"
    )
    words = shlex.split(told["resume"].removeprefix(f"{PROGRAM} "))
    words.remove("--wait")
    again = run(*words)
    assert again.code == Exit.RESUMABLE
    assert again.told["job_id"] == job_id
    assert again.told["resume"] == told["resume"]


def test_the_hint_for_a_connection_that_begins_with_a_dash_can_be_typed_as_it_is(monkeypatch, capsys):
    command = JobCommand(
        "face_swap", timeout=1.0, program="p", save_arguments=("--out", "x"), console=ConsoleLog()
    )
    template = SubmissionTemplate("gptunnel", "face_swap", "-shop", 1.0)
    command._submission = template.submission("-x7")
    words = shlex.split(command.resume_command)[1:]
    assert words == ["job", "--wait", "--out", "x", "--", "-shop", "-x7"]
    seen = []
    monkeypatch.setattr("airflow_provider_faceswap.cli.commands.job", seen.append)
    main(words)
    assert (seen[0].conn_id, seen[0].job_id, seen[0].wait) == ("-shop", "-x7", True)


def test_a_job_without_an_id_is_refused(run, wire):
    done = run("job", "gptunnel_default")
    assert done.code == Exit.USAGE
    assert "job_id" in done.stderr
    assert not wire.requests


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b31m", "\u202e", "\ud83d", "\n", "\x7f"], ids=ascii)
@pytest.mark.parametrize("place", ["conn_id", "job_id", "--kind", "--out"])
def test_an_argument_with_control_characters_is_refused_and_not_obeyed(run, wire, text, place):
    arguments = {"conn_id": "gptunnel_default", "job_id": JOB_ID, "--kind": "image", "--out": "x.png"}
    arguments[place] = f"a{text}b"
    done = run(
        *("job", arguments["conn_id"], arguments["job_id"], "--kind", arguments["--kind"]),
        *("--out", arguments["--out"]),
    )
    assert done.code == Exit.USAGE
    assert not wire.requests
    assert text not in done.stdout.rstrip("\n")
    assert text not in done.stderr.replace("\n", "") or text == "\n"
    assert done.told["error"]["type"] == "InvalidRequestError"


@pytest.mark.parametrize("output", ["json", "yaml", "table", "plain"])
def test_a_terminal_obeys_nothing_that_a_vendor_sends(run, wire, answer, output):
    wire.will(answer("failed", error="no \x1b[2J \x9b31m \u202e \x00 face"))
    done = run(*JOB, "--wait", output=output)
    assert done.code == Exit.FAILED
    for text in (done.stdout, done.stderr):
        assert "no" in text
        assert not set("\x1b\x9b\u202e\x00") & set(text)


def test_a_stdout_that_takes_only_ascii_gets_escapes(run, wire, answer, monkeypatch):
    wire.will(answer("failed", error="лица нет"))
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    assert run(*JOB, "--wait").code == Exit.FAILED
    assert "лица нет" in json.loads(written.getvalue())["error"]["message"]


# -- F6: nothing is said that is not known -------------------------------------------------------------


def test_f6_an_id_that_the_vendor_does_not_know_is_not_called_accepted(run, sandbox):
    done = run("job", "tengrai_default", "7d9f0c6e-0000-4000-8000-000000000000")
    message = done.told["error"]["message"]
    assert "does not know this id as a job of kind face_swap" in message
    assert "--kind" in message
    assert "was accepted" not in message
    assert "charged" not in message
    assert done.told["submitted_at"] is None
    assert done.told["finished_at"] is None


def test_f6_a_finished_job_has_its_own_times_or_none(run, wire, answer):
    wire.will(answer("done", percent=100, result="https://files.test/a.png", usage={"total_cost": 15}))
    done = run(*JOB)
    assert done.code == Exit.DONE
    assert "earlier attempt" not in done.stderr
    assert "after" not in done.stderr
    assert (done.told["submitted_at"], done.told["finished_at"]) == (None, None)
    assert done.told["cost"] == {"amount": 15.0, "unit": "RUB"}


def test_f6_a_job_of_unknown_begin_that_still_runs_has_none(run, wire, answer):
    wire.will(answer("processing", percent=40))
    assert run(*JOB).told["submitted_at"] is None
