"""What is checked of a request's pictures before anything is bought."""

from __future__ import annotations

from typing import Literal

#: ``auto`` checks the bytes that pass through here, ``check`` also fetches and checks links, ``fit`` also converts and
#: shrinks what would be refused, ``off`` checks nothing.
Preflight = Literal["auto", "check", "fit", "off"]
PREFLIGHTS = ("auto", "check", "fit", "off")
