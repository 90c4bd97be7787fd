"""Arguments of a job under their neutral names, and the types they are made of."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, JsonValue, ValidationError

_DATA_URI = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)

#: No URL may hold these. Several also end a link where a text is searched for links: what stands behind them, such
#: as a signature, would be taken for plain words and shown.
_NOT_IN_A_URL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\"<>\\]")


class Arguments(BaseModel):
    """Arguments of one kind under their neutral names; serialised under the vendor's own."""

    # Schemas are made when first used: a Dag that is parsed uses none.
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, defer_build=True)

    def to_wire(self) -> dict[str, Any]:
        """The request body: what is unset stays out, as old servers may refuse keys they do not know."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def faults_of(error: ValidationError) -> str:
    """Name every wrong argument and what it should be, without its value."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'arguments'}: "
        + fault["msg"].removeprefix("Value error, ")
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    )


def http_url(value: str) -> str:
    """
    Accept a full http(s) URL.

    :raises ValueError: It is empty, relative, of another scheme, or not encoded.
    """
    if _NOT_IN_A_URL.search(value):
        raise ValueError(
            "must be a URL without spaces, double quotes, <, > and backslashes: percent-encode it"
        )
    try:
        parts = urlsplit(value)
        readable = parts.port != 0
    except ValueError:  # whose text repeats what it stumbled over
        readable = False
    if not readable:
        raise ValueError("must be a full http or https URL, and its host or port cannot be read")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a full http or https URL")
    return value


def inline_media(value: str, types: frozenset[str], max_bytes: int | None = None) -> bytes:
    """
    Decode a ``data:`` URI of one of the given media types.

    :param max_bytes: Refuse more decoded bytes than this.
    :raises ValueError: It is of another type, not base64, or too large.
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

    :raises ValueError: It is empty, relative, or of another scheme.
    """
    if urlsplit(http_url(value)).scheme != "https":
        raise ValueError("must be a full https URL")
    return value


def whole(value: Any) -> Any:
    """
    Accept all but true and false, which Python counts as 1 and 0.

    :raises ValueError: It is one of them.
    """
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic's way
    return value


def finite(value: Any) -> Any:
    """
    Accept JSON that every parser takes.

    :raises ValueError: There is a NaN or an infinity in it, which Python writes and others cannot read.
    """
    json.dumps(value, allow_nan=False)
    return value


Json = Annotated[JsonValue, AfterValidator(finite)]
WholeNumber = Annotated[int, BeforeValidator(whole)]
HttpUrl = Annotated[str, AfterValidator(http_url)]
HttpsUrl = Annotated[str, AfterValidator(https_url)]
