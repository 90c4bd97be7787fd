"""The only place that sends: what leaves, what comes back, and what a failure to answer means."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import stamina

from airflow_provider_faceswap.exceptions import (
    InvalidRequestError,
    MalformedResponseError,
    RateLimitError,
    SubmissionUncertainError,
    VendorError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.http import client as http_client
from airflow_provider_faceswap.http.api import LONGEST_WAIT, MAX_SENDS, ApiClient, retrying
from airflow_provider_faceswap.http.client import async_client, shared_session, sync_client, tls_context
from airflow_provider_faceswap.http.endpoint import Endpoint
from airflow_provider_faceswap.http.rate_limiter import RateLimiter
from airflow_provider_faceswap.vendors.messages import Request
from tests.conftest import DrivenClock

KEY = "shds-topsecret"
ENDPOINT = Endpoint(
    vendor="gptunnel",
    base_url="https://vendor.test/gate",
    headers={"Authorization": KEY},
    secrets=(KEY, "hook-topsecret"),
)


READ = Request("GET", "/v1/result", params={"taskId": "j1"})
CREATE = Request("POST", "/v1/create", body={"prompt": "кот"})


@pytest.fixture(params=["sync", "async"])
def send(request):
    """Send one request in either world, answered by a function."""

    def sync(endpoint, handler, what, **options):
        with httpx.Client(transport=httpx.MockTransport(handler)) as http:
            return endpoint.send(http, what, **options)

    def on_a_loop(endpoint, handler, what, **options):
        async def run():
            async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
                return await endpoint.asend(http, what, **options)

        return asyncio.run(run())

    return {"sync": sync, "async": on_a_loop}[request.param]


def raising(error):
    def handler(request):
        raise error

    return handler


# -- what leaves and what comes back ---------------------------------------------------------------------------


def test_a_request_goes_below_the_base_url_with_key_query_and_json_body(send):
    seen = []

    def handler(request):
        seen.append(request)
        return httpx.Response(200, json={})

    send(ENDPOINT, handler, READ)
    send(ENDPOINT, handler, CREATE)
    read, create = seen
    assert str(read.url) == "https://vendor.test/gate/v1/result?taskId=j1"
    assert (read.method, read.content) == ("GET", b"")
    assert str(create.url) == "https://vendor.test/gate/v1/create"
    assert (create.method, json.loads(create.content)) == ("POST", {"prompt": "кот"})
    assert create.headers["content-type"] == "application/json"
    assert {request.headers["authorization"] for request in seen} == {KEY}


def test_an_answer_is_taken_whatever_its_status_with_headers_in_lower_case(send):
    for status in (200, 302, 404, 503):
        reply = send(
            ENDPOINT, lambda _, status=status: httpx.Response(status, headers={"Retry-After": "7"}), READ
        )
        assert (reply.status_code, reply.retry_after) == (status, 7)


def test_every_secret_is_out_of_all_that_is_made_of_an_answer(send):
    echo = {"message": f"key {KEY} is bad", "secret": "hook-topsecret"}
    reply = send(ENDPOINT, lambda _: httpx.Response(401, json=echo), READ)

    def refuse(reply):
        text = f"{reply.fields['message']}, hook {reply.fields['secret']}"
        raise VendorError(text, code=reply.fields["secret"])

    with pytest.raises(VendorError) as caught:
        ENDPOINT.parsed(reply, refuse)
    assert caught.value.message == "key *** is bad, hook ***"
    assert caught.value.code == "***"
    assert "topsecret" not in repr(reply)


def test_a_redirect_is_not_followed_as_it_would_carry_the_key_away(send):
    seen = []

    def handler(request):
        seen.append(request.url.host)
        return httpx.Response(307, headers={"Location": "https://thief.test/"})

    assert send(ENDPOINT, handler, READ).status_code == 307
    assert seen == ["vendor.test"]


def test_the_clients_do_not_follow_redirects_and_bound_every_wait():
    async def check_async():
        async with async_client() as http:
            return http.follow_redirects, http.timeout

    with sync_client() as http:
        found = [(http.follow_redirects, http.timeout), asyncio.run(check_async())]
    for follows, timeout in found:
        assert follows is False
        assert all(0 < seconds <= 120 for seconds in timeout.as_dict().values())


def test_a_process_makes_one_tls_context():
    assert tls_context() is tls_context()


# -- no answer ------------------------------------------------------------------------------------------------

NOT_SENT = [
    httpx.ConnectError("no route"),
    httpx.ConnectTimeout("too slow"),
    httpx.PoolTimeout("no connection free"),
    # The proxy refused the tunnel.
    httpx.ProxyError("bad gateway"),
    httpx.UnsupportedProtocol("no scheme"),
    httpx.InvalidURL("bad port"),
    UnicodeEncodeError("ascii", "key", 0, 1, "no"),
    # What the HTTP library says of a header that it refuses to send.
    httpx.LocalProtocolError("Illegal header value b'line one\\nline two'"),
]
NOT_ANSWERED = [
    httpx.ReadTimeout("too slow"),
    httpx.WriteTimeout("too slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("broken pipe"),
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
    httpx.DecodingError("bad gzip"),
]


def kind(error):
    return type(error).__name__


@pytest.mark.parametrize("error", NOT_SENT, ids=kind)
@pytest.mark.parametrize("paid", [True, False])
def test_what_was_never_sent_is_unavailable_even_when_it_would_have_bought_something(send, error, paid):
    with pytest.raises(VendorUnavailableError, match="Nothing was sent") as caught:
        send(ENDPOINT, raising(error), CREATE, paid=paid)
    assert caught.value.vendor == "gptunnel"
    assert caught.value.status_code is None


@pytest.mark.parametrize("error", NOT_ANSWERED, ids=kind)
def test_a_paid_request_without_an_answer_is_uncertain(send, error):
    with pytest.raises(SubmissionUncertainError, match="no response came") as caught:
        send(ENDPOINT, raising(error), CREATE, paid=True)
    assert kind(error) in str(caught.value)


@pytest.mark.parametrize("error", NOT_ANSWERED, ids=kind)
def test_a_read_without_an_answer_is_an_unavailable_vendor(send, error):
    with pytest.raises(VendorUnavailableError, match="did not answer"):
        send(ENDPOINT, raising(error), READ)


@pytest.mark.parametrize("paid", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError(f"cannot use {KEY}"),
        httpx.ReadTimeout(f"https://vendor.test/x?sig={KEY} for {KEY}"),
        httpx.ReadError("https://user:word@vendor.test/x?sig=unsigned"),
        httpx.InvalidURL(f"https://vendor.test:{KEY}"),
        UnicodeEncodeError("ascii", KEY, 0, 1, KEY),
        httpx.LocalProtocolError(f"Illegal header value b'{KEY}'"),
    ],
    ids=kind,
)
def test_a_failure_shows_neither_key_nor_query_and_chains_nothing_that_does(send, error, paid):
    with pytest.raises((VendorUnavailableError, SubmissionUncertainError)) as caught:
        send(ENDPOINT, raising(error), CREATE, paid=paid)
    for text in (str(caught.value), repr(caught.value)):
        assert "topsecret" not in text
        assert "unsigned" not in text
        assert "word@" not in text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("key", ["line one\nline two", "tab\there", "null\0byte"])
def test_a_key_that_no_header_can_hold_is_not_shown_in_its_escaped_form(send, key):
    """The HTTP library quotes the header as bytes, where the key looks different."""
    endpoint = Endpoint("gptunnel", "https://vendor.test", {"Authorization": key}, (key,))
    error = httpx.LocalProtocolError(f"Illegal header value {key.encode()!r}")
    with pytest.raises((VendorUnavailableError, SubmissionUncertainError)) as caught:
        send(endpoint, raising(error), CREATE, paid=True)
    shown = repr(key.encode())[2:-1]
    assert shown not in str(caught.value)
    assert shown not in repr(caught.value)


def test_neither_an_endpoint_nor_a_request_shows_a_secret_of_its_own():
    assert "topsecret" not in repr(ENDPOINT)
    body = {"config": {"webhook_config": {"endpoint": "https://hook.test", "secret": "hook-topsecret"}}}
    assert "topsecret" not in repr(Request("POST", "/api/v1/task", body=body))


# -- tries ----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick_tries():
    with stamina.set_testing(True, attempts=99, cap=True):
        yield


def tries_of(*errors):
    """How often something is tried that fails with these errors and then succeeds."""
    script = list(errors)
    done = 0
    for attempt in retrying():
        with attempt:
            done += 1
            if script:
                raise script.pop(0)
    return done


async def atries_of(*errors):
    script = list(errors)
    done = 0
    async for attempt in retrying():
        with attempt:
            done += 1
            if script:
                raise script.pop(0)
    return done


REPEATABLE = [
    VendorUnavailableError("down"),
    RateLimitError("slow"),
    RateLimitError("slow", retry_after=0),
    RateLimitError("slow", retry_after=LONGEST_WAIT),
]


@pytest.mark.parametrize("error", REPEATABLE)
def test_unavailable_and_too_many_requests_are_tried_again_on_a_worker_and_on_a_loop(quick_tries, error):
    assert tries_of(error) == 2
    assert asyncio.run(atries_of(error)) == 2


def test_tries_are_few(quick_tries):
    with pytest.raises(VendorUnavailableError):
        tries_of(*[VendorUnavailableError("down")] * MAX_SENDS)
    assert tries_of(*[VendorUnavailableError("down")] * (MAX_SENDS - 1)) == MAX_SENDS == 3


@pytest.mark.parametrize(
    "error",
    [
        RateLimitError("slow", retry_after=LONGEST_WAIT + 1),
        RateLimitError("slow", retry_after=float("inf")),
        SubmissionUncertainError("sent"),
        InvalidRequestError("bad"),
        MalformedResponseError("odd"),
        RuntimeError("bug"),
    ],
    ids=repr,
)
def test_nothing_else_is_tried_again_and_a_longer_wait_is_left_to_the_schedule(quick_tries, error):
    with pytest.raises(type(error)):
        tries_of(error)
    with pytest.raises(type(error)):
        asyncio.run(atries_of(error))


def test_the_wait_that_was_asked_for_is_the_wait_between_two_tries(monkeypatch):
    """Real tries, with a sleep that only remembers."""
    slept = []
    monkeypatch.setattr("stamina._core._smart_sleep", slept.append, raising=False)
    monkeypatch.setattr("time.sleep", slept.append)
    assert tries_of(RateLimitError("slow", retry_after=7)) == 2
    assert slept == [7]


# -- the shared client ----------------------------------------------------------------------------------------


@pytest.fixture
def made(monkeypatch):
    """Every client that was made, in order."""
    clients = []

    def make(**_):
        clients.append(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))))
        return clients[-1]

    monkeypatch.setattr(http_client, "async_client", make)
    return clients


def test_users_of_one_loop_and_connection_share_a_client_and_the_last_one_closes_it(made):
    async def run():
        async with shared_session("c") as first:
            async with shared_session("c") as second:
                assert first is second
            assert not first.http.is_closed
        assert first.http.is_closed

    asyncio.run(run())
    assert len(made) == 1


def test_users_that_overlap_without_nesting_share_it_too(made):
    async def run():
        entered, leave = asyncio.Event(), asyncio.Event()

        async def other():
            async with shared_session("c") as http:
                entered.set()
                await leave.wait()
                assert not http.http.is_closed

        async with shared_session("c") as http:
            task = asyncio.create_task(other())
            await entered.wait()
        assert not http.http.is_closed
        leave.set()
        await task
        assert http.http.is_closed

    asyncio.run(run())
    assert len(made) == 1


def test_another_connection_has_another_client(made):
    async def run():
        async with shared_session("a") as one, shared_session("b") as two:
            assert one is not two

    asyncio.run(run())
    assert all(client.is_closed for client in made)


def test_a_client_that_was_closed_is_not_handed_out_again(made):
    async def run():
        async with shared_session("c") as first:
            pass
        async with shared_session("c") as second:
            assert second is not first
            assert not second.http.is_closed

    asyncio.run(run())


def test_a_user_who_comes_while_the_client_is_being_closed_gets_a_new_one(made, monkeypatch):
    async def run():
        closing, go_on = asyncio.Event(), asyncio.Event()

        async def leave():
            async with shared_session("c") as http:
                close = http.http.aclose

                async def slow():
                    closing.set()
                    await go_on.wait()
                    await close()

                monkeypatch.setattr(http.http, "aclose", slow)

        task = asyncio.create_task(leave())
        await closing.wait()
        async with shared_session("c") as http:
            go_on.set()
            await task
            assert not http.http.is_closed

    asyncio.run(run())
    assert len(made) == 2
    assert all(client.is_closed for client in made)


@pytest.mark.parametrize("how", ["error", "cancel"])
def test_a_user_who_is_thrown_out_leaves_the_client_to_the_others_and_closes_it_when_last(made, how):
    async def run():
        @asynccontextmanager
        async def thrown_out():
            async with shared_session("c"):
                yield
                raise RuntimeError("thrown out")

        async def waits_for_ever():
            async with shared_session("c"):
                await asyncio.Event().wait()

        async with shared_session("c") as http:
            if how == "error":
                with pytest.raises(RuntimeError):
                    async with thrown_out():
                        pass
            else:
                task = asyncio.create_task(waits_for_ever())
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert not http.http.is_closed
        assert http.http.is_closed

    asyncio.run(run())


def test_each_event_loop_has_its_own_client_even_at_the_same_time(made):
    both_inside = threading.Barrier(2, timeout=5)
    found = []

    def on_a_thread():
        async def run():
            async with shared_session("c") as http:
                both_inside.wait()
                found.append(http)
                both_inside.wait()
                assert not http.http.is_closed

        asyncio.run(run())

    threads = [threading.Thread(target=on_a_thread) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 2
    assert found[0] is not found[1]
    assert all(client.is_closed for client in made)


def test_a_loop_that_is_gone_leaves_nothing_behind(made):
    async def run():
        async with shared_session("c") as session:
            assert session.http is session.http

    for _ in range(3):
        asyncio.run(run())
    gc.collect()
    assert len(made) == 3
    assert all(client.is_closed for client in made)


class Reader:
    """A connection that says where the tests' server is."""

    def __init__(self, base_url):
        self.endpoint = replace(ENDPOINT, base_url=base_url)

    def read(self):
        return self.endpoint

    async def aread(self):
        return self.endpoint


