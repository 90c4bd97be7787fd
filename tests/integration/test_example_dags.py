"""
Every example Dag runs in this process through ``dag.test()``, changing nothing but connections and params.

At the full size each one runs against the kind sandbox, and against the sandbox at its most unkind, where it ends the same
with the same bill. Otherwise the second is for one of each vendor and a batch: the suite on a whole Airflow has all of them.
"""

from __future__ import annotations

import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator

from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from tests.sizes import FULL, SIZES

pytestmark = [pytest.mark.program, pytest.mark.usefixtures("database")]

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"


def loaded(file: str):
    path = EXAMPLES / file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


#: Jobs that one run buys.
CASES = {
    "batch_from_file.py": 4,
    "picture_anywhere.py": 1,
    "portraits_from_csv.py": 10,
    "first_swap.py": 1,
    "gpt_image_swap_archive.py": 2,
    "imagine_pick_swap_archive.py": 3,
    "seedream_swap_archive.py": 2,
    "tengrai_swap.py": 1,
    "piapi_multi_face_mapped.py": 2,
    "scheduled_swap_with_asset.py": 1,
    "flux_text_to_image.py": 1,
    "midjourney_edit.py": 4,
    "piapi_video_swap.py": 1,
    "piapi_midjourney_swap.py": 2,
    "tengrai_artwork.py": 2,
    "archive_known_job.py": 1,
    "taskflow_swap.py": 2,
    "check_balance_first.py": 1,
    "approve_before_publish.py": 2,
    "pick_of_four.py": 2,
    "budgeted.py": 2,
    "nightly_new_rows.py": 2,
}
#: Those that meet an unkind sandbox at the small size.
FEW = ("batch_from_file.py", "imagine_pick_swap_archive.py", "piapi_midjourney_swap.py", "tengrai_swap.py")
#: Pictures that it keeps, where that is not one.
PICTURES = {
    "batch_from_file.py": 4,
    "portraits_from_csv.py": 8,
    "piapi_multi_face_mapped.py": 2,
    "midjourney_edit.py": 2,
    "taskflow_swap.py": 2,
    "approve_before_publish.py": 2,
    "pick_of_four.py": 2,
    "budgeted.py": 2,
    "nightly_new_rows.py": 2,
}


#: Examples whose vendors are not busy: one submits in a task without retries, and the retries of the other wait for half a
#: minute.
NOT_BUSY = {"taskflow_swap.py", "check_balance_first.py"}
#: An example whose first picture is there at once and is looked at before the swap. Time passes faster for the package here
#: than for the sandbox, so all of its tries come before the file.
NOT_LATE = {"seedream_swap_archive.py"}


@pytest.fixture
def answered(monkeypatch):
    """A person answers at once, which ``dag.test()`` cannot wait for: by default with the first option."""

    def answers(option=None):
        def execute(operator, context):
            answer = {
                "chosen_options": [option or operator.options[0]],
                # Old versions want all of them back.
                "params_input": dict(operator.params),
                "responded_at": datetime.now(UTC),
                "responded_by_user": {"id": "1", "name": "Ada"},
            }
            return operator.execute_complete(context, answer)

        monkeypatch.setattr(HITLOperator, "execute", execute)

    answers()
    return answers


def test_every_example_is_run_here():
    elsewhere = {"collect_on_webhook.py"}  # in test_webhooks.py
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(CASES) | elsewhere


@pytest.fixture
def ran(sandbox, ledger, answered, tmp_path):
    """Run an example to its end; check what it keeps and what it is billed, and return the run."""

    def run(file, before=lambda: None):
        url = sandbox.url
        dag = loaded(file).dag
        given = {
            "target_image": f"{url}/samples/anna.jpg",
            "face_image": f"{url}/samples/boris.jpg",
            "pictures": [f"{url}/samples/group-2.jpg", f"{url}/samples/group-3.jpg"],
            "faces": f"{url}/samples/group-2.jpg",
            "target_video": f"{url}/samples/clip.mp4",
            "destination": f"file://{tmp_path}",
            "budget": f"file://{tmp_path}/budget",
        }
        if "job_id" in dag.params:
            bought = PiAPIHook().submit(
                "face_swap", target_image=given["target_image"], face_image=given["face_image"]
            )
            given["job_id"] = bought.job_id
        before()
        run = dag.test(run_conf={name: value for name, value in given.items() if name in dag.params})
        assert run.state == "success"
        manifests = [json.loads(path.read_text()) for path in tmp_path.rglob("*.json")]
        assert len(manifests) == PICTURES.get(file, 1)
        assert all(manifest["airflow"]["dag_id"] == dag.dag_id for manifest in manifests)
        bill = ledger()
        assert bill["creates"] == CASES[file]
        assert not [entry for entry in bill["entries"] if entry["refunded"]]
        return run

    return run


