"""A budget: reserved before a purchase, settled after it, never exceeded."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.sdk import DAG

from airflow_provider_faceswap.budgets import Budget
from airflow_provider_faceswap.exceptions import (
    BudgetBusyError,
    BudgetExceededError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobFailedError,
    SubmissionUncertainError,
)
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.lifecycle.ledger import Ledger
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator

URL = "https://storage.test/result.png"
PICTURES = {"target_image": "https://pictures.test/t.jpg", "face_image": "https://pictures.test/f.jpg"}


@pytest.fixture
def budget(tmp_path):
    def of(amount=100, **more):
        return Budget(**{"uri": f"file://{tmp_path}/budget", "amount": amount, "unit": "RUB", **more})

    return of


@pytest.fixture
def kept(tmp_path):
    """The names of the objects of a stage, in every period."""

    def of(stage):
        return sorted(path.name.rpartition("~")[2] for path in (tmp_path / "budget").glob(f"*/*-{stage}/*~*"))

    return of


class Instance:
    dag_id, run_id, task_id, map_index, try_number, max_tries = "a_dag", "a_run", "a_task", -1, 1, 0


def context_of(store, **more):
    instance = Instance()
    vars(instance).update(more)
    return {"ti": instance, "task_state_store": store}


def swap(**more):
    return GPTunnelFaceSwapOperator(**{"task_id": "swap", "deferrable": False, **PICTURES, **more})


def cost(amount):
    return {"usage": {"total_cost": amount}}


def done(answer, **more):
    return answer("done", percent=100, result=URL, **more)


def test_a_job_is_bought_and_its_cost_is_spent(vendor, answer, context, clock, budget, kept):
    vendor.will(answer("idle", **cost(15)), done(answer))
    assert swap(budget=budget()).execute(context)["cost"] == {"amount": 15.0, "unit": "RUB"}
    assert (kept("reserved"), kept("bought"), kept("spent")) == ([], [], ["15"])


def test_what_would_go_over_is_not_bought_and_not_retried(vendor, answer, context, clock, budget, kept):
    vendor.will(done(answer, **cost(15)))
    swap(budget=budget(20)).execute(context)
    with pytest.raises(BudgetExceededError, match=r"15 RUB spent.*Nothing was bought") as raised:
        swap(budget=budget(20)).execute(context_of(context["task_state_store"].__class__(), run_id="next"))
    assert isinstance(raised.value, AirflowFailException)
    assert len(vendor.creates) == 1
    assert kept("reserved") == []


def test_the_price_is_the_highest_seen_of_the_kind(vendor, answer, context, clock, budget, store):
    vendor.will(done(answer, **cost(15)), done(answer, **cost(10)))
    swap(budget=budget(40)).execute(context)
    swap(budget=budget(40)).execute(context_of(type(store)(), run_id="second"))
    with pytest.raises(BudgetExceededError, match=r"25 RUB spent.*of 15 RUB"):
        swap(budget=budget(39)).execute(context_of(type(store)(), run_id="third"))
    assert len(vendor.creates) == 2


def test_a_given_price_counts_until_a_cost_was_seen(vendor, context, clock, budget):
    with pytest.raises(BudgetExceededError, match="of 101 RUB"):
        swap(budget=budget(100), price=101).execute(context)
    assert not vendor.requests


def test_jobs_without_a_known_price_are_bought_one_at_a_time(vendor, answer, context, clock, budget, store):
    vendor.will(answer("idle"))
    with pytest.raises(TaskDeferred):
        swap(budget=budget(), deferrable=True).execute(context)
    with pytest.raises(BudgetBusyError, match=r"not known yet.*Nothing was bought"):
        swap(budget=budget()).execute(context_of(type(store)(), run_id="second"))
    assert len(vendor.creates) == 1


def test_a_budget_in_another_unit_is_refused_before_anything_is_bought(vendor, context, clock, budget):
    with pytest.raises(InvalidRequestError, match=r"charges in RUB.*Nothing was bought"):
        swap(budget=budget(unit="point")).execute(context)
    assert not vendor.requests


def test_a_vendor_that_reports_no_costs_needs_a_price(vendor, context, clock, budget, kept):
    operator = TengraiFaceSwapOperator(task_id="swap", deferrable=False, budget=budget(), **PICTURES)
    with pytest.raises(InvalidRequestError, match=r"needs price.*Nothing was bought"):
        operator.execute(context)
    assert not vendor.requests
    assert kept("reserved") == []


def test_a_refused_submission_gives_its_money_back(vendor, context, clock, budget, kept):
    vendor.will(httpx.Response(402, json={"error": {"message": "no money"}}))
    with pytest.raises(InsufficientBalanceError):
        swap(budget=budget(), price=15).execute(context)
    assert kept("reserved") == []


def test_an_uncertain_submission_keeps_its_money(vendor, context, clock, budget, kept):
    vendor.will(httpx.ReadTimeout("silence"))
    with pytest.raises(SubmissionUncertainError):
        swap(budget=budget(), price=15).execute(context)
    assert kept("reserved") == ["15"]


def test_a_second_submission_after_an_uncertain_one_is_reserved_too(
    vendor, answer, context, clock, budget, kept
):
    vendor.will(httpx.ReadTimeout("silence"), done(answer, **cost(14)))
    swap(budget=budget(), price=15, on_uncertain="resubmit").execute(context)
    assert (kept("reserved"), kept("spent")) == (["15"], ["14"])


def test_a_failed_job_that_was_given_back_costs_nothing(vendor, context, clock, budget, kept):
    operator = FaceSwapOperator(
        task_id="swap", conn_ids=["piapi_default"], deferrable=False, budget=budget(unit="point"), **PICTURES
    )
    job = {"task_id": "j1", "status": "pending", "meta": {"usage": {"frozen": 200}}}
    gone = {"usage": {"frozen": 0, "consume": 0}}
    failed = {**job, "status": "failed", "error": {"message": "it broke"}, "meta": gone}
    vendor.will({"code": 200, "data": job}, {"code": 200, "data": failed})
    with pytest.raises(JobFailedError):
        operator.execute(context)
    assert [kept(stage) for stage in ("reserved", "bought", "spent")] == [[], [], []]


def test_a_retry_takes_up_the_reservation_of_an_attempt_that_crashed(
    vendor, answer, context, clock, budget, kept, monkeypatch
):
    class CrashError(BaseException):
        """The process is gone."""

    def crash(*_):
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "replace", crash)
        with pytest.raises(CrashError):
            swap(budget=budget(20), price=15).execute(context)
    assert kept("reserved") == ["15"]
    vendor.will(done(answer, **cost(15)))
    context["ti"].try_number = 2
    swap(budget=budget(20), price=15).execute(context)
    assert (kept("reserved"), kept("spent")) == ([], ["15"])


def test_a_deferred_job_is_settled_on_a_worker(vendor, answer, context, clock, budget, kept):
    vendor.will(answer("idle", **cost(15)))
    operator = swap(budget=budget(), deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    assert deferred.value.trigger.end_in_place is False
    assert kept("bought") == ["15"]
    submission = deferred.value.trigger.serialize()[1]["submission"]
    job = {"vendor": "gptunnel", "kind": "face_swap", "job_id": submission["job_id"], "status": "done"}
    ending = {
        "word": "succeeded",
        "vendor": "gptunnel",
        "job_id": submission["job_id"],
        "job": {**job, "state": "succeeded"},
    }
    vendor.will(done(answer))
    swap(budget=budget(), deferrable=True).execute_complete(
        context, {"ending": ending, "submission": submission}
    )
    assert (kept("bought"), kept("spent")) == ([], ["15"])


def test_nothing_is_bought_from_a_budget_that_cannot_be_read(vendor, context, clock, budget, tmp_path):
    (tmp_path / "budget").write_text("a file where the folder should be")
    with pytest.raises(FaceSwapError, match=r"budget .* could not be .*Nothing was bought"):
        swap(budget=budget(), price=15).execute(context)
    assert not vendor.requests


def test_the_setting_is_the_budget_of_every_task(vendor, context, clock, budget, monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__BUDGET", json.dumps(budget(10).serialize()))
    with pytest.raises(BudgetExceededError):
        swap(price=15).execute(context)
    assert not vendor.requests


def test_a_run_has_a_period_of_its_own(vendor, answer, context, clock, budget, store):
    vendor.will(done(answer, **cost(15)), done(answer, **cost(15)))
    swap(budget=budget(20, per="run")).execute(context)
    swap(budget=budget(20, per="run")).execute(context_of(type(store)(), run_id="second"))
    with pytest.raises(BudgetExceededError):
        swap(budget=budget(20, per="run")).execute(
            context_of(type(store)(), run_id="second", task_id="another")
        )


def test_a_day_begins_at_midnight_of_the_time_zone(vendor, answer, context, clock, budget, tmp_path):
    clock.time = 1_800_000_000.0 - 1_800_000_000 % 86_400 + 22 * 3600  # 22:00 in Greenwich
    vendor.will(done(answer, **cost(15)))
    swap(budget=budget(timezone="Europe/Moscow")).execute(context)
    assert [path.name for path in (tmp_path / "budget").iterdir() if path.name[0] == "2"] == ["2027-01-16"]


def test_a_reservation_of_yesterday_is_settled_there(vendor, answer, context, clock, budget, tmp_path, kept):
    vendor.will(answer("idle", **cost(15)))
    with pytest.raises(TaskDeferred):
        swap(budget=budget(), deferrable=True, timeout=300_000).execute(context)
    clock.time += 86_400
    vendor.will(done(answer), done(answer))
    context["ti"].try_number = 2
    swap(budget=budget(), timeout=300_000).execute(context)
    assert (kept("bought"), kept("spent")) == ([], ["15"])
    assert len([path for path in (tmp_path / "budget").iterdir() if path.name[0] == "2"]) == 1


def test_a_warning_comes_once_at_its_share(vendor, answer, context, clock, budget, store, caplog):
    seen = []
    vendor.will(done(answer, **cost(15)), done(answer, **cost(15)), done(answer, **cost(15)))
    for run in ("one", "two", "three"):
        given = budget(50, warn_at=0.6, on_warning=seen.append)
        swap(budget=given, price=15).execute(context_of(type(store)(), run_id=run))
    assert [(told["run_id"], told["share"]) for told in seen] == [("two", 0.6)]
    assert caplog.text.count("60 % is spent or reserved") == 1


def test_a_share_may_be_a_text(budget):
    assert budget(warn_at="0.6").warn_at == 0.6


def test_what_airflow_stores_of_a_budget_is_the_same_in_each_process(budget):
    assert "0x" not in repr(budget(on_warning=lambda _: None))


def test_the_entry_of_a_job_keeps_the_cap(vendor, answer, context, clock, budget, tmp_path):
    vendor.will(done(answer, **cost(15)))
    swap(budget=budget(40)).execute(context)
    [spent] = (tmp_path / "budget").glob("*/3-spent/*")
    assert json.loads(spent.read_text())["cap"] == "40"


def test_a_price_holds_in_the_unit_of_the_first_connection(vendor, context, clock, budget, tmp_path):
    points = Budget(f"file://{tmp_path}/points", amount=10**9, unit="point")
    task = FaceSwapOperator(
        task_id="swap",
        conn_ids=["gptunnel_default", "piapi_default"],
        budget=[budget(), points],
        price=15,
        deferrable=False,
        **PICTURES,
    )
    prices = [
        task._funds(context, hook_for_connection(conn_id), "face_swap", "").price for conn_id in task.conn_ids
    ]
    assert prices == [15, None]


def test_a_broken_callback_does_not_stop_a_purchase(vendor, answer, context, clock, budget):
    vendor.will(done(answer, **cost(15)))
    given = budget(15, on_warning="no_such_module.callback")
    assert swap(budget=given, price=15).execute(context)["url"] == URL


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"amount": -1}, "amount"),
        ({"amount": float("nan")}, "amount"),
        ({"amount": True}, "amount"),
        ({"unit": ""}, "unit"),
        ({"per": "week"}, "per"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"uri": "relative/path"}, "uri"),
        ({"warn_at": 2}, "warn_at"),
        ({"warn_at": "much"}, "warn_at"),
    ],
)
def test_a_wrong_budget_is_found_when_the_dag_is_parsed(budget, wrong, named):
    with pytest.raises(InvalidRequestError, match=named):
        budget(**wrong)


def test_a_budget_is_plain_json_and_back(budget):
    given = budget(5000, per="month", timezone="Europe/Moscow", on_warning=json.dumps)
    plain = json.loads(json.dumps(given.serialize()))
    assert plain["on_warning"] == "json.dumps"
    assert Budget.deserialize(plain).serialize() == plain


@pytest.mark.parametrize("price", [-1, "a lot", float("inf"), float("nan"), 0, 1e-9, ""])
def test_a_wrong_price_is_found_when_the_dag_is_parsed(price):
    with pytest.raises(InvalidRequestError, match="price"):
        swap(price=price)


def test_of_several_budgets_the_one_of_the_vendors_unit_counts(vendor, context, clock, budget, tmp_path):
    other = Budget(f"file://{tmp_path}/points", amount=10**9, unit="point")
    with pytest.raises(BudgetExceededError, match="RUB"):
        swap(budget=[other, budget(10)], price=15).execute(context)
    assert not Path(tmp_path, "points").exists()


def test_of_several_budgets_in_the_setting_the_one_of_the_vendors_unit_counts(
    vendor, context, clock, budget, tmp_path, monkeypatch
):
    other = Budget(f"file://{tmp_path}/points", amount=10**9, unit="point")
    both = [other.serialize(), budget(10).serialize()]
    monkeypatch.setenv("AIRFLOW__FACESWAP__BUDGET", json.dumps(both))
    with pytest.raises(BudgetExceededError, match="RUB"):
        swap(price=15).execute(context)
    assert not vendor.requests


def test_without_a_budget_of_the_vendors_unit_nothing_is_bought(vendor, context, clock, tmp_path):
    others = [Budget(f"file://{tmp_path}/{unit}", amount=10**9, unit=unit) for unit in ("point", "USD")]
    with pytest.raises(
        InvalidRequestError, match=r"charges in RUB.*Nothing was bought. Give a budget in RUB"
    ):
        swap(budget=others, price=15).execute(context)
    assert not vendor.requests


def test_a_dag_with_a_budget_is_stored_and_mapped(budget):
    try:
        from airflow.serialization.serialized_objects import DagSerialization as Serialized
    except ImportError:  # before Airflow 3.2
        from airflow.serialization.serialized_objects import SerializedDAG as Serialized

    with DAG("budgeted", schedule=None) as dag:
        swap(budget=budget())
        mapped = GPTunnelFaceSwapOperator.partial(
            task_id="mapped", face_image=PICTURES["face_image"], budget=budget(), price=15
        )
        mapped.expand(target_image=["https://pictures.test/1.jpg"])
        GPTunnelFaceSwapOperator.partial(task_id="each", **PICTURES).expand(budget=[budget().serialize()])
    stored = json.loads(json.dumps(Serialized.to_dict(dag)))
    assert {task["__var"]["task_id"] for task in stored["dag"]["tasks"]} == {"swap", "mapped", "each"}
