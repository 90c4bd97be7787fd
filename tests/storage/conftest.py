"""A real S3 server in a process of its own, and a door before it that counts requests and can break them."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import threading
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import store as stores
from s3fs import S3FileSystem

ACCESS_KEY = "AKIA7Q2M4X9PLANTED5ZC"
SECRET_KEY = "wJ7kq0Zr+PLANTED/u3VbT9s8LmYx1Ed6Hn2Gc4Fo"

#: Which operation a request is: its method, and what its query has.
_OPERATIONS = (
    ("PUT", "partNumber", "upload_part"),
    ("PUT", "", "put_object"),
    ("POST", "uploads", "create_multipart_upload"),
    ("POST", "uploadId", "complete_multipart_upload"),
    ("DELETE", "uploadId", "abort_multipart_upload"),
    ("DELETE", "", "delete_object"),
    ("HEAD", "", "head_object"),
    ("GET", "list-type", "list_objects"),
    ("GET", "", "get_object"),
)


@pytest.fixture(scope="session")
def moto():
    """The server's address."""
    program = Path(sys.executable).parent / "moto_server"
    quiet = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    server = subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True, env=quiet
    )
    try:
        told = ""
        while (found := re.search(r"http://127\.0\.0\.1:\d+", told)) is None:
            line = server.stderr.readline()
            assert line, f"the server did not start: {told}"
            told += line
        reading = threading.Thread(target=lambda: [None for _ in server.stderr])
        reading.start()
        yield found[0]
    finally:
        server.terminate()
        server.wait(20)
    reading.join()
    server.stderr.close()


@pytest.fixture(scope="session")
def s3(moto):
    """A look at the server past the door, with Amazon's own client."""
    client = boto3.client(
        "s3",
        endpoint_url=moto,
        aws_access_key_id="looking",
        aws_secret_access_key="looking",
        region_name="us-east-1",
    )
    yield client
    client.close()


class Door(ThreadingHTTPServer):
    """
    Passes every request to the server behind it, unless it was told to break it.

    It passes one at a time, as S3 treats the requests for one name. moto looks whether a name is taken and then stores,
    so that two may create it; and to a request whose object is replaced at that moment it answers 500.

    :ivar seen: The operations that came, in their order.
    """

    daemon_threads = True

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind = urlsplit(behind).netloc
        self.turn = threading.Lock()
        self.seen: list[str] = []
        self.rules: dict[str, list] = {}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def counted(self):
        return Counter(self.seen)

    def breaks(self, operation, how, *, after=0, times=None):
        """
        From the request after so many on: ``cut`` the connection in the middle of it, or answer a status.

        ``lost``: pass it on, and cut the connection instead of the answer.

        :param times: Requests that are broken; ``None`` for all.
        """
        self.rules[operation] = [how, after, times]

    def rule(self, operation):
        how, after, times = self.rules.get(operation, (None, 0, None))
        if how is None or times == 0:
            return None
        if after:
            self.rules[operation][1] -= 1
            return None
        if times is not None:
            self.rules[operation][2] -= 1
        return how

    def handle_error(self, request, client_address):
        """Nothing: a cut connection is what was ordered."""


class Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        operation = next(
            name
            for method, mark, name in _OPERATIONS
            if method == self.command and (not mark or mark in query)
        )
        self.server.seen.append(operation)
        how = self.server.rule(operation)
        length = int(self.headers.get("Content-Length") or 0)
        if how == "cut":
            self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.close()
            return
        body = self.rfile.read(length)
        if isinstance(how, int):
            self.answer(how, {"Content-Type": "application/xml"}, ERRORS[how])
            return
        behind = http.client.HTTPConnection(self.server.behind, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        with self.server.turn:
            behind.request(self.command, self.path, body=body, headers={**headers, "Connection": "close"})
            answer = behind.getresponse()
            text = answer.read()
        behind.close()
        if how == "lost":
            self.close_connection = True
            self.connection.close()
            return
        self.answer(answer.status, dict(answer.getheaders()), text)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815 - the base class looks for these names

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "connection", "transfer-encoding", "date", "server"}:
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


ERRORS = {
    403: b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
    409: b"<Error><Code>ConditionalRequestConflict</Code><Message>A conflicting operation occurred</Message></Error>",
    500: b"<Error><Code>InternalError</Code><Message>We encountered an internal error</Message></Error>",
}


@pytest.fixture
def door(moto):
    with Door(moto) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def connection(monkeypatch):
    """Define an Airflow connection to a storage at an address; its id."""

    def define(endpoint, **more):
        conn_id = f"store_{uuid.uuid4().hex[:8]}"
        monkeypatch.setenv(
            f"AIRFLOW_CONN_{conn_id.upper()}",
            json.dumps(
                {
                    "conn_type": "aws",
                    "login": ACCESS_KEY,
                    "password": SECRET_KEY,
                    "extra": {
                        "endpoint_url": endpoint,
                        "region_name": "us-east-1",
                        # A test that breaks something should not wait for the client's patience.
                        "config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 2},
                    },
                    **more,
                }
            ),
        )
        return conn_id

    for name in ("http", "https", "all"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    # Nor for that of the file system above the client, which tries five times, ever more slowly.
    monkeypatch.setattr(S3FileSystem, "retries", 2)
    stores._STORE_CACHE.clear()
    yield define
    stores._STORE_CACHE.clear()


class Bucket:
    """A bucket as the server has it, and as Airflow reaches it through the door."""

    def __init__(self, s3, name, conn_id):
        self.s3, self.name, self.conn_id = s3, name, conn_id

    @property
    def uri(self):
        return f"s3://{self.conn_id}@{self.name}"

    def path(self, key):
        return ObjectStoragePath(f"{self.uri}/{key}")

    def put(self, key, data):
        self.s3.put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key):
        return self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()

    def parts(self, key):
        """Of how many parts the server put the object together; 0 for one that came in one request."""
        tag = self.s3.head_object(Bucket=self.name, Key=key)["ETag"].strip('"')
        return int(tag.partition("-")[2] or 0)

    @property
    def keys(self):
        return sorted(found["Key"] for found in self.s3.list_objects_v2(Bucket=self.name).get("Contents", []))

    @property
    def dangling(self):
        """Uploads that were begun, and neither completed nor aborted."""
        return [found["Key"] for found in self.s3.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]


@pytest.fixture
def bucket(s3, door, connection):
    """An empty bucket of its own."""
    name = f"pictures-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return Bucket(s3, name, connection(door.url))
