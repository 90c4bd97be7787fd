"""Which errors are tried again, and when: the policy alone, in a serialised Dag, and through Airflow's task runner."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from airflow.providers.common.compat.sdk import BaseOperator
from airflow.sdk import DAG

from airflow_provider_faceswap import exceptions, retries
from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    BatchFailedError,
    BudgetBusyError,
    FaceSwapError,
    InsufficientBalanceError,
    InvalidRequestError,
    JobCanceledError,
    JobFailedError,
    JobTimeoutError,
    MalformedResponseError,
    NotAnImageError,
    RateLimitError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.retries import FaceSwapRetryPolicy, retry_arguments
from tests.conftest import needs

POLICIES = retries.RetryDecision is not None
with_policies = needs("retry policies", at="airflow.sdk", has="RetryPolicy")

#: What the tree of errors says another try can help with; every other class is given up.
TRIED_AGAIN = {
    FaceSwapError,
    VendorError,
    RateLimitError,
    VendorUnavailableError,
    MalformedResponseError,
    JobFailedError,
    JobCanceledError,
    JobTimeoutError,
    BatchFailedError,
    BudgetBusyError,
    ArchiveError,
    NotAnImageError,
}
ERRORS = [getattr(exceptions, name) for name in exceptions.__all__]


@pytest.fixture
def no_spread(monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.retries.random.uniform", lambda low, _: low)


def decided(error, *, try_number=1, **policy):
    return FaceSwapRetryPolicy(**policy).evaluate(error, try_number, 5)


def seconds(decision):
    return decision.retry_delay.total_seconds()


@with_policies
@pytest.mark.parametrize("error", ERRORS)
def test_every_class_of_the_tree_is_decided_on(error):
    action = decided(error("it went wrong")).action.value
    assert action == ("retry" if error in TRIED_AGAIN else "fail")


@with_policies
def test_the_errors_of_others_are_left_to_airflow():
    assert decided(ConnectionError("not ours")).action.value == "default"


@with_policies
@pytest.mark.parametrize(("asked", "waited"), [(42.0, 42.0), (0.0, 0.0), (86400.0, 3600.0)])
def test_the_vendor_says_when_after_too_many_requests(asked, waited):
    down = VendorUnavailableError("down for an hour")
    down.retry_after = asked
    assert seconds(decided(down, try_number=4)) == waited
    assert seconds(decided(RateLimitError("slow down", retry_after=asked), try_number=4)) == waited


@with_policies
def test_the_delay_doubles_up_to_the_longest(no_spread):
    error = VendorUnavailableError("down")
    told = [seconds(decided(error, try_number=number, first=10, longest=60)) for number in (1, 2, 3, 4, 99)]
    assert told == [10, 20, 40, 60, 60]


@with_policies
def test_too_many_requests_without_a_word_of_when_is_like_any_other(no_spread):
    assert seconds(decided(RateLimitError("slow down"), try_number=2, first=10)) == 20


@with_policies
def test_many_tasks_do_not_come_back_as_one():
    delays = {seconds(decided(VendorUnavailableError("down"), first=10)) for _ in range(50)}
    assert len(delays) > 1
    assert all(10 <= delay <= 12.5 for delay in delays)


@with_policies
def test_the_reason_that_airflow_stores_holds_nothing_of_the_message():
    for error in ERRORS:
        assert "signature" not in str(decided(error("https://a.test/?signature=x")).reason)


@with_policies
@pytest.mark.parametrize("wrong", [{"first": 0}, {"first": -1}, {"first": 20, "longest": 10}])
def test_a_delay_that_is_none_is_said_when_the_dag_is_parsed(wrong):
    with pytest.raises(InvalidRequestError, match="first and longest"):
        FaceSwapRetryPolicy(**wrong)


@with_policies
def test_it_can_be_written_down_and_made_again():
    policy = FaceSwapRetryPolicy(first=1, longest=2)
    assert FaceSwapRetryPolicy.deserialize(json.loads(json.dumps(policy.serialize()))) == policy


# -- in a Dag --------------------------------------------------------------------------------------------


def swap(**more):
    return GPTunnelFaceSwapOperator(
        task_id="swap",
        target_image="https://pictures.test/target.png",
        face_image="https://pictures.test/face.png",
        deferrable=False,
        **more,
    )


def test_the_arguments_fit_every_operator_alone_mapped_and_as_defaults():
    with DAG("a_dag", schedule=None, default_args=retry_arguments(3)):
        alone = BaseOperator(task_id="alone")
    mapped = GPTunnelFaceSwapOperator.partial(task_id="mapped", face_image="x", **retry_arguments(3)).expand(
        target_image=["a", "b"]
    )
    assert alone.retries == mapped.retries == 3
    assert alone.retry_delay == timedelta(seconds=15)
    if POLICIES:
        assert alone.retry_policy == mapped.partial_kwargs["retry_policy"] == FaceSwapRetryPolicy()


@needs("serialisation under this name", at="airflow.serialization.serialized_objects", has="DagSerialization")
@pytest.mark.filterwarnings("default")
def test_a_dag_with_it_survives_serialisation_and_looks_the_same_each_time():
    from airflow.serialization.serialized_objects import DagSerialization

    def serialized():
        with DAG("a_dag", schedule=None, default_args=retry_arguments()) as dag:
            swap()
            GPTunnelFaceSwapOperator.partial(task_id="mapped", face_image="x", **retry_arguments(2)).expand(
                target_image=["a", "b"]
            )
        return DagSerialization.to_dict(dag)

    once, again = serialized(), serialized()
    assert json.dumps(once, default=str) == json.dumps(again, default=str)
    dag = DagSerialization.from_dict(json.loads(json.dumps(once)))
    assert dag.get_task("swap").retries == 5
    assert dag.get_task("swap").retry_delay == timedelta(seconds=15)
    if POLICIES:
        assert dag.get_task("swap").has_retry_policy


WITHOUT = """
import sys
sys.modules["airflow.sdk.definitions.retry_policy"] = None
from airflow_provider_faceswap.retries import FaceSwapRetryPolicy, retry_arguments
assert "retry_policy" not in retry_arguments()
from airflow.providers.common.compat.sdk import BaseOperator
task = BaseOperator(task_id="a", **retry_arguments(4))
assert task.retries == 4 and task.max_retry_delay.total_seconds() == 900
try:
    FaceSwapRetryPolicy()
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.program
def test_an_airflow_without_policies_imports_it_falls_back_and_says_what_is_missing():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT], capture_output=True, text=True, check=True
    )
    assert "AirflowOptionalProviderFeatureException FaceSwapRetryPolicy needs Airflow 3.3" in done.stdout
    assert "retry_arguments()" in done.stdout


