"""From a connection to a vendor's jobs."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from airflow_provider_faceswap import exceptions as e
from airflow_provider_faceswap.hooks.base import hook_for, hook_for_connection
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from airflow_provider_faceswap.jobs import JobState

RUNNING = {"code": 200, "data": {"task_id": "t1", "status": "processing"}}


@pytest.mark.parametrize("hook", [GPTunnelHook, TengraiHook, PiAPIHook])
def test_a_hook_is_found_by_its_connection_type(hook, connections):
    connections("https://vendor.test")
    assert type(hook_for(hook.conn_type, "any")) is hook
    found = hook_for_connection(hook.default_conn_name)
    assert (type(found), found.conn_id) == (hook, hook().conn_id)
    assert hook.vendor.name == hook.conn_type


def test_the_connections_extra_fills_what_is_not_set(vendor, connections):
    connections(
        "https://vendor.test", service_mode="private", webhook="https://h.test/c", webhook_secret="planted"
    )
    hook = PiAPIHook()
    pictures = {"target_image": "https://a.test/t.jpg", "face_image": "https://a.test/f.jpg"}
    request = hook.prepare("face_swap", **pictures)
    assert request.body["config"] == {
        "service_mode": "private",
        "webhook_config": {"endpoint": "https://h.test/c", "secret": "planted"},
    }
    asked = hook.prepare("face_swap", **pictures, service_mode="public", webhook="https://other.test/")
    assert asked.body["config"]["service_mode"] == "public"
    assert asked.body["config"]["webhook_config"]["endpoint"] == "https://other.test/"
    wallet = GPTunnelHook()
    connections("https://vendor.test", use_wallet_balance=True)
    assert wallet.prepare("imagine", prompt="p").body["useWalletBalance"] is True
    assert "useWalletBalance" not in wallet.prepare("upsample", parent_job_id="p", image=1).body


def test_a_webhook_secret_that_the_vendor_echoes_is_hidden(vendor, connections):
    connections("https://vendor.test", key="planted-key", webhook_secret="planted-secret")
    vendor.will(
        httpx.Response(400, json={"code": 400, "message": "planted-key planted-secret", "data": None})
    )
    with pytest.raises(e.InvalidRequestError) as caught:
        PiAPIHook().submit("task", model="m", task_type="t", input={})
    assert "planted" not in str(caught.value)
    assert "planted" not in repr(caught.value)


def test_a_bad_host_is_said_before_anything_is_sent(vendor, connections):
    connections("vendor.test")
    with pytest.raises(e.InvalidRequestError, match="connection's host"):
        PiAPIHook().fetch("t1", "face_swap")
    works, told = PiAPIHook().test_connection()
    assert not works
    assert "not a full URL" in told
    assert not vendor.requests


def test_spaces_around_a_key_are_cut(vendor, connections):
    connections("https://vendor.test", key="  key\n")
    vendor.will(RUNNING)
    PiAPIHook().fetch("t1", "face_swap")
    assert vendor.requests[0].headers["x-api-key"] == "key"


def test_a_read_is_repeated_and_a_failure_names_the_job(vendor):
    vendor.will(httpx.Response(500), httpx.ReadTimeout("x"), RUNNING)
    assert PiAPIHook().fetch("t1", "face_swap").state is JobState.RUNNING
    vendor.will(*[httpx.ConnectError("down")] * 3)
    with pytest.raises(e.VendorUnavailableError) as caught:
        PiAPIHook().fetch("t1", "face_swap")
    assert caught.value.job_id == "t1"


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        ([lambda: httpx.ReadTimeout("x")], 1),
        ([lambda: httpx.RemoteProtocolError("x")], 1),
        ([lambda: httpx.Response(500)], 1),
        ([lambda: httpx.Response(429), lambda: httpx.Response(503), lambda: RUNNING], 3),
        ([lambda: httpx.ConnectError("x"), lambda: RUNNING], 2),
    ],
)
def test_a_create_is_repeated_only_where_it_was_certainly_not_processed(vendor, answers, sent):
    task = {"model": "m", "task_type": "t", "input": {}}
    vendor.will(*(make() for make in answers))
    try:
        PiAPIHook().submit("task", **task)
    except e.SubmissionUncertainError:
        assert sent == 1
    assert len(vendor.requests) == sent
    vendor.requests.clear()
    vendor.answers.clear()
    vendor.will(*(make() for make in answers))
    try:
        asyncio.run(PiAPIHook().asubmit("task", **task))
    except e.SubmissionUncertainError:
        assert sent == 1
    assert len(vendor.requests) == sent


def test_a_cancel_is_asked_once_and_never_raises(vendor):
    vendor.will(httpx.ConnectError("down"))
    assert PiAPIHook().cancel("t1", "face_swap") is False
    vendor.will(httpx.ConnectError("down"))
    assert asyncio.run(PiAPIHook().acancel("t1", "face_swap")) is False
    assert len(vendor.requests) == 2
    assert asyncio.run(GPTunnelHook().acancel("t1", "face_swap")) is False


def test_an_async_read_names_the_job_in_its_failure(vendor):
    vendor.will(*[httpx.ConnectError("down")] * 3)
    with pytest.raises(e.VendorUnavailableError) as caught:
        asyncio.run(PiAPIHook().afetch("t1", "face_swap"))
    assert caught.value.job_id == "t1"


def test_a_block_keeps_one_client(vendor, monkeypatch):
    made = []
    make = vendor and __import__("airflow_provider_faceswap.hooks.base", fromlist=["x"]).sync_client
    monkeypatch.setattr("airflow_provider_faceswap.hooks.base.sync_client", lambda: made.append(1) or make())
    vendor.will(RUNNING, RUNNING, RUNNING, RUNNING)
    with PiAPIHook() as hook:
        hook.fetch("t1", "face_swap")
        hook.fetch("t1", "face_swap")
    assert len(made) == 1
    hook.fetch("t1", "face_swap")
    hook.fetch("t1", "face_swap")
    assert len(made) == 3


def test_a_connection_in_uri_form_is_read(vendor, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_PIAPI_DEFAULT", "piapi://:uri-key@https%3A%2F%2Fvendor.test/")
    vendor.will(RUNNING)
    PiAPIHook().fetch("t1", "face_swap")
    assert str(vendor.requests[0].url) == "https://vendor.test/api/v1/task/t1"
