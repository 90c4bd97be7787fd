"""What every hook does: reads its connection, buys once, reads patiently, and never shows a secret."""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    FaceSwapError,
    InvalidRequestError,
    JobLostError,
    MalformedResponseError,
    RateLimitError,
    SubmissionUncertainError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from tests.conftest import unknown_job

#: Waits of the rate limiter pass on a driven clock.
pytestmark = pytest.mark.usefixtures("clock")

KEY = "shds-topsecret"
WEBHOOK_SECRET = "hook-topsecret"
PICTURES = {"target_image": "https://a.test/t.jpg", "face_image": "https://a.test/f.jpg"}
JOB = {"id": "j1", "status": "idle", "usage": {"total_cost": 15}}
DONE = {"id": "j1", "status": "done", "percent": 100, "result": "https://a.test/r.png"}


def response(status, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, json={"error": {"message": "no luck"}})


def unauthorized():
    return httpx.Response(401, json={"error": {"message": "no luck", "type": "unauthorized_request_error"}})


@pytest.fixture
def hook(connect):
    connect("gptunnel_default", conn_type="gptunnel", password=KEY, host="https://vendor.test")
    return GPTunnelHook()


class Face:
    """One face of a hook, so that a test can speak to both alike."""

    def __init__(self, world):
        self.world = world

    def _run(self, hook, name, *arguments, **named):
        if self.world == "sync":
            return getattr(hook, name)(*arguments, **named)
        return asyncio.run(getattr(hook, f"a{name}")(*arguments, **named))

    def submit(self, hook, kind="face_swap", **arguments):
        return self._run(hook, "submit", kind, **(arguments or PICTURES))

    def fetch(self, hook, job_id="j1", kind="face_swap"):
        return self._run(hook, "fetch", job_id, kind)


@pytest.fixture(params=["sync", "async"])
def face(request):
    return Face(request.param)


# -- the connection -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"password": ""}, {"password": "   "}])
def test_a_connection_without_a_key_is_said_before_anything_is_sent(face, wire, connect, fields):
    connect("mine", conn_type="gptunnel", host="https://vendor.test", **fields)
    for call in (face.submit, face.fetch):
        with pytest.raises(AuthenticationError, match="'mine' has no API key"):
            call(GPTunnelHook("mine"))
    assert wire.requests == []


@pytest.mark.parametrize("host", ["vendor.test", "vendor.test:8080", "ftp://vendor.test", "https://", "/v1"])
def test_a_host_that_is_no_full_url_is_said_before_anything_is_sent(face, wire, connect, host):
    connect("mine", conn_type="gptunnel", password=KEY, host=host)
    for call in (face.submit, face.fetch):
        with pytest.raises(InvalidRequestError, match="not a full URL"):
            call(GPTunnelHook("mine"))
    assert wire.requests == []


def test_a_connection_that_does_not_exist_buys_nothing(face, wire):
    # Airflow 3.1.0 asks a supervisor that is not there.
    with pytest.raises((AirflowNotFoundException, VendorUnavailableError), match="nowhere"):
        face.submit(GPTunnelHook("nowhere"), **PICTURES)
    assert wire.requests == []


def test_a_connection_that_is_gone_says_nothing_against_the_job(face, wire):
    with pytest.raises(VendorUnavailableError, match="nowhere") as caught:
        face.fetch(GPTunnelHook("nowhere"))
    assert caught.value.job_id
    assert wire.requests == []


def test_spaces_around_a_key_are_cut(face, wire, connect):
    connect("mine", conn_type="gptunnel", password=f" {KEY}\n")
    wire.says(JOB)
    face.fetch(GPTunnelHook("mine"))
    assert wire.requests[0].headers["authorization"] == KEY


def test_a_connection_is_read_once(face, wire, hook, monkeypatch):
    wire.says(JOB)
    face.fetch(hook)
    monkeypatch.delenv("AIRFLOW_CONN_GPTUNNEL_DEFAULT")
    face.fetch(hook)
    assert len(wire.requests) == 2


