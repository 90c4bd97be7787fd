"""The tutorial's commands, as they stand on its page, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from airflow_stack import free_port

from tests.conftest import NEEDS_PROVIDER_COMMANDS

pytestmark = pytest.mark.program

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()


def commands(*steps: int) -> str:
    """What stands in the shell blocks of the numbered steps."""
    found = []
    for step in steps:
        (text,) = re.findall(rf"^## {step}\. (.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
        found += re.findall(r"^```shell\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(found) >= len(steps)
    return "".join(found)


@pytest.fixture
def port():
    """A free one: the page's may be taken."""
    return free_port()


@pytest.fixture
def environment(tmp_path):
    """That of a person who has installed the package and set nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {**kept, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture
def here(tmp_path, port):
    """Put what is ours in the place of what the page takes for free: the port, the folder of pictures."""

    def localized(text: str) -> str:
        return text.replace("8090", str(port)).replace("/tmp/faceswap", str(tmp_path / "pictures"))

    return localized


@pytest.fixture
def vendor(environment, here, tmp_path):
    """The sandbox, started as in the second terminal."""
    *_, start = commands(2).splitlines()
    with subprocess.Popen(
        ["bash", "-c", f"exec {here(start)}"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process.stdout.readline().strip()
        process.terminate()
    assert process.returncode == 0


@NEEDS_PROVIDER_COMMANDS
def test_the_first_picture_is_swapped_kept_and_paid_once(vendor, environment, here, tmp_path, port):
    assert f"`{vendor}`" in here(PAGE), "the page says what the sandbox says"
    script = tmp_path / "tutorial.sh"
    save = f"cp {ROOT}/example_dags/first_swap.py airflow/dags/\n"
    script.write_text("set -euo pipefail\n" + here(commands(3)) + save + here(commands(5, 6)))
    done = subprocess.run(
        ["bash", str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "at most 5 tasks at once" in " ".join(done.stdout.split()), "the connection was checked"
    *thumbnails, picture, manifest = sorted((tmp_path / "pictures").iterdir())
    assert len(thumbnails) == 3
    assert manifest.name == f"{picture.name}.json"
    told = json.loads(manifest.read_text())
    assert told["airflow"]["dag_id"] == "first_swap"
    assert told["job"]["arguments"]["target_image"].endswith("anna.jpg")
    assert httpx.get(f"http://127.0.0.1:{port}/sandbox/ledger").json()["creates"] == 1
