"""What many tests need: a home for Airflow that is not the user's, connections, a driven clock, a sandbox."""

from __future__ import annotations

import atexit
import importlib
import importlib.metadata
import json
import operator
import os
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path

import httpx
import pytest
import stamina

# Airflow reads its settings when it is first imported.
_HOME = tempfile.mkdtemp(prefix="faceswap-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ.update(
    {
        "AIRFLOW_HOME": _HOME,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # A test that fails should fail soon.
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).resolve().parent.parent / "example_dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        # Tests put pictures into folders of their own.
        "AIRFLOW__FACESWAP__ALLOWED_LOCAL_PATHS": tempfile.gettempdir(),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
)

from airflow_provider_faceswap.foundation.clock import CLOCK, Clock  # noqa: E402 - not before Airflow's settings
from tests.sizes import FULL, SIZES  # noqa: E402 - not before Airflow's settings
from tests.stack import stack  # noqa: E402, F401 - a fixture; not before Airflow's settings
from tests.web import (  # noqa: E402, F401 - fixtures; not before Airflow's settings
    alone,
    downloads,
    made,
    names,
    one_after_the_other,
    order,
    picture,
    web,
)

KEY = "sandbox-key"


def pytest_collection_modifyitems(config, items):
    """Leave what is marked ``full`` to the full size."""
    if SIZES is FULL:
        return
    left = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def needs(feature: str, *, at: str, has: str = ""):
    """
    Mark a test of something that old Airflows lack.

    Only the run on the lowest version (``make test-matrix``) skips it; elsewhere its absence is a failure.

    :param at: The module that has it.
    :param has: Its name there, dotted; where empty, the module itself is what is looked for.
    """
    lacking = False
    if os.environ.get("FACESWAP_MATRIX") == "lowest":
        try:
            module = importlib.import_module(at)
            if has:
                operator.attrgetter(has)(module)
        except (ImportError, AttributeError):
            lacking = True
    return pytest.mark.skipif(lacking, reason=f"the lowest supported Airflow has no {feature}")


#: Features that tests in several files need.
NEEDS_STATE_STORE = needs("task state store", at="airflow.sdk", has="NEVER_EXPIRE")
NEEDS_PROVIDER_COMMANDS = needs(
    "commands of providers",
    at="airflow.providers_manager",
    has="ProvidersManager.initialize_providers_cli_command",
)
NEEDS_PROVIDER_FORMS = needs(
    "forms in a provider's description",
    at="airflow.providers_manager",
    has="ProvidersManager._load_ui_metadata",
)
NEEDS_PROVIDER_SETTINGS = needs("settings of providers outside its core", at="airflow.sdk.configuration")


