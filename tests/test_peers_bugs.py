"""Bugs that other packages for paid or batched work have had, each as a test that this one does not have it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.module_loading import import_string
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import Asset
from airflow.sdk.execution_time.comms import MaskSecret
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.triggers.job import SAFE_RESUME_DELAY, JobTrigger
from tests.conftest import on_a_triggerer

JOB = "65819c485337280001a609e7"
LINK = "https://storage.test/result.png"


class Died(BaseException):
    """The process is gone."""


def swap(pictures, **more):
    return GPTunnelFaceSwapOperator(**{"task_id": "a_task", "deferrable": True, **pictures, **more})


def done(answer, **more):
    return answer("done", percent=100, result=LINK, **more)


def piapi(status, job_id="t1"):
    output = {"output": {"image_url": LINK}} if status == "completed" else {}
    return {"code": 200, "data": {"task_id": job_id, "status": status, **output}}


CANCELED = {"code": 200, "message": "success"}


def deferral(operator, context) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context)
    return caught.value


def moved(trigger: JobTrigger) -> JobTrigger:
    """The same trigger on another triggerer, made of what the database holds."""
    path, kwargs = json.loads(json.dumps(trigger.serialize()))
    return import_string(path)(**kwargs)


async def fire(trigger: JobTrigger) -> list:
    return [event async for event in trigger.run()]


class Supervisor:
    """The triggerer's channel to Airflow, for a task in one state."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.messages: list[object] = []

    def send(self, message):
        """Before Airflow 3.3.2 this is how a secret that was read is masked; nothing else is sent so."""
        assert isinstance(message, MaskSecret)

    async def asend(self, message):
        if not isinstance(message, MaskSecret):
            self.messages.append(message)
        return SimpleNamespace(task_states={"a_run": {"a_task": self.state}})


@pytest.fixture
def supervisor(monkeypatch):
    answering = Supervisor("deferred")
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", answering, raising=False)
    return answering


@pytest.fixture
def warnings_of():
    """What an operator warns of, from now on."""

    def listen(operator) -> list[str]:
        told: list[str] = []
        operator._cached_logger = SimpleNamespace(
            info=lambda *_: None, warning=lambda text, *args: told.append(text % args if args else text)
        )
        return told

    return listen


# apache/airflow#67945: a triggerer that restarts sends the create again.
def test_a_trigger_that_is_started_again_sends_no_create(vendor, answer, context, clock, pictures):
    vendor.will(answer("idle"))
    trigger = deferral(swap(pictures), context).trigger

    async def dies(_):
        raise Died

    sleep, clock.asleep = clock.asleep, dies
    with pytest.raises(Died):
        asyncio.run(fire(trigger))
    clock.asleep = sleep
    vendor.will(answer("processing"), done(answer))
    [event] = asyncio.run(fire(moved(trigger)))
    assert event.payload["ending"]["word"] == "succeeded"
    assert len(vendor.creates) == 1


# apache/airflow#72416: the batch's id is in memory only, until the task has deferred or is done.
@pytest.mark.parametrize("deferrable", [True, False], ids=["deferrable", "in a worker"])
def test_the_id_is_recorded_before_anything_else_happens(
    vendor, answer, context, clock, store, pictures, deferrable
):
    write = store.set

    def dies_with_the_id_written(key, value, **options):
        write(key, value, **options)
        if value["job_id"]:
            raise Died

    store.set = dies_with_the_id_written
    vendor.will(answer("idle"))
    with pytest.raises(Died):
        swap(pictures, deferrable=deferrable).execute(context)
    assert len(vendor.requests) == 1, "nothing was asked between the create and the record"
    assert not clock.slept
    store.set = write
    vendor.will(done(answer))
    result = swap(pictures, deferrable=deferrable).execute(context)
    assert (result["job_id"], result["attempt_reused"]) == (JOB, True)
    assert len(vendor.creates) == 1


