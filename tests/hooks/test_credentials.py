"""K7: a credential goes where it does not belong. Types and hosts of connections."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InvalidRequestError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.hooks.base import hook_for, hook_for_connection
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.triggers.job import JobTrigger

PICTURES = {"target_image": "https://a.test/1.png", "face_image": "https://a.test/2.png"}
SECRET = "planted-secret-of-another-service"
JOB = {"id": "j1", "status": "waiting", "percent": 0}
DONE = {"id": "j1", "status": "done", "percent": 100, "result": "https://a.test/r.png"}
HOOKS = {"gptunnel": GPTunnelHook, "tengrai": TengraiHook, "piapi": PiAPIHook}


def calls(hook):
    """Everything of a hook that reads the connection, sync and async."""
    return [
        lambda: hook.submit("face_swap", **PICTURES),
        lambda: asyncio.run(hook.asubmit("face_swap", **PICTURES)),
        lambda: hook.fetch("j1", "face_swap"),
        lambda: asyncio.run(hook.afetch("j1", "face_swap")),
        hook.account,
    ]


# -- types ----------------------------------------------------------------------------------------------------


OTHER_TYPES = ["aws", "http", "postgres", "GPTunnel", "", *HOOKS]


@pytest.mark.parametrize(
    ("name", "conn_type"), [(name, other) for name in HOOKS for other in OTHER_TYPES if other != name]
)
def test_a_hook_sends_nothing_through_a_connection_of_another_type(wire, connect, name, conn_type):
    connect("theirs", conn_type=conn_type, login="AKIA", password=SECRET, host="https://vendor.test")
    for call in calls(HOOKS[name]("theirs")):
        with pytest.raises(InvalidRequestError, match="'theirs'") as caught:
            call()
        assert f"'{name}'" in str(caught.value), "it says which type to set"
        assert SECRET not in "".join(traceback.format_exception(caught.value))
    cancelled = HOOKS[name]("theirs")
    assert cancelled.cancel("j1", "face_swap") is False
    assert asyncio.run(cancelled.acancel("j1", "face_swap")) is False
    assert not HOOKS[name]("theirs").test_connection()[0]
    assert wire.requests == []


@pytest.mark.parametrize(
    "uri", ["//:planted@h", "postgresql://u:planted@h/db", "https://:planted@h", "planted"]
)
def test_a_connection_uri_of_another_type_is_refused(wire, monkeypatch, uri):
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", uri)
    for call in calls(GPTunnelHook("theirs")):
        with pytest.raises(InvalidRequestError, match="'theirs'") as caught:
            call()
        assert "planted" not in str(caught.value)
    assert wire.requests == []


@pytest.mark.parametrize("more", [{}, {"deferrable": True}, {"resume_job_id": "j1"}])
def test_an_operator_does_not_send_an_aws_key_to_the_vendor(wire, connect, context, more):
    connect("aws_default", conn_type="aws", login="AKIA", password=SECRET)
    operator = GPTunnelFaceSwapOperator(task_id="swap", conn_id="aws_default", **PICTURES, **more)
    with pytest.raises(FaceSwapError, match="'aws_default' is of type 'aws'"):
        operator.execute(context)
    assert wire.requests == []


def test_a_crafted_source_of_the_archive_sends_no_other_key(wire, connect, context, tmp_path):
    connect("aws_default", conn_type="aws", password=SECRET)
    source = {"vendor": "piapi", "conn_id": "aws_default", "job_id": "j1", "kind": "face_swap", "url": None}
    operator = ArchiveOperator(task_id="keep", source=source, destination=f"file://{tmp_path}")
    with pytest.raises(InvalidRequestError, match="must be of type 'piapi'"):
        operator.execute(context)
    assert wire.requests == []


def test_a_trigger_row_sends_no_other_key(wire, connect):
    connect("aws_default", conn_type="aws", password=SECRET)
    event = asyncio.run(anext(trigger_for("aws_default").run()))
    assert "is of type 'aws'" in json.dumps(event.payload)
    assert SECRET not in json.dumps(event.payload)
    assert wire.requests == []


def trigger_for(conn_id, **more):
    return JobTrigger(
        submission={
            "vendor": "gptunnel",
            "kind": "face_swap",
            "job_id": "j1",
            "conn_id": conn_id,
            "submitted_at": "2027-01-15T08:00:00+00:00",
            "deadline": "2027-01-15T09:00:00+00:00",
        },
        **more,
    )


@pytest.fixture
def own_type(monkeypatch):
    """A user's own hook, with a connection type of its own."""
    monkeypatch.setattr("airflow_provider_faceswap.hooks.registry._hook_classes", {"gptunnel": GPTunnelHook})

    class StudioHook(GPTunnelHook):
        conn_type = "studio-faces"

    return StudioHook


