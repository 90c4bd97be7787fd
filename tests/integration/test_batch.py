"""Thousands of jobs in one task: each paid once, each archived at once, and every ending told."""

from __future__ import annotations

import json
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from airflow_provider_faceswap.batch.options import JobOptions
from airflow_provider_faceswap.exceptions import (
    BatchFailedError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobCanceledError,
)
from airflow_provider_faceswap.operators.batch import KEY, FaceSwapBatchOperator

pytestmark = pytest.mark.sandbox

CONNECTION = "gptunnel_default"


@pytest.fixture
def items(sandbox):
    """So many different items."""

    def make(number, start=0):
        return [
            {
                "target_image": f"{sandbox.url}/samples/emil.png",
                "face_image": f"{sandbox.url}/samples/anna.jpg?n={start + n}",
            }
            for n in range(number)
        ]

    return make


@pytest.fixture
def batch(tmp_path, context):
    """Run a batch, whose log is kept; what it returns."""
    told = []

    def run(items, **more):
        more = {"conn_id": CONNECTION, "concurrency": 8, "timeout": 86_400, **more}
        operator = FaceSwapBatchOperator(
            task_id="batch", items=items, destination=f"file://{tmp_path}/pictures", **more
        )
        for level in ("info", "warning"):
            setattr(operator.log, level, lambda text, *args: told.append(text % args if args else text))
        run.operator = operator
        return operator.execute(context)

    run.told = told
    run.folder = tmp_path / "pictures"
    return run


@pytest.fixture
def fault(sandbox):
    """Order a trouble at GPTunneL."""

    def order(operation, times=1, skip=0, **what):
        body = {"vendor": "gptunnel", "operation": operation, "times": times, "skip": skip, "fault": what}
        httpx.post(f"{sandbox.url}/sandbox/faults", json=body).raise_for_status()

    return order


def bills(sandbox):
    return httpx.get(f"{sandbox.url}/sandbox/ledger").json()


def pictures(batch):
    return sorted(path.name for path in batch.folder.glob("*.png"))


def manifest(batch):
    [path] = batch.folder.glob("batch-*.jsonl")
    return sorted(
        (json.loads(line) for line in path.read_text().splitlines()), key=lambda line: line["position"]
    )


def test_every_item_is_bought_once_and_archived_at_once(sandbox, items, batch, store):
    summary = batch(items(20))
    assert bills(sandbox)["creates"] == 20
    assert len(pictures(batch)) == 20
    assert (summary["total"], summary["archived"], summary["failed"], summary["reused"]) == (20, 20, 0, 0)
    assert summary["cost"] == {"RUB": 300.0}
    assert Path(summary["manifest_uri"].removeprefix("file://")).exists()
    lines = manifest(batch)
    assert [line["position"] for line in lines] == list(range(20))
    assert len({line["job_id"] for line in lines}) == 20
    assert all(Path(line["files"][0]["uri"].removeprefix("file://")).exists() for line in lines)


def test_neither_records_nor_manifest_hold_a_query_or_a_key(sandbox, items, batch, store):
    batch([{**items(1)[0], "target_image": f"{sandbox.url}/samples/emil.png?sig=planted"}])
    assert "planted" not in json.dumps(store.values)
    assert "planted" not in json.dumps(manifest(batch))
    assert sandbox.key not in json.dumps(store.values) + json.dumps(manifest(batch))


def test_a_second_try_pays_nothing_and_archives_nothing_twice(sandbox, items, batch):
    batch(items(6))
    downloads = bills(sandbox)["requests"]["files"]["download"]
    summary = batch(items(6))
    assert bills(sandbox)["creates"] == 6
    assert bills(sandbox)["requests"]["files"]["download"] == downloads
    assert (summary["archived"], summary["reused"], summary["cost"]) == (6, 6, {})
    assert len(manifest(batch)) == 6


def test_a_list_in_another_order_is_the_same_list(sandbox, items, batch):
    batch(items(6))
    batch(items(6)[::-1] + items(2, start=6))
    assert bills(sandbox)["creates"] == 8


