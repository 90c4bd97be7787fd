"""Two Celery workers and two triggerers; one of each is lost for good while many jobs run."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from tests.conftest import NEEDS_STATE_STORE

from .part import BATCH, MAPPED

pytestmark = [pytest.mark.airflow, pytest.mark.full, NEEDS_STATE_STORE]

AT_ONCE = min(20, MAPPED // 3)
#: Seconds.
LONGEST = 900


@dataclass(frozen=True)
class Seen:
    """
    What was so at the worst moments, and in the end.

    :param archived: Mapped pictures that were there when the worker was lost.
    :param waited: Triggers of the triggerer that was lost.
    """

    archived: int
    waited: int
    states: dict[str, str]


@pytest.fixture(scope="module")
def ended(cluster):
    """Start both Dags, lose a worker, lose a triggerer, and wait for both runs."""
    cluster.begun = time.monotonic()
    # So many jobs are at the vendor at once, whether a worker or a triggerer waits for them.
    pool = {"name": "swaps", "slots": AT_ONCE, "include_deferred": True}
    cluster.airflow.api("POST", "/pools", json=pool)
    runs = {"batch_chains": cluster.airflow.run_dag("batch_chains")}
    # What is bought from now on is there to be lost, however slow the machine is.
    cluster.until(lambda: cluster.billed("batch"), LONGEST)
    cluster.hold("batch")
    runs["mapped_swaps"] = cluster.airflow.run_dag("mapped_swaps")
    cluster.until(lambda: len(cluster.archived("mapped")) >= MAPPED // 3, LONGEST)
    worker = cluster.until(lambda: worker_with_most_to_lose(cluster, set(runs)))
    cluster.hold("mapped")
    archived = len(cluster.archived("mapped"))
    cluster.lose_without_doubt(worker)
    cluster.say(f"{worker} is lost: {archived} archived, {len(cluster.billed('batch'))} of the batch bought")
    waiting = cluster.until(lambda: busy(cluster))
    triggerer = max(waiting, key=waiting.get)
    cluster.lose(triggerer)
    cluster.say(f"{triggerer} is lost: triggers {waiting}; {cluster.states()}")
    for vendor in ("batch", "mapped"):
        cluster.release(vendor)
    states = {
        dag_id: cluster.airflow.wait_for(dag_id, run_id, timeout=LONGEST) for dag_id, run_id in runs.items()
    }
    cluster.say(f"over: {states}, {cluster.states()}")
    cluster.say(f"tries: {sorted(cluster.tries('mapped_swaps'))[-12:]}, {cluster.tries('batch_chains')}")
    return Seen(archived, waiting[triggerer], states)


def worker_with_most_to_lose(cluster, dags: set[str]) -> str | None:
    """A worker that runs a batch and mapped tasks too."""
    return next((worker for worker, running in cluster.working().items() if running == dags), None)


def busy(cluster) -> dict[str, int] | None:
    """The triggerers, once one of them has something to lose."""
    waiting = cluster.waiting()
    return waiting if max(waiting.values()) >= 3 else None


def test_both_runs_succeed_though_a_worker_and_a_triggerer_are_lost(ended):
    assert ended.states == {"mapped_swaps": "success", "batch_chains": "success"}


def test_the_worker_and_the_triggerer_were_lost_in_the_middle_of_the_work(ended, cluster):
    assert MAPPED // 3 <= ended.archived < MAPPED
    assert ended.waited
    # The lost worker ran a batch. What it ran of the mapped tasks may have ended in that very moment.
    assert max(cluster.tries("batch_chains")) > 1


# A chain of the batches has two jobs.
@pytest.mark.parametrize(("name", "jobs"), [("mapped", MAPPED), ("batch", 2 * BATCH)])
def test_every_job_is_paid_once(ended, cluster, name, jobs):
    assert len(cluster.billed(name)) == jobs
    assert len(cluster.wanted(name)) == jobs


@pytest.mark.parametrize(("name", "swaps"), [("mapped", MAPPED), ("batch", BATCH)])
def test_every_picture_is_archived_once_with_its_manifest(ended, cluster, name, swaps):
    archived = cluster.archived(name)
    assert len(archived) == swaps
    assert sorted(archived) == sorted(cluster.swaps(name))
