"""What an install brings: the bill of materials, the audit, and the files that pin versions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import audit
import pytest
import sbom
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = "airflow-provider-faceswap"
#: `make constraints` says so.
LOCKED_FOR = (3, 11)


def pins(file):
    lines = (ROOT / file).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def by_name(versions):
    return {canonicalize_name(name): version for name, version in versions.items()}


@pytest.fixture(scope="module")
def bill():
    return sbom.bill(metadata.distribution(NAME).metadata)


def names(bill):
    return {canonicalize_name(part["name"]) for part in bill["components"]}


def test_the_bill_names_the_package_itself_first(bill):
    top = bill["metadata"]["component"]
    assert (top["name"], top["licenses"]) == (NAME, [{"expression": "Apache-2.0"}])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")


def test_the_bill_holds_what_the_package_needs_and_what_that_needs(bill):
    needed = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert needed <= names(bill)
    assert {"apache-airflow-task-sdk", "httpcore", "pydantic-core"} <= names(bill)


def test_the_bill_holds_neither_extras_nor_development(bill):
    extras = {
        canonicalize_name(Requirement(line).name)
        for lines in PROJECT["optional-dependencies"].values()
        for line in lines
    }
    # Airflow's own api server brings these two.
    alone = extras - {"starlette", "uvicorn"}
    assert not names(bill) & {*alone, "pytest", "ruff", "mypy", "moto", "playwright"}


def test_the_versions_on_the_bill_are_the_locked_ones(bill):
    here = metadata.version("apache-airflow")
    files = ("constraints.txt", "constraints-lowest.txt")
    locks = [pins(name) for name in files if pins(name)["apache-airflow"] == here]
    if not locks:
        pytest.skip(f"no versions are locked for Airflow {here}")
    locked = by_name(locks[0])
    told = {canonicalize_name(part["name"]): part["version"] for part in bill["components"]}
    unlocked = told.keys() - locked.keys()
    # The lock is made for the oldest Python; a newer one may need a little more.
    assert not unlocked or sys.version_info[:2] > LOCKED_FOR
    assert {name: told[name] for name in told.keys() - unlocked} == {
        name: locked[name] for name in told.keys() - unlocked
    }


def test_every_dependency_on_the_bill_is_a_component_of_it(bill):
    known = {part["bom-ref"] for part in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    told = {edge["ref"]: edge["dependsOn"] for edge in bill["dependencies"]}
    assert set(told) == known
    assert {other for others in told.values() for other in others} < known


def test_two_bills_are_equal_and_tell_nothing_of_the_machine(bill):
    text = json.dumps(bill)
    assert text == json.dumps(sbom.bill(metadata.distribution(NAME).metadata))
    assert "://" not in text
    assert str(ROOT) not in text
    assert sys.prefix not in text


@pytest.mark.parametrize(
    ("requirements", "extras", "found"),
    [
        (["httpx>=0.27,<1"], set(), [("httpx", set())]),
        (["Pillow ; extra == 'images'"], set(), []),
        (["Pillow ; extra == 'images'"], {"images"}, [("pillow", set())]),
        (["httpx[http2]"], set(), [("httpx", {"http2"})]),
        (["tomli ; python_version < '3.0'"], {"images"}, []),
    ],
)
def test_an_extra_counts_only_where_it_was_asked_for(requirements, extras, found):
    asked = [(name, frozenset(more)) for name, more in found]
    assert sbom.needs(requirements, frozenset(extras)) == asked


def answered(name, *ids):
    vulns = [{"id": one, "fix_versions": ["9.9"], "aliases": [], "description": ""} for one in ids]
    return {"name": name, "version": "1.0", "vulns": vulns}


def passed_over(name):
    return {"name": name, "skip_reason": f"Dependency not found and could not be audited: {name} (1.0)"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([answered("a"), answered("b")], 0, "None of 2 packages"),
        ([answered("a", "CVE-1", "CVE-2")], 1, "a 1.0: CVE-2, mended in 9.9"),
        ([answered("a"), passed_over("b")], 2, r"1 of 2 packages got no answer .* \(b\)"),
        ([passed_over("a"), answered("b", "CVE-1")], 1, "CVE-1.*\n1 of 2 packages got no answer"),
        ([passed_over("a"), passed_over("b")], 2, "Not audited: 2 of 2"),
        ([], 2, "Not audited: 0 of 0"),
    ],
)
def test_an_audit_passes_only_with_an_answer_for_every_package(packages, code, said):
    told, text = audit.verdict({"dependencies": packages, "fixes": []})
    assert told == code
    assert re.search(said, text)


@pytest.mark.program
def test_an_audit_without_a_service_fails_and_says_so(tmp_path):
    locked = tmp_path / "locked.txt"
    locked.write_text("imagesize==2.0.1\n")
    # No host of this name exists, and a proxy on this port does not either.
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "audit.py"), str(locked)],
        env={"PATH": str(Path(sys.executable).parent), "HOME": str(tmp_path), **nowhere},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == audit.UNKNOWN, done.stdout + done.stderr
    assert done.stderr.startswith("Not audited: ")
    assert not done.stdout


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-lowest.txt"])
def test_a_pin_is_a_name_and_a_version_and_nothing_else(file):
    lines = (ROOT / file).read_text().splitlines()
    assert lines[0].startswith("# ")
    assert lines[1:]
    assert [line for line in lines[1:] if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line)] == []


def lowest_of(requirement):
    [low] = [part.version for part in Requirement(requirement).specifier if part.operator == ">="]
    return low


@pytest.mark.parametrize(
    "requirement", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["sandbox"]]
)
def test_the_lowest_version_that_is_promised_is_the_one_that_is_tested(requirement):
    tested = by_name(pins("constraints-lowest.txt"))[canonicalize_name(Requirement(requirement).name)]
    promised = lowest_of(requirement)
    assert re.sub(r"(\.0)+$", "", tested).startswith(re.sub(r"(\.0)+$", "", promised))
