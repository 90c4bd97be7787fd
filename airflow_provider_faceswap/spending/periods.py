"""Periods of a budget: a run, a day, a month, or for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Per = Literal["run", "day", "month", "ever"]
PERS = ("run", "day", "month", "ever")


@dataclass(frozen=True)
class Period:
    """
    One period.

    :param name: The name of its folder.
    :param end: When the next one begins; ``None`` if no time ends it.
    """

    name: str
    end: datetime | None = None

    @classmethod
    def of(cls, per: Per, moment: datetime, zone: ZoneInfo, run: tuple[str, str]) -> Period:
        """
        The period of a moment.

        :param zone: Where a day begins at midnight.
        :param run: The Dag and the run.
        """
        if per == "ever":
            return cls("ever")
        if per == "run":
            return cls(f"run-{hashlib.sha256(repr(run).encode()).hexdigest()[:24]}")
        local = moment.astimezone(zone)
        midnight = datetime(local.year, local.month, local.day, tzinfo=zone)
        if per == "day":
            return cls(f"{midnight:%Y-%m-%d}", midnight + timedelta(days=1))
        following = midnight.replace(day=1) + timedelta(days=32)
        return cls(f"{midnight:%Y-%m}", following.replace(day=1))
