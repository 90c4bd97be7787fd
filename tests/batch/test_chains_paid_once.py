"""Each job of a chain is paid once: the real runner against a vendor in memory, with a death at every step it takes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.batch.chain_world import FATES, ITEMS, MANNERS
from tests.conftest import NEEDS_STATE_STORE
from tests.sizes import SIZES

pytestmark = NEEDS_STATE_STORE


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
