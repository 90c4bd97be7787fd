"""The rooms: a module imports only its own room and the rooms above it in the drawing of docs/architecture.md."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAME = "airflow_provider_faceswap"
PACKAGE = ROOT / NAME

#: The drawing has one line a room, the lowest first; a dashed line ends the part that knows nothing of Airflow.
DRAWING = re.search(
    r"```text\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.DOTALL
)[1]
ROOMS = re.findall(r"^([a-z_]+) ", DRAWING, re.MULTILINE)
WITHOUT_AIRFLOW = re.findall(r"^([a-z_]+) ", DRAWING.partition("\n--")[0], re.MULTILINE)

#: An independent reading of the same contracts, which neither imports nor is imported.
APART = "sandbox"
#: The only thing that the rooms above the dashed line take from Airflow.
FAIL_FAST = "airflow.providers.common.compat.sdk.AirflowFailException"


def module_of(path):
    """``vendors/base.py`` as ``vendors.base``; a package by its own name, the root as an empty one."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module):
    return module.partition(".")[0]


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
IN_ROOMS = sorted(name for name in MODULES if name and room_of(name) != APART)


def imports_of(source):
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


@cache
def imported(module):
    """What a module of this package imports."""
    return frozenset(imports_of(MODULES[module].read_text(encoding="utf-8")))


def outside(module):
    """The top-level packages that a module imports."""
    return {name.partition(".")[0] for name in imported(module)}


def ours(module):
    """The modules of this package that a module imports."""
    found = set()
    for name in imported(module):
        if name.partition(".")[0] != NAME:
            continue
        inner = name.removeprefix(NAME).removeprefix(".")
        while inner and inner not in MODULES:
            inner = inner.rpartition(".")[0]
        if inner and inner != module:
            found.add(inner)
    return found


def test_the_drawing_has_every_room_once():
    assert sorted(ROOMS) == sorted({room_of(name) for name in IN_ROOMS})


@pytest.mark.parametrize("module", IN_ROOMS)
def test_a_module_imports_only_its_own_room_and_those_above_it(module):
    allowed = ROOMS[: ROOMS.index(room_of(module)) + 1]
    assert not {other for other in ours(module) if room_of(other) not in allowed}


@pytest.mark.parametrize("module", [name for name in IN_ROOMS if room_of(name) in WITHOUT_AIRFLOW])
def test_the_rooms_without_airflow_take_one_class_of_it_in_one_place(module):
    taken = {name for name in imported(module) if name.partition(".")[0] == "airflow"}
    assert taken == ({FAIL_FAST} if module == "exceptions" else set())


@pytest.mark.parametrize("module", [name for name in IN_ROOMS if room_of(name) == "vendors"])
def test_a_vendor_file_does_no_io_and_reads_no_clock(module):
    io = {"httpx", "requests", "urllib3", "socket", "ssl", "http", "asyncio", "time", "os", "pathlib"}
    source = MODULES[module].read_text(encoding="utf-8")
    assert not outside(module) & io
    assert ".now(" not in source
    assert "open(" not in source


def test_requests_are_sent_from_one_room():
    assert {room_of(name) for name in IN_ROOMS if "httpx" in outside(name)} <= {"http", "hooks"}


def test_the_decisions_of_a_wait_read_no_clock():
    assert not outside("lifecycle.polling") & {"time", "datetime", "asyncio"}


@cache
def code_of(path):
    """A source without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node) is not None
        ):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


@pytest.mark.parametrize("vendor", ["gptunnel", "tengrai", "piapi"])
def test_no_code_outside_a_vendors_own_files_names_it(vendor):
    naming = {name for name, path in MODULES.items() if vendor in code_of(path).lower()}
    own = {name for name in MODULES if any(part.startswith(vendor) for part in name.split("."))}
    assert own
    assert naming - own == {"get_provider_info"}


def test_the_sandbox_and_the_client_read_the_contracts_apart():
    for name in MODULES:
        others = {other for other in ours(name) if (room_of(other) == APART) != (room_of(name) == APART)}
        assert not others, name


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
