"""Which of several tasks makes a picture that all of them want in an archive: the others wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: Seconds that a claim lasts after the deadline of the job, or of all steps of an item: the result must be archived by
#: then.
TO_ARCHIVE = 3600.0
#: Who holds a claim, if so many claim at the same time that its owner was not seen.
ANOTHER = "another task"
#: Seconds between two looks for a picture that another task is making.
_PAUSE = 5.0


class AnotherMakesItError(Exception):
    """
    Another task is making the picture.

    :param holder: The owner of the claim.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        #: As a message names it.
        self.holder = holder if holder == ANOTHER else f"task {holder}"


def found_or_claimed(
    find: Callable[[], T | None], claim: Callable[[], str | None], release: Callable[[], None]
) -> T | None:
    """
    What is in the archive; ``None`` if it is this task's turn to make it.

    :param find: Looks for it.
    :param claim: Claims it; returns the owner of another claim.
    :param release: Ends this task's claim.
    :raises AnotherMakesItError: It is another task's turn.
    """
    if (found := find()) is not None:
        return found
    if (holder := claim()) is not None:
        raise AnotherMakesItError(holder)
    # It may have been archived, and its claim ended, just before this one.
    if (found := find()) is not None:
        release()
    return found


class ClaimWait:
    """
    A wait for another task's picture.

    :param seconds: How long this task waits.
    :param log: Called with a line's format and its values.
    :param vendor: The vendor that an error names.
    """

    def __init__(self, seconds: float, log: Callable[..., object], *, vendor: str | None = None) -> None:
        self._until = CLOCK.monotonic() + seconds
        self._log = log
        self._vendor = vendor
        self._told = False

    def pause(self, other: AnotherMakesItError) -> float:
        """
        Seconds until the next look.

        :raises FaceSwapError: The time is over.
        """
        if not self._told:
            self._log("%s is making the same picture: waiting for its archive", other.holder)
            self._told = True
        if CLOCK.monotonic() >= self._until:
            raise FaceSwapError(
                f"{other.holder} is making the same picture, and has not archived it yet",
                vendor=self._vendor,
                advice="Nothing was bought. Retry later.",
            ) from None
        return _PAUSE
