"""Jobs, seconds, cost and errors, as they arrive at a StatsD server: once for each job, whoever saw it end."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from types import SimpleNamespace

import httpx
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    BatchFailedError,
    InsufficientBalanceError,
    JobFailedError,
    JobTimeoutError,
    RateLimitError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.sensors.job import JobSensor
from airflow_provider_faceswap.telemetry import metrics
from tests.conftest import FACE, PICTURE, needs
from tests.integration.conftest import HastyClock

#: There, ``tests/integration/test_metrics_arrive.py`` sees a metric arrive.
pytestmark = needs("metrics of a worker's own", at="airflow.sdk.observability.stats")

JOB = "65819c485337280001a609e7"
RUB = {"usage": {"total_cost": 12.5}}
DONE = {"percent": 100, "result": "https://a.test/r.png"}
SWAPS = "vendor=gptunnel,kind=face_swap"


@pytest.fixture
def statsd(monkeypatch):
    """A StatsD server, and Airflow set up for it by its settings, as its workers and its triggerer do it."""
    from airflow._shared.observability.metrics.base_stats_logger import NoStatsLogger
    from airflow.observability import stats as of_the_core
    from airflow.observability.metrics import stats_utils as utils_of_the_core
    from airflow.sdk.observability import stats as of_the_sdk
    from airflow.sdk.observability.metrics import stats_utils as utils_of_the_sdk

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        settings = {"ON": "True", "HOST": "127.0.0.1", "PORT": str(server.getsockname()[1])}
        for name, value in {**settings, "INFLUXDB_ENABLED": "True"}.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{name}", value)

        loggers = []

        def remembered(factory):
            def make():
                loggers.append(factory())
                return loggers[-1]

            return make

        def set_up(*sides):
            """Start Airflow's metrics in a worker, in a triggerer, or in both."""
            for stats, utils in ((of_the_sdk, utils_of_the_sdk), (of_the_core, utils_of_the_core)):
                side = "worker" if stats is of_the_sdk else "triggerer"
                factory = remembered(utils.get_stats_factory()) if side in sides else NoStatsLogger
                stats.initialize(factory=factory, export_legacy_names=False)

        def lines():
            """What has arrived since the last time; on loopback a line is there once it is sent."""
            told = []
            while True:
                try:
                    told.append(server.recv(4096).decode())
                except BlockingIOError:
                    return [re.sub(r":[\d.]+\|ms", ":MS|ms", line.removeprefix("airflow.")) for line in told]

        set_up("worker", "triggerer")
        yield SimpleNamespace(lines=lines, set_up=set_up)
        set_up()
        for logger in loggers:
            logger.statsd.close()


def ended(cost=":12.5|c", tags=SWAPS, unit="RUB"):
    """The lines of one job."""
    lines = [f"faceswap.jobs,{tags}:1|c", f"faceswap.job_seconds,{tags}:MS|ms"]
    return [*lines, f"faceswap.cost,{tags},unit={unit}{cost}"] if cost else lines


def error(name, tags=SWAPS):
    return f"faceswap.errors,{tags},error={name}:1|c"


def swap(**more):
    return GPTunnelFaceSwapOperator(
        **{"task_id": "swap", "deferrable": False, "target_image": PICTURE, "face_image": FACE, **more}
    )


@pytest.fixture(autouse=True)
def tries(context, monkeypatch):
    """What a test does to a task instance is gone after it."""
    monkeypatch.setattr(type(context["ti"]), "max_tries", 0)


def clear(context):
    context["ti"].max_tries += 1


class DiedError(BaseException):
    """The worker is gone."""


@pytest.fixture
def dies(clock, monkeypatch):
    """Leave a running job behind, as a try does whose worker was lost."""

    def leave(operator, context):
        def die(_):
            raise DiedError

        with monkeypatch.context() as patch:
            patch.setattr(clock, "sleep", die)
            with pytest.raises(DiedError):
                operator.execute(context)

    return leave


# -- in a worker -----------------------------------------------------------------------------------------


def test_a_job_is_counted_with_its_seconds_and_its_cost(vendor, answer, clock, context, statsd):
    vendor.will(answer("idle", **RUB), answer("done", **DONE))
    swap().execute(context)
    assert statsd.lines() == ended()


