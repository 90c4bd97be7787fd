"""Lets the clock of the package step in every process of the chaos tests' Airflow; Python imports this at its start."""

from __future__ import annotations

import os
from pathlib import Path

from airflow_provider_faceswap.foundation.clock import CLOCK, Clock

OFFSET = Path(os.environ["CHAOS_HOME"]) / "clock"


class SteppingClock(Clock):
    """The system's clock, and the seconds that a file says."""

    def now(self):
        return super().now() + (float(OFFSET.read_text()) if OFFSET.exists() else 0.0)


CLOCK.source = SteppingClock()
