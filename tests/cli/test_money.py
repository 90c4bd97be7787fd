"""``airflow faceswap budget`` and ``costs``."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.archive.sources import ArchiveSource
from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.budgets import Budget
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.jobs import GivenResult, Job, JobState

TASK = {"dag_id": "a_dag", "run_id": "a_run", "task_id": "swap", "map_index": -1}


@pytest.fixture
def account(tmp_path):
    budget = Budget(f"file://{tmp_path}/budget", amount=100, unit="RUB", per="ever")
    return budget.account(datetime(2027, 1, 1, tzinfo=UTC), TASK)


def about(**more):
    return {**TASK, "vendor": "gptunnel", "conn_id": "c", "kind": "face_swap", "unit": "RUB", **more}


def test_a_budget_is_shown_by_dag_run_and_job(run, account, tmp_path):
    account.reserve("one", Decimal(15), about(cap="100"))
    account.reserve("two", Decimal(15), about(cap="100"))
    account.bought("two", None, about(job_id="j2"))
    account.settle("one", Decimal(12), about(job_id="j1"))
    told = run("budget", tmp_path / "budget").told
    assert {name: told[name] for name in ("period", "unit", "spent", "bought", "reserved")} == {
        "period": "ever",
        "unit": "RUB",
        "spent": "12",
        "bought": "15",
        "reserved": "0",
    }
    assert [(entry["dag_id"], entry["run_id"], entry["job_id"]) for entry in told["entries"]] == [
        ("a_dag", "a_run", "j2"),
        ("a_dag", "a_run", "j1"),
    ]
    assert "a_dag/a_run/swap gptunnel job j2" in run("budget", tmp_path / "budget", output="table").stdout


def test_what_is_left_is_settled_by_polling_its_job(run, account, tmp_path, monkeypatch):
    def fetch(self, job_id, kind):
        state = {"j1": JobState.SUCCEEDED, "j2": JobState.RUNNING}[job_id]
        return Job(vendor="gptunnel", kind=kind, job_id=job_id, state=state, status="x")

    monkeypatch.setattr(GPTunnelHook, "fetch", fetch)
    for number in (1, 2):
        account.reserve(f"key-{number}", Decimal(15), about())
        account.bought(f"key-{number}", None, about(job_id=f"j{number}"))
    told = run("budget", tmp_path / "budget", "--settle").told
    assert (told["spent"], told["bought"]) == ("15", "15")


def test_a_person_settles_what_only_a_person_knows(run, account, tmp_path):
    account.reserve("lost-1", Decimal(15), about())
    account.reserve("lost-2", Decimal(15), about())
    told = run("budget", tmp_path / "budget", "--set", "lost-1=0", "--set", "lost-2=14.5").told
    assert (told["spent"], told["reserved"]) == ("14.5", "0")


@pytest.mark.parametrize(
    "wrong", [("--set", "no-such=1"), ("--set", "lost=-1"), ("--period", "2001-01-01"), ("--period", "../x")]
)
def test_a_wrong_argument_is_said_and_changes_nothing(run, account, tmp_path, wrong):
    account.reserve("lost", Decimal(15), about())
    done = run("budget", tmp_path / "budget", *wrong)
    assert done.code == 2
    assert done.stderr
    assert run("budget", tmp_path / "budget").told["reserved"] == "15"


def test_a_folder_without_a_budget_is_said(run, tmp_path):
    assert run("budget", tmp_path / "nothing").code == 2


@pytest.fixture
def spent(tmp_path):
    """Spend an amount of a budget in a period; the storage wrote it at that moment."""

    def spend(per, amount, day=1, run_id="a_run"):
        moment = datetime(2027, 1, day, tzinfo=UTC)
        task = {**TASK, "run_id": run_id}
        account = Budget(f"file://{tmp_path}/budget", amount=100, unit="RUB", per=per).account(moment, task)
        account.reserve(f"key-{run_id}", Decimal(amount), about(run_id=run_id))
        account.settle(f"key-{run_id}", Decimal(amount), about(run_id=run_id))
        folder = tmp_path / "budget" / account.period.name
        for path in folder.rglob("*"):
            os.utime(path, (moment.timestamp(), moment.timestamp()))
        return folder

    return spend


@pytest.mark.parametrize("foreign", ["README.md", "_SUCCESS", "zz", "2027-01-09.bak", "run-1", "2027-1-9"])
@pytest.mark.parametrize("is_folder", [True, False])
def test_what_is_no_period_does_not_count_for_the_last_one(run, spent, tmp_path, foreign, is_folder):
    spent("day", 10, day=1)
    spent("day", 20, day=2)
    other = tmp_path / "budget" / foreign
    if is_folder:
        other.mkdir()
        (other / "file").touch()
    else:
        other.touch()
    told = run("budget", tmp_path / "budget").told
    assert (told["period"], told["spent"]) == ("2027-01-02", "20")


def test_a_file_with_the_name_of_a_period_is_none(run, spent, tmp_path):
    spent("day", 10)
    (tmp_path / "budget" / "2027-01-09").touch()
    assert run("budget", tmp_path / "budget").told["period"] == "2027-01-01"
    assert run("budget", tmp_path / "budget", "--period", "2027-01-09").code == 2


@pytest.mark.parametrize("runs", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_of_runs_the_one_that_was_written_last_is_shown(run, spent, tmp_path, runs):
    for day, run_id in enumerate(runs, 1):
        spent("run", day, day, run_id)
    told = run("budget", tmp_path / "budget").told
    assert (told["entries"][0]["run_id"], told["spent"]) == (runs[-1], "3")


@pytest.mark.parametrize(
    ("before", "now", "name"),
    [("ever", "day", "2027-01-02"), ("day", "month", "2027-01"), ("run", "ever", "ever")],
)
def test_a_budget_whose_periods_became_others_shows_the_one_that_was_written_last(
    run, spent, tmp_path, before, now, name
):
    spent(before, 10, day=1)
    spent(now, 20, day=2)
    assert run("budget", tmp_path / "budget").told["period"] == name


def test_where_a_storage_does_not_say_what_was_written_last_a_run_must_be_named(
    run, spent, tmp_path, monkeypatch
):
    folders = [spent("run", 10, 1, "a"), spent("run", 10, 2, "b")]
    monkeypatch.setattr("airflow_provider_faceswap.storage.listing._written", lambda _: None)
    done = run("budget", tmp_path / "budget")
    assert done.code == 2
    assert "--period" in done.stderr
    assert all(folder.name in done.stderr for folder in folders)


def test_the_folder_of_the_prices_is_no_period(run, spent, tmp_path):
    spent("day", 10)
    (tmp_path / "budget" / "prices").mkdir()
    assert run("budget", tmp_path / "budget", "--period", "prices").code == 2


@pytest.fixture
def archived(tmp_path, picture):
    def keep(dag, job_id, amount, day="2027-01-01", outputs=1, parents=()):
        archive = Archive(
            ObjectStoragePath(f"file://{tmp_path}/kept"),
            filename=None,
            overwrite="replace",
            max_bytes=1_000_000,
            open_hosts=(),
            run=RunInfo(dag_id=dag),
        )
        result = GivenResult(
            vendor="gptunnel",
            kind="face_swap",
            job_id=job_id,
            url=None,
            cost={"amount": amount, "unit": "RUB"} if amount is not None else None,
            finished_at=f"{day}T10:00:00Z",
            provenance={"arguments": {}, "parents": list(parents)},
        )
        for position in range(outputs):
            archive.keep(
                ArchiveSource(url=None, data=picture(), result=result, position=position, of=outputs)
            )

    return keep


def test_costs_are_added_up_from_manifests_and_each_job_counts_once(run, archived, tmp_path):
    parent = {"vendor": "gptunnel", "kind": "imagine", "job_id": "p1", "cost": {"amount": 18, "unit": "RUB"}}
    archived("first", "j1", 15, outputs=2)
    archived("first", "j2", 15, parents=[parent])
    archived("second", "j3", None)
    rows = json.loads(run("costs", tmp_path / "kept").stdout)
    assert rows == [
        {"dag": "first", "vendor": "gptunnel", "jobs": 3, "amount": "48", "unit": "RUB"},
        {"dag": "second", "vendor": "gptunnel", "jobs": 1, "amount": None, "unit": None},
    ]


def test_costs_are_added_up_by_day_as_csv_without_formulas(run, archived, tmp_path):
    archived("=cmd()", "j1", 15)
    archived("=cmd()", "j2", 15, day="2027-01-02")
    done = run("costs", tmp_path / "kept", "--by", "dag,day", output="csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["dag"], row["day"], row["amount"]) for row in rows] == [
        ("'=cmd()", "2027-01-01", "15"),
        ("'=cmd()", "2027-01-02", "15"),
    ]


def test_an_unknown_column_is_said(run, archived, tmp_path):
    archived("first", "j1", 15)
    assert run("costs", tmp_path / "kept", "--by", "planet").code == 2


@pytest.fixture
def changed(tmp_path):
    """Change the manifest of a job; returns its path."""

    def change(job_id, **more):
        for path in (tmp_path / "kept").rglob("*.json"):
            manifest = json.loads(path.read_text())
            if manifest["job"]["job_id"] == job_id:
                manifest["job"].update(more)
                path.write_text(json.dumps(manifest))
                return path
        raise LookupError(job_id)

    return change


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), True, -100, 1e300, "15", None, [15]])
def test_a_cost_that_is_no_amount_of_money_counts_as_not_known_and_this_is_said(
    run, archived, changed, tmp_path, amount
):
    archived("first", "good", 15)
    archived("first", "damaged", 15)
    changed("damaged", cost={"amount": amount, "unit": "RUB"})
    done = run("costs", tmp_path / "kept")
    assert json.loads(done.stdout) == [
        {"dag": "first", "vendor": "gptunnel", "jobs": 1, "amount": None, "unit": None},
        {"dag": "first", "vendor": "gptunnel", "jobs": 1, "amount": "15", "unit": "RUB"},
    ]
    assert "gptunnel job damaged" in done.stderr
    assert "good" not in done.stderr


def test_a_cost_without_a_unit_counts_as_not_known_and_this_is_said(run, archived, changed, tmp_path):
    archived("first", "damaged", 15)
    changed("damaged", cost={"amount": 15, "unit": None})
    done = run("costs", tmp_path / "kept")
    assert [(row["amount"], row["unit"]) for row in json.loads(done.stdout)] == [(None, None)]
    assert "gptunnel job damaged" in done.stderr


def test_a_vendor_that_reports_no_costs_is_no_reason_for_a_warning(run, archived, tmp_path):
    archived("first", "free", None)
    assert not run("costs", tmp_path / "kept").stderr.strip()


@pytest.mark.parametrize("damage", ["dangling", "empty", "cut"])
def test_a_manifest_that_cannot_be_read_is_left_out_and_this_is_said(run, archived, tmp_path, damage):
    archived("first", "good", 15)
    bad = tmp_path / "kept" / "bad.png.json"
    if damage == "dangling":
        bad.symlink_to(tmp_path / "nowhere")
    else:
        bad.write_bytes(b"" if damage == "empty" else b'{"file": {')
    done = run("costs", tmp_path / "kept")
    assert (done.code, [row["amount"] for row in json.loads(done.stdout)]) == (0, ["15"])
    assert "bad.png.json" in done.stderr


def test_other_json_is_left_out_without_a_word(run, archived, tmp_path):
    archived("first", "good", 15)
    (tmp_path / "kept" / "package.json").write_text("{}")
    done = run("costs", tmp_path / "kept")
    assert [row["amount"] for row in json.loads(done.stdout)] == ["15"]
    assert not done.stderr.strip()


def test_a_storage_that_fails_is_not_a_folder_without_costs(run, archived, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("storage said no")

    archived("first", "good", 15)
    monkeypatch.setattr(ObjectStoragePath(f"file://{tmp_path}").fs, "cat_file", refuse)
    assert run("costs", tmp_path / "kept").code == 1


@pytest.mark.parametrize("before", [True, False])
def test_a_job_counts_for_the_dag_that_archived_it_before_one_that_used_it(
    run, archived, changed, tmp_path, before
):
    parent = {"vendor": "gptunnel", "kind": "image", "job_id": "p1", "cost": {"amount": 18, "unit": "RUB"}}
    archived("buyer", "p1", 18)
    archived("user", "j1", 15, parents=[parent])
    own = changed("p1")
    own.rename(own.with_name("0.png.json" if before else "~.png.json"))
    rows = json.loads(run("costs", tmp_path / "kept", "--by", "dag").stdout)
    assert [(row["dag"], row["amount"]) for row in rows] == [("buyer", "18"), ("user", "15")]


def test_a_job_that_was_only_reused_here_counts_for_the_dag_that_paid(run, archived, tmp_path):
    parent = {"vendor": "gptunnel", "kind": "image", "job_id": "p1", "cost": {"amount": 18, "unit": "RUB"}}
    archived("reuser", "p1", 0)
    archived("payer", "j1", 15, parents=[parent])
    rows = json.loads(run("costs", tmp_path / "kept", "--by", "dag").stdout)
    assert [(row["dag"], row["amount"]) for row in rows] == [("payer", "33")]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_no_cell_of_the_csv_begins_like_a_formula(run, archived, tmp_path, first):
    archived(f"{first}1+1", "j1", 15)
    done = run("costs", tmp_path / "kept", output="csv")
    [row] = csv.DictReader(io.StringIO(done.stdout))
    assert row["dag"].startswith("'")


def test_the_csv_of_an_empty_folder_has_the_same_columns(run, tmp_path):
    (tmp_path / "kept").mkdir()
    done = run("costs", tmp_path / "kept", "--by", "day,dag", output="csv")
    assert done.stdout == "day,dag,jobs,amount,unit\n"
