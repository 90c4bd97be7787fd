"""What Airflow adds to its command line, what it costs every command, and what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.cli.cli_config import GroupCommand

from airflow_provider_faceswap.cli.__main__ import main
from airflow_provider_faceswap.cli.definition import SANDBOX, SWAP, get_commands
from airflow_provider_faceswap.cli.exits import MEANINGS, Exit
from airflow_provider_faceswap.media.preflight import PREFLIGHTS
from airflow_provider_faceswap.operators.base import JobOperator
from airflow_provider_faceswap.sandbox import SandboxServer
from airflow_provider_faceswap.sandbox.__main__ import main as sandbox_main

DOCS = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"
LOADED = """
import sys
import airflow.cli.cli_config
before = set(sys.modules)
import airflow_provider_faceswap.cli.definition
print(*sorted(set(sys.modules) - before))
"""
#: All of it small; the package itself is loaded where Airflow has read what it provides.
LIGHT = {"", ".cli", ".cli.batch_definition", ".cli.definition", ".cli.exits", ".cli.money_definition"}


@pytest.mark.program
def test_the_definition_loads_nothing_but_itself():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "airflow_provider_faceswap.cli.definition" in loaded
    assert loaded <= {f"airflow_provider_faceswap{module}" for module in LIGHT}


def test_there_is_one_group_of_ten_commands():
    (group,) = get_commands()
    assert isinstance(group, GroupCommand)
    assert group.name == "faceswap"
    assert sorted(command.name for command in group.subcommands) == [
        "batch",
        "budget",
        "check",
        "costs",
        "estimate",
        "gallery",
        "generate",
        "job",
        "jobs",
        "sandbox",
        "swap",
    ]


@pytest.mark.parametrize("command", ["swap", "generate", "job", "check"])
def test_every_exit_code_is_in_the_help_of_every_command(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert [code for code, meaning in MEANINGS.items() if f"{code:>3}  {meaning}" in shown] == list(Exit)


def test_every_exit_code_and_every_argument_is_documented():
    text = DOCS.read_text()
    assert [code for code in Exit if f"| {code:d} |" in text] == list(Exit)
    flags = {arg.flags[-1] for command in get_commands()[0].subcommands for arg in command.args}
    assert not [flag for flag in flags if f"`{flag}" not in text and flag.startswith("--")]


def test_the_timeout_is_that_of_an_operator():
    (timeout,) = [arg for arg in SWAP.args if arg.flags == ("--timeout",)]
    assert timeout.kwargs["default"] == JobOperator.default_timeout


def test_the_preflight_is_that_of_an_operator():
    (preflight,) = [arg for arg in SWAP.args if arg.flags == ("--preflight",)]
    assert preflight.kwargs["choices"] == PREFLIGHTS


# -- the sandbox --------------------------------------------------------------------------------------


def test_the_sandbox_takes_the_same_arguments_either_way(capsys):
    with pytest.raises(SystemExit):
        sandbox_main(["--help"])
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out.partition("options:")[2]))
    assert flags - {"--help"} == {arg.flags[0] for arg in SANDBOX.args}


def test_a_taken_port_ends_the_sandbox_with_a_sentence(capsys):
    with SandboxServer() as server, pytest.raises(SystemExit) as ended:
        main(["sandbox", "--port", server.url.rpartition(":")[2]])
    assert ended.value.code == Exit.USAGE
    assert "cannot start" in capsys.readouterr().err


def test_without_a_command_the_usage_is_shown(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == Exit.USAGE
    assert "COMMAND" in capsys.readouterr().err
