"""``airflow faceswap swap``: one job bought, its picture saved, and every ending with a code of its own."""

from __future__ import annotations

import io
import json
import signal
import threading
from pathlib import Path

import httpx
import pytest
import yaml
from PIL import Image

from airflow_provider_faceswap.cli import commands
from airflow_provider_faceswap.cli.__main__ import PROGRAM
from airflow_provider_faceswap.cli.exits import Exit
from tests.cli.conftest import FACE, JOB_ID, SWAP, TARGET

ACCEPTED = {"id": JOB_ID, "status": "idle", "usage": {"total_cost": 15}}
RESUME = f"{PROGRAM} job gptunnel_default {JOB_ID} --wait --out ."


@pytest.fixture
def pictures(sandbox):
    return (
        "--target",
        f"{sandbox.url}/samples/emil.png",
        "--face",
        f"{sandbox.url}/samples/anna.jpg",
    )


@pytest.fixture
def fault(sandbox):
    def order(vendor, operation, times=1, **what):
        httpx.post(
            f"{sandbox.url}/sandbox/faults",
            json={"vendor": vendor, "operation": operation, "times": times, "fault": what},
        ).raise_for_status()

    return order


def test_the_picture_and_its_manifest_are_saved_and_told_as_one_object(run, pictures, tmp_path):
    done = run("swap", "--conn-id", "gptunnel_default", *pictures, "--out", "swapped.png")
    assert done.code == Exit.DONE
    (file,) = done.told["files"]
    assert file["uri"] == f"file://{tmp_path}/swapped.png"
    assert len((tmp_path / "swapped.png").read_bytes()) == file["bytes"]
    manifest = json.loads((tmp_path / "swapped.png.json").read_text())
    assert manifest["job"]["job_id"] == done.told["job_id"]
    assert manifest["airflow"]["dag_id"] is None
    assert done.told["ending"] == "done"
    assert done.told["cost"] == {"amount": 15, "unit": "RUB"}
    assert done.told["error"] is None
    assert done.told["resume"] is None


def test_stderr_has_the_job_id_from_the_moment_it_is_known(run, wire):
    wire.will(ACCEPTED, ConnectionResetError, *[httpx.Response(401, json={})])
    shown = run(*SWAP).stderr.splitlines()
    assert shown[0] == f"gptunnel accepted face_swap as job {JOB_ID}, 15 RUB"


def test_without_out_the_picture_has_the_jobs_name_in_this_folder(run, pictures, tmp_path):
    done = run("swap", "--conn-id", "tengrai_default", *pictures)
    assert [Path(file["uri"]).name for file in done.told["files"]] == [
        path.name for path in tmp_path.iterdir() if path.suffix != ".json"
    ]
    assert done.told["job_id"] in done.told["files"][0]["uri"]


@pytest.mark.parametrize("form", ["{name}", "file://{folder}/{name}"])
def test_a_file_of_this_disk_travels_inside_the_request(run, pictures, sandbox, tmp_path, monkeypatch, form):
    monkeypatch.delenv("AIRFLOW__FACESWAP__ALLOWED_LOCAL_PATHS")
    target = form.format(folder=tmp_path, name="emil.png")
    (tmp_path / "emil.png").write_bytes(httpx.get(f"{sandbox.url}/samples/emil.png").content)
    done = run("swap", "--conn-id", "gptunnel_default", *pictures[2:], "--target", target)
    assert done.code == Exit.DONE
    manifest = json.loads(Path(done.told["files"][0]["manifest_uri"].removeprefix("file://")).read_text())
    assert manifest["job"]["arguments"]["target_image"].startswith("sha256:")


def test_a_picture_can_be_made_fit(run, pictures, sandbox, tmp_path):
    swap = ("swap", "--conn-id", "gptunnel_default", *pictures[2:], "--target", "emil.webp")
    sample = httpx.get(f"{sandbox.url}/samples/emil.png").content
    Image.open(io.BytesIO(sample)).save(tmp_path / "emil.webp")
    refused = run(*swap)
    assert refused.code == Exit.USAGE
    assert "image/webp" in refused.told["error"]["message"]
    assert run(*swap, "--preflight", "fit").code == Exit.DONE