@pytest.mark.parametrize("number", [3, 4, 5, 9])
def test_no_item_is_lost_where_items_are_read_in_chunks(sandbox, items, batch, monkeypatch, number):
    monkeypatch.setattr("airflow_provider_faceswap.batch.runner.CHUNK", 4)
    assert batch(items(number))["archived"] == number
    assert [line["position"] for line in manifest(batch)] == list(range(number))
    assert bills(sandbox)["creates"] == number


def test_items_that_change_while_they_are_worked_on_are_said(items, batch, tmp_path, monkeypatch):
    file, check = tmp_path / "a.jsonl", JobOptions.check
    file.write_text("\n".join(json.dumps(item) for item in items(3)))

    def then_cut(self, found):
        total = check(self, found)
        file.write_text(json.dumps(items(1)[0]))
        return total

    monkeypatch.setattr(JobOptions, "check", then_cut)
    with pytest.raises(BatchFailedError, match="3 items were checked at the start, 1 were processed"):
        batch(f"file://{file}")


def test_two_equal_items_are_two_jobs(sandbox, items, batch):
    batch(items(1) * 2)
    batch(items(1) * 2)
    assert bills(sandbox)["creates"] == 2
    assert len(pictures(batch)) == 2


def test_a_cleared_batch_takes_its_jobs_up_again(sandbox, items, batch, context, monkeypatch):
    batch(items(3))
    monkeypatch.setattr(context["ti"], "max_tries", 1, raising=False)
    for path in batch.folder.glob("*"):
        path.unlink()
    assert batch(items(3))["archived"] == 3
    assert bills(sandbox)["creates"] == 3
    assert len(pictures(batch)) == 3


def test_a_failed_item_is_told_and_the_others_go_on(sandbox, items, batch, fault):
    fault("create", type="fail_job", message="something broke")
    with pytest.raises(BatchFailedError, match=r"1 of 5 items failed \(1 JobFailedError\); 4 are archived"):
        batch(items(5), concurrency=1)
    assert len(pictures(batch)) == 4
    [failed] = [line for line in manifest(batch) if line["status"] == "failed"]
    assert (failed["position"], failed["error"]) == (0, "JobFailedError")
    assert "something broke" in failed["message"]
    assert batch(items(5))["archived"] == 5
    assert bills(sandbox)["creates"] == 6, "the retry buys the failed one anew, and no other"


def test_what_a_retry_cannot_help_is_not_tried_again(sandbox, items, batch, fault):
    fault("create", type="fail_job", message="no face found")
    for _ in range(2):
        with pytest.raises(BatchFailedError, match="1 NoFaceError"):
            batch(items(3), concurrency=1)
    assert bills(sandbox)["creates"] == 3


@pytest.mark.parametrize(
    ("fail_on", "failed", "fails"),
    [
        ("any", 1, True),
        ("all", 3, False),
        ("all", 4, True),
        (0.5, 1, False),
        (0.5, 2, True),
        (1.0, 4, True),
    ],
)
def test_how_many_may_fail_is_a_choice(items, batch, fault, fail_on, failed, fails):
    fault("create", times=failed, type="fail_job", message="something broke")
    if fails:
        with pytest.raises(BatchFailedError):
            batch(items(4), fail_on=fail_on)
    else:
        summary = batch(items(4), fail_on=fail_on)
        assert (summary["failed"], summary["errors"]) == (failed, {"JobFailedError": failed})


def test_an_account_without_money_stops_the_rest_but_not_what_runs(sandbox, items, batch):
    httpx.post(f"{sandbox.url}/sandbox/settings", json={"balance": {"RUB": 45.0}}).raise_for_status()
    with pytest.raises(InsufficientBalanceError, match=r"the batch stopped early: 3 of 30 archived"):
        batch(items(30), concurrency=3)
    assert bills(sandbox)["creates"] == 3
    lines = manifest(batch)
    assert len(lines) == 30
    assert sum(line["status"] == "not started" for line in lines) >= 20


