"""What Airflow reads of this package, judged by Airflow's own schemas and by Airflow itself."""

from __future__ import annotations

import inspect
import json
import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, conf
from airflow.triggers.base import BaseTrigger

import airflow_provider_faceswap
from airflow_provider_faceswap.get_provider_info import get_provider_info
from tests.conftest import NEEDS_PROVIDER_COMMANDS, NEEDS_PROVIDER_FORMS, NEEDS_PROVIDER_SETTINGS

INFO = get_provider_info()
CONNECTIONS = INFO["connection-types"]
OPTIONS = INFO["config"]["faceswap"]["options"]
PACKAGE = "airflow_provider_faceswap"
ROOT = Path(__file__).resolve().parent.parent


def schema(name):
    return json.loads((Path(airflow.__path__[0]) / name).read_text())


def modules(section):
    return [module for entry in INFO[section] for module in entry["python-modules"]]


def test_it_is_what_airflow_reads_at_run_time():
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


@pytest.mark.parametrize(
    "section",
    [
        "versions",
        "connection-types",
        "extra-links",
        "integrations",
        "hooks",
        "operators",
        "sensors",
        "triggers",
        pytest.param("cli", marks=NEEDS_PROVIDER_COMMANDS),
        "config",
    ],
)
def test_each_section_is_what_airflow_asks_of_its_own_providers(section):
    whole = schema("provider.yaml.schema.json")
    asked = {**whole["properties"][section], "definitions": whole.get("definitions", {})}
    jsonschema.validate(INFO[section], asked)


@NEEDS_PROVIDER_FORMS
def test_the_schema_is_strict_enough_to_refuse_a_wrong_form():
    asked = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    wrong = [{**CONNECTIONS[0], "ui-field-behaviour": {"hidden": ["login"]}}]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, asked)


def test_the_first_version_in_the_list_is_the_version_of_the_package():
    assert INFO["versions"][0] == airflow_provider_faceswap.__version__


def test_every_guide_and_logo_that_is_named_is_a_file_of_the_documentation():
    guides = [guide for entry in INFO["integrations"] for guide in entry["how-to-guide"]]
    logos = [entry["logo"] for entry in INFO["integrations"] if "logo" in entry]
    assert logos
    for path in guides + logos:
        assert path.startswith("/docs/")
        assert (ROOT / path.removeprefix("/")).is_file(), path
    pages = {path.name for path in (ROOT / "docs" / "how-to").glob("*.md")} - {"index.md"}
    assert sorted(Path(guide).name for guide in guides) == sorted(pages)


def test_a_module_that_serves_every_vendor_belongs_to_no_vendor():
    vendors = {entry["hook-name"] for entry in CONNECTIONS}
    for section in ("operators", "sensors", "triggers"):
        for entry in INFO[section]:
            own = [
                name
                for name in entry["python-modules"]
                if name.rpartition(".")[2] in {"gptunnel", "tengrai", "piapi"}
            ]
            assert (entry["integration-name"] in vendors) is bool(own)


def test_each_call_gives_a_dict_of_its_own():
    get_provider_info()["connection-types"].clear()
    assert get_provider_info() == INFO


@pytest.mark.parametrize("section", ["hooks", "operators", "sensors", "triggers"])
def test_every_module_that_is_named_is_there_and_belongs_to_an_integration(section):
    integrations = {entry["integration-name"] for entry in INFO["integrations"]}
    for entry in INFO[section]:
        assert entry["integration-name"] in integrations
        for module in entry["python-modules"]:
            assert module.startswith(f"{PACKAGE}.{section}.")
            import_module(module)


@pytest.mark.parametrize(
    ("section", "base"),
    [("hooks", BaseHook), ("operators", BaseOperator), ("sensors", BaseOperator), ("triggers", BaseTrigger)],
)
def test_every_module_that_a_user_imports_from_is_named(section, base):
    folder = import_module(f"{PACKAGE}.{section}")
    public = []
    for found in pkgutil.iter_modules(folder.__path__):
        name = f"{PACKAGE}.{section}.{found.name}"
        classes = inspect.getmembers(import_module(name), inspect.isclass)
        if (
            found.name != "base"
            and not found.name.startswith("_")
            and any(issubclass(each, base) and each.__module__ == name for _, each in classes)
        ):
            public.append(name)
    assert sorted(modules(section)) == sorted(public)