@pytest.mark.parametrize("output", ["table", "plain"])
def test_for_a_person_there_is_a_line_for_each_fact(run, pictures, output):
    done = run("swap", "--conn-id", "gptunnel_default", *pictures, "--out", "a.png", output=output)
    lines = [line.replace("|", " ").split(maxsplit=1) for line in done.stdout.splitlines()]
    facts = {line[0]: line[1] for line in lines if len(line) == 2}
    assert facts["ending"].strip() == "done"
    assert facts["cost"].strip() == "15 RUB"
    assert facts["files"].strip().endswith("/a.png")
    assert "error" not in facts


def test_yaml_tells_what_json_tells(run, wire):
    wire.will(httpx.Response(402, json={"error": {"message": "empty"}}))
    told = yaml.safe_load(run(*SWAP, output="yaml").stdout)
    assert told["ending"] == "failed"
    assert told["error"]["type"] == "InsufficientBalanceError"
    assert told["job_id"] is None


# -- nothing was sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--conn-id", "nowhere"), "nowhere"),
        (("--target", "missing.png"), "missing.png could not be read"),
        (("--target", "nosuch://a/b.png"), "nosuch"),
        (("--target", "relative/nothing"), "could not be read"),
        (("--timeout", "0"), "timeout"),
        (("--timeout", "nan"), "timeout"),
        (("--out", "nosuch://bucket/folder/"), "nosuch"),
        (("--conn-id", "tengrai_default", "--face", __file__), "face_image"),
    ],
)
def test_what_is_wrong_on_this_side_is_said_before_anything_is_sent(run, wire, arguments, said):
    done = run(*SWAP, *arguments)
    assert done.code == Exit.USAGE, done.stderr
    assert said in done.told["error"]["message"]
    assert "Traceback" not in done.stderr
    assert not wire.requests


def test_a_file_that_is_there_is_not_replaced_unless_asked_to(run, wire, tmp_path):
    (tmp_path / "mine.png").write_bytes(b"precious")
    done = run(*SWAP, "--out", "mine.png")
    assert done.code == Exit.USAGE
    assert "--overwrite" in done.told["error"]["message"]
    assert not wire.requests


def test_with_overwrite_it_is_replaced(run, pictures, tmp_path):
    (tmp_path / "mine.png").write_bytes(b"old")
    done = run("swap", "--conn-id", "gptunnel_default", *pictures, "--out", "mine.png", "--overwrite")
    assert done.code == Exit.DONE
    assert (tmp_path / "mine.png").read_bytes() != b"old"


def test_a_wrong_command_line_ends_as_any_of_airflows(run):
    assert run("swap", "--target", TARGET).code == Exit.USAGE


def test_what_the_vendor_may_refuse_is_said_before_it_is_paid_for(run, wire):
    wire.will(httpx.Response(402, json={"error": {"message": "top up"}}))
    done = run(*SWAP, "--target", "https://pictures.test/target.webp")
    assert done.stderr.splitlines()[0].startswith("gptunnel: sourceImage looks like WebP")


# -- refused, or over ---------------------------------------------------------------------------------


def test_a_refusal_is_told_in_a_sentence(run, wire):
    wire.will(httpx.Response(402, json={"error": {"message": "top up"}}))
    done = run(*SWAP)
    assert done.code == Exit.FAILED
    assert done.stderr.splitlines() == [done.told["error"]["message"]]
    assert done.told["error"]["message"].startswith("gptunnel: top up [HTTP 402]")


def test_a_vendor_that_cannot_be_reached_has_sold_nothing(run, wire):
    wire.will(*[httpx.ConnectError("no route")] * 3)
    done = run(*SWAP)
    assert done.code == Exit.FAILED
    assert "Nothing was sent" in done.stderr


def test_a_job_that_failed_is_over(run, sandbox):
    landscape = f"{sandbox.url}/samples/landscape.jpg"
    done = run("swap", "--conn-id", "gptunnel_default", "--target", landscape, "--face", landscape)
    assert done.code == Exit.FAILED
    assert done.told["state"] == "failed"
    assert done.told["job_id"]
    assert done.told["resume"] is None


