"""
A job is paid once: the real operators against a vendor in memory, with a death at every step they take.

A step is whatever an outside can notice: a call of the record's store, a request on its way to the vendor or
back, a sleep, a hand-over between worker and triggerer. A process may die at any of them, and the task goes on
in another one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk.execution_time.comms import SetXCom
from airflow.triggers.base import TaskSuccessEvent
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

from airflow_provider_faceswap.exceptions import (
    FaceSwapError,
    InsufficientBalanceError,
    JobLostError,
    SubmissionUncertainError,
)
from airflow_provider_faceswap.lifecycle.polling import Poller
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator
from airflow_provider_faceswap.triggers.job import JobTrigger
from tests.conftest import NEEDS_STATE_STORE, unknown_job
from tests.sizes import SIZES

pytestmark = NEEDS_STATE_STORE

OPERATORS = {"tengrai": TengraiFaceSwapOperator, "gptunnel": GPTunnelFaceSwapOperator}
CREATES = {"/v2/artworks/face-swap", "/v1/faceswap/create"}
BEGUN = 1_800_000_000.0
NEVER = float("inf")
#: What can come of a request that buys; the last two leave the caller without an answer.
MANNERS = ("answered", "refused", "unavailable", "lost on the way there", "lost on the way back")
#: When and how a job ends that is accepted now.
FATES = (
    (0, "done"),
    (5, "done"),
    (40, "done"),
    (1, "failed"),
    (5, "failed"),
    (5, "canceled"),
    (NEVER, "running"),
)


class Died(BaseException):
    """The process is gone: nothing may catch this and go on."""


class Life:
    """
    The steps of one process, and the one at which it dies.

    One that lingers is ended by an exception, as by an execution timeout, and may do harm on its way out.
    """

    def __init__(self, dies_at: int | None = None, *, lingers: bool = False) -> None:
        self.dies_at = dies_at
        self.lingers = lingers
        self.steps: list[str] = []

    @property
    def is_over(self) -> bool:
        return self.dies_at is not None and len(self.steps) >= self.dies_at

    def step(self, what: str) -> None:
        if self.is_over and self.lingers:
            return
        if not self.is_over:
            self.steps.append(what)
        if self.is_over:
            raise Died(what)


@dataclass
class Accepted:
    """A job that the vendor will charge."""

    job_id: str
    body: dict
    created: float
    ends_at: float
    fate: str
    epoch: int
    #: How many records had been written when the vendor accepted it; the last of them is its intent.
    records: int
    ours: bool = True
    forgotten: bool = False
    #: Why another one could be bought while this one was not known to be over; empty where there is no other.
    given_up: str = ""

    def state(self, now: float) -> str:
        return self.fate if now >= self.ends_at else "running"

    def end(self, state: str, now: float) -> None:
        if self.state(now) == "running":
            self.fate, self.ends_at = state, now


class Paper:
    """The task's log."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def info(self, text, *args):
        assert (text % args) if args else text

    def warning(self, text, *args):
        self.warnings.append((text % args) if args else text)


