"""Commands in this process, with a clock that is ahead of the real one, and vendors that answer as told."""

from __future__ import annotations

import json
import signal
from collections import deque
from dataclasses import dataclass

import httpx
import pytest

from airflow_provider_faceswap.cli.__main__ import main
from airflow_provider_faceswap.foundation.clock import CLOCK
from tests.integration.conftest import HastyClock

TARGET = "https://pictures.test/target.jpg"
FACE = "https://pictures.test/face.jpg"
SWAP = ("swap", "--conn-id", "gptunnel_default", "--target", TARGET, "--face", FACE)
JOB_ID = "65819c485337280001a609e7"


@dataclass
class Done:
    """How a command ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def told(self):
        """Stdout as the one object that it is."""
        return json.loads(self.stdout)


@pytest.fixture(autouse=True)
def hasty(monkeypatch, no_waiting_between_tries):
    clock = HastyClock()
    monkeypatch.setattr(CLOCK, "source", clock)
    return clock


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    """A folder of its own; and the commands set a variable of the process, which ends with the test."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capfd):
    """Run a command as ``python -m airflow_provider_faceswap.cli`` does."""

    def command(*arguments, output="json"):
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments), "--output", output])
        return Done(int(ended.value.code), *capfd.readouterr())

    return command


@pytest.fixture
def charged(sandbox):
    """How many jobs were paid for."""
    return lambda: httpx.get(f"{sandbox.url}/sandbox/ledger").json()["creates"]


class Wire:
    """Answers in the order given; one that can be called is called while its request is on its way."""

    def __init__(self):
        self.answers = deque()
        self.requests = []

    def will(self, *answers):
        self.answers.extend(answers)

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.popleft()
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(200, json=answer) if isinstance(answer, dict) else answer


@pytest.fixture
def wire(monkeypatch, connections):
    """What the vendors answer, told by the test."""
    answering = Wire()
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.api.sync_client",
        lambda **_: httpx.Client(transport=httpx.MockTransport(answering)),
    )
    connections("https://vendor.test")
    return answering


@pytest.fixture(autouse=True)
def at_a_shell():
    """What runs in a shell's background, or under nohup, ignores some signals; a person's command does not."""
    heard = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
