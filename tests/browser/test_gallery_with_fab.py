"""
The gallery with the auth manager of apache-airflow-providers-fab, where a viewer gets no tab.

``make verify`` runs it. ``make fab`` makes the environment: Flask and what comes with it stay out of that of the tests.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from .conftest import ARGUMENTS, need_chromium, of_this_ui
from .own_airflow import DAG, own_airflow
from .test_gallery import widths

pytestmark = [pytest.mark.airflow, pytest.mark.full, of_this_ui]

FAB = Path(__file__).resolve().parents[2] / "build" / "fab" / "bin" / "python"
ANOTHER = "another_dag"
#: Roles of their own: what they may read, besides the Dag of the gallery.
ROLES = {"Pictures": ["XComs"], "NoXComs": []}
#: The users by their names, which are their passwords too, and their roles.
USERS = {"admin": "Admin", "vera": "Viewer", "paula": "Pictures", "nora": "NoXComs"}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    need_chromium()
    if not FAB.exists():
        pytest.skip("apache-airflow-providers-fab is not installed; `make fab` installs it")
    folder = tmp_path_factory.mktemp("fab")
    env = {
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    }
    with own_airflow(folder, env, python=str(FAB), users=tuple(USERS), prepare=prepared) as airflow:
        yield airflow


def prepared(airflow):
    """The roles and users, before Airflow starts."""
    airflow.run("db", "migrate")
    airflow.run("roles", "create", *ROLES)
    for name, role in USERS.items():
        who = ("-u", name, "-p", name, "-f", name, "-l", name, "-e", f"{name}@example.com")
        airflow.run("users", "create", *who, "-r", role)


@pytest.fixture(scope="module")
def run_id(airflow):
    run = airflow.run_dag(DAG)
    # There is no permission for a Dag before the Dag.
    airflow.run("sync-perm", "--include-dags")
    for role, resources in ROLES.items():
        airflow.run("roles", "add-perms", role, "-r", f"DAG:{DAG}", *resources, "-a", "can_read")
    assert airflow.wait_for(DAG, run, timeout=400) == "failed", airflow.story(DAG, run)
    return run


@pytest.fixture(scope="module")
def page(airflow, tmp_path_factory):
    """The UI, with the viewer logged in."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=list(ARGUMENTS)
        )
        with browser:
            page = browser.new_page(viewport={"width": 1000, "height": 900})
            page.set_default_timeout(30_000)
            page.goto(f"{airflow.url}/auth/login/")
            page.locator("input[name=username]").fill("vera")
            page.locator("input[name=password]").fill("vera")
            page.locator("input[type=submit], button[type=submit]").first.click()
            page.wait_for_url(f"{airflow.url}/", wait_until="commit")
            yield page


def status(airflow, user, path):
    """The status of a page of the gallery for a user, by the token in the cookie as a browser has it."""
    token = httpx.post(f"{airflow.url}/auth/token", json={"username": user, "password": user}, timeout=60)
    cookies = {"_token": token.raise_for_status().json()["access_token"]}
    return httpx.get(f"{airflow.url}/faceswap/gallery/dags/{path}", cookies=cookies, timeout=60).status_code


def test_a_viewer_has_no_tab_and_comes_by_the_button_of_a_task(airflow, page, run_id):
    page.goto(f"{airflow.url}/dags/{DAG}/runs/{run_id}/tasks/archive/mapped/1/details")
    button = page.get_by_role("link", name="Pictures", exact=True)
    button.wait_for()
    # The button, and no tab before it.
    assert button.count() == 1
    assert "/faceswap/gallery/" in button.get_attribute("href")
    button.click()
    page.get_by_role("heading", name="Pictures of the task").wait_for()
    assert page.get_by_role("article").count() == 1
    assert widths(page) == [256] * 3
    page.get_by_role("link", name="All pictures of the run").click()
    page.get_by_role("heading", name="Pictures of the run").wait_for()
    assert page.get_by_role("article").count() == 5


PLACES = ["{run}/", "{run}/results/archive/0/0/file", "{run}/results/archive/0/0/thumbnail/output", ""]


@pytest.mark.parametrize("place", PLACES)
def test_the_permission_for_the_xcoms_of_the_dag_decides(airflow, run_id, place):
    place = place.format(run=f"runs/{run_id}")
    assert httpx.get(f"{airflow.url}/faceswap/gallery/dags/{DAG}/{place}").status_code == 401
    seen = {user: status(airflow, user, f"{DAG}/{place}") for user in USERS}
    assert seen == {"admin": 200, "vera": 200, "paula": 200, "nora": 403}


def test_the_permission_for_one_dag_shows_no_other(airflow, run_id):
    seen = {user: status(airflow, user, f"{ANOTHER}/") for user in USERS}
    assert seen == {"admin": 200, "vera": 200, "paula": 403, "nora": 403}
