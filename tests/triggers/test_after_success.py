"""K2: whether a success may end in the triggerer, by what the task wants after it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG, Asset, BaseOperator, BaseOperatorLink, task, task_group
from airflow.sdk.bases.xcom import BaseXCom

from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator, GPTunnelImageOperator
from airflow_provider_faceswap.triggers import _after_success
from airflow_provider_faceswap.triggers import _airflow_internals as internals
from airflow_provider_faceswap.triggers._after_success import stored_in_triggerer
from airflow_provider_faceswap.triggers.job import JobTrigger
from tests.conftest import needs

PICTURES = {"target_image": "https://a.test/target.png", "face_image": "https://a.test/face.png"}
WORKER = None
PLAIN = {"multiple_outputs": True}


def swap(a_class=GPTunnelFaceSwapOperator, **more):
    return a_class(task_id="swap", **PICTURES, **more)


def called(*_):
    """A callback."""


@pytest.fixture(autouse=True)
def no_listener(monkeypatch):
    """Some environment may have a plugin that listens."""
    monkeypatch.setattr(
        "airflow_provider_faceswap.triggers._after_success.has_success_listener", lambda: False
    )


# -- arguments ----------------------------------------------------------------------------------------

#: Each argument of a task that may matter after its success, and what becomes of it.
WANTED = {
    "nothing": ({}, PLAIN),
    "one XCom only": ({"multiple_outputs": False}, {}),
    "no XCom": ({"do_xcom_push": False}, WORKER),
    "post_execute": ({"post_execute": called}, WORKER),
    "on_success_callback": ({"on_success_callback": called}, WORKER),
    "several on_success_callbacks": ({"on_success_callback": [called, called]}, WORKER),
    "outlets": ({"outlets": [Asset("a")]}, WORKER),
    "inlets": ({"inlets": [Asset("a")]}, PLAIN),
    "pre_execute": ({"pre_execute": called}, PLAIN),
    "on_execute_callback": ({"on_execute_callback": called}, PLAIN),
    "on_failure_callback": ({"on_failure_callback": called}, PLAIN),
    "on_retry_callback": ({"on_retry_callback": [called]}, PLAIN),
    "on_skipped_callback": ({"on_skipped_callback": called}, PLAIN),
    "retries": ({"retries": 5, "max_retry_delay": 60.0}, PLAIN),
    "a pool": ({"pool": "paid", "pool_slots": 2, "queue": "gpu", "priority_weight": 3}, PLAIN),
    "a description": ({"doc_md": "# Swap", "task_display_name": "A swap", "owner": "anna"}, PLAIN),
    "params": ({"params": {"style": "comic"}}, PLAIN),
    "a pod of its own": ({"executor_config": {"pod_override": "..."}, "run_as_user": "anna"}, PLAIN),
    "limits": ({"max_active_tis_per_dag": 3, "max_active_tis_per_dagrun": 2}, PLAIN),
}


@pytest.mark.parametrize("wanted", WANTED)
def test_each_argument_of_a_task_has_its_place(wanted):
    more, stored = WANTED[wanted]
    assert stored_in_triggerer(swap(**more)) == stored


def test_what_a_dag_sets_for_all_tasks_counts_too():
    with DAG("a_dag", schedule=None, default_args={"on_success_callback": called}):
        noticed = swap()
    with DAG("a_dag", schedule=None, default_args={"multiple_outputs": False, "retries": 3}):
        plain = swap()
    assert stored_in_triggerer(noticed) is WORKER
    assert stored_in_triggerer(plain) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("on_success_callback", [called]),
        ("outlets", [Asset("a")]),
        ("post_execute", called),
        ("execute_complete", called),
        ("_settle", called),
        ("operator_extra_links", (object(),)),
        ("overwrite_rtif_after_execution", True),
    ],
)
def test_what_a_cluster_policy_sets_later_counts_too(name, value):
    operator = swap()
    object.__setattr__(operator, name, value)
    assert stored_in_triggerer(operator) is WORKER


def test_an_argument_that_only_a_newer_airflow_has_resumes_on_a_worker(monkeypatch):
    monkeypatch.setattr(BaseOperator, "on_archived_callback", (), raising=False)
    plain, wanting = swap(), swap()
    object.__setattr__(plain, "on_archived_callback", ())
    object.__setattr__(wanting, "on_archived_callback", (called,))
    assert stored_in_triggerer(plain) == PLAIN
    assert stored_in_triggerer(wanting) is WORKER


def test_a_task_as_it_runs_is_plain():
    with DAG("a_dag", schedule=None):
        operator = swap().prepare_for_execution()
    assert operator.log
    assert stored_in_triggerer(operator) == PLAIN


# -- classes ------------------------------------------------------------------------------------------


class Coloured(GPTunnelFaceSwapOperator):
    """A house style: other defaults and a question of its own."""

    ui_color = "#ffffff"
    default_timeout = 1200.0

    def __init__(self, *, retries=4, **more):
        super().__init__(retries=retries, **more)

    def house_rule(self):
        return "no cats"

    def pre_execute(self, context):
        """Runs before the job."""


class PostExecute(GPTunnelFaceSwapOperator):
    def post_execute(self, context, result=None):
        """Runs after the job."""


class ExecuteComplete(GPTunnelFaceSwapOperator):
    def execute_complete(self, context, event=None, submission=None):
        return {**super().execute_complete(context, event, submission), "house": "blue"}


class Execute(GPTunnelFaceSwapOperator):
    def execute(self, context):
        return super().execute(context)


class Resume(GPTunnelFaceSwapOperator):
    def resume_execution(self, next_method, next_kwargs, context):
        return super().resume_execution(next_method, next_kwargs, context)


class Settles(GPTunnelFaceSwapOperator):
    def _settle(self, *arguments):
        return super()._settle(*arguments)


class Mixin:
    """It knows nothing of operators."""

    def post_execute(self, context, result=None):
        """Runs after the job."""


class Mixed(Mixin, GPTunnelFaceSwapOperator):
    pass


class Grandchild(PostExecute):
    pass


class HouseLink(BaseOperatorLink):
    name = "House"

    def get_link(self, operator, *, ti_key):
        return "https://house.test"


class Linked(GPTunnelFaceSwapOperator):
    operator_extra_links = (HouseLink(),)


class Pushing(GPTunnelFaceSwapOperator):
    overwrite_rtif_after_execution = True


class OwnHook(GPTunnelHook):
    conn_type = ""


class Proxied(GPTunnelFaceSwapOperator):
    hook_class = OwnHook


@pytest.mark.parametrize(
    "a_class",
    [PostExecute, ExecuteComplete, Execute, Resume, Settles, Mixed, Grandchild, Linked, Pushing, Proxied],
)
def test_a_subclass_that_overrides_what_runs_afterwards_resumes_on_a_worker(a_class):
    assert stored_in_triggerer(swap(a_class)) is WORKER


def test_a_subclass_that_overrides_nothing_of_it_ends_in_the_triggerer():
    assert stored_in_triggerer(swap(Coloured)) == PLAIN


def test_the_operators_of_this_package_end_in_the_triggerer():
    image = GPTunnelImageOperator(task_id="image", model="gpt-image-1-low", prompt="A cat")
    assert stored_in_triggerer(image) == PLAIN
    assert stored_in_triggerer(swap(FaceSwapOperator, conn_ids=["piapi_default"])) == PLAIN


# -- what Airflow is set to ---------------------------------------------------------------------------


def test_another_xcom_backend_resumes_on_a_worker(monkeypatch):
    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom", type("Elsewhere", (BaseXCom,), {}))
    assert stored_in_triggerer(swap()) is WORKER


def test_a_listener_resumes_on_a_worker(monkeypatch):
    monkeypatch.setattr(
        "airflow_provider_faceswap.triggers._after_success.has_success_listener", lambda: True
    )
    assert stored_in_triggerer(swap()) is WORKER


def test_a_state_store_that_is_cleared_on_success_resumes_on_a_worker(monkeypatch):
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
    assert stored_in_triggerer(swap()) is WORKER


# -- the name of a mapped task ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "stored"),
    [
        ("{{ task.target_image }}", PLAIN),
        ("{{ task.target_image.split('/')[-1] | upper }} {{ params.style }}", PLAIN),
        ("{{ ti.map_index }} of {{ run_id }}", PLAIN),
        ("swap", PLAIN),
        ("{{ task.outcome.job_id }}", WORKER),
        ("{{ ti.xcom_pull(task_ids='swap')['job_id'] }}", WORKER),
        ("{{ set_by_a_hook }}", WORKER),
        ("{{ task }}", WORKER),
        ("{{ task['outcome'] }}", WORKER),
        ("{{ broken", WORKER),
    ],
)
def test_a_name_that_the_result_may_change_is_rendered_by_a_worker(monkeypatch, template, stored):
    monkeypatch.setattr(_after_success, "stores_map_index_early", lambda: True)
    assert stored_in_triggerer(swap(map_index_template=template)) == stored


def test_where_airflow_stores_a_name_with_the_end_of_a_task_a_worker_ends_it(monkeypatch):
    monkeypatch.setattr(_after_success, "stores_map_index_early", lambda: False)
    assert stored_in_triggerer(swap(map_index_template="{{ ti.map_index }}")) is WORKER
    assert stored_in_triggerer(swap()) == PLAIN


# -- what is stored -----------------------------------------------------------------------------------


@task
def show(value):
    return value


def test_a_downstream_task_that_is_mapped_over_it_needs_its_length():
    with DAG("a_dag", schedule=None):
        mapped_over, passed_on, used_by_a_mapped = (
            GPTunnelFaceSwapOperator(task_id=name, **PICTURES) for name in ("one", "two", "three")
        )
        show.expand(value=mapped_over.output)
        show(passed_on.output)
        show.partial(value=used_by_a_mapped.output).expand_kwargs([{}])
    assert stored_in_triggerer(mapped_over) == {**PLAIN, "mapped_length": True}
    assert stored_in_triggerer(passed_on) == PLAIN
    assert stored_in_triggerer(used_by_a_mapped) == PLAIN


def test_a_downstream_group_that_is_mapped_over_it_needs_its_length():
    @task_group
    def showing(value):
        show(value)

    with DAG("a_dag", schedule=None):
        operator = swap()
        showing.expand(value=operator.output)
    assert stored_in_triggerer(operator) == {**PLAIN, "mapped_length": True}


def test_a_mapped_task_needs_no_length():
    with DAG("a_dag", schedule=None):
        mapped = GPTunnelFaceSwapOperator.partial(task_id="swap", face_image=PICTURES["face_image"]).expand(
            target_image=["https://a.test/1.png", "https://a.test/2.png"]
        )
        show.expand(value=mapped.output)
    operator = mapped.unmap({"target_image": "https://a.test/1.png"})
    operator.dag = mapped.dag
    assert stored_in_triggerer(operator) == PLAIN


@needs("results of Dags", at="airflow.sdk", has="DAG.add_result")
def test_a_result_of_the_dag_is_stored_as_one():
    with DAG("a_dag", schedule=None) as dag:
        operator = swap()
        dag.add_result(operator.output)
    assert stored_in_triggerer(operator) == {**PLAIN, "dag_result": True}


@pytest.mark.parametrize("lacking", ["mapped_length", "dag_result"])
def test_an_airflow_that_cannot_store_it_in_place_resumes_on_a_worker(monkeypatch, lacking):
    from airflow.sdk.execution_time.comms import SetXCom

    fields = {name: field for name, field in SetXCom.model_fields.items() if name != lacking}
    monkeypatch.setattr("airflow.sdk.execution_time.comms.SetXCom", SimpleNamespace(model_fields=fields))
    assert not internals.stores_in_place({lacking: True})
    assert internals.stores_in_place({"multiple_outputs": True})


class Supervisor:
    """The triggerer's channel to Airflow."""

    def __init__(self):
        self.stored = []

    async def asend(self, message):
        self.stored.append(message)


