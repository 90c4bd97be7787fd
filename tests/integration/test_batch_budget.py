"""The budget of a batch: each job reserved before it is bought, the batch stopped at the cap, and gone on with later."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import httpx
import pytest

from airflow_provider_faceswap.batch.money import StepFunds
from airflow_provider_faceswap.batch.purse import Purse
from airflow_provider_faceswap.batch.runner import BatchRunner
from airflow_provider_faceswap.budgets import Budget
from airflow_provider_faceswap.cli import budget_report
from airflow_provider_faceswap.exceptions import BatchFailedError, BudgetExceededError, InvalidRequestError
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator, MediaBatchOperator, Step
from airflow_provider_faceswap.operators.gptunnel import GPTunnelImageOperator

pytestmark = pytest.mark.sandbox


@pytest.fixture
def rows(sandbox):
    """So many different items."""

    def make(number):
        face = f"{sandbox.url}/samples/anna.jpg"
        return [
            {"target_image": f"{sandbox.url}/samples/emil.png", "face_image": f"{face}?n={n}"}
            for n in range(number)
        ]

    return make


@pytest.fixture
def batch(tmp_path, context):
    def run(items, **more):
        more = {"conn_id": "gptunnel_default", "concurrency": 8, "timeout": 86_400, **more}
        made = FaceSwapBatchOperator(
            task_id="batch", items=items, destination=f"file://{tmp_path}/out", **more
        )
        return made.execute(context)

    return run


@pytest.fixture
def budget(tmp_path):
    def of(amount, unit="RUB", **more):
        return Budget(f"file://{tmp_path}/budget-{unit}", amount=amount, unit=unit, per="ever", **more)

    return of


@pytest.fixture
def kept(tmp_path):
    """What is held or spent at a stage."""

    def of(stage, unit="RUB"):
        folder = tmp_path / f"budget-{unit}"
        return sum(float(path.name.rpartition("~")[2]) for path in folder.glob(f"*/*-{stage}/*~*"))

    return of


def bought(ledger, vendor="gptunnel"):
    return ledger()["requests"].get(vendor, {}).get("create", 0)


@pytest.fixture
def cost(batch, rows, ledger, context, sandbox):
    """What a swap costs at GPTunneL."""
    [amount] = batch(rows(1))["cost"].values()
    context["task_state_store"].values.clear()
    httpx.post(f"{sandbox.url}/sandbox/reset").raise_for_status()
    return amount


@pytest.mark.parametrize("price", [None, "known"])
def test_the_batch_stops_at_the_cap_and_says_how_many_are_left(
    batch, rows, budget, kept, ledger, cost, price, context
):
    price = price and cost
    with pytest.raises(BudgetExceededError, match=r"7 items are left.*Nothing more was bought"):
        batch(rows(10), budget=budget(cost * 3.5), price=price)
    assert bought(ledger) == 3
    assert kept("spent") == cost * 3
    assert kept("reserved") == kept("bought") == 0


def test_a_retry_with_more_money_goes_on(batch, rows, budget, kept, ledger, cost, context):
    with pytest.raises(BudgetExceededError):
        batch(rows(5), budget=budget(cost * 2), price=cost)
    summary = batch(rows(5), budget=budget(cost * 5), price=cost)
    assert (summary["archived"], summary["reused"]) == (5, 2)
    assert bought(ledger) == 5
    assert kept("spent") == cost * 5


def test_the_setting_holds_for_batches(batch, rows, budget, ledger, cost, monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__BUDGET", json.dumps(budget(cost).serialize()))
    with pytest.raises(BudgetExceededError, match="3 items are left"):
        batch(rows(4))
    assert bought(ledger) == 1


def test_without_room_for_one_job_nothing_is_bought(batch, rows, budget, kept, ledger):
    with pytest.raises(BudgetExceededError, match="2 items are left"):
        batch(rows(2), budget=budget(5), price=5.01)
    assert bought(ledger) == 0
    assert kept("reserved") == 0


def test_a_budget_in_another_unit_is_refused_before_anything_is_bought(batch, rows, budget, ledger):
    with pytest.raises(InvalidRequestError, match=r"charges in RUB.*Nothing was bought"):
        batch(rows(2), budget=budget(5, "point"))
    assert bought(ledger) == 0


def test_a_vendor_that_reports_no_costs_needs_a_price(batch, rows, budget, ledger):
    with pytest.raises(InvalidRequestError, match=r"needs price.*Nothing was bought"):
        batch(rows(2), conn_id="tengrai_default", budget=budget(5))
    assert bought(ledger, "tengrai") == 0


def test_a_failed_job_gives_its_money_back_if_the_vendor_does(rows, batch, budget, kept, fault, ledger):
    fault("piapi", "create", times=1, type="fail_job", message="something broke")
    summary = batch(rows(3), conn_id="piapi_default", fail_on="all", budget=budget(1e9, "point"))
    assert summary["failed"] == 1
    assert kept("spent", "point") == summary["cost"]["point"] > 0
    assert kept("reserved", "point") == kept("bought", "point") == 0


def test_each_step_of_a_chain_has_the_budget_of_its_unit_and_its_own_price(
    sandbox, tmp_path, context, budget, kept, ledger
):
    picture = {"conn_id": "gptunnel_default", "kind": "image", "model": "gpt-image-1-low"}
    swap = {"conn_id": "piapi_default", "kind": "face_swap"}

    def chain(points, **more):
        return MediaBatchOperator(
            task_id="chains",
            items=[{"n": str(n)} for n in range(4)],
            steps=[
                Step("picture", **picture, prompt="{n} people", price=100),
                Step(
                    "swap",
                    **swap,
                    target_image="{picture}",
                    face_image=f"{sandbox.url}/samples/anna.jpg",
                    **more,
                ),
            ],
            destination=f"file://{tmp_path}/out",
            budget=[budget(10_000), budget(points, "point")],
            timeout=86_400,
        ).execute(context)

    with pytest.raises(BudgetExceededError, match="4 items are left"):
        chain(10, price=11)
    assert bought(ledger, "piapi") == 0
    summary = chain(1e9)
    assert summary["archived"] == 4
    assert bought(ledger, "gptunnel") == bought(ledger, "piapi") == 4
    assert kept("spent") == summary["cost_in_all"]["RUB"]
    assert kept("spent", "point") == summary["cost_in_all"]["point"]


def test_jobs_of_unknown_price_run_one_at_a_time_until_one_has_a_cost(batch, rows, budget, kept, ledger):
    """PiAPI tells a cost, and nothing may be bought meanwhile."""
    summary = batch(rows(6), conn_id="piapi_default", budget=budget(1e9, "point"))
    assert summary["archived"] == 6
    assert kept("spent", "point") == summary["cost"]["point"]


@pytest.mark.parametrize(("vendor", "unit"), [("gptunnel", "RUB"), ("piapi", "point")])
def test_nothing_is_reserved_while_a_job_of_unknown_price_runs(
    batch, rows, budget, monkeypatch, vendor, unit
):
    steps = []
    for name in ("reserve", "settle"):
        whole = getattr(Purse, name)

        def noted(*args, name=name, whole=whole):
            made = whole(*args)
            steps.append(name)
            return made

        monkeypatch.setattr(Purse, name, noted)
    batch(rows(6), conn_id=f"{vendor}_default", budget=budget(1e9, unit))
    assert steps[:3] == ["reserve", "settle", "reserve"]


def test_the_next_attempt_settles_what_a_killed_one_had_reserved(
    batch, rows, budget, kept, ledger, cost, monkeypatch
):
    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("airflow_provider_faceswap.batch.step_run.StepRun.wait", kill)
        patched.setattr("airflow_provider_faceswap.batch.money.BatchMoney.close", lambda _: None)
        with pytest.raises(Killed):
            batch(rows(3), budget=budget(cost * 3), price=cost)
    assert kept("reserved") + kept("bought") == cost * 3
    assert batch(rows(3), budget=budget(cost * 3), price=cost)["archived"] == 3
    assert bought(ledger) == 3
    assert kept("spent") == cost * 3
    assert kept("reserved") == kept("bought") == 0


def test_what_an_uncertain_submission_has_reserved_stays_over_retries_until_a_person_settles_it(
    batch, rows, budget, kept, fault, cost
):
    fault("gptunnel", "create", times=1, type="drop", when="after")
    for _ in range(3):
        with pytest.raises(BatchFailedError, match="1 SubmissionUncertainError"):
            batch(rows(3), budget=budget(cost * 4), price=cost)
        shown = budget_report.shown_period(budget(0).folder, None, as_text=False)
        assert (shown["reserved"], shown["spent"]) == (f"{cost:g}", f"{cost * 2:g}")
    [key] = [row["key"] for row in shown["entries"] if row["stage"] == "reserved"]
    budget_report.settle(budget(0).folder, None, [f"{key}=0"], poll=False, say=lambda _: None)
    with pytest.raises(BatchFailedError, match="1 SubmissionUncertainError"):
        batch(rows(3), budget=budget(cost * 4), price=cost)
    assert kept("spent") == cost * 2
    assert kept("reserved") == kept("bought") == 0


@pytest.fixture
def killed(monkeypatch):
    """Kill a batch at a place."""

    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    @contextmanager
    def at(place):
        with monkeypatch.context() as patched:
            patched.setattr(f"airflow_provider_faceswap.batch.{place}", kill)
            patched.setattr("airflow_provider_faceswap.batch.money.BatchMoney.close", lambda _: None)
            with pytest.raises(Killed):
                yield

    return at


@pytest.mark.parametrize(
    "place", ["sharded_store.ShardedStore.set", "money.StepFunds.bought", "step_run.StepRun.wait"]
)
def test_a_cleared_batch_takes_up_what_a_killed_one_had_reserved(
    batch, rows, budget, kept, ledger, cost, context, killed, place, monkeypatch
):
    monkeypatch.setattr("airflow_provider_faceswap.operators._clears.clear_deletes_records", lambda: False)
    with killed(place):
        batch(rows(3), budget=budget(cost * 3), price=cost)
    assert kept("reserved") + kept("bought") == cost * 3
    context["ti"].try_number, context["ti"].max_tries = 2, 1
    assert batch(rows(3), budget=budget(cost * 3), price=cost)["archived"] == 3
    assert bought(ledger) == 3
    assert kept("spent") == cost * 3
    assert kept("reserved") == kept("bought") == 0


def test_a_block_stays_as_it_is_if_a_clear_may_have_deleted_the_records(
    batch, rows, budget, kept, cost, context, killed, monkeypatch
):
    with killed("sharded_store.ShardedStore.set"):
        batch(rows(3), budget=budget(cost * 9), price=cost)
    monkeypatch.setattr("airflow_provider_faceswap.operators._clears.clear_deletes_records", lambda: True)
    context["ti"].try_number, context["ti"].max_tries = 2, 1
    for _ in range(2):
        batch(rows(1), budget=budget(cost * 9), price=cost, on_clear="resubmit")
        assert kept("reserved") == cost * 3
        assert kept("spent") == cost


def test_what_an_uncertain_submission_has_reserved_stays_over_a_clear_that_submits_again(
    batch, rows, budget, kept, fault, cost, context
):
    fault("gptunnel", "create", times=1, type="drop", when="after")
    with pytest.raises(BatchFailedError):
        batch(rows(1), budget=budget(cost * 2), price=cost)
    context["ti"].try_number, context["ti"].max_tries = 2, 1
    for _ in range(2):
        assert batch(rows(1), budget=budget(cost * 2), price=cost, on_uncertain="resubmit")["archived"] == 1
        assert kept("reserved") + kept("bought") == kept("spent") == cost


def test_a_batch_without_records_reserves_for_each_attempt(batch, rows, budget, kept, cost, context):
    del context["task_state_store"]
    for _ in range(2):
        assert batch(rows(2), budget=budget(cost * 9), price=cost)["archived"] == 2
    assert kept("spent") == cost * 4
    assert kept("reserved") == kept("bought") == 0


def test_a_job_whose_money_is_reserved_is_bought_though_the_budget_is_empty_for_the_others(
    batch, rows, budget, kept, ledger, cost, monkeypatch
):
    stopped = threading.Event()
    stop, reserve = BatchRunner.stop, StepFunds.reserve

    def then_told(runner, conn_id, error):
        stop(runner, conn_id, error)
        stopped.set()

    def held(funds, number):
        name = reserve(funds, number)
        assert stopped.wait(30)
        return name

    monkeypatch.setattr(BatchRunner, "stop", then_told)
    monkeypatch.setattr(StepFunds, "reserve", held)
    with pytest.raises(BudgetExceededError, match="7 items are left"):
        batch(rows(10), budget=budget(cost * 3.5), price=cost)
    assert bought(ledger) == 3
    assert kept("spent") == cost * 3


def test_no_more_is_reserved_than_the_account_can_have_jobs(batch, rows, budget, kept, sandbox, monkeypatch):
    held, find = [], sandbox.sandbox.find

    def found(vendor, job_id):
        held.append(kept("reserved", "point") + kept("bought", "point"))
        return find(vendor, job_id)

    monkeypatch.setattr(sandbox.sandbox, "find", found)
    batch(rows(12), conn_id="piapi_default", concurrency=12, budget=budget(10**9, "point"), price=10**6)
    assert 1 <= max(held) / 10**6 <= 5


def test_each_model_of_a_kind_has_its_own_price(tmp_path, context, budget, kept, sandbox):
    def step(name, model, price, **more):
        return Step(name, conn_id="gptunnel_default", kind="image", model=model, price=price, **more)

    with pytest.raises(BudgetExceededError):
        MediaBatchOperator(
            task_id="batch",
            items=[{"name": str(number)} for number in range(10)],
            steps=[
                step("draft", "gpt-image-1-low", 5, prompt="portrait {name}"),
                step("final", "gpt-image-1-high", 25, prompt="more {name}", images="{draft}"),
            ],
            destination=f"file://{tmp_path}/out",
            concurrency=10,
            timeout=86_400,
            budget=budget(100),
        ).execute(context)
    assert kept("spent") <= 100


def test_a_batch_without_a_price_buys_the_first_of_each_model_alone(tmp_path, context, budget, kept, sandbox):
    models = ["gpt-image-1-low", *["gpt-image-1-high"] * 12]
    with pytest.raises(BudgetExceededError):
        MediaBatchOperator(
            task_id="batch",
            items=[{"name": str(number), "model": model} for number, model in enumerate(models)],
            steps=[
                Step("picture", conn_id="gptunnel_default", kind="image", model="{model}", prompt="{name}")
            ],
            destination=f"file://{tmp_path}/out",
            concurrency=12,
            timeout=86_400,
            budget=budget(100),
        ).execute(context)
    assert kept("spent") <= 100


def test_a_single_job_has_the_price_of_its_model(context, store, budget, ledger, sandbox):
    def picture(model, **more):
        given = {"task_id": "picture", "model": model, "prompt": "a cat", "deferrable": False}
        return GPTunnelImageOperator(**{**given, "timeout": 86_400, "budget": budget(30), **more})

    picture("gpt-image-1-low").execute(context)
    context["task_state_store"] = type(store)()
    with pytest.raises(BudgetExceededError, match="of 26 RUB"):
        picture("gpt-image-1-high", price=26).execute(context)
    assert bought(ledger) == 1
