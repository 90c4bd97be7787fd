"""K7: proxies and certificates of the environment that no client can use."""

from __future__ import annotations

import asyncio
import io
import traceback
from datetime import timedelta

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_faceswap.exceptions import ArchiveError, VendorUnavailableError
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.http import client
from airflow_provider_faceswap.http.download import download
from airflow_provider_faceswap.jobs import Submission
from airflow_provider_faceswap.lifecycle.waiting import wait, wait_async
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator

PICTURES = {"target_image": "https://a.test/1.png", "face_image": "https://a.test/2.png"}
UNUSABLE = [
    ("NO_PROXY", "fd00::/8"),
    ("NO_PROXY", "localhost,[::1]"),
    ("no_proxy", "::1/128"),
    ("NO_PROXY", "https://me:planted@h:port"),
    ("HTTPS_PROXY", "socks5://me:planted@proxy.test:1080"),
    ("HTTPS_PROXY", "socks5h://proxy.test:1080"),
    ("ALL_PROXY", "socks4://me:planted@proxy.test:1"),
    ("https_proxy", "ftp://me:planted@proxy.test:1"),
    ("HTTPS_PROXY", "http://me:plan/ted@proxy.test:1"),
    ("HTTPS_PROXY", "http://me:plan#ted@proxy.test:1"),
    ("HTTP_PROXY", "http://proxy.test:planted"),
    ("HTTP_PROXY", "http://proxy.test:99999"),
    ("HTTP_PROXY", "http://proxy.test:0"),
    ("HTTPS_PROXY", "http://"),
    ("HTTPS_PROXY", "//proxy.test:1"),
    ("ALL_PROXY", "http://[::1"),
    ("HTTPS_PROXY", "http://proxy.test\x7f:1"),
    ("SSL_CERT_FILE", __file__),  # an httpx before 0.28 ignores a file that is not there
]
unusable = pytest.mark.parametrize(
    ("name", "value"), UNUSABLE, ids=[f"{name}={value}" for name, value in UNUSABLE]
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, no_waiting_between_tries, clock):
    for name in ("NO_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(client, "tls_context", client.tls_context.__wrapped__)
    monkeypatch.setattr("airflow_provider_faceswap.http.download.tls_context", client.tls_context)
    # A port at which nobody listens, so that no test leaves the machine.
    monkeypatch.setenv(
        "AIRFLOW_CONN_GPTUNNEL_DEFAULT",
        '{"conn_type": "gptunnel", "password": "k-1", "host": "http://127.0.0.1:9"}',
    )
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "127.0.0.1")


def submission(clock):
    return Submission(
        vendor="gptunnel",
        kind="face_swap",
        job_id="j1",
        conn_id="gptunnel_default",
        submitted_at=clock.moment(),
        deadline=clock.moment() + timedelta(minutes=10),
    )


@unusable
def test_an_environment_that_cannot_be_used_is_one_clear_error_before_anything_is_sent(
    monkeypatch, name, value
):
    monkeypatch.setenv(name, value)
    hook = GPTunnelHook()
    for call in (
        lambda: hook.submit("face_swap", **PICTURES),
        lambda: asyncio.run(hook.asubmit("face_swap", **PICTURES)),
        lambda: hook.fetch("j1", "face_swap"),
        lambda: asyncio.run(hook.afetch("j1", "face_swap")),
        hook.account,
    ):
        with pytest.raises(
            VendorUnavailableError, match=f"environment variable {name} cannot be used"
        ) as caught:
            call()
        assert "Nothing was sent." in str(caught.value)
        assert not isinstance(caught.value, AirflowFailException)
        shown = "".join(traceback.format_exception(caught.value))
        assert "planted" not in shown
        assert "plan/ted" not in shown
    well, text = hook.test_connection()
    assert not well
    assert name in text


@unusable
def test_the_operator_buys_nothing_and_records_nothing(monkeypatch, context, store, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(VendorUnavailableError, match=name):
        GPTunnelFaceSwapOperator(task_id="swap", **PICTURES).execute(context)
    assert store.intents == {}


@pytest.mark.parametrize("asynchronous", [True, False])
@unusable
def test_it_is_no_reason_to_fail_a_paid_job(monkeypatch, clock, name, value, asynchronous):
    lines = []
    monkeypatch.setenv(name, value)
    sleep = clock.sleep

    def mended(seconds):
        sleep(seconds)
        if len(clock.slept) > 2:
            monkeypatch.delenv(name, raising=False)

    def answer(request):
        return httpx.Response(200, json={"id": "j1", "status": "done", "result": "https://a.test/r.png"})

    monkeypatch.setattr(clock, "sleep", mended)
    monkeypatch.setattr(httpx._client, "HTTPTransport", lambda **_: httpx.MockTransport(answer))
    monkeypatch.setattr(httpx._client, "AsyncHTTPTransport", lambda **_: httpx.MockTransport(answer))
    hook = GPTunnelHook()
    if asynchronous:
        waited = asyncio.run(wait_async(hook, submission(clock), log=lines.append))
    else:
        with hook:
            waited = wait(hook, submission(clock), log=lines.append)
    assert waited.outcome == "succeeded"
    assert [line for line in lines if name in line]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NO_PROXY", "localhost,127.0.0.1,.internal,10.0.0.0/8,::1"),
        ("HTTPS_PROXY", "http://me:p%2Fw@proxy.test:3128"),
        ("HTTPS_PROXY", "proxy.test:3128"),
        ("HTTPS_PROXY", "http://[::1]:3128"),
    ],
)
def test_an_environment_that_can_be_used_is_used(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    client.sync_client().close()
    asyncio.run(client.async_client().aclose())


def test_a_proxy_that_is_bypassed_for_all_hosts_is_not_looked_at(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.test")
    monkeypatch.setenv("NO_PROXY", "*")
    client.sync_client().close()


@pytest.mark.parametrize(
    "value", ["socks5://me:planted@p.test:1", "http://me:plan/ted@p.test", "http://p.test:99999"]
)
def test_a_download_hides_the_proxy_too(monkeypatch, names, value):
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ArchiveError, match="HTTPS_PROXY") as caught:
        download("https://files.test/1.png", io.BytesIO(), max_bytes=1000)
    assert "plan" not in str(caught.value)


def test_a_proxy_that_refuses_the_tunnel_has_not_sent_the_submission(monkeypatch):
    """The proxy answers CONNECT with 407; the request, and the key, never leave this machine."""
    received = []

    async def proxy(reader, writer):
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def submit():
        async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:planted@127.0.0.1:{port}")
            await GPTunnelHook("behind").asubmit("face_swap", **PICTURES)

    monkeypatch.setenv("AIRFLOW_CONN_BEHIND", '{"conn_type": "gptunnel", "password": "the-key"}')
    with pytest.raises(VendorUnavailableError, match="407") as caught:
        asyncio.run(submit())
    assert "Nothing was sent." in str(caught.value)
    assert "planted" not in str(caught.value)
    assert received
    assert all(b"the-key" not in head for head in received)
