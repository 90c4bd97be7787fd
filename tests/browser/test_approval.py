"""A person approves a picture in Airflow's real UI, and by its API; only then is the picture published."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from .conftest import need_chromium, of_this_ui, signed_in

pytestmark = [pytest.mark.airflow, of_this_ui]

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
APPROVE, DELETE, PICK = "gallery_approve_before_publish", "gallery_approve_or_delete", "gallery_pick_of_four"


@pytest.fixture(scope="module")
def stack_part(stack):
    need_chromium()
    return stack.part("browser")


@pytest.fixture(scope="module")
def airflow(stack, stack_part):
    return stack.airflow


@pytest.fixture(scope="module")
def page(airflow, tmp_path_factory):
    with signed_in(airflow, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def runs(airflow, stack_part):
    """A run of each Dag, side by side, and where it publishes."""
    sandbox = stack_part.vendors["sandbox"].url
    started = {}
    for dag_id in (APPROVE, DELETE, PICK):
        folder = stack_part.home / "pictures" / dag_id
        given = {"destination": f"file://{folder}"}
        if dag_id != PICK:
            given["face_image"] = f"{sandbox}/samples/boris.jpg"
        started[dag_id] = (airflow.run_dag(dag_id, given), folder)
    return started


def wait_for_question(airflow, dag_id, run_id, task_id):
    """Wait until a task waits for a person; returns its text."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        asked = airflow.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}/hitlDetails")["hitl_details"]
        if found := [one for one in asked if one["task_instance"]["task_id"] == task_id]:
            return found[0]
        time.sleep(0.5)
    raise AssertionError(airflow.story(dag_id, run_id))


def answer(airflow, dag_id, run_id, task_id, option):
    place = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
    airflow.api("PATCH", place, json={"chosen_options": [option], "params_input": {}})


def manifests(folder):
    return [json.loads(path.read_text()) for path in folder.rglob("*.json")]


def decoded(page):
    """The widths of the pictures of the gallery on the page of the UI."""
    pictures = page.locator("img[src*='faceswap/gallery']")
    pictures.first.wait_for()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        widths = pictures.evaluate_all("all => all.map(one => one.naturalWidth)")
        if all(widths):
            return widths
        time.sleep(0.1)
    return widths


def shot(page, name, size):
    if os.environ.get("FACESWAP_WRITE_DOCS"):
        page.set_viewport_size(size)
        time.sleep(1)
        page.screenshot(path=IMAGES / name)
        page.set_viewport_size({"width": 1000, "height": 900})


def test_a_person_sees_the_pictures_and_approves(airflow, page, runs):
    run_id, folder = runs[APPROVE]
    asked = wait_for_question(airflow, APPROVE, run_id, "approve")
    assert "sig=" not in asked["body"]
    assert "http" not in asked["body"]
    assert manifests(folder / "published") == []
    page.goto(f"{airflow.url}/dags/{APPROVE}/runs/{run_id}/tasks/approve/required_actions")
    assert len(decoded(page)) == 3
    shot(page, "approval.png", {"width": 1500, "height": 1120})
    page.get_by_role("button", name="Approve", exact=True).click()
    assert airflow.wait_for(APPROVE, run_id) == "success", airflow.story(APPROVE, run_id)
    [manifest] = manifests(folder / "published")
    assert manifest["approval"]["option"] == "Approve"
    assert manifest["approval"]["by"]["name"] == "admin"
    assert (folder / "published" / manifest["file"]["uri"].rpartition("/")[2]).is_file()


def test_a_person_picks_one_of_four(airflow, page, runs):
    run_id, folder = runs[PICK]
    wait_for_question(airflow, PICK, run_id, "pick")
    page.goto(f"{airflow.url}/dags/{PICK}/runs/{run_id}/tasks/pick/required_actions")
    assert decoded(page) == [320]
    shot(page, "pick-of-four.png", {"width": 1300, "height": 1000})
    page.get_by_role("button", name="3", exact=True).click()
    assert airflow.wait_for(PICK, run_id) == "success", airflow.story(PICK, run_id)
    [kept] = [one for one in manifests(folder) if one["job"]["kind"] == "upsample"]
    assert kept["job"]["arguments"]["image"] == "3"


def test_a_rejection_by_the_api_deletes_the_staged_picture(airflow, runs):
    run_id, folder = runs[DELETE]
    wait_for_question(airflow, DELETE, run_id, "approve_or_delete")
    assert len(manifests(folder)) == 1
    answer(airflow, DELETE, run_id, "approve_or_delete", "Reject")
    assert airflow.wait_for(DELETE, run_id) == "success", airflow.story(DELETE, run_id)
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    states = {task["task_id"]: task["state"] for task in airflow.tasks(DELETE, run_id)}
    assert states["publish"] == "skipped"
    assert "Deleted: file://" in airflow.task_log(DELETE, run_id, "publish")
