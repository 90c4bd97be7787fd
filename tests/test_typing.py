"""A type checker, and so an editor, sees wrong arguments of an operator. ``make lint`` checks the examples, which are right."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import BaseOperator
from airflow.sdk.bases.sensor import BaseSensorOperator

from airflow_provider_faceswap.operators._batch import BatchOperator
from airflow_provider_faceswap.operators._keywords import (
    BatchArguments,
    JobArguments,
    SensorArguments,
    TaskArguments,
)
from airflow_provider_faceswap.operators.base import JobOperator

ROOT = Path(__file__).resolve().parent.parent

#: A Dag whose every call has one mistake, and is on one line.
MISTAKES = """
from datetime import timedelta
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.balance import BalanceCheckOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator, MediaBatchOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.generate import ImageOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator as Swap, GPTunnelImageOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator, PiAPITaskOperator
from airflow_provider_faceswap.operators.tengrai import TengraiArtworkOperator, TengraiFaceSwapOperator
from airflow_provider_faceswap.sensors.job import JobSensor

Swap(target_image="a", face_image="b")
Swap(task_id="t", target_image="a")
Swap(task_id="t", target_image="a", face_image="b", retry=2)
Swap(task_id="t", target_image="a", face_image="b", retries="2")
Swap(task_id="t", target_image="a", face_image="b", retry_delay="5m")
Swap(task_id="t", target_image="a", face_image="b", pool_slots="1")
Swap(task_id="t", target_image="a", face_image="b", deferrable="yes")
Swap(task_id="t", target_image="a", face_image="b", timeout="10m")
Swap(task_id="t", target_image="a", face_image="b", on_uncertain="retry")
Swap(task_id="t", target_image="a", face_image="b", on_clear="again")
Swap(task_id="t", target_image="a", face_image="b", preflight="strict")
Swap(task_id="t", target_image="a", face_image="b", max_submissions="2")
Swap(task_id="t", target_image="a", face_image="b", use_wallet_ballance=True)
GPTunnelImageOperator(task_id="t", model="m", prompt="p", options=["quality"])
PiAPIFaceSwapOperator(task_id="t", target_image="a", face_image="b", service_mode="hosted")
PiAPITaskOperator(task_id="t", model="m", task_type="t", input="a prompt")
TengraiFaceSwapOperator(task_id="t", target_image="a", face_image="b", denoising="strong")
TengraiArtworkOperator(task_id="t", artwork="selena", prompt="p")
FaceSwapOperator(task_id="t", target_image="a", face_image="b", conn_id="gptunnel_default")
FaceSwapOperator(task_id="t", target_image="a", face_image="b", conn_ids=["a"], cancel_on_kill="no")
FaceSwapBatchOperator(task_id="t", conn_id="c", items=[], destination="d", fail_on="some")
FaceSwapBatchOperator(task_id="t", conn_id="c", items=[])
MediaBatchOperator(task_id="t", steps=[], items=[], destination="d", conn_id="c")
ImageOperator(task_id="t", prompt="p", conn_ids=["a"], retries="2")
ArchiveOperator(task_id="t", source="s", destination="d", overwrite="maybe")
ArchiveOperator(task_id="t", source="s", destination="d", max_bytes="10 MB")
ArchiveOperator(task_id="t", source="s", destination="d", execution_timeout=60)
BalanceCheckOperator(task_id="t", conn_id="c", at_least=5, on_short="stop")
JobSensor(task_id="t", conn_id="c", job_id="j", kind="face_swap", mode="poll")
JobSensor(task_id="t", conn_id="c", job_id="j", kind="face_swap", interval=5)
"""


#: The engine of pyright, with the Node that it needs.
PYRIGHT = ROOT / "build" / "pyright" / "bin" / "basedpyright"


@pytest.mark.program
@pytest.mark.full
@pytest.mark.parametrize(
    "checker",
    [
        pytest.param((sys.executable, "-m", "mypy", "--no-error-summary"), id="mypy"),
        pytest.param(
            (str(PYRIGHT), "--pythonpath", sys.executable, "--level", "error"),
            id="pyright",
            marks=pytest.mark.skipif(not PYRIGHT.exists(), reason="`make pyright` installs it"),
        ),
    ],
)
def test_a_type_checker_sees_each_mistake_in_a_dag(tmp_path, checker):
    dag = tmp_path / "mistakes.py"
    dag.write_text(MISTAKES)
    checked = subprocess.run(
        [*checker, str(dag)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [
        line.partition("mistakes.py:")[2]
        for line in checked.stdout.splitlines()
        if ": error: " in line or " - error: " in line
    ]
    seen = {int(error.partition(":")[0]) for error in errors if error}
    lines = MISTAKES.splitlines()
    planted = {number for number, line in enumerate(lines, 1) if line and not line.startswith("from ")}
    assert seen == planted, [lines[number - 1] for number in planted ^ seen] or checked.stdout
    assert len(planted) == 30


def keywords(constructor):
    return {
        parameter.name
        for parameter in inspect.signature(constructor).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def test_the_names_are_those_of_airflow_and_of_the_base_of_all_operators():
    assert keywords(BaseOperator.__init__) - set(TaskArguments.__annotations__) == {"multiple_outputs"}
    sensor = keywords(BaseSensorOperator.__init__)
    assert sensor <= set(SensorArguments.__annotations__)
    for operator, typed in ((JobOperator, JobArguments), (BatchOperator, BatchArguments)):
        own = set(typed.__annotations__) - set(TaskArguments.__annotations__)
        assert own == keywords(operator.__init__)
