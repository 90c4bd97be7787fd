"""A budget and the index of an archive on S3, with many processes and a server that fails."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from airflow_provider_faceswap.archive.index import Index
from airflow_provider_faceswap.budgets import Budget
from airflow_provider_faceswap.cli.budget_report import shown_period
from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.storage.listing import last_written
from tests.spending.test_account import TASK, account_at, bought_by_many, left

pytestmark = pytest.mark.program


@pytest.mark.full
def test_eight_processes_on_s3_reserve_all_of_a_budget_and_no_more(s3, moto, bucket, connection):
    uri = f"s3://{connection(moto)}@{bucket.name}/budget"
    made, cap = bought_by_many(uri, dict(os.environ))
    assert made == cap
    assert left(account_at(uri, cap)) == cap


def test_an_entry_moves_without_a_moment_in_which_it_is_missing(bucket):
    account = account_at(f"{bucket.uri}/budget")
    account.reserve("one", Decimal(15), TASK)
    account.bought("one", None, TASK)
    account.settle("one", Decimal(12), TASK)
    assert [key for key in bucket.keys if "~" in key] == ["budget/ever/3-spent/one~12"]
    assert left(account) == 12


@pytest.mark.parametrize("operation", ["put_object", "list_objects"])
@pytest.mark.parametrize("how", ["cut", 403, 500])
def test_a_storage_that_fails_reserves_nothing(bucket, door, operation, how):
    account = account_at(f"{bucket.uri}/budget")
    door.breaks(operation, how)
    with pytest.raises(FaceSwapError, match=r"could not be .*Nothing was bought"):
        account.reserve("one", Decimal(15), TASK)
    door.rules.clear()
    assert left(account) == 0


def test_of_many_claims_at_a_time_one_is_made(bucket):
    def claim(owner):
        return Index(bucket.path("kept")).claim("k" * 64, f"task {owner}", 100)

    with ThreadPoolExecutor(8) as threads:
        holders = list(threads.map(claim, range(8)))
    assert holders.count(None) == 1
    assert len({holder for holder in holders if holder}) == 1


def test_the_last_period_is_shown_beside_markers_and_foreign_objects(bucket):
    folder = bucket.path("team/budget")
    budget = Budget(str(folder), amount=100, unit="RUB", per="day")
    for day in (1, 2):
        budget.account(datetime(2027, 1, day, tzinfo=UTC), TASK).reserve("one", Decimal(15 * day), TASK)
    for foreign in ("", "README.md", "_backup/x", "zz/x", "prices/", "2027-01-09"):
        bucket.put(f"team/budget/{foreign}", b"")
    told = shown_period(folder, None, as_text=True)
    assert (told["period"], told["reserved"]) == ("2027-01-02", "30")


def test_s3_says_which_run_was_written_last(bucket):
    bucket.put("budget/", b"")
    bucket.put("budget/README.md", b"")
    bucket.put("budget/run-a/3-spent/one~15", b"{}")
    bucket.put("budget/run-b/3-spent/one~15", b"{}")
    moments = last_written(bucket.path("budget"))
    assert set(moments) == {"run-a", "run-b"}
    assert moments["run-b"] >= moments["run-a"] > 0
