"""Arguments of a job under their neutral names, and the types of their values."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, JsonValue, ValidationError

from airflow_provider_faceswap.foundation.redaction import BASE64
from airflow_provider_faceswap.foundation.rendered import OUTPUT_ADVICE, as_text, is_text_of_result
from airflow_provider_faceswap.foundation.text import safe_text
from airflow_provider_faceswap.foundation.validation import job_id_text

_DATA_URI = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+);base64,(?P<data>.*)", re.DOTALL)

#: Characters that no URL may contain. Some of them would also end a link in a text that is searched for links: the
#: rest of the link, such as a signature, would be shown.
_NOT_IN_A_URL = re.compile(r"[\s\"<>\\]")
#: The end of a file's name, if it is a picture or a video.
_MEDIA_SUFFIX = re.compile(r"\.(jpe?g|png|webp|gif|bmp|tiff?|heic|avif|mp4|mov)$", re.IGNORECASE)
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]")
#: Characters of a path or a name that an error shows.
_MAX_SHOWN = 120


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
        + ("is empty" if _is_empty(fault) else fault["msg"].removeprefix("Value error, "))
        for fault in error.errors(include_url=False, include_input=False)
    )


def _is_empty(fault: Any) -> bool:
    """True if a text is refused because it is empty."""
    return bool(fault["type"] == "string_too_short" and fault["ctx"]["min_length"] == 1)


def no_link(value: str) -> str | None:
    """
    What a text is that was given instead of a picture's link, and what to give; ``None`` if it may be a link.

    A path and the name of a file are shown, without what may be a query.
    """
    if not value.strip():
        return "is empty"
    if is_text_of_result(value):
        return f"is the text of a result or of a list, not a link: {OUTPUT_ADVICE}"
    if value.startswith(BASE64):
        return "is base64: put data:image/jpeg;base64, or the like before it"
    shown = "".join(c for c in re.split(r"[?#]", value)[0] if c.isprintable())[:_MAX_SHOWN]
    return _full_path(shown) or _without_scheme(shown)


def _full_path(shown: str) -> str | None:
    if _WINDOWS_PATH.match(shown):
        return f"is a path: use file:///{shown.replace(chr(92), '/')}"
    if shown[:5].lower() == "file:" and not shown.startswith("//", 5):
        return f"is a path: use file:///{shown[5:].lstrip('/')}"
    if shown.startswith("/"):
        return f"is a path: use file:///{shown.lstrip('/')}"
    return None


def _without_scheme(shown: str) -> str | None:
    """A relative path, the name of a file, or a URL without its scheme."""
    if shown.startswith((".", "~")):
        return f"is a relative path: use file:/// and the full path of {shown}"
    first, slash, _ = shown.partition("/")
    if ":" in first:
        return None
    if not slash and _MEDIA_SUFFIX.search(shown):
        return f"is a file name: use a full http or https URL, or file:/// and the full path of {shown}"
    if "." in first:
        return f"has no scheme: use https://{shown}"
    if _MEDIA_SUFFIX.search(shown):
        return f"is a relative path: use file:/// and the full path of {shown}"
    return None


def media_url(value: str) -> str:
    """
    Accept a full http(s) URL of a picture or a video.

    :raises ValueError: The value is something else; the message says what.
    """
    if (what := no_link(value)) is not None:
        raise ValueError(what)
    return http_url(value)


def http_url(value: str) -> str:
    """
    Accept a full http(s) URL.

    :raises ValueError: The value is empty, relative, of another scheme, or not encoded.
    """
    if _NOT_IN_A_URL.search(value) or safe_text(value) != value:
        raise ValueError(
            "must be a URL without spaces, double quotes, <, > or backslashes: percent-encode these characters"
        )
    try:
        parts = urlsplit(value)
        readable = parts.port != 0
    except ValueError:  # its text repeats the value
        readable = False
    if not readable:
        raise ValueError("must be a full http or https URL, but its host or port cannot be read")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"must be a full http or https URL{_other_scheme(parts.scheme)}")
    return value


def _other_scheme(scheme: str) -> str:
    if scheme == "data":
        return ", and is a data: URI"
    return f", and its scheme is {scheme[:20]}" if scheme not in {"", "http", "https"} else ""


def inline_media(value: str, types: frozenset[str], max_bytes: int | None = None) -> bytes:
    """
    Decode a ``data:`` URI of one of the given media types.

    :param max_bytes: Maximum number of decoded bytes.
    :raises ValueError: The value has another type, is not base64, or is too large.
    """
    parsed = _DATA_URI.fullmatch(value)
    if parsed is None or parsed["type"].lower() not in types:
        given = f", and is one of {parsed['type'][:40]}" if parsed else ""
        raise ValueError(
            f"must be a full http or https URL, or a base64 data: URI of {', '.join(sorted(types))}{given}"
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


def _stripped(value: Any) -> Any:
    """A text without blanks around it: a link has none of its own."""
    return value.strip() if isinstance(value, str) else value


Json = Annotated[JsonValue, AfterValidator(finite)]
WholeNumber = Annotated[int, BeforeValidator(whole)]
Text = Annotated[str, BeforeValidator(as_text)]
JobId = Annotated[str, BeforeValidator(job_id_text)]
MediaUrl = Annotated[str, AfterValidator(media_url), BeforeValidator(_stripped)]
HttpUrl = Annotated[str, AfterValidator(http_url), BeforeValidator(_stripped)]
HttpsUrl = Annotated[str, AfterValidator(https_url), BeforeValidator(_stripped)]
