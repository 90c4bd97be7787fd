"""The extras: floors that the files of constraints meet, so that an installer finds an end and nothing old."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
FILES = ("constraints.txt", "constraints-lowest.txt")


def pins(file):
    lines = (ROOT / file).read_text().splitlines()
    found = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): Version(version) for name, version in found.items()}


def asked():
    return [
        pytest.param(Requirement(line), id=f"{extra}-{line}") for extra in EXTRAS for line in EXTRAS[extra]
    ]


@pytest.mark.parametrize("requirement", asked())
def test_each_extra_has_a_floor_which_is_the_lowest_version_that_is_tested(requirement):
    (floor,) = [Version(one.version).release for one in requirement.specifier if one.operator == ">="]
    lowest = pins("constraints-lowest.txt")[canonicalize_name(requirement.name)]
    assert lowest.release[: len(floor)] == floor


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("requirement", asked())
def test_each_extra_is_pinned_in_the_constraints(requirement, file):
    assert requirement.specifier.contains(pins(file)[canonicalize_name(requirement.name)])


def uv():
    return shutil.which("uv") or shutil.which(ROOT / "build" / "uv" / "bin" / "uv")


def resolved(extra, file, python):
    """What an install of an extra takes under the constraints; nothing is installed."""
    command = [uv(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", python]
    command += ["--extra", extra, "--constraint", file, "pyproject.toml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.partition(" ;")[0] for line in done.stdout.splitlines() if "==" in line]
    return {
        canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)
    }


@pytest.mark.program
@pytest.mark.full
@pytest.mark.skipif(uv() is None, reason="uv is not here; `make verify` installs it")
@pytest.mark.parametrize(
    ("file", "python"),
    [(FILES[0], "3.11"), (FILES[0], "3.12"), (FILES[0], "3.13"), (FILES[1], "3.11")],
)
@pytest.mark.parametrize("extra", EXTRAS)
def test_each_extra_resolves_to_what_the_constraints_pin(extra, file, python):
    found, pinned = resolved(extra, file, python), pins(file)
    assert {name: version for name, version in found.items() if pinned.get(name, version) != version} == {}
    needed = {canonicalize_name(Requirement(line).name) for line in EXTRAS[extra]}
    assert needed <= found.keys()
