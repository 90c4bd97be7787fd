"""The one trigger: it waits, fires once, and cancels only what a person has ended."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
from airflow.providers.common.compat.module_loading import import_string
from airflow.sdk.bases.xcom import BaseXCom
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_faceswap.jobs import Submission
from airflow_provider_faceswap.triggers import _airflow_internals as supervisor
from airflow_provider_faceswap.triggers.job import JobTrigger
from tests.conftest import on_a_triggerer

try:
    from airflow.sdk import serde
except ImportError:  # until Airflow 3.1 it stood in the core
    from airflow.serialization import serde

JOB = "65819c485337280001a609e7"


def trigger(clock, *, vendor="gptunnel", life=100, **more):
    started = datetime.fromtimestamp(clock.now(), UTC)
    submission = Submission(
        vendor=vendor,
        kind="face_swap",
        job_id=JOB,
        conn_id=f"{vendor}_default",
        submitted_at=started,
        deadline=started + timedelta(seconds=life),
    )
    return JobTrigger(submission=submission.model_dump(mode="json"), **more)


def events(of):
    async def collect():
        return [event async for event in of.run()]

    return asyncio.run(collect())


def test_it_fires_once_when_the_job_is_done(vendor, answer, clock):
    vendor.will(answer("idle"), answer("done", percent=100, result="https://a.test/r.png?sig=planted"))
    [event] = events(trigger(clock))
    assert event.payload["ending"]["word"] == "succeeded"
    assert "planted" not in json.dumps(event.payload), "the triggerer logs events, and links may be signed"


def test_it_can_be_run_again_elsewhere_without_effect(vendor, answer, clock):
    done = answer("done", percent=100, result="https://a.test/r.png")
    vendor.will(done, done)
    first = trigger(clock)
    path, kwargs = first.serialize()
    again = import_string(path)(**serde.deserialize(serde.serialize(kwargs)))
    assert events(first)[0].payload == events(again)[0].payload
    assert not vendor.creates, "a trigger never buys"


def test_what_is_stored_of_it_is_plain_json_without_a_key(clock, connections):
    connections("https://vendor.test", key="planted-key")
    path, kwargs = trigger(clock, poll_interval=2.5, end_in_place=True).serialize()
    assert "planted-key" not in json.dumps([path, kwargs])
    assert JobTrigger(**kwargs).serialize() == (path, kwargs)


def test_an_event_that_resumes_a_worker_waits_for_the_safe_moment(vendor, answer, clock):
    vendor.will(answer("failed", error="broke"))
    begun = clock.now()
    [event] = events(trigger(clock, resume_after=begun + 7, end_in_place=True))
    assert event.payload["ending"]["word"] == "failed"
    assert clock.now() >= begun + 7


def test_no_question_is_wasted_before_the_safe_moment_where_a_worker_is_needed_anyway(vendor, answer, clock):
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    begun = clock.now()
    events(trigger(clock, resume_after=begun + 7))
    assert clock.slept[0] == pytest.approx(7)


def test_the_deadline_ends_it(vendor, answer, clock):
    vendor.will(*[answer("processing")] * 60)
    begun = clock.now()
    [event] = events(trigger(clock))
    assert event.payload["ending"]["word"] == "timed_out"
    assert clock.now() == pytest.approx(begun + 100)


def test_a_vendor_that_is_down_is_given_time_and_the_job_stays_resumable(vendor, clock):
    vendor.will(*[httpx.ConnectError("down")] * 60)
    begun = clock.now()
    [event] = events(trigger(clock))
    assert event.payload["ending"]["word"] in {"unreadable", "timed_out"}
    assert clock.now() - begun > 60, "a minute of trouble is survived"


# -- ending the task in place -------------------------------------------------------------------------


class Supervisor:
    """The other side of the trigger's channel to Airflow."""

    def __init__(self, state: str | None = "deferred") -> None:
        self.state = state
        self.messages = []

    @property
    def stored(self):
        """The XComs, in their order."""
        return [message for message in self.messages if type(message).__name__ == "SetXCom"]

    def send(self, message):
        """Before Airflow 3.3.2 this is how a secret that was read is masked; nothing else is sent so."""
        assert type(message).__name__ == "MaskSecret"

    async def asend(self, message):
        self.messages.append(message)
        if type(message).__name__ == "GetTaskStates":
            return SimpleNamespace(task_states={"a_run": {"a_task": self.state}} if self.state else {})
        return None


@pytest.fixture
def airflow(monkeypatch):
    """A supervisor that answers, as in a triggerer."""
    answering = Supervisor()
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", answering, raising=False)
    return answering


