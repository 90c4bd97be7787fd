"""Dag files are parsed all day: what an operator's import costs beyond Airflow's own."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.sizes import FULL, SIZES

pytestmark = pytest.mark.program

MODULES = [
    f"airflow_provider_faceswap.{module}"
    for module in (
        "operators.gptunnel",
        "operators.tengrai",
        "operators.piapi",
        "operators.faceswap",
        "operators.batch",
        "operators.archive",
        "operators.publish",
        "gallery.approval",
        "operators.balance",
        "sensors.job",
    )
]
#: What a Dag file has imported anyway: Airflow, and the operators' base.
ANYWAY = "from airflow.sdk import DAG, ObjectStoragePath; from airflow.providers.common.compat.sdk import BaseOperator, BaseHook"
TIME = re.compile(r"import time:\s+\d+ \|\s+(?P<total>\d+) \| (?P<indent>\s*)(?P<name>\S+)")


#: A module may cost 0.15 seconds where Airflow costs three; on a slower machine, or at a slower moment, more.
MOST, AIRFLOWS = 0.15, 3.0


def seconds(module):
    """
    What importing it adds, and what all before it took, as the interpreter tells.

    It is the whole of the outermost lines that are the module's own. What Airflow has imported is frozen, else a garbage
    collection of all of it may fall into them.
    """
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"{ANYWAY}; import gc; gc.freeze(); import {module}"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = [match for match in map(TIME.match, done.stderr.splitlines()) if match and not match["indent"]]
    # The package, its folder and the module each have a line, none of which holds the others.
    names = {".".join(module.split(".")[:parts]) for parts in range(1, module.count(".") + 2)}
    own = sum(int(match["total"]) for match in told if match["name"] in names)
    return own / 1e6, sum(int(match["total"]) for match in told) / 1e6 - own / 1e6


def is_cheap(module):
    own, before = seconds(module)
    return 0 < own < MOST * max(1.0, before / AIRFLOWS)


# The batch's operator imports the most.
@pytest.mark.parametrize(
    "module", MODULES if SIZES is FULL else ["airflow_provider_faceswap.operators.batch"]
)
def test_an_import_costs_little(module):
    # One of ten: whatever else the machine does only adds.
    assert any(is_cheap(module) for _ in range(10))
