"""Signal handling: Ctrl-C, a lost terminal, and SIGTERM must not lose the id of a paid job."""

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
    """Treat the other signals as Ctrl-C, so that the command reports what happens to the job."""
    with _handled(signal.default_int_handler):
        yield


@contextmanager
def first_interrupt_held(say: Callable[[str], None]) -> Iterator[None]:
    """
    Delay the first interrupt until the block ends.

    So a submission gets its response, which has the id of the paid job.

    :param say: Called with one line for the user.
    :raises KeyboardInterrupt: After the block if there was one interrupt; at once on the second.
    """
    held = False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal held
        if held:
            signal.default_int_handler(number, frame)
        held = True
        with suppress(OSError):  # the terminal is gone
            say(
                "Interrupted. Waiting for the vendor's response with the job's id. Interrupt again to leave at once."
            )

    with _handled(hold):
        yield
    if held:
        raise KeyboardInterrupt


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    # Signals that nohup or a background shell ignores stay ignored.
    handled = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
