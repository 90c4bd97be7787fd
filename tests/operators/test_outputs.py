"""F4: a key of a result is an XCom of its own, as ``task.output["url"]`` of TaskFlow expects."""

from __future__ import annotations

from importlib import import_module

import pytest
from airflow.sdk import DAG

from airflow_provider_faceswap.get_provider_info import get_provider_info
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import Step
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from tests.conftest import FakeTaskInstance

PICTURE = "https://a.test/a.png"
#: Enough arguments for any operator.
ANY = {
    "artwork": "cartoon",
    "at_least": 1,
    "conn_id": "gptunnel_default",
    "conn_ids": ["gptunnel_default"],
    "destination": "file:///data",
    "face_image": PICTURE,
    "image": 1,
    "input": {},
    "items": [],
    "job_id": "1",
    "kind": "face_swap",
    "mask": PICTURE,
    "mode": "subtle",
    "model": "gpt-image-1-low",
    "parameters": {},
    "parent_job_id": "1",
    "prompt": "A cat",
    "source": PICTURE,
    "steps": [Step("swap", "gptunnel_default", "face_swap")],
    "target_image": PICTURE,
    "target_video": PICTURE,
    "task_type": "txt2img",
}
CLASSES = {
    name: getattr(module, name)
    for group in ("operators", "sensors")
    for entry in get_provider_info()[group]
    for module in map(import_module, entry["python-modules"])
    for name in dir(module)
    if name.endswith(("Operator", "Sensor"))
    and getattr(module, name).__module__ == module.__name__
    and not getattr(getattr(module, name), "__abstractmethods__", None)
}


def made(a_class, **more):
    """An operator with no more arguments than it needs."""
    given = {}
    while True:
        try:
            return a_class(task_id="a_task", **given, **more)
        except TypeError as error:
            missing = [name for name in ANY if f"'{name}'" in str(error) and name not in given]
            if not missing:
                raise
            given |= {name: ANY[name] for name in missing}


@pytest.mark.parametrize("name", CLASSES)
def test_every_operator_stores_the_keys_of_its_result(name):
    assert made(CLASSES[name]).multiple_outputs is True
    assert made(CLASSES[name], multiple_outputs=False).multiple_outputs is False


def test_every_operator_is_looked_at():
    assert {"GPTunnelInpaintOperator", "FaceSwapOperator", "ArchiveOperator", "JobSensor"} <= set(CLASSES)
    assert {"FaceSwapBatchOperator", "BalanceCheckOperator", "PiAPITaskOperator"} <= set(CLASSES)


def test_a_mapped_operator_stores_them_too():
    with DAG("a_dag", schedule=None):
        mapped = GPTunnelFaceSwapOperator.partial(task_id="swap", face_image=PICTURE).expand(
            target_image=[PICTURE]
        )
    assert mapped.unmap({"target_image": PICTURE}).multiple_outputs is True


class Pushing(FakeTaskInstance):
    def __init__(self):
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


@pytest.fixture
def archive():
    """An archive task whose execution has ended with this outcome, and what it pushed afterwards."""

    def ended(outcome, **more):
        operator = ArchiveOperator(task_id="a_task", source=[], destination="file:///data", **more)
        operator.outcome, instance = outcome, Pushing()
        operator.post_execute({"ti": instance})
        return operator, instance.pushed

    return ended


FILE = dict.fromkeys(("uri", "manifest_uri", "media_type", "bytes", "sha256", "width", "height"), 1)


def test_the_keys_of_several_archived_files_are_lists(archive):
    operator, pushed = archive([FILE, {**FILE, "uri": 2}])
    assert pushed == {**{key: [1, 1] for key in FILE}, "uri": [1, 2]}
    assert operator.multiple_outputs is False, "Airflow takes dicts only"
    assert archive([])[1] == {key: [] for key in FILE}


def test_the_keys_of_one_archived_file_are_left_to_airflow(archive):
    operator, pushed = archive(FILE)
    assert operator.multiple_outputs is True
    assert pushed == {}


@pytest.mark.parametrize("more", [{"do_xcom_push": False}, {"multiple_outputs": False}])
def test_an_archive_without_xcoms_pushes_none(archive, more):
    operator, pushed = archive([FILE], **more)
    assert pushed == {}
    assert operator.multiple_outputs is False