# -- K9: an attempt that is put off ----------------------------------------------------------------------

CAN_RESCHEDULE = POLICIES and hasattr(retries.RetryDecision, "reschedule")


@with_policies
@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (RateLimitError("slow down", retry_after=42), 42),
        (VendorUnavailableError("down", retry_after=7), 7),
        (RateLimitError("slow down", retry_after=1e6), 3600),
        (BudgetBusyError("spent for today", retry_after=50_000), 50_000),
    ],
)
def test_a_passing_error_uses_no_retry_if_asked_and_if_airflow_can(error, waits):
    decision = decided(error, max_reschedules=3)
    assert decision.action.value == ("reschedule" if CAN_RESCHEDULE else "retry")
    assert decision.retry_delay == timedelta(seconds=waits)
    assert not CAN_RESCHEDULE or decision.max_reschedules == 3


@with_policies
def test_nothing_else_is_put_off():
    assert decided(JobFailedError("no"), max_reschedules=3).action.value == "retry"
    assert decided(RateLimitError("slow down")).action.value == "retry"
    assert decided(InsufficientBalanceError("no"), max_reschedules=3).action.value == "fail"


@with_policies
def test_a_policy_that_puts_off_nothing_is_stored_as_before():
    assert FaceSwapRetryPolicy().serialize() == {"first": 15.0, "longest": 900.0}
    policy = FaceSwapRetryPolicy(max_reschedules=3)
    assert FaceSwapRetryPolicy.deserialize(policy.serialize()) == policy
    with pytest.raises(InvalidRequestError, match="max_reschedules"):
        FaceSwapRetryPolicy(max_reschedules=-1)


