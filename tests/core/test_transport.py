"""Sending: reads are repeated, creates are not, and nothing secret is shown."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import stamina

from airflow_provider_faceswap import exceptions as e
from airflow_provider_faceswap import transport
from airflow_provider_faceswap.transport import Channel, shared_client
from airflow_provider_faceswap.vendors.base import Request

CHANNEL = Channel("piapi", "https://vendor.test", {"x-api-key": "planted"}, ("planted", ""))
CREATE = Request("POST", "/task", body={"a": 1})
READ = Request("GET", "/task/1", params={"q": "x"})


def client(answer):
    def handler(request):
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    return httpx.Client(transport=httpx.MockTransport(handler))


def send(answer, request=READ, **how):
    with client(answer) as http:
        return CHANNEL.send(http, request, **how)


def test_a_request_goes_below_the_base_url_with_the_key():
    seen = []
    reply = send(lambda request: seen.append(request) or httpx.Response(200, json={"a": 1}))
    assert str(seen[0].url) == "https://vendor.test/task/1?q=x"
    assert seen[0].headers["x-api-key"] == "planted"
    assert reply.body == {"a": 1}


def test_a_secret_that_the_vendor_echoes_is_gone_before_anything_reads_it():
    reply = send(httpx.Response(401, json={"message": "bad key planted"}))
    assert "planted" not in reply.text
    assert reply.fields["message"] == "bad key ***"


def test_a_redirect_is_not_followed():
    reply = send(httpx.Response(302, headers={"location": "https://evil.test/"}))
    assert reply.status_code == 302


NOT_SENT = [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x")]
LOST = [
    httpx.ReadTimeout("x"),
    httpx.WriteTimeout("x"),
    httpx.ReadError("x"),
    httpx.WriteError("x"),
    httpx.RemoteProtocolError("x"),
    httpx.ProxyError("x"),
    httpx.DecodingError("x"),
]


@pytest.mark.parametrize("error", NOT_SENT, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("paid", [True, False])
def test_a_connection_that_never_opened_bought_nothing(error, paid):
    with pytest.raises(e.VendorUnavailableError, match="Nothing was sent"):
        send(error, CREATE, paid=paid)


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_a_paid_request_without_an_answer_is_uncertain(error):
    with pytest.raises(e.SubmissionUncertainError, match="no answer came"):
        send(error, CREATE, paid=True)
    with pytest.raises(e.VendorUnavailableError, match="did not answer"):
        send(error, READ)


def test_an_error_text_holds_neither_key_nor_query_nor_cause():
    with pytest.raises(e.VendorUnavailableError) as caught:
        send(httpx.ReadError("GET https://a.test/x?sig=signed with planted"))
    assert "planted" not in str(caught.value)
    assert "signed" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("base_url", ["https://a.test:port", "https://a.test/\x00"])
def test_a_host_that_cannot_be_parsed_is_said(base_url):
    channel = Channel("piapi", base_url, {}, ())
    with pytest.raises(e.VendorUnavailableError, match="Correct the connection"), client(None) as http:
        channel.send(http, READ)


def test_a_key_that_no_header_can_carry_is_said():
    channel = Channel("piapi", "https://a.test", {"x-api-key": "ключ"}, ("ключ",))
    with pytest.raises(e.VendorUnavailableError, match="key cannot be sent"), client(None) as http:
        channel.send(http, READ)


def test_the_async_face_means_the_same():
    async def lost():
        handler = httpx.MockTransport(lambda request: (_ for _ in ()).throw(httpx.ReadTimeout("x")))
        async with httpx.AsyncClient(transport=handler) as http:
            await CHANNEL.asend(http, CREATE, paid=True)

    with pytest.raises(e.SubmissionUncertainError):
        asyncio.run(lost())


# -- repeating ----------------------------------------------------------------------------------------


def tries(error) -> int:
    made = 0

    def fail() -> None:
        nonlocal made
        for attempt in transport.attempts():
            with attempt:
                made += 1
                raise error

    with stamina.set_testing(True, attempts=3, cap=True), pytest.raises(type(error)):
        fail()
    return made


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (e.VendorUnavailableError("down"), 3),
        (e.RateLimitError("slow"), 3),
        (e.RateLimitError("slow", retry_after=0), 3),
        (e.RateLimitError("slow", retry_after=3600), 1),
        (e.SubmissionUncertainError("lost"), 1),
        (e.AuthenticationError("key"), 1),
        (e.MalformedResponseError("odd"), 1),
        (e.InvalidRequestError("no"), 1),
    ],
)
def test_only_what_was_certainly_not_processed_is_repeated(error, expected):
    assert tries(error) == expected


# -- shared clients -----------------------------------------------------------------------------------


def test_one_client_serves_a_loop_and_a_connection_until_its_last_user_leaves():
    async def use():
        async with shared_client("a") as first:
            async with shared_client("a") as second, shared_client("b") as other:
                assert first is second
                assert first is not other
            assert not first.is_closed
            assert other.is_closed
        assert first.is_closed
        async with shared_client("a") as fresh:
            assert fresh is not first
        return first

    clients = [asyncio.run(use()) for _ in range(2)]
    assert clients[0] is not clients[1]


def test_one_tls_context_serves_the_process():
    assert transport.tls_context() is transport.tls_context()