@dataclass
class World:
    """A vendor, a store and a clock that outlive every process of one task instance, and what they have seen."""

    clock: object
    vendor: str = "tengrai"
    most: int = 2
    #: How far the vendor's clock is ahead.
    skew: float = 0.0
    target: str = "https://pictures.test/0.jpg"
    on_uncertain: str = "fail"
    on_clear: str = "reuse"
    life: Life = field(default_factory=Life)
    jobs: list[Accepted] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)
    value: object = None
    manners: list[str] = field(default_factory=list)
    fate: tuple[float, str] = FATES[1]
    reads_fail: bool = False
    store_fails: tuple[int, bool] | None = None
    store_calls: int = 0
    creates: int = 0
    broken: list[str] = field(default_factory=list)
    log: Paper = field(default_factory=Paper)
    ti: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            dag_id="a_dag", run_id="a_run", task_id="swap", map_index=-1, try_number=1, max_tries=0
        )
    )
    #: What the triggerer stored as the return value.
    returned: object = None

    def __post_init__(self) -> None:
        self.clock.time = BEGUN
        self.clock.sleep = self.sleep

    def sleep(self, seconds: float) -> None:
        self.life.step("a sleep")
        self.clock.time += seconds

    # -- the store ------------------------------------------------------------------------------------

    def get(self, key, default=None):
        assert key == "faceswap_job"
        self.life.step("before a read of the record")
        self._fail(late=False)
        self._fail(late=True)
        return default if self.value is None else self.value

    def set(self, key, value, **options):
        assert key == "faceswap_job"
        self.life.step("before a write of the record")
        self._fail(late=False)
        self.value = json.loads(json.dumps(value))
        job = self.job(value["job_id"])
        # A settled job may be written down once more while the arguments are others already.
        if value["stage"] == "submitted" and (job is None or self.target not in job.body.values()):
            self.broken.append(f"{value['job_id']} was recorded, which is no job of these arguments")
        self.history.append(self.value)
        if value["stage"] == "intent" and self.on_clear == "resubmit":
            # Decided, also if the process dies before the create, and the terms are others in the next attempt.
            for job in self.jobs:
                if job.ours and job.epoch != self.ti.max_tries:
                    job.given_up = job.given_up or "the task was cleared, and a cleared task buys anew"
        self._fail(late=True)
        self.life.step("after a write of the record")

    def _fail(self, *, late: bool) -> None:
        self.store_calls += not late
        if self.store_fails == (self.store_calls, late):
            raise ConnectionError("the store is down")

    # -- the vendor -----------------------------------------------------------------------------------

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.life.step(f"before the vendor gets {request.method} {request.url.path}")
        answer = self._create(request) if request.url.path in CREATES else self._read(request)
        self.life.step(f"after the vendor has processed {request.method} {request.url.path}")
        if answer is None:
            raise httpx.ReadTimeout("no answer")
        return answer

    def _create(self, request: httpx.Request) -> httpx.Response | None:
        body = json.loads(request.content)
        self.creates += 1
        self._check_create(body)
        manner = self.manners.pop(0) if self.manners else "answered"
        if manner == "refused":
            return httpx.Response(402, json={"message": "balance too low"})
        if manner == "unavailable":
            return httpx.Response(503, json={"message": "later"})
        if manner == "lost on the way there":
            return None
        job = self.accept(body)
        bought = [one for one in self.jobs if one.ours and one.epoch == job.epoch]
        if len(bought) > self.most:
            self.broken.append(f"{len(bought)} jobs were bought between two clears, {self.most} are allowed")
        return None if manner == "lost on the way back" else httpx.Response(200, json=self._shown(job))

    def accept(self, body: dict, *, ours: bool = True) -> Accepted:
        job = Accepted(
            job_id=f"job-{len(self.jobs) + 1}",
            body=body,
            created=self.clock.now() + self.skew,
            ends_at=self.clock.now() + self.fate[0],
            fate=self.fate[1],
            epoch=self.ti.max_tries,
            records=len(self.history),
            ours=ours,
        )
        self.jobs.append(job)
        return job

    def _read(self, request: httpx.Request) -> httpx.Response:
        if self.reads_fail:
            return httpx.Response(500, json={"message": "broken"})
        if request.url.path == "/v2/artworks":
            # Complete at once: where a job is listed late, a look cannot tell its twin from itself.
            return httpx.Response(200, json=[self._shown(job) for job in self.jobs if not job.forgotten])
        job_id = request.url.params.get("taskId") or request.url.path.rpartition("/")[2]
        job = self.job(job_id)
        if job is None or job.forgotten:
            return unknown_job(self.vendor)
        return httpx.Response(200, json=self._shown(job))

    def job(self, job_id: str) -> Accepted | None:
        return next((job for job in self.jobs if job.job_id == job_id), None)

    def _shown(self, job: Accepted) -> dict:
        state = job.state(self.clock.now())
        link = f"https://results.test/{job.job_id}.png"
        if self.vendor == "tengrai":
            words = {"running": "processing", "done": "succeeded"}
            return {
                "id": job.job_id,
                "artworkType": "face_swap",
                "parameters": {"denoising": 3, "seed": 11, **job.body},
                "status": words.get(state, state),
                "results": [link] if state == "done" else [],
                "createdAt": datetime.fromtimestamp(job.created, UTC).isoformat(),
            }
        return {
            "id": job.job_id,
            "status": {"running": "processing"}.get(state, state),
            "percent": 100 if state == "done" else 10,
            "result": link if state == "done" else None,
            "created_at": int(job.created),
        }

    # -- what must hold -------------------------------------------------------------------------------

    def is_named(self, job: Accepted) -> bool:
        """Whether a record has ever held its id."""
        return any(record["job_id"] == job.job_id for record in self.history)

    def _excuse(self, job: Accepted) -> str:
        """What allows to buy another job although this one has been bought; empty where nothing does."""
        if job.state(self.clock.now()) in {"failed", "canceled"} and self.is_named(job):
            return "it is known to be over"
        own = self.history[job.records - 1]["fingerprint"] if job.records else None
        if any(record["fingerprint"] != own for record in self.history[job.records :]):
            return "the arguments have changed"
        if job.forgotten and self.ti.max_tries != job.epoch and self.is_named(job):
            return "the task was cleared, and the vendor no longer knows the job"
        if self.on_clear == "resubmit" and self.ti.max_tries != job.epoch:
            return "the task was cleared, and a cleared task buys anew"
        if not self.is_named(job) and job.forgotten and self._others_like(job):
            return "the vendor forgot it, and lists another one that is just like it"
        if not self.is_named(job) and self.on_uncertain == "resubmit":
            return "nobody knew whether it was bought, and the task may pay twice"
        return ""

    def _others_like(self, job: Accepted) -> bool:
        return any(one is not job and one.body == job.body for one in self.jobs)

    def _check_create(self, body: dict) -> None:
        """A create has arrived: its intent must stand in the store, and every earlier job must be done with."""
        intent = self.history[-1] if self.history else {}
        if intent.get("stage") != "intent" or self.value != intent:
            self.broken.append("a create arrived without an intent in the store")
        elif any(job.ours and job.records == len(self.history) for job in self.jobs):
            self.broken.append("two jobs were bought on one intent")
        for job in self.jobs:
            if not job.ours or job.given_up:
                continue
            job.given_up = self._excuse(job)
            if not job.given_up:
                state = job.state(self.clock.now())
                self.broken.append(f"a create was sent though {job.job_id} was bought and is {state}")
            # A cleared task that is to buy anew gives up an intent without a word, so that is not asked for.
            elif "nobody knew" in job.given_up and not any(
                "submitting again" in line for line in self.log.warnings
            ):
                self.broken.append(f"{job.job_id} was given up without a line in the log")

    def lost(self) -> list[Accepted]:
        """Jobs that were bought and are in no record, nor announced by an intent that makes a later try stop."""
        return [
            job
            for job in self.jobs
            if job.ours
            and not job.given_up
            and not self.is_named(job)
            and not self._announced(job)
            and not self._excuse(job)
        ]

    def _announced(self, job: Accepted) -> bool:
        own = self.history[job.records - 1]
        return self.value["stage"] == "intent" and self.value["fingerprint"] == own["fingerprint"]

    def check_result(self, result: dict) -> None:
        job = self.job(result["job_id"])
        assert job is not None
        assert job.state(self.clock.now()) == "done", "a result of a job that did not succeed"
        assert self.target in job.body.values(), "a result of a job with other arguments"
        assert result["url"] == f"https://results.test/{job.job_id}.png"
        assert self.value["job_id"] == job.job_id, "a result of a job that is not the recorded one"

    # -- what Airflow does ----------------------------------------------------------------------------

    def operator(self, *, deferrable: bool):
        operator = OPERATORS[self.vendor](
            task_id="swap",
            target_image=self.target,
            face_image="https://pictures.test/face.jpg",
            deferrable=deferrable,
            on_uncertain=self.on_uncertain,
            on_clear=self.on_clear,
            max_submissions=self.most,
            timeout=120,
        )
        operator._cached_logger = self.log
        return operator

    def run(self, work) -> object:
        """One process: a result, a deferral, an error, or a death."""
        try:
            outcome = work()
        except TaskDeferred as deferred:
            try:
                self.life.step("before the deferral is stored")
            except Died as died:
                return died
            return deferred
        except (FaceSwapError, Died) as ended:
            if self.life.is_over and not isinstance(ended, Died):
                self.broken.append("a death was taken for an error")
            return ended
        self.check_result(outcome)
        return outcome

    def execute(self, *, deferrable: bool) -> object:
        context = {"ti": self.ti, "task_state_store": self}
        return self.run(lambda: self.operator(deferrable=deferrable).execute(context))

    def resume(self, deferred: TaskDeferred, event: object) -> object:
        """In a new process, with what Airflow has stored of the deferral."""
        context = {"ti": self.ti, "task_state_store": self}
        kwargs = json.loads(json.dumps(deferred.kwargs))
        resume = getattr(self.operator(deferrable=True), deferred.method_name)
        return self.run(lambda: resume(context, event=event, **kwargs))

    def trigger(self, deferred: TaskDeferred, *, in_place: bool = False) -> object:
        """Run the trigger on some triggerer: its event's payload, a result stored in place, or a death."""
        _, kwargs = deferred.trigger.serialize()
        trigger = JobTrigger(**json.loads(json.dumps(kwargs)))
        if in_place:
            trigger._task_instance = self.ti
        creates, records = self.creates, len(self.history)

        async def fire() -> list:
            return [event async for event in trigger.run()]

        try:
            [event] = asyncio.run(fire())
        except Died as died:
            return died
        finally:
            assert self.creates == creates, "a trigger never buys"
            assert len(self.history) == records, "a trigger leaves the record alone"
        if isinstance(event, TaskSuccessEvent):
            self.check_result(self.returned)
            return self.returned
        return SimpleNamespace(payload=json.loads(json.dumps(event.payload)))

    async def asend(self, message):
        """The triggerer's channel to Airflow."""
        if not isinstance(message, SetXCom) or message.key != "return_value":
            return
        self.life.step("before a result is stored in place")
        self.returned = message.value
        self.life.step("after a result is stored in place")


