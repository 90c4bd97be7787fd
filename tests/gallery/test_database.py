"""What the gallery reads from Airflow's database, with Airflow's own tables in memory."""

from __future__ import annotations

import gzip
import json
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from sqlalchemy import Table, create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from airflow_provider_faceswap.gallery import FAILURE_KEY, _airflow_database
from airflow_provider_faceswap.gallery._airflow_database import last_runs, results_of, single_values
from airflow_provider_faceswap.gallery.results import Scope

pytestmark = pytest.mark.skipif(
    not isinstance(XComModel.__table__, Table),
    reason="Airflow 3.4 joins the values of all attempts: tests/browser looks at the gallery there",
)

RESULT = {"uri": "s3://b/a.png", "manifest_uri": "s3://b/a.png.json", "sha256": "0"}


class Tables:
    def __init__(self, engine) -> None:
        self.engine = engine

    def run(self, number, dag_id="a_dag", run_id=None):
        row = {
            "id": number,
            "dag_id": dag_id,
            "run_id": run_id or f"run{number}",
            "run_type": "manual",
            "log_template_id": None,
            "run_after": datetime(2026, 1, number, tzinfo=UTC),
        }
        with self.engine.begin() as connection:
            connection.execute(DagRun.__table__.insert().values(**row))

    def push(self, run, task_id, value, key="return_value", map_index=-1, dag_id="a_dag"):
        row = {"dag_run_id": run, "task_id": task_id, "map_index": map_index, "key": key, "value": value}
        with self.engine.begin() as connection:
            connection.execute(XComModel.__table__.insert().values(**row, dag_id=dag_id, run_id=f"run{run}"))


@pytest.fixture
def tables(monkeypatch):
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    for table in (DagRun.__table__, XComModel.__table__):
        table.create(engine)

    @contextmanager
    def create_session(**_):
        with Session(engine) as session:
            yield session

    monkeypatch.setattr(_airflow_database, "create_session", create_session)
    yield Tables(engine)
    engine.dispose()


def told(scope=("a_dag", "run1")):
    return [(row.task_id, row.map_index, row.key, row.value) for row in results_of(Scope(*scope))]


def test_it_reads_results_and_failures_of_one_run_in_the_order_of_the_tasks(tables):
    tables.push(1, "b", RESULT, map_index=1)
    tables.push(1, "b", [RESULT], map_index=0)
    tables.push(1, "a", {"error": "x"}, key=FAILURE_KEY)
    tables.push(1, "c", {"vendor": "piapi", "url": "https://x.test"})
    tables.push(1, "d", RESULT, key="other")
    tables.push(2, "b", RESULT)
    tables.push(3, "b", RESULT, dag_id="another_dag")
    failure = ("a", -1, FAILURE_KEY, {"error": "x"})
    results = [("b", 0, "return_value", [RESULT]), ("b", 1, "return_value", RESULT)]
    assert told() == [failure, *results]
    assert told(("a_dag", "run1", "b")) == results
    assert told(("a_dag", "run1", "b", 1)) == results[1:]


def test_json_inside_json_is_read_too(tables):
    tables.push(1, "a", json.dumps(RESULT))
    assert told() == [("a", -1, "return_value", RESULT)]


def test_the_values_of_one_key(tables):
    for number, value in enumerate(({"amount": 1, "unit": "RUB"}, None)):
        tables.push(1, "swap", value, key="cost", map_index=number)
    tables.push(2, "swap", {"amount": 5, "unit": "RUB"}, key="cost")
    assert single_values("a_dag", "run1", "cost") == [{"amount": 1, "unit": "RUB"}, None]


def test_the_last_runs_are_those_that_left_something(tables):
    for number in (1, 2, 3, 4):
        tables.run(number)
    tables.run(5, dag_id="another_dag")
    tables.push(1, "a", RESULT)
    tables.push(2, "a", {"url": "https://x.test"})
    tables.push(3, "a", {"error": "x"}, key=FAILURE_KEY)
    tables.push(4, "a", RESULT)
    assert [run_id for run_id, _ in last_runs("a_dag", 10)] == ["run4", "run3", "run1"]
    assert [run_id for run_id, _ in last_runs("a_dag", 2)] == ["run4", "run3"]


@pytest.fixture
def stored(monkeypatch, tmp_path):
    """XCom in object storage."""
    backend = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
    monkeypatch.setenv("AIRFLOW__CORE__XCOM_BACKEND", backend)
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", f"file://{tmp_path}/xcom")
    (tmp_path / "xcom" / "a_dag").mkdir(parents=True)
    return tmp_path / "xcom"


def test_a_value_in_object_storage_is_read_from_there(tables, stored):
    path = stored / "a_dag" / "value"
    path.write_text(json.dumps(RESULT))
    tables.push(1, "a", f"file://{path}")
    tables.push(1, "b", RESULT)
    assert told() == [("a", -1, "return_value", RESULT), ("b", -1, "return_value", RESULT)]


def test_failures_and_costs_in_object_storage_are_read_too(tables, stored):
    for name, value in {"failure": {"error": "NoFaceError"}, "cost": {"amount": 1, "unit": "RUB"}}.items():
        (stored / "a_dag" / name).write_text(json.dumps(value))
    tables.push(1, "a", f"file://{stored}/a_dag/failure", key=FAILURE_KEY)
    tables.push(1, "a", f"file://{stored}/a_dag/cost", key="cost")
    tables.push(1, "b", {"amount": 2, "unit": "RUB"}, key="cost")
    assert told() == [("a", -1, FAILURE_KEY, {"error": "NoFaceError"})]
    assert [cost["amount"] for cost in single_values("a_dag", "run1", "cost")] == [1, 2]


def test_a_value_in_object_storage_is_read_once(tables, stored):
    path = stored / "a_dag" / "value"
    path.write_text(json.dumps(RESULT))
    tables.push(1, "a", f"file://{path}")
    assert told() == [("a", -1, "return_value", RESULT)]
    path.unlink()
    assert told() == [("a", -1, "return_value", RESULT)]


def test_a_compressed_value_is_read_too(tables, stored):
    path = stored / "a_dag" / "value.gz"
    path.write_bytes(gzip.compress(json.dumps(RESULT).encode()))
    (stored / "a_dag" / "cut.gz").write_bytes(gzip.compress(b"{}")[:-4])
    tables.push(1, "a", f"file://{path}")
    tables.push(1, "b", f"file://{stored}/a_dag/cut.gz")
    assert told() == [("a", -1, "return_value", RESULT), ("b", -1, "return_value", None)]


@pytest.mark.parametrize(
    "planted", ["{outside}", "{base}/../outside.json", "{base}/a_dag/missing", "x {base}/a_dag/value"]
)
def test_a_planted_path_is_not_read(tables, stored, planted):
    outside = stored.parent / "outside.json"
    outside.write_text(json.dumps(RESULT))
    (stored / "a_dag" / "value").write_text(json.dumps(RESULT))
    tables.push(1, "a", planted.format(outside=f"file://{outside}", base=f"file://{stored}"))
    assert [row for row in told() if row[3]] == []
