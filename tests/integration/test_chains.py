"""Chains of jobs for many items in one task: each job paid once, wherever the task is ended, and every step told."""

from __future__ import annotations

import json

import httpx
import pytest

from airflow_provider_faceswap.exceptions import BatchFailedError, InvalidRequestError
from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step

pytestmark = pytest.mark.sandbox


@pytest.fixture
def people(sandbox):
    """So many different items."""

    def make(number):
        faces = ("anna.jpg", "boris.jpg")
        return [
            {"name": f"p{n}", "role": f"captain {n}", "face": f"{sandbox.url}/samples/{faces[n % 2]}?n={n}"}
            for n in range(number)
        ]

    return make


def picture_and_swap(**more):
    return [
        Step(
            "picture",
            conn_id="gptunnel_default",
            kind="image",
            model="gpt-image-1-low",
            prompt="portrait of {role}",
        ),
        Step(
            "swap",
            conn_id="piapi_default",
            kind="face_swap",
            target_image="{picture}",
            face_image="{face}",
            **more,
        ),
    ]


@pytest.fixture
def chain(tmp_path, context):
    """Run a batch of chains, whose log is kept; what it returns."""
    told = []

    def run(items, steps=None, **more):
        more = {"concurrency": 8, "timeout": 86_400, "filename": "{name}", **more}
        operator = MediaBatchOperator(
            task_id="chains",
            items=items,
            steps=steps or picture_and_swap(),
            destination=f"file://{tmp_path}/pictures",
            **more,
        )
        for level in ("info", "warning"):
            setattr(operator.log, level, lambda text, *args: told.append(text % args if args else text))
        run.operator = operator
        return operator.execute(context)

    def manifest():
        [path] = run.folder.glob("batch-*.jsonl")
        lines = (json.loads(line) for line in path.read_text().splitlines())
        return sorted(lines, key=lambda line: line["position"])

    run.told, run.manifest = told, manifest
    run.folder = tmp_path / "pictures"
    return run


@pytest.fixture
def fault(sandbox):
    """Order a trouble at a vendor."""

    def order(operation, times=1, skip=0, vendor="piapi", **what):
        body = {"vendor": vendor, "operation": operation, "times": times, "skip": skip, "fault": what}
        httpx.post(f"{sandbox.url}/sandbox/faults", json=body).raise_for_status()

    return order


def creates(sandbox):
    """The submissions that were billed, by vendor."""
    ledger = httpx.get(f"{sandbox.url}/sandbox/ledger").json()
    billed = {vendor: requests.get("create", 0) for vendor, requests in ledger["requests"].items()}
    return {vendor: number for vendor, number in billed.items() if number}


def pictures(chain):
    return sorted(
        path.name for path in chain.folder.glob("[!.]*.*") if path.suffix not in {".json", ".jsonl"}
    )


def test_each_item_goes_through_both_steps_and_its_last_picture_is_archived(sandbox, people, chain):
    summary = chain(people(6))
    assert (summary["total"], summary["archived"], summary["failed"]) == (6, 6, 0)
    assert creates(sandbox) == {"gptunnel": 6, "piapi": 6}
    assert {name.partition(".")[0] for name in pictures(chain)} == {f"p{n}" for n in range(6)}
    assert set(summary["steps"]) == {"picture", "swap"}
    assert all(step["jobs"] == 6 and step["failed"] == 0 for step in summary["steps"].values())
    units = [set(step["cost"]) for step in summary["steps"].values()]
    assert units == [{"RUB"}, {"point"}]
    assert summary["cost"].keys() == {"RUB", "point"}


def test_the_manifest_and_the_records_name_every_step(sandbox, people, chain, store):
    chain(people(2), keep="all")
    for line in chain.manifest():
        assert [step["step"] for step in line["steps"]] == ["picture", "swap"]
        assert [step["vendor"] for step in line["steps"]] == ["gptunnel", "piapi"]
        for step in line["steps"]:
            assert step["job_id"]
            assert step["cost"]["amount"] > 0
            assert step["seconds"] >= 0
            assert step["uri"].startswith("file://")
        assert line["job_id"] == line["steps"][-1]["job_id"]
    assert {name.partition(".")[0] for name in pictures(chain)} == {"p0", "p0-picture", "p1", "p1-picture"}
    records = [record for shard in store.values.values() for record in shard.values()]
    assert sorted(record["kind"] for record in records) == ["face_swap", "face_swap", "image", "image"]
    [beside] = list(chain.folder.glob("p0.*.json"))
    known = json.loads(beside.read_text())
    assert [parent["job_id"] for parent in known["parents"]] == [chain.manifest()[0]["steps"][0]["job_id"]]


