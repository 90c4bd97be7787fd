"""Each layer imports only those above it: read from the imports themselves, whether run or for types only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

NAME = "airflow_provider_faceswap"
PACKAGE = Path(__file__).resolve().parent.parent / NAME

#: From the top down. A folder is a layer with an order of its own, given below.
LAYERS = [
    "clock",
    "pace",
    "exceptions",
    "options",
    "redaction",
    "jobs",
    "media",
    "vendors",
    "endings",
    "polling",
    "transport",
    "waiting",
    "download",
    "provenance",
    "storage",
    "images",
    "pictures",
    "items",
    "records",
    "ledger",
    "shared_records",
    "archive",
    "lineage",
    "openlineage",
    "get_provider_info",
    "hooks",
    "reconcile",
    "metrics",
    "purchase",
    "item_records",
    "tally",
    "batch",
    "supervisor",
    "links",
    "triggers",
    "operators",
    "sensors",
    "retries",
    "cli",
]
#: What stands first inside a folder; the other files of it know these and not each other.
FIRST = {
    "vendors": ["wire", "arguments", "history", "base"],
    "hooks": ["form", "settings", "account", "base"],
    "operators": ["base"],
    "cli": ["exits", "interrupt", "screen", "output", "destination", "definition", "errand"],
}
#: Inside a folder, what may know more than the first file: one operator buys from any vendor, one vendor's arguments
#: have a file of their own.
ALSO = {"operators.faceswap", "operators.batch", "vendors.piapi"}
CORE = LAYERS[: LAYERS.index("storage")]
BESIDE = "sandbox"

#: The only thing the core takes from Airflow.
FAIL_FAST = "airflow.providers.common.compat.sdk.AirflowFailException"


def module_of(path):
    """``vendors/base.py`` as ``vendors.base``; a package by its own name, the root as an empty one."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
LAYERED = sorted(name for name in MODULES if name and name.partition(".")[0] != BESIDE)


def imports_of(source, package=""):
    """Every dotted name that a source imports, at the top, inside functions and for type checkers alike."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import is one of ours.
            start = f"{NAME}." if node.level else ""
            module = f"{start}{node.module or ''}".rstrip(".")
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"__import__", "import_module"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def ours(path):
    """The modules of this package that a file imports."""
    found = set()
    for name in imports_of(path.read_text(encoding="utf-8")):
        if name.partition(".")[0] != NAME:
            continue
        inner = name.removeprefix(NAME).removeprefix(".")
        while inner and inner not in MODULES:
            inner = inner.rpartition(".")[0]
        if inner:
            found.add(inner)
    return found


def rank(module):
    """Where a module stands: its layer, then its place inside its folder."""
    layer, _, inner = module.partition(".")
    first = FIRST.get(layer, [])
    place = first.index(inner) if inner in first else len(first) + (module in ALSO)
    return LAYERS.index(layer), place if inner else -1


def test_every_module_has_a_layer():
    assert {name.partition(".")[0] for name in LAYERED} <= set(LAYERS)


@pytest.mark.parametrize("module", LAYERED)
def test_a_module_imports_only_what_stands_above_it(module):
    below = {other for other in ours(MODULES[module]) if rank(other) >= rank(module) and other != module}
    assert not below, f"{module} imports {sorted(below)}"


@pytest.mark.parametrize("module", [name for name in LAYERED if name.partition(".")[0] in CORE])
def test_the_core_takes_one_class_of_airflow_and_in_one_place_only(module):
    source = MODULES[module].read_text(encoding="utf-8")
    taken = {name for name in imports_of(source) if name.partition(".")[0] == "airflow"}
    assert taken == ({FAIL_FAST} if module == "exceptions" else set())


@pytest.mark.parametrize("module", [name for name in LAYERED if name.partition(".")[0] == "vendors"])
def test_a_vendor_file_does_no_io_and_reads_no_clock(module):
    source = MODULES[module].read_text(encoding="utf-8")
    used = {name.partition(".")[0] for name in imports_of(source)}
    assert not used & {
        "httpx",
        "requests",
        "urllib3",
        "socket",
        "ssl",
        "http",
        "asyncio",
        "time",
        "os",
        "pathlib",
    }
    assert ".now(" not in source
    assert "open(" not in source


def test_requests_are_sent_from_the_places_made_for_it_and_nowhere_else():
    sending = {
        name
        for name in LAYERED
        if any(
            used.partition(".")[0] == "httpx"
            for used in imports_of(MODULES[name].read_text(encoding="utf-8"))
        )
    }
    assert sending <= {"transport", "download", "hooks.account"}


def test_the_decisions_of_a_wait_read_no_clock():
    used = {name.partition(".")[0] for name in imports_of(MODULES["polling"].read_text(encoding="utf-8"))}
    assert not used & {"time", "datetime", "asyncio"}


@pytest.mark.parametrize("vendor", ["gptunnel", "tengrai", "piapi"])
def test_a_vendor_is_known_only_to_its_own_files(vendor):
    files = [name for name in LAYERED if name.rpartition(".")[2].partition("_")[0] == vendor]
    knowing = {name for name in LAYERED if ours(MODULES[name]) & {*files}}
    assert f"hooks.{vendor}" in knowing
    assert knowing <= {f"hooks.{vendor}", f"operators.{vendor}", f"vendors.{vendor}"}


def test_the_sandbox_and_the_client_read_the_contracts_apart():
    for name, path in MODULES.items():
        others = {
            other for other in ours(path) if (other.partition(".")[0] == BESIDE) != name.startswith(BESIDE)
        }
        if name.startswith(BESIDE):
            assert not others, f"{name} imports {sorted(others)}"
        else:
            assert not {other for other in ours(path) if other.startswith(BESIDE)}, name


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import airflow.sdk", {"airflow.sdk"}),
        ("from airflow import sdk", {"airflow.sdk"}),
        ("def f():\n    from airflow.sdk import DAG", {"airflow.sdk.DAG"}),
        ("if TYPE_CHECKING:\n    import airflow", {"airflow"}),
        ("from .jobs import Job", {f"{NAME}.jobs.Job"}),
        ("import_module('airflow.models')", {"airflow.models"}),
        ("x = 'import airflow'", set()),
    ],
)
def test_no_way_of_importing_is_overlooked(source, found):
    assert set(imports_of(source)) == found
