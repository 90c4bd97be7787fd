"""``airflow faceswap batch``: a job for each row of a file, and nothing paid twice however often it is repeated."""

from __future__ import annotations

import csv
import fcntl
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from airflow_provider_faceswap.cli.exits import Exit

pytestmark = pytest.mark.usefixtures("no_waiting_between_tries")

FIELDS = ["target_image", "face_image", "filename"]


@pytest.fixture
def items(sandbox, tmp_path):
    """Write a file of swaps."""

    def write(number=3, *more):
        path = tmp_path / "items.csv"
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(FIELDS)
            for one in range(number):
                rows.writerow(
                    (
                        f"{sandbox.url}/samples/emil.png?{one}",
                        f"{sandbox.url}/samples/anna.jpg",
                        f"one-{one}",
                    )
                )
            rows.writerows(more)
        return path

    return write


def budget(folder, amount, unit="RUB"):
    """The JSON of a budget."""
    fields = {"uri": f"file://{folder}", "amount": amount, "unit": unit, "per": "ever", "warn_at": 0.5}
    return json.dumps(fields)


BATCH = ("batch", "--conn-id", "gptunnel_default", "--out", "out")


@pytest.mark.sandbox
def test_every_row_is_a_picture_and_the_same_command_buys_nothing_again(run, items, charged, tmp_path):
    done = run(*BATCH, items())
    assert (done.code, charged()) == (Exit.DONE, 3)
    assert {name: done.told[name] for name in ("ending", "total", "archived", "failed", "error")} == {
        "ending": "done",
        "total": 3,
        "archived": 3,
        "failed": 0,
        "error": None,
    }
    assert sorted(path.name for path in (tmp_path / "out").glob("one-*.png")) == [
        "one-0.png",
        "one-1.png",
        "one-2.png",
    ]
    manifest = Path(done.told["manifest_uri"].removeprefix("file://"))
    assert manifest.name.startswith("batch-items.csv-")
    assert len(manifest.read_text().splitlines()) == 3
    again = run(*BATCH, tmp_path / "items.csv")
    assert (again.code, again.told["reused"], charged()) == (Exit.DONE, 3, 3)
    # A row that is added later is all that is bought.
    assert run(*BATCH, items(4)).code == Exit.DONE
    assert charged() == 4


@pytest.mark.sandbox
def test_other_records_are_another_purchase(run, items, charged):
    assert run(*BATCH, items(1)).code == run(*BATCH, items(1), "--records", "other").code == Exit.DONE
    assert charged() == 2


@pytest.mark.sandbox
def test_a_row_that_fails_is_told_and_the_others_are_kept(run, items, sandbox, charged):
    path = items(2)
    fault = {"type": "fail_job", "message": "no face found"}
    httpx.post(
        f"{sandbox.url}/sandbox/faults",
        json={"vendor": "gptunnel", "operation": "create", "times": 1, "fault": fault},
    ).raise_for_status()
    done = run(*BATCH, path, "--concurrency", 1)
    assert (done.code, done.told["archived"], done.told["failed"]) == (Exit.FAILED, 1, 1)
    assert "1 of 2 items failed" in done.told["error"]["message"]


@pytest.mark.sandbox
def test_a_budget_stops_the_batch_and_the_same_command_goes_on_with_more(run, items, charged, tmp_path):
    path, folder = items(3), tmp_path / "budget"
    first = run(*BATCH, path, "--price", 15, "--budget", budget(folder, 40))
    assert (first.code, charged()) == (Exit.RESUMABLE, 2)
    assert first.told["error"]["type"] == "BudgetExceededError"
    assert "1 items are left" in first.told["error"]["message"]
    assert "continues from here with a higher amount" in first.stderr
    # The warning comes once a period: this command says it, or nobody does.
    assert "75 % is spent or reserved" in first.stderr
    assert run(*BATCH, path, "--price", 15, "--budget", budget(folder, 45)).code == Exit.DONE
    assert charged() == 3
    shown = run("budget", f"file://{folder}")
    assert {row["dag_id"] for row in shown.told["entries"]} == {"airflow faceswap batch"}


def test_a_wrong_row_buys_nothing(run, wire, tmp_path):
    (tmp_path / "items.csv").write_text("target_image,face_image\nnowhere,https://pictures.test/face.jpg\n")
    done = run(*BATCH, "items.csv")
    assert done.code == Exit.USAGE
    assert "1 of 1 items are wrong" in done.told["error"]["message"]
    assert "Nothing was bought." in done.stderr
    assert wire.requests == []


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("none.csv",), "could not be read"),
        (("items.txt",), "the name of a file must end in"),
        (("items.csv", "--concurrency", 0), "--concurrency"),
        (("items.csv", "--timeout", -1), "--timeout"),
        (("items.csv", "--kind", "sing"), "sing"),
        (("items.csv", "--records", "s3://bucket/records"), "--records: must be a folder on this disk"),
        (("items.csv", "--records", "items.csv"), "--records"),
        (("items.csv", "--price", "much"), "--price"),
        (("items.csv", "--price", "0"), "--price: must be above 0"),
        (("items.csv", "--budget", "{}"), "budget: "),
        (("items.csv", "--budget", budget("/{{ ds }}", 1)), "a template"),
        (("items.csv", "--budget", budget("/b", 1, unit="point")), "RUB"),
    ],
)
def test_a_wrong_argument_buys_nothing(run, wire, tmp_path, more, text):
    (tmp_path / "items.csv").write_text("target_image,face_image\n")
    done = run(*BATCH, *more)
    assert done.code == Exit.USAGE
    assert text in done.told["error"]["message"]
    assert wire.requests == []


def test_two_commands_do_not_work_with_the_same_records(run, wire, tmp_path):
    (tmp_path / "items.csv").write_text("target_image,face_image\n")
    records = tmp_path / "items.csv.records"
    records.mkdir()
    with (records / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = run(*BATCH, "items.csv")
    assert done.code == Exit.USAGE
    assert "another command is at work" in done.told["error"]["message"]


def recorded(path):
    """The number of jobs in the records of a file of items."""
    files = [
        file for file in Path(f"{path.name}.records").rglob("*") if file.name != "lock" and file.is_file()
    ]
    return sum(file.read_text().count('"job_id": "') for file in files)


@pytest.mark.sandbox
@pytest.mark.program
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_is_ended_goes_on_when_it_is_repeated(run, items, charged, tmp_path, number):
    path, folder = items(4), tmp_path / "budget"
    bought = ("--price", "15", "--budget", budget(folder, 60))
    command = [
        sys.executable,
        "-m",
        "airflow_provider_faceswap.cli",
        *BATCH,
        path,
        *bought,
        "--output",
        "json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 60
        # What was charged a moment ago may not be recorded yet, and would be uncertain.
        while recorded(path) < 4 and time.monotonic() < until:
            time.sleep(0.05)
        running.send_signal(number)
        told, _ = running.communicate(timeout=60)
    if number == signal.SIGINT:
        assert running.returncode == Exit.RESUMABLE
        assert json.loads(told)["ending"] == "resumable"
    # The file may have another name by now. Its records are the same, and so is who buys with them.
    again = run(*BATCH, path.rename(tmp_path / "rows.csv"), *bought, "--records", f"{path.name}.records")
    assert (again.code, again.told["archived"], charged()) == (Exit.DONE, 4, 4)
    sums = run("budget", f"file://{folder}").told
    assert [sums[name] for name in ("spent", "bought", "reserved")] == ["60", "0", "0"]