@needs("results of Dags", at="airflow.sdk", has="DAG.add_result")
def test_everything_wanted_is_stored_as_a_worker_stores_it(monkeypatch):
    supervisor = Supervisor()
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", supervisor, raising=False)
    instance = SimpleNamespace(dag_id="a_dag", run_id="a_run", task_id="swap", map_index=-1)
    result = {"url": "https://a.test/1.png", "cost": None}
    stored = {"multiple_outputs": True, "mapped_length": True, "dag_result": True}
    assert asyncio.run(internals.end_with_success(instance, result, {"_link_X": "https://l.test"}, stored))
    assert [(one.key, one.value, one.mapped_length, one.dag_result) for one in supervisor.stored] == [
        ("_link_X", "https://l.test", None, False),
        ("url", "https://a.test/1.png", None, True),
        ("cost", None, None, True),
        ("return_value", result, 2, True),
    ]


def test_a_row_keeps_what_is_stored(clock):
    submission = {
        "vendor": "gptunnel",
        "kind": "face_swap",
        "job_id": "1",
        "conn_id": "gptunnel_default",
        "submitted_at": "2027-01-15T08:00:00Z",
        "deadline": "2027-01-15T08:10:00Z",
    }
    stored = {"multiple_outputs": True, "mapped_length": True}
    path, kwargs = JobTrigger(submission=submission, end_in_place=True, stored=stored).serialize()
    assert kwargs["stored"] == stored
    assert JobTrigger(**kwargs).serialize() == (path, kwargs)
    assert "stored" not in JobTrigger(submission=submission, end_in_place=True).serialize()[1]
