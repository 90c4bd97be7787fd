"""However a batch ends: what was bought is recorded, nothing more is bought, and what happened is said."""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import threading
from contextlib import contextmanager
from functools import partial
from itertools import count

import pytest

from airflow_provider_faceswap.archive.manifest import Archived, RunInfo
from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.batch import manifest as manifests
from airflow_provider_faceswap.batch import runner
from airflow_provider_faceswap.batch.options import JobOptions
from airflow_provider_faceswap.batch.runner import BatchRunner
from airflow_provider_faceswap.exceptions import ArchiveError, BatchFailedError, FaceSwapError
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.jobs import Job, JobState
from airflow_provider_faceswap.operators import _batch_kill as operators
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator

pytestmark = pytest.mark.sandbox

KEY_OF_THE_ACCOUNT = "shds-7Qm2vXc94LrTzB61"


class TimedOutError(BaseException):
    """As Airflow's own, which is no Exception either."""


def soon(true):
    """Wait until something is so, which it will be in a moment."""
    pause = threading.Event()
    for _ in range(20_000):
        if true():
            return
        pause.wait(0.001)
    raise AssertionError("it never was")


def send_until(number, handled):
    """Send a signal to the main thread until it is handled. One that comes just before a wait waits with it."""
    main = threading.main_thread().ident
    soon(lambda: handled() or signal.pthread_kill(main, number))


def timing_out():
    """A signal handler that raises once, as that of ``execution_timeout`` does."""
    raised = threading.Event()

    def times_out(*_):
        if not raised.is_set():
            raised.set()
            raise TimedOutError

    return times_out


class Items(list):
    """Items that can be read whole when all are checked; once the batch runs, the storage is away after some."""

    def __init__(self, items, batch, *, sound, jobs):
        super().__init__(items)
        self.batch, self.sound, self.jobs = batch, sound, jobs

    def __getitem__(self, part):
        return self

    def __iter__(self):
        for position, item in enumerate(super().__iter__()):
            if position == self.sound and self.batch.runner:
                soon(lambda: len(self.batch.bought) == self.jobs)
                raise ConnectionResetError("https://bucket.test/items?X-Amz-Signature=planted")
            yield item


@pytest.fixture
def items():
    return [
        {"target_image": f"https://pictures.test/{n}.png", "face_image": "https://pictures.test/face.png"}
        for n in range(6)
    ]