@pytest.fixture
def worlds(clock, connections, monkeypatch, no_waiting_between_tries):
    """Make a new world; the package meets the newest one wherever it looks outside."""
    newest: list[World] = []

    def make(**more) -> World:
        newest[:] = [World(clock, **more)]
        return newest[0]

    def answer(request: httpx.Request) -> httpx.Response:
        return newest[0](request)

    async def asend(message: object) -> None:
        await newest[0].asend(message)

    connections("https://vendor.test")
    # Waits vary by chance; an example must be the same each time it is run.
    monkeypatch.setattr(Poller, "jitter", SimpleNamespace(uniform=lambda least, most: (least + most) / 2))
    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.api.sync_client", lambda **_: httpx.Client(transport=transport)
    )
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.client.async_client",
        lambda **_: httpx.AsyncClient(transport=transport),
    )
    monkeypatch.setattr(
        "airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS",
        SimpleNamespace(asend=asend),
        raising=False,
    )
    return make


# -- whatever happens -----------------------------------------------------------------------------------------

#: Most processes live: a death at which nothing was at stake teaches nothing.
DEATHS = st.one_of(st.none(), st.none(), st.integers(1, 8), st.integers(1, 25))
#: What goes wrong around a try: its death, a call of the store that fails before or after its effect, reads.
TROUBLES = st.one_of(
    st.just({}),
    st.just({}),
    # Around the create: its intent stands, it goes out, it is processed, its id is written.
    st.builds(lambda *death: {"dies_at": death}, st.sampled_from(range(3, 8)), st.booleans()),
    st.builds(lambda *death: {"dies_at": death}, st.integers(1, 25), st.booleans()),
    st.builds(lambda *call: {"store_fails": call}, st.integers(1, 5), st.booleans()),
    st.just({"reads_fail": True}),
)