@pytest.fixture
def server():
    """A server that keeps connections, and remembers for each request which one it came over."""
    ports = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.do_POST()

        def do_POST(self):
            ports.append(self.client_address[1])
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", ports
        running.shutdown()


def test_reads_share_a_connection_and_a_submission_never_uses_one_that_was_kept(server):
    url, ports = server
    api = ApiClient("c", Reader(url))
    with api:
        for _ in range(2):
            api.read(READ, lambda reply: reply)
            with api.submitting(CREATE, lambda reply: reply) as submit:
                submit()
    first, submission, second, other = ports
    assert first == second
    assert len({first, submission, other}) == 3


def test_the_same_holds_on_an_event_loop(server):
    url, ports = server
    api = ApiClient("c", Reader(url))

    async def run():
        async with api.session():
            for _ in range(2):
                await api.aread(READ, lambda reply: reply)
                await api.asubmit(CREATE, lambda reply: reply)

    asyncio.run(run())
    first, submission, second, other = ports
    assert first == second
    assert len({first, submission, other}) == 3


def test_a_session_makes_a_client_for_submissions_only_if_something_is_submitted(made):
    async def run():
        async with shared_session("c") as session:
            assert session.http is session.http
            assert len(made) == 1
            assert session.submissions is session.submissions
        assert [client.is_closed for client in made] == [True, True]

    asyncio.run(run())


def test_too_many_requests_slows_all_users_of_the_account(made, monkeypatch):
    clock = DrivenClock()
    monkeypatch.setattr(CLOCK, "source", clock)
    endpoint = replace(ENDPOINT, limiter=RateLimiter())
    other = replace(endpoint, headers={"authorization": "another key"})
    answers = [httpx.Response(429, headers={"Retry-After": "7"}), *[httpx.Response(200)] * 2]

    async def run():
        async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answers.pop(0))) as http:
            assert (await endpoint.asend(http, READ)).status_code == 429
            for later in (other, endpoint):
                await later.limiter.await_turn(None)
                await later.asend(http, READ)

    asyncio.run(run())
    assert clock.slept[0] == 7
    assert len(clock.slept) == 1 or clock.slept[1] < 0.1


@pytest.mark.parametrize("charset", ["hex", "rot13", "nonsense", "base64"])
def test_an_answer_in_a_codec_that_is_none_for_text_is_read_all_the_same(charset):
    headers = {"Content-Type": f"application/json; charset={charset}"}
    answer = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=b'{"id": "j1"}'))
    with httpx.Client(transport=answer) as http:
        assert ENDPOINT.send(http, CREATE, paid=True).fields == {"id": "j1"}
