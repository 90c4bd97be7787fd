"""A task is ended under its running job: who has ended it decides whether the job is cancelled."""

from __future__ import annotations

import signal
import time
from threading import Event
from types import SimpleNamespace

import httpx
import pytest

from airflow_provider_faceswap.exceptions import FaceSwapError, JobCanceledError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator

PICTURES = {
    "target_image": "https://pictures.test/target.jpg",
    "face_image": "https://pictures.test/face.jpg",
}
JOB = "90efd2db-bcfc-413f-a0be-c893850c9d68"
CONFIRMED = {"code": 200, "message": "success"}
ENDED_STATES = ["failed", "skipped", "upstream_failed", "removed"]
GOES_ON = ["running", "restarting", "queued", "scheduled", "deferred", "up_for_retry", "success", None]


def job(status="processing"):
    return {"code": 200, "data": {"task_id": JOB, "status": status}}


class Killed(BaseException):
    """The end of the process: nothing in the package catches this."""


@pytest.fixture
def airflow(monkeypatch):
    """A supervisor that says in which state the task is."""
    told = SimpleNamespace(state="failed", questions=0)

    def send(message):
        told.questions += type(message).__name__ == "GetTaskStates"
        return SimpleNamespace(task_states={"a_run": {"a_task": told.state}} if told.state else {})

    told.send = send
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", told, raising=False)
    return told


@pytest.fixture
def swap(clock):
    """An operator that is killed at its first sleep, and keeps what its log says."""

    def make(operator_class=PiAPIFaceSwapOperator, *, times=1, dies=True, **more):
        operator = operator_class(**{"task_id": "swap", "deferrable": False, **PICTURES, **more})
        operator.told = []
        operator.log.info = lambda text, *args: operator.told.append(text % args if args else text)
        operator.log.warning = operator.log.info
        sleep = clock.sleep

        def killed(seconds):
            clock.sleep = sleep
            for _ in range(times):
                operator.on_kill()
            if dies:
                raise Killed
            sleep(seconds)

        clock.sleep = killed
        return operator

    return make


def cancels(vendor):
    return [request for request in vendor.requests if request.method == "DELETE"]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("state", ENDED_STATES)
def test_an_ended_task_cancels_its_job_once(vendor, context, airflow, swap, state, times):
    airflow.state = state
    vendor.will(job(), CONFIRMED)
    operator = swap(times=times)
    with pytest.raises(Killed):
        operator.execute(context)
    [cancel] = cancels(vendor)
    assert cancel.url.path == f"/api/v1/task/{JOB}"
    assert operator.told[-1] == (
        f"The task was ended ({state}) while piapi job {JOB} was running: the vendor confirmed the cancellation"
    )


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("state", GOES_ON)
def test_the_job_of_a_task_that_nobody_ended_goes_on(vendor, context, airflow, swap, state, times):
    airflow.state = state
    vendor.will(job())
    operator = swap(times=times)
    with pytest.raises(Killed):
        operator.execute(context)
    assert not cancels(vendor)
    assert operator.told[-1] == f"piapi job {JOB} is left running: the task's state is {state or 'unknown'}"


def test_a_task_that_is_ended_later_than_a_shutdown_still_cancels(vendor, context, airflow, swap):
    operator = swap()
    vendor.will(job(), CONFIRMED)
    states = iter(["running", "failed"])
    kill = operator.on_kill

    def shut_down_then_ended():
        for state in states:
            airflow.state = state
            kill()

    operator.on_kill = shut_down_then_ended
    with pytest.raises(Killed):
        operator.execute(context)
    assert len(cancels(vendor)) == 1


def test_a_question_that_airflow_cannot_answer_cancels_nothing(vendor, context, airflow, swap):
    def broken(_):
        raise EOFError

    airflow.send = broken
    vendor.will(job())
    operator = swap()
    with pytest.raises(Killed):
        operator.execute(context)
    assert not cancels(vendor)
    assert "state is unknown" in operator.told[-1]


def test_outside_a_worker_its_user_has_ended_the_task(vendor, context, swap, monkeypatch):
    from airflow.sdk.execution_time import task_runner

    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    vendor.will(job(), CONFIRMED)
    operator = swap(times=2)
    with pytest.raises(Killed):
        operator.execute(context)
    assert len(cancels(vendor)) == 1