def test_a_create_without_an_answer_is_uncertain_and_not_repeated(sandbox, items, batch, fault):
    fault("create", type="drop", when="after")
    for _ in range(2):
        with pytest.raises(BatchFailedError, match="1 SubmissionUncertainError"):
            batch(items(4), concurrency=2)
    assert bills(sandbox)["creates"] == 4


def test_an_uncertain_item_stays_so_when_the_batch_is_cleared(
    sandbox, items, batch, fault, context, monkeypatch
):
    fault("create", type="drop", when="after")
    for epoch in (0, 1, 2):
        monkeypatch.setattr(context["ti"], "max_tries", epoch, raising=False)
        with pytest.raises(BatchFailedError, match="1 SubmissionUncertainError"):
            batch(items(2), concurrency=1)
    assert bills(sandbox)["creates"] == 2
    monkeypatch.setattr(context["ti"], "max_tries", 3, raising=False)
    assert batch(items(2), on_uncertain="resubmit")["archived"] == 2
    assert bills(sandbox)["creates"] == 3


def test_a_vendor_that_is_busy_is_given_time(sandbox, items, batch, fault):
    fault("create", times=6, type="status", status=429, retry_after=0.05)
    assert batch(items(4))["archived"] == 4
    assert bills(sandbox)["creates"] == 4


def test_a_vendors_own_limit_bounds_what_runs_at_once(sandbox, items, batch, monkeypatch):
    seen = []
    fetch = sandbox.sandbox.find

    def find(vendor, job_id):
        now = sandbox.sandbox.now()
        jobs = list(sandbox.sandbox.jobs.values())
        seen.append(sum(job.phase(now) in {"queued", "running"} for job in jobs))
        return fetch(vendor, job_id)

    monkeypatch.setattr(sandbox.sandbox, "find", find)
    batch(items(12), conn_id="piapi_default", concurrency=12)
    assert 1 <= max(seen) <= 5
    assert "piapi allows 5 jobs at once for this account" in batch.told


def test_a_picture_that_cannot_be_written_is_kept_by_the_retry(sandbox, items, batch, monkeypatch):
    from airflow_provider_faceswap.archive import place

    create, calls = place.create, []

    def once_full(path, *file):
        calls.append(path)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        create(path, *file)

    monkeypatch.setattr(place, "create", once_full)
    with pytest.raises(BatchFailedError, match="1 ArchiveError"):
        batch(items(3), concurrency=1)
    assert batch(items(3))["archived"] == 3
    assert bills(sandbox)["creates"] == 3


# -- where it crashes ---------------------------------------------------------------------------------


class Died(BaseException):
    pass


@pytest.mark.parametrize("step", range(1, 9))
def test_a_batch_that_dies_at_any_write_goes_on_without_paying_twice(
    sandbox, items, batch, store, monkeypatch, step
):
    """The store dies with the process: whatever it had, it has; what was on its way, it has not."""
    calls, write = [], type(store).set

    def dies(self, key, value, **options):
        calls.append(key)
        if len(calls) >= step:
            raise Died
        write(self, key, value, **options)

    monkeypatch.setattr(type(store), "set", dies)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    crashed = run_and_kill(batch, items(6))
    monkeypatch.setattr(type(store), "set", write)
    # On a slow machine more is written together, and the batch may need fewer writes.
    assert crashed is (len(calls) >= step)
    with suppress(BatchFailedError):
        batch(items(6))
    uncertain = sum(line.get("error") == "SubmissionUncertainError" for line in manifest(batch))
    assert bills(sandbox)["creates"] <= 6
    assert {line.get("error") for line in manifest(batch)} <= {None, "SubmissionUncertainError"}
    assert len(pictures(batch)) == 6 - uncertain


def run_and_kill(batch, items):
    """Run until the store is dead; the process ends there."""
    try:
        batch(items, concurrency=2)
    except (FaceSwapError, Died):
        return True
    return False


