"""
Run the suite on the lowest and on the newest supported Airflow and Python, and a smoke test on the Pythons between.

The newest pre-release of Airflow is tried too. What fails there is reported, and does not fail the run.

Each environment is kept in ``build/matrix``, so that a second run installs only what has changed, and all take what
they install from uv's one cache. The Pythons are those of this machine; one that is not here is named, not fetched.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Old packages warn of themselves; on the newest a warning is an error.
WARNINGS_PASS = ("-W", "default")
SMOKE = ("tests/smoke",)
#: The whole suite, in two runs as in `make test`.
PARALLEL = ("--numprocesses", "logical", "--dist", "worksteal", "-m", "not airflow")
ON_AIRFLOW = ("-m", "airflow")
#: The packages whose newest pre-releases are tried together.
PRE_RELEASED = ("apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk")
#: The name of their environment.
PRE_RELEASE = "pre-release"
#: The pre-release allows others and does not run with them: with SQLAlchemy 2.1 the scheduler of 3.4.0b2 ends at once, and
#: with the Celery provider that is resolved otherwise each command prints a warning to stdout.
RUNS_WITH = ("sqlalchemy<2.1", "apache-airflow-providers-celery>=3.26")
#: Without it, the test client that Airflow's api-server imports warns of itself.
QUIET = ("httpx2",)
#: Without it, Airflow 3.1 shows the connection form of no provider.
FORMS = "wtforms"


@dataclass(frozen=True)
class Cell:
    """
    One environment, and what is run in it.

    :param constraints: The file that pins what is installed; empty for the newest of everything.
    :param tests: What is run; empty for the whole suite.
    :param allowed_to_fail: Whether a failure is only reported.
    """

    name: str
    python: str
    constraints: str
    tests: tuple[str, ...] = ()
    allowed_to_fail: bool = False

    @property
    def lowest(self) -> bool:
        """Whether tests of what this Airflow lacks may be skipped."""
        return self.name == "lowest"

    def install(self, uv: str, interpreter: Path) -> Path:
        """
        Make the environment, or bring it up to date.

        :returns: Its interpreter.
        """
        folder = ROOT / "build" / "matrix" / self.name
        python = folder / "bin" / "python"
        if not python.exists():
            run(uv, "venv", "--quiet", "--clear", "--no-python-downloads", "--python", interpreter, folder)
        smoke = ("pytest",) if self.lowest else ("pytest", *QUIET)
        tools = smoke if self.tests == SMOKE else ("--requirement", "requirements-dev.txt", FORMS)
        pinned = (
            ("--constraint", self.constraints)
            if self.constraints
            else ("--upgrade", *pre_releases(uv), *RUNS_WITH)
        )
        run(uv, "pip", "install", "--quiet", "--python", python, *pinned, *tools, "--editable", ".[sandbox]")
        return python

    def test(self, python: Path) -> bool:
        """Whether its tests pass."""
        command = [str(python), "-m", "pytest", "-p", "no:cacheprovider"]
        # The whole suite in its small size, because other versions are tried here, not more cases.
        env = {
            key: value
            for key, value in os.environ.items()
            if key not in {"FACESWAP_MATRIX", "FACESWAP_TESTS"}
        }
        if self.tests == SMOKE:
            env["FACESWAP_TESTS"] = "full"
        if self.lowest:
            command += WARNINGS_PASS
            env["FACESWAP_MATRIX"] = "lowest"
        runs = [self.tests] if self.tests else [PARALLEL, ON_AIRFLOW]
        ends = [subprocess.run([*command, *tests], cwd=ROOT, env=env, check=False) for tests in runs]
        return all(end.returncode == 0 for end in ends)


def main() -> int:
    """Run the cells; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", default="uv", help="the program that installs")
    parser.add_argument("--smoke", action="store_true", help="the smoke test of the lowest, and nothing else")
    options = parser.parse_args()
    supported = supported_pythons()
    found = {version: python for version in supported if (python := interpreter(version))}
    if not found:
        print("None of the supported Pythons is here:", ", ".join(supported))
        return 1
    print("Pythons here:", ", ".join(f"{version} ({python})" for version, python in found.items()))
    if missing := [version for version in supported if version not in found]:
        print("Not tried, as they are not here:", ", ".join(missing))
    failed: list[Cell] = []
    chosen = cells(list(found), smoke=options.smoke)
    for cell in chosen:
        print(
            f"\n== {cell.name}: Python {cell.python}, {cell.constraints or 'no constraints'}, "
            f"{' '.join(cell.tests) or 'all tests'}"
        )
        sys.stdout.flush()
        if not passes(cell, options.uv, found[cell.python]):
            failed.append(cell)
    print(report(chosen, failed))
    return 1 if any(not cell.allowed_to_fail for cell in failed) else 0


