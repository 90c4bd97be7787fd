"""The log lines of a batch's items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.batch.report import SKIPPED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Lines about failed and skipped items in the log; there may be thousands, and the manifest lists each.
MAX_LOGGED_ITEMS = 100


class BufferedItemLog:
    """
    The log of one item, which writes info lines only if something goes wrong: there may be thousands of items.

    :param is_immediate: Whether to write info lines at once.
    """

    def __init__(self, log: Any, position: int, is_immediate: Callable[[], bool]) -> None:
        self._log = log
        self._position = position
        self._is_immediate = is_immediate
        self._buffer: list[str] = []

    def info(self, text: str, *args: object) -> None:
        """Write a line, or buffer it."""
        if self._is_immediate():
            self._log.info(f"items[%d]: {text}", self._position, *args)
        else:
            self._buffer.append(text % args if args else text)

    def warning(self, text: str, *args: object) -> None:
        """Write a warning with the item's position."""
        self._log.warning(f"items[%d]: {text}", self._position, *args)

    def flush(self) -> None:
        """Write the buffered lines, so that they appear before the error: one may contain a job's id."""
        for line in self._buffer:
            self.warning("logged before the error that follows: %s", line)
        self._buffer.clear()


class FailedItemLog:
    """
    The lines about items that failed or were skipped, up to a number of them.

    :param manifest_uri: Where each of them is listed.
    """

    def __init__(self, log: Any, manifest_uri: str) -> None:
        self._log = log
        self._manifest_uri = manifest_uri
        self._number = 0

    def add(self, label: str, end: Mapping[str, Any]) -> None:
        """Write a line if the item failed or was skipped."""
        if end["status"] not in {"failed", SKIPPED}:
            return
        self._number += 1
        if self._number <= MAX_LOGGED_ITEMS:
            self._log.warning("%s %s: %s", label, end["status"], end["message"])
        elif self._number == MAX_LOGGED_ITEMS + 1:
            self._log.warning("More items failed or were skipped; %s lists each", self._manifest_uri)
