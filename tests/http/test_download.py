"""Downloads: where they may go, what they send, and what they keep."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import socket
import ssl
import sys
import threading
import tracemalloc
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_faceswap import __version__
from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    ResultExpiredError,
    TooLargeError,
    UnsafeURLError,
)
from airflow_provider_faceswap.http.download import MAX_DOWNLOADS, MAX_HOPS, download

pytestmark = pytest.mark.usefixtures("alone", "one_after_the_other")

PUBLIC = "93.184.216.34"
OTHER = "151.101.1.69"
URL = "https://files.test/out/pic.png?sig=SECRET&exp=1"


def fetch(url, *, max_bytes=1_000_000, open_hosts=()):
    into = io.BytesIO(b"what an earlier try left behind")
    into.seek(0, io.SEEK_END)
    told = download(url, into, max_bytes=max_bytes, open_hosts=open_hosts)
    return told, into.read()


def moved(location, status=302, **headers):
    return httpx.Response(status, headers={"location": location, **headers})


# -- what comes back ----------------------------------------------------------------------------------


def test_the_result_is_in_the_file_from_its_beginning(web):
    web.will(b"picture")
    told, data = fetch(URL)
    assert data == b"picture"
    assert (told.size, told.sha256) == (7, hashlib.sha256(b"picture").hexdigest())


@pytest.mark.parametrize("charset", ["hex", "rot13", "no-such", "\xe4", '"'])
def test_what_an_answer_says_of_its_text_does_not_matter(web, charset):
    kind = f"text/plain; charset={charset}".encode("latin-1")
    web.will(
        httpx.Response(302, headers=[(b"content-type", kind), (b"location", b"/next.png")]),
        httpx.Response(200, content=b"picture", headers=[(b"content-type", kind)]),
    )
    assert fetch(URL)[1] == b"picture"


def test_no_credentials_and_no_cookies_are_sent_to_any_hop(web, connections):
    connections("https://vendor.test", key="planted-key")
    web.will(moved("/next.png", **{"set-cookie": "session=1"}), b"picture")
    fetch(URL)
    assert len(web.requests) == 2
    for request in web.requests:
        assert not {"authorization", "x-api-key", "cookie", "proxy-authorization"} & set(request.headers)
        assert "planted-key" not in str(request.headers)
        assert request.headers["accept-encoding"] == "identity"


# -- where it may go ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://files.test/pic.png",
        "HTTP://files.test/pic.png",
        "ftp://files.test/pic.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "//files.test/pic.png",
        "files.test/pic.png",
        "https://",
        "https:///pic.png",
        "",
        "https://me@files.test/pic.png",
        "https://me:pw@files.test/pic.png",
        "https://:pw@files.test/pic.png",
        "https://files.test:99999/pic.png",
        "https://files.test:port/pic.png",
    ],
)
def test_only_plain_https_is_asked(web, names, url):
    with pytest.raises(UnsafeURLError):
        fetch(url)
    assert (web.requests, names.asked) == ([], [])


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1/pic.png?sig=SECRET",
        "https://[no-address]/pic.png?sig=SECRET",
        "https://a..test/pic.png?sig=SECRET",
        f"https://{'a' * 64}.test/pic.png?sig=SECRET",
    ],
    ids=["bracket", "no address in brackets", "empty label", "long label"],
)
def test_an_address_that_makes_no_sense_is_refused_in_words(web, url):
    with pytest.raises(ArchiveError) as told:
        fetch(url)
    assert isinstance(told.value, UnsafeURLError)
    assert "SECRET" not in str(told.value)
    assert web.requests == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["127.8.8.8"],
        ["0.0.0.0"],
        ["10.0.0.1"],
        ["172.16.0.1"],
        ["192.168.1.1"],
        ["100.64.0.1"],
        ["169.254.169.254"],
        ["224.0.0.1"],
        ["240.0.0.1"],
        ["255.255.255.255"],
        ["::1"],
        ["::"],
        ["fe80::1"],
        ["fe80::1%eth0"],
        ["fd00:ec2::254"],
        ["ff02::1"],
        ["2001:db8::1"],
        ["::ffff:127.0.0.1"],
        ["::ffff:169.254.169.254"],
        [PUBLIC, "10.0.0.1"],
        ["10.0.0.1", PUBLIC],
        [PUBLIC, "::1"],
        [],
        # IPv6 forms that carry an IPv4 address, and the private range before fc00::/7.
        ["64:ff9b::a9fe:a9fe"],
        ["64:ff9b:1::a00:1"],
        ["2002:7f00:1::"],
        ["fec0::1"],
        ["2002:a9fe:a9fe::1"],
        ["::a9fe:a9fe"],
        ["::ffff:0:a9fe:a9fe"],
        ["64:ff9b::7f00:1"],
        ["2606:2800:220:1:0:5efe:a9fe:a9fe"],
        ["2606:2800:220:1:200:5efe:a00:1"],
        ["fe80::5efe:5db8:d822"],
        # Teredo: the address of its server, and of its client in inverted bits.
        ["2001:0:a00:1::a247:27dd"],
        ["2001:0:5db8:d822::5601:5601"],
        ["192.0.0.192"],
        ["168.63.129.16"],
        ["64:ff9b:1::5db8:d822"],
    ],
    ids=" ".join,
)
def test_a_name_that_leads_inside_is_refused(web, names, addresses):
    names.tell("files.test", addresses)
    with pytest.raises(UnsafeURLError, match="public"):
        fetch(URL)
    assert web.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b::5db8:d822",
        "::ffff:5db8:d822",
        "2002:5db8:d822::1",
        "2001:0:5db8:d822::a247:27dd",
        "2606:2800:220:1::1",
    ],
)
def test_a_public_address_within_another_is_public(web, names, address):
    names.tell("files.test", [address])
    web.will(b"picture")
    assert fetch(URL)[1] == b"picture"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "127.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[fd00:ec2::254]",
    ],
)
def test_a_private_address_is_refused_however_it_is_spelled(web, host):
    with pytest.raises(UnsafeURLError):
        fetch(f"https://{host}/pic.png")
    assert web.requests == []


def test_a_public_address_needs_no_name(web):
    web.will(b"picture")
    assert fetch(f"https://{PUBLIC}/pic.png")[1] == b"picture"


@pytest.mark.parametrize(
    ("url", "address", "reached"),
    [
        (URL, PUBLIC, (PUBLIC, "files.test")),
        ("https://FILES.test/pic.png", PUBLIC, (PUBLIC, "files.test")),
        ("https://files.test:8443/pic.png", PUBLIC, (f"{PUBLIC}:8443", "files.test:8443")),
        (URL, "2606:2800:220:1::1", ("[2606:2800:220:1::1]", "files.test")),
    ],
)
def test_the_checked_address_is_connected_to_under_the_real_name(web, names, url, address, reached):
    names.tell("files.test", [address], ["10.0.0.1"])
    web.will(b"picture")
    fetch(url)
    (request,) = web.requests
    assert (request.url.netloc.decode(), request.headers["host"]) == reached
    assert request.extensions["sni_hostname"] == "files.test"
    assert (
        request.url.raw_path.decode() == url.removeprefix("https://").partition("/")[1] + url.split("/", 3)[3]
    )
    assert names.asked == ["files.test"]


def test_a_name_in_another_script_is_sent_in_its_ascii_form(web, names):
    names.tell("картинки.test", [PUBLIC])
    names.tell("xn--80aqafcrtq.test", [PUBLIC])
    web.will(b"picture")
    assert fetch("https://картинки.test/pic.png")[1] == b"picture"
    assert web.requests[0].headers["host"] == "xn--80aqafcrtq.test"


def test_a_name_that_is_not_known_is_asked_again(web, names, monkeypatch):
    asked = []

    def unknown(host, *more, **options):
        asked.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ArchiveError, match="cannot be resolved") as told:
        fetch(URL)
    assert asked == ["files.test"] * MAX_DOWNLOADS
    assert not isinstance(told.value, AirflowFailException)


def test_another_address_of_the_name_is_tried_where_the_first_does_not_answer(web, names):
    names.tell("files.test", [PUBLIC, OTHER])
    web.will(httpx.ConnectError("unreachable"), b"picture")
    assert fetch(URL)[1] == b"picture"
    assert [request.url.host for request in web.requests] == [PUBLIC, OTHER]


DEAD = [f"2606:2800:220:1::{number}" for number in range(1, 5)]


def test_the_families_of_addresses_alternate_and_share_the_time_to_connect(web, names):
    names.tell("files.test", [*DEAD, PUBLIC])
    web.will(httpx.ConnectTimeout("dead"), b"picture")
    assert fetch(URL)[1] == b"picture"
    assert [request.url.host for request in web.requests] == [DEAD[0], PUBLIC]
    assert all(request.extensions["timeout"]["connect"] == 2 for request in web.requests)


def test_each_try_begins_with_another_address(web, names):
    names.tell("files.test", [PUBLIC, OTHER])
    web.will(httpx.ReadTimeout("slow"), b"picture")
    fetch(URL)
    assert [request.url.host for request in web.requests] == [PUBLIC, OTHER]


def test_a_download_names_this_package_and_its_version(web):
    web.will(b"picture")
    fetch(URL)
    assert web.requests[0].headers["user-agent"] == f"airflow-provider-faceswap/{__version__}"


def test_an_open_host_may_be_private_and_plain_http(web, names):
    web.will(b"picture")
    assert fetch("http://127.0.0.1:8090/pic.png", open_hosts={"127.0.0.1"})[1] == b"picture"
    assert web.requests[0].url.netloc == b"127.0.0.1:8090"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.2/pic.png", "http://localhost/pic.png", "http://127.0.0.1.files.test/pic.png"]
)
def test_an_open_host_opens_no_other(web, url):
    with pytest.raises(UnsafeURLError):
        fetch(url, open_hosts={"127.0.0.1"})
    assert web.requests == []


def test_even_an_open_host_gets_no_credentials(web):
    with pytest.raises(UnsafeURLError):
        fetch("http://me:pw@127.0.0.1/pic.png", open_hosts={"127.0.0.1"})
    assert web.requests == []


# -- redirects ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/moved/pic.png?sig=NEXT", ("files.test", "/moved/pic.png?sig=NEXT")),
        ("other.png", ("files.test", "/out/other.png")),
        ("?sig=NEXT", ("files.test", "/out/pic.png?sig=NEXT")),
        ("//cdn.test/pic.png", ("cdn.test", "/pic.png")),
        ("https://cdn.test/pic.png", ("cdn.test", "/pic.png")),
    ],
)
def test_a_redirect_is_followed_and_pinned_anew(web, names, status, location, leads_to):
    names.tell("cdn.test", [OTHER])
    web.will(moved(location, status), b"picture")
    assert fetch(URL)[1] == b"picture"
    last = web.requests[-1]
    host = last.headers["host"]
    assert (host, last.url.raw_path.decode()) == leads_to
    assert last.method == "GET"
    assert last.url.host == {"files.test": PUBLIC, "cdn.test": OTHER}[host]
    assert last.extensions["sni_hostname"] == host


@pytest.mark.parametrize(
    "location",
    [
        "http://files.test/pic.png",
        "https://inside.test/pic.png",
        "https://127.0.0.1/pic.png",
        "http://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/pic.png",
        "https://me:pw@files.test/pic.png",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("open_host", [False, True])
def test_a_redirect_to_a_place_that_is_not_public_https_is_refused(web, names, location, open_host):
    names.tell("inside.test", ["10.0.0.1"])
    web.will(moved(location))
    url = "http://opened.test/pic.png" if open_host else URL
    with pytest.raises(UnsafeURLError):
        fetch(url, open_hosts={"opened.test"})
    assert len(web.requests) == 1


def test_a_name_is_checked_again_at_each_hop(web, names):
    names.tell("files.test", [PUBLIC], ["10.0.0.1"])
    web.will(moved("/next.png"))
    with pytest.raises(UnsafeURLError):
        fetch(URL)
    assert names.asked == ["files.test"] * 2
    assert len(web.requests) == 1


def test_as_many_redirects_are_followed_as_the_message_says(web):
    web.will(*[moved(f"/{n}.png") for n in range(MAX_HOPS)], b"picture")
    assert fetch(URL)[1] == b"picture"


def test_one_redirect_more_is_a_trap(web):
    web.will(*[moved(f"/{n}.png?sig=SECRET") for n in range(MAX_HOPS + 3)])
    with pytest.raises(UnsafeURLError, match=f"more than {MAX_HOPS} redirects") as told:
        fetch(URL)
    assert len(web.requests) <= MAX_HOPS + 1
    assert "SECRET" not in str(told.value)


@pytest.mark.parametrize("headers", [{}, {"location": "https://[::1?sig=SECRET"}, {"location": ""}])
def test_a_redirect_to_nowhere_ends(web, headers):
    web.will(*[httpx.Response(302, headers=headers) for _ in range(20)])
    with pytest.raises(ArchiveError) as told:
        fetch(URL)
    assert "SECRET" not in str(told.value)


# -- how much -----------------------------------------------------------------------------------------


class Drip:
    """A body that counts what was taken from it."""

    def __init__(self, chunk, times) -> None:
        self.chunk, self.times, self.given = chunk, times, 0

    def __iter__(self):
        while self.given < self.times:
            self.given += 1
            yield self.chunk


def test_the_cap_itself_is_allowed(web):
    web.will(bytes(1000))
    assert fetch(URL, max_bytes=1000)[0].size == 1000


def test_an_announced_excess_is_refused_before_a_byte_is_read(web):
    body = Drip(bytes(100), 100)
    web.will(httpx.Response(200, headers={"content-length": "1001"}, content=body))
    with pytest.raises(TooLargeError, match="larger than the limit of 1000 bytes"):
        fetch(URL, max_bytes=1000)
    assert body.given == 0
    assert len(web.requests) == 1


@pytest.mark.parametrize(
    "headers", [{}, {"content-length": "12"}, {"content-length": "many"}, {"content-length": "-1"}]
)
def test_a_body_longer_than_it_says_is_cut_off(web, headers):
    body = Drip(bytes(300_000), 10_000)
    web.will(httpx.Response(200, headers=headers, content=body))
    with pytest.raises(TooLargeError, match="larger than the limit of 1000000 bytes"):
        fetch(URL)
    assert body.given < 10
    assert len(web.requests) == 1


class Sink(io.RawIOBase):
    """Takes everything, keeps nothing."""

    def seekable(self):
        return True

    def seek(self, *_):
        return 0

    def truncate(self, *_):
        return 0

    def read(self, *_):
        return b""

    def write(self, data):
        return len(data)


def test_memory_stays_flat(web):
    web.will(httpx.Response(200, content=Drip(bytes(64 * 1024), 1024)))
    tracemalloc.start()
    try:
        told = download(URL, Sink(), max_bytes=100_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert told.size == 64 * 1024 * 1024
    assert peak < 4 * 1024 * 1024


# -- what goes wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_dead_link_is_not_asked_again(web, status):
    web.will(httpx.Response(status, text="<Error/>"))
    with pytest.raises(ResultExpiredError, match=f"HTTP {status}"):
        fetch(URL)
    assert len(web.requests) == 1


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 416, 418])
def test_any_other_answer_is_an_error_at_once(web, status):
    web.will(httpx.Response(status))
    with pytest.raises(ArchiveError, match=f"HTTP {status}") as told:
        fetch(URL)
    assert len(web.requests) == 1
    assert not isinstance(told.value, AirflowFailException)


TRANSIENT = [
    lambda: httpx.Response(429),
    lambda: httpx.Response(500),
    lambda: httpx.Response(503, headers={"retry-after": "3600"}),
    lambda: httpx.ConnectError("down"),
    lambda: httpx.ReadTimeout("slow"),
    lambda: httpx.RemoteProtocolError("cut"),
]


@pytest.mark.parametrize("trouble", TRANSIENT)
def test_a_passing_trouble_is_met_with_another_try(web, trouble):
    web.will(trouble(), trouble(), b"picture")
    assert fetch(URL)[1] == b"picture"


@pytest.mark.parametrize("trouble", TRANSIENT)
def test_a_lasting_trouble_is_left_to_the_tasks_own_retries(web, trouble):
    web.will(*[trouble() for _ in range(MAX_DOWNLOADS + 1)])
    with pytest.raises(ArchiveError) as told:
        fetch(URL)
    assert len(web.requests) == MAX_DOWNLOADS
    assert not isinstance(told.value, AirflowFailException)


def broken_off():
    yield b"half"
    raise httpx.RemoteProtocolError("peer closed connection")


def test_what_a_broken_try_left_is_not_in_the_file(web):
    web.will(httpx.Response(200, content=broken_off()), b"pic")
    told, data = fetch(URL)
    assert data == b"pic"
    assert (told.size, told.sha256) == (3, hashlib.sha256(b"pic").hexdigest())


def test_a_file_that_is_not_whole_is_fetched_again(web, picture):
    whole = picture("PNG", (60, 40))
    damaged = whole[:45] + bytes([whole[45] ^ 1]) + whole[46:]
    web.will(whole[:16], damaged, whole)
    assert fetch(URL)[1] == whole


def test_what_is_cut_each_time_is_handed_over_as_it_is(web, picture):
    web.will(*[picture()[:-1]] * MAX_DOWNLOADS)
    assert fetch(URL)[1] == picture()[:-1]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", "br", "zstd", "x-unknown"])
def test_an_encoding_that_was_not_asked_for_is_refused_before_it_is_decoded(web, encoding):
    bodies = [Drip(gzip.compress(bytes(2_000_000)), 1) for _ in range(2)]
    answers = [httpx.Response(200, headers={"content-encoding": encoding}, content=body) for body in bodies]
    web.will(*answers, b"picture")
    assert fetch(URL)[1] == b"picture"
    assert [body.given for body in bodies] == [0, 0]


@pytest.mark.parametrize("encoding", ["identity", "Identity", "", "aws-chunked"])
def test_a_body_that_is_called_plain_is_read(web, encoding):
    web.will(httpx.Response(200, headers={"content-encoding": encoding}, content=b"picture"))
    assert fetch(URL)[1] == b"picture"


def test_a_body_that_drips_has_a_limit_of_time(web, clock):
    def drip():
        while True:
            clock.sleep(10)
            yield b"."

    web.will(httpx.Response(200, content=drip()))
    with pytest.raises(ArchiveError, match=r"files\.test/out/pic\.png did not arrive within 900 s") as told:
        fetch(URL)
    assert not isinstance(told.value, AirflowFailException)
    assert 900 <= clock.time - 1_800_000_000 < 1000


def test_a_try_that_is_given_up_writes_nothing_more(alone):
    """Headers and body drip over a real socket, so that no read ever takes long."""
    stop = threading.Event()

    def serve(listener):
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.02):
                connection.sendall(b".")

    into = io.BytesIO()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(ArchiveError, match="did not arrive within"):
            download(url, into, max_bytes=100_000, open_hosts={"127.0.0.1"}, seconds=0.3)
        size = len(into.getvalue())
        threading.Event().wait(0.1)
        stop.set()
        thread.join()
    assert len(into.getvalue()) == size


SIGNED = "https://files.test/out/pic.png?sig=SECRET"


@pytest.mark.parametrize(
    ("url", "answers"),
    [
        (SIGNED, [httpx.Response(404)]),
        (SIGNED, [httpx.Response(400)]),
        (SIGNED, [httpx.Response(500) for _ in range(3)]),
        (SIGNED, [httpx.ReadTimeout(SIGNED) for _ in range(3)]),
        (SIGNED, [httpx.Response(200, content=bytes(2_000_000))]),
        (SIGNED, [moved(f"{SIGNED}{n}") for n in range(9)]),
        (SIGNED, [moved("http://files.test/?sig=SECRET")]),
        (SIGNED, [moved("https://files.test:99999/?sig=SECRET")]),
        ("http://files.test/?sig=SECRET", []),
        ("https://files.test/#SECRET", [httpx.Response(404)]),
        ("https://127.0.0.1/?sig=SECRET", []),
        ("https://nowhere.test/?sig=SECRET", []),
        ("https://me:SECRET@files.test/", []),
        ("HTTPS://files.test/?sig=SECRET", [httpx.Response(404)]),
        ("https://files.test/?disposition='x'&sig=SECRET", [httpx.Response(404)]),
        ('https://files.test/?name="x"&sig=SECRET', [httpx.Response(404)]),
        ("https://files.test/?a=<b>&sig=SECRET", [httpx.Response(404)]),
        ("https://me:p@SECRET@files.test/", []),
        ("https://me'SECRET:pw@files.test/", []),
        ("ftp://me:SECRET@files.test/?sig=SECRET", []),
    ],
)
def test_no_message_tells_the_query_or_a_password(web, url, answers):
    web.will(*answers)
    with pytest.raises(ArchiveError) as told:
        fetch(url)
    assert "SECRET" not in str(told.value)


# -- over real sockets --------------------------------------------------------------------------------


@pytest.fixture
def uploaded(sandbox, picture):
    """A link to a picture in the sandbox's storage, and the picture."""
    data = picture()
    answer = httpx.post(
        f"{sandbox.url}/api/ephemeral_resource",
        headers={"x-api-key": sandbox.key},
        json={"file_name": "pic.png", "file_data": base64.b64encode(data).decode()},
    )
    return answer.json()["data"]["url"], data