def test_the_seconds_are_the_jobs_own(vendor, answer, clock, context, monkeypatch):
    told = []
    recorder = SimpleNamespace(incr=lambda *_, **__: None, timing=lambda name, taken, **_: told.append(taken))
    monkeypatch.setattr(metrics, "_stats", lambda **_: recorder)
    vendor.will(answer("idle"), answer("done", **DONE))
    begun = clock.now()
    swap().execute(context)
    assert [taken.total_seconds() for taken in told] == [pytest.approx(clock.now() - begun)]
    assert clock.now() > begun


def test_points_are_counted_in_their_own_unit(vendor, clock, context, statsd):
    task = {"task_id": "t", "status": "completed", "output": {"image_url": "https://a.test/r.png"}}
    usage = {"usage": {"type": "point", "frozen": 0, "consume": 100000}}
    vendor.will({"code": 200, "data": {**task, "meta": usage}})
    PiAPIFaceSwapOperator(task_id="swap", target_image=PICTURE, face_image=FACE).execute(context)
    assert statsd.lines() == ended(":100000.0|c", "vendor=piapi,kind=face_swap", "point")


def test_a_failed_job_is_a_job_and_an_error(vendor, answer, clock, context, statsd):
    vendor.will(answer("idle"), answer("failed", error="broke"))
    with pytest.raises(JobFailedError):
        swap().execute(context)
    assert statsd.lines() == [*ended(cost=None), error("JobFailedError")]


def test_a_purchase_that_was_refused_is_an_error_and_no_job(vendor, clock, context, statsd):
    vendor.will(httpx.Response(402, json={"error": {"message": "no money", "type": "x"}}))
    with pytest.raises(InsufficientBalanceError):
        swap().execute(context)
    assert statsd.lines() == [error("InsufficientBalanceError")]


def test_what_the_sdk_tried_again_by_itself_is_one_error(vendor, clock, context, statsd):
    vendor.will(*[httpx.Response(429, json={"error": {"message": "slow", "type": "x"}})] * 3)
    with pytest.raises(RateLimitError):
        swap().execute(context)
    assert statsd.lines() == [error("RateLimitError")]


def test_points_that_a_failed_task_gives_back_are_no_cost(vendor, clock, context, statsd):
    usage = {"usage": {"type": "point", "frozen": 100000, "consume": 0}}
    vendor.will({"code": 200, "data": {"task_id": "t", "status": "pending", "meta": usage}})
    back = {"usage": {"type": "point", "frozen": 0, "consume": 0}}
    vendor.will({"code": 200, "data": {"task_id": "t", "status": "failed", "meta": back}})
    with pytest.raises(JobFailedError, match="charged 0 point"):
        PiAPIFaceSwapOperator(task_id="swap", target_image=PICTURE, face_image=FACE).execute(context)
    tags = "vendor=piapi,kind=face_swap"
    assert statsd.lines() == [*ended(None, tags), error("JobFailedError", tags)]


def test_the_log_tells_the_cost_and_who_paid_it(vendor, answer, clock, context, dies):
    told = []

    def logged(operator):
        operator.log.info = lambda text, *values: told.append(text % values if values else text)
        return operator

    vendor.will(answer("idle", **RUB), *[answer("done", **DONE)] * 3)
    logged(swap()).execute(context)
    assert told[-1].endswith("s: 12.5 RUB")
    clear(context)
    logged(swap()).execute(context)
    assert told[-1].endswith("s: 12.5 RUB, paid by an earlier attempt")
    logged(swap(resume_job_id=JOB)).execute(context)
    assert told[-1].endswith("s: the vendor did not report its cost")


# -- taken up again --------------------------------------------------------------------------------------


def test_a_job_whose_worker_died_is_counted_by_the_try_that_sees_it_end(
    vendor, answer, clock, context, statsd, dies
):
    vendor.will(answer("idle", **RUB), answer("done", **DONE))
    dies(swap(), context)
    assert statsd.lines() == []
    assert swap().execute(context)["attempt_reused"] is True
    assert statsd.lines() == ended()