def test_a_second_try_pays_nothing_and_asks_nobody(sandbox, people, chain):
    chain(people(4))
    before = httpx.get(f"{sandbox.url}/sandbox/ledger").json()["requests"]
    summary = chain(people(4))
    after = httpx.get(f"{sandbox.url}/sandbox/ledger").json()["requests"]
    assert (summary["archived"], summary["reused"], summary["cost"]) == (4, 4, {})
    assert summary["cost_in_all"].keys() == {"RUB", "point"}
    assert [step["reused"] for step in summary["steps"].values()] == [4, 4]
    assert after["files"] == before["files"]
    assert creates(sandbox) == {"gptunnel": 4, "piapi": 4}
    assert all(len(line["steps"]) == 2 for line in chain.manifest())


def test_a_failed_step_fails_its_item_and_a_retry_goes_on_there(sandbox, people, chain, fault):
    fault("create", type="fail_job", message="something broke")
    with pytest.raises(BatchFailedError):
        chain(people(3), concurrency=1, keep="all")
    [failed] = [line for line in chain.manifest() if line["status"] == "failed"]
    assert failed["step"] == "swap"
    assert "step 'swap'" in failed["message"]
    assert [(step["step"], step["status"]) for step in failed["steps"]] == [
        ("picture", "archived"),
        ("swap", "failed"),
    ]
    assert chain.operator.outcome["steps"]["swap"]["failed"] == 1
    assert len(pictures(chain)) == 5
    summary = chain(people(3), concurrency=1, keep="all")
    assert (summary["archived"], summary["reused"]) == (3, 2)
    assert creates(sandbox) == {"gptunnel": 3, "piapi": 4}


@pytest.mark.parametrize("keep", ["all", "last"])
def test_a_dead_link_of_an_earlier_step_is_replaced_by_the_archived_picture_or_said(
    sandbox, people, chain, fault, keep
):
    fault("create", type="fail_job", message="something broke")
    with pytest.raises(BatchFailedError):
        chain(people(1), keep=keep)
    fault("download", times=100, vendor="gptunnel", type="expired")
    if keep == "all":
        assert chain(people(1), keep=keep)["archived"] == 1
        assert creates(sandbox) == {"gptunnel": 1, "piapi": 2}
        return
    with pytest.raises(BatchFailedError):
        chain(people(1), keep=keep)
    [line] = chain.manifest()
    assert line["error"] == "ResultExpiredError"
    assert "the result of step 'picture' can no longer be used" in line["message"]
    assert "keep='all'" in line["message"]
    assert creates(sandbox) == {"gptunnel": 1, "piapi": 1}


def test_a_step_with_several_connections_goes_to_the_next_one(sandbox, people, chain, fault):
    fault("create", times=None, vendor="tengrai", type="refuse", reason="no_credits", status=402)
    steps = picture_and_swap()
    steps[1] = Step(
        "swap",
        conn_ids=["tengrai_default", "piapi_default"],
        kind="face_swap",
        target_image="{picture}",
        face_image="{face}",
    )
    assert chain(people(3), steps)["archived"] == 3
    assert creates(sandbox).get("piapi") == 3
    assert chain(people(3), steps)["reused"] == 3
    assert creates(sandbox).get("piapi") == 3


def test_a_failed_job_of_one_connection_is_followed_by_one_at_the_next(sandbox, people, chain, fault):
    fault("create", vendor="tengrai", type="fail_job", message="engine broke")
    steps = picture_and_swap()
    steps[1] = Step(
        "swap",
        conn_ids=["tengrai_default", "piapi_default"],
        kind="face_swap",
        target_image="{picture}",
        face_image="{face}",
    )
    summary = chain(people(1), steps)
    assert summary["archived"] == 1
    assert creates(sandbox) == {"gptunnel": 1, "piapi": 1, "tengrai": 1}
    assert chain.manifest()[0]["steps"][1]["conn_id"] == "piapi_default"