class Run:
    """A batch at a vendor that takes every job, and what its log was told; calling it runs it."""

    def __init__(self, folder, context):
        self.folder, self.context = folder, context
        self.told, self.bought, self.numbers = [], [], count(1)
        self.operator, self.runner = None, None

    def answer(self):
        """What a create does before it is answered."""

    def run(self, **options):
        self.runner = BatchRunner(**options)
        return self.runner

    @property
    def ending(self):
        return self.runner is not None and self.runner.ending

    def __call__(self, items, **more):
        self.runner = None
        more = {"conn_id": "gptunnel_default", "concurrency": 2, **more}
        self.operator = FaceSwapBatchOperator(
            task_id="batch", items=items, destination=f"file://{self.folder}", **more
        )
        for level in ("info", "warning"):
            setattr(self.operator.log, level, self.hear)
        return self.operator.execute(self.context)

    def hear(self, text, *args):
        self.told.append(text % args if args else text)

    def lines(self):
        [path] = self.folder.glob("batch-*.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def turn(self):
        """What a create waits for before it is sent."""

    @contextmanager
    def ready(self, kind, request):
        self.turn()
        yield partial(self.buy, kind)

    def buy(self, kind):
        number = f"job-{next(self.numbers)}"
        self.bought.append(number)
        self.answer()
        return job(number, kind, JobState.QUEUED)


def job(job_id, kind="face_swap", state=JobState.SUCCEEDED):
    return Job(
        vendor="gptunnel",
        kind=kind,
        job_id=job_id,
        state=state,
        status=str(state),
        urls=("https://pictures.test/result.png",) if state is JobState.SUCCEEDED else (),
    )


KEPT = Archived(
    uri="file:///kept/a.png",
    manifest_uri="file:///kept/a.png.json",
    media_type="image/png",
    bytes=1,
    sha256="0" * 64,
    width=1,
    height=1,
)


@pytest.fixture
def batch(tmp_path, context, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_GPTUNNEL_DEFAULT",
        json.dumps({"conn_type": "gptunnel", "password": KEY_OF_THE_ACCOUNT}),
    )
    monkeypatch.setattr("airflow_provider_faceswap.batch.runner.CHUNK", 1)
    run = Run(tmp_path / "pictures", context)

    async def afetch(hook, job_id, kind):
        return job(job_id, kind)

    monkeypatch.setattr(GPTunnelHook, "ready", run.ready)
    monkeypatch.setattr(GPTunnelHook, "fetch", lambda _, job_id, kind: job(job_id, kind, JobState.RUNNING))
    monkeypatch.setattr(GPTunnelHook, "afetch", afetch)
    monkeypatch.setattr(Archive, "keep", lambda *_: KEPT)
    monkeypatch.setattr(runner, "BatchRunner", run.run)
    return run


def recorded(store):
    """The jobs that the store has, and how many intents have none."""
    records = [record for shard in store.values.values() for record in shard.values()]
    return {record["job_id"] for record in records if "job_id" in record}, sum(
        record["stage"] == "intent" for record in records
    )


def told_of(batch, text):
    return [line for line in batch.told if text in line]


# -- creates that are on their way ---------------------------------------------------------------------


def test_creates_on_their_way_are_waited_for_where_the_items_break_off(batch, items, store):
    batch.answer = lambda: soon(lambda: batch.ending)
    away = Items(items, batch, sound=3, jobs=2)
    with pytest.raises(FaceSwapError, match=r"0 of 6 archived, 0 failed, 2 at the vendor") as error:
        batch(away)
    assert recorded(store) == ({"job-1", "job-2"}, 0)
    assert len(batch.bought) == 2, "none is sent once the end has begun"
    assert "Nothing was bought" not in str(error.value)
    assert "planted" not in str(error.value) + "".join(batch.told)
    assert told_of(batch, "accepted face_swap as job job-1")
    [line] = told_of(batch, "These jobs continue")
    assert "job-1" in line
    assert "job-2" in line
    batch.answer = lambda: None
    assert batch(items)["archived"] == 6
    assert len(batch.bought) == 6, "the next try takes them up"


def test_a_create_that_waits_for_its_turn_when_the_end_begins_is_not_sent(batch, items, store):
    turns = []

    def turn():
        turns.append(None)
        if len(turns) > 2:
            soon(lambda: batch.ending)

    batch.turn = turn
    away = Items(items, batch, sound=4, jobs=2)
    with pytest.raises(FaceSwapError, match=r"stopped early: .* 0 failed"):
        batch(away, concurrency=4)
    assert len(turns) > 2
    assert len(batch.bought) == 2
    assert recorded(store) == ({"job-1", "job-2"}, 0)


def test_creates_on_their_way_are_waited_for_where_the_task_runs_out_of_time(batch, items, store):
    """``execution_timeout`` raises from a signal, in the main thread, whatever that is doing."""

    def answer():
        if len(batch.bought) == 2:
            send_until(signal.SIGUSR1, lambda: batch.ending)
        soon(lambda: batch.ending)

    batch.answer = answer
    before = signal.signal(signal.SIGUSR1, timing_out())
    try:
        with pytest.raises(TimedOutError) as error:
            batch(items)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert recorded(store) == ({"job-1", "job-2"}, 0)
    assert "2 at the vendor" in error.value.__notes__[0]
    assert len(batch.bought) == 2
    assert batch.lines() == []


def test_a_batch_that_breaks_off_without_records_names_its_jobs(batch, items, context):
    batch.answer = lambda: soon(lambda: batch.ending)
    del context["task_state_store"]
    away = Items(items, batch, sound=3, jobs=2)
    with pytest.raises(FaceSwapError, match=r"not recorded: job-[12], job-[12]"):
        batch(away)


def test_a_store_that_is_away_for_a_moment_loses_no_id(batch, items, store):
    write = type(store).set

    def away_once_all_have_answered(key, value, **_):
        if any("job_id" in record for record in value.values()) and not store.broken_for:
            store.broken_for = "once"
            raise ConnectionError("store is down")
        write(store, key, value)

    store.set = away_once_all_have_answered
    with pytest.raises(FaceSwapError, match="could not be written") as error:
        batch(items)
    jobs, intents = recorded(store)
    assert (jobs, intents) == (set(batch.bought), 0)
    assert "Nothing was bought" not in str(error.value)
    assert "not recorded" not in str(error.value)
    assert told_of(batch, "accepted face_swap as job job-1")


def test_a_job_that_could_not_be_recorded_is_named_in_the_error_and_in_the_log(batch, items, store):
    def answer():
        store.broken_for = "set"

    batch.answer = answer
    with pytest.raises(FaceSwapError, match=r"not recorded: job-1\b.*JobSensor"):
        batch(items, concurrency=1)
    assert told_of(batch, "[job job-1]")
    assert len(batch.bought) == 1


# -- one item's trouble --------------------------------------------------------------------------------


def on(position, error):
    """Raise for the item at this place, once it was checked."""
    seen = []
    prepare = JobOptions.request

    def request(self, item):
        seen.append(item)
        if len(seen) > 6 and item.position == position:
            raise error
        return prepare(self, item)

    return request


@pytest.mark.parametrize("error", [KeyError("width"), struct.error("required argument"), RuntimeError("")])
def test_an_error_of_another_library_fails_its_item_only(batch, items, monkeypatch, error):
    said = rf"1 of 6 items failed \(1 {type(error).__name__}\); 5 are"
    with monkeypatch.context() as patch:
        patch.setattr(JobOptions, "request", on(2, error))
        with pytest.raises(BatchFailedError, match=said):
            batch(items)
    [line] = [line for line in batch.lines() if line["status"] == "failed"]
    assert (line["position"], line["error"]) == (2, type(error).__name__)
    assert told_of(batch, f"items[2] failed: {type(error).__name__}")
    assert batch(items)["archived"] == 6


def test_a_bought_item_that_fails_in_another_library_is_named_with_its_job(batch, items, monkeypatch):
    def keep(self, source):
        if source.job_id == "job-2":
            raise RuntimeError(f"{KEY_OF_THE_ACCOUNT} https://bucket.test/a?X-Amz-Signature=planted")
        return KEPT

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "keep", keep)
        with pytest.raises(BatchFailedError, match="1 RuntimeError"):
            batch(items)
    [line] = [line for line in batch.lines() if line["status"] == "failed"]
    assert line["job_id"] == "job-2"
    assert "a retry resumes it" in line["message"]
    assert KEY_OF_THE_ACCOUNT not in "".join(batch.told) + json.dumps(batch.lines())
    assert "planted" not in "".join(batch.told) + json.dumps(batch.lines())
    assert batch(items)["archived"] == 6
    assert len(batch.bought) == 6, "the retry takes its job up"