class DrivenClock(Clock):
    """
    Time that passes only when somebody sleeps. To let it pass otherwise, add to ``time``.

    :ivar steps: What the system's time steps by, in order, each in the middle of one sleep.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now
        self.slept: list[float] = []
        self.steps: list[float] = []
        self._stepped = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time - self._stepped

    def step(self, seconds: float) -> None:
        """Set the system's time, as an administrator or a time server does. No time passes."""
        self.time += seconds
        self._stepped += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        if self.steps:
            self.step(self.steps.pop(0))

    def pause(self, seconds: float, stop: object) -> None:
        del stop
        self.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class FakeStore:
    """A task state store in a dict, which can be told to fail."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.broken_for: str | None = None

    def get(self, key, default=None):
        if self.broken_for == "get":
            raise ConnectionError("store is down")
        return self.values.get(key, default)

    def set(self, key, value, **options):
        if self.broken_for == "set":
            raise ConnectionError("store is down")
        self.values[key] = json.loads(json.dumps(value))

    @property
    def intents(self) -> dict[str, object]:
        """What is recorded, without the mark by which Airflow 3.4 shows that a clear has deleted nothing."""
        return {
            key: value
            for key, value in self.values.items()
            if not isinstance(value, dict) or value.get("purchases") != 0
        }


def on_a_triggerer(trigger, task_instance):
    """The trigger, as the triggerer hands it its task instance."""
    # A property since Airflow 3.3, whose setter asks more of what it is given.
    name = "_task_instance" if hasattr(type(trigger), "task_instance") else "task_instance"
    setattr(trigger, name, task_instance)
    return trigger


class FakeTaskInstance:
    """As much of a task instance as the operators look at."""

    dag_id = "a_dag"
    run_id = "a_run"
    task_id = "a_task"
    map_index = -1
    try_number = 1
    max_tries = 0


@pytest.fixture
def clock(monkeypatch):
    """A driven clock for the whole package."""
    driven = DrivenClock()
    monkeypatch.setattr(CLOCK, "source", driven)
    return driven


@pytest.fixture
def store(monkeypatch):
    import airflow.sdk

    # An Airflow without a store lacks this word too; with it the same tests run there.
    if not hasattr(airflow.sdk, "NEVER_EXPIRE"):
        monkeypatch.setattr("airflow.sdk.NEVER_EXPIRE", "never", raising=False)
    return FakeStore()


@pytest.fixture
def context(store):
    """The context of a task on the newest Airflow, with its task state store."""
    return {"ti": FakeTaskInstance(), "task_state_store": store}


@pytest.fixture
def connections(monkeypatch):
    """Define connections by environment variables; call it with a base URL."""

    def define(base_url: str, key: str = KEY, **extra: object) -> None:
        for vendor in ("gptunnel", "tengrai", "piapi"):
            monkeypatch.setenv(
                f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT",
                json.dumps({"conn_type": vendor, "host": base_url, "password": key, "extra": extra}),
            )

    return define


@pytest.fixture(scope="session")
def database():
    """``dag.test()`` keeps its run in a database; that of Airflow 3.1.0 wants to find the Dag there too."""
    wanted = [["db", "migrate"]]
    if importlib.metadata.version("apache-airflow-core") == "3.1.0":
        wanted.append(["dags", "reserialize"])
    for command in wanted:
        subprocess.run([sys.executable, "-m", "airflow", *command], check=True, capture_output=True)


@pytest.fixture(scope="session")
def sandbox_server():
    from airflow_provider_faceswap.sandbox import SandboxServer

    with SandboxServer(job_seconds=0.2, key=KEY) as server:
        yield server


@pytest.fixture
def sandbox(sandbox_server, connections, monkeypatch):
    """The three vendors over real sockets, clean, with connections that point at them."""
    httpx.post(f"{sandbox_server.url}/sandbox/reset").raise_for_status()
    connections(sandbox_server.url)
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
    return sandbox_server


class Vendor:
    """Answers requests in the order given, and remembers them."""

    def __init__(self) -> None:
        self.answers: deque[httpx.Response | Exception] = deque()
        self.requests: list[httpx.Request] = []

    def will(self, *answers: dict | httpx.Response | Exception) -> None:
        for answer in answers:
            self.answers.append(httpx.Response(200, json=answer) if isinstance(answer, dict) else answer)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def creates(self) -> list[dict]:
        """The bodies of the paid requests."""
        return [
            json.loads(request.content)
            for request in self.requests
            if request.method == "POST" and not request.url.path.endswith("result")
        ]


@pytest.fixture
def vendor(monkeypatch, connections, no_waiting_between_tries):
    """All three vendors' wire, answered by the test."""
    answering = Vendor()
    transport = httpx.MockTransport(answering)
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.api.sync_client", lambda **_: httpx.Client(transport=transport)
    )
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.client.async_client",
        lambda **_: httpx.AsyncClient(transport=transport),
    )
    connections("https://vendor.test")
    return answering


@pytest.fixture(autouse=True)
def paces_of_this_test(monkeypatch):
    """A queue that another test filled, maybe at another clock's time, is none of this one's."""
    monkeypatch.setattr("airflow_provider_faceswap.http.rate_limiter._limiters", {})


@pytest.fixture
def no_waiting_between_tries():
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


#: What each vendor answers to a poll of a job that it does not have.
UNKNOWN_JOB = {
    "gptunnel": (400, {"error": {"message": "Task not found", "type": "invalid_request_error"}}),
    "tengrai": (404, {"message": "Artwork not found", "statusCode": 404, "error": "Not Found"}),
    "piapi": (404, {"code": 404, "message": "task not found", "data": None}),
}


def unknown_job(vendor: str) -> httpx.Response:
    """The vendor's answer to a poll of a job that it does not have."""
    status, body = UNKNOWN_JOB[vendor]
    return httpx.Response(status, json=body)


PICTURE = "https://pictures.test/target.jpg"
FACE = "https://pictures.test/face.jpg"


def task(status: str, job_id: str = "65819c485337280001a609e7", **more: object) -> dict:
    """An answer of GPTunneL's task family."""
    return {"id": job_id, "type": "@FaceSwap", "status": status, "percent": 0, "error": None, **more}


@pytest.fixture
def answer():
    return task


@pytest.fixture
def pictures():
    return {"target_image": PICTURE, "face_image": FACE}
