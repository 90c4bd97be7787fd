"""The jobs of one account: no more than it may have, and the oldest item first."""

from __future__ import annotations

import asyncio

from airflow_provider_faceswap.batch.limits import AccountLimit
from airflow_provider_faceswap.batch.report import BatchReport, RunningJob, StepCount


def limited_to(number, read=None):
    async def limit():
        if read is not None:
            read.append(number)
        return number

    return AccountLimit(limit)


def test_the_limit_is_read_once_and_for_the_first_job():
    read = []

    async def run():
        limit = limited_to(2, read)
        assert read == []

        async def job():
            async with limit.job_of(1):
                await asyncio.sleep(0)

        await asyncio.gather(*(job() for _ in range(5)))
        return limit.number

    assert asyncio.run(run()) == 2
    assert read == [2]


def test_the_oldest_item_that_waits_is_next():
    order = []

    async def item(limit, position):
        async with limit.job_of(position):
            order.append(position)
            await asyncio.sleep(0)

    async def run():
        limit = limited_to(1)
        async with asyncio.TaskGroup() as group, limit.job_of(0):
            for position in (7, 3, 5):
                group.create_task(item(limit, position))
            await asyncio.sleep(0)
            order.append(0)

    asyncio.run(run())
    assert order == [0, 3, 5, 7]


def test_there_are_never_more_jobs_than_allowed_and_a_cancelled_wait_takes_none():
    running, most = 0, 0

    async def item(limit, position):
        nonlocal running, most
        async with limit.job_of(position):
            running += 1
            most = max(most, running)
            try:
                await asyncio.sleep(0)
            finally:
                running -= 1

    async def run():
        limit = limited_to(3)
        tasks = [asyncio.create_task(item(limit, position)) for position in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::4]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with limit.job_of(1), limit.job_of(2), limit.job_of(3):
            pass

    asyncio.run(run())
    assert most == 3


def test_a_vendor_without_a_limit_holds_nobody_up():
    async def run():
        limit = limited_to(None)
        async with limit.job_of(1), limit.job_of(2), limit.job_of(3):
            return True

    assert asyncio.run(run())


def test_the_line_of_progress_names_the_jobs_by_step():
    report = BatchReport(10, steps={"picture": StepCount(), "swap": StepCount()})
    report.add({"status": "archived"})
    report.add({"status": "failed", "error": "NoFaceError", "step": "swap"})
    report.add_cost({"amount": 5.0, "unit": "RUB"}, earlier=False, step="picture")
    report.running.update(
        {
            "a": RunningJob(None, "image", "picture"),
            "b": RunningJob(None, "image", "picture"),
            "c": RunningJob(None, "face_swap", "swap"),
        }
    )
    assert report.line(10, 2) == (
        "1 of 10 archived, 1 failed, at the vendors: 2 picture, 1 swap, 5 RUB so far, about 40 s left"
    )
    assert report.summary(1, "file:///m")["steps"]["swap"]["failed"] == 1
