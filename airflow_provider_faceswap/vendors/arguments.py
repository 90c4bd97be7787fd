"""Arguments of a job under their neutral names, and the types of their values."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, JsonValue, ValidationError

from airflow_provider_faceswap.foundation.text import safe_text

_DATA_URI = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)

#: Characters that no URL may contain. Some of them would also end a link in a text that is searched for links: the
#: rest of the link, such as a signature, would be shown.
_NOT_IN_A_URL = re.compile(r"[\s\"<>\\]")


class Arguments(BaseModel):
    """Arguments of one kind under their neutral names; serialised under the vendor's own."""

    # Schemas are built on first use: parsing a Dag needs none.
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, defer_build=True)

    def to_wire(self) -> dict[str, Any]:
        """The request body. Unset arguments are left out, because old servers may refuse unknown keys."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def validation_message(error: ValidationError) -> str:
    """Every wrong argument and what it should be, without its value."""
    return "; ".join(
        safe_text(f"{'.'.join(str(part) for part in fault['loc']) or 'arguments'}: ")
        + fault["msg"].removeprefix("Value error, ")
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    )


def http_url(value: str) -> str:
    """
    Accept a full http(s) URL.

    :raises ValueError: The value is empty, relative, of another scheme, or not encoded.
    """
    if _NOT_IN_A_URL.search(value) or safe_text(value) != value:
        raise ValueError(
            "must be a URL without spaces, double quotes, <, > and backslashes: percent-encode it"
        )
    try:
        parts = urlsplit(value)
        readable = parts.port != 0
    except ValueError:  # its text repeats the value
        readable = False
    if not readable:
        raise ValueError("must be a full http or https URL, but its host or port cannot be read")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a full http or https URL")
    return value


def inline_media(value: str, types: frozenset[str], max_bytes: int | None = None) -> bytes:
    """
    Decode a ``data:`` URI of one of the given media types.

    :param max_bytes: Maximum number of decoded bytes.
    :raises ValueError: The value has another type, is not base64, or is too large.
    """
    parsed = _DATA_URI.fullmatch(value)
    if parsed is None or parsed["type"].lower() not in types:
        raise ValueError(
            f"must be a full http or https URL, or a base64 data: URI of {', '.join(sorted(types))}"
        )
    try:
        data = base64.b64decode(parsed["data"], validate=True)
    except binascii.Error:
        raise ValueError("the data: URI is not valid base64") from None
    if max_bytes is not None and len(data) > max_bytes:
        raise ValueError(f"the inline picture has {len(data)} bytes, over the limit of {max_bytes}")
    return data


def https_url(value: str) -> str:
    """
    Accept a full https URL.

    :raises ValueError: The value is empty, relative, or of another scheme.
    """
    if urlsplit(http_url(value)).scheme != "https":
        raise ValueError("must be a full https URL")
    return value


def whole(value: Any) -> Any:
    """
    Refuse booleans, which Python would accept as 1 and 0.

    :raises ValueError: The value is a boolean.
    """
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic needs a ValueError
    return value


def finite(value: Any) -> Any:
    """
    Accept JSON that every parser can read.

    :raises ValueError: The value contains NaN or infinity, which Python writes and other parsers refuse.
    """
    json.dumps(value, allow_nan=False)
    return value


Json = Annotated[JsonValue, AfterValidator(finite)]
WholeNumber = Annotated[int, BeforeValidator(whole)]
HttpUrl = Annotated[str, AfterValidator(http_url)]
HttpsUrl = Annotated[str, AfterValidator(https_url)]