LOOPBACK = {"127.0.0.1"}


def test_a_real_download_arrives_whole(uploaded, downloads):
    url, data = uploaded
    assert fetch(url, open_hosts=LOOPBACK)[1] == data
    assert downloads() == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"type": "truncate"},
        {"type": "drop", "when": "before"},
        {"type": "drop", "when": "after"},
        {"type": "status", "status": 503},
        {"type": "status", "status": 429, "retry_after": 60},
    ],
)
@pytest.mark.parametrize("lasting", [False, True])
def test_a_real_trouble_is_met_with_another_try_and_nothing_partial_counts(
    uploaded, order, downloads, fault, lasting
):
    url, data = uploaded
    order(fault, times=None if lasting else 2)
    if lasting:
        with pytest.raises(ArchiveError) as told:
            fetch(url, open_hosts=LOOPBACK)
        assert not isinstance(told.value, AirflowFailException)
        assert "sig=" not in str(told.value)
    else:
        assert fetch(url, open_hosts=LOOPBACK)[1] == data
    assert downloads() == MAX_DOWNLOADS


@pytest.mark.parametrize("fault", [{"type": "expired"}, {"type": "status", "status": 403}])
def test_a_really_expired_link_is_told_as_such(uploaded, order, downloads, fault):
    order(fault)
    with pytest.raises(ResultExpiredError):
        fetch(uploaded[0], open_hosts=LOOPBACK)
    assert downloads() == 1