def test_a_job_that_outlived_its_deadline_is_an_error_first_and_a_job_once_it_ends(
    vendor, answer, clock, context, statsd
):
    vendor.will(answer("idle", **RUB), *[answer("processing")] * 60)
    with pytest.raises(JobTimeoutError):
        swap(timeout=60).execute(context)
    assert statsd.lines() == [error("JobTimeoutError")]
    vendor.answers.clear()
    vendor.will(answer("done", **DONE))
    swap(timeout=60).execute(context)
    assert statsd.lines() == ended()


def test_a_job_that_was_counted_is_not_counted_again_after_a_clear(vendor, answer, clock, context, statsd):
    vendor.will(answer("idle", **RUB), *[answer("done", **DONE)] * 2)
    swap().execute(context)
    assert statsd.lines() == ended()
    clear(context)
    assert swap().execute(context)["attempt_reused"] is True
    assert statsd.lines() == []


def test_a_job_that_was_cleared_while_it_ran_is_counted_once_it_ends(
    vendor, answer, clock, context, statsd, dies
):
    vendor.will(answer("idle", **RUB), answer("processing"), answer("done", **DONE))
    dies(swap(), context)
    clear(context)
    swap().execute(context)
    assert statsd.lines() == ended()


def test_a_job_that_somebody_else_bought_is_not_counted(vendor, answer, clock, context, statsd):
    vendor.will(*[answer("done", **DONE, **RUB)] * 2)
    swap(resume_job_id=JOB).execute(context)
    sensor = JobSensor(task_id="wait", conn_id="gptunnel_default", job_id=JOB, kind="face_swap")
    assert sensor.poke(context).is_done
    assert statsd.lines() == []


# -- deferred --------------------------------------------------------------------------------------------


class Supervisor:
    """The other side of the trigger's channel to Airflow."""

    async def asend(self, message):
        if type(message).__name__ == "GetTaskStates":
            return SimpleNamespace(task_states={"a_run": {"a_task": "deferred"}})
        return None


@pytest.fixture
def deferred(clock, context, monkeypatch):
    """Run a task until it has deferred, and its trigger as a triggerer does; what its event was."""
    monkeypatch.setattr(
        "airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", Supervisor(), raising=False
    )

    def run(operator):
        with pytest.raises(TaskDeferred) as left:
            operator.execute(context)
        left.value.trigger._task_instance = SimpleNamespace(
            dag_id="a_dag", run_id="a_run", task_id="a_task", map_index=-1
        )

        async def events():
            return [event async for event in left.value.trigger.run()]

        [event] = asyncio.run(events())
        return event, left.value.kwargs

    return run


def test_a_success_in_the_triggerer_is_counted_there_by_the_metrics_of_the_triggerer(
    vendor, answer, statsd, deferred
):
    statsd.set_up("triggerer")
    vendor.will(answer("idle", **RUB), answer("done", **DONE))
    event, _ = deferred(swap(deferrable=True))
    assert type(event).__name__ == "TaskSuccessEvent"
    assert statsd.lines() == ended()


def test_after_a_clear_it_is_not_counted_again_though_no_record_says_that_it_was(
    vendor, answer, context, statsd, deferred
):
    vendor.will(answer("idle", **RUB), *[answer("done", **DONE)] * 3)
    deferred(swap(deferrable=True))
    statsd.lines()
    clear(context)
    swap(deferrable=True).execute(context)
    swap(deferrable=True).execute(context)
    assert statsd.lines() == []


def test_what_resumes_on_a_worker_is_counted_on_the_worker(vendor, answer, context, statsd, deferred):
    statsd.set_up("worker")
    vendor.will(answer("idle", **RUB), answer("failed", error="broke"))
    event, kwargs = deferred(swap(deferrable=True))
    assert statsd.lines() == []
    with pytest.raises(JobFailedError):
        swap(deferrable=True).execute_complete(context, event.payload, **kwargs)
    assert statsd.lines() == [*ended(), error("JobFailedError")]


def test_a_success_that_resumes_on_a_worker_is_counted_once(vendor, answer, context, statsd, deferred):
    vendor.will(answer("idle", **RUB), *[answer("done", **DONE)] * 2)
    event, kwargs = deferred(swap(deferrable=True, on_success_callback=lambda _: None))
    swap(deferrable=True).execute_complete(context, event.payload, **kwargs)
    assert statsd.lines() == ended()


# -- a batch ---------------------------------------------------------------------------------------------