# apache/airflow#72788: state kept by map index hands one item's job to another one after a new expansion.
def test_a_mapped_task_does_not_get_the_job_of_another_item(
    vendor, context, clock, store, pictures, warnings_of
):
    def item(target_image):
        return PiAPIFaceSwapOperator(
            task_id="a_task", target_image=target_image, face_image=pictures["face_image"], deferrable=True
        )

    context["ti"].map_index = 3
    vendor.will(piapi("pending", "first"))
    deferral(item("https://pictures.test/a.jpg"), context)
    vendor.will(CANCELED, piapi("completed", "second"))
    other = item("https://pictures.test/b.jpg")
    warnings = warnings_of(other)
    result = other.execute(context)
    assert result["job_id"] == "second"
    cancel = vendor.requests[1]
    assert (cancel.method, cancel.url.path.rpartition("/")[2]) == ("DELETE", "first")
    assert any("job first" in line and "cancellation was confirmed" in line for line in warnings)
    [record] = store.values.values()
    assert record["earlier"] == ["first"]


# apache/airflow#72788, where the vendor cannot cancel: it is said that the other item's job may be charged.
def test_a_job_of_another_item_that_cannot_be_cancelled_is_named(
    vendor, answer, context, clock, pictures, warnings_of
):
    vendor.will(answer("idle"))
    deferral(swap(pictures), context)
    vendor.will(done(answer, job_id="second"))
    other = swap({**pictures, "target_image": "https://pictures.test/b.jpg"})
    warnings = warnings_of(other)
    assert other.execute(context)["job_id"] == "second"
    assert any(JOB in line and "may be charged" in line for line in warnings)
    assert len(vendor.requests) == 2


# apache/airflow#36090: a deferred task is killed, and its remote job runs on and is billed.
def test_a_killed_deferred_task_cancels_its_job(vendor, context, clock, supervisor, pictures):
    vendor.will(piapi("pending"))
    operator = PiAPIFaceSwapOperator(task_id="a_task", deferrable=True, **pictures)
    trigger = moved(deferral(operator, context).trigger)
    on_a_triggerer(trigger, context["ti"])
    supervisor.state = "failed"
    vendor.will(CANCELED)
    asyncio.run(trigger.on_kill())
    cancel = vendor.requests[-1]
    assert (cancel.method, cancel.url.path.rpartition("/")[2]) == ("DELETE", "t1")


# apache/airflow#61467: execution_timeout is not looked at while a task is deferred.
@pytest.mark.parametrize("seconds", [30, 300])
def test_a_deferred_task_ends_before_its_execution_timeout(vendor, answer, context, clock, pictures, seconds):
    begun = clock.now()
    vendor.will(answer("idle"), *[answer("processing")] * 200)
    operator = swap(pictures, timeout=3600, execution_timeout=timedelta(seconds=seconds))
    deferred = deferral(operator, context)
    [event] = asyncio.run(fire(moved(deferred.trigger)))
    assert event.payload["ending"]["word"] == "timed_out"
    assert begun + seconds * 0.8 < clock.now() < begun + seconds
    with pytest.raises(FaceSwapError, match="the deadline passed"):
        operator.execute_complete(context, event.payload, **deferred.kwargs)
    assert clock.now() < begun + seconds


# apache/airflow#69506: an event that is None, or says something unknown, ends the task as a success.
@pytest.mark.parametrize(
    "event",
    [
        None,
        True,
        "succeeded",
        [],
        {},
        {"status": "success"},
        {"status": "success", "ending": None},
        {"ending": {"word": "succeeded"}},
        {"ending": {"word": "finished", "vendor": "gptunnel", "job_id": JOB}},
        {"ending": {"word": None, "vendor": "gptunnel", "job_id": JOB}},
        {"ending": {"word": "succeeded", "vendor": "piapi", "job_id": JOB}},
    ],
    ids=repr,
)
def test_an_event_without_a_known_ending_is_no_success(
    vendor, answer, context, clock, store, pictures, event
):
    vendor.will(answer("idle"))
    operator = swap(pictures)
    deferred = deferral(operator, context)
    with pytest.raises(FaceSwapError, match=rf"job {JOB}.*resume_job_id"):
        operator.execute_complete(context, event, **deferred.kwargs)
    [record] = store.values.values()
    assert record["stage"] == "submitted", "the next try takes the job up"
    assert len(vendor.requests) == 1


