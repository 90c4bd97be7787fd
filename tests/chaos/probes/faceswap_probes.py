"""Triggers that show what Airflow does, so that a change of it is noticed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from airflow.triggers.base import BaseTrigger, TriggerEvent


class FireAtOnce(BaseTrigger):
    """Fires about a second after the deferral."""

    def serialize(self):
        return "faceswap_probes.FireAtOnce", {}

    async def run(self):
        await asyncio.sleep(0.5)
        yield TriggerEvent("fired")


class SlowKill(BaseTrigger):
    """Waits for ever; takes three seconds over its end, and leaves word of how far it got."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def serialize(self):
        return "faceswap_probes.SlowKill", {"folder": self.folder}

    async def run(self):
        (Path(self.folder) / "kill-armed").touch()
        await asyncio.sleep(3600)
        yield TriggerEvent("never")

    async def on_kill(self):
        folder = Path(self.folder)
        (folder / "kill-begun").touch()
        await asyncio.sleep(3)
        (folder / "kill-done").touch()