def test_a_connection_in_uri_form_is_read_too(face, wire, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MINE", "gptunnel://:k-1@")
    wire.says(JOB)
    face.fetch(GPTunnelHook("mine"))
    assert str(wire.requests[0].url).startswith("https://gptunnel.ru/v1/")
    assert wire.requests[0].headers["authorization"] == "k-1"


def test_preparing_a_request_sends_nothing_and_checks_everything(wire, hook):
    request = hook.prepare("face_swap", **PICTURES, webhook=None)
    assert request.body == {"sourceImage": PICTURES["target_image"], "faceImage": PICTURES["face_image"]}
    with pytest.raises(InvalidRequestError, match="face_image"):
        hook.prepare("face_swap", target_image=PICTURES["target_image"])
    with pytest.raises(InvalidRequestError, match="unknown"):
        hook.prepare("swap", **PICTURES)
    assert wire.requests == []


# -- buying ---------------------------------------------------------------------------------------------------


def test_an_accepted_create_is_sent_once(face, wire, hook):
    wire.says(JOB)
    job = face.submit(hook)
    assert (job.job_id, job.cost.amount) == ("j1", 15)
    assert len(wire.requests) == 1


@pytest.mark.parametrize("arguments", [{"target_image": "x"}, {**PICTURES, "colour": "blue"}])
def test_a_wrong_argument_is_refused_before_anything_is_sent(face, wire, hook, arguments):
    with pytest.raises(InvalidRequestError, match="Nothing was bought"):
        face.submit(hook, **arguments)
    assert wire.requests == []


UNCERTAIN = [
    httpx.ReadTimeout("slow"),
    httpx.WriteTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("pipe"),
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
    response(500),
    response(502),
    response(504),
    response(524),
    response(408),
    httpx.Response(200, text=""),
    httpx.Response(200, text='{"id": "65819c48'),
    httpx.Response(200, text="<html>"),
    httpx.Response(204),
]


@pytest.mark.parametrize("answer", UNCERTAIN, ids=str)
def test_a_create_that_may_have_been_accepted_is_uncertain_and_never_sent_again(face, wire, hook, answer):
    wire.says(answer, JOB)
    with pytest.raises(SubmissionUncertainError) as caught:
        face.submit(hook)
    assert len(wire.requests) == 1
    assert caught.value.vendor == "gptunnel"


@pytest.mark.parametrize(
    "answer",
    [
        response(429),
        response(429, Retry_After="0"),
        response(429, Retry_After="10"),
        response(503),
        response(503, Retry_After="5"),
        httpx.ConnectError("no route"),
        httpx.ConnectTimeout("slow"),
        httpx.PoolTimeout("full"),
    ],
    ids=str,
)
def test_a_create_that_certainly_was_not_processed_is_sent_again(face, wire, hook, answer):
    wire.says(answer, answer, JOB)
    assert face.submit(hook).job_id == "j1"
    assert len(wire.requests) == 3
    assert len({request.content for request in wire.requests}) == 1


def test_a_create_that_becomes_uncertain_on_a_later_try_stops_there(face, wire, hook):
    wire.says(httpx.ConnectError("no route"), httpx.ReadTimeout("slow"), JOB)
    with pytest.raises(SubmissionUncertainError):
        face.submit(hook)
    assert len(wire.requests) == 2


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (response(429), RateLimitError),
        (response(503), VendorUnavailableError),
        (httpx.ConnectError("x"), VendorUnavailableError),
    ],
    ids=str,
)
def test_tries_of_a_create_end(face, wire, hook, answer, cls):
    wire.says(answer)
    with pytest.raises(cls):
        face.submit(hook)
    assert len(wire.requests) == 3


def test_a_long_wait_that_a_vendor_asks_for_is_left_to_the_caller(face, wire, hook):
    wire.says(response(429, Retry_After="60"), JOB)
    with pytest.raises(RateLimitError) as caught:
        face.submit(hook)
    assert caught.value.retry_after == 60
    assert len(wire.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_a_refused_create_is_not_sent_again(face, wire, hook, status):
    wire.says(response(status), JOB)
    with pytest.raises(FaceSwapError) as caught:
        face.submit(hook)
    assert caught.value.status_code == status
    assert len(wire.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(face, wire, hook, status):
    wire.says(httpx.Response(status, headers={"Location": "https://thief.test/v1/faceswap/create"}), JOB)
    with pytest.raises(InvalidRequestError, match="redirect"):
        face.submit(hook)
    assert [request.url.host for request in wire.requests] == ["vendor.test"]


def test_a_create_never_travels_on_a_connection_that_was_idle(face, wire, hook):
    """On one that the vendor has just closed, no answer would be ordinary and could mean anything."""
    wire.says(JOB)

    async def among_reads():
        async with hook.session():
            await hook.afetch("j1", "face_swap")
            await hook.asubmit("face_swap", **PICTURES)

    if face.world == "sync":
        with hook:
            hook.fetch("j1", "face_swap")
            hook.submit("face_swap", **PICTURES)
    else:
        asyncio.run(among_reads())
    assert len(wire.clients) == 2
    assert all(client.is_closed for client in wire.clients)


# -- reading --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        response(429),
        response(500),
        response(502),
        response(503),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("no route"),
        httpx.RemoteProtocolError("Server disconnected"),
    ],
    ids=str,
)
def test_a_read_that_fails_is_repeated(face, wire, hook, answer):
    wire.says(answer, answer, DONE)
    assert face.fetch(hook).urls == ("https://a.test/r.png",)
    assert len(wire.requests) == 3


