"""Every example as a person meets it in Airflow's UI: its form, its description, and the names of its mapped tasks."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from airflow.sdk import DAG

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "example_dags").glob("*.py"))


def dags_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [value for value in vars(module).values() if isinstance(value, DAG)]


DAGS = [dag for path in EXAMPLES for dag in dags_of(path)]
by_id = pytest.mark.parametrize("dag", DAGS, ids=lambda dag: dag.dag_id)


def test_every_example_has_a_dag_of_its_own_id():
    assert len({dag.dag_id for dag in DAGS}) == len(DAGS) >= len(EXAMPLES)


@by_id
def test_its_page_says_what_it_does(dag):
    assert dag.doc_md
    assert dag.doc_md.strip()


@by_id
def test_its_form_has_a_title_and_a_description_for_each_value(dag):
    for name in dag.params:
        schema = dag.params.get_param(name).schema
        assert schema.get("title"), name
        assert dag.params.get_param(name).description, name
        assert schema.get("type"), name


@by_id
def test_its_mapped_tasks_have_names_and_not_numbers(dag):
    for task in dag.tasks:
        mapped = task.is_mapped or task.get_closest_mapped_task_group() is not None
        template = (
            task.partial_kwargs.get("map_index_template") if task.is_mapped else task.map_index_template
        )
        assert not mapped or template, task.task_id