def test_imagine_pick_and_swap_are_three_steps(sandbox, people, chain):
    steps = [
        Step("grid", "gptunnel_default", "imagine", prompt="portrait of {role}, {{blue}}"),
        Step("pick", "gptunnel_default", "upsample", parent_job_id="{grid}", image=2),
        Step(
            "swap",
            "gptunnel_default",
            "face_swap",
            target_image="{pick}",
            face_image="{face}",
            preflight="fit",
        ),
    ]
    assert chain(people(2), steps)["archived"] == 2
    assert creates(sandbox) == {"gptunnel": 6}
    line = chain.manifest()[0]
    assert [step["kind"] for step in line["steps"]] == ["imagine", "upsample", "face_swap"]
    [beside] = list(chain.folder.glob("p0.*.json"))
    parents = json.loads(beside.read_text())["parents"]
    assert [parent["kind"] for parent in parents] == ["upsample", "imagine"]
    assert parents[1]["arguments"]["prompt"] == "portrait of captain 0, {blue}"


@pytest.mark.parametrize(
    ("conn_id", "vendor"),
    [("gptunnel_default", "gptunnel"), ("piapi_default", "piapi"), ("tengrai_default", "tengrai")],
)
def test_a_picture_is_a_kind_at_each_vendor_that_generates(sandbox, people, chain, conn_id, vendor):
    steps = [Step("picture", conn_id, "image", prompt="portrait of {role}")]
    if vendor == "gptunnel":
        steps = [Step("picture", conn_id, "image", prompt="portrait of {role}", model="gpt-image-1-low")]
    assert chain(people(1), steps)["archived"] == 1
    assert creates(sandbox) == {vendor: 1}


# -- what is found before anything is submitted ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([{"prompt": "of {rol}"}], r"step 'picture' names {rol}.*is {role} meant"),
        ([{"prompt": "of {}"}], "is not a name"),
        ([{"prompt": "of {role.upper}"}], "is not a name"),
        ([{"prompt": "of {role!r}"}], "is not a name"),
        ([{"prompt": "of {role"}], "single brace"),
        ([{"prompt": "of {{ params.role }}"}], "Jinja"),
        ([{"prompt": "of {picture}"}], "the step itself"),
        ([{"kind": "portrait"}], "'portrait' is unknown"),
        ([{"prompt": None}], "prompt: Field required"),
        ([{"colour": "red"}], "colour"),
        ([{"name": "face"}], "'face' is the name of a step and of a column"),
        ([{}, {"prompt": "of {third}"}, {"name": "third"}], "a later step"),
        ([{}, {"prompt": "like {picture}"}], "inside a longer text"),
        ([{}, {"name": "picture"}], "two have the name"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_bought(sandbox, people, chain, steps, says):
    def make(number, changed):
        plain = {
            "name": f"{'picture' if number == 0 else f'step{number}'}",
            "conn_id": "gptunnel_default",
            "kind": "image",
            "model": "gpt-image-1-low",
            "prompt": "portrait of {role}",
        }
        return Step(**{**plain, **changed})

    with pytest.raises(InvalidRequestError, match=says) as caught:
        chain(people(2), [make(number, changed) for number, changed in enumerate(steps)])
    assert "Nothing was bought" in str(caught.value) or "arguments" in str(caught.value)
    assert creates(sandbox) == {}


def test_a_name_is_checked_against_the_header_of_a_file(sandbox, people, chain, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text(f"name,face,seed\nanna,{people(1)[0]['face']},\n")
    with pytest.raises(InvalidRequestError, match=r"names {role}.*The columns are: face, name, seed"):
        chain(f"file://{file}")
    file.write_text(f"name,face,role,seed\nanna,{people(1)[0]['face']},,\n")
    with pytest.raises(InvalidRequestError, match=r"step 'picture': prompt: role: is empty"):
        chain(f"file://{file}")
    file.write_text(f"name,face,role,ratio\nanna,{people(1)[0]['face']},captain,\n")
    steps = picture_and_swap()
    steps[0].arguments["aspect_ratio"] = Step("s", "c", "image", x="{ratio}").arguments["x"]
    assert chain(f"file://{file}", steps)["archived"] == 1


def test_two_items_cannot_have_the_same_file(people, chain):
    items = people(2)
    items[1]["name"] = "p0-picture"
    with pytest.raises(InvalidRequestError, match="filename: items"):
        chain(items, keep="all")


def test_a_wrong_item_may_be_left_out(sandbox, people, chain):
    items = people(3)
    items[1]["role"] = ""
    summary = chain(items, on_bad_item="skip")
    assert (summary["archived"], summary["skipped"]) == (2, 1)
    assert creates(sandbox) == {"gptunnel": 2, "piapi": 2}