# -- there is a paid job ------------------------------------------------------------------------------


def test_after_the_timeout_the_command_says_how_to_go_on(run, wire, answer):
    wire.will(ACCEPTED, *[answer("idle")] * 99)
    done = run(*SWAP, "--timeout", "8")
    assert done.code == Exit.RESUMABLE
    assert done.told["resume"] == RESUME
    assert done.told["error"]["type"] == "JobTimeoutError"
    assert f"Resume it with: {RESUME}" in done.stderr
    assert "resume_job_id" not in done.stderr


def test_a_key_that_is_withdrawn_meanwhile_leaves_the_job_resumable(run, wire):
    wire.will(ACCEPTED, *[httpx.Response(401, json={"error": {"message": "no"}}) for _ in range(8)])
    done = run(*SWAP)
    assert done.code == Exit.RESUMABLE
    assert done.told["error"]["type"] == "AuthenticationError"


def test_a_picture_that_cannot_be_saved_is_still_to_be_had(run, pictures, monkeypatch, charged):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("airflow_provider_faceswap.archive.place.create", full)
        done = run("swap", "--conn-id", "gptunnel_default", *pictures, "--out", "a b.png")
    assert done.code == Exit.RESUMABLE
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.told["resume"].endswith("--wait --out 'a b.png'")
    again = run("job", "gptunnel_default", done.told["job_id"], "--wait", "--out", "a b.png")
    assert again.code == Exit.DONE
    assert Path("a b.png").exists()
    assert charged() == 1


def test_a_private_host_is_refused_before_the_swap_with_the_setting_that_allows_it(
    run, pictures, monkeypatch, charged
):
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "")
    done = run("swap", "--conn-id", "gptunnel_default", *pictures)
    assert done.code == Exit.USAGE
    assert done.told["error"]["type"] == "InvalidRequestError"
    assert "ALLOWED_PRIVATE_HOSTS=127.0.0.1" in done.stderr
    assert charged() == 0


def test_a_link_that_may_not_be_followed_is_said_with_the_setting_that_opens_it(run, pictures, monkeypatch):
    paid = run("swap", "--conn-id", "gptunnel_default", *pictures)
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "")
    done = run("job", "gptunnel_default", paid.told["job_id"], "--wait", "--out", "again")
    assert done.code == Exit.RESUMABLE
    assert done.told["error"]["type"] == "UnsafeURLError"
    assert "allowed_private_hosts" in done.stderr


def test_a_result_that_is_gone_is_no_reason_to_go_on(run, wire, answer, monkeypatch):
    from airflow_provider_faceswap.exceptions import ResultExpiredError

    def gone(*_, **__):
        raise ResultExpiredError("it answers HTTP 404")

    monkeypatch.setattr("airflow_provider_faceswap.archive.store.download", gone)
    wire.will(ACCEPTED, answer("done", percent=100, result="https://files.test/a.png"))
    done = run(*SWAP)
    assert done.code == Exit.FAILED
    assert done.told["error"]["type"] == "ResultExpiredError"


# -- nobody knows -------------------------------------------------------------------------------------


def test_a_create_without_an_answer_has_a_code_of_its_own(run, pictures, fault, charged):
    fault("gptunnel", "create", type="drop", when="after")
    done = run("swap", "--conn-id", "gptunnel_default", *pictures)
    assert done.code == Exit.UNCERTAIN
    assert "Look in the vendor's job list before you swap again" in done.stderr
    assert "on_uncertain" not in done.stderr
    assert charged() == 1


def test_where_the_vendor_has_a_list_the_job_is_found_in_it(run, pictures, fault, charged):
    fault("tengrai", "create", type="drop", when="after")
    done = run("swap", "--conn-id", "tengrai_default", *pictures)
    assert done.code == Exit.DONE
    assert charged() == 1


# -- Ctrl-C -------------------------------------------------------------------------------------------


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def interrupt(request):
    """A signal to this process, as from a keyboard or from ``timeout``."""
    return lambda: signal.raise_signal(request.param)


