"""The records of a batch's items: no intent once it ends, and small enough for the store."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from airflow_provider_faceswap.batch.item_records import MAX_MESSAGE_LENGTH, ItemRecords, cut
from airflow_provider_faceswap.batch.sharded_store import SHARD, ShardedStore
from airflow_provider_faceswap.jobs import Cost
from airflow_provider_faceswap.lifecycle.ledger import Record, Stage
from airflow_provider_faceswap.lifecycle.purchase import NotSubmittedError, Purchase, PurchasePolicy
from airflow_provider_faceswap.lifecycle.submissions import SubmissionTemplate
from airflow_provider_faceswap.vendors.messages import Request

#: What Airflow takes as one value.
BOUND = 65_535
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def record(stage=Stage.INTENT, **more):
    return Record(
        fingerprint="f" * 64,
        stage=stage,
        epoch=0,
        purchases=1,
        vendor="gptunnel",
        kind="face_swap",
        conn_id="gptunnel_of_the_marketing_department",
        begun_at=NOW,
        **more,
    )


def bought(**more):
    return record(
        Stage.SUBMITTED,
        job_id="0" * 36,
        submitted_at=NOW,
        deadline=NOW,
        cost=Cost(amount=15, unit="RUB"),
        earlier=("1" * 36, "2" * 36, "3" * 36),
        **more,
    )


class Client:
    """A client that is ready at once; its submission is never sent in these tests."""

    @contextmanager
    def ready(self, kind, request):
        yield self.submit

    def submit(self):
        raise AssertionError("it was submitted")


def purchase(shared, may_submit):
    return Purchase(
        Client(),
        ItemRecords(shared, 0).ledger("a.1"),
        Request("POST", "/swaps"),
        SubmissionTemplate("gptunnel", "face_swap", "gptunnel_default", 60.0),
        epoch=0,
        policy=PurchasePolicy("fail", "reuse", 2),
        log=logging.getLogger(__name__),
        may_submit=may_submit,
    )


def test_no_intent_is_written_once_the_batch_is_ending(store):
    with ShardedStore(store, "k") as shared:
        with pytest.raises(NotSubmittedError):
            purchase(shared, lambda: False).resume_or_submit()
        ledger = ItemRecords(shared, 0).ledger("a.1")
        assert ledger.read() is None
        ledger.write(bought())
        assert ledger.read().job_id == "0" * 36, "an id is written whenever it comes"


def test_an_intent_that_was_being_written_when_the_end_began_is_taken_back(store):
    answers = iter([True, False])
    with ShardedStore(store, "k") as shared:
        with pytest.raises(NotSubmittedError):
            purchase(shared, lambda: next(answers)).resume_or_submit()
        record = ItemRecords(shared, 0).ledger("a.1").read()
    assert (record.stage, record.outcome, record.purchases) == (Stage.SETTLED, "refused", 0)


@pytest.mark.parametrize(
    "end",
    [
        {"status": "failed", "error": "VendorUnavailableError", "message": "ж" * 500, "job_id": "0" * 36},
        {"status": "failed", "error": "InsufficientBalanceError", "message": "💰\n" * 500, "job_id": None},
        {
            "status": "archived",
            "job_id": "0" * 36,
            "cost": {"amount": 15.0, "unit": "RUB"},
            "attempt_reused": False,
            "files": [{"uri": f"s3://conn@bucket/{'ж' * 100}.png", "sha256": "0" * 64, "bytes": 10**7}],
        },
    ],
    ids=["russian", "emoji", "archived"],
)
def test_a_shard_of_ended_items_stays_below_what_airflow_takes(store, end, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.batch.sharded_store.GAP", 0)
    with ShardedStore(store, "k") as shared:
        records = ItemRecords(shared, 0)
        for number in range(SHARD):
            name = f"{number:064d}.1"
            records.ledger(name).write(bought())
            records.mark_counted(name)
            records.remember(name, end)
    [value] = store.values.values()
    assert len(value) == SHARD
    assert all("end" in item for item in value.values())
    assert len(json.dumps(value)) < BOUND


@pytest.mark.parametrize("letter", ["x", "ж", "💰", '"'])
def test_a_long_message_is_cut_by_the_room_it_takes(letter):
    text = cut(letter * 1000)
    assert text.endswith(f"{letter}…")
    assert MAX_MESSAGE_LENGTH * 0.8 < len(json.dumps(text)) <= MAX_MESSAGE_LENGTH
    assert cut("short: Ж") == "short: Ж"
