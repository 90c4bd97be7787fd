"""Patience with a link that may not work yet: a vendor's CDN can take minutes to serve a new file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_faceswap.exceptions import ResultExpiredError
from airflow_provider_faceswap.foundation.clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Seconds until the second try; they double with each try, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 30.0
#: Seconds of waiting in all for the link of a job whose result the vendor still keeps. Users of such vendors saw up to
#: 150 s.
YOUNG = 180.0
#: Seconds of waiting in all for a link of unknown age, and after another link was waited for in vain.
UNKNOWN = 6.0
#: How long a job's result counts as kept if its vendor does not say how long it keeps one.
USUAL_RETENTION = timedelta(days=1)


class NotReadyError(ResultExpiredError):
    """The link does not work now: it has expired, or the file is not there yet. The response does not say which."""


def patience_for(expires_at: datetime | None, finished_at: datetime | None, now: datetime) -> float:
    """
    Seconds to wait in all for the link of a job.

    :param expires_at: The earliest time at which the vendor may delete the output; ``None`` if it does not say.
    :param finished_at: When the job ended, or was submitted; ``None`` if not known.
    """
    if expires_at is None and finished_at is not None:
        expires_at = finished_at + USUAL_RETENTION
    if expires_at is None:
        return UNKNOWN
    return YOUNG if now < expires_at else 0.0


def next_pause(tries: int, waited: float, patience: float) -> float | None:
    """
    Seconds until the next try; ``None`` if there is none.

    :param tries: Tries so far.
    :param waited: Seconds of waiting so far.
    :param patience: Seconds of waiting in all.
    """
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1), patience - waited)
    return pause if pause > 0 else None


@dataclass
class Patience:
    """
    The patience of one archive, whose links often work or fail for the same reason.

    :ivar in_vain: True if the last wait was in vain. A thousand dead links would otherwise take hours.
    """

    in_vain: bool = False

    def of(self, download: Callable[[], T], patience: float) -> T:
        """
        Download a result, and try again while its link may become ready.

        :param patience: Seconds, see :func:`patience_for`.
        :raises ResultExpiredError: The link does not work.
        """
        waited, tries = 0.0, 0
        while True:
            try:
                result = download()
            except NotReadyError as error:
                tries += 1
                allowed = min(patience, UNKNOWN) if self.in_vain else patience
                if (pause := next_pause(tries, waited, allowed)) is None:
                    self.in_vain = self.in_vain or waited > UNKNOWN
                    # The class of an error is in manifests and results of batches.
                    raise ResultExpiredError(error.message) from None
                _log.info("%s: the file may not be ready yet, next try in %.0f s", error.message, pause)
            else:
                self.in_vain = self.in_vain and not waited
                return result
            CLOCK.sleep(pause)
            waited += pause