def test_ctrl_c_while_waiting_says_what_becomes_of_the_job(run, wire, hasty, monkeypatch, interrupt):
    monkeypatch.setattr(hasty, "sleep", lambda _seconds: interrupt())
    wire.will(ACCEPTED)
    done = run(*SWAP)
    assert done.code == Exit.RESUMABLE
    assert done.told["job_id"] == JOB_ID
    assert done.told["resume"] == RESUME
    assert "The job keeps running at the vendor" in done.stderr


def test_ctrl_c_during_the_purchase_waits_for_the_id(run, wire, interrupt):
    def answered_late():
        interrupt()
        return ACCEPTED

    wire.will(answered_late)
    done = run(*SWAP)
    assert done.code == Exit.RESUMABLE
    assert done.told["resume"] == RESUME
    assert "Interrupt again to leave at once" in done.stderr


def test_ctrl_c_twice_during_the_purchase_leaves_at_once_and_says_so(run, wire, interrupt):
    def never_answered():
        interrupt()
        threading.Event().wait(0.5)  # two signals that wait together are one
        interrupt()
        # A request has a thread of its own; signals reach the main thread.
        threading.Event().wait(5)
        raise AssertionError("the second interrupt was held back too")

    wire.will(never_answered)
    done = run(*SWAP)
    assert done.code == Exit.UNCERTAIN
    assert done.told["job_id"] is None
    assert "Look in the vendor's job list" in done.stderr


def test_ctrl_c_during_a_purchase_that_is_refused_is_a_refusal(run, wire, interrupt):
    def refused():
        interrupt()
        return httpx.Response(402, json={"error": {"message": "empty"}})

    wire.will(refused)
    assert run(*SWAP).code == Exit.FAILED


def test_ctrl_c_before_the_purchase_has_cost_nothing(run, wire, monkeypatch, interrupt):
    monkeypatch.setattr(commands, "_picture", lambda _given: interrupt())
    done = run(*SWAP)
    assert done.code == Exit.INTERRUPTED
    assert done.told["error"] == {
        "type": "KeyboardInterrupt",
        "message": "Interrupted. Nothing was submitted.",
    }
    assert not wire.requests


def test_what_nohup_ignores_stays_ignored(run, wire, hasty, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr(hasty, "sleep", lambda _seconds: signal.raise_signal(signal.SIGHUP))
        wire.will(ACCEPTED, {"id": JOB_ID, "status": "failed", "error": "engine broke"})
        assert run(*SWAP).code == Exit.FAILED
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_signals_are_given_back(run, wire):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    wire.will(httpx.Response(402, json={}))
    run(*SWAP)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


# -- secrets ------------------------------------------------------------------------------------------

KEY = "shds-3f9a7c1e5b8d4260a1c3e5f7092b4d6e"
SIGNATURE = "X-Amz-Signature=5d41402abc4b2a76b9719d911017c592ae2b7c3d"


@pytest.mark.parametrize("output", ["json", "table", "plain", "yaml"])
def test_neither_a_key_nor_a_signed_query_is_ever_shown(run, wire, connections, answer, monkeypatch, output):
    connections("https://vendor.test", key=KEY)
    signed = f"https://files.test/a.png?{SIGNATURE}"
    shown = []
    for ending in (
        (ACCEPTED, answer("done", percent=100, result=signed)),
        (ACCEPTED, answer("failed", error={"message": f"cannot fetch {signed} with {KEY}"})),
        (httpx.Response(400, json={"error": {"message": f"bad link {signed} for {KEY}"}}),),
    ):
        wire.answers.clear()
        wire.will(*ending)
        with monkeypatch.context() as here:
            here.setattr(
                "airflow_provider_faceswap.archive.store.download", lambda url, *_, **__: [][len(url) :][0]
            )
            done = run(*SWAP, "--target", f"{TARGET}?{SIGNATURE}", output=output)
        shown.append(done.stdout + done.stderr)
    assert all(shown)
    assert not [text for text in shown if KEY in text or SIGNATURE in text]
    assert "https://files.test/a.png" in shown[0]
    assert FACE not in shown[2]
