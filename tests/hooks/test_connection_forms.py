"""Every way to write a connection down: the examples are those of docs/connections.md, read by Airflow itself."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from airflow.cli.cli_parser import get_parser
from airflow.models.connection import Connection

from airflow_provider_faceswap.get_provider_info import get_provider_info
from airflow_provider_faceswap.hooks.base import hook_for_connection

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "connections.md").read_text()
TYPES = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}
PICTURES = dict.fromkeys(("target_image", "face_image"), "https://pictures.test/picture.png")

each_vendor = pytest.mark.parametrize("vendor", list(TYPES))


def blocks(language, heading):
    """The code blocks of a section, in order."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def exported(block):
    """The variables that a block of shell sets."""
    words = shlex.split(block)
    assert words[::2] == ["export"] * (len(words) // 2)
    return dict(word.split("=", 1) for word in words[1::2])


SHORT_JSON, FULL_JSON = map(exported, blocks("shell", "As an environment variable, in JSON"))
FULL_URI, SCHEME_URI = map(exported, blocks("shell", "As an environment variable, as a URI"))
COMMANDS = [
    shlex.split(line)[1:]
    for block in blocks("shell", "From the command line, or from a file")
    for line in block.splitlines()
]
[FILE] = blocks("json", "From the command line, or from a file")


def meaning(conn_id, value, monkeypatch):
    """All that a hook makes of a connection: where it asks, with what, and what it sends for a job."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)
    hook = hook_for_connection(conn_id)
    endpoint = hook.endpoint()
    body = hook.prepare("face_swap", **PICTURES).body
    return {
        "vendor": endpoint.vendor,
        "base_url": endpoint.base_url,
        "headers": endpoint.headers,
        "secrets": endpoint.secrets,
        "rate": endpoint.rate,
        "body": body,
    }


def hook_class(vendor):
    module, _, name = TYPES[vendor]["hook-class-name"].rpartition(".")
    return getattr(import_module(module), name)


def name_of(vendor):
    return f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT"


# -- the examples ---------------------------------------------------------------------------------------------


@each_vendor
def test_a_key_is_all_that_is_needed(vendor, monkeypatch):
    meant = meaning(f"{vendor}_default", SHORT_JSON[name_of(vendor)], monkeypatch)
    key = json.loads(SHORT_JSON[name_of(vendor)])["password"]
    assert meant["vendor"] == vendor
    assert meant["base_url"] == hook_for_connection(f"{vendor}_default").vendor.default_base_url
    assert key in meant["headers"].values() or f"Bearer {key}" in meant["headers"].values()
    assert meant["rate"] is None


@each_vendor
def test_json_and_uri_mean_the_same(vendor, monkeypatch):
    as_json = meaning(f"{vendor}_default", FULL_JSON[name_of(vendor)], monkeypatch)
    as_uri = meaning(f"{vendor}_default", FULL_URI[name_of(vendor)], monkeypatch)
    assert as_uri == as_json


def test_what_the_full_examples_say_is_what_is_meant(monkeypatch):
    meant = {
        vendor: meaning(f"{vendor}_default", FULL_JSON[name_of(vendor)], monkeypatch) for vendor in TYPES
    }
    assert meant["gptunnel"]["body"]["useWalletBalance"] is True
    assert meant["gptunnel"]["rate"] == 2.5
    assert meant["tengrai"]["base_url"] == "https://proxy.example.com:8443/tengrai"
    assert meant["tengrai"]["body"]["webhook"] == "https://hooks.example.com/jobs"
    assert meant["piapi"]["body"]["config"] == {
        "service_mode": "public",
        "webhook_config": {"endpoint": "https://hooks.example.com/jobs", "secret": "fedcba9876543210"},
    }
    assert meant["piapi"]["secrets"] == ("0123456789abcdef", "fedcba9876543210")
    assert meant["piapi"]["rate"] == 5


@each_vendor
def test_the_uri_that_airflow_makes_of_a_connection_means_the_same(vendor, monkeypatch):
    value = FULL_JSON[name_of(vendor)]
    made = Connection.from_json(value, conn_id="made").get_uri()
    assert meaning("made", made, monkeypatch) == meaning(f"{vendor}_default", value, monkeypatch)


def test_a_uri_with_a_scheme_keeps_its_port(monkeypatch):
    [(_, value)] = SCHEME_URI.items()
    meant = meaning("piapi_default", value, monkeypatch)
    assert (meant["base_url"], meant["headers"]) == (
        "http://127.0.0.1:8090",
        {"x-api-key": "0123456789abcdef"},
    )


@pytest.mark.parametrize("words", COMMANDS[:-1], ids=" ".join)
def test_a_command_adds_a_connection_that_works(words, monkeypatch):
    given = get_parser().parse_args(words)
    if given.conn_json:
        connection = Connection.from_json(given.conn_json, conn_id=given.conn_id)
    elif given.conn_uri:
        connection = Connection(conn_id=given.conn_id, uri=given.conn_uri)
    else:
        connection = Connection(
            conn_id=given.conn_id,
            conn_type=given.conn_type,
            password=given.conn_password,
            extra=given.conn_extra,
        )
    assert given.conn_id == f"{connection.conn_type}_default"
    meant = meaning(given.conn_id, connection.as_json(), monkeypatch)
    assert meant["vendor"] == connection.conn_type


def test_a_file_of_connections_works(monkeypatch):
    assert get_parser().parse_args(COMMANDS[-1]).file == "connections.json"
    for conn_id, connection in json.loads(FILE).items():
        meant = meaning(conn_id, json.dumps(connection), monkeypatch)
        assert meant["vendor"] == connection["conn_type"]
        assert meant["base_url"] == connection.get("host", "https://api.piapi.ai")


# -- the document and the form --------------------------------------------------------------------------------


@each_vendor
def test_the_document_names_every_field_with_its_vendor(vendor):
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", DOCUMENT, re.MULTILINE))
    for field in TYPES[vendor]["conn-fields"]:
        assert rows[field] in {"all", f"`{vendor}`"}


@each_vendor
def test_the_document_and_the_form_name_the_default_base_url(vendor):
    default = hook_class(vendor).vendor.default_base_url
    assert f"`{default}`" in DOCUMENT
    assert TYPES[vendor]["ui-field-behaviour"]["placeholders"]["host"].startswith(default)


# -- the form -------------------------------------------------------------------------------------------------

#: What Airflow's API server hands to the form; in a process of its own, as it may put mocks in place of WTForms.
ASK = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
told = [form.model_dump() for form in HookMetaService.hook_meta_data()]
print("TOLD" + json.dumps([form for form in told if "faceswap" in (form["hook_class_name"] or "")]))
"""


@pytest.fixture(scope="module")
def shown():
    """What the form is made of, by connection type, and what was printed on the way."""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", ASK],
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    printed, _, told = done.stdout.partition("TOLD")
    return {form["connection_type"]: form for form in json.loads(told)}, printed + done.stderr


@pytest.mark.program
@each_vendor
def test_airflow_shows_every_field_with_label_and_help(shown, vendor):
    fields = shown[0][vendor]["extra_fields"]
    declared = TYPES[vendor]["conn-fields"]
    assert {name: (field["schema"]["title"], field["description"]) for name, field in fields.items()} == {
        name: (field["label"], field["description"]) for name, field in declared.items()
    }
    for name, field in fields.items():
        assert field["schema"].get("format") == declared[name]["schema"].get("format")
        assert field["schema"].get("enum") == declared[name]["schema"].get("enum")


@pytest.mark.program
@each_vendor
def test_airflow_hides_what_nothing_reads(shown, vendor):
    standard = shown[0][vendor]["standard_fields"]
    assert {name for name, field in standard.items() if field and field["hidden"]} == {"login", "url_schema"}
    assert standard["password"]["title"] == "API key"
    assert standard["host"]["title"] == "Base URL"


@pytest.mark.program
def test_no_airflow_calls_the_form_outdated(shown):
    assert not re.search("get_connection_form_widgets|get_ui_field_behaviour", shown[1])


class Field:
    """A field of WTForms, as far as Airflow looks at one."""

    def __init__(self, label, validators, description):
        self.told = (label, description)
        self.choices = [check.values for check in validators if isinstance(check, Choice)]


class Choice:
    def __init__(self, values):
        self.values = values


@pytest.fixture
def wtforms(monkeypatch):
    kinds = {name: type(name, (Field,), {}) for name in ("BooleanField", "PasswordField", "StringField")}
    monkeypatch.setitem(sys.modules, "wtforms", SimpleNamespace(**kinds))
    monkeypatch.setitem(
        sys.modules, "wtforms.validators", SimpleNamespace(Optional=lambda: None, any_of=Choice)
    )


@each_vendor
def test_a_hook_itself_gives_an_older_airflow_the_same_form(wtforms, vendor):
    hook = hook_class(vendor)
    assert {"get_connection_form_widgets", "get_ui_field_behaviour"} <= set(vars(hook)), "not in a base class"
    fields = hook.get_connection_form_widgets()
    declared = TYPES[vendor]["conn-fields"]
    assert {name: field.told for name, field in fields.items()} == {
        name: (field["label"], field["description"]) for name, field in declared.items()
    }
    behaviour = TYPES[vendor]["ui-field-behaviour"]
    assert hook.get_ui_field_behaviour() == {
        "hidden_fields": behaviour["hidden-fields"],
        "relabeling": behaviour["relabeling"],
        "placeholders": behaviour["placeholders"],
    }


def test_an_older_form_has_the_kinds_of_fields_that_it_knows(wtforms):
    fields = {**hook_class("gptunnel").get_connection_form_widgets()}
    fields |= hook_class("piapi").get_connection_form_widgets()
    assert {name: type(field).__name__ for name, field in fields.items()} == {
        "use_wallet_balance": "BooleanField",
        "auth_scheme": "StringField",
        "webhook": "PasswordField",
        "webhook_secret": "PasswordField",
        "service_mode": "StringField",
        "requests_per_second": "StringField",
    }
    assert fields["service_mode"].choices == [["public", "private", None]]
    assert fields["webhook"].choices == []


# -- what the test says ---------------------------------------------------------------------------------------

KEY = "a-long-key-7d1f03b5c2e84a69"
UNKNOWN_PAGE = httpx.Response(404, text="<html>nothing here</html>")
ANOTHER_SITE = httpx.Response(200, text="<html>welcome</html>")
REFUSED = httpx.Response(401, json={"error": {"message": "Unauthorized"}})
REFUSED_BY_PIAPI = httpx.Response(401, json={"code": 401, "message": "invalid api key"})


@pytest.mark.parametrize(
    ("vendor", "fields", "answer", "says"),
    [
        ("gptunnel", {"password": ""}, None, "this connection has no API key"),
        ("gptunnel", {"password": f"\u201c{KEY}\u201d"}, None, "contains characters that cannot be in a key"),
        ("gptunnel", {"password": f"{KEY}\n{KEY}"}, None, "contains characters that cannot be in a key"),
        ("gptunnel", {}, REFUSED, "Unauthorized [HTTP 401]"),
        ("piapi", {}, REFUSED_BY_PIAPI, "invalid api key [HTTP 401, code 401]"),
        ("piapi", {}, REFUSED_BY_PIAPI, "Put a valid API key into the connection's password field"),
        ("tengrai", {}, httpx.ConnectError("no route"), "could not be reached (ConnectError: "),
        (
            "tengrai",
            {"host": "proxy.example.com"},
            None,
            "the connection's host is not a full URL such as https://proxy.example.com",
        ),
        (
            "tengrai",
            {"host": "127.0.0.1:8090"},
            None,
            "the connection's host is not a full URL such as https://proxy.example.com",
        ),
        ("piapi", {"host": "http://127.0.0.1:80b0"}, None, "the connection's host cannot be read as a URL"),
        ("piapi", {"host": "http://[127.0.0.1"}, None, "the connection's host cannot be read as a URL"),
        (
            "gptunnel",
            {"host": "https://me:planted-word@proxy.example.com"},
            None,
            "the connection's host contains a user name or a password",
        ),
        (
            "tengrai",
            {"host": "https://proxy.example.com/?key=planted-word"},
            None,
            "the connection's host has a query or a fragment",
        ),
        (
            "piapi",
            {"extra": {"webhook_secret": "***"}},
            None,
            "which Airflow shows instead of a secret",
        ),
        (
            "gptunnel",
            {},
            UNKNOWN_PAGE,
            "Check that the connection's host is the base URL of this vendor's API.",
        ),
        ("piapi", {}, UNKNOWN_PAGE, "Check that the connection's host is the base URL of this vendor's API."),
        (
            "tengrai",
            {},
            ANOTHER_SITE,
            "Check that the connection's host is the base URL of this vendor's API.",
        ),
        (
            "piapi",
            {"host": "http://127.0.0.1:8090", "port": 443},
            None,
            "the connection has port 8090 in its host and 443 in its port field",
        ),
        (
            "piapi",
            {"extra": {"requests_per_second": 0}},
            None,
            "requests_per_second must be a number above 0",
        ),
        (
            "piapi",
            {"extra": {"requests_per_second": "a few"}},
            None,
            "requests_per_second must be a number above 0",
        ),
        (
            "gptunnel",
            {"extra": {"webhook": "hooks.example.com"}},
            None,
            "webhook: must be a full http or https URL",
        ),
        (
            "piapi",
            {"extra": {"service_mode": "mine"}},
            None,
            "service_mode: Input should be 'public' or 'private'",
        ),
    ],
)
def test_the_test_says_in_plain_words_what_is_wrong(wire, connect, vendor, fields, answer, says):
    connect("made_up_id", **{"conn_type": vendor, "password": KEY, **fields})
    if answer is not None:
        wire.says(answer)
    well, text = hook_for_connection("made_up_id").test_connection()
    assert not well
    assert says in text
    assert f"`{says}" in DOCUMENT
    assert KEY not in text
    assert "made_up_id" not in text, "Airflow tests under an id that nobody knows"
    assert bool(wire.requests) is (answer is not None), "what can be seen without asking is not asked"


@each_vendor
def test_the_document_shows_what_the_sandbox_answers(sandbox, vendor):
    well, text = hook_for_connection(f"{vendor}_default").test_connection()
    assert well
    [shown] = blocks("text", "What the test says")
    assert text.replace(sandbox.url, "http://127.0.0.1:8090") in shown.splitlines()


@each_vendor
def test_the_test_says_who_was_asked_with_the_port(wire, connect, vendor):
    connect("mine", conn_type=vendor, password=KEY, host="https://proxy.example.com", port=8443)
    wire.says(httpx.Response(401, json={"message": "no"}))
    _, text = hook_for_connection("mine").test_connection()
    assert text.endswith("(asked: https://proxy.example.com:8443)")
    assert wire.requests[0].url.port == 8443


@pytest.mark.parametrize(
    ("vendor", "answer", "says"),
    [
        ("piapi", {"code": 401, "data": {}, "message": "Invalid API key"}, "Invalid API key"),
        ("gptunnel", {"error": {"type": "unauthorized_request_error", "message": "bad key"}}, "bad key"),
    ],
)
def test_a_key_that_is_refused_under_a_good_status_is_refused(wire, connect, vendor, answer, says):
    connect("mine", conn_type=vendor, password=KEY)
    wire.says(answer)
    well, text = hook_for_connection("mine").test_connection()
    assert not well
    assert says in text
    assert "Put a valid API key into the connection's password field" in text


@pytest.mark.parametrize("port", [None, 443])
def test_a_port_belongs_to_the_vendors_own_address_too(wire, connect, port):
    connect("mine", conn_type="piapi", password=KEY, port=port)
    wire.says({"code": 200, "data": {"name": "studio", "plan": "pro", "is_enable": True}})
    assert hook_for_connection("mine").test_connection()[0]
    assert str(wire.requests[0].url) == "https://api.piapi.ai/account/info"


def test_the_wallet_is_asked_where_the_wallet_pays(wire, connect):
    connect("mine", conn_type="gptunnel", password=KEY, extra={"use_wallet_balance": True})
    wire.says({"balance": 12})
    assert hook_for_connection("mine").test_connection()[1].startswith("gptunnel: wallet, balance 12.00 RUB")
    assert wire.requests[0].url.params["useWalletBalance"] == "true"


def test_an_account_that_its_vendor_disabled_is_said(wire, connect):
    connect("mine", conn_type="piapi", password=KEY)
    wire.says({"code": 200, "data": {"name": "studio", "is_enable": False}})
    _, text = hook_for_connection("mine").test_connection()
    assert text.startswith("piapi: account studio, disabled by the vendor")
