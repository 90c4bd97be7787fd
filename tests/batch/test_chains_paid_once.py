"""
Each job of a chain is paid once: the real runner against a vendor in memory, with a death at every step it takes.

A step is whatever an outside can notice: a call of the records' store, a request on its way to the vendor or back, a sleep, a
file that is archived. A process may die at any of them, and the task goes on in another one.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_faceswap.archive.manifest import Archived
from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.exceptions import FaceSwapError, ResultExpiredError
from airflow_provider_faceswap.lifecycle.polling import Poller
from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step
from tests.conftest import NEEDS_STATE_STORE
from tests.sizes import SIZES

pytestmark = NEEDS_STATE_STORE

ITEMS = 2
KINDS = {"/v1/midjourney/imagine": 0, "/v1/midjourney/upsample": 1, "/v1/faceswap/create": 2}
#: What can come of a request that buys; the last two leave the caller without an answer.
MANNERS = ("answered", "answered", "answered", "refused", "lost on the way there", "lost on the way back")
FATES = ("done", "done", "done", "failed")


class Died(BaseException):
    """The process is gone: nothing may catch this and go on."""


@dataclass
class Bought:
    """A job that the vendor will charge."""

    job_id: str
    item: int
    step: int
    fate: str
    epoch: int
    #: The job before it, whose result it was given.
    parent: str | None
    given_up: bool = False


@dataclass
class World:
    """A vendor, a store and a clock that outlive every process of one task instance, and what they have seen."""

    clock: object
    folder: object
    on_uncertain: str = "fail"
    on_clear: str = "reuse"
    keep: str = "last"
    most: int = 2
    dies_at: int | None = None
    steps: list[str] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)
    jobs: list[Bought] = field(default_factory=list)
    manners: list[str] = field(default_factory=list)
    fates: list[str] = field(default_factory=list)
    expired: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    ti: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            dag_id="a_dag", run_id="a_run", task_id="chains", map_index=-1, try_number=1, max_tries=0
        )
    )

    def step(self, what: str) -> None:
        with self.lock:
            if self.dies_at is None or len(self.steps) < self.dies_at:
                self.steps.append(what)
            if self.dies_at is not None and len(self.steps) >= self.dies_at:
                raise Died(what)

    # -- the store ------------------------------------------------------------------------------------

    def get(self, key, default=None):
        self.step("before a read of the records")
        return self.values.get(key, default)

    def set(self, key, value, **options):
        self.step("before a write of the records")
        with self.lock:
            self.values[key] = json.loads(json.dumps(value))
            self.named |= set(re.findall(r'"job_id": "([^"]+)"', json.dumps(value)))
        self.step("after a write of the records")

    # -- the vendor -----------------------------------------------------------------------------------

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.step(f"before the vendor gets {request.url.path}")
        with self.lock:
            number = KINDS.get(request.url.path)
            answer = (
                self._read(request) if number is None else self._create(number, json.loads(request.content))
            )
        self.step(f"after the vendor has processed {request.url.path}")
        if answer is None:
            raise httpx.ReadTimeout("no answer")
        return answer

    def _create(self, number: int, body: dict) -> httpx.Response | None:
        parent = None if number == 0 else self._parent(number, body)
        item = int(body["prompt"].rpartition(" ")[2]) if parent is None else parent.item
        manner = self.manners.pop(0) if self.manners else "answered"
        self._check_create(item, number)
        if manner == "refused":
            return httpx.Response(400, json={"error": {"message": "not so"}})
        if manner == "lost on the way there":
            return None
        job = Bought(
            f"{len(self.jobs) + 1:024d}",
            item,
            number,
            self.fates.pop(0) if self.fates else "done",
            self.ti.max_tries,
            parent and parent.job_id,
        )
        self.jobs.append(job)
        own = [one for one in self.jobs if (one.item, one.step, one.epoch) == (item, number, job.epoch)]
        if len(own) > self.most:
            self.broken.append(f"{len(own)} jobs of step {number} of item {item}")
        return None if manner == "lost on the way back" else httpx.Response(200, json=self._shown(job))

    def _parent(self, number: int, body: dict) -> Bought:
        name = body["taskId"] if number == 1 else body["sourceImage"]
        parent = next(job for job in self.jobs if job.job_id in name)
        if (parent.step, parent.fate) != (number - 1, "done"):
            self.broken.append(f"step {number} was given the job {parent}")
        return parent

    def _check_create(self, item: int, number: int) -> None:
        """A create has arrived: each earlier job of this step of this item must be done with."""
        intents = sum(
            record["stage"] == "intent" for shard in self.values.values() for record in shard.values()
        )
        if not intents:
            self.broken.append("a create arrived without an intent in the store")
        for job in self.jobs:
            if (job.item, job.step) != (item, number) or job.given_up:
                continue
            is_over = job.fate == "failed" and job.job_id in self.named
            is_doubt = job.job_id not in self.named and self.on_uncertain == "resubmit"
            is_cleared = job.epoch != self.ti.max_tries and self.on_clear == "resubmit"
            job.given_up = is_over or is_doubt or is_cleared
            if not job.given_up:
                self.broken.append(f"a create of step {number} was sent though {job} was bought")

    def _read(self, request: httpx.Request) -> httpx.Response:
        job = next(job for job in self.jobs if job.job_id == request.url.params["taskId"])
        return httpx.Response(200, json=self._shown(job))

    def _shown(self, job: Bought) -> dict:
        link = f"https://results.test/{job.job_id}.png" if job.fate == "done" else None
        return {"id": job.job_id, "status": job.fate, "percent": 100, "result": link, "error": "engine broke"}

    # -- what Airflow does ----------------------------------------------------------------------------

    def attempt(self, *, dies_at: int | None = None) -> object:
        """One process: a summary, an error, or a death."""
        self.dies_at, self.steps = dies_at, []
        operator = MediaBatchOperator(
            task_id="chains",
            items=[{"number": n, "face": "https://pictures.test/face.jpg"} for n in range(ITEMS)],
            steps=[
                Step("grid", "gptunnel_default", "imagine", prompt="portrait {number}"),
                Step("pick", "gptunnel_default", "upsample", parent_job_id="{grid}", image=1),
                Step("swap", "gptunnel_default", "face_swap", target_image="{pick}", face_image="{face}"),
            ],
            destination=f"file://{self.folder}",
            keep=self.keep,
            concurrency=1,
            max_submissions=self.most,
            on_uncertain=self.on_uncertain,
            on_clear=self.on_clear,
            timeout=60,
        )
        operator._cached_logger = SimpleNamespace(info=lambda *_: None, warning=lambda *_: None)
        try:
            return operator.execute({"ti": self.ti, "task_state_store": self})
        except (FaceSwapError, Died) as ended:
            return ended
        finally:
            self.ti.try_number += 1

    def lost(self) -> list[Bought]:
        """Jobs that were bought and are in no record, while no intent makes a later attempt stop."""
        records = [record for shard in self.values.values() for record in shard.values()]
        intents = sum(record["stage"] == "intent" for record in records)
        unnamed = [job for job in self.jobs if job.job_id not in self.named and not job.given_up]
        return unnamed if len(unnamed) > intents else []


@pytest.fixture
def world(monkeypatch, connections, no_waiting_between_tries, clock, tmp_path):
    newest: list[World] = []

    def make(**more) -> World:
        newest[:] = [World(clock, tmp_path / "pictures", **more)]
        return newest[0]

    def sleep(seconds):
        newest[0].step("a sleep")
        clock.time += seconds

    async def asleep(seconds):
        if seconds >= NEVER:
            await asyncio.Event().wait()
        newest[0].step("a sleep")
        clock.time += seconds
        await asyncio.sleep(0)

    def keep(_, source):
        newest[0].step("before a file is archived")
        uri = f"file:///kept/{source.job_id}.png"
        size = {"media_type": "image/png", "bytes": 1, "sha256": "0" * 64, "width": 1, "height": 1}
        return Archived(uri=uri, manifest_uri=f"{uri}.json", **size)

    def check(url):
        newest[0].step("before a link is tried")
        if any(job_id in url for job_id in newest[0].expired):
            raise ResultExpiredError("the link has expired")

    def answer(request: httpx.Request) -> httpx.Response:
        return newest[0](request)

    clock.sleep, clock.asleep = sleep, asleep
    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.api.sync_client", lambda **_: httpx.Client(transport=transport)
    )
    monkeypatch.setattr(
        "airflow_provider_faceswap.http.client.async_client",
        lambda **_: httpx.AsyncClient(transport=transport),
    )
    monkeypatch.setattr("airflow_provider_faceswap.batch.sharded_store.GAP", 0.0)
    monkeypatch.setattr("airflow_provider_faceswap.batch.runner.REPORT_INTERVAL", NEVER)
    monkeypatch.setattr("airflow_provider_faceswap.batch.results._check", check)
    monkeypatch.setattr(Archive, "keep", keep)
    monkeypatch.setattr(Poller, "jitter", SimpleNamespace(uniform=lambda least, most: (least + most) / 2))
    connections("https://vendor.test")
    return make


#: Seconds that nobody waits for.
NEVER = 1e9


def test_a_chain_that_lives_is_paid_once(world):
    alive = world()
    summary = alive.attempt()
    assert (summary["archived"], len(alive.jobs), alive.broken) == (ITEMS, 3 * ITEMS, [])
    assert alive.attempt()["reused"] == ITEMS
    assert len(alive.jobs) == 3 * ITEMS


@pytest.mark.slow
@pytest.mark.parametrize("on_uncertain", ["fail", "resubmit"])
def test_a_chain_that_dies_once_anywhere_is_paid_once(world, on_uncertain):
    plain = world()
    plain.attempt()
    places = len(plain.steps)
    assert places > 40
    for dies_at in range(1, places + 1):
        dying = world(on_uncertain=on_uncertain)
        dying.attempt(dies_at=dies_at)
        outcome = dying.attempt()
        assert not dying.broken, (dies_at, dying.broken)
        assert not dying.lost(), dies_at
        assert len(dying.jobs) <= 3 * ITEMS + (on_uncertain == "resubmit"), dies_at
        if on_uncertain == "resubmit":
            assert outcome["archived"] == ITEMS, dies_at


@pytest.mark.slow
def test_a_chain_is_paid_once_whatever_happens(world):
    @settings(
        max_examples=SIZES.lives // 2,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(
        lives=st.lists(
            st.tuples(
                st.none() | st.integers(1, 80),
                st.lists(st.sampled_from(MANNERS), max_size=6),
                st.lists(st.sampled_from(FATES), max_size=6),
                st.sampled_from(["", "", "", "cleared", "links expire"]),
            ),
            min_size=1,
            max_size=5,
        ),
        most=st.integers(1, 3),
        policy=st.tuples(st.sampled_from(["fail", "resubmit"]), st.sampled_from(["reuse", "resubmit"])),
        keep=st.sampled_from(["last", "all"]),
    )
    def live(lives, most, policy, keep):
        living = world(most=most, on_uncertain=policy[0], on_clear=policy[1], keep=keep)
        for dies_at, manners, fates, meanwhile in lives:
            if meanwhile == "cleared":
                living.ti.max_tries = living.ti.try_number
            if meanwhile == "links expire":
                living.expired = {job.job_id for job in living.jobs}
            living.manners, living.fates = list(manners), list(fates)
            living.attempt(dies_at=dies_at)
            assert not living.broken, living.broken
            assert not living.lost(), living.jobs

    live()
