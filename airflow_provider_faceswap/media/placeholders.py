"""What stands for a picture in a request whose link is not known yet, or changes with each attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_faceswap.media.image import Image
    from airflow_provider_faceswap.vendors.messages import Request

#: Host of a placeholder. It cannot exist.
_HOST = "https://picture.invalid"


def stands_for_picture(url: str) -> bool:
    """True for a placeholder, which nobody can fetch."""
    return url.startswith(f"{_HOST}/")


def placeholder_for(image: Image) -> str:
    """The text that replaces a picture in the fingerprint of a request."""
    return f"{_HOST}/{image.sha256}{image.media.suffix if image.media else ''}"


def placeholder_at(*place: str) -> str:
    """
    The text that replaces a picture which is not read, in the fingerprint of a request.

    :param place: Where it is: the parts of a path, of which empty ones are left out.
    """
    return "/".join((_HOST, *filter(None, place)))


def with_uploaded_links(request: Request, links: Mapping[str, str]) -> Request:
    """
    A request whose placeholders are replaced by the links of its uploads.

    :param links: Placeholder to link.
    """

    def replaced(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: replaced(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [replaced(part) for part in value]
        return links.get(value, value) if isinstance(value, str) else value

    return replace(request, body=replaced(request.body), uploads={})
