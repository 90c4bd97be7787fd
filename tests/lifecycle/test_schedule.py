"""
How many questions a job costs for the delay at which its end is seen.

No vendor publishes how long its jobs take. So each kind is taken to last as people's work in queues does: log-normal,
its median at twice the shortest time, with a narrow, a middling and a wide spread. The least number of questions for
a mean delay is found by planning backwards with all the durations known.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from itertools import accumulate
from statistics import mean

import pytest

from airflow_provider_faceswap.lifecycle.polling import Schedule
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.kinds import Timing
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai

KINDS = [(vendor, kind) for vendor in (GPTunnel(), Tengrai(), PiAPI()) for kind in vendor.kinds]
SHORTEST = sorted({vendor.kind(kind).timing.first for vendor, kind in KINDS})
JOBS = 2000


def durations(shortest, spread):
    dice = random.Random(7)
    return [2 * shortest * math.exp(dice.gauss(0, spread)) for _ in range(JOBS)]


def cost(jobs, first, gap):
    """
    Questions a job and mean seconds from its end to the question that sees it.

    :param gap: Seconds to the next question, at an age in seconds.
    """
    asked, late = [], []
    for end in jobs:
        age, questions = first, 1
        while age < end:
            age += gap(age)
            questions += 1
        asked.append(questions)
        late.append(age - end)
    return mean(asked), mean(late)


def least_for(jobs, delay):
    """
    The fewest questions a job for a mean delay not above this one, and that delay.

    Planned backwards on a grid of ages: the next question is where it costs least, a second of delay having a price.
    The price is moved until the delay fits.
    """
    ends = sorted(jobs)
    grid = [ends[0] * 0.9 * (ends[-1] / ends[0] / 0.9) ** (step / 120) for step in range(120)] + [ends[-1]]
    counts = [0, *(bisect_right(ends, age) for age in grid)]
    before = [0.0, *accumulate(ends)]
    sums = [before[count] for count in counts]

    def plan(price):
        # best[i]: cost, questions and delay of all jobs that are still running at grid[i - 1].
        best = [(0.0, 0.0, 0.0)] * (len(grid) + 1)
        for here in range(len(grid) - 1, -1, -1):
            alive = len(ends) - counts[here]
            options = []
            for there in range(here + 1, len(grid) + 1):
                seen = counts[there] - counts[here]
                waited = seen * grid[there - 1] - (sums[there] - sums[here]) + best[there][2]
                options.append((alive + best[there][1] + price * waited, alive + best[there][1], waited))
            best[here] = min(options) if alive else best[here]
        return best[0][1] / len(ends), best[0][2] / len(ends)

    low, high = 1e-4, 1e4
    for _ in range(30):
        price = math.sqrt(low * high)
        low, high = (price, high) if plan(price)[1] > delay else (low, price)
    return plan(high)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.4, 0.5, 0.7])
@pytest.mark.parametrize("shortest", SHORTEST)
def test_a_kind_is_asked_little_more_than_the_least_possible(shortest, spread, capsys):
    schedule = Schedule.of(Timing(shortest, cap=30), None)
    jobs = durations(shortest, spread)
    asked, late = cost(jobs, schedule.first, schedule.wait)
    least, least_late = least_for(jobs, late)
    fixed = {clock: cost(jobs, clock, lambda _, c=clock: c) for clock in (1, 2, 5, 10)}
    told = ", ".join(f"every {clock} s {a:.1f} / {d:.2f} s" for clock, (a, d) in fixed.items())
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what this is for
            f"\nfrom {shortest:g} s, spread {spread}: {asked:.2f} questions a job, seen after {late:.2f} s;"
            f" least possible {least:.2f} / {least_late:.2f} s; {told}"
        )
    assert least_late <= late
    assert asked <= 1.3 * least
    for questions, delay in fixed.values():
        assert asked < questions or late < delay, "no fixed clock is better in both"
