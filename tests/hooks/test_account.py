"""What an account allows: a rate, jobs at once, and a key that changes while somebody waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InvalidRequestError,
    RateLimitError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.jobs import Submission
from airflow_provider_faceswap.lifecycle.waiting import wait, wait_async
from tests.conftest import DrivenClock

JOB = {"id": "j1", "status": "processing"}
REFUSED = httpx.Response(401, json={"error": {"message": "no such key"}})


def connected(connect, key="one", **extra):
    connect("gptunnel_default", conn_type="gptunnel", password=key, host="https://vendor.test", extra=extra)
    return GPTunnelHook()


def keys(wire):
    return [request.headers["authorization"] for request in wire.requests]


def test_a_key_that_was_changed_meanwhile_is_taken_up(wire, connect):
    hook = connected(connect)
    wire.says(JOB, REFUSED, JOB)
    asyncio.run(hook.afetch("j1", "face_swap"))
    connected(connect, "two")
    asyncio.run(hook.afetch("j1", "face_swap"))
    assert keys(wire) == ["one", "one", "two"]


def test_a_key_that_is_simply_wrong_is_tried_once(wire, connect):
    wire.says(REFUSED)
    with pytest.raises(AuthenticationError):
        asyncio.run(connected(connect).afetch("j1", "face_swap"))
    assert keys(wire) == ["one"]


@pytest.fixture
def readings(monkeypatch):
    """How often the connection was read."""
    from airflow_provider_faceswap.hooks import connection

    asked, real = [], connection.get_async_connection

    async def counting(conn_id):
        asked.append(conn_id)
        return await real(conn_id)

    monkeypatch.setattr(connection, "get_async_connection", counting)
    return asked


def test_all_of_a_loop_go_by_one_reading_of_the_connection(wire, connect, readings):
    hooks = [connected(connect) for _ in range(20)]
    wire.says(*[JOB] * 20)

    async def together():
        async with hooks[0].session():
            await asyncio.gather(*(hook.afetch("j1", "face_swap") for hook in hooks))

    asyncio.run(together())
    assert readings == ["gptunnel_default"]


def test_a_reading_is_used_for_a_minute(wire, connect, readings, monkeypatch):
    clock = DrivenClock()
    monkeypatch.setattr(CLOCK, "source", clock)
    wire.says(*[JOB] * 3)

    async def one_after_the_other():
        async with connected(connect).session():
            await connected(connect, "one").afetch("j1", "face_swap")
            clock.time += 59
            await connected(connect, "two").afetch("j1", "face_swap")
            clock.time += 2
            await connected(connect, "two").afetch("j1", "face_swap")

    asyncio.run(one_after_the_other())
    assert keys(wire) == ["one", "one", "two"]
    assert len(readings) == 2


def test_a_refused_key_is_read_anew_once_for_all(wire, connect, readings):
    hooks = [connected(connect, "one") for _ in range(5)]
    wire.says(*[JOB] * 5, *[REFUSED] * 5, *[JOB] * 5)

    async def through_the_change():
        async with hooks[0].session():
            for hook in hooks:
                await hook.afetch("j1", "face_swap")
            connected(connect, "two")
            await asyncio.gather(*(hook.afetch("j1", "face_swap") for hook in hooks))

    asyncio.run(through_the_change())
    assert keys(wire) == [*["one"] * 10, *["two"] * 5]
    assert len(readings) == 2


def test_another_vendor_under_the_same_id_reads_for_itself(wire, connect, readings):
    wire.says(JOB, {"code": 200, "data": {"task_id": "t1", "status": "pending"}})

    async def both():
        async with connected(connect).session():
            await connected(connect).afetch("j1", "face_swap")
            with pytest.raises(InvalidRequestError, match="must be of type 'piapi'"):
                await PiAPIHook("gptunnel_default").afetch("t1", "face_swap")

    asyncio.run(both())
    assert len(readings) == 2
    assert len(wire.requests) == 1


@pytest.mark.parametrize("rate", [2, "2", 2.0])
def test_the_connection_bounds_all_hooks_of_a_loop_together(wire, connect, monkeypatch, rate):
    clock = DrivenClock()
    monkeypatch.setattr(CLOCK, "source", clock)
    hooks = [connected(connect, requests_per_second=rate) for _ in range(4)]
    wire.says(*[JOB] * 4)

    async def all_at_once():
        async with hooks[0].session():
            for hook in hooks:
                await hook.afetch("j1", "face_swap")

    asyncio.run(all_at_once())
    assert clock.slept == pytest.approx([0.5, 0.5, 0.5])


def test_creates_and_questions_of_a_process_share_the_rate_and_a_cancel_does_not_wait(
    wire, connect, monkeypatch
):
    clock = DrivenClock()
    monkeypatch.setattr(CLOCK, "source", clock)
    connect(
        "piapi_default",
        conn_type="piapi",
        password="a-key-of-this-test",
        host="https://vendor.test",
        extra={"requests_per_second": 2},
    )
    one, other = PiAPIHook(), PiAPIHook()
    created = {"code": 200, "data": {"task_id": "t1", "status": "pending"}}
    pictures = {"target_image": "https://a.test/a.png", "face_image": "https://a.test/b.png"}
    wire.says(created, created, created, created, {"code": 200})

    one.submit("face_swap", **pictures)
    other.submit("face_swap", **pictures)
    one.fetch("t1", "face_swap")
    asyncio.run(other.afetch("t1", "face_swap"))
    assert sum(clock.slept) == pytest.approx(1.5)

    assert one.cancel("t1", "face_swap")
    assert sum(clock.slept) == pytest.approx(1.5), "nothing waits for a rate when a task is ended"


def test_a_hold_keeps_nobody_beyond_a_moment_and_a_cancel_not_at_all(wire, connect, monkeypatch):
    clock = DrivenClock()
    monkeypatch.setattr(CLOCK, "source", clock)
    connect("piapi_default", conn_type="piapi", password="a-key-of-this-test", host="https://vendor.test")
    hook = PiAPIHook()
    wire.says(httpx.Response(429, headers={"Retry-After": "86400"}), {"code": 200}, JOB)

    async def held():
        async with hook.session():
            with pytest.raises(RateLimitError):
                await hook.afetch("t1", "face_swap")
            assert await hook.acancel("t1", "face_swap")
            assert not sum(clock.slept)
            with suppress(FaceSwapError):
                await PiAPIHook().afetch("t2", "face_swap")

    asyncio.run(held())
    assert sum(clock.slept) == pytest.approx(30)


@pytest.mark.parametrize("rate", [0, -1, "fast", "nan"])
def test_a_rate_that_is_none_is_said_before_anything_is_sent(wire, connect, rate):
    with pytest.raises(InvalidRequestError, match="requests_per_second"):
        connected(connect, requests_per_second=rate).prepare(
            "face_swap", target_image="https://a.test/a.png", face_image="https://a.test/b.png"
        )
    assert not wire.requests


@pytest.mark.parametrize(
    ("answer", "limit"),
    [
        ({"code": 200, "data": {"max_concurrent_task_count": 30}}, 30),
        ({"code": 200, "data": {"max_concurrent_task_count": "5"}}, 5),
        ({"code": 200, "data": {"max_concurrent_task_count": 0}}, None),
        ({"code": 200, "data": {}}, None),
        ({"code": 200, "data": None}, None),
    ],
)
def test_piapi_tells_how_many_jobs_may_run_at_once(wire, connect, answer, limit):
    connect("piapi_default", conn_type="piapi", password="a-long-key", host="https://vendor.test")
    wire.says(answer)
    assert PiAPIHook().concurrency_limit() == limit


def test_a_limit_that_cannot_be_read_is_no_limit(wire, connect):
    connect("piapi_default", conn_type="piapi", password="a-long-key", host="https://vendor.test")
    wire.says(*[httpx.ConnectError("down")] * 3)
    assert PiAPIHook().concurrency_limit() is None


def test_who_tells_no_limit_is_not_asked(wire, connect):
    assert connected(connect).concurrency_limit() is None
    assert not wire.requests


def test_a_webhook_secret_is_kept_once_however_many_jobs_have_it(wire, connect):
    connect(
        "piapi_default",
        conn_type="piapi",
        password="a-long-key",
        host="https://vendor.test",
        extra={"webhook": "https://h.test", "webhook_secret": "planted"},
    )
    hook = PiAPIHook()
    for _ in range(3):
        hook.prepare("face_swap", target_image="https://a.test/a.png", face_image="https://a.test/b.png")
    assert hook.endpoint().secrets == ("a-long-key", "planted")


@pytest.fixture
def outage(monkeypatch):
    """Connections cannot be read, for so many readings; after that they can."""
    from airflow_provider_faceswap.hooks import connection

    left = {"error": RuntimeError("the API answered 503: a-key-of-this-test"), "times": 0}
    sync, asynchronous = BaseHook.get_connection, connection.get_async_connection

    def trouble():
        if left["times"] > 0:
            left["times"] -= 1
            raise left["error"]

    def read(conn_id):
        trouble()
        return sync(conn_id)

    async def aread(conn_id):
        trouble()
        return await asynchronous(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(read))
    monkeypatch.setattr(connection, "get_async_connection", aread)
    return left


@pytest.mark.parametrize("error", [RuntimeError("503"), AirflowNotFoundException("no such connection")])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_connection_that_cannot_be_read_for_a_while_ends_no_wait(
    wire, connect, outage, monkeypatch, error, asynchronous
):
    clock = DrivenClock()
    monkeypatch.setattr(CLOCK, "source", clock)
    hook = connected(connect)
    outage.update(error=error, times=6)
    wire.says({"id": "j1", "status": "done", "percent": 100, "result": "https://a.test/r.png"})
    submission = Submission(
        vendor="gptunnel",
        kind="face_swap",
        job_id="j1",
        conn_id="gptunnel_default",
        submitted_at=clock.moment(),
        deadline=clock.moment() + timedelta(minutes=10),
    )
    lines = []
    if asynchronous:
        waited = asyncio.run(wait_async(hook, submission, log=lines.append))
    else:
        waited = wait(hook, submission, log=lines.append)
    assert waited.outcome == "succeeded"
    assert len([line for line in lines if "could not be read" in line or "was not found" in line]) == 1


def test_a_reading_that_failed_is_told_without_what_the_backend_said(wire, connect, outage):
    hook = connected(connect)
    outage["times"] = 1
    with pytest.raises(
        VendorUnavailableError, match=r"'gptunnel_default' could not be read \(RuntimeError\)"
    ) as told:
        hook.balances()
    assert told.value.__cause__ is None
    assert "a-key-of-this-test" not in str(told.value)


def test_an_extra_that_is_no_object_is_said(connect):
    connect("piapi_default", conn_type="piapi", password="a-key-of-this-test", extra='["a"]')
    well, message = PiAPIHook().test_connection()
    assert not well
    # Airflow 3.1 takes such a connection for none.
    assert "must be a JSON object" in message or "this connection was not found" in message
