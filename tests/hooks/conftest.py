"""A wire that the tests answer, seen from the hooks."""

from __future__ import annotations

import json
from collections import deque

import httpx
import pytest
import stamina


class Wire:
    """Answers in the order given, the last answer going on, and remembers every request."""

    def __init__(self):
        self.script = deque()
        self.requests = []
        self.clients = []

    def says(self, *answers):
        """Give answers: an exception, a response, or a body for a 200."""
        self.script.extend(answers)

    def __call__(self, request):
        self.requests.append(request)
        answer = self.script.popleft() if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            # A response object can be read once.
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return httpx.Response(200, json=answer)

    def make(self, cls):
        self.clients.append(cls(transport=httpx.MockTransport(self)))
        return self.clients[-1]

    @property
    def bodies(self):
        return [json.loads(request.content) for request in self.requests if request.content]


@pytest.fixture
def wire(monkeypatch, clock):
    """Every client that a hook makes ends here, and no wait takes time."""
    answering = Wire()
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.api.sync_client", lambda **_: answering.make(httpx.Client)
    )
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.client.async_client", lambda **_: answering.make(httpx.AsyncClient)
    )
    with stamina.set_testing(True, attempts=3, cap=True):
        yield answering


@pytest.fixture
def connect(monkeypatch):
    """Define a connection by an environment variable."""

    def define(conn_id, **fields):
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    return define
