"""
How long a request may take in all, how large its answer may be, and how it may be encoded.

The timeouts of httpx start again with each byte that arrives, so an answer of one byte a second would never end. And httpx
decodes each piece of an answer as a whole, so a few kilobytes that are compressed twice would become gigabytes before
anybody could count them.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from math import inf
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from airflow_provider_faceswap.foundation.clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

T = TypeVar("T")

#: Seconds for a request, from its start to the last byte of its answer.
REQUEST_LIMIT = 60.0
#: Seconds for a request with a body, which may hold pictures.
BODY_LIMIT = 180.0
#: Bytes of an answer. Some hold a picture in base64.
MAX_ANSWER = 16 * 1024 * 1024
#: Seconds for one try of a download, from its start to the last byte.
DOWNLOAD_LIMIT = 900.0
#: The encodings of an answer that are asked for. A piece of 64 KiB becomes at most 64 MiB with one of them.
ANSWER_ENCODINGS = ("gzip", "deflate")
#: Headers that are no longer true of a body that has been read.
_TRANSPORT_HEADERS = {"content-encoding", "content-length", "transfer-encoding"}

#: When the requests of this thread or task must end, in seconds of the monotonic clock.
_end: ContextVar[float] = ContextVar("_end", default=inf)


class AnswerTooLargeError(Exception):
    """An answer has more than :data:`MAX_ANSWER` bytes."""

    def __init__(self) -> None:
        super().__init__(f"the answer has more than {MAX_ANSWER} bytes")


class UnwantedEncodingError(Exception):
    """A body is compressed in a way that was not asked for."""


def check_encoding(response: httpx.Response, asked: Collection[str] = ()) -> None:
    """
    Check how a body is encoded, before any of it is decoded.

    :param asked: The encodings that may be used; at most one of them at a time.
    :raises UnwantedEncodingError: Another encoding is used, or more than one.
    """
    header = response.headers.get("content-encoding", "").lower()
    # S3 repeats the encoding of an upload, which is no encoding of the stored file.
    used = [
        name for part in header.split(",") if (name := part.strip()) not in {"", "identity", "aws-chunked"}
    ]
    if len(used) > 1 or not set(used) <= set(asked):
        raise UnwantedEncodingError("the body is compressed in a way that was not asked for")


@contextmanager
def ending_by(moment: float) -> Iterator[None]:
    """
    End all requests inside the block by this moment.

    :param moment: Seconds of the monotonic clock.
    """
    token = _end.set(moment)
    try:
        yield
    finally:
        _end.reset(token)


def seconds_left() -> float:
    """Seconds until the moment of :func:`ending_by`; infinite without one."""
    return _end.get() - CLOCK.monotonic()


def receive(http: httpx.Client, request: dict[str, Any]) -> httpx.Response:
    """
    Send a request, and read its answer within the limits.

    It runs in a thread of its own, because nothing else interrupts a socket that receives a byte now and then.

    :param request: The arguments of httpx.
    :raises TimeoutError: The answer was not complete in time. The request may have been processed.
    :raises AnswerTooLargeError: The answer is too large.
    """

    def whole_answer() -> httpx.Response:
        body = _Body()
        with http.stream(**request) as response:
            check_encoding(response, ANSWER_ENCODINGS)
            for chunk in response.iter_bytes():
                body.add(chunk)
            return body.of(response)

    seconds = _seconds_for(request)
    try:
        return in_thread(whole_answer, seconds)
    except TimeoutError:
        raise _too_late(seconds) from None


async def areceive(http: httpx.AsyncClient, request: dict[str, Any]) -> httpx.Response:
    """Send a request, and read its answer within the limits, as :func:`receive` does."""
    body, seconds = _Body(), _seconds_for(request)
    try:
        async with asyncio.timeout(seconds), http.stream(**request) as response:
            check_encoding(response, ANSWER_ENCODINGS)
            async for chunk in response.aiter_bytes():
                body.add(chunk)
            return body.of(response)
    except TimeoutError:
        raise _too_late(seconds) from None


class _Body:
    """The body of an answer, as far as it has arrived."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > MAX_ANSWER:
            raise AnswerTooLargeError
        self._chunks.append(chunk)

    def of(self, response: httpx.Response) -> httpx.Response:
        """The same answer with this body, decoded."""
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in _TRANSPORT_HEADERS
        ]
        return httpx.Response(response.status_code, headers=headers, content=b"".join(self._chunks))


def _seconds_for(request: dict[str, Any]) -> float:
    return max(0.0, min(seconds_left(), BODY_LIMIT if request.get("json") else REQUEST_LIMIT))


def _too_late(seconds: float) -> TimeoutError:
    return TimeoutError(f"no complete answer within {seconds:.0f} s")


def in_thread(call: Callable[[], T], seconds: float) -> T:
    """
    The result of a call that blocks.

    :raises TimeoutError: It takes longer. It continues, and its result is lost.
    """
    result: Future[T] = Future()
    context = copy_context()

    def run() -> None:
        try:
            result.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001 - raised where the result is wanted
            result.set_exception(error)

    # A daemon, so that a request that does not end does not keep the process.
    Thread(target=run, name="faceswap-request", daemon=True).start()
    end = time.monotonic() + seconds
    # In short waits: a signal that another thread received is handled only when this one wakes.
    while not result.done() and time.monotonic() < end:
        with suppress(TimeoutError):
            result.exception(timeout=min(0.1, seconds))
    return result.result(0)
