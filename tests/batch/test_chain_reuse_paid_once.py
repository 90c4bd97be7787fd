"""Chains of several runs that share an archive, which loses pictures and entries: nothing is bought that is there."""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_faceswap.archive.index import FOLDER, Index
from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.archive.thumbnails import ThumbnailKeeper
from airflow_provider_faceswap.exceptions import ResultExpiredError
from airflow_provider_faceswap.http.body import Downloaded
from airflow_provider_faceswap.operators.batch import Step
from tests.batch.chain_world import ITEMS, MANNERS, Bought, Died, World
from tests.conftest import NEEDS_STATE_STORE
from tests.sizes import SIZES

pytestmark = NEEDS_STATE_STORE

#: The real one.
_KEEP = Archive.keep


@dataclass
class SharedArchive(World):
    """
    Several runs of a chain.

    :ivar is_wide: Whether the last step takes both results before it.
    """

    CREATES: ClassVar = ("/v1/midjourney/imagine", "/v1/faceswap/create")

    is_wide: bool = True
    reuse: str = "archive"
    #: The instance of each run, and its records.
    runs: dict[str, SimpleNamespace] = field(default_factory=dict)
    records: dict[str, dict[str, object]] = field(default_factory=lambda: defaultdict(dict))
    #: By item and step, the files of its entry.
    archived: dict[tuple[int, int], list[Path]] = field(default_factory=dict)
    paint: object = None

    def chain(self):
        swap = {"conn_id": "gptunnel_default", "kind": "face_swap"}
        return [
            Step("grid", "gptunnel_default", "imagine", prompt="portrait {number}"),
            Step("one", target_image="{grid}", face_image="{face}", **swap),
            Step("two", target_image="{one}", face_image="{grid}" if self.is_wide else "{face}", **swap),
        ]

    def switch_to(self, run: str) -> None:
        new = SimpleNamespace(**{**vars(self.ti), "run_id": run, "try_number": 1, "max_tries": 0})
        self.ti, self.values = self.runs.setdefault(run, new), self.records[run]

    def stores(self):
        return [*self.records.values()]

    # -- the vendor -----------------------------------------------------------------------------------

    def picture(self, job: Bought) -> bytes:
        return self.paint(size=(8, 8), colour=f"#{int(job.job_id):06x}")

    def job_in(self, text: str) -> Bought:
        """The job of an id, of a link, or of a picture that is sent itself."""
        sent = text.rpartition(",")[2]
        return next(
            job
            for job in self.jobs
            if job.job_id in text or base64.b64encode(self.picture(job)).decode() == sent
        )

    def _step_of(self, path, body):
        if path == self.CREATES[0]:
            return 0, None
        parent = self.job_in(body["sourceImage"])
        if parent.fate != "done":
            self.broken.append(f"a swap was given the job {parent}")
        return parent.step + 1, parent

    def _check_create(self, item: int, number: int) -> None:
        super()._check_create(item, number)
        is_anew = self.on_clear == "resubmit" and self.ti.max_tries
        if not is_anew and not self._is_needed(item, number):
            self.broken.append(f"step {number} of item {item} was bought for nothing")

    def _is_needed(self, item: int, number: int) -> bool:
        """Whether no picture of the step is there, and a later step that takes it must be made too."""
        if self.has(item, number) or any(map(partial(self._is_made, item, number), self.jobs)):
            return False
        users = [(1, 2) if self.is_wide else (1,), (2,), ()][number]
        return not users or any(self._is_needed(item, user) for user in users)

    def _is_made(self, item: int, number: int, job: Bought) -> bool:
        is_known = job.job_id in self.named and not job.given_up
        return is_known and (job.item, job.step, job.epoch, job.fate) == (item, number, self.epoch, "done")

    # -- the archive ----------------------------------------------------------------------------------

    def has(self, item: int, number: int) -> bool:
        files = self.archived.get((item, number))
        return files is not None and all(file.exists() for file in files)

    def download(self, url, into, **_):
        self.step("before a file is downloaded")
        job = self.job_in(url)
        if job.job_id in self.expired:
            raise ResultExpiredError("the link has expired", job_id=job.job_id)
        data = self.picture(job)
        into.write(data)
        into.seek(0)
        return Downloaded(len(data), hashlib.sha256(data).hexdigest())

    def record(self, write, index, key, manifests):
        self.step("before an entry is written")
        write(index, key, manifests)
        job = self.job_in(manifests[0].file.uri)
        files = [Path(one.file.uri.removeprefix("file://")) for one in manifests]
        self.archived[job.item, job.step] = files
        self.step("after an entry is written")

    def lose(self, steps: set[int]) -> None:
        for (_, step), files in self.archived.items():
            for file in files if step in steps else ():
                file.unlink(missing_ok=True)

    def lose_entries(self) -> None:
        self.archived.clear()
        shutil.rmtree(Path(self.folder) / FOLDER, ignore_errors=True)