@pytest.mark.parametrize("conn_type", ["studio-faces", "studio_faces", "gptunnel"])
def test_a_users_own_hook_takes_its_own_type_and_that_of_its_base(wire, connect, own_type, conn_type):
    connect("studio", conn_type=conn_type, password="k-1")
    wire.says(JOB)
    for call in calls(own_type("studio"))[:4]:
        assert call().job_id == "j1"
    assert isinstance(hook_for_connection("studio"), GPTunnelHook)
    with pytest.raises(InvalidRequestError):
        PiAPIHook("studio").fetch("t1", "face_swap")


def test_a_users_own_type_works_in_a_uri(wire, monkeypatch, own_type):
    monkeypatch.setenv("AIRFLOW_CONN_STUDIO", "studio-faces://:k-1@")
    wire.says(JOB)
    assert type(hook_for_connection("studio")) is own_type
    assert hook_for("gptunnel", "studio").fetch("j1", "face_swap").job_id == "j1"


def test_a_users_own_type_works_in_a_triggerer_that_does_not_have_the_hook(
    wire, connect, own_type, monkeypatch
):
    connect("studio", conn_type="studio-faces", password="k-1")
    _, row = trigger_for("studio").serialize()
    assert row["conn_types"] == ["studio-faces"]
    monkeypatch.setattr("airflow_provider_faceswap.hooks.registry._hook_classes", {"gptunnel": GPTunnelHook})
    wire.says(DONE)
    event = asyncio.run(anext(JobTrigger(**row).run()))
    assert event.payload["ending"]["word"] == "succeeded"


def test_a_trigger_row_without_a_users_type_is_as_it_was(monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.hooks.registry._hook_classes", {"gptunnel": GPTunnelHook})
    assert "conn_types" not in trigger_for("gptunnel_default").serialize()[1]


# -- a missing connection (F8) ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOOKS)
def test_a_missing_connection_fails_at_once_and_says_what_to_create(wire, name):
    hook = HOOKS[name]("nowhere")
    submits = [*calls(hook)[:2], hook.account]
    for call in submits:
        with pytest.raises(AirflowFailException, match="'nowhere'") as caught:
            call()
        assert isinstance(caught.value, AirflowNotFoundException)
        assert f"type '{name}'" in str(caught.value)
    with pytest.raises(AirflowFailException, match=r"'nowhere'.*'gptunnel' or 'piapi' or 'tengrai'"):
        hook_for_connection("nowhere")
    assert wire.requests == []


def test_a_connection_that_is_missing_in_a_wait_says_nothing_against_the_job(wire):
    for call in calls(GPTunnelHook("nowhere"))[2:4]:
        with pytest.raises(VendorUnavailableError, match=r"'nowhere'.*job j1"):
            call()


def test_a_backend_that_is_away_is_a_retry(wire, monkeypatch):
    def away(conn_id):
        raise ConnectionError("planted words of a backend")

    monkeypatch.setattr("airflow.providers.common.compat.sdk.BaseHook.get_connection", away)
    with pytest.raises(
        VendorUnavailableError, match=r"'mine' could not be read \(ConnectionError\)"
    ) as caught:
        hook_for_connection("mine")
    assert "planted" not in "".join(traceback.format_exception(caught.value))


# -- hosts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("https://me:planted-word@vendor.test", "user name or a password"),
        ("https://me@vendor.test", "user name or a password"),
        ("http://me:planted/x@vendor.test", "user name or a password"),
        ("https://me:planted@word@vendor.test/v1", "user name or a password"),
        ("https://me:8080/planted@vendor.test", "user name or a password"),
        ("https://vendor.test?key=planted-word", "query or a fragment"),
        ("https://vendor.test/?", "query or a fragment"),
        ("https://vendor.test/x#planted", "query or a fragment"),
        ("https://vendor.test/a/../planted", r"\.\."),
        ("https://vendor.test/%2e%2E/planted", r"\.\."),
        ("https://vendor.test\\planted", "cannot be read"),
        ("https://vendor.test/pl anted", "cannot be read"),
        ("https://vendor.test/pl\nanted", "cannot be read"),
        ("https://vendor.test/\x00planted", "cannot be read"),
        ("https://vendor.test/planted\u202e", "cannot be read"),
        ("https://vendor .test", "cannot be read"),
        ("https://[fe80::1%25planted]", "cannot be read"),
        ("https://[fe80::planted]", "cannot be read"),
        ("https://vendor.test:planted", "cannot be read"),
        ("https://vendor.test:0", "cannot be read"),
        ("https://" + "a" * 100_000, "cannot be read"),
        ("https:vendor.test", "full URL"),
        ("https:///planted", "cannot be read"),
    ],
)
def test_a_host_that_is_more_or_less_than_a_place_is_refused_before_anything_is_sent(
    wire, connect, host, says
):
    connect("mine", conn_type="gptunnel", password="k-1", host=host)
    for call in calls(GPTunnelHook("mine")):
        with pytest.raises(InvalidRequestError, match=says) as caught:
            call()
        assert "planted" not in "".join(traceback.format_exception(caught.value))
    assert wire.requests == []


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("HTTPS://Vendor.TEST", "https://vendor.test/v1/"),
        (" https://vendor.test/ ", "https://vendor.test/v1/"),
        ("https://vendor.test:/proxy/v1", "https://vendor.test/proxy/v1/"),
        ("https://[2606:4700::1]:8443", "https://[2606:4700::1]:8443/v1/"),
        ("https://v1", "https://v1/v1/"),
        ("https://b\u00fccher.test", "https://xn--bcher-kva.test/v1/"),
    ],
)
def test_a_host_that_is_a_place_is_reached(wire, connect, host, reached):
    connect("mine", conn_type="gptunnel", password="k-1", host=host)
    wire.says(JOB)
    GPTunnelHook("mine").fetch("j1", "face_swap")
    assert str(wire.requests[0].url).startswith(reached)
    assert wire.requests[0].headers["authorization"] == "k-1"


