"""
A vendor, a store and a clock in memory, for the real runner of a chain that may die at every step it takes.

A step is whatever an outside can notice: a call of the records' store, a request on its way to the vendor or back, a sleep, a
file that is archived. A process may die at any of them, and the task continues in another one.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import ClassVar

import httpx

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.operators.batch import MediaBatchOperator, Step

ITEMS = 2
#: What can come of a request that buys; the last two leave the caller without an answer.
MANNERS = ("answered", "answered", "answered", "refused", "lost on the way there", "lost on the way back")
FATES = ("done", "done", "done", "failed")


class Died(BaseException):
    """The process is gone: nothing may catch this and go on."""


def intents_in(values: dict[str, object]) -> int:
    return sum(record["stage"] == "intent" for shard in values.values() for record in shard.values())


@dataclass
class Bought:
    """A job that the vendor will charge."""

    job_id: str
    item: int
    step: int
    fate: str
    #: The run that bought it, and how often that was cleared.
    epoch: tuple[str, int]
    #: The job before it, whose result it was given.
    parent: str | None
    given_up: bool = False


@dataclass
class World:
    """A vendor, a store and a clock that outlive every process of one task instance, and what they have seen."""

    #: The steps, by what each is bought at.
    CREATES: ClassVar = ("/v1/midjourney/imagine", "/v1/midjourney/upsample", "/v1/faceswap/create")

    clock: object
    folder: object
    on_uncertain: str = "fail"
    on_clear: str = "reuse"
    keep: str = "last"
    reuse: str = "run"
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

    def stores(self) -> list[dict[str, object]]:
        """Those of all runs."""
        return [self.values]

    # -- the vendor -----------------------------------------------------------------------------------

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.step(f"before the vendor gets {request.url.path}")
        with self.lock:
            is_create = request.url.path in self.CREATES
            answer = self._create(request) if is_create else self._read(request)
        self.step(f"after the vendor has processed {request.url.path}")
        if answer is None:
            raise httpx.ReadTimeout("no answer")
        return answer

    def _create(self, request: httpx.Request) -> httpx.Response | None:
        body = json.loads(request.content)
        number, parent = self._step_of(request.url.path, body)
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
            self.epoch,
            parent and parent.job_id,
        )
        self.jobs.append(job)
        own = [one for one in self.jobs if (one.item, one.step, one.epoch) == (item, number, job.epoch)]
        if len(own) > self.most:
            self.broken.append(f"{len(own)} jobs of step {number} of item {item}")
        return None if manner == "lost on the way back" else httpx.Response(200, json=self._shown(job))

    def _step_of(self, path: str, body: dict) -> tuple[int, Bought | None]:
        """The step that a create is of, and the job whose result it was given."""
        number = self.CREATES.index(path)
        if number == 0:
            return number, None
        parent = self.job_in(body["taskId"] if number == 1 else body["sourceImage"])
        if (parent.step, parent.fate) != (number - 1, "done"):
            self.broken.append(f"step {number} was given the job {parent}")
        return number, parent

    def job_in(self, text: str) -> Bought:
        return next(job for job in self.jobs if job.job_id in text)

    def _check_create(self, item: int, number: int) -> None:
        """A create has arrived: each earlier job of this step of this item must be done with."""
        if not intents_in(self.values):
            self.broken.append("a create arrived without an intent in the store")
        for job in self.jobs:
            if (job.item, job.step, job.epoch[0]) != (item, number, self.epoch[0]) or job.given_up:
                continue
            is_over = job.fate == "failed" and job.job_id in self.named
            is_doubt = job.job_id not in self.named and self.on_uncertain == "resubmit"
            is_cleared = job.epoch != self.epoch and self.on_clear == "resubmit"
            job.given_up = is_over or is_doubt or is_cleared
            if not job.given_up:
                self.broken.append(f"a create of step {number} was sent though {job} was bought")

    def _read(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=self._shown(self.job_in(request.url.params["taskId"])))

    def _shown(self, job: Bought) -> dict:
        link = f"https://results.test/{job.job_id}.png" if job.fate == "done" else None
        return {"id": job.job_id, "status": job.fate, "percent": 100, "result": link, "error": "engine broke"}

    # -- what Airflow does ----------------------------------------------------------------------------

    @property
    def epoch(self) -> tuple[str, int]:
        return self.ti.run_id, self.ti.max_tries

    def chain(self) -> list[Step]:
        return [
            Step("grid", "gptunnel_default", "imagine", prompt="portrait {number}"),
            Step("pick", "gptunnel_default", "upsample", parent_job_id="{grid}", image=1),
            Step("swap", "gptunnel_default", "face_swap", target_image="{pick}", face_image="{face}"),
        ]

    def attempt(self, *, dies_at: int | None = None) -> object:
        """One process: a summary, an error, or a death."""
        self.dies_at, self.steps = dies_at, []
        operator = MediaBatchOperator(
            task_id="chains",
            items=[{"number": n, "face": "https://pictures.test/face.jpg"} for n in range(ITEMS)],
            steps=self.chain(),
            destination=f"file://{self.folder}",
            keep=self.keep,
            reuse=self.reuse,
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
        intents = sum(map(intents_in, self.stores()))
        unnamed = [job for job in self.jobs if job.job_id not in self.named and not job.given_up]
        return unnamed if len(unnamed) > intents else []
