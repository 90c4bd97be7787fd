"""A real Airflow with its UI in a real browser, and the sandbox behind it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest

from airflow_provider_faceswap.sandbox import SandboxServer
from tests.conftest import needs

KEY = "planted-api-key-5f0c2d7be1a94836"

#: Pages change from version to version: those of Airflow 3.3 are what a person sees here.
of_this_ui = needs("the UI of Airflow 3.3", at="airflow.sdk", has="NEVER_EXPIRE")

#: What keeps a browser quiet: it talks to nobody but the page.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def sandbox():
    with SandboxServer(key=KEY) as server:
        yield server


@contextmanager
def signed_in(airflow, profile, user="admin"):
    """
    Airflow's UI in a browser, with somebody logged in.

    :param profile: An empty folder for the browser.
    :param user: The user's name, which is the password too.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=shutil.which("chromium"),
            headless=True,
            args=list(ARGUMENTS),
            viewport={"width": 1000, "height": 900},
        )
        with browser:
            browser.set_default_timeout(30_000)
            page = browser.pages[0]
            page.goto(f"{airflow.url}/auth/login")
            page.get_by_label("Username").fill(user)
            page.locator("input[name=password]").fill(user)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(f"{airflow.url}/", wait_until="commit")
            yield page


def need_chromium():
    """Skip where there is no browser."""
    if shutil.which("chromium") is None:
        pytest.skip("not installed: Chromium")


@pytest.fixture(scope="module")
def airflow(request):
    need_chromium()
    return request.getfixturevalue("stack").airflow


@pytest.fixture(scope="module")
def site(airflow, tmp_path_factory):
    """The connections of Airflow's UI."""
    with signed_in(airflow, tmp_path_factory.mktemp("profile")) as page:
        yield Site(page, airflow.url)


class Site:
    """The connections of Airflow's UI, as a person works with them."""

    def __init__(self, page, url):
        self.page = page
        self.url = url

    @property
    def dialog(self):
        return self.page.get_by_role("dialog")

    @property
    def answer(self):
        """What *Test* said, which Airflow shows for some seconds."""
        # Not by its role: an open form hides that from it.
        return self.page.locator("[role=status]").filter(has_text="Test Connection")

    def row(self, conn_id):
        return self.page.get_by_role("row").filter(has=self.page.get_by_text(conn_id, exact=True))

    def list_connections(self):
        self.page.goto(f"{self.url}/connections")
        self.page.get_by_role("button", name="Add Connection").wait_for()

    def choose(self, conn_id, kind):
        """Open the form for a new connection of a type."""
        self.list_connections()
        self.page.get_by_role("button", name="Add Connection").click()
        self.dialog.locator("input[name=connection_id]").fill(conn_id)
        self.dialog.get_by_role("combobox").first.fill(kind)
        self.page.get_by_role("option", name=kind, exact=True).click()
        self.dialog.locator("input[name=host]").wait_for()

    def unfold(self, section):
        """Open a section of the form, which closes the one that was open."""
        self.dialog.get_by_role("button", name=section, exact=True).click()
        # This waits until nothing slides.
        self.dialog.get_by_role("button", name="Save").scroll_into_view_if_needed()

    def fill(self, **values):
        """Fill fields of the open section by their names."""
        for name, value in values.items():
            field = self.dialog.locator(f"[name={name}], [name=element_{name}]")
            if value is True:
                self.dialog.locator(f"label#element_{name}, label:has([name=element_{name}])").first.click()
            elif field.first.get_attribute("type") == "hidden":  # a list to choose from
                self.dialog.get_by_role("combobox").last.click()
                self.page.get_by_role("option", name=value, exact=True).click()
            else:
                field.fill(value)

    def save(self):
        self.dialog.get_by_role("button", name="Save").click()
        self.dialog.wait_for(state="hidden")

    def press_test(self, conn_id):
        """
        Press *Test* in the list.

        :returns: Whether the answer is a success, and what it says.
        """
        self.list_connections()
        self.row(conn_id).get_by_role("button", name="Test Connection").click()
        self.answer.wait_for()
        title, _, text = self.answer.inner_text().partition("\n")
        return title == "Test Connection Successful", text

    def edit(self, conn_id):
        self.row(conn_id).get_by_role("button", name="Edit Connection").click()
        self.dialog.locator("input[name=host]").wait_for()

    def picture(self, path, *, answered=True):
        """Keep a picture of the whole form, and of the answer below it, which must not have gone meanwhile."""
        self.page.set_viewport_size({"width": 1000, "height": 1600})
        box = self.dialog.bounding_box()
        self.page.set_viewport_size(
            {"width": 1000, "height": int(box["y"] + box["height"]) + (170 if answered else 30)}
        )
        if answered:
            self.answer.scroll_into_view_if_needed(timeout=1_000)
        self.page.screenshot(path=path)
        self.page.set_viewport_size({"width": 1000, "height": 900})
