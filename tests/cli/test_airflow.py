"""The real ``airflow`` command against the sandbox: few runs, as each takes seconds to start."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from airflow_provider_faceswap.cli.exits import Exit
from airflow_provider_faceswap.sandbox import SandboxServer
from tests.conftest import NEEDS_PROVIDER_COMMANDS

pytestmark = [pytest.mark.program, NEEDS_PROVIDER_COMMANDS]

#: Runs the command line, then tells which of our modules it has loaded.
SPY = """
import atexit, sys
ours = lambda: sorted(name for name in sys.modules if name.startswith("airflow_provider_faceswap"))
atexit.register(lambda: print(*ours(), file=sys.stderr))
sys.argv[0] = "airflow"
from airflow.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture
def environment(home):
    """An Airflow of its own, whose database is not there: connections of the environment need none."""
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS": "127.0.0.1",
    }


@pytest.fixture
def start(environment, tmp_path):
    """Start an ``airflow`` command."""
    started = []

    def command(*arguments, **more):
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", *arguments],
            env={**environment, **more},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield command
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def airflow(start):
    """Run an ``airflow`` command to its end: exit code, stdout, stderr."""

    def command(*arguments, **more):
        process = start(*arguments, **more)
        stdout, stderr = process.communicate(timeout=120)
        return process.returncode, stdout, stderr

    return command


def pictures(server):
    return ("--target", f"{server.url}/samples/emil.png", "--face", f"{server.url}/samples/anna.jpg")


def connection(server):
    return json.dumps({"conn_type": "gptunnel", "host": server.url, "password": server.key})


def test_airflow_lists_the_group_and_loads_nothing_of_it_but_names(environment):
    done = subprocess.run(
        [sys.executable, "-c", SPY, "--help"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert re.search(r"^\s+faceswap\s+Swap faces", done.stdout, re.MULTILINE)
    assert done.stderr.split() == [
        f"airflow_provider_faceswap{module}"
        for module in (
            "",
            ".cli",
            ".cli.batch_definition",
            ".cli.definition",
            ".cli.exits",
            ".cli.money_definition",
            ".get_provider_info",
        )
    ]


def test_a_swap_leaves_the_picture_and_one_object_on_stdout(airflow, sandbox_server, tmp_path):
    code, stdout, stderr = airflow(
        *("faceswap", "swap", "--conn-id", "shop", *pictures(sandbox_server)),
        *("--out", "swapped.png", "--output", "json"),
        AIRFLOW_CONN_SHOP=connection(sandbox_server),
    )
    assert code == Exit.DONE, stderr
    told = json.loads(stdout)
    assert told["files"][0]["bytes"] == (tmp_path / "swapped.png").stat().st_size
    assert stderr.splitlines()[0].startswith(f"gptunnel accepted face_swap as job {told['job_id']}")
    assert sandbox_server.key not in stdout + stderr


def test_ctrl_c_names_the_job_and_leaves_it_running(start, airflow, tmp_path):
    with SandboxServer(job_seconds=3600) as server:
        shop = {"AIRFLOW_CONN_SHOP": connection(server)}
        swap = start(
            *("faceswap", "swap", "--conn-id", "shop", *pictures(server), "--output", "json"), **shop
        )
        accepted = next(line for line in swap.stderr if "accepted" in line)
        swap.send_signal(signal.SIGINT)
        stdout, stderr = swap.communicate(timeout=60)
        told = json.loads(stdout)
        assert swap.returncode == Exit.RESUMABLE
        assert told["job_id"] in accepted
        assert f"Resume it with: airflow faceswap job shop {told['job_id']} --wait --out ." in stderr
        assert "Traceback" not in stderr
        assert list(tmp_path.iterdir()) == []
        code, stdout, _ = airflow("faceswap", "job", "shop", told["job_id"], "--output", "json", **shop)
        assert code == Exit.RESUMABLE
        assert json.loads(stdout)["state"] in {"queued", "running"}


def test_the_sandbox_is_started_and_a_connection_of_the_database_is_checked_against_it(start, airflow):
    sandbox = start("faceswap", "sandbox", "--port", "0")
    url = re.fullmatch(r"sandbox ready at (\S+) \(key: sandbox-key\)\n", sandbox.stdout.readline())[1]
    for arguments in (
        ("db", "migrate"),
        ("connections", "add", "stored", "--conn-type", "gptunnel", "--conn-host", url),
    ):
        password = ("--conn-password", "sandbox-key") if arguments[0] == "connections" else ()
        code, _, stderr = airflow(*arguments, *password)
        assert code == 0, stderr
    code, stdout, stderr = airflow("faceswap", "check", "stored", "--output", "json")
    assert code == Exit.DONE, stderr
    assert json.loads(stdout)["ok"] is True
    sandbox.send_signal(signal.SIGTERM)
    assert sandbox.wait(30) == 0
