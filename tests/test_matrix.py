"""Which versions the matrix runs on, and that a lacking feature is an excuse on the lowest only."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import matrix
import pytest

from tests.conftest import needs

ROOT = Path(__file__).resolve().parent.parent


def told(cells):
    return [(cell.name, cell.python, cell.constraints, cell.tests) for cell in cells]


def test_the_corners_run_whole_and_what_is_between_them_by_its_smoke_test():
    assert told(matrix.cells(["3.11", "3.12", "3.13"], smoke=False)) == [
        ("lowest", "3.11", "constraints-lowest.txt", ()),
        ("newest-3.12", "3.12", "constraints.txt", ("tests/smoke",)),
        ("newest-3.13", "3.13", "constraints.txt", ()),
        ("pre-release", "3.11", "", ()),
    ]


def test_with_one_python_both_ends_run_on_it():
    assert told(matrix.cells(["3.12"], smoke=False)) == [
        ("lowest", "3.12", "constraints-lowest.txt", ()),
        ("newest-3.12", "3.12", "constraints.txt", ()),
        ("pre-release", "3.12", "", ()),
    ]


# -- K9: the newest pre-release of Airflow ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("failing", "code", "line"),
    [
        ([], 0, "Passed: lowest, newest-3.12, pre-release"),
        (["pre-release"], 0, "Failed, which is allowed: pre-release"),
        (["lowest", "pre-release"], 1, "Failed: lowest"),
    ],
)
def test_only_the_pre_release_may_fail_and_the_report_says_so(monkeypatch, capsys, failing, code, line):
    monkeypatch.setattr(sys, "argv", ["matrix.py"])
    monkeypatch.setattr(matrix, "interpreter", lambda version: Path("python") if version == "3.12" else None)
    monkeypatch.setattr(matrix, "passes", lambda cell, *_: cell.name not in failing)
    assert matrix.main() == code
    assert line in capsys.readouterr().out.splitlines()


def test_a_pre_release_that_cannot_be_installed_is_reported_too(monkeypatch):
    cells = matrix.cells(["3.12"], smoke=False)

    def fails(*_):
        raise SystemExit(1)

    monkeypatch.setattr(matrix.Cell, "install", fails)
    assert matrix.passes(cells[-1], "uv", Path("python")) is False
    with pytest.raises(SystemExit):
        matrix.passes(cells[0], "uv", Path("python"))


def test_a_smoke_run_is_the_lowest_alone():
    assert told(matrix.cells(["3.11", "3.12", "3.13"], smoke=True)) == [
        ("lowest", "3.11", "constraints-lowest.txt", ("tests/smoke",))
    ]


def test_the_supported_pythons_begin_where_the_package_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pythons = matrix.supported_pythons()
    assert f">={pythons[0]}" == project["requires-python"]
    assert len(pythons) > 1
    assert [version.partition(".")[0] for version in pythons] == ["3"] * len(pythons)


def test_a_python_that_is_not_here_is_not_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert matrix.interpreter("3.11") is None


def test_a_python_that_says_another_version_is_not_taken(monkeypatch, tmp_path):
    impostor = tmp_path / "python3.11"
    impostor.write_text("#!/bin/sh\necho 3.9\n")
    impostor.chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert matrix.tells(impostor) == "3.9"
    assert matrix.interpreter("3.11") is None


@pytest.mark.parametrize(
    ("run", "at", "has", "skipped"),
    [
        ("lowest", "no.such.module", "", True),
        ("lowest", "json", "no_such_name", True),
        ("lowest", "json", "JSONDecoder.no_such_name", True),
        ("lowest", "json", "JSONDecoder.decode", False),
        ("lowest", "json", "", False),
        ("", "no.such.module", "", False),
        ("", "json", "no_such_name", False),
    ],
)
def test_a_lacking_feature_is_an_excuse_in_the_lowest_run_only(monkeypatch, run, at, has, skipped):
    monkeypatch.setenv("FACESWAP_MATRIX", run)
    mark = needs("flying carpet", at=at, has=has)
    assert mark.args == (skipped,)
    assert mark.kwargs["reason"] == "the lowest supported Airflow has no flying carpet"
