"""Kill it, starve it, restart it: each scenario ends as it has to, and the vendor bills as often as it may."""

from __future__ import annotations

import os

import pytest

from tests.chaos.cases import CASES, PLATFORM, VENDORS, scenarios
from tests.chaos.table import shown, table, write
from tests.conftest import NEEDS_STATE_STORE

pytestmark = [pytest.mark.airflow, NEEDS_STATE_STORE]


def named(scenario):
    return scenario.name


@pytest.mark.parametrize("scenario", scenarios(CASES), ids=named)
def test_a_killed_task_or_a_failing_vendor(crashes, scenario):
    assert crashes[scenario.name] == scenario.case.ending(scenario.vendor)


@pytest.mark.parametrize("scenario", scenarios(PLATFORM), ids=named)
def test_a_part_of_airflow_ends(platform, scenario):
    assert platform[scenario.name] == scenario.case.ending(scenario.vendor)


@pytest.mark.parametrize(
    "scenario", [scenario for scenario in scenarios(CASES) if scenario.case.point], ids=named
)
def test_the_task_was_really_killed(crashes, world, scenario):
    assert (world.home / f"{scenario.name}.died").exists()


def test_the_page_says_what_was_seen(crashes, platform):
    """``make reliability`` writes the page anew."""
    seen = {**crashes, **platform}
    if os.environ.get("FACESWAP_WRITE_DOCS"):
        write(table(seen))
    page = shown()
    for scenario in scenarios((*CASES, *PLATFORM)):
        assert page[scenario.case.title, scenario.mode, scenario.vendor] == str(seen[scenario.name])


def test_the_page_has_every_case_in_each_of_its_modes():
    every = {
        (case.title, mode, vendor)
        for case in (*CASES, *PLATFORM)
        for mode in case.modes
        for vendor in VENDORS
    }
    assert set(shown()) == every