def test_an_item_that_cannot_be_checked_is_named(batch, items, monkeypatch):
    def request(self, item):
        if item.position == 4:
            raise struct.error("required argument is not an integer")

    monkeypatch.setattr(JobOptions, "request", request)
    with pytest.raises(FaceSwapError, match=r"items\[4\]: could not be checked \(error: required argument"):
        batch(items)

    def away(self, item):
        raise FaceSwapError("the picture could not be read", advice="Retry.")

    monkeypatch.setattr(JobOptions, "request", away)
    with pytest.raises(FaceSwapError, match=r"items\[0\]: the picture could not be read. Retry."):
        batch(items)
    assert not batch.bought


# -- the batch's own manifest --------------------------------------------------------------------------


def away(*_):
    raise RuntimeError("bucket is away")


LONG = {
    "dag_id": "замена_лиц_в_каталоге_магазина_на_осень",
    "task_id": "подготовка.замена_лиц",
    "run_id": "scheduled__2026-11-21T00:00:00.000000+00:00",
}


def test_long_names_make_a_manifest_all_the_same(batch, items, context, monkeypatch):
    for name, value in LONG.items():
        monkeypatch.setattr(context["ti"], name, value, raising=False)
    uri = batch(items)["manifest_uri"]
    assert len(batch.lines()) == 6
    assert batch(items)["manifest_uri"] == uri, "each try writes the same one"


def test_no_two_task_instances_share_a_manifest():
    def name(dag_id, run_id, task_id, map_index=-1):
        of = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        return manifests.manifest_name(RunInfo(**of))

    long = "x" * 200
    names = [
        name("a-b", "c", "t"),
        name("a", "b-c", "t"),
        name("a", "b-c", "t", 1),
        name("a", "b-c", "t-1"),
        name(long, long, "t"),
        name(long, long, "u"),
    ]
    assert len(set(names)) == len(names)
    assert max(len(name.encode()) for name in names) < 200