INSTANCE = SimpleNamespace(dag_id="a_dag", run_id="a_run", task_id="a_task", map_index=-1)


def placed(clock, **more):
    """A trigger as the triggerer has it: with a task instance."""
    return on_a_triggerer(trigger(clock, **more), INSTANCE)


def test_a_success_ends_the_task_with_its_result_as_a_dict(vendor, answer, clock, airflow):
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    [event] = events(placed(clock, end_in_place=True))
    assert isinstance(event, TaskSuccessEvent)
    stored = airflow.stored[-1]
    assert (stored.key, stored.task_id) == ("return_value", "a_task")
    assert stored.value["url"] == "https://a.test/r.png"


def test_the_link_of_a_task_that_ends_here_is_stored_as_a_worker_would_store_it(
    vendor, answer, clock, airflow
):
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    events(placed(clock, end_in_place=True))
    link, gallery, value = airflow.stored
    assert (gallery.key, gallery.task_id) == ("_link_GalleryLink", "a_task")
    assert (link.key, link.value) == ("_link_ResultLink", "https://a.test/r.png")
    assert (link.dag_id, link.run_id, link.task_id, link.map_index) == ("a_dag", "a_run", "a_task", -1)
    assert value.key == "return_value", "the link is there when the task has ended"


def test_a_signed_link_is_stored_in_the_return_value_alone(vendor, answer, clock, airflow):
    signed = "https://a.test/r.png?X-Amz-Signature=4f8a1c0b97d25e6613aa"
    vendor.will(answer("done", percent=100, result=signed))
    events(placed(clock, end_in_place=True))
    link, gallery, value = airflow.stored
    assert value.value["url"] == signed
    assert "4f8a1c0b97d25e6613aa" not in link.value + gallery.value
    assert link.value.endswith("/dags/a_dag/runs/a_run/tasks/a_task/xcom")


def logged(of):
    """The lines that a trigger writes, in their order."""
    lines = []
    of._log = SimpleNamespace(info=lambda text, *values: lines.append(text % values if values else text))
    events(of)
    return lines


THIRTY = [("idle", 0)] * 10 + [("processing", 40)] * 20


@pytest.mark.parametrize("in_place", [True, False])
def test_thirty_questions_about_three_states_are_three_lines(vendor, answer, clock, airflow, in_place):
    vendor.will(
        *[answer(word, percent=percent) for word, percent in THIRTY],
        answer("done", percent=100, result="https://a.test/r.png?sig=4f8a1c0b97d25e6613aa"),
    )
    lines = logged(placed(clock, end_in_place=in_place, life=600))
    assert len(vendor.requests) == 31
    first, second, last = lines
    assert first == f"gptunnel job {JOB} is idle, 0 %, after 3 s"
    assert second.startswith(f"gptunnel job {JOB} is processing, 40 %, after ")
    assert last.startswith(f"gptunnel job {JOB} ")
    assert ("is done after" if in_place else "has ended (succeeded); its task resumes on a worker") in last
    assert "4f8a1c0b97d25e6613aa" not in str(lines)


def test_how_a_job_has_ended_is_told_before_the_safe_moment_is_waited_for(vendor, answer, clock):
    vendor.will(answer("failed", error="broke"))
    lines = logged(trigger(clock, resume_after=clock.now() + 60, end_in_place=True))
    assert lines[-1] == f"gptunnel job {JOB} has ended (failed); its task resumes on a worker"


def test_in_dag_test_there_is_no_ending_in_place(vendor, answer, clock):
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    [event] = events(trigger(clock, end_in_place=True))
    assert event.payload["ending"]["word"] == "succeeded"


def test_an_airflow_without_the_internals_resumes_on_a_worker(vendor, answer, clock, monkeypatch):
    async def missing(*_):
        return None

    monkeypatch.setattr("airflow_provider_faceswap.triggers.job.end_with_success", missing)
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    [event] = events(placed(clock, end_in_place=True))
    assert event.payload["ending"]["word"] == "succeeded"


def test_a_result_that_cannot_be_stored_from_here_resumes_a_worker(
    vendor, answer, clock, airflow, monkeypatch
):
    async def down(_):
        raise ConnectionError("the API is restarting")

    monkeypatch.setattr(airflow, "asend", down)
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    it = placed(clock, end_in_place=True)
    [event] = events(it)
    assert event.payload["ending"]["word"] == "succeeded"


class Elsewhere(BaseXCom):
    """A backend that keeps values in a storage."""

    @staticmethod
    def serialize_value(value, **_):
        raise AssertionError("no trigger may write to a storage")


