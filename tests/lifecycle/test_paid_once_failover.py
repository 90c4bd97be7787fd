"""K3, K4: with several connections, changed arguments, clears and two attempts at once, a job is still paid once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.http.rate_limiter import RateLimiter
from airflow_provider_faceswap.lifecycle.polling import Poller
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from tests.conftest import NEEDS_STATE_STORE, FakeStore
from tests.sizes import SIZES

pytestmark = NEEDS_STATE_STORE

CONNECTIONS = ("a", "b", "c")
NEVER = float("inf")
MANNERS = ("answered", "answered", "busy", "no credit", "lost on the way there", "lost on the way back")
FATES = ((0, "done"), (5, "failed"), (1, "failed"), (NEVER, "processing"))


@dataclass
class Bought:
    """A job that a vendor will charge."""

    job_id: str
    conn_id: str
    body: dict
    epoch: int
    ends_at: float
    fate: str
    forgotten: bool = False
    replaced: bool = False

    def state(self, now: float) -> str:
        return self.fate if now >= self.ends_at else "processing"


@dataclass
class Accounts:
    """Three accounts, one task instance, and what they have seen."""

    clock: object
    store: FakeStore = field(default_factory=FakeStore)
    jobs: list[Bought] = field(default_factory=list)
    manners: list[str] = field(default_factory=list)
    fate: tuple[float, str] = FATES[0]
    target: int = 0
    most: int = 2
    conn_ids: list[str] = field(default_factory=lambda: ["a", "b"])
    meanwhile: list[str] | None = None
    lines: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    ti: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            dag_id="a_dag", run_id="a_run", task_id="swap", map_index=-1, try_number=1, max_tries=0
        )
    )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/create"):
            return self._create(request.url.host.partition(".")[0], json.loads(request.content))
        job = next((job for job in self.jobs if job.job_id == request.url.params["taskId"]), None)
        if job is None or job.forgotten:
            return httpx.Response(404, json={"message": "not found"})
        return httpx.Response(200, json=self._shown(job))

    def _create(self, conn_id: str, body: dict) -> httpx.Response:
        manner = self.manners.pop(0) if self.manners else "answered"
        # The record of another request is replaced, so going back to earlier arguments buys anew.
        for job in self.jobs:
            job.replaced |= job.body != body
        if manner == "busy":
            return httpx.Response(429, json={"message": "busy"}, headers={"retry-after": "900"})
        if manner == "no credit":
            return httpx.Response(402, json={"message": "balance too low"})
        if manner == "lost on the way there":
            raise httpx.ReadTimeout("no answer")
        self._check(conn_id, body)
        now = self.clock.now()
        job_id = f"{len(self.jobs) + 1:024d}"
        job = Bought(job_id, conn_id, body, self.ti.max_tries, now + self.fate[0], self.fate[1])
        self.jobs.append(job)
        of_epoch = [one for one in self.jobs if (one.conn_id, one.epoch) == (conn_id, job.epoch)]
        if len(of_epoch) > self.most:
            self.broken.append(f"{len(of_epoch)} jobs at {conn_id}")
        if manner == "lost on the way back":
            raise httpx.ReadTimeout("no answer")
        return httpx.Response(200, json=self._shown(job))

    def _shown(self, job: Bought) -> dict:
        state = job.state(self.clock.now())
        link = f"https://results.test/{job.job_id}.png" if state == "done" else None
        return {"id": job.job_id, "status": state, "percent": 0, "result": link, "error": "engine broke"}

    def _check(self, conn_id: str, body: dict) -> None:
        """Every job that was bought before must be over, replaced by other arguments, or forgotten before a clear."""
        for job in self.jobs:
            over = job.state(self.clock.now()) == "failed" and self.is_named(job)
            forgotten = job.forgotten and job.epoch != self.ti.max_tries
            if not (over or forgotten or job.replaced):
                self.broken.append(f"{conn_id} was paid although {job} was bought")

    def is_named(self, job: Bought) -> bool:
        """Whether a record or the log has its id, or a record says that a job of unknown id may be there."""
        record = self.store.values.get(f"faceswap_job.{job.conn_id}", {})
        known = json.dumps(self.store.values) + "\n".join(self.lines)
        return job.job_id in known or record.get("stage") == "intent"

    def attempt(self) -> object:
        """One attempt on a worker: its result, or its error."""
        operator = FaceSwapOperator(
            task_id="swap",
            target_image=f"https://pictures.test/{self.target}.jpg",
            face_image="https://pictures.test/face.jpg",
            conn_ids=self.conn_ids,
            deferrable=False,
            max_submissions=self.most,
            timeout=120,
        )

        def write(text, *args):
            self.lines.append(text % args if args else text)

        operator._cached_logger = SimpleNamespace(info=write, warning=write)
        try:
            return operator.execute({"ti": self.ti, "task_state_store": self.store})
        except FaceSwapError as error:
            self.lines.append(str(error))
            return error

    def wait(self, _limiter, _rate) -> None:
        """Where an attempt waits for its turn, another one may run as a whole."""
        if self.meanwhile is not None:
            self.manners, self.meanwhile = self.meanwhile + self.manners, None
            self.attempt()


@pytest.fixture
def accounts(clock, monkeypatch, no_waiting_between_tries, store):
    newest: list[Accounts] = []

    def make() -> Accounts:
        newest[:] = [Accounts(clock)]
        for conn_id in CONNECTIONS:
            define(conn_id, "key")
        return newest[0]

    def define(conn_id: str, key: str) -> None:
        value = {"conn_type": "gptunnel", "host": f"https://{conn_id}.test", "password": key}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))

    make.define = define
    make.remove = lambda conn_id: monkeypatch.delenv(f"AIRFLOW_CONN_{conn_id.upper()}", raising=False)
    monkeypatch.setattr(Poller, "jitter", SimpleNamespace(uniform=lambda least, most: (least + most) / 2))

    def answer(request: httpx.Request) -> httpx.Response:
        return newest[0](request)

    def wait(limiter: RateLimiter, rate: float | None) -> None:
        newest[0].wait(limiter, rate)

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.api.sync_client", lambda **_: httpx.Client(transport=transport)
    )
    monkeypatch.setattr(RateLimiter, "wait", wait)
    return make


class PaidOnceAnywhere(RuleBasedStateMachine):
    """One task instance with several connections, from its first attempt to long after."""

    def __init__(self, accounts) -> None:
        super().__init__()
        self.make = accounts
        self.world: Accounts

    @initialize(most=st.sampled_from([1, 2, 2, 3]))
    def begin(self, most):
        self.world = self.make()
        self.world.most = most

    @rule(
        manners=st.lists(st.sampled_from(MANNERS), max_size=4),
        fate=st.sampled_from(FATES),
        meanwhile=st.none() | st.none() | st.lists(st.sampled_from(MANNERS), max_size=2),
    )
    def an_attempt(self, manners, fate, meanwhile):
        world = self.world
        world.manners, world.fate, world.meanwhile = list(manners), fate, meanwhile
        outcome = world.attempt()
        if isinstance(outcome, dict):
            [job] = [job for job in world.jobs if job.job_id == outcome["job_id"]]
            assert job.state(world.clock.now()) == "done"
            assert job.conn_id == outcome["conn_id"]
        world.ti.try_number += 1

    @rule(conn_id=st.sampled_from(CONNECTIONS), what=st.sampled_from(["key", "", "missing"]))
    def a_connection_changes(self, conn_id, what):
        if what == "missing":
            self.make.remove(conn_id)
        else:
            self.make.define(conn_id, what)

    @rule(conn_ids=st.lists(st.sampled_from(CONNECTIONS), min_size=1, max_size=3, unique=True))
    def the_connections_change(self, conn_ids):
        self.world.conn_ids = conn_ids

    @rule(number=st.integers(0, 1))
    def the_arguments_change(self, number):
        self.world.target = number

    @rule()
    def the_task_is_cleared(self):
        self.world.ti.max_tries = self.world.ti.try_number

    @precondition(lambda self: self.world.jobs)
    @rule(fate=st.sampled_from(["done", "failed"]))
    def the_last_job_ends(self, fate):
        job = self.world.jobs[-1]
        if job.state(self.world.clock.now()) == "processing":
            job.fate, job.ends_at = fate, self.world.clock.now()

    @precondition(lambda self: self.world.jobs)
    @rule()
    def the_last_job_is_forgotten(self):
        self.world.jobs[-1].forgotten = True
        self.world.clock.time += 3600

    @invariant()
    def nothing_is_paid_twice(self):
        assert not getattr(self, "world", None) or not self.world.broken, self.world.broken

    @invariant()
    def every_job_has_a_name(self):
        if getattr(self, "world", None):
            lost = [job for job in self.world.jobs if not self.world.is_named(job)]
            assert all("arguments have changed" in "\n".join(self.world.lines) for _ in lost), lost


@pytest.mark.slow
def test_a_job_is_paid_once_at_any_connection(accounts):
    run_state_machine_as_test(
        lambda: PaidOnceAnywhere(accounts),
        settings=settings(
            max_examples=SIZES.lives // 2,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
