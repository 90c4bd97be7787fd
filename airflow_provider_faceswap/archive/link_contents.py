"""What the links of a request lead to, where a picture counts by its content and not by its link."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.http.download import download
from airflow_provider_faceswap.lifecycle.provenance import is_private
from airflow_provider_faceswap.media.image import Image
from airflow_provider_faceswap.media.limits import max_picture_bytes, max_transfer_seconds, open_hosts
from airflow_provider_faceswap.media.placeholders import stands_for_picture


class LinkContents:
    """The contents of links, each fetched once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, body: Any) -> dict[str, str]:
        """
        Texts that stand for the contents of all links in a body, by link. Webhooks are left out.

        :raises FaceSwapError: One could not be fetched.
        """
        links = sorted(_links_in(body))
        for link in links:
            if link not in self._known:
                self._known[link] = _content_of(link)
        return {link: self._known[link] for link in links}


def _links_in(value: Any) -> set[str]:
    if isinstance(value, str):
        is_link = value.lower().startswith(("http://", "https://")) and not stands_for_picture(value)
        return {value} if is_link else set()
    if isinstance(value, Mapping):
        return {link for name, part in value.items() if not is_private(name) for link in _links_in(part)}
    return {link for part in value for link in _links_in(part)} if isinstance(value, list | tuple) else set()


def _content_of(link: str) -> str:
    into = io.BytesIO()
    try:
        download(
            link, into, max_bytes=max_picture_bytes(), open_hosts=open_hosts(), seconds=max_transfer_seconds()
        )
    except FaceSwapError as error:
        raise FaceSwapError(
            f"a picture could not be fetched for reuse_links='content': {error.message}",
            advice="Nothing was bought. Retry, or set reuse_links='link'.",
        ) from None
    return f"sha256:{Image(into.getvalue()).sha256}"
