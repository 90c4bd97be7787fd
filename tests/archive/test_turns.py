"""Which of several tasks makes a picture, and how long the others wait."""

from __future__ import annotations

import pytest

from airflow_provider_faceswap.archive.turns import (
    ANOTHER,
    AnotherMakesItError,
    ClaimWait,
    found_or_claimed,
)
from airflow_provider_faceswap.exceptions import FaceSwapError


class Archive:
    """What is found at each look, and who holds the claim."""

    def __init__(self, *finds, holder=None):
        self.finds, self.holder, self.calls = list(finds), holder, []

    def look(self):
        return found_or_claimed(self.find, self.claim, lambda: self.calls.append("release"))

    def find(self):
        self.calls.append("find")
        return self.finds.pop(0)

    def claim(self):
        self.calls.append("claim")
        return self.holder


@pytest.mark.parametrize(
    ("archive", "found", "calls"),
    [
        (Archive("picture"), "picture", ["find"]),
        (Archive(None, None), None, ["find", "claim", "find"]),
        # It was archived, and its claim ended, between the first look and the claim.
        (Archive(None, "picture"), "picture", ["find", "claim", "find", "release"]),
    ],
)
def test_it_is_looked_for_before_and_after_the_claim(archive, found, calls):
    assert archive.look() == found
    assert archive.calls == calls


@pytest.mark.parametrize(("holder", "shown"), [("dag/run/swap", "task dag/run/swap"), (ANOTHER, ANOTHER)])
def test_who_waits_says_so_once_and_not_for_ever(clock, holder, shown):
    lines = []
    waiting = ClaimWait(12, lambda *line: lines.append(line[0] % line[1:]), vendor="gptunnel")

    def wait():
        try:
            Archive(None, holder=holder).look()
        except AnotherMakesItError as other:
            clock.sleep(waiting.pause(other))

    for _ in range(3):
        wait()
    with pytest.raises(FaceSwapError, match=r"Nothing was bought\. Retry later") as caught:
        wait()
    assert lines == [f"{shown} is making the same picture: waiting for its archive"]
    assert f"{shown} is making the same picture, and has not archived it yet" in str(caught.value)
    # A traceback with two errors hides the one that matters.
    assert caught.value.__suppress_context__