def test_a_manifest_that_cannot_be_written_is_an_error_with_the_counts(batch, items, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(manifests, "write", away)
        with pytest.raises(ArchiveError, match=r"manifest .*batch-.* could not be written .*6 of 6 archived"):
            batch(items)
    assert batch(items)["reused"] == 6


def test_a_manifest_that_cannot_be_written_hides_no_other_outcome(batch, items, monkeypatch):
    monkeypatch.setattr(manifests, "write", away)
    with monkeypatch.context() as patch:
        patch.setattr(JobOptions, "request", on(2, KeyError("width")))
        with pytest.raises(BatchFailedError, match="1 of 6 items failed"):
            batch(items)
    assert told_of(batch, "could not be written (RuntimeError: bucket is away)")
    with pytest.raises(FaceSwapError, match="the batch stopped early"):
        batch(Items(items, batch, sound=3, jobs=5))


@pytest.fixture
def state(monkeypatch):
    """What Airflow says of the task."""

    def say(word):
        monkeypatch.setattr(operators, "task_state_sync", lambda _: word)

    return say


# -- K9: Airflow 3.4 sends SIGTERM a minute after execution_timeout, and SIGKILL a minute after that ----------


@pytest.mark.parametrize("word", ["running", "failed"])
def test_an_id_that_comes_after_the_timeout_and_after_the_signal_is_recorded(
    batch, items, store, state, word
):
    """A create that is held for 70 seconds is answered after both, and before the process is killed."""
    state(word)
    killed, once = threading.Event(), threading.Lock()

    def kill(*_):
        batch.operator.on_kill()
        killed.set()

    def answer():
        # Both threads may see two.
        if len(batch.bought) == 2 and once.acquire(blocking=False):
            send_until(signal.SIGUSR1, lambda: batch.ending)
            send_until(signal.SIGUSR2, killed.is_set)
        soon(killed.is_set)

    batch.answer = answer
    handlers = {signal.SIGUSR1: timing_out(), signal.SIGUSR2: kill}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        with pytest.raises(TimedOutError) as error:
            batch(items)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert recorded(store) == ({"job-1", "job-2"}, 0)
    assert "2 at the vendor" in error.value.__notes__[0]
    assert len(batch.bought) == 2


# -- a task that is ended ---------------------------------------------------------------------------------


def test_a_worker_that_shuts_down_buys_nothing_more_and_a_retry_goes_on(batch, items, store, state):
    state("running")

    def answer():
        batch.answer = lambda: None
        batch.operator.on_kill()

    batch.answer = answer
    with pytest.raises(
        BatchFailedError, match=r"the task was ended before all items were started: \d of 6 archived"
    ):
        batch(items, concurrency=1)
    assert batch.bought == ["job-1"]
    assert [line["status"] for line in batch.lines()] == ["archived", *["not started"] * 5]
    assert recorded(store) == ({"job-1"}, 0)
    assert told_of(batch, "jobs continue: the task's state is running")
    assert batch(items)["archived"] == 6
    assert len(batch.bought) == 6


def test_all_cancels_of_an_ended_task_are_sent_together(batch, items, monkeypatch, state):
    state("failed")
    together = threading.Barrier(6, timeout=20)

    def cancel(hook, job_id, kind):
        together.wait()
        order.append(f"cancel of {job_id}")
        if job_id == "job-3":
            raise RuntimeError("what no hook should raise")
        return job_id != "job-4"

    order = batch.told
    monkeypatch.setattr(GPTunnelHook, "cancel", cancel)

    async def running(hook, job_id, kind):
        at_vendor = batch.runner.running
        await asyncio.to_thread(soon, lambda: len(at_vendor) == 6 or told_of(batch, "The task is ending"))
        if not told_of(batch, "The task is ending"):
            batch.operator.on_kill()
        return job(job_id, kind, JobState.CANCELED)

    batch.answer = together.wait
    monkeypatch.setattr(GPTunnelHook, "afetch", running)
    with pytest.raises(BatchFailedError):
        batch(items, concurrency=6)
    [ids] = [position for position, line in enumerate(order) if "The task is ending" in line]
    assert all(f"job-{number}" in order[ids] for number in range(1, 7))
    cancels = [position for position, line in enumerate(order) if line.startswith("cancel of")]
    assert (len(cancels), min(cancels) > ids) == (6, True)
    assert told_of(batch, "6 job(s) running; the vendor confirmed 4 cancellation(s)")


def test_cancels_that_take_too_long_are_not_waited_for(batch, items, monkeypatch, state):
    state("failed")
    monkeypatch.setattr(operators, "CANCEL_TIMEOUT", 0.01)
    answered = threading.Event()
    monkeypatch.setattr(GPTunnelHook, "cancel", lambda *_: answered.wait(20))

    async def running(hook, job_id, kind):
        batch.operator.on_kill()
        answered.set()
        return job(job_id, kind, JobState.CANCELED)

    monkeypatch.setattr(GPTunnelHook, "afetch", running)
    with pytest.raises(BatchFailedError):
        batch(items, concurrency=1)
    assert told_of(batch, "1 job(s) running; the vendor confirmed 0 cancellation(s)")
