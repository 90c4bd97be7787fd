"""The three hooks: each with its connection type, its default id, its key's place and its vendor's words."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    InvalidRequestError,
    MalformedResponseError,
    PermissionDeniedError,
)
from airflow_provider_faceswap.get_provider_info import get_provider_info
from airflow_provider_faceswap.hooks.base import hook_for, hook_for_connection
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook

HOOKS = {"gptunnel": GPTunnelHook, "tengrai": TengraiHook, "piapi": PiAPIHook}
HOSTS = {"gptunnel": "gptunnel.ru", "tengrai": "api.tengr.ai", "piapi": "api.piapi.ai"}
KEY_HEADERS = {
    "gptunnel": ("authorization", "k-1"),
    "tengrai": ("authorization", "Bearer k-1"),
    "piapi": ("x-api-key", "k-1"),
}
CREATES = {
    "gptunnel": "/v1/faceswap/create",
    "tengrai": "/v2/artworks/face-swap",
    "piapi": "/api/v1/task",
}
READS = {
    "gptunnel": "/v1/faceswap/result?taskId=j1",
    "tengrai": "/v2/artworks/j1",
    "piapi": "/api/v1/task/j1",
}
ACCOUNTS = {"gptunnel": "/v1/balance", "tengrai": "/v2/artworks?limit=1", "piapi": "/account/info"}
JOBS = {
    "gptunnel": {"id": "j1", "status": "idle"},
    "tengrai": {"id": "j1", "status": "starting"},
    "piapi": {"code": 200, "data": {"task_id": "j1", "status": "pending"}},
}
FINE_ACCOUNTS = {
    "gptunnel": {"orgId": "org", "balance": 12},
    "tengrai": [],
    "piapi": {"code": 200, "data": {"name": "studio"}},
}
PICTURES = {"target_image": "https://a.test/t.jpg", "face_image": "https://a.test/f.jpg"}

each_vendor = pytest.mark.parametrize("name", list(HOOKS))


@pytest.fixture
def hook(name, connect):
    connect(f"{name}_default", conn_type=name, password="k-1")
    return HOOKS[name]()


@each_vendor
def test_a_hook_has_its_connection_type_and_default_id(name):
    cls = HOOKS[name]
    assert (cls.conn_type, cls.default_conn_name, cls.vendor.name) == (name, f"{name}_default", name)
    assert cls().conn_id == f"{name}_default"
    assert cls("mine").conn_id == cls(conn_id="mine").conn_id == "mine"


@each_vendor
def test_the_provider_info_registers_the_hook_under_its_connection_type(name):
    (entry,) = [
        entry for entry in get_provider_info()["connection-types"] if entry["connection-type"] == name
    ]
    cls = HOOKS[name]
    assert entry["hook-class-name"] == f"{cls.__module__}.{cls.__name__}"
    assert entry["hook-name"] == cls.hook_name


@each_vendor
def test_without_a_host_the_requests_go_to_the_vendor(name, hook, wire):
    wire.says(JOBS[name])
    job = hook.submit("face_swap", **PICTURES)
    assert (job.vendor, job.kind, job.job_id) == (name, "face_swap", "j1")
    hook.fetch("j1", "face_swap")
    assert [(request.method, str(request.url)) for request in wire.requests] == [
        ("POST", f"https://{HOSTS[name]}{CREATES[name]}"),
        ("GET", f"https://{HOSTS[name]}{READS[name]}"),
    ]


@each_vendor
@pytest.mark.parametrize(
    "host", ["https://proxy.test", "https://proxy.test/", "https://proxy.test/{version}"]
)
def test_a_host_is_a_full_base_url_with_or_without_the_version(name, wire, connect, host):
    host = host.format(version=HOOKS[name].vendor.version_prefix.strip("/"))
    connect("mine", conn_type=name, password="k-1", host=host)
    wire.says(JOBS[name])
    HOOKS[name]("mine").submit("face_swap", **PICTURES)
    assert str(wire.requests[0].url) == f"https://proxy.test{CREATES[name]}"


@each_vendor
def test_the_key_travels_in_the_vendors_own_header_and_nowhere_else(name, hook, wire):
    wire.says(JOBS[name])
    hook.submit("face_swap", **PICTURES)
    asyncio.run(hook.afetch("j1", "face_swap"))
    header, value = KEY_HEADERS[name]
    for request in wire.requests:
        assert request.headers[header] == value
        assert ("authorization" in request.headers) is (header == "authorization")
        assert "k-1" not in str(request.url)
        assert b"k-1" not in request.content


@each_vendor
def test_the_async_face_sends_and_reads_the_same(name, hook, wire):
    wire.says(JOBS[name])
    sync = [hook.submit("face_swap", **PICTURES), hook.fetch("j1", "face_swap")]

    async def run():
        return [await hook.asubmit("face_swap", **PICTURES), await hook.afetch("j1", "face_swap")]

    assert asyncio.run(run()) == sync
    half = len(wire.requests) // 2
    sent = [(request.method, str(request.url), request.content) for request in wire.requests]
    assert sent[:half] == sent[half:]


@each_vendor
def test_the_test_button_makes_one_free_call(name, hook, wire):
    wire.says(FINE_ACCOUNTS[name] if name != "tengrai" else httpx.Response(200, json=[]))
    fine, text = hook.test_connection()
    assert fine
    assert text.startswith(f"{name}: ")
    (request,) = wire.requests
    assert (request.method, request.url.raw_path.decode()) == ("GET", ACCOUNTS[name])


@each_vendor
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.Response(401, json={"message": "Unauthorized"}), "valid API key"),
        (httpx.Response(403, text="no"), "HTTP 403"),
        (httpx.Response(302, headers={"Location": "https://thief.test"}), "redirect"),
        (httpx.Response(200, text="<html>"), "the reply"),
        (httpx.ConnectError("no route"), "could not be reached"),
    ],
)
def test_the_test_button_says_what_is_wrong_and_never_raises(name, hook, wire, answer, says):
    wire.says(answer)
    fine, text = hook.test_connection()
    assert not fine
    assert any(part in text for part in says.split("|"))
    assert "k-1" not in text


@each_vendor
def test_the_test_button_knows_a_missing_key_and_a_bad_host(name, wire, connect):
    connect("no_key", conn_type=name)
    connect("bad_host", conn_type=name, password="k-1", host="vendor.test")
    assert HOOKS[name]("no_key").test_connection()[0] is False
    assert HOOKS[name]("bad_host").test_connection()[0] is False
    assert wire.requests == []


@each_vendor
def test_a_wrong_key_is_an_authentication_error_and_a_wrong_scope_a_permission_error(name, hook, wire):
    wire.says(httpx.Response(401, json={"message": "no"}), httpx.Response(403, json={"message": "no"}))
    with pytest.raises(AuthenticationError):
        hook.submit("face_swap", **PICTURES)
    with pytest.raises(PermissionDeniedError):
        hook.submit("face_swap", **PICTURES)
    assert len(wire.requests) == 2


@each_vendor
def test_a_hook_is_found_by_its_vendor_and_by_its_connection(name, connect):
    connect("mine", conn_type=name, password="k-1")
    for found in (hook_for(name, "mine"), hook_for_connection("mine")):
        assert type(found) is HOOKS[name]
        assert found.conn_id == "mine"


@pytest.mark.parametrize("conn_type", ["http", "", "GPTunnel"])
def test_a_connection_of_another_type_is_refused_with_its_name(conn_type, connect):
    connect("mine", conn_type=conn_type, password="k-1")
    with pytest.raises(InvalidRequestError, match="'mine'"):
        hook_for_connection("mine")


# -- cancel ---------------------------------------------------------------------------------------------------


def test_only_piapi_has_a_cancel_and_the_others_send_nothing(wire, connect):
    wire.says({"code": 200})
    for name, cls in HOOKS.items():
        connect(f"{name}_default", conn_type=name, password="k-1")
        hook = cls()
        confirmed = hook.cancel("j1", "face_swap")
        assert asyncio.run(hook.acancel("j1", "face_swap")) is confirmed
        assert confirmed is (name == "piapi")
    assert [(request.method, request.url.path) for request in wire.requests] == [
        ("DELETE", "/api/v1/task/j1")
    ] * 2


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"code": 400, "message": "not pending"}),
        httpx.Response(200, json={"code": 500}),
        httpx.Response(502, text="<html>"),
        httpx.Response(429, headers={"Retry-After": "1"}),
        httpx.ConnectError("no route"),
        httpx.ReadTimeout("slow"),
    ],
    ids=str,
)
def test_piapi_ambiguity_3_a_cancel_is_tried_once_never_raises_and_is_then_not_confirmed(
    wire, connect, answer
):
    connect("piapi_default", conn_type="piapi", password="k-1")
    wire.says(answer)
    hook = PiAPIHook()
    assert hook.cancel("j1", "face_swap") is False
    assert asyncio.run(hook.acancel("j1", "face_swap")) is False
    assert len(wire.requests) == 2


def test_a_cancel_without_a_key_is_not_confirmed_either(wire, connect):
    connect("piapi_default", conn_type="piapi")
    assert PiAPIHook().cancel("j1", "face_swap") is False
    assert asyncio.run(PiAPIHook().acancel("j1", "face_swap")) is False
    assert wire.requests == []


def test_a_cancel_without_a_connection_is_not_confirmed_either(wire):
    assert PiAPIHook("gone").cancel("j1", "face_swap") is False
    assert asyncio.run(PiAPIHook("gone").acancel("j1", "face_swap")) is False
    assert wire.requests == []


# -- what a connection gives for all its jobs -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "extra", "arguments", "sent"),
    [
        ("gptunnel", {"use_wallet_balance": True}, {}, {"useWalletBalance": True}),
        (
            "gptunnel",
            {"use_wallet_balance": True},
            {"use_wallet_balance": False},
            {"useWalletBalance": False},
        ),
        ("gptunnel", {"use_wallet_balance": None}, {}, {}),
        ("gptunnel", {"webhook": "https://h.test/c"}, {}, {"webhook": "https://h.test/c"}),
        (
            "gptunnel",
            {"webhook": "https://h.test/c"},
            {"webhook": "https://h.test/a"},
            {"webhook": "https://h.test/a"},
        ),
        ("tengrai", {"webhook": "https://h.test/c"}, {}, {"webhook": "https://h.test/c"}),
        ("piapi", {"service_mode": "public"}, {}, {"config": {"service_mode": "public"}}),
        (
            "piapi",
            {"webhook": "https://h.test/c", "webhook_secret": "w"},
            {},
            {"config": {"webhook_config": {"endpoint": "https://h.test/c", "secret": "w"}}},
        ),
        (
            "piapi",
            {"webhook_secret": "w"},
            {"webhook": "https://h.test/a"},
            {"config": {"webhook_config": {"endpoint": "https://h.test/a", "secret": "w"}}},
        ),
        ("piapi", {"webhook_secret": "w"}, {}, {}),
        ("tengrai", {"service_mode": "public", "colour": "blue"}, {}, {}),
    ],
)
@pytest.mark.parametrize("world", ["sync", "async"])
def test_what_the_connection_gives_fills_what_is_not_set(name, extra, arguments, sent, world, wire, connect):
    connect("mine", conn_type=name, password="k-1", extra=extra)
    wire.says(JOBS[name])
    hook = HOOKS[name]("mine")
    if world == "sync":
        hook.submit("face_swap", **PICTURES, **arguments)
    else:
        asyncio.run(hook.asubmit("face_swap", **PICTURES, **arguments))
    (body,) = wire.bodies
    pictures = {"sourceImage", "targetImage", "faceImage", "model", "task_type", "input"}
    assert {key: value for key, value in body.items() if key not in pictures} == sent


def test_a_default_of_the_connection_goes_only_to_the_kinds_that_know_it(wire, connect):
    extra = {"use_wallet_balance": True, "webhook": "https://h.test/c"}
    connect("mine", conn_type="gptunnel", password="k-1", extra=extra)
    wire.says({"code": 0, "id": "j1", "status": "idle"})
    GPTunnelHook("mine").submit("image", model="m", prompt="p")
    assert wire.bodies == [{"model": "m", "prompt": "p"}]


def test_gptunnel_ambiguity_8_a_scheme_word_is_the_connections_choice(wire, connect):
    connect("mine", conn_type="gptunnel", password=" k-1 ", extra={"auth_scheme": "Bearer"})
    connect("theirs", conn_type="gptunnel", password="Bearer k-1")
    wire.says(JOBS["gptunnel"])
    for conn_id in ("mine", "theirs"):
        GPTunnelHook(conn_id).fetch("j1", "face_swap")
    assert [request.headers["authorization"] for request in wire.requests] == ["Bearer k-1"] * 2


def test_piapi_ambiguity_11_a_failed_task_under_an_error_status_is_bought_and_failed(wire, connect):
    connect("piapi_default", conn_type="piapi", password="k-1")
    task = {
        "task_id": "j1",
        "status": "failed",
        "input": None,
        "error": {"message": "failed to get valid image"},
    }
    wire.says(httpx.Response(500, json={"code": 500, "data": task}))
    job = PiAPIHook().submit("face_swap", **PICTURES)
    assert (job.job_id, job.state) == ("j1", "failed")
    assert len(wire.requests) == 1


def test_an_account_that_cannot_be_read_is_an_error_where_it_is_asked_for_directly(wire, connect):
    connect("gptunnel_default", conn_type="gptunnel", password="k-1")
    wire.says({"balance": None})
    with pytest.raises(MalformedResponseError):
        GPTunnelHook().account()
