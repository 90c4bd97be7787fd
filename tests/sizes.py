"""How much the long suites do: little for ``make test``, all of it for ``make verify``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Sizes:
    """
    What is done how often.

    :param every_scenario: Whether each chaos case runs at each vendor in each mode. Otherwise it runs at GPTunneL and
        at one of the two vendors that list their jobs, with the modes in turn.
    :param fault_seconds: How long a vendor fails for "a minute".
    :param late_exits: Swaps, in each of two ways, whose late exit is provoked.
    :param short_swaps: Swaps, in each of two ways, that may meet a late exit by chance.
    :param lives: Lives of a task in each machine that looks for a job paid twice.
    """

    every_scenario: bool
    fault_seconds: float
    late_exits: int
    short_swaps: int
    lives: int


QUICK = Sizes(every_scenario=False, fault_seconds=20, late_exits=3, short_swaps=0, lives=200)
FULL = Sizes(every_scenario=True, fault_seconds=60, late_exits=3, short_swaps=45, lives=800)

#: ``FACESWAP_TESTS=full`` chooses the full sizes.
SIZES = FULL if os.environ.get("FACESWAP_TESTS") == "full" else QUICK


def spread(*axes: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Combinations for a test: all at the full size, else as few as have each value of each axis."""
    if SIZES is FULL:
        return list(product(*axes))
    longest = max(map(len, axes))
    return [tuple(axis[row % len(axis)] for axis in axes) for row in range(longest)]
