"""What can be chosen about a sandbox: speed, key, money and clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

UNITS = ("RUB", "point", "credit")
"""Units of account: roubles at GPTunneL, points at PiAPI (10 million are about 1 USD), credits at Tengrai."""

_PLENTY = {"RUB": 100_000.0, "point": 1_000_000_000.0, "credit": 100_000.0}


@dataclass
class Settings:
    """Choices for one sandbox.

    :param job_seconds: how long a job takes from being accepted to being finished; jobs already accepted keep
        the figure they were accepted with.
    :param key: the one key all vendors accept.
    :param balance: money on the accounts at the start, by unit (see :data:`UNITS`); a unit left out has
        plenty.
    :param clock: the present time in epoch seconds; tests hand in one they can move.
    """

    job_seconds: float = 3.0
    key: str = "sandbox-key"
    balance: dict[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if self.job_seconds < 0:
            raise ValueError("job_seconds must not be negative")
        unknown = set(self.balance) - set(UNITS)
        if unknown:
            raise ValueError(f"no such unit of account: {', '.join(sorted(unknown))}")
        self.balance = {**_PLENTY, **self.balance}
