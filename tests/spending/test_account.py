"""Reservations of many processes at a time: never over the cap, and never stuck under it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from airflow_provider_faceswap.budgets import Budget
from airflow_provider_faceswap.exceptions import BudgetExceededError, FaceSwapError
from airflow_provider_faceswap.spending import book
from airflow_provider_faceswap.spending.book import Stage
from tests.sizes import FULL, SIZES

MOMENT = datetime(2027, 1, 1, tzinfo=UTC)
TASK = {"dag_id": "a_dag", "run_id": "a_run"}


def account_at(uri, amount=100):
    return Budget(uri, amount=amount, unit="RUB", per="ever", warn_at=None).account(MOMENT, TASK)


@pytest.fixture
def account(tmp_path):
    return lambda amount=100: account_at(f"file://{tmp_path}/budget", amount)


def left(account, *stages):
    return account.book.standing().sum_of(*(stages or tuple(Stage)))


def test_a_reservation_up_to_the_cap_is_made_and_one_above_is_withdrawn(account, clock):
    account().reserve("one", Decimal(60), TASK)
    account().reserve("two", Decimal(40), TASK)
    with pytest.raises(BudgetExceededError):
        account().reserve("three", Decimal("0.01"), TASK)
    assert left(account(), Stage.RESERVED) == 100


def test_the_same_key_is_one_reservation_however_often_it_is_made(account, clock):
    for price in (10, 12, 11):
        account().reserve("one", Decimal(price), TASK)
    assert left(account()) == 12
    account().reserve("one", Decimal(11), TASK)
    account().settle("one", Decimal(9), TASK)
    assert not account().settle("one", Decimal(9), TASK)
    assert left(account()) == 9


def test_a_cap_of_zero_buys_nothing(account, clock):
    for amount in (Decimal(1), None):
        with pytest.raises(BudgetExceededError):
            account(0).reserve("one", amount, TASK)


def test_spent_entries_are_folded_and_stay_spent(account, clock, monkeypatch, tmp_path):
    monkeypatch.setattr("airflow_provider_faceswap.spending.account.FOLD_AT", 10)
    for number in range(35):
        account(1000).reserve(f"key-{number}", Decimal(2), TASK)
        account(1000).settle(f"key-{number}", Decimal(2), {"dag_id": f"dag{number % 2}"})
        assert left(account()) == 2 * (number + 1)
    standing = account().book.standing()
    assert len(list((tmp_path / "budget" / "ever" / "3-spent").iterdir())) < 10
    assert standing.totals.number == 3
    assert sum(standing.totals.by_dag.values()) == standing.totals.amount == 66


def test_what_was_folded_is_not_reserved_again_under_its_key(account, clock, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.spending.account.FOLD_AT", 3)
    for number in range(4):
        account().reserve(f"key-{number}", Decimal(2), TASK)
        account().settle(f"key-{number}", Decimal(2), TASK)
    # The record of a task is lost, and it buys again.
    made = account().reserve("key-1", Decimal(2), TASK)
    account().settle(made.key, Decimal(2), TASK)
    assert left(account()) == 10


def test_an_entry_below_zero_makes_no_room(account, clock, tmp_path):
    account().reserve("one", Decimal(60), TASK)
    (tmp_path / "budget" / "ever" / "1-reserved" / "x~-1000").write_text("{}")
    with pytest.raises(BudgetExceededError):
        account().reserve("two", Decimal(60), TASK)


def test_a_fold_that_stops_in_between_counts_nothing_twice(account, clock, monkeypatch):
    for number in range(4):
        account().reserve(f"key-{number}", Decimal(2), TASK)
        account().settle(f"key-{number}", Decimal(2), TASK)

    def stop(*_):
        raise OSError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(book.Book, "remove", stop)
        with pytest.raises(OSError, match="gone"):
            account().book.fold(account().book.standing())
    assert left(account()) == 8
    account().reserve("key-9", Decimal(2), TASK)
    account().settle("key-9", Decimal(2), TASK)
    assert account().book.fold(account().book.standing())
    assert left(account()) == 10


def test_what_is_written_but_not_listed_buys_nothing(account, clock, monkeypatch):
    monkeypatch.setattr(book, "listed_below", lambda _, names: {name: [] for name in names})
    with pytest.raises(FaceSwapError, match="could not be read"):
        account().reserve("one", Decimal(1), TASK)


def test_a_storage_that_fails_after_a_purchase_does_not_say_that_nothing_was_bought(
    account, clock, monkeypatch
):
    def fail(*_):
        raise PermissionError("no")

    account().reserve("one", Decimal(1), TASK)
    monkeypatch.setattr(book, "listed_below", fail)
    with pytest.raises(FaceSwapError, match="The reservation holds its money") as caught:
        account().settle("one", Decimal(1), TASK)
    assert "Nothing was bought" not in str(caught.value)


def test_a_storage_that_fails_buys_nothing_and_keeps_nothing(account, clock, monkeypatch):
    def fail(*_):
        raise PermissionError("no")

    with monkeypatch.context() as patch:
        patch.setattr(book, "listed_below", fail)
        with pytest.raises(FaceSwapError, match=r"could not be read.*Nothing was bought"):
            account().reserve("one", Decimal(1), TASK)
    assert left(account()) == 0


#: One of many processes. Of ten reservations one stays, one is for a job that runs, and eight end, as in a batch.
#: What the storage refuses is tried again, as a task's retry does: moto answers 500 to a list of what changes meanwhile.
BUYER = """
import sys
from decimal import Decimal
from tests.spending.test_account import TASK, account_at
from airflow_provider_faceswap.exceptions import BudgetExceededError, FaceSwapError

uri, name, many, cap = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
account = account_at(uri, cap)
made = 0


def tried(step, *arguments):
    for _ in range(20):
        try:
            return step(*arguments)
        except BudgetExceededError:
            raise
        except FaceSwapError as error:
            failed = error
    raise failed


for number in range(many):
    key = f"{name}-{number}"
    try:
        tried(account.reserve, key, Decimal(1), TASK)
    except BudgetExceededError:
        continue
    made += 1
    if number % 10 == 1:
        tried(account.bought, key, None, TASK)
    if number % 10 > 1:
        tried(account.settle, key, Decimal(1), TASK)
print(made)
"""


def bought_by_many(uri, env=None):
    processes, many = 8, 200 if SIZES is FULL else 12
    cap = processes * many * 5 // 8
    commands = [
        [sys.executable, "-c", BUYER, uri, f"p{number}", str(many), str(cap)] for number in range(processes)
    ]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        for command in commands
    ]
    ended = [process.communicate(timeout=900) for process in running]
    failed = [err for process, (_, err) in zip(running, ended, strict=True) if process.returncode]
    assert not failed, "\n".join(failed)
    return sum(int(out.split()[-1]) for out, _ in ended), cap


@pytest.mark.program
def test_eight_processes_on_a_disk_reserve_all_of_a_budget_and_no_more(tmp_path):
    made, cap = bought_by_many(f"file://{tmp_path}/budget")
    assert made == cap
    assert left(account_at(f"file://{tmp_path}/budget", cap)) == cap


def test_a_period_of_a_run_is_named_by_dag_and_run(tmp_path):
    budget = Budget(f"file://{tmp_path}", amount=1, unit="RUB", per="run")
    names = {
        budget.account(MOMENT, {"dag_id": dag, "run_id": run}).period.name for dag in "ab" for run in "cd"
    }
    assert len(names) == 4
    assert json.dumps(sorted(names)).isascii()
