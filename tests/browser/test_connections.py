"""Connections through the real form, in a real browser: filled in, saved, tested, and never shown back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import airflow as installed
import httpx
import pytest

from airflow_provider_faceswap.get_provider_info import get_provider_info

from .conftest import KEY, of_this_ui

pytestmark = [pytest.mark.airflow, of_this_ui]

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
TYPES = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}
WRONG_KEY = "planted-wrong-key-93b1e6d04c7f"
SECRET = "planted-webhook-secret-2a8c"
WEBHOOK = "https://hooks.example.com/jobs"

#: What is filled into the extra fields of each, and what becomes of it.
EXTRAS = {
    "gptunnel": {"webhook": WEBHOOK, "requests_per_second": "2.5"},
    "tengrai": {"webhook": WEBHOOK, "requests_per_second": "3"},
    "piapi": {"service_mode": "private", "webhook": WEBHOOK, "webhook_secret": SECRET},
}
STORED = {
    "gptunnel": {"webhook": WEBHOOK, "requests_per_second": 2.5},
    "tengrai": {"webhook": WEBHOOK, "requests_per_second": 3},
    "piapi": {"service_mode": "private", "webhook": WEBHOOK, "webhook_secret": "***"},
}
ANSWERS = {
    "gptunnel": "balance 100000.00 RUB",
    "tengrai": "the key may read artworks",
    "piapi": "balance worth 100.00 USD",
}

each_vendor = pytest.mark.parametrize("vendor", list(TYPES))


def create(site, sandbox, vendor, conn_id, *, key=KEY, port=True, extra=None):
    """Fill the form in and save it."""
    site.choose(conn_id, TYPES[vendor]["hook-name"])
    site.fill(host=sandbox.url, password=key)
    if port:  # what it is for stands in docs/connections.md
        site.fill(port=sandbox.url.rpartition(":")[2])
    if extra:
        site.unfold("Extra Fields")
        site.fill(**extra)
    site.save()


@pytest.fixture(scope="module")
def created(site, sandbox):
    """One connection a vendor, made in the form; what its *Test* said; with a picture where that is asked for."""
    answers = {}
    for vendor in TYPES:
        conn_id = f"my_{vendor}"
        create(site, sandbox, vendor, conn_id, extra=EXTRAS[vendor])
        wanted = os.environ.get("FACESWAP_WRITE_DOCS")
        if wanted and vendor == "gptunnel":  # alike in all of them
            site.list_connections()
            site.edit(conn_id)
            site.picture(IMAGES / "connection-fields.png", answered=False)
        answers[vendor] = site.press_test(conn_id)
        if wanted:
            site.edit(conn_id)
            site.unfold("Extra Fields")
            site.picture(IMAGES / f"connection-{vendor}.png")
    return answers


@each_vendor
def test_the_form_shows_what_the_vendor_needs_and_hides_the_rest(site, vendor):
    site.choose("not_saved", TYPES[vendor]["hook-name"])
    standard = site.dialog.locator("label:visible").all_inner_texts()
    assert standard[2:] == ["Description", "Base URL", "API key", "Port"]
    for name, hint in TYPES[vendor]["ui-field-behaviour"]["placeholders"].items():
        assert site.dialog.locator(f"input[name={name}]").get_attribute("placeholder") == hint


@each_vendor
def test_every_extra_field_has_its_label_and_its_help(site, vendor):
    site.choose("not_saved", TYPES[vendor]["hook-name"])
    site.unfold("Extra Fields")
    shown = site.dialog.inner_text()
    for field in TYPES[vendor]["conn-fields"].values():
        assert field["label"] in shown
        assert field["description"] in shown


@each_vendor
def test_what_is_secret_is_typed_unseen(site, vendor):
    site.choose("not_saved", TYPES[vendor]["hook-name"])
    assert site.dialog.locator("input[name=password]").get_attribute("type") == "password"
    site.unfold("Extra Fields")
    for name in ("webhook", "webhook_secret"):
        if name in TYPES[vendor]["conn-fields"]:
            assert site.dialog.locator(f"#element_{name}").get_attribute("type") == "password"


@each_vendor
def test_the_test_button_says_account_and_balance(created, sandbox, vendor):
    well, text = created[vendor]
    assert well
    assert text.startswith(f"{vendor}: ")
    assert ANSWERS[vendor] in text
    assert sandbox.url in text, "a sandbox's money is not to be taken for one's own"


def test_the_test_button_buys_nothing(created, sandbox):
    assert len(created) == 3
    assert httpx.get(f"{sandbox.url}/sandbox/ledger").json()["creates"] == 0


@each_vendor
def test_what_was_filled_in_is_what_is_stored(airflow, created, sandbox, vendor):
    stored = airflow.api("GET", f"/connections/my_{vendor}")
    assert stored["conn_type"] == vendor
    assert stored["host"] == sandbox.url
    extra = json.loads(stored["extra"])
    assert {name: value for name, value in extra.items() if value is not None} == STORED[vendor]


@each_vendor
def test_the_key_is_not_shown_back(airflow, site, created, vendor):
    stored = airflow.api("GET", f"/connections/my_{vendor}")
    assert stored["password"] == "***"
    site.list_connections()
    site.edit(f"my_{vendor}")
    shown = [field.input_value() for field in site.dialog.locator("input, textarea").all()]
    assert "***" in shown
    for secret in (KEY, SECRET):
        assert secret not in json.dumps(stored)
        assert secret not in json.dumps(shown)
        assert secret not in site.page.content()


def test_a_wrong_key_is_said_and_not_repeated(airflow, site, sandbox):
    create(site, sandbox, "piapi", "piapi_wrong", key=WRONG_KEY)
    well, text = site.press_test("piapi_wrong")
    assert not well
    assert "HTTP 401" in text
    assert "Put a valid API key" in text
    assert WRONG_KEY not in site.page.content()
    assert WRONG_KEY not in airflow.log("api-server")


def test_a_host_that_is_not_there_is_said(site, sandbox):
    site.choose("nowhere", "Tengrai")
    site.fill(host="http://127.0.0.1", password=KEY, port="9")
    site.save()
    well, text = site.press_test("nowhere")
    assert not well
    assert "could not be reached" in text
    assert "http://127.0.0.1:9" in text


def test_a_field_that_is_wrong_is_said_before_a_job_finds_out(site, sandbox):
    create(site, sandbox, "tengrai", "wrong_webhook", extra={"webhook": "hooks.example.com"})
    well, text = site.press_test("wrong_webhook")
    assert not well
    assert "webhook: must be a full http or https URL" in text


def test_a_switch_is_stored_as_what_it_means(airflow, site, sandbox):
    create(site, sandbox, "gptunnel", "from_the_wallet", extra={"use_wallet_balance": True})
    stored = json.loads(airflow.api("GET", "/connections/from_the_wallet")["extra"])
    assert stored["use_wallet_balance"] is True
    assert site.press_test("from_the_wallet")[0]


def test_only_one_airflow_refuses_to_test_a_connection_without_a_port(site, sandbox):
    create(site, sandbox, "gptunnel", "no_port", port=False)
    well, text = site.press_test("no_port")
    if installed.__version__ == "3.3.2":
        assert (well, text) == (False, "Bad Request"), "the form need not ask for a port any more"
    else:
        assert well


def test_no_key_is_left_in_what_airflow_printed(airflow, created):
    assert KEY not in airflow.log("api-server")
