"""What a task's log says when a request is sent again: a sentence, and not the raw fields of the retry library."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

from airflow_provider_faceswap.exceptions import FaceSwapError

if TYPE_CHECKING:
    from stamina.instrumentation import RetryHook

_log = logging.getLogger(__name__)


@cache
def plain_retry_log() -> None:
    """
    Log the retries of this package as sentences. The retries of other code in this process stay as they were.

    The library has one list of hooks for the whole process. Hooks that somebody else has set are kept.
    """
    set_on_retry_hooks([*(_only_others(hook) for hook in get_on_retry_hooks()), _say])


def _say(details: RetryDetails) -> None:
    error = details.caused_by
    if isinstance(error, FaceSwapError):
        source = f"{error.vendor}: " if error.vendor else ""
        _log.warning("%s%s. The request is repeated in %.1f s.", source, error.message, details.wait_for)


def _only_others(hook: RetryHook) -> RetryHook:
    """A hook of the library that logs, without what is said here already; any other hook as it is."""
    module = getattr(hook, "__module__", "")
    if not module.startswith("stamina.") or "prometheus" in module:
        return hook

    def watched(details: RetryDetails) -> None:
        if not isinstance(details.caused_by, FaceSwapError):
            hook(details)

    return watched