class PaidOnce(RuleBasedStateMachine):
    """One task instance from its first try to long after, with all that can happen to it."""

    def __init__(self, worlds) -> None:
        super().__init__()
        self.worlds = worlds
        self.world: World
        self.deferred: TaskDeferred | None = None
        self.event: object = None

    @initialize(
        vendor=st.sampled_from(sorted(OPERATORS)),
        most=st.sampled_from([2, 2, 1, 3]),
        skew=st.sampled_from([0.0, 0.0, -40.0, 40.0]),
        on_uncertain=st.sampled_from(["fail", "fail", "resubmit"]),
        on_clear=st.sampled_from(["reuse", "reuse", "resubmit"]),
        steady=st.booleans(),
    )
    def begin(self, vendor, most, skew, on_uncertain, on_clear, steady):
        """A steady task keeps its terms and its arguments; a careful one never says that it may pay twice."""
        self.world = self.worlds(
            vendor=vendor, most=most, skew=skew, on_uncertain=on_uncertain, on_clear=on_clear
        )
        self.steady = steady
        self.careful = steady and (on_uncertain, on_clear) == ("fail", "reuse")

    def after(self, outcome: object) -> None:
        self.event = None
        self.deferred = outcome if isinstance(outcome, TaskDeferred) else None

    # -- what Airflow does ----------------------------------------------------------------------------

    @rule(
        deferrable=st.booleans(),
        trouble=TROUBLES,
        manners=st.lists(st.sampled_from(["answered", "answered", *MANNERS]), max_size=3),
        fate=st.sampled_from(FATES),
    )
    def a_try(self, deferrable, trouble, manners, fate):
        world = self.world
        dies_at, lingers = trouble.get("dies_at", (None, False))
        world.life, world.log = Life(dies_at, lingers=lingers), Paper()
        world.manners, world.fate = list(manners), fate
        world.reads_fail = trouble.get("reads_fail", False)
        world.store_fails, world.store_calls = trouble.get("store_fails"), 0
        before = world.value
        creates = world.creates
        outcome = world.execute(deferrable=deferrable)
        if before and before["stage"] == "intent" and self.careful and not isinstance(outcome, Died):
            stopped = isinstance(outcome, SubmissionUncertainError) or world.store_fails
            assert stopped or world.value["job_id"], "an intent neither stopped the task nor became a job"
            assert world.vendor == "tengrai" or world.creates == creates, "there was no list to look in"
        if isinstance(outcome, InsufficientBalanceError):
            assert world.value["stage"] == "settled", "a refusal leaves nothing to be uncertain of"
        self.after(outcome)

    @precondition(lambda self: self.deferred is not None)
    @rule(dies_at=DEATHS, in_place=st.booleans(), reads_fail=st.sampled_from([False, False, False, True]))
    def a_triggerer_runs_the_trigger(self, dies_at, in_place, reads_fail):
        """It may be run again after its event, as by a second triggerer; then both must say the same."""
        self.world.life, self.world.reads_fail = Life(dies_at), reads_fail
        told = self.world.trigger(self.deferred, in_place=in_place)
        if isinstance(told, Died):
            return
        if isinstance(told, dict):
            self.after(told)
        else:
            self.event = told

    @precondition(lambda self: self.event is not None)
    @rule(dies_at=DEATHS, reads_fail=st.sampled_from([False, False, False, True]))
    def the_task_is_resumed(self, dies_at, reads_fail):
        world = self.world
        world.life, world.log, world.reads_fail = Life(dies_at), Paper(), reads_fail
        self.after(world.resume(self.deferred, self.event.payload))

    @rule()
    def the_task_is_cleared(self):
        self.world.ti.max_tries += 1
        self.after(None)

    # -- what people do -------------------------------------------------------------------------------

    @precondition(lambda self: not self.steady)
    @rule(number=st.integers(0, 2))
    def the_arguments_change(self, number):
        """The task is started anew with them: a deferred one keeps those that it has."""
        self.world.target = f"https://pictures.test/{number}.jpg"
        self.after(None)

    @precondition(lambda self: not self.steady)
    @rule(on_uncertain=st.sampled_from(["fail", "resubmit"]), on_clear=st.sampled_from(["reuse", "resubmit"]))
    def the_terms_change(self, on_uncertain, on_clear):
        self.world.on_uncertain, self.world.on_clear = on_uncertain, on_clear

    @precondition(lambda self: self.world.jobs)
    @rule(same=st.booleans())
    def somebody_else_buys(self, same):
        body = self.world.jobs[-1].body
        other = {name: link.replace("pictures", "others") for name, link in body.items()}
        self.world.accept(body if same else other, ours=False)

    # -- what the vendor does -------------------------------------------------------------------------

    @precondition(lambda self: self.world.jobs)
    @rule(back=st.integers(0, 2), state=st.sampled_from(["done", "failed", "canceled"]))
    def a_job_ends(self, back, state):
        self.world.jobs[-1 - back % len(self.world.jobs)].end(state, self.world.clock.now())

    @precondition(lambda self: self.world.jobs)
    @rule(back=st.integers(0, 2))
    def a_job_is_forgotten(self, back):
        self.world.jobs[-1 - back % len(self.world.jobs)].forgotten = True

    @rule(seconds=st.sampled_from([1.0, 20.0, 70.0, 900.0]))
    def time_passes(self, seconds):
        self.world.clock.time += seconds

    # -- what must hold -------------------------------------------------------------------------------

    @invariant()
    def no_create_was_sent_that_should_not(self):
        assert not getattr(self, "world", None) or not self.world.broken, self.world.broken

    @invariant()
    def no_bought_job_is_lost(self):
        assert not getattr(self, "world", None) or not self.world.lost(), self.world.lost()


