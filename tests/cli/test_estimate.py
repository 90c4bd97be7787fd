"""``airflow faceswap estimate``."""

from __future__ import annotations

import json

import pytest

from airflow_provider_faceswap.cli.exits import Exit

pytestmark = pytest.mark.sandbox


@pytest.fixture
def items(sandbox, tmp_path):
    path = tmp_path / "items.csv"
    face = f"{sandbox.url}/samples/anna.jpg"
    rows = [f"{sandbox.url}/samples/emil.png?n={n},{face},king" for n in range(3)]
    path.write_text("\n".join(["target_image,face_image,role", *rows]))
    return path


def test_the_jobs_of_a_file_are_counted_and_none_is_bought(run, items, charged):
    done = run("estimate", items, "--conn-id", "gptunnel_default", "--price", 15)
    assert (done.code, charged()) == (Exit.DONE, 0)
    assert (done.told["total"], done.told["jobs"], done.told["cost"]) == (3, 3, {"RUB": 45})


def test_the_steps_of_a_chain_are_counted_by_vendor(run, items, charged, tmp_path):
    steps = [
        {
            "name": "picture",
            "conn_id": "gptunnel_default",
            "kind": "image",
            "model": "gpt-image-1-low",
            "prompt": "{role}",
        },
        {
            "name": "swap",
            "conn_id": "piapi_default",
            "kind": "face_swap",
            "target_image": "{picture}",
            "face_image": "{face_image}",
        },
    ]
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    for given in (json.dumps(steps), tmp_path / "steps.json"):
        done = run("estimate", items, "--steps", given)
        assert (done.code, charged()) == (Exit.DONE, 0)
        assert [(step["vendor"], step["jobs"]) for step in done.told["steps"]] == [
            ("gptunnel", 3),
            ("piapi", 3),
        ]
        assert done.told["unpriced"] == 6


@pytest.mark.parametrize(
    "more", [(), ("--conn-id", "gptunnel_default", "--steps", "[]"), ("--steps", "{"), ("--steps", "[1]")]
)
def test_wrong_arguments_are_one_sentence(run, items, more):
    done = run("estimate", items, *more)
    assert done.code == Exit.USAGE
    assert "Traceback" not in done.stderr


def test_the_table_says_unknown_for_a_price_that_nobody_knows(run, items):
    done = run("estimate", items, "--conn-id", "gptunnel_default", output="table")
    assert "unknown" in done.stderr


@pytest.mark.parametrize("name", ["dag.dag_id", "ds"])
@pytest.mark.parametrize("place", ["argument", "setting"])
def test_a_budget_that_only_a_task_can_find_is_refused_in_a_sentence(
    run, items, tmp_path, monkeypatch, name, place
):
    budget = json.dumps({"uri": f"file://{tmp_path}/budget-{{{{ {name} }}}}", "amount": 10, "unit": "RUB"})
    if place == "setting":
        monkeypatch.setenv("AIRFLOW__FACESWAP__BUDGET", budget)
    more = ("--budget", budget) if place == "argument" else ()
    done = run("estimate", items, "--conn-id", "gptunnel_default", *more)
    assert done.code == Exit.USAGE
    assert "the budget's uri is a template, which only a task renders" in done.stderr
    assert "--budget" in done.stderr


def test_a_price_counts_at_a_vendor_that_reports_no_costs(run, items):
    done = run("estimate", items, "--conn-id", "tengrai_default", "--price", 3)
    assert (done.told["unpriced"], done.told["cost"]) == (0, {"": 9})
    assert [(step["price"], step["unit"], step["cost"]) for step in done.told["steps"]] == [(3, None, 9)]
    table = run("estimate", items, "--conn-id", "tengrai_default", "--price", 3, output="table").stderr
    assert "unknown" not in table
    assert table.rstrip().endswith("cost: 9")


@pytest.mark.parametrize("price", ["nan", "inf", "-1", "0"])
def test_a_price_that_is_no_amount_of_money_is_refused(run, items, price):
    done = run("estimate", items, "--conn-id", "gptunnel_default", f"--price={price}")
    assert done.code == Exit.USAGE
    assert "--price" in done.stderr
