"""Ctrl-C, a lost terminal, and the signal that ``timeout`` and service managers send, where money is on its way."""

from __future__ import annotations

import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[None]:
    """Take the other signals for Ctrl-C: whoever ends the command is told what becomes of the job."""
    with _handled(signal.default_int_handler):
        yield


@contextmanager
def first_interrupt_held(say: Callable[[str], None]) -> Iterator[None]:
    """
    Let a paid request come to its answer: leaving before it would lose the id of a job that is paid.

    :param say: Takes one line for the person who waits.
    :raises KeyboardInterrupt: After the block, where there was one; at once at the second.
    """
    held = False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal held
        if held:
            signal.default_int_handler(number, frame)
        held = True
        with suppress(OSError):  # a terminal that is gone
            say(
                "Interrupted. Waiting for the vendor's answer, which has the job's id; once more leaves at once."
            )

    with _handled(hold):
        yield
    if held:
        raise KeyboardInterrupt


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    # What nohup, or a shell's background, has told to be ignored stays so.
    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