@pytest.mark.slow
def test_a_job_is_paid_once_whatever_happens(worlds):
    run_state_machine_as_test(
        lambda: PaidOnce(worlds),
        settings=settings(
            max_examples=SIZES.lives,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_an_intent_to_buy_anew_stands_though_the_terms_change_before_its_create(worlds):
    machine = PaidOnce(worlds)
    machine.begin(vendor="gptunnel", most=2, skew=0.0, on_uncertain="fail", on_clear="reuse", steady=False)
    machine.the_terms_change(on_uncertain="fail", on_clear="resubmit")
    machine.a_try(deferrable=False, fate=(0, "done"), manners=[], trouble={})
    machine.the_task_is_cleared()
    machine.a_try(deferrable=False, fate=(0, "done"), manners=[], trouble={"dies_at": (4, False)})
    assert len(machine.world.jobs) == 1
    machine.the_terms_change(on_uncertain="resubmit", on_clear="reuse")
    machine.a_try(deferrable=False, fate=(0, "done"), manners=[], trouble={})
    assert len(machine.world.jobs) == 2
    assert not machine.world.broken


def test_a_forgotten_job_whose_twin_was_cancelled_is_bought_again(worlds):
    machine = PaidOnce(worlds)
    machine.begin(vendor="tengrai", most=2, skew=0.0, on_uncertain="resubmit", on_clear="reuse", steady=True)
    machine.a_try(deferrable=False, fate=(5, "done"), manners=[], trouble={"dies_at": (6, False)})
    machine.somebody_else_buys(same=True)
    machine.a_job_ends(back=0, state="canceled")
    machine.a_job_is_forgotten(back=1)
    machine.a_try(deferrable=False, fate=(0, "done"), manners=[], trouble={})
    assert [job.ours for job in machine.world.jobs] == [True, False, True]
    assert not machine.world.broken


# -- a death at each step -------------------------------------------------------------------------------------


def whole_life(world: World, *, deferrable: bool) -> object:
    """A try from its beginning to its end; a trigger whose triggerer dies is run again by another."""
    outcome = world.execute(deferrable=deferrable)
    while isinstance(outcome, TaskDeferred):
        told = world.trigger(outcome)
        if isinstance(told, Died):
            world.life = Life()
            told = world.trigger(outcome)
        outcome = world.resume(outcome, told.payload)
    return outcome


def ending_after_a_death(
    world: World, dies_at: int, *, deferrable: bool, lingers: bool = False
) -> tuple[str, int]:
    """How a task with three more tries ends, and how many jobs were bought for it."""
    world.life = Life(dies_at, lingers=lingers)
    outcome: object = None
    for _ in range(4):
        outcome = whole_life(world, deferrable=deferrable)
        if isinstance(outcome, dict | SubmissionUncertainError):
            break
        world.life = Life()
    word = "result" if isinstance(outcome, dict) else type(outcome).__name__
    return word, len(world.jobs)


UNCERTAIN = "SubmissionUncertainError"
#: A vendor with a list shows the job that no record knows; without one, only the user can say what to do.
POSSIBLE = {
    ("tengrai", "fail"): {("result", 1), (UNCERTAIN, 0)},
    ("tengrai", "resubmit"): {("result", 1)},
    ("gptunnel", "fail"): {("result", 1), (UNCERTAIN, 0), (UNCERTAIN, 1)},
    ("gptunnel", "resubmit"): {("result", 1), ("result", 2)},
}


@pytest.mark.slow
@pytest.mark.parametrize("lingers", [False, True], ids=["killed", "interrupted"])
@pytest.mark.parametrize("deferrable", [False, True], ids=["in a worker", "deferrable"])
@pytest.mark.parametrize(("vendor", "on_uncertain"), POSSIBLE)
def test_a_death_at_any_step_leaves_a_result_or_a_clear_word(
    worlds, vendor, on_uncertain, deferrable, lingers
):
    terms = {"vendor": vendor, "on_uncertain": on_uncertain}
    clean = worlds(**terms)
    assert isinstance(whole_life(clean, deferrable=deferrable), dict)
    steps = clean.life.steps
    assert any("create" in step or "face-swap" in step for step in steps)
    endings = {}
    for number, step in enumerate(steps, 1):
        world = worlds(**terms)
        endings[f"{number}: {step}"] = ending_after_a_death(
            world, number, deferrable=deferrable, lingers=lingers
        )
        assert not world.broken, f"died at step {number}, {step}"
        assert not world.lost(), f"died at step {number}, {step}"
    unexpected = {step: end for step, end in endings.items() if end not in POSSIBLE[vendor, on_uncertain]}
    assert not unexpected
    assert set(endings.values()) == POSSIBLE[vendor, on_uncertain], "each possible ending does occur"


@pytest.mark.slow
@pytest.mark.parametrize("deferrable", [False, True], ids=["in a worker", "deferrable"])
def test_two_deaths_in_a_row_are_no_worse_than_one(worlds, deferrable):
    """With the vendor that has a list, and a user who wants no second purchase."""
    clean = worlds()
    whole_life(clean, deferrable=deferrable)
    length = len(clean.life.steps)
    for first, second in itertools.product(range(1, length + 1), range(1, length + 1)):
        world = worlds()
        world.life = Life(first)
        whole_life(world, deferrable=deferrable)
        assert ending_after_a_death(world, second, deferrable=deferrable) in POSSIBLE["tengrai", "fail"], (
            f"died at steps {first} and {second}"
        )
        assert not world.broken
        assert not world.lost()


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("vendor", OPERATORS)
@pytest.mark.parametrize("manner", ["answered", "lost on the way back"])
def test_no_more_jobs_are_bought_than_allowed(worlds, vendor, most, manner):
    """Whether each of them fails, or nobody knows of any; a cleared task may buy as many again."""
    world = worlds(vendor=vendor, most=most, on_uncertain="resubmit")
    world.fate = (1, "failed")
    for cleared in (1, 2):
        for _ in range(most + 2):
            world.manners = [manner] * 9
            assert isinstance(world.execute(deferrable=False), FaceSwapError)
        assert len(world.jobs) == most * cleared
        world.ti.max_tries += 1
    assert not world.broken


def test_two_jobs_that_fit_are_none(worlds):
    """The list shows a job that somebody else bought with the same arguments: nobody knows which is ours."""
    world = worlds()
    world.manners = ["lost on the way back"]
    world.reads_fail = True
    assert isinstance(world.execute(deferrable=False), SubmissionUncertainError)
    world.reads_fail = False
    world.accept(world.jobs[0].body, ours=False)
    assert isinstance(world.execute(deferrable=False), SubmissionUncertainError)
    assert (world.creates, world.value["stage"]) == (1, "intent")
    world.clock.time += timedelta(days=1).total_seconds()
    assert isinstance(world.execute(deferrable=False), SubmissionUncertainError)


def test_a_job_that_failed_is_not_taken_for_the_one_after_it(worlds):
    """Both stand in the list with the same arguments, but the first one is known to be another."""
    world = worlds()
    world.fate = (1, "failed")
    assert isinstance(world.execute(deferrable=False), FaceSwapError)
    world.fate, world.manners = (5, "done"), ["lost on the way back"]
    assert world.execute(deferrable=False)["job_id"] == "job-2"
    assert not world.broken


def test_a_job_of_other_arguments_is_nobodys_answer(worlds):
    """It is in the list, of the right time, and the only one."""
    world = worlds()
    others = {"targetImage": "https://others.test/0.jpg", "sourceImage": "https://others.test/1.jpg"}
    world.accept(others, ours=False)
    world.manners = ["lost on the way there"]
    assert isinstance(world.execute(deferrable=False), SubmissionUncertainError)
    assert world.value["stage"] == "intent"
    assert isinstance(world.execute(deferrable=False), SubmissionUncertainError)
    assert world.creates == 1


@pytest.mark.parametrize("vendor", OPERATORS)
def test_a_job_that_the_vendor_forgot_is_bought_again_only_after_a_clear(worlds, vendor):
    """K4: a retry polls it for ever; a clear is the user's word."""
    world = worlds(vendor=vendor)
    world.fate = (5, "done")
    assert isinstance(world.execute(deferrable=False), dict)
    world.jobs[0].forgotten = True
    world.clock.time += 3600
    for _ in range(3):
        assert isinstance(world.execute(deferrable=False), JobLostError)
    assert world.creates == 1
    world.ti.max_tries += 1
    assert isinstance(world.execute(deferrable=False), dict)
    assert world.creates == 2
    assert not world.broken
