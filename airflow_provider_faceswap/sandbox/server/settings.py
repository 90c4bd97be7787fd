"""Settings of a sandbox: speed, key, money and clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_faceswap.sandbox.server.registry import find_vendors
from airflow_provider_faceswap.sandbox.server.webhooks import checked_receiver

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Settings:
    """Settings of one sandbox.

    :param job_seconds: how long a job takes from its creation to its end. A change does not affect jobs that exist.
    :param key: the one key that all vendors accept.
    :param balance: money on the accounts at the start, by unit. A unit that is left out has a large balance.
    :param webhooks_to: root URL, such as ``http://127.0.0.1:9000``, that gets all webhooks instead of the hosts in
        their addresses; ``None`` sends them to these.
    :param clock: the present time in epoch seconds. Tests can pass a clock that they move.
    """

    job_seconds: float = 3.0
    key: str = "sandbox-key"
    balance: dict[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    webhooks_to: str | None = None

    def __post_init__(self) -> None:
        if self.job_seconds < 0:
            raise ValueError("job_seconds must not be negative")
        self.webhooks_to = checked_receiver(self.webhooks_to)
        plenty = {vendor.unit: vendor.funds for vendor in find_vendors().values()}
        unknown = set(self.balance) - set(plenty)
        if unknown:
            raise ValueError(f"no such unit of account: {', '.join(sorted(unknown))}")
        self.balance = {**plenty, **self.balance}
