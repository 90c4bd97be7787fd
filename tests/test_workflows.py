"""The workflows of the code host: what they run is pinned, and what they may do is stated job by job."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="an sdist has no workflows")


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_full_commit_and_names_its_version(path):
    used = re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE)
    foreign = [line for line in used if not line.startswith("./")]
    pinned = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in foreign if not pinned.fullmatch(line)] == []


def test_one_action_has_one_commit_in_all_workflows():
    used = {
        tuple(match.split("@"))
        for path in WORKFLOWS
        for match in re.findall(r"uses: ([\w.-]+/[\w.-]+@[0-9a-f]{40})", path.read_text())
    }
    assert len({action for action, _ in used}) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_states_its_permissions_and_a_workflow_grants_none(path):
    assert yaml.safe_load(path.read_text())["permissions"] == {}
    assert [name for name, job in jobs(path).items() if "permissions" not in job] == []


def test_only_the_jobs_that_attest_and_publish_can_get_an_identity():
    able = {
        (path.name, name)
        for path in WORKFLOWS
        for name, job in jobs(path).items()
        if "id-token" in job["permissions"]
    }
    assert able == {("release.yml", "attest"), ("release.yml", "publish")}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_shell_line_contains_an_expression_that_somebody_else_can_write(path):
    lines = [step["run"] for job in jobs(path).values() for step in job.get("steps", []) if "run" in step]
    assert [line for line in lines if "${{" in line] == []


def test_every_extra_is_installed_with_pip():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    job = jobs(ROOT / ".github" / "workflows" / "tests.yml")["extras"]
    assert sorted(job["strategy"]["matrix"]["extra"]) == sorted(extras)
    assert "airflow version" in job["steps"][-1]["run"]