# apache/airflow#64960: that the trigger's arguments cannot be stored is found after the paid call.
@pytest.mark.parametrize(
    "odd", [object(), {1, 2}, b"5", timedelta(seconds=5)], ids=lambda odd: type(odd).__name__
)
def test_a_trigger_that_cannot_be_stored_is_found_before_the_create(
    vendor, context, clock, store, pictures, odd
):
    operator = swap(pictures)
    operator.poll_interval = odd
    with pytest.raises(InvalidRequestError, match=r"cannot be stored as JSON.*Nothing was bought"):
        operator.execute(context)
    assert not vendor.requests
    assert not store.intents, "nor is there an intent to worry about"


# apache/airflow#64960, at the definition of the task: what is no number of seconds gets no further.
@pytest.mark.parametrize("odd", [object(), "5", True, b"5", float("nan")], ids=lambda odd: type(odd).__name__)
def test_an_odd_poll_interval_fails_when_the_dag_is_read(pictures, odd):
    with pytest.raises(InvalidRequestError, match="poll_interval"):
        swap(pictures, poll_interval=odd)


# apache/airflow#71580: a job that finishes within the second of the deferral is lost to a race.
def test_a_job_that_is_finished_at_once_is_not_deferred(vendor, answer, context, clock, pictures):
    vendor.will(done(answer))
    assert swap(pictures).execute(context)["url"] == LINK
    assert len(vendor.requests) == 1
    assert not clock.slept


# apache/airflow#71580: no worker is needed for the end, so there is no race to wait out.
def test_a_job_finished_at_the_first_look_ends_its_task_in_place(
    vendor, answer, context, clock, supervisor, pictures
):
    begun = clock.now()
    vendor.will(answer("idle"))
    trigger = moved(deferral(swap(pictures), context).trigger)
    on_a_triggerer(trigger, context["ti"])
    vendor.will(done(answer))
    [event] = asyncio.run(fire(trigger))
    assert isinstance(event, TaskSuccessEvent)
    stored = {message.key: message.value for message in supervisor.messages}
    assert stored["return_value"]["url"] == stored["url"] == LINK
    assert clock.now() < begun + SAFE_RESUME_DELAY


# apache/airflow#71580: where a worker is needed, it is resumed only when the deferring one is surely gone.
@pytest.mark.parametrize(
    ("more", "status"),
    [({"outlets": [Asset("a")]}, "done"), ({"on_success_callback": print}, "done"), ({}, "failed")],
    ids=["outlets", "callback", "failed"],
)
def test_a_worker_is_not_resumed_before_the_safe_moment(
    vendor, answer, context, clock, supervisor, pictures, more, status
):
    begun = clock.now()
    vendor.will(answer("idle"))
    trigger = moved(deferral(swap(pictures, **more), context).trigger)
    on_a_triggerer(trigger, context["ti"])
    vendor.will(answer(status, percent=100, result=LINK))
    [event] = asyncio.run(fire(trigger))
    assert event.payload["ending"]["word"] == {"done": "succeeded", "failed": "failed"}[status]
    assert clock.now() >= begun + SAFE_RESUME_DELAY
    assert not supervisor.messages


# apache/airflow#21616: two triggerers run the same trigger at the same time.
def test_two_triggerers_with_one_trigger_agree_and_only_read(vendor, context, clock, pictures):
    vendor.will(piapi("pending"))
    operator = PiAPIFaceSwapOperator(
        task_id="a_task", deferrable=True, cancel_on_timeout=True, timeout=600, **pictures
    )
    deferred = deferral(operator, context)
    sleep = clock.sleep

    async def lets_the_other_one_run(seconds):
        await asyncio.sleep(0)
        sleep(seconds)

    clock.asleep = lets_the_other_one_run
    vendor.will(*[piapi("processing")] * 2, *[piapi("completed")] * 2)

    async def both():
        return await asyncio.gather(fire(moved(deferred.trigger)), fire(moved(deferred.trigger)))

    [first], [second] = asyncio.run(both())
    assert first.payload == second.payload
    assert first.payload["ending"]["word"] == "succeeded"
    assert [request.method for request in vendor.requests] == ["POST", "GET", "GET", "GET", "GET"]
    vendor.will(piapi("completed"))
    assert operator.execute_complete(context, second.payload, **deferred.kwargs)["url"] == LINK
    assert len(vendor.creates) == 1
