"""Which scenarios each size has."""

from __future__ import annotations

from itertools import product

import pytest

from tests.chaos import cases
from tests.chaos.cases import CASES, LISTING, PLATFORM, VENDORS, scenarios
from tests.sizes import FULL, QUICK


@pytest.fixture
def chosen(monkeypatch):
    """The scenarios of all cases in a size."""

    def of(size):
        monkeypatch.setattr(cases, "SIZES", size)
        return scenarios((*CASES, *PLATFORM))

    return of


def test_the_full_size_has_each_case_at_each_vendor_in_each_mode(chosen):
    every = {
        (case.title, mode, vendor)
        for case in (*CASES, *PLATFORM)
        for mode, vendor in product(case.modes, VENDORS)
    }
    assert {(one.case.title, one.mode, one.vendor) for one in chosen(FULL)} == every


def test_the_quick_size_has_each_case_at_one_vendor_that_lists_jobs_and_at_one_that_does_not(chosen):
    found = chosen(QUICK)
    for case in (*CASES, *PLATFORM):
        first, second = [one for one in found if one.case is case]
        assert first.vendor not in LISTING
        assert second.vendor in LISTING
        assert {first.mode, second.mode} == set(case.modes)


def test_the_quick_size_has_each_vendor_in_each_mode(chosen):
    found = {(one.vendor, one.mode) for one in chosen(QUICK)}
    assert found == set(product(VENDORS, cases.MODES))