def test_plain_http_to_another_machine_is_said_once(wire, connect, caplog):
    connect("in_clear", conn_type="gptunnel", password="k-1", host="http://proxy.test/x")
    wire.says(JOB)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            GPTunnelHook("in_clear").fetch("j1", "face_swap")
            asyncio.run(GPTunnelHook("in_clear").afetch("j1", "face_swap"))
    [warning] = [record.getMessage() for record in caplog.records if "unencrypted" in record.getMessage()]
    assert "'in_clear'" in warning


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:8090", "http://localhost", "http://[::1]:80", "https://proxy.test"]
)
def test_plain_http_on_this_machine_and_https_are_no_reason_to_warn(wire, connect, caplog, host):
    connect("near", conn_type="gptunnel", password="k-1", host=host)
    wire.says(JOB)
    with caplog.at_level(logging.WARNING):
        GPTunnelHook("near").fetch("j1", "face_swap")
    assert not [record for record in caplog.records if "unencrypted" in record.getMessage()]


# -- fields -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", ["", "  ", None])
@pytest.mark.parametrize("name", HOOKS)
def test_an_extra_field_without_a_value_is_not_set(wire, connect, name, nothing):
    fields = (
        "webhook",
        "webhook_secret",
        "service_mode",
        "use_wallet_balance",
        "auth_scheme",
        "requests_per_second",
    )
    connect("mine", conn_type=name, password="k-1", extra=dict.fromkeys(fields, nothing))
    connect("bare", conn_type=name, password="k-1")
    sent = [HOOKS[name](conn_id).prepare("face_swap", **PICTURES) for conn_id in ("mine", "bare")]
    assert sent[0] == sent[1]
    endpoints = [HOOKS[name](conn_id).endpoint() for conn_id in ("mine", "bare")]
    assert endpoints[0] == endpoints[1]


@pytest.mark.parametrize("field", ["webhook_secret", "webhook", "auth_scheme"])
def test_a_field_that_was_saved_as_its_mask_is_refused_with_that_reason(wire, connect, field):
    connect("mine", conn_type="piapi", password="k-1", extra={field: "***"})
    with pytest.raises(
        InvalidRequestError, match=rf"the {field} of connection 'mine' is \*\*\*, which Airflow shows"
    ):
        PiAPIHook("mine").submit("face_swap", **PICTURES)
    assert wire.requests == []


def test_a_key_that_was_saved_as_its_mask_is_refused_with_that_reason(wire, connect):
    connect("mine", conn_type="piapi", password="***")
    with pytest.raises(AuthenticationError, match="which Airflow shows instead of a secret"):
        PiAPIHook("mine").submit("face_swap", **PICTURES)


def test_a_scheme_before_the_key_cannot_add_a_header(wire, connect):
    connect("mine", conn_type="gptunnel", password="k-1", extra={"auth_scheme": "Bearer\r\nX-Evil: 1"})
    with pytest.raises(InvalidRequestError, match="characters that cannot be sent"):
        GPTunnelHook("mine").submit("face_swap", **PICTURES)
    assert wire.requests == []