# -- through Airflow's task runner -----------------------------------------------------------------------


class ExecutionAPI:
    """As much of Airflow's execution API as one try of one task asks for."""

    def __init__(self, tries):
        from airflow.sdk.api import client

        #: The library of Airflow's own client: httpx2 since Airflow 3.4.
        self.wire = getattr(client, "httpx2", httpx)
        self.tries = tries
        self.store = {}
        self.states = []

    def __call__(self, request):
        path, now = request.url.path.strip("/"), datetime.now(UTC).isoformat()
        if path.endswith("/run"):
            run = {
                "dag_id": "a_dag",
                "run_id": "a_run",
                "logical_date": now,
                "run_after": now,
                "start_date": now,
            }
            run |= {"run_type": "manual", "state": "running", "conf": {}, "consumed_asset_events": []}
            run |= dict.fromkeys(("data_interval_start", "data_interval_end", "end_date", "partition_key"))
            told = {
                "dag_run": {**run, "clear_number": 0},
                "task_reschedule_count": 0,
                "max_tries": self.tries,
            }
            return self.wire.Response(
                200, json={**told, "should_retry": True, "variables": [], "connections": []}
            )
        if path.startswith("store/ti/") and request.method == "GET":
            key = path.rpartition("/")[2]
            gone = {"detail": {"reason": "not_found", "message": "no such key"}}
            return (
                self.wire.Response(200, json={"value": self.store[key]})
                if key in self.store
                else self.wire.Response(404, json=gone)
            )
        if path.startswith("store/ti/"):
            self.store[path.rpartition("/")[2]] = json.loads(request.content)["value"]
        elif path.endswith("/state"):
            self.states.append(json.loads(request.content))
        return self.wire.Response(204)

    def run(self, task):
        from airflow.sdk.api.client import Client
        from airflow.sdk.api.datamodels._generated import TaskInstance
        from airflow.sdk.execution_time.supervisor import run_task_in_process

        ids = {"id": uuid.uuid4(), "dag_version_id": uuid.uuid4()}
        instance = TaskInstance(
            task_id=task.task_id, dag_id="a_dag", run_id="a_run", try_number=1, map_index=-1, **ids
        )
        client = Client(base_url=None, token="", dry_run=True, transport=self.wire.MockTransport(self))
        run_task_in_process(ti=instance, task=task, client=client)
        return self.states[-1]


REFUSED = {"error": {"message": "no", "type": "x"}}


def run(vendor, *answers):
    vendor.will(*answers)
    with DAG("a_dag", schedule=None):
        return ExecutionAPI(tries=5).run(swap(**retry_arguments(5)))


@with_policies
@pytest.mark.filterwarnings("default")
class TestAirflow:
    def test_waits_as_long_as_the_vendor_asked(self, vendor, clock):
        busy = httpx.Response(429, json=REFUSED, headers={"retry-after": "42"})
        state = run(vendor, *[busy] * 3)
        assert state["state"] == "up_for_retry"
        assert state["retry_delay_seconds"] == 42
        assert state["retry_reason"] == "RateLimitError: the vendor asked to wait 42 s"

    def test_waits_a_little_where_nobody_said_how_long(self, vendor, clock):
        state = run(vendor, *[httpx.Response(503, json=REFUSED)] * 3)
        assert state["state"] == "up_for_retry"
        assert 15 <= state["retry_delay_seconds"] <= 19

    def test_gives_up_at_once_where_no_try_can_help(self, vendor, clock):
        assert run(vendor, httpx.Response(402, json=REFUSED))["state"] == "failed"

    def test_gives_up_a_job_that_the_vendor_no_longer_knows(self, vendor, answer, clock):
        assert run(vendor, answer("idle"), httpx.Response(404, json=REFUSED))["state"] == "failed"

    def test_gives_up_where_a_job_may_have_been_bought(self, vendor, clock):
        assert run(vendor, httpx.ReadTimeout("no answer"))["state"] == "failed"