@pytest.mark.full
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("file", CASES)
def test_an_example_runs_to_its_end(ran, file):
    attempts = {instance.try_number for instance in ran(file).get_task_instances()}
    assert attempts == {1}, "no attempt was wasted"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("file", CASES if SIZES is FULL else FEW)
def test_an_example_ends_the_same_where_the_vendors_are_unkind(ran, unkind, file):
    left_out = [*(["refuse"] if file in NOT_BUSY else []), *(["not_ready"] if file in NOT_LATE else [])]
    counted = []
    run = ran(file, lambda: counted.append(unkind(*left_out)))
    [met] = counted
    assert met()["no_output"]
    # A busy vendor costs one attempt; nothing else does.
    assert max(instance.try_number for instance in run.get_task_instances()) <= 2


@pytest.mark.filterwarnings("default")
def test_only_the_new_rows_of_a_list_are_bought(sandbox, ledger, tmp_path):
    dag = loaded("nightly_new_rows.py").dag
    given = {"face_image": f"{sandbox.url}/samples/boris.jpg", "destination": f"file://{tmp_path}"}
    for many in (2, 3):
        pictures = [f"{sandbox.url}/samples/group-{number}.jpg" for number in range(2, 2 + many)]
        assert dag.test(run_conf={**given, "pictures": pictures}).state == "success"
        assert ledger()["creates"] == many
        assert len(list(tmp_path.rglob("*.json"))) == many


@pytest.mark.filterwarnings("default")
def test_a_backfill_over_ten_days_buys_each_picture_once(sandbox, ledger, tmp_path):
    dag = loaded("nightly_new_rows.py").dag
    given = {
        "face_image": f"{sandbox.url}/samples/boris.jpg",
        "destination": f"file://{tmp_path}",
        "pictures": [f"{sandbox.url}/samples/group-{number}.jpg" for number in (2, 3)],
    }
    for day in range(1, 11):
        run = dag.test(logical_date=datetime(2026, 11, day, tzinfo=UTC), run_conf=given)
        assert run.state == "success"
    assert ledger()["creates"] == 2


def test_the_consumer_of_the_asset_waits_for_it():
    module = loaded("scheduled_swap_with_asset.py")
    assert module.consumer.timetable.asset_condition is not None
    [archive] = [task for task in module.dag.tasks if task.outlets]
    assert archive.outlets == [module.portraits]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("dag", "left"), [("dag", 1), ("delete_dag", 0)])
def test_a_rejected_picture_is_not_published(sandbox, ledger, answered, tmp_path, dag, left):
    answered("Reject")
    dag = getattr(loaded("approve_before_publish.py"), dag)
    given = {"face_image": f"{sandbox.url}/samples/boris.jpg", "destination": f"file://{tmp_path}"}
    run = dag.test(run_conf=given)
    assert run.state == "success"
    states = {instance.task_id: instance.state for instance in run.get_task_instances()}
    assert states["publish"] == "skipped"
    assert len(list(tmp_path.rglob("*.json"))) == left
    assert ledger()["creates"] == 2


@pytest.mark.filterwarnings("default")
def test_an_approved_picture_says_who_approved_it(sandbox, answered, tmp_path):
    given = {"face_image": f"{sandbox.url}/samples/boris.jpg", "destination": f"file://{tmp_path}"}
    assert loaded("approve_before_publish.py").delete_dag.test(run_conf=given).state == "success"
    [manifest] = [json.loads(path.read_text()) for path in tmp_path.rglob("*.json")]
    assert manifest["approval"]["by"]["name"] == "Ada"
    assert manifest["file"]["uri"].startswith(f"file://{tmp_path}/published/")
