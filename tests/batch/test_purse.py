"""The money of a batch: blocks, of which each job has a part."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from airflow_provider_faceswap.batch.money import BatchMoney
from airflow_provider_faceswap.budgets import Budget
from airflow_provider_faceswap.cli import budget_report
from airflow_provider_faceswap.exceptions import BudgetExceededError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.jobs import Cost, Job, JobState
from airflow_provider_faceswap.lifecycle.ledger import Record, Stage
from airflow_provider_faceswap.spending import book
from tests.conftest import DrivenClock
from tests.sizes import SIZES

TASK = SimpleNamespace(dag_id="a_dag", run_id="a_run", task_id="batch", map_index=-1, try_number=1)
HOOK = SimpleNamespace(conn_id="shop", vendor=SimpleNamespace(name="gptunnel", cost_unit="RUB"))
PRICE = 2
#: Jobs of two kinds, at different prices.
PRICES = {"face_swap": PRICE, "image": 5}


class Records:
    """The records of a batch, in memory: they outlive its processes."""

    def __init__(self):
        self.is_incomplete = False
        self.all = {}
        self.over = set()

    def intend(self, item, reservation, kind="face_swap"):
        self.all[item] = Record(
            fingerprint="x",
            stage=Stage.INTENT,
            epoch=0,
            purchases=1,
            vendor="gptunnel",
            kind=kind,
            conn_id="shop",
            begun_at=CLOCK.moment(),
            reservation=reservation,
        )

    def submit(self, item):
        self.all[item] = self.all[item].model_copy(update={"stage": Stage.SUBMITTED, "job_id": f"job-{item}"})

    def refuse(self, item):
        self.all[item] = self.all[item].refused()

    def reserved(self):
        for item, record in self.all.items():
            yield record, item in self.over


class Batch:
    """The money of one attempt of a batch."""

    def __init__(self, uri, amount, records, most=8, **more):
        self.budget = Budget(uri, amount=amount, unit="RUB", per="ever", warn_at=None, **more)
        self.records = records
        self.money = BatchMoney({"shop": self.budget}, TASK, 0)
        self.money.begin(records, lambda: most)

    def funds(self, item, price=PRICE, kind="face_swap"):
        return self.money.funds(SimpleNamespace(price=Decimal(price), hooks=(HOOK,)), HOOK, kind, item)

    def buy(self, item, price=PRICE, kind="face_swap"):
        funds = self.funds(item, price, kind)
        self.records.intend(item, funds.reserve(1), kind)
        self.records.submit(item)
        funds.bought(self.records.all[item].reservation, f"job-{item}", None)

    def end(self, item, charged=PRICE):
        kind = self.records.all[item].kind
        job = Job(
            vendor="gptunnel",
            kind=kind,
            job_id=f"job-{item}",
            state=JobState.SUCCEEDED if charged else JobState.FAILED,
            status="x",
            cost=Cost(amount=charged, unit="RUB"),
        )
        self.funds(item, kind=kind).ended(self.records.all[item].reservation, job, None)

    @property
    def standing(self):
        return self.budget.account(datetime(2027, 1, 1, tzinfo=UTC), {}).book.standing()

    @property
    def spent(self):
        return self.standing.sum_of(book.Stage.SPENT)

    @property
    def held(self):
        return self.standing.sum_of(book.Stage.RESERVED, book.Stage.BOUGHT)


@pytest.fixture
def batch(tmp_path, clock):
    def of(amount=1000, records=None, **more):
        return Batch(f"file://{tmp_path}/budget", amount, records or Records(), **more)

    return of


def test_a_batch_writes_a_few_objects_and_not_some_for_each_job(batch, monkeypatch):
    calls = {"put": 0, "standing": 0, "remove": 0}
    for name in calls:
        whole = getattr(book.Book, name)

        def counted(*args, name=name, whole=whole):
            calls[name] += 1
            return whole(*args)

        monkeypatch.setattr(book.Book, name, counted)
    mine = batch(most=50)
    for item in map(str, range(200)):
        mine.buy(item)
        mine.end(item)
    mine.money.close()
    assert sum(calls.values()) <= 30
    assert (mine.spent, mine.held) == (400, 0)


def test_a_block_is_as_large_as_there_is_room_for(batch):
    mine = batch(amount=7)
    for item in "abc":
        mine.buy(item)
    with pytest.raises(BudgetExceededError, match="no room for a job of 2 RUB"):
        mine.buy("d")
    assert mine.held == 6


def test_what_a_failed_job_gives_back_buys_the_next_one(batch):
    mine = batch(amount=4)
    mine.buy("a")
    mine.buy("b")
    mine.end("a", charged=0)
    mine.buy("c")
    for item in "bc":
        mine.end(item)
    mine.money.close()
    assert (mine.spent, mine.held) == (4, 0)


@pytest.mark.parametrize(("cap", "spent"), [(100, 90), (300, 300)])
def test_a_batch_spends_up_to_the_cap_though_each_block_has_too_little_left(batch, cap, spent):
    """A draft and a final of one kind cost 5 and 25: a draft's block has 20 left."""
    mine = batch(amount=cap, most=1)

    def chains():
        for number in range(100):
            for item, price in ((f"draft-{number}", 5), (f"final-{number}", 25)):
                mine.buy(item, price)
                mine.end(item, charged=price)

    with pytest.raises(BudgetExceededError):
        chains()
    mine.money.close()
    assert (mine.spent, mine.held) == (spent, 0)