@pytest.mark.parametrize("state", [*ENDED_STATES, *GOES_ON])
def test_a_cancel_can_be_switched_off(vendor, context, airflow, swap, state):
    airflow.state = state
    vendor.will(job())
    with pytest.raises(Killed):
        swap(cancel_on_kill=False, times=2).execute(context)
    assert not cancels(vendor)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"code": 400, "message": "task is running"}),
        httpx.Response(200, json={"code": 400, "message": "task is running"}),
        httpx.Response(500, text="down"),
        httpx.ReadTimeout("no answer"),
    ],
    ids=["refused", "refused in the body", "down", "no answer"],
)
def test_a_cancel_that_is_not_confirmed_is_not_claimed(vendor, context, airflow, swap, answer):
    vendor.will(job(), answer)
    operator = swap(times=2)
    with pytest.raises(Killed):
        operator.execute(context)
    assert len(cancels(vendor)) == 1
    assert "no cancellation was confirmed" in operator.told[-1]
    assert "may finish and be charged" in operator.told[-1]
    assert not any("confirmed the cancellation" in text for text in operator.told)


def test_a_vendor_that_cannot_cancel_is_asked_nothing(vendor, answer, context, airflow, swap):
    vendor.will(answer("processing"))
    operator = swap(GPTunnelFaceSwapOperator)
    with pytest.raises(Killed):
        operator.execute(context)
    assert len(vendor.requests) == 1
    assert "no cancellation was confirmed" in operator.told[-1]


@pytest.mark.parametrize("try_before", [False, True])
def test_a_job_that_this_kill_has_cancelled_is_not_replaced(vendor, context, airflow, swap, try_before):
    """Also where the job was taken up, and could be replaced had somebody else cancelled it."""
    if try_before:
        vendor.will(job())
        airflow.state = "running"
        with pytest.raises(Killed):
            swap().execute(context)
        airflow.state = "failed"
        vendor.will(job())
    else:
        vendor.will(job())
    vendor.will(CONFIRMED, job("canceled"), job("completed"), job("completed"))
    with pytest.raises(JobCanceledError):
        swap(dies=False).execute(context)
    assert len(vendor.creates) == 1
    assert len(cancels(vendor)) == 1


def test_a_job_that_finished_before_its_cancel_is_a_result(vendor, context, airflow, swap):
    done = {
        "code": 200,
        "data": {**job("completed")["data"], "output": {"image_url": "https://a.test/r.png"}},
    }
    vendor.will(job(), httpx.Response(400, json={"code": 400, "message": "finished"}), done)
    assert swap(dies=False).execute(context)["url"] == "https://a.test/r.png"


def test_a_kill_after_the_job_is_over_cancels_nothing(vendor, context, airflow, clock):
    done = {
        "code": 200,
        "data": {**job("completed")["data"], "output": {"image_url": "https://a.test/r.png"}},
    }
    vendor.will(job(), done)
    operator = PiAPIFaceSwapOperator(task_id="swap", deferrable=False, **PICTURES)
    operator.execute(context)
    operator.on_kill()
    assert not cancels(vendor)
    assert not airflow.questions


# -- K9: a running task that was cleared gives its slot back at once --------------------------------------


def test_a_cleared_task_waits_no_longer(vendor, context, airflow, swap, clock):
    airflow.state = "restarting"
    vendor.will(job())
    with pytest.raises(FaceSwapError, match=f"{JOB}.*left running. The next attempt resumes it"):
        swap(dies=False).execute(context)
    assert not cancels(vendor)
    assert len(clock.slept) == 1


@pytest.mark.parametrize("state", ["running", None])
def test_a_task_that_may_go_on_waits_on(vendor, context, airflow, swap, state):
    airflow.state = state
    done = {"task_id": JOB, "status": "completed", "output": {"image_url": "https://a.test/r.png"}}
    vendor.will(job(), {"code": 200, "data": done})
    assert swap(dies=False).execute(context)["job_id"] == JOB


def test_a_signal_cuts_a_sleep_on_the_systems_clock():
    began = time.monotonic()
    stop = Event()
    previous = signal.signal(signal.SIGALRM, lambda *_: stop.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        CLOCK.pause(30.0, stop)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert time.monotonic() - began < 15