def test_another_xcom_backend_is_left_to_a_worker(vendor, answer, clock, airflow, monkeypatch):
    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom", Elsewhere)
    assert not supervisor.uses_default_xcom()
    vendor.will(answer("done", percent=100, result="https://a.test/r.png"))
    [event] = events(placed(clock, end_in_place=True))
    assert event.payload["ending"]["word"] == "succeeded"
    assert not airflow.stored


def test_missing_internals_are_noticed(monkeypatch, airflow):
    import sys

    monkeypatch.setitem(sys.modules, "airflow.sdk.execution_time.comms", None)
    assert asyncio.run(supervisor.end_with_success(INSTANCE, {}, {})) is None
    assert asyncio.run(supervisor.task_state(INSTANCE)) is None


# -- ended by a person --------------------------------------------------------------------------------

CANCELED = {"code": 200, "message": "success"}


@pytest.mark.parametrize("state", ["failed", "skipped", "upstream_failed", "removed"])
def test_a_job_is_cancelled_when_its_task_was_ended(vendor, clock, airflow, state):
    airflow.state = state
    vendor.will(CANCELED)
    asyncio.run(placed(clock, vendor="piapi").on_kill())
    [request] = vendor.requests
    assert request.method == "DELETE"


@pytest.mark.parametrize("state", ["deferred", "queued", "running", "scheduled", "success", None])
def test_a_trigger_that_merely_moves_cancels_nothing(vendor, clock, airflow, state):
    airflow.state = state
    asyncio.run(placed(clock, vendor="piapi").on_kill())
    assert not vendor.requests


def test_a_cancel_can_be_switched_off(vendor, clock, airflow):
    airflow.state = "failed"
    asyncio.run(placed(clock, vendor="piapi", cancel_on_kill=False).on_kill())
    asyncio.run(trigger(clock, vendor="piapi").on_kill())
    assert not vendor.requests
    assert not airflow.messages


def test_a_cancel_is_sent_once_however_often_airflow_asks(vendor, clock, airflow):
    airflow.state = "failed"
    vendor.will(CANCELED)

    async def killed_twice():
        it = placed(clock, vendor="piapi")
        await it.on_kill()
        await it.on_kill()

    asyncio.run(killed_twice())
    assert [request.method for request in vendor.requests] == ["DELETE"]


def told_by(it, monkeypatch):
    """What a trigger tells while its task is ended."""
    lines = []

    def keep(text, *args):
        lines.append(text % args)

    monkeypatch.setattr(type(it), "log", SimpleNamespace(info=keep, warning=keep))
    asyncio.run(it.on_kill())
    return lines


def test_a_cancel_that_takes_too_long_is_told_all_the_same(vendor, clock, airflow, monkeypatch):
    async def stuck(*_):
        await asyncio.Event().wait()

    airflow.state = "failed"
    monkeypatch.setattr("airflow_provider_faceswap.triggers.job.CANCEL_TIMEOUT", 0.05)
    monkeypatch.setattr("airflow_provider_faceswap.hooks.piapi.PiAPIHook.acancel", stuck)
    *_, last = told_by(placed(clock, vendor="piapi"), monkeypatch)
    assert "was ended (failed) while piapi job" in last
    assert "may finish and be charged" in last


@pytest.mark.parametrize("broken", ["state", "connection"])
def test_a_cancel_that_could_not_be_tried_is_told(vendor, clock, airflow, monkeypatch, broken):
    airflow.state = "failed"
    if broken == "state":
        monkeypatch.setattr(airflow, "asend", None)
    else:
        monkeypatch.delenv("AIRFLOW_CONN_PIAPI_DEFAULT")
    *before, last = told_by(placed(clock, vendor="piapi"), monkeypatch)
    # An Airflow without a supervisor cannot say that there is no such connection: the hook tells that for itself.
    assert all(line.startswith("The cancellation of job ") for line in before)
    assert before or broken == "connection"
    assert ("may finish" if broken == "connection" else "state is unknown") in last
    assert not vendor.requests


def test_a_cancel_outlives_the_cancellation_of_on_kill(vendor, clock, airflow):
    """Airflow cancels the coroutine again after about a second; the cancel must still go out."""
    airflow.state = "failed"
    vendor.will(CANCELED)
    gate = asyncio.Event()
    ask = airflow.asend

    async def slowly(message):
        await gate.wait()
        return await ask(message)

    airflow.asend = slowly

    async def killed_twice():
        killing = asyncio.create_task(placed(clock, vendor="piapi").on_kill())
        await asyncio.sleep(0)
        killing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killing
        gate.set()
        while not vendor.requests:  # noqa: ASYNC110 - the detached task has no handle to wait for
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(killed_twice(), 5))
    assert vendor.requests[0].method == "DELETE"