@pytest.fixture
def batch(sandbox, context, tmp_path, monkeypatch, no_waiting_between_tries):
    hasty = HastyClock()
    monkeypatch.setattr(CLOCK, "source", hasty)

    def run(items):
        given = [
            {
                "target_image": f"{sandbox.url}/samples/emil.png",
                "face_image": f"{sandbox.url}/samples/anna.jpg?n={n}",
            }
            for n in range(items)
        ]
        return FaceSwapBatchOperator(
            task_id="batch",
            conn_id="gptunnel_default",
            items=given,
            destination=f"file://{tmp_path}/pictures",
            timeout=86_400,
        ).execute(context)

    return run


def test_each_item_of_a_batch_is_counted_once_over_its_tries(batch, statsd, sandbox):
    fault = {"vendor": "gptunnel", "operation": "create", "times": 1, "skip": 1}
    httpx.post(
        f"{sandbox.url}/sandbox/faults", json={**fault, "fault": {"type": "fail_job", "message": "broke"}}
    ).raise_for_status()
    with pytest.raises(BatchFailedError):
        batch(3)
    told = statsd.lines()
    assert [line for line in told if "jobs" in line] == [f"faceswap.jobs,{SWAPS}:1|c"] * 3
    assert [line for line in told if "cost" in line] == [f"faceswap.cost,{SWAPS},unit=RUB:15.0|c"] * 3
    assert [line for line in told if "errors" in line] == [error("JobFailedError")]
    assert batch(3)["archived"] == 3
    assert sorted(statsd.lines()) == sorted(ended(":15.0|c")), "the one that is bought anew"


def test_each_pause_that_too_many_requests_made_is_an_error(batch, statsd, sandbox):
    fault = {"vendor": "gptunnel", "operation": "create", "times": 6}
    busy = {"type": "status", "status": 429, "retry_after": 0.05}
    httpx.post(f"{sandbox.url}/sandbox/faults", json={**fault, "fault": busy}).raise_for_status()
    assert batch(1)["archived"] == 1
    assert statsd.lines() == [*[error("RateLimitError")] * 2, *ended(":15.0|c")]


def test_an_item_that_was_paid_but_not_kept_is_not_counted_again(batch, statsd, monkeypatch):
    def full(*_):
        raise ArchiveError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "keep", full)
        with pytest.raises(BatchFailedError):
            batch(2)
    assert statsd.lines().count(f"faceswap.jobs,{SWAPS}:1|c") == 2
    assert batch(2)["archived"] == 2
    assert statsd.lines() == []


# -- whatever the backend --------------------------------------------------------------------------------


def test_plain_statsd_has_the_names_without_the_tags(vendor, answer, clock, context, statsd, monkeypatch):
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "False")
    statsd.set_up("worker")
    vendor.will(answer("idle", **RUB), answer("done", **DONE))
    swap().execute(context)
    assert statsd.lines() == ["faceswap.jobs:1|c", "faceswap.job_seconds:MS|ms", "faceswap.cost:12.5|c"]


def test_airflows_lists_of_what_is_told_hold_for_it_too(vendor, answer, clock, context, statsd, monkeypatch):
    monkeypatch.setenv("AIRFLOW__METRICS__METRICS_ALLOW_LIST", "faceswap.cost")
    statsd.set_up("worker")
    vendor.will(answer("idle", **RUB), answer("done", **DONE))
    swap().execute(context)
    assert statsd.lines() == ended()[2:]


def test_a_backend_that_breaks_breaks_no_task_and_shows_nothing(
    vendor, answer, clock, context, monkeypatch, caplog
):
    def breaks(**_):
        raise RuntimeError("no such host: key=abc")

    monkeypatch.setattr(metrics, "_stats", breaks)
    vendor.will(answer("idle", **RUB), answer("done", **DONE))
    with caplog.at_level(logging.WARNING):
        assert swap().execute(context)["job_id"] == JOB
    assert "Metrics could not be reported: RuntimeError" in caplog.text
    assert "key=abc" not in caplog.text


def test_without_any_backend_nothing_is_sent(vendor, answer, clock, context, statsd):
    statsd.set_up()
    vendor.will(answer("idle", **RUB), answer("done", **DONE))
    assert swap().execute(context)["cost"] == {"amount": 12.5, "unit": "RUB"}
    assert statsd.lines() == []