@pytest.fixture
def archive(world, monkeypatch, picture, tmp_path):
    """Make an archive that several runs share, in a folder of its own."""
    newest: list[SharedArchive] = []

    def make(**more):
        newest[:] = [world(SharedArchive, paint=picture, **more)]
        newest[0].folder = tmp_path / str(len(list(tmp_path.iterdir())))
        newest[0].folder.mkdir()
        return newest[0]

    record = Index.record
    monkeypatch.setattr(Archive, "keep", _KEEP)
    monkeypatch.setattr(Index, "record", lambda *given: newest[0].record(record, *given))
    monkeypatch.setattr(
        "airflow_provider_faceswap.archive.store.download", lambda *given, **more: newest[0].download(*given)
    )
    monkeypatch.setattr("airflow_provider_faceswap.archive.turns._PAUSE", 600.0)
    monkeypatch.setattr(ThumbnailKeeper, "keep", lambda *_: {})
    return make


def test_a_second_run_takes_all_from_the_archive(archive):
    shared = archive(keep="all")
    for run in ("first", "second"):
        shared.switch_to(run)
        summary = shared.attempt()
        assert (summary["archived"], len(shared.jobs), shared.broken) == (ITEMS, 3 * ITEMS, [])
    assert (summary["reused"], len(shared.archived)) == (ITEMS, 3 * ITEMS)


def another_makes_all(shared):
    """As if the claims of the first run had ended."""
    shared.lose_entries()
    shared.switch_to("second")
    shared.attempt()
    shared.switch_to("first")


def inputs_are_lost(shared):
    shared.lose({0, 1})


def inputs_are_lost_and_links_expire(shared):
    inputs_are_lost(shared)
    shared.expired = {job.job_id for job in shared.jobs}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keep", "meanwhile"),
    [
        ("last", another_makes_all),
        ("all", another_makes_all),
        ("all", inputs_are_lost),
        ("all", inputs_are_lost_and_links_expire),
    ],
)
def test_a_run_that_dies_anywhere_buys_nothing_that_is_there_by_then(archive, keep, meanwhile):
    for dies_at in count(1):
        shared = archive(keep=keep, is_wide=False)
        if meanwhile is not another_makes_all:
            shared.switch_to("before")
            shared.attempt()
            shared.lose({2})
        shared.switch_to("first")
        ended = shared.attempt(dies_at=dies_at)
        meanwhile(shared)
        shared.attempt()
        assert not shared.broken, (dies_at, shared.broken)
        assert not shared.lost(), dies_at
        if not isinstance(ended, Died):
            break
    assert dies_at > 20


#: Steps whose pictures are lost.
LOST = st.sets(st.integers(0, 2))


@pytest.mark.slow
def test_whatever_happens_nothing_is_bought_that_is_there(archive):
    @settings(
        max_examples=SIZES.lives // 2,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(
        lives=st.lists(
            st.tuples(
                st.sampled_from(["first", "first", "second"]),
                st.none() | st.integers(1, 80),
                st.lists(st.sampled_from(MANNERS), max_size=4),
                st.sampled_from([(), ("failed",), ("failed", "failed"), ("done", "failed")]),
                st.sampled_from(["", "cleared", "links expire", "entries are lost"]) | LOST,
            ),
            min_size=1,
            max_size=5,
        ),
        most=st.integers(1, 3),
        on_clear=st.sampled_from(["reuse", "resubmit"]),
        keep=st.sampled_from(["last", "all", "all"]),
        lost=st.none() | LOST,
        is_wide=st.booleans(),
    )
    def live(lives, most, on_clear, keep, lost, is_wide):
        shared = archive(most=most, on_clear=on_clear, keep=keep, is_wide=is_wide)
        if lost is not None:
            shared.switch_to("before")
            shared.attempt()
            shared.lose(lost)
        for run, dies_at, manners, fates, meanwhile in lives:
            shared.switch_to(run)
            if meanwhile == "cleared":
                shared.ti.max_tries = shared.ti.try_number
            elif meanwhile == "links expire":
                shared.expired = {job.job_id for job in shared.jobs}
            elif meanwhile == "entries are lost":
                shared.lose_entries()
            elif meanwhile:
                shared.lose(meanwhile)
            shared.manners, shared.fates = list(manners), list(fates)
            shared.attempt(dies_at=dies_at)
            assert not shared.broken, shared.broken
            assert not shared.lost(), shared.jobs

    live()