def test_a_job_of_unknown_price_that_was_refused_keeps_no_other_waiting(batch):
    mine = batch()
    for _ in range(2):
        funds = mine.money.funds(SimpleNamespace(price=None, hooks=(HOOK,)), HOOK, "face_swap", "a")
        funds.release(funds.reserve(1))
    mine.buy("b")
    mine.end("b")
    mine.money.close()
    assert (mine.spent, mine.held) == (2, 0)


def test_a_refused_submission_gives_its_part_back(batch):
    mine = batch(amount=2)
    funds = mine.funds("a")
    funds.release(funds.reserve(1))
    mine.buy("b")
    assert mine.held == 2


def test_what_no_job_has_is_released_at_the_end(batch):
    mine = batch(most=50)
    mine.buy("a")
    assert mine.held == 100
    mine.money.close()
    assert mine.held == 2


def test_a_cost_above_the_price_is_seen_at_once(batch):
    mine = batch(amount=8, most=2)
    mine.buy("a")
    mine.buy("b")
    mine.end("a", charged=5)
    assert mine.held == 7
    with pytest.raises(BudgetExceededError, match="no room for a job of 5 RUB"):
        mine.buy("c")


def test_the_next_attempt_takes_up_the_block_of_a_killed_one(batch):
    killed = batch(amount=6, most=3)
    killed.buy("a")
    killed.funds("b").reserve(1)  # and no record of it
    mine = batch(amount=6, most=3, records=killed.records)
    mine.end("a")
    for item in "bc":
        mine.buy(item)
        mine.end(item)
    with pytest.raises(BudgetExceededError):
        mine.buy("d")
    mine.money.close()
    assert (mine.spent, mine.held) == (6, 0)


def test_a_submission_without_an_answer_keeps_its_money_when_another_follows_it(batch):
    """With ``on_uncertain="resubmit"``, the record is that of the second job, and the first may be charged too."""
    killed = batch(amount=6, most=3)
    killed.records.intend("a", killed.funds("a").reserve(1))
    killed = batch(amount=6, records=killed.records)
    killed.records.intend("a", killed.funds("a").reserve(2))
    killed.records.submit("a")
    mine = batch(amount=6, records=killed.records)
    mine.buy("b")
    with pytest.raises(BudgetExceededError):
        mine.buy("c")
    for item in "ab":
        mine.end(item)
    mine.money.close()
    # The block is one object, and is held until the end of each of its jobs is known.
    assert (mine.spent, mine.held) == (0, 6)


def test_a_killed_job_holds_its_own_price_and_not_that_of_its_block(batch):
    killed = batch(amount=12, most=6)
    killed.buy("a")
    killed.buy("b", price=7.5, kind="image")
    mine = batch(amount=12, records=killed.records)
    mine.buy("c", price=2.5)
    with pytest.raises(BudgetExceededError):
        mine.buy("d", price=0.5)
    mine.end("b", charged=7.5)
    assert mine.held + mine.spent == 12


