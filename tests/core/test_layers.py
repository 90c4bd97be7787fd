"""Each layer imports only those above it, as docs/architecture.md draws them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "airflow_provider_faceswap"
NAME = "airflow_provider_faceswap"

#: Top to bottom; modules of one line may import each other only where the line names a folder.
LAYERS = [
    "exceptions",
    "redaction",
    "jobs",
    "media",
    "vendors",
    "endings",
    "polling",
    "transport",
    "download",
    "provenance",
    "ledger",
    "archive",
    "get_provider_info",
    "hooks",
    "purchase",
    "waiting",
    "triggers",
    "operators",
    "sensors",
]
CORE = LAYERS[: LAYERS.index("ledger")]


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in {"sandbox", "__init__"}:
            yield pytest.param(path, parts[0], id="/".join(parts))


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_every_module_has_its_layer():
    assert {param.values[1] for param in modules()} == set(LAYERS)


@pytest.mark.parametrize(("path", "layer"), list(modules()))
def test_a_layer_imports_only_those_above_it(path, layer):
    used = {name.split(".")[1] for name in imported(path) if name.startswith(f"{NAME}.")} - {"__version__"}
    below = {name for name in used if LAYERS.index(name) > LAYERS.index(layer)} if used else set()
    assert not below


@pytest.mark.parametrize(("path", "layer"), [p for p in modules() if p.values[1] in CORE])
def test_the_core_takes_one_name_of_airflow(path, layer):
    used = {name for name in imported(path) if name.split(".")[0] == "airflow"}
    allowed = {"airflow.providers.common.compat.sdk.AirflowFailException"} if layer == "exceptions" else set()
    assert used == allowed


def test_the_sandbox_and_the_client_do_not_know_each_other():
    for path in (PACKAGE / "sandbox").glob("*.py"):
        ours = {name for name in imported(path) if name.startswith(f"{NAME}.")}
        assert all(name.startswith(f"{NAME}.sandbox") for name in ours), path.name


@pytest.mark.parametrize("vendor", ["gptunnel", "tengrai", "piapi"])
def test_a_vendor_is_named_in_its_own_files_only(vendor):
    allowed = {f"vendors/{vendor}.py", f"hooks/{vendor}.py", f"operators/{vendor}.py", "get_provider_info.py"}
    naming = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts
        and any(name.startswith(NAME) and vendor in name.lower() for name in imported(path))
    }
    assert naming <= allowed
