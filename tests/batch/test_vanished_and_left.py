"""K4: records of a batch that have vanished, and jobs whose items are gone."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from airflow_provider_faceswap.batch.sharded_store import LOOK_BEYOND, ShardedStore
from airflow_provider_faceswap.exceptions import BatchFailedError
from airflow_provider_faceswap.operators.batch import KEY, FaceSwapBatchOperator
from tests.conftest import NEEDS_STATE_STORE, FakeStore

pytestmark = NEEDS_STATE_STORE


class Account:
    """A vendor that accepts every job, and lets it run until it is told to fail it or to lose an answer."""

    def __init__(self) -> None:
        self.created: list[str] = []
        self.status = "processing"
        self.loses_answers = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/create"):
            self.created.append(f"{len(self.created):024d}")
            if self.loses_answers:
                raise httpx.ReadTimeout("lost")
            return httpx.Response(200, json=self._task(self.created[-1]))
        return httpx.Response(200, json=self._task(request.url.params["taskId"]))

    def _task(self, job_id: str) -> dict:
        return {
            "id": job_id,
            "type": "@FaceSwap",
            "status": self.status,
            "percent": 0,
            "error": "engine broke",
        }


@pytest.fixture
def account(monkeypatch, connections, no_waiting_between_tries, clock):
    made = Account()

    async def asleep(seconds):
        # The line of progress sleeps in a loop, beside the waits for jobs.
        clock.sleep(seconds)
        await asyncio.sleep(0.001)

    clock.asleep = asleep
    transport = httpx.MockTransport(made)
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.api.sync_client", lambda **_: httpx.Client(transport=transport)
    )
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.client.async_client",
        lambda **_: httpx.AsyncClient(transport=transport),
    )
    monkeypatch.setattr("airflow_provider_faceswap.batch.sharded_store.GAP", 0.0)
    connections("https://vendor.test")
    return made


def rows(*numbers):
    return [
        {
            "target_image": f"https://pictures.test/{number}.jpg",
            "face_image": "https://pictures.test/face.jpg",
        }
        for number in numbers
    ]


@pytest.fixture
def batch(tmp_path, context):
    """Run a batch whose jobs outlive their deadline; its summary, or its error; the log's lines are in ``lines``."""
    lines = []

    def run(items, **more):
        operator = FaceSwapBatchOperator(
            task_id="batch",
            conn_id="gptunnel_default",
            items=items,
            destination=f"file://{tmp_path}/pictures",
            timeout=30,
            concurrency=1,
            **more,
        )
        operator.log.warning = lambda text, *args: lines.append(text % args if args else text)
        try:
            operator.execute(context)
        except BatchFailedError as error:
            run.error = error
        return operator.outcome

    def manifest():
        [file] = (tmp_path / "pictures").glob("batch-*.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()]

    run.lines, run.manifest = lines, manifest
    return run


# -- records that have vanished -------------------------------------------------------------------------------


def test_the_records_after_a_vanished_shard_are_read(account, batch, store, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.batch.sharded_store.SHARD", 4)
    batch(rows(*range(10)))
    assert len(account.created) == 10
    del store.values[f"{KEY}.0"]
    summary = batch(rows(*range(10)))
    assert len(account.created) == 10, "in doubt nothing is bought"
    assert summary["errors"] == {"SubmissionUncertainError": 4, "JobTimeoutError": 6}
    assert [line["error"] for line in batch.manifest()][:4] == ["SubmissionUncertainError"] * 4
    assert "have vanished" in batch.manifest()[0]["message"]


def test_what_may_be_submitted_again_is_submitted_for_vanished_records_only(
    account, batch, store, monkeypatch
):
    monkeypatch.setattr("airflow_provider_faceswap.batch.sharded_store.SHARD", 4)
    batch(rows(*range(10)))
    del store.values[f"{KEY}.1"]
    batch(rows(*range(10)), on_uncertain="resubmit")
    assert len(account.created) == 14


@pytest.mark.parametrize("hole", [1, 2, 3, 40])
def test_a_hole_of_many_shards_is_looked_over(hole):
    store = FakeStore()
    store.values = {f"k.{number}": {f"job{number}": {"id": number}} for number in range(hole, hole + 30)}
    with ShardedStore(store, "k") as records:
        assert records.is_incomplete
        assert records.get(f"job{hole + 29}") == {"id": hole + 29}
        assert list(records.others([f"job{hole}"])) == [{"id": hole + n} for n in range(1, 30)]


def test_records_after_a_hole_are_written_behind_the_last_shard(monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.batch.sharded_store.GAP", 0.0)
    store = FakeStore()
    store.values = {"k.2": {f"job{number}": {"id": number} for number in range(32)}}
    with ShardedStore(store, "k") as records:
        records.set("new", {"id": 33})
    assert list(store.values) == ["k.2", "k.3"]
    with ShardedStore(store, "k") as records:
        assert records.get("new") == {"id": 33}


def test_a_store_without_records_is_not_taken_for_one_with_a_hole():
    store = FakeStore()
    asked = []
    store.get = lambda key, default=None: asked.append(key) or default
    with ShardedStore(store, "k") as records:
        assert not records.is_incomplete
    assert len(asked) == 1 + len(LOOK_BEYOND)


# -- items that are gone --------------------------------------------------------------------------------------


def test_the_job_of_an_item_that_is_gone_is_named(account, batch):
    assert "left_behind" not in batch(rows(0, 1, 2))
    batch.lines.clear()
    summary = batch(rows(0, 2))
    gone = account.created[1]
    assert summary["left_behind"] == [gone]
    assert any(gone in line and "belong to no item" in line for line in batch.lines)
    [line] = [line for line in batch.manifest() if line["status"] == "left behind"]
    assert (line["job_id"], line["conn_id"], line["position"]) == (gone, "gptunnel_default", None)
    assert len(account.created) == 3


def test_an_uncertain_submission_of_an_item_that_is_gone_is_named(account, batch):
    account.loses_answers = True
    batch(rows(0))
    account.loses_answers = False
    assert batch(rows(1))["left_behind"] == ["a job of unknown id"]


def test_a_failed_job_of_an_item_that_was_taken_out_is_not_named(account, batch):
    account.status = "failed"
    batch(rows(0, 1))
    assert "left_behind" not in batch(rows(0), max_submissions=3)


def test_the_job_of_an_item_that_was_changed_is_named(account, batch):
    batch(rows(0, 1))
    assert batch(rows(0, 7))["left_behind"] == [account.created[1]]
