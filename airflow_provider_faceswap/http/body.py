"""The body of a download: it is written to a file as it arrives, within a number of bytes and a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_faceswap.exceptions import TooLargeError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.http.limits import check_encoding

if TYPE_CHECKING:
    import httpx


#: Bytes that are hashed and written at once.
_BLOCK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Downloaded:
    """
    Size and hash of a downloaded file.

    :param size: In bytes.
    :param sha256: In hex.
    """

    size: int
    sha256: str


class Target:
    """
    The file that one try of a download writes into.

    A try that takes too long is left to itself, and must not write into the file of the next one.

    :param max_bytes: Maximum number of bytes.
    :param seconds: Seconds until the last byte must be there.
    """

    def __init__(self, file: BinaryIO, max_bytes: int, seconds: float) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._end = CLOCK.monotonic() + seconds
        self._closed = False
        self._lock = Lock()

    def close(self) -> None:
        """Let nothing more be written."""
        with self._lock:
            self._closed = True

    def _check_time(self) -> None:
        if self._closed or CLOCK.monotonic() > self._end:
            raise TimeoutError

    def _write(self, block: bytearray) -> None:
        with self._lock:
            self._check_time()
            self._file.write(block)

    def fill(self, response: httpx.Response, shown: str) -> Downloaded:
        """
        Write a response's body, which must not be encoded.

        :param shown: Its address, for errors.
        :raises TooLargeError: It has more than the maximum number of bytes.
        :raises TimeoutError: It takes too long.
        :raises UnwantedEncodingError: It is encoded.
        """
        too_large = TooLargeError(f"{shown} is larger than the limit of {self._max_bytes} bytes")
        check_encoding(response)
        announced = response.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self._max_bytes:
            raise too_large
        digest = hashlib.sha256()
        size = 0
        block = bytearray()
        # As they arrive, so that the time is seen also where bytes come one by one.
        for chunk in response.iter_bytes():
            self._check_time()
            size += len(chunk)
            if size > self._max_bytes:
                raise too_large
            block += chunk
            if len(block) >= _BLOCK:
                digest.update(block)
                self._write(block)
                block.clear()
        digest.update(block)
        self._write(block)
        return Downloaded(size, digest.hexdigest())
