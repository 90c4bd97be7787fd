"""A dry run of a batch says what it would buy, and buys nothing."""

from __future__ import annotations

import pytest

from airflow_provider_faceswap.budgets import Budget
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator, MediaBatchOperator, Step

pytestmark = pytest.mark.sandbox


@pytest.fixture
def swaps(sandbox, tmp_path):
    """A batch of so many face swaps."""

    def run(numbers, context, **more):
        face = f"{sandbox.url}/samples/anna.jpg"
        items = [
            {"target_image": f"{sandbox.url}/samples/emil.png", "face_image": f"{face}?n={n}"}
            for n in numbers
        ]
        given = {"conn_id": "gptunnel_default", "items": items, "destination": f"file://{tmp_path}/out"}
        return FaceSwapBatchOperator(**{"task_id": "batch", "timeout": 86_400, **given, **more}).execute(
            context
        )

    return run


def steps():
    return [
        Step("picture", conn_id="gptunnel_default", kind="image", model="gpt-image-1-low", prompt="{role}"),
        Step(
            "swap",
            conn_id="piapi_default",
            kind="face_swap",
            target_image="{picture}",
            face_image="{face}",
            price=0.5,
        ),
    ]


def test_a_dry_run_buys_and_writes_nothing(swaps, context, ledger, tmp_path):
    found = swaps(range(3), context, dry_run=True, reuse="archive", price=15)
    assert (found["dry_run"], found["total"], found["jobs"], found["reused"]) == (True, 3, 3, 0)
    [step] = found["steps"]
    assert (step["vendor"], step["jobs"], step["price"], step["unit"]) == ("gptunnel", 3, 15, "RUB")
    assert found["cost"] == {"RUB": 45}
    assert ledger()["creates"] == 0
    assert not (tmp_path / "out").exists()
    assert vars(context["task_state_store"]) == vars(type(context["task_state_store"])())


def test_a_price_that_nobody_knows_is_unknown(swaps, context):
    found = swaps(range(2), context, dry_run=True)
    assert (found["unpriced"], found["cost"], found["steps"][0]["price"]) == (2, {}, None)


def test_what_is_archived_and_what_is_equal_counts_once(swaps, context, ledger):
    swaps([1], context, reuse="archive")
    before = ledger()["creates"]
    context["task_state_store"] = None
    found = swaps([1, 2, 2], context, reuse="archive", dry_run=True)
    assert (found["reused"], found["jobs"]) == (2, 1)
    assert ledger()["creates"] == before


def test_jobs_of_an_earlier_attempt_are_not_bought_again(swaps, context):
    swaps([1], context)
    found = swaps([1, 2], context, dry_run=True)
    assert (found["reused"], found["jobs"], found["steps"][0]["reused"]) == (1, 1, 1)


def test_failed_jobs_of_an_earlier_attempt_are_bought_again(swaps, context, ledger, fault):
    fault("gptunnel", "create", times=2, type="fail_job", message="something broke")
    swaps([1, 2, 3], context, fail_on="all")
    before = ledger()["creates"]
    found = swaps([1, 2, 3], context, dry_run=True)
    assert (found["reused"], found["jobs"]) == (1, 2)
    swaps([1, 2, 3], context)
    assert ledger()["creates"] == before + 2


def test_a_budget_says_the_highest_price_that_it_has_seen_and_reserves_nothing(swaps, context, tmp_path):
    budget = Budget(f"file://{tmp_path}/budget", amount=1000, unit="RUB", per="ever")
    swaps([1], context, budget=budget)
    files = sorted(tmp_path.joinpath("budget").rglob("*"))
    found = swaps([2, 3], context, budget=budget, price=1, dry_run=True)
    price = found["steps"][0]["price"]
    assert price > 1
    assert found["cost"] == {"RUB": 2 * price}
    assert sorted(tmp_path.joinpath("budget").rglob("*")) == files


def test_the_steps_of_a_chain_are_counted_by_vendor(sandbox, context, ledger, tmp_path):
    found = MediaBatchOperator(
        task_id="chains",
        items=[{"role": "king", "face": f"{sandbox.url}/samples/anna.jpg?n={n}"} for n in range(2)],
        steps=steps(),
        destination=f"file://{tmp_path}/out",
        dry_run="{{ True }}",
    ).execute(context)
    assert [(step["step"], step["vendor"], step["jobs"]) for step in found["steps"]] == [
        ("picture", "gptunnel", 2),
        ("swap", "piapi", 2),
    ]
    assert (found["cost"], found["unpriced"]) == ({"point": 1}, 2)
    assert ledger()["creates"] == 0


def test_a_wrong_row_fails_a_dry_run_too(swaps, context):
    with pytest.raises(InvalidRequestError, match="items are wrong"):
        swaps([], context, items=[{"target_image": "", "face_image": "x"}], dry_run=True)


def test_what_is_no_truth_value_is_refused(swaps, context):
    with pytest.raises(InvalidRequestError, match="dry_run"):
        swaps([1], context, dry_run="perhaps")