def test_a_job_that_an_earlier_version_bought_holds_the_price_of_its_block(batch):
    killed = batch(amount=6, most=3)
    killed.records.intend("a", killed.funds("a").reserve(1).partition("@")[0])
    killed.records.submit("a")
    mine = batch(amount=6, records=killed.records)
    for item in "bc":
        mine.buy(item)
    with pytest.raises(BudgetExceededError):
        mine.buy("d")
    for item in "abc":
        mine.end(item)
    mine.money.close()
    assert (mine.spent, mine.held) == (6, 0)


def test_what_ended_just_before_the_process_was_killed_is_settled_by_the_next_attempt(batch):
    killed = batch(most=3)
    killed.buy("a")
    killed.end("a")
    killed.records.over.add("a")
    mine = batch(most=3, records=killed.records)
    mine.money.close()
    assert (mine.spent, mine.held) == (2, 0)


def test_without_all_records_a_block_stays_as_it_is(batch):
    killed = batch(amount=6, most=3)
    killed.buy("a")
    killed.records.is_incomplete = True
    mine = batch(amount=6, records=killed.records)
    with pytest.raises(BudgetExceededError):
        mine.buy("b")
    assert mine.held == 6


def test_a_block_whose_content_is_damaged_stays_as_it_is(batch, tmp_path):
    killed = batch(amount=6, most=3)
    killed.buy("a")
    [path] = (tmp_path / "budget" / "ever").glob("*/*~6")
    path.write_text("{")
    mine = batch(amount=6)
    with pytest.raises(BudgetExceededError):
        mine.buy("b")
    assert mine.held == 6


def test_a_reservation_of_an_earlier_version_counts_and_is_settled(batch):
    mine = batch(amount=7)
    account = mine.budget.account(CLOCK.moment(), {})
    account.reserve("old-1", Decimal(3), {})
    mine.buy("b")
    mine.buy("c")
    with pytest.raises(BudgetExceededError):
        mine.buy("d")
    mine.records.intend("a", "ever/old-1")
    mine.end("a")
    assert mine.spent == 2


def test_a_cost_that_is_not_known_holds_the_budget_alone_and_is_asked_for(batch):
    mine = batch(records=Records())
    step = SimpleNamespace(price=None, hooks=(HOOK,))
    funds = mine.money.funds(step, HOOK, "face_swap", "a")
    mine.records.intend("a", funds.reserve(1))
    assert [entry.amount for entry in mine.standing.entries.values()] == [None]
    funds.bought(mine.records.all["a"].reservation, "job-a", Cost(amount=3, unit="RUB"))
    assert mine.held == 3
    mine.end("a", charged=3)
    mine.money.close()
    assert (mine.spent, mine.held) == (3, 0)


def test_the_command_shows_and_settles_a_block_by_its_jobs(batch, monkeypatch):
    killed = batch(most=4)
    killed.buy("a")
    killed.buy("b")
    killed.end("b", charged=1)
    folder = killed.budget.folder

    def shown():
        told = budget_report.shown_period(folder, None, as_text=False)
        rows = {(row["stage"], row["job_id"]): row["amount"] for row in told["entries"]}
        return {name: told[name] for name in ("spent", "bought", "reserved")}, rows, told["entries"]

    sums, rows, entries = shown()
    assert sums == {"spent": "1", "bought": "2", "reserved": "5"}
    assert rows == {("spent", "job-b"): "1", ("bought", "job-a"): "2", ("reserved", None): "5"}
    assert {(row["dag_id"], row["run_id"]) for row in entries} == {("a_dag", "a_run")}
    job = Job(vendor="gptunnel", kind="face_swap", job_id="job-a", state=JobState.SUCCEEDED, status="x")
    monkeypatch.setattr(budget_report, "hook_for", lambda *_: SimpleNamespace(fetch=lambda *_: job))
    budget_report.settle(folder, None, [], poll=True, say=lambda _: None)
    assert shown()[0] == {"spent": "3", "bought": "0", "reserved": "5"}
    [rest] = [row["key"] for row in entries if row["stage"] == "reserved"]
    budget_report.settle(folder, None, [f"{rest}=0"], poll=False, say=lambda _: None)
    assert shown()[0] == {"spent": "3", "bought": "0", "reserved": "0"}
    assert (killed.spent, killed.held) == (3, 0)


