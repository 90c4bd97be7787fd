"""Waiting for a job with nothing but a hook, as in a ``@task`` function."""

from __future__ import annotations

import httpx
import pytest

from airflow_provider_faceswap.exceptions import (
    JobFailedError,
    JobLostError,
    JobTimeoutError,
)
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.jobs import Cost
from tests.conftest import unknown_job

DONE = {"percent": 100, "result": "https://a.test/r.png"}


def bought(hook, vendor, answer, status="idle", **more):
    vendor.will(answer(status, usage={"total_cost": 12.5}, **more))
    return hook.submit("face_swap", target_image="https://a.test/a.png", face_image="https://a.test/b.png")


def test_it_returns_the_job_with_its_links_and_the_cost_that_only_the_create_told(vendor, answer, clock):
    with GPTunnelHook() as hook:
        job = bought(hook, vendor, answer)
        vendor.will(answer("processing"), answer("done", usage={"total_cost": 0}, **DONE))
        done = hook.wait(job)
    assert done.urls == ("https://a.test/r.png",)
    assert done.cost == Cost(amount=12.5, unit="RUB")
    assert len(vendor.creates) == 1
    assert clock.slept, "it has waited, on the clock that tests drive"


def test_a_job_that_is_done_already_is_not_asked_for_again(vendor, answer, clock):
    with GPTunnelHook() as hook:
        job = bought(hook, vendor, answer, "done", **DONE)
        assert hook.wait(job) == job
    assert len(vendor.requests) == 1
    assert not clock.slept


def test_done_without_a_link_is_asked_for_once_more(vendor, answer, clock):
    with GPTunnelHook() as hook:
        job = bought(hook, vendor, answer, "done", percent=100)
        vendor.will(answer("done", **DONE))
        assert hook.wait(job).urls


def test_the_deadline_is_said_with_what_to_do_and_the_job_can_be_waited_for_again(vendor, answer, clock):
    with GPTunnelHook() as hook:
        job = bought(hook, vendor, answer)
        begun = clock.now()
        vendor.will(*[answer("processing")] * 60)
        with pytest.raises(JobTimeoutError, match=job.job_id):
            hook.wait(job, timeout=60)
        assert clock.now() == pytest.approx(begun + 60)
        vendor.answers.clear()
        vendor.will(answer("done", **DONE))
        assert hook.wait(job, timeout=60).urls
    assert len(vendor.creates) == 1


def test_no_question_comes_sooner_than_asked_for(vendor, answer, clock):
    with GPTunnelHook() as hook:
        job = bought(hook, vendor, answer)
        vendor.will(*[answer("processing")] * 4, answer("done", **DONE))
        hook.wait(job, poll_interval=20)
    assert min(clock.slept[1:]) >= 20


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({"status": "failed", "error": "broke"}, JobFailedError),
        (unknown_job("gptunnel"), JobLostError),
    ],
)
def test_every_other_ending_is_the_error_that_it_is_everywhere(vendor, answer, clock, told, error):
    with GPTunnelHook() as hook:
        job = bought(hook, vendor, answer)
        vendor.will({"id": job.job_id, **told} if isinstance(told, dict) else told)
        with pytest.raises(error):
            hook.wait(job)


def test_a_moment_of_trouble_is_waited_out(vendor, answer, clock):
    with GPTunnelHook() as hook:
        job = bought(hook, vendor, answer)
        vendor.will(*[httpx.ConnectError("down")] * 3, answer("done", **DONE))
        assert hook.wait(job).urls
