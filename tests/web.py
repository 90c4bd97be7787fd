"""A web without a network, pictures of every sort, and what jobs return."""

from __future__ import annotations

import io
import socket
from collections import deque
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from PIL import Image

from airflow_provider_faceswap.jobs import Cost, Job, JobState, Submission

PUBLIC = "93.184.216.34"
STARTED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def alone(monkeypatch, no_waiting_between_tries):
    """No proxy of this machine, and no waiting between tries."""
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


@pytest.fixture
def one_after_the_other(monkeypatch):
    """Answers of the tests' web come in an order."""
    monkeypatch.setattr("airflow_provider_faceswap.operators.archive.CONCURRENCY", 1)


class Names:
    """A name service: tells what it was told, and knows what was asked."""

    def __init__(self, really) -> None:
        self.really = really
        self.known: dict[str, deque[list[str]]] = {}
        self.asked: list[str] = []

    def tell(self, host, *answers: list[str]) -> None:
        """The answers are given one after the other, the last one for ever."""
        self.known[host] = deque(answers)

    def __call__(self, host, port, *more, **options):
        if host not in self.known:
            return self.really(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        self.asked.append(host)
        answers = self.known[host]
        found = answers.popleft() if len(answers) > 1 else answers[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in found
        ]


@pytest.fixture
def names(monkeypatch):
    service = Names(socket.getaddrinfo)
    monkeypatch.setattr(socket, "getaddrinfo", service)
    service.tell("files.test", [PUBLIC])
    return service


class Web:
    """Every host there is: answers in the order given, and remembers the requests."""

    def __init__(self) -> None:
        self.answers: deque[httpx.Response | Exception] = deque()
        self.requests: list[httpx.Request] = []

    def will(self, *answers: httpx.Response | Exception | bytes) -> None:
        for answer in answers:
            self.answers.append(httpx.Response(200, content=answer) if isinstance(answer, bytes) else answer)

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def web(monkeypatch, names):
    answering = Web()
    real = httpx.Client

    def client(**options):
        return real(**{**options, "transport": httpx.MockTransport(answering), "trust_env": False})

    monkeypatch.setattr(httpx, "Client", client)
    return answering


@pytest.fixture(scope="session")
def picture():
    """Make the bytes of a picture."""

    def paint(form: str = "PNG", size: tuple[int, int] = (37, 23), colour: str = "teal", **options) -> bytes:
        out = io.BytesIO()
        Image.new("RGB", size, colour).save(out, form, **options)
        return out.getvalue()

    return paint


@pytest.fixture
def made():
    """What a job operator returned; the links carry a signature."""

    def result(vendor="gptunnel", kind="face_swap", job_id="65819c48", *, links=1, **more):
        urls = tuple(f"https://files.test/{job_id}-{n}.png?sig=SECRET{n}" for n in range(links))
        submission = Submission(
            vendor=vendor,
            kind=kind,
            job_id=job_id,
            conn_id=f"{vendor}_default",
            submitted_at=STARTED,
            deadline=STARTED + timedelta(hours=1),
            cost=Cost(amount=15, unit="RUB"),
            provenance=more.pop("provenance", {}),
        )
        job = Job(
            vendor=vendor,
            kind=kind,
            job_id=job_id,
            state=JobState.SUCCEEDED,
            status="done",
            urls=urls,
        )
        told = submission.result(job, seen_at=STARTED + timedelta(minutes=1), retention=timedelta(days=3))
        return {**told.to_xcom(), **more}

    return result


@pytest.fixture
def order(sandbox):
    """Order a fault for the next downloads."""

    def plant(fault, *, times=1):
        where = {"vendor": "files", "operation": "download", "times": times}
        httpx.post(f"{sandbox.url}/sandbox/faults", json={"fault": fault, **where}).raise_for_status()

    return plant


@pytest.fixture
def downloads(sandbox):
    """How many downloads the sandbox has met since its reset."""
    return lambda: sandbox.sandbox.requests["files"]["download"]