def test_a_changed_signature_is_an_expired_link(uploaded):
    with pytest.raises(ResultExpiredError):
        fetch(uploaded[0] + "x", open_hosts=LOOPBACK)


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/meta-data", "http://localhost/pic.png", "https://10.0.0.1/"]
)
def test_a_real_redirect_to_a_private_place_is_refused(uploaded, order, downloads, location):
    order({"type": "redirect", "location": location})
    with pytest.raises(UnsafeURLError):
        fetch(uploaded[0], open_hosts=LOOPBACK)
    assert downloads() == 1


def test_a_real_redirect_to_an_open_host_is_followed(uploaded, order, downloads):
    url, data = uploaded
    order({"type": "redirect", "location": url})
    assert fetch(url, open_hosts=LOOPBACK)[1] == data
    assert downloads() == 2


def test_without_the_setting_nothing_is_asked(uploaded, downloads):
    with pytest.raises(UnsafeURLError, match="allowed_private_hosts"):
        fetch(uploaded[0])
    assert downloads() == 0


# -- TLS and proxies ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of files.test that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "files.test")])
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("files.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "files.test.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Site:
    """A TLS server on loopback; as a proxy, it answers CONNECT and then plays the host itself."""

    def __init__(self, certificate, *, proxy=False) -> None:
        self.proxy = proxy
        self.heads: list[str] = []
        self.names: list[str | None] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.context.sni_callback = lambda _, name, __: self.names.append(name)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def serve(self) -> None:
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            connection.settimeout(10)
            with connection, suppress(OSError):
                self.answer(connection)

    def answer(self, connection) -> None:
        if self.proxy:
            self.heads.append(self.read(connection))
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with self.context.wrap_socket(connection, server_side=True) as secured:
            self.heads.append(self.read(secured))
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\npicture")

    @staticmethod
    def read(connection) -> str:
        data = b""
        while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
            data += more
        return data.decode()


@contextmanager
def running(site):
    thread = threading.Thread(target=site.serve, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.socket.shutdown(socket.SHUT_RDWR)
        site.socket.close()
        thread.join(10)


@pytest.fixture
def trusted(monkeypatch, certificate):
    context = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr("airflow_provider_faceswap.http.download.tls_context", lambda: context)


@pytest.fixture
def site(certificate, trusted):
    with running(Site(certificate)) as serving:
        yield serving


@pytest.fixture
def proxy(certificate, trusted):
    with running(Site(certificate, proxy=True)) as serving:
        yield serving


@pytest.fixture
def dialled(monkeypatch):
    """Who is called; public addresses are put through to a server on loopback."""

    class Exchange:
        def __init__(self) -> None:
            self.calls: list[tuple[str, int]] = []
            self.to: int | None = None
            self.really = socket.create_connection

        def __call__(self, address, *more, **options):
            self.calls.append(tuple(address))
            if address[0] != "127.0.0.1":
                if self.to is None:
                    raise ConnectionRefusedError("nobody is put through")
                address = ("127.0.0.1", self.to)
            return self.really(address, *more, **options)

    exchange = Exchange()
    monkeypatch.setattr(socket, "create_connection", exchange)
    return exchange


def test_the_pinned_connection_is_to_the_checked_address_and_proves_the_name(names, dialled, site):
    names.tell("files.test", [PUBLIC], ["127.0.0.1"])
    dialled.to = site.port
    assert fetch(URL)[1] == b"picture"
    assert dialled.calls == [(PUBLIC, 443)]
    assert names.asked == ["files.test"]
    assert site.names == ["files.test"]
    (head,) = site.heads
    assert head.startswith("GET /out/pic.png?sig=SECRET&exp=1 HTTP/1.1\r\n")
    assert "\r\nhost: files.test\r\n" in head.lower()


def test_a_certificate_of_another_name_is_not_accepted(names, dialled, site):
    names.tell("impostor.test", [PUBLIC])
    dialled.to = site.port
    with pytest.raises(ArchiveError, match="could not be read"):
        fetch("https://impostor.test/pic.png?sig=SECRET")
    assert dialled.calls == [(PUBLIC, 443)] * MAX_DOWNLOADS
    assert site.heads == []


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_behind_a_proxy_the_proxy_is_asked_by_name(names, dialled, proxy, monkeypatch, variable):
    monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    assert fetch(URL)[1] == b"picture"
    assert dialled.calls == [("127.0.0.1", proxy.port)]
    assert names.asked == []
    connect, get = proxy.heads
    assert connect.startswith("CONNECT files.test:443 ")
    assert "SECRET" not in connect
    assert get.startswith("GET /out/pic.png?sig=SECRET&exp=1 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:169.254.169.254]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "2130706433",
        "127.1",
        "0x7f.1",
        "169.254.169.254.",
        "169。254。169。254",
        "[::a9fe:a9fe]",
        "[::ffff:0:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[2001:0:a9fe:a9fe::]",
        "[2606:2800:220:1::5efe:a9fe:a9fe]",
    ],
)
def test_a_proxy_is_not_asked_for_a_private_address(dialled, proxy, monkeypatch, host):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    with pytest.raises(UnsafeURLError):
        fetch(f"https://{host}/pic.png")
    assert dialled.calls == []


@pytest.mark.parametrize("exception", ["files.test", "*", ".test,files.test"])
def test_a_host_that_goes_past_the_proxy_is_checked_and_pinned(names, dialled, site, monkeypatch, exception):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", exception)
    dialled.to = site.port
    assert fetch(URL)[1] == b"picture"
    assert dialled.calls == [(PUBLIC, 443)]
    names.tell("files.test", ["10.0.0.1"])
    with pytest.raises(UnsafeURLError):
        fetch(URL)


def test_a_host_and_port_that_go_past_the_proxy_are_checked_too(names, dialled, proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "files.test:8443")
    names.tell("files.test", ["10.0.0.1"])
    with suppress(ArchiveError):
        fetch("https://files.test:8443/pic.png")
    assert {host for host, _ in dialled.calls} <= {"127.0.0.1"}


@pytest.mark.parametrize("address", ["socks5://me:planted@proxy.test:1080", "ftp://me:planted@proxy.test:1"])
def test_a_proxy_that_cannot_be_used_is_said_without_its_password(names, monkeypatch, address):
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("https_proxy", address)
    with pytest.raises(ArchiveError, match="variable https_proxy cannot be used") as told:
        fetch(URL)
    assert "planted" not in str(told.value)
    assert names.asked == []


def test_an_open_host_is_reached_without_the_proxy(uploaded, dialled, proxy, monkeypatch):
    for variable in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    url, data = uploaded
    assert fetch(url, open_hosts=LOOPBACK)[1] == data
    assert proxy.heads == []