def test_a_job_of_a_block_is_settled_by_a_person(batch):
    killed = batch(most=1)
    killed.buy("a")
    killed.money.write()
    [entry] = budget_report.shown_period(killed.budget.folder, None, as_text=False)["entries"]
    budget_report.settle(killed.budget.folder, None, [f"{entry['key']}=1.5"], poll=False, say=lambda _: None)
    told = budget_report.shown_period(killed.budget.folder, None, as_text=True)
    assert told["spent"] == "1.5"
    assert any("gptunnel job job-a" in line for line in told["entries"])


CAP = 12


class Attempts(RuleBasedStateMachine):
    """Attempts of one batch, which buy and are killed anywhere: never over the cap, and in the end all is settled."""

    @initialize()
    def begin(self):
        self.source, CLOCK.source = CLOCK.source, DrivenClock()
        self.folder = tempfile.mkdtemp()
        self.records = Records()
        #: What the vendor charged, by item; and what jobs that run will cost.
        self.charged, self.running = {}, {}
        self.number = 0
        self.attempt()

    def attempt(self):
        self.batch = Batch(f"file://{self.folder}/budget", CAP, self.records, most=3)

    def teardown(self):
        if hasattr(self, "batch"):
            try:
                for item in sorted(self.running):
                    self.ends(item, self.running[item])
                self.batch.money.close()
                assert self.batch.spent == sum(self.charged.values())
                assert self.batch.held == 0
            finally:
                CLOCK.source = self.source
                shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def bought(self):
        return sum(self.charged.values()) + sum(self.running.values())

    def ends(self, item, charged):
        del self.running[item]
        self.charged[item] = charged
        self.batch.end(item, charged)

    @rule(
        kind=st.sampled_from(sorted(PRICES)),
        killed=st.sampled_from([None, "reserved", "intended", "accepted"]),
        refused=st.booleans(),
    )
    def an_item_is_bought(self, kind, killed, refused):
        item = f"i{self.number}"
        self.number += 1
        funds = self.batch.funds(item, PRICES[kind], kind)
        try:
            name = funds.reserve(1)
        except BudgetExceededError:
            assert self.bought + PRICES[kind] > CAP, "there was room for it"
        else:
            if killed == "reserved":
                self.attempt()
                return
            self.records.intend(item, name, kind)
            if killed == "intended":
                # The next attempt finds that nothing was bought.
                self.attempt()
                self.records.refuse(item)
                self.batch.funds(item).release(name)
                return
            if refused:
                self.records.refuse(item)
                funds.release(name)
                return
            self.running[item] = PRICES[kind]
            self.records.submit(item)
            if killed == "accepted":
                self.attempt()
            else:
                funds.bought(name, f"job-{item}", None)

    @rule(data=st.data(), is_free=st.booleans(), killed=st.sampled_from([None, "before", "after"]))
    def a_job_ends(self, data, is_free, killed):
        if not self.running:
            return
        item = data.draw(st.sampled_from(sorted(self.running)))
        self.ends(item, 0 if is_free else self.running[item])
        if killed != "before":
            self.records.over.add(item)
        if killed:
            self.attempt()
            if killed == "before":  # it is polled again, and its record says then that it has ended
                self.batch.end(item, self.charged[item])
                self.records.over.add(item)

    @rule(seconds=st.sampled_from([0.4, 2]))
    def time_passes(self, seconds):
        CLOCK.sleep(seconds)

    @rule()
    def the_attempt_ends_and_another_begins(self):
        self.batch.money.close()
        self.attempt()

    @invariant()
    def what_is_bought_is_held_and_never_over_the_cap(self):
        if hasattr(self, "batch"):
            assert self.bought <= self.batch.spent + self.batch.held <= CAP


Attempts.TestCase.settings = settings(
    max_examples=SIZES.lives // 10, stateful_step_count=25, deadline=None, derandomize=True
)
TestAttempts = Attempts.TestCase
