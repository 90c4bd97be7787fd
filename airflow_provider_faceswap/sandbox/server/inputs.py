"""The pictures that a request names: links, data URIs, bare base64."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx

from airflow_provider_faceswap.sandbox.drawing.samples import draw_sample
from airflow_provider_faceswap.sandbox.output import JobFailedError
from airflow_provider_faceswap.sandbox.server.state import NotStoredError

if TYPE_CHECKING:
    from airflow_provider_faceswap.sandbox.server.state import Sandbox

#: Largest input, in bytes.
_LARGEST = 12 * 1024 * 1024
_SECONDS = 10.0


class UnreadableInputError(JobFailedError):
    """An input cannot be read, or is not what it should be; the text says why."""


@dataclass(frozen=True)
class Inputs:
    """Reader of the inputs of one request; for use in a worker thread.

    :param sandbox: its own files are read directly, not over the network.
    :param base_url: root URL of the sandbox as the caller wrote it.
    """

    sandbox: Sandbox
    base_url: str

    def read(self, reference: str) -> bytes:
        """The bytes behind a reference.

        :param reference: an http(s) link, a data URI, or base64.
        :raises UnreadableInputError: if nothing can be read, or more than 12 MB.
        """
        if reference.startswith(("http://", "https://")):
            data = self._own(reference)
            data = self._fetched(reference) if data is None else data
        else:
            data = decoded(reference)
        if len(data) > _LARGEST:
            raise UnreadableInputError("the input is larger than 12 MB")
        return data

    def _own(self, url: str) -> bytes | None:
        """The bytes of the sandbox's own file, or ``None`` if the link leads elsewhere."""
        if not url.startswith(self.base_url + "/"):
            return None
        parts = urlsplit(url[len(self.base_url) :])
        if parts.path.startswith("/samples/"):
            sample = draw_sample(parts.path.removeprefix("/samples/"))
            return None if sample is None else sample.data
        if parts.path.startswith("/files/"):
            signature = parse_qs(parts.query).get("sig", [""])[0]
            with suppress(NotStoredError):
                return self.sandbox.stored(parts.path.removeprefix("/files/"), signature).data
        return None

    def _fetched(self, url: str) -> bytes:
        chunks = bytearray()
        try:
            with httpx.stream("GET", url, timeout=_SECONDS, follow_redirects=True) as response:
                response.raise_for_status()
                for chunk in response.iter_bytes():
                    chunks += chunk
                    if len(chunks) > _LARGEST:
                        raise UnreadableInputError("the input is larger than 12 MB")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise UnreadableInputError(
                f"the input cannot be fetched: {error or type(error).__name__}"
            ) from error
        return bytes(chunks)


def decoded(text: str) -> bytes:
    """The bytes of base64 text or of a base64 data URI.

    :raises UnreadableInputError: if it is neither.
    """
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise UnreadableInputError("the data URI is not base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableInputError("the input is neither a link nor base64") from error