@pytest.mark.parametrize(
    ("answer", "cls", "sent"),
    [
        (response(502), VendorUnavailableError, 3),
        (response(429, Retry_After="60"), RateLimitError, 1),
        (unauthorized(), AuthenticationError, 1),
        (unknown_job("gptunnel"), JobLostError, 1),
        (httpx.Response(403, text="<html>"), MalformedResponseError, 1),
        (httpx.Response(200, text="<html>"), MalformedResponseError, 1),
        (httpx.Response(307, headers={"Location": "https://thief.test/"}), MalformedResponseError, 1),
        (httpx.ReadTimeout("slow"), VendorUnavailableError, 3),
    ],
    ids=str,
)
def test_a_read_that_stays_failed_names_the_job(face, wire, hook, answer, cls, sent):
    wire.says(answer)
    with pytest.raises(cls) as caught:
        face.fetch(hook)
    assert type(caught.value) is cls
    assert caught.value.job_id == "j1"
    assert "j1" in str(caught.value)
    assert len(wire.requests) == sent


def test_a_read_through_a_connection_without_a_key_names_the_connection(face, wire, connect):
    connect("mine", conn_type="gptunnel")
    with pytest.raises(AuthenticationError) as caught:
        face.fetch(GPTunnelHook("mine"))
    assert "mine" in str(caught.value)


def test_a_kind_that_is_unknown_is_said_before_anything_is_sent(face, wire, hook):
    with pytest.raises(InvalidRequestError, match="unknown"):
        face.fetch(hook, kind="swap")
    assert wire.requests == []


# -- clients --------------------------------------------------------------------------------------------------


def test_a_block_keeps_one_client_for_its_reads_and_closes_it(wire, hook):
    wire.says(JOB)
    with hook as same:
        assert same is hook
        for _ in range(3):
            hook.fetch("j1", "face_swap")
        assert len(wire.clients) == 1
        assert not wire.clients[0].is_closed
    assert wire.clients[0].is_closed
    hook.fetch("j1", "face_swap")
    assert len(wire.clients) == 2
    assert wire.clients[1].is_closed


def test_every_client_is_closed_after_a_failure(face, wire, hook):
    wire.says(httpx.ReadTimeout("slow"))
    for call in (face.submit, face.fetch):
        with pytest.raises(FaceSwapError):
            call(hook)
    assert wire.clients
    assert all(client.is_closed for client in wire.clients)


def test_a_session_shares_one_client_among_all_hooks_of_its_connection(wire, hook):
    wire.says(JOB)

    async def run():
        other = GPTunnelHook()
        async with hook.session() as same:
            assert same is hook
            await asyncio.gather(
                *(each.afetch("j1", "face_swap") for each in (hook, other) for _ in range(5))
            )
        return len(wire.clients), wire.clients[0].is_closed

    assert asyncio.run(run()) == (1, True)
    assert len(wire.requests) == 10


