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

    def _write(self, chunk: bytes) -> None:
        with self._lock:
            if self._closed or CLOCK.monotonic() > self._end:
                raise TimeoutError
            self._file.write(chunk)

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
        # As they arrive: a fixed size of chunks would wait for bytes that come one by one.
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self._max_bytes:
                raise too_large
            digest.update(chunk)
            self._write(chunk)
        return Downloaded(size, digest.hexdigest())