@pytest.mark.parametrize("entry", CONNECTIONS, ids=lambda entry: entry["connection-type"])
def test_a_connection_type_is_that_of_its_hook(entry):
    module, _, name = entry["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    assert issubclass(hook, BaseHook)
    assert hook.conn_type == entry["connection-type"] == hook.vendor.name
    assert hook.hook_name == entry["hook-name"]
    assert hook.default_conn_name == f"{hook.conn_type}_default"
    assert hook.conn_name_attr in inspect.signature(hook).parameters
    assert module in modules("hooks")


@pytest.mark.parametrize("entry", CONNECTIONS, ids=lambda entry: entry["connection-type"])
def test_a_form_asks_for_what_the_vendor_reads_of_a_connection(entry):
    module, _, name = entry["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    assert set(hook.vendor.connection_arguments) <= set(entry["conn-fields"])
    assert not {"password", "host"} & set(entry["ui-field-behaviour"]["hidden-fields"])


@pytest.mark.parametrize("entry", CONNECTIONS, ids=lambda entry: entry["connection-type"])
def test_what_may_carry_a_secret_is_typed_as_a_password(entry):
    for name, field in entry["conn-fields"].items():
        hidden = field["schema"].get("format") == "password"
        assert hidden is (name in {"webhook", "webhook_secret"}), name


def test_the_commands_are_where_airflow_is_told_to_look():
    for name in INFO["cli"]:
        module, _, function = name.rpartition(".")
        assert [group.name for group in getattr(import_module(module), function)()] == ["faceswap"]


@NEEDS_PROVIDER_SETTINGS
@pytest.mark.parametrize("option", OPTIONS)
def test_every_setting_has_the_default_that_is_declared(option, monkeypatch):
    monkeypatch.delenv(f"AIRFLOW__FACESWAP__{option.upper()}", raising=False)
    assert conf.get("faceswap", option) == OPTIONS[option]["default"]


@NEEDS_PROVIDER_SETTINGS
@pytest.mark.parametrize(("option", "kind"), [(name, told["type"]) for name, told in OPTIONS.items()])
def test_every_default_is_of_its_type(option, kind):
    assert kind in {"string", "integer"}
    assert kind == "string" or conf.getint("faceswap", option) > 0


@pytest.mark.parametrize("option", OPTIONS)
def test_every_setting_can_be_set_by_the_environment(option, monkeypatch):
    monkeypatch.setenv(f"AIRFLOW__FACESWAP__{option.upper()}", "12345")
    assert conf.get("faceswap", option) == "12345"


def test_the_settings_that_are_declared_are_those_that_are_read():
    read = set()
    for path in Path(airflow_provider_faceswap.__path__[0]).rglob("*.py"):
        text = path.read_text()
        read |= {
            part.partition('"')[2].partition('"')[0]
            for part in text.split('"faceswap",')[1:]
            if part.lstrip().startswith('"')
        }
    assert read == set(OPTIONS)


def test_the_links_that_are_named_are_those_of_the_operators():
    used = {
        f"{type(link).__module__}.{type(link).__name__}"
        for section in ("operators", "sensors")
        for module in modules(section)
        for _, operator in inspect.getmembers(import_module(module), inspect.isclass)
        if issubclass(operator, BaseOperator) and operator.__module__ == module
        for link in operator.operator_extra_links
    }
    assert used == set(INFO["extra-links"])


# -- as Airflow sees it -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Run an airflow command in a home of its own."""
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.mark.program
def test_airflow_names_the_provider(ask):
    told = json.loads(ask("providers", "get", "airflow-provider-faceswap", "--output", "json").stdout)
    assert told == [
        {"Provider": "airflow-provider-faceswap", "Version": airflow_provider_faceswap.__version__}
    ]


@pytest.mark.program
def test_airflow_knows_the_links(ask):
    told = json.loads(ask("providers", "links", "--output", "json").stdout)
    ours = {entry["extra_link_class_name"] for entry in told}
    assert set(INFO["extra-links"]) <= ours


@pytest.mark.program
def test_airflow_offers_the_connection_types_without_a_complaint(ask):
    done = ask("providers", "hooks", "--output", "json")
    ours = {
        told["connection_type"]: (told["class"], told["hook_name"], told["conn_id_attribute_name"])
        for told in json.loads(done.stdout)
        if told["package_name"] == "airflow-provider-faceswap"
    }
    assert ours == {
        entry["connection-type"]: (entry["hook-class-name"], entry["hook-name"], "conn_id")
        for entry in CONNECTIONS
    }
    assert "faceswap" not in done.stderr