def test_a_hook_serves_several_event_loops_one_after_another_and_at_once(wire, hook):
    wire.says(JOB)
    for _ in range(2):
        asyncio.run(hook.afetch("j1", "face_swap"))

    failures = []

    def on_a_thread():
        async def run():
            async with hook.session():
                for _ in range(5):
                    await hook.afetch("j1", "face_swap")

        try:
            asyncio.run(run())
        except Exception as error:  # noqa: BLE001 - handed to the main thread
            failures.append(error)

    threads = [threading.Thread(target=on_a_thread) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert len(wire.clients) == 2 + 4
    assert all(client.is_closed for client in wire.clients)


def test_a_changed_key_needs_no_new_client(wire, connect, clock):
    wire.says(JOB)

    async def run():
        connect("gptunnel_default", conn_type="gptunnel", password="k-1")
        first = GPTunnelHook()
        async with first.session():
            await first.afetch("j1", "face_swap")
            connect("gptunnel_default", conn_type="gptunnel", password="k-2")
            clock.time += 61
            await GPTunnelHook().afetch("j1", "face_swap")

    asyncio.run(run())
    assert len(wire.clients) == 1
    assert [request.headers["authorization"] for request in wire.requests] == ["k-1", "k-2"]


# -- secrets --------------------------------------------------------------------------------------------------

#: Answers that send back what they were sent: in a body, in text, in a broken body.
ECHOES = [
    lambda secret: httpx.Response(401, json={"code": 401, "message": f"bad {secret}", "data": None}),
    lambda secret: httpx.Response(400, json={"code": 400, "message": [secret], "error": {"message": secret}}),
    lambda secret: httpx.Response(400, text=f"<html>{secret}</html>"),
    lambda secret: httpx.Response(502, text=f"upstream said {secret}"),
    lambda secret: httpx.Response(200, text='{"data": "' + secret),
    lambda secret: httpx.Response(404, json={"code": 404, "message": f"no task for {secret}"}),
    lambda secret: httpx.Response(429, json={"message": secret}, headers={"Retry-After": secret}),
    lambda secret: httpx.ConnectError(f"cannot connect with {secret}"),
    lambda secret: httpx.ReadTimeout(f"https://vendor.test/?key={secret} gave nothing to {secret}"),
]


@pytest.mark.parametrize("echo", ECHOES, ids=range(len(ECHOES)))
@pytest.mark.parametrize("secret", [KEY, WEBHOOK_SECRET], ids=["key", "webhook-secret"])
def test_no_error_shows_a_secret_that_the_vendor_sends_back(face, wire, connect, echo, secret, caplog):
    extra = {"webhook": "https://h.test/x", "webhook_secret": WEBHOOK_SECRET}
    connect("mine", conn_type="piapi", password=KEY, host="https://vendor.test", extra=extra)
    hook = PiAPIHook("mine")
    wire.says(echo(secret))
    with caplog.at_level(logging.DEBUG):
        for call in (face.submit, face.fetch):
            with pytest.raises(FaceSwapError) as caught:
                call(hook)
            error = caught.value
            shown = [str(error), repr(error), *traceback.format_exception(error)]
            shown += [repr(value) for value in vars(error).values()]
            assert not [text for text in shown if "topsecret" in text]
        hook.cancel("j1", "face_swap")
    assert "topsecret" not in hook.test_connection()[1]
    assert "topsecret" not in caplog.text


def test_a_secret_given_with_the_job_is_hidden_like_the_connections_own(face, wire, connect):
    connect("mine", conn_type="piapi", password=KEY, host="https://vendor.test")
    wire.says(httpx.Response(400, json={"code": 400, "message": f"bad secret {WEBHOOK_SECRET}"}))
    with pytest.raises(InvalidRequestError) as caught:
        face.submit(PiAPIHook("mine"), **PICTURES, webhook="https://h.test/x", webhook_secret=WEBHOOK_SECRET)
    assert "topsecret" not in str(caught.value)


def test_a_job_whose_record_repeats_the_webhook_secret_does_not_hold_it(face, wire, connect):
    extra = {"webhook": "https://h.test/x", "webhook_secret": WEBHOOK_SECRET}
    connect("mine", conn_type="piapi", password=KEY, extra=extra)
    config = {"webhook_config": {"endpoint": "https://h.test/x", "secret": WEBHOOK_SECRET}}
    task = {
        "task_id": "j1",
        "status": "failed",
        "config": config,
        "error": {"message": f"no {WEBHOOK_SECRET}"},
    }
    wire.says({"code": 200, "data": task})
    for job in (face.submit(PiAPIHook("mine")), face.fetch(PiAPIHook("mine"))):
        assert job.failure == "no ***"
        assert "topsecret" not in job.model_dump_json()


def test_neither_a_hook_nor_its_channel_shows_a_secret(hook):
    assert "topsecret" not in repr(hook.endpoint())
    assert "topsecret" not in repr(hook)


def test_a_prepared_request_does_not_show_the_webhook_secret(connect):
    extra = {"webhook": "https://h.test/x", "webhook_secret": WEBHOOK_SECRET}
    connect("mine", conn_type="piapi", password=KEY, extra=extra)
    request = PiAPIHook("mine").prepare("face_swap", **PICTURES)
    assert request.body["config"]["webhook_config"]["secret"] == WEBHOOK_SECRET
    assert "topsecret" not in repr(request)


def test_a_number_that_json_cannot_hold_is_refused_and_not_a_crash_on_the_way_out(face, wire, connect):
    connect("mine", conn_type="piapi", password=KEY)
    wire.says({})
    with pytest.raises(InvalidRequestError):
        face.submit(PiAPIHook("mine"), "task", model="m", task_type="t", input={"x": float("nan")})
    assert wire.requests == []
