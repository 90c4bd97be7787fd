"""K9: iterations of a task loop share Dag, run, task and map index; names, records and links tell them apart."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID

import pytest

from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.batch.manifest import manifest_name
from airflow_provider_faceswap.foundation.iterations import iteration_of, region_of
from airflow_provider_faceswap.links import xcom_page
from airflow_provider_faceswap.storage.object_records import ObjectRecords

REGION = UUID("01983f6e-0000-7000-8000-000000000001")
IDS = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}


def instance(**more):
    return SimpleNamespace(**{**IDS, **more})


def mapped_in_loop(index):
    context = {"loop": SimpleNamespace(index=index)}
    ids = {"map_index": 4, "region_id": REGION, "region_index": 4}
    return instance(**ids, get_template_context=lambda: context)


OUTSIDE = [
    instance(),
    instance(map_index=4),
    instance(region_id=None, region_index=None),
    instance(region_id=UUID(int=0), region_index=-1),
    instance(map_index=4, region_id=UUID(int=0), region_index=4),
    instance(map_index=4, region_id=REGION, region_index=4),
    instance(map_index=4, region_id=REGION, region_index=4, get_template_context=dict),
]
IN_A_LOOP = [
    (instance(region_id=REGION, region_index=0), 0),
    (instance(region_id=str(REGION), region_index=2), 2),
    (mapped_in_loop(3), 3),
]


@pytest.mark.parametrize("task_instance", OUTSIDE)
def test_outside_a_loop_every_name_is_as_on_an_airflow_without_loops(task_instance, tmp_path):
    plain = instance(map_index=task_instance.map_index)
    assert iteration_of(task_instance) is None
    assert RunInfo.of(task_instance) == RunInfo.of(plain)
    assert "iteration" not in RunInfo.of(task_instance).model_dump()
    assert manifest_name(RunInfo.of(task_instance)) == manifest_name(RunInfo.of(plain))
    ObjectRecords.of(f"file://{tmp_path}", task_instance).set("job", 1)
    assert ObjectRecords.of(f"file://{tmp_path}", plain).get("job") == 1


@pytest.mark.parametrize(("task_instance", "number"), IN_A_LOOP)
def test_an_iteration_has_its_own_names(task_instance, number, tmp_path):
    assert iteration_of(task_instance) == number
    run = RunInfo.of(task_instance)
    assert run.model_dump()["iteration"] == number
    other = run.model_copy(update={"iteration": number + 1})
    assert len({manifest_name(one) for one in (run, other, run.model_copy(update={"iteration": None}))}) == 3
    ObjectRecords.of(f"file://{tmp_path}", task_instance).set("job", 1)
    [path] = tmp_path.rglob("job.json")
    assert path.parent.name == f"iteration={number}"


def test_another_iteration_is_not_an_earlier_attempt_of_the_same_task():
    first, second = (RunInfo(**IDS, iteration=number) for number in (0, 1))
    assert not first.is_earlier_attempt_of(second.model_copy(update={"try_number": 2}))
    assert first.is_earlier_attempt_of(first.model_copy(update={"try_number": 2}))


def test_a_manifest_of_an_older_version_is_an_earlier_attempt():
    assert RunInfo.model_validate(IDS).is_earlier_attempt_of(RunInfo(**{**IDS, "try_number": 2}))


def test_a_link_opens_the_page_of_its_own_iteration():
    page = xcom_page(instance(region_id=REGION, region_index=2))
    assert page == f"/dags/d/runs/r/tasks/t/xcom?region_id={REGION}&region_index=2"
    assert xcom_page(instance()) == "/dags/d/runs/r/tasks/t/xcom"
    assert region_of(instance()) is None