def passes(cell: Cell, uv: str, interpreter: Path) -> bool:
    """
    Install and test a cell.

    :raises SystemExit: It cannot be installed, and is not allowed to fail.
    """
    try:
        return cell.test(cell.install(uv, interpreter))
    except SystemExit:
        if not cell.allowed_to_fail:
            raise
        return False


def report(chosen: list[Cell], failed: list[Cell]) -> str:
    """The last lines of a run: what passed, what failed, and what failed although it may."""
    lines = {
        "Passed": [cell.name for cell in chosen if cell not in failed],
        "Failed": [cell.name for cell in failed if not cell.allowed_to_fail],
        "Failed, which is allowed": [cell.name for cell in failed if cell.allowed_to_fail],
    }
    return "\n" + "\n".join(f"{what}: {', '.join(names)}" for what, names in lines.items() if names)


def cells(pythons: list[str], *, smoke: bool) -> list[Cell]:
    """
    What is run: the corners whole, and the smoke test on what is between them.

    :param pythons: The supported ones that are here, in order.
    :param smoke: Only the smoke test of the lowest.
    """
    low, high = ("constraints-lowest.txt", "constraints.txt")
    if smoke:
        return [Cell("lowest", pythons[0], low, SMOKE)]
    between = [Cell(f"newest-{version}", version, high, SMOKE) for version in pythons[1:-1]]
    return [
        Cell("lowest", pythons[0], low),
        *between,
        Cell(f"newest-{pythons[-1]}", pythons[-1], high),
        Cell(PRE_RELEASE, pythons[0], "", allowed_to_fail=True),
    ]


def pre_releases(uv: str) -> list[str]:
    """
    The newest pre-releases of Airflow, pinned. So of other packages only those are taken that Airflow itself asks for.

    :raises SystemExit: They cannot be resolved.
    """
    command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--prerelease", "allow", "-"]
    done = subprocess.run(
        command, cwd=ROOT, input=PRE_RELEASED[0], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr)
        raise SystemExit(done.returncode)
    return [line for line in done.stdout.splitlines() if line.partition("==")[0] in PRE_RELEASED]


def supported_pythons() -> list[str]:
    """What the package says of itself, such as ``3.11``, in order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = (line.rpartition(" :: ")[2] for line in project["classifiers"] if ":: Python :: 3." in line)
    return sorted(named, key=lambda version: int(version.partition(".")[2]))


def interpreter(version: str) -> Path | None:
    """A Python of this version on this machine: on the path, or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places = sorted((pyenv / "versions").glob(f"{version}.*/bin/python"), reverse=True)
    on_path = shutil.which(f"python{version}")
    if on_path:
        places.append(Path(on_path))
    return next((python for python in places if tells(python) == version), None)


def tells(python: Path) -> str | None:
    """The version an interpreter says it has; a shim of pyenv may have none behind it."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def run(*command: str | Path) -> None:
    """
    Run a program to its success.

    :raises SystemExit: It failed; it has said why itself.
    """
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
