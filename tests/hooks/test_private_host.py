"""F1: a connection whose host is private is refused before its first submission."""

from __future__ import annotations

import asyncio

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator

PICTURES = {"target_image": "https://a.test/1.png", "face_image": "https://a.test/2.png"}
JOB = {"id": "j1", "status": "done", "percent": 100, "result": "https://a.test/r.png"}
SETTING = "AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS"


@pytest.fixture(autouse=True)
def no_setting(monkeypatch):
    monkeypatch.delenv(SETTING, raising=False)


@pytest.fixture
def private(connect, wire, names):
    """A connection with this host, and a vendor that would accept anything."""
    names.tell("media.internal", ["10.1.2.3"])
    names.tell("both.test", ["93.184.216.34", "192.168.0.7"])
    names.tell("vendor.test", ["93.184.216.34"])

    def define(host):
        connect("mine", conn_type="gptunnel", password="k-1", host=host)
        wire.says(JOB)
        return GPTunnelHook("mine")

    return define


PRIVATE = [
    ("http://127.0.0.1:8090", "127.0.0.1"),
    ("http://localhost:8090", "localhost"),
    ("https://10.0.0.8/proxy", "10.0.0.8"),
    ("http://[::1]:8090", "::1"),
    ("http://[fd00::8]", "fd00::8"),
    ("http://2130706433", "2130706433"),
    ("https://media.internal", "media.internal"),
    ("https://both.test", "both.test"),
]


@pytest.mark.parametrize(("host", "shown"), PRIVATE)
def test_a_private_host_is_refused_before_anything_is_bought(private, wire, host, shown):
    hook = private(host)
    request = hook.prepare("face_swap", **PICTURES)
    with pytest.raises(InvalidRequestError, match=f"Nothing was bought. Set {SETTING}={shown} ") as caught:
        hook.ready("face_swap", request)
    assert isinstance(caught.value, AirflowFailException)
    well, text = hook.test_connection()
    assert not well
    assert f"{SETTING}={shown} " in text
    assert wire.requests == []


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_hook_alone_only_warns_of_a_private_host(private, mode):
    hook = private("http://127.0.0.1:8090")
    warnings = []
    hook.log.warning = lambda text, *args: warnings.append(text % args)
    if mode == "sync":
        job = hook.submit("face_swap", **PICTURES)
    else:
        job = asyncio.run(hook.asubmit("face_swap", **PICTURES))
    assert job.job_id == "j1"
    assert any("host 127.0.0.1 is private" in line for line in warnings)


@pytest.mark.parametrize(("host", "shown"), PRIVATE)
def test_a_private_host_that_is_allowed_is_used(private, wire, monkeypatch, host, shown):
    monkeypatch.setenv(SETTING, f"other.internal, {shown.upper()}")
    hook = private(host)
    assert hook.submit("face_swap", **PICTURES).job_id == "j1"
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "host", ["", "https://vendor.test", "https://[2606:4700::1]", "https://unknown.test"]
)
def test_a_public_host_and_a_name_that_is_not_known_now_are_not_refused(private, host):
    assert private(host).submit("face_swap", **PICTURES).job_id == "j1"


def test_a_name_that_a_proxy_resolves_is_not_resolved_here(private, names, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    assert private("https://media.internal").submit("face_swap", **PICTURES).job_id == "j1"
    assert names.asked == []


def test_the_error_keeps_the_hosts_that_are_allowed_already(private, monkeypatch):
    monkeypatch.setenv(SETTING, "a.internal")
    hook = private("https://10.0.0.8")
    request = hook.prepare("face_swap", **PICTURES)
    with pytest.raises(InvalidRequestError, match=f"{SETTING}=10.0.0.8,a.internal "):
        hook.ready("face_swap", request)


def test_a_job_that_is_paid_already_is_still_waited_for(private, context, clock):
    private("http://127.0.0.1:8090")
    operator = GPTunnelFaceSwapOperator(task_id="swap", conn_id="mine", resume_job_id="j1", **PICTURES)
    assert operator.execute(context)["job_id"] == "j1"


def test_an_operator_and_a_batch_are_refused_before_the_first_submission(
    private, wire, context, store, tmp_path
):
    private("http://127.0.0.1:8090")
    for operator in (
        GPTunnelFaceSwapOperator(task_id="swap", conn_id="mine", **PICTURES),
        FaceSwapBatchOperator(
            task_id="many", conn_id="mine", items=[PICTURES] * 3, destination=f"file://{tmp_path}"
        ),
    ):
        with pytest.raises(InvalidRequestError, match=SETTING):
            operator.execute(context)
    assert wire.requests == []
    assert store.intents == {}