def test_a_store_that_cannot_be_written_stops_everything_before_a_create(sandbox, items, batch, store):
    store.broken_for = "set"
    with pytest.raises(FaceSwapError, match="could not be written"):
        batch(items(3))
    assert bills(sandbox)["creates"] == 0


def test_a_store_that_cannot_be_read_is_not_an_empty_one(sandbox, items, batch, store):
    store.broken_for = "get"
    with pytest.raises(FaceSwapError, match="ConnectionError: store is down"):
        batch(items(3))
    assert bills(sandbox)["creates"] == 0


def test_a_batch_ended_by_a_person_starts_nothing_more_and_cancels(sandbox, items, batch, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.operators._batch_kill.task_state_sync", lambda _: "failed")
    sandbox.sandbox.job_seconds = 5.0
    accept = sandbox.sandbox.accept

    def then_killed(*args, **more):
        job = accept(*args, **more)
        if len(sandbox.sandbox.entries) == 2:
            threading.Timer(0.3, batch.operator.on_kill).start()
        return job

    monkeypatch.setattr(sandbox.sandbox, "accept", then_killed)
    with pytest.raises((BatchFailedError, JobCanceledError)):
        batch(items(6), conn_id="piapi_default", concurrency=2)
    assert bills(sandbox)["creates"] == 2
    assert all(job["canceled"] for job in bills(sandbox)["jobs"])
    assert any("2 job(s) running; the vendor confirmed 2 cancellation(s)" in line for line in batch.told)


# -- items --------------------------------------------------------------------------------------------


def test_items_come_from_a_file_too(sandbox, items, batch, tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(item) for item in items(2)) + "\n\n")
    header = "target_image,face_image,enhance_face\n"
    rows = [f"{item['target_image']},{item['face_image']}," for item in items(2, start=2)]
    (tmp_path / "a.csv").write_text(header + "\n".join(rows))
    assert batch(f"file://{tmp_path}/a.jsonl")["archived"] == 2
    assert batch(f"file://{tmp_path}/a.csv")["archived"] == 2
    assert bills(sandbox)["creates"] == 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (3, "items: must be a list"),
        ({"target_image": "https://a.test/a.png"}, "items: must be a list"),
        ("s3://bucket/items.txt", "must end in one of .csv, .jsonl, .ndjson, .parquet"),
        (["https://a.test/a.png"], r"items\[0\]: must be a mapping"),
        ([{"target_image": "https://a.test/a.png"}], r"items\[0\]: face_image"),
        ([{"target_image": "a", "face_image": "b"}] * 7, r"items\[0\].*items\[4\].*and 2 more"),
        (f"file://{tempfile.gettempdir()}/nowhere/items.jsonl", "could not be read"),
    ],
)
def test_wrong_items_are_found_before_anything_is_bought(sandbox, batch, wrong, said):
    with pytest.raises(InvalidRequestError, match=said):
        batch(wrong)
    assert not sandbox.sandbox.requests


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"concurrency": True},
        {"fail_on": "most"},
        {"fail_on": 0.0},
        {"fail_on": 2.0},
        {"timeout": 0},
    ],
)
def test_wrong_arguments_are_found_when_the_dag_is_read(wrong):
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        FaceSwapBatchOperator(task_id="t", conn_id="c", items=[], destination="file:///tmp", **wrong)


def test_an_empty_list_is_no_error(batch, sandbox):
    assert batch([])["total"] == 0


def test_records_of_many_items_stand_in_few_values(sandbox, items, batch, store, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.batch.sharded_store.SHARD", 4)
    batch(items(10))
    assert set(store.values) == {f"{KEY}.{number}" for number in range(3)}


def test_progress_is_told(sandbox, items, batch, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.batch.runner.REPORT_INTERVAL", 0.05)
    batch(items(12), concurrency=2)
    assert any("of 12 archived, 0 failed" in line and "s left" in line for line in batch.told)


def test_on_kill_before_anything_runs_does_nothing(batch):
    FaceSwapBatchOperator(task_id="t", conn_id="c", items=[], destination="file:///tmp").on_kill()
