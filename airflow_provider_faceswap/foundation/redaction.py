"""Redaction: text without keys and signed queries."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Query parameters that sign a link: AWS and compatible stores, Google, CloudFront, Azure.
_SIGNING = re.compile(
    r"(x-(amz|goog|oss|obs|tos)|q)-.*|(aws|oss)?accesskeyid|googleaccessid|expires|signature|policy|key-pair-id"
    r"|(x-cos-)?security-token"
    r"|s(v|s|rt|p|e|t|pr|r|ig|koid|ktid|kt|ke|ks|kv)",
    re.IGNORECASE,
)
#: Of these, the signature itself: only a link with one of them is signed.
_SIGNATURES = frozenset(
    {f"{place}-signature" for place in ("x-amz", "x-goog", "x-oss", "x-tos", "q")} | {"signature", "sig"}
)

#: Characters. Longer text is replaced by its hash: it is a picture, not something to read.
LONGEST_TEXT = 4096
#: Characters. No vendor's key is shorter, but a user may choose a short webhook secret.
SHORT = 8

#: The rest of a link: a quote or a backslash ends it, except within a word.
_REST = r"(?:[^\s\"'<>\\]|['\\](?=[\w\\]))*"
_URL = re.compile(rf"(?P<place>https?:\\?/\\?/(?:[^\s?#\"'<>\\]|\\/|'(?=\w))+)[?#]{_REST}", re.IGNORECASE)
_SPACE = re.compile(r"\s")
_CREDENTIALS = re.compile(r"(?P<scheme>https?://)[^\s/\"'<>]+@", re.IGNORECASE)
#: A signing parameter anywhere in a text. Needed for a link with an unencoded space, of which ``_URL``
#: matches only a part.
_SIGNED = re.compile(
    r"[?&](?:x-[\w-]{1,40}|[\w-]{0,40}(?:sig|token|secret|credential|policy|key)[\w-]{0,40})=" + _REST,
    re.IGNORECASE,
)


def without_queries(text: str) -> str:
    """
    Remove query, fragment and user info from every http(s) URL in a text, and signing parameters from the rest.

    :param text: Any text, such as a vendor's error message that repeats a signed link.
    """
    return _SIGNED.sub("", _CREDENTIALS.sub(r"\g<scheme>", _URL.sub(r"\g<place>", text)))


def bare_url(url: str) -> str:
    """
    A URL without user info, query and fragment.

    :param url: One URL and nothing else, of any scheme. What is removed may contain any characters.
    """
    place = url.partition("#")[0].partition("?")[0]
    scheme, mark, rest = place.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"


def unsigned(value: Any) -> Any:
    """
    A copy of a request's body in which a link is the same whenever it was signed.

    Only the signing parameters of signed links are removed: another parameter may select the picture.

    :param value: Any combination of dicts, lists and plain values.
    """
    match value:
        case str() if value[:8].lower().startswith(("http://", "https://")):
            place, mark, query = value.partition("?")
            parts = query.split("&")
            if _SIGNATURES.isdisjoint(part.partition("=")[0].lower() for part in parts):
                return value
            kept = "&".join(part for part in parts if not _SIGNING.fullmatch(part.partition("=")[0]))
            return f"{place}{mark}{kept}"
        case dict():
            return {key: unsigned(item) for key, item in value.items()}
        case list() | tuple():
            return [unsigned(item) for item in value]
        case _:
            return value


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """
    Replace every secret that occurs in a text by ``***``.

    A short secret may be part of another word, or the name of a field in a reply. So it is replaced only as a whole
    word that is not such a name.

    :param text: Any text, such as a reply that echoes the key it was sent.
    :param secrets: The values to hide; empty ones are ignored.
    """
    for secret in secrets:
        for form in _forms(secret):
            if len(secret) < SHORT:
                text = re.sub(rf"(?<![\w-]){re.escape(form)}(?![\w-])(?!\"\s*:)", "***", text)
            else:
                text = text.replace(form, "***")
    return text


def _forms(secret: str) -> list[str]:
    """A secret as it is and as JSON writes it, the longest first; empty for an empty secret."""
    if not secret:
        return []
    plain = {secret, *(json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))}
    return sorted(plain | {form.replace("/", "\\/") for form in plain}, key=len, reverse=True)


def redacted(value: Any) -> Any:
    """
    A JSON-safe copy of an argument that can be stored and shown.

    URLs lose their query. Inline pictures and overlong text become ``sha256:<hex>``.

    :param value: Any combination of dicts, lists and plain values; other objects become their type's name.
    """
    match value:
        case str() if value.startswith("data:") or len(value) > LONGEST_TEXT:
            return f"sha256:{hashlib.sha256(value.encode(errors='surrogatepass')).hexdigest()}"
        case str() if value[:8].lower().startswith(("http://", "https://")) and not _SPACE.search(value):
            return bare_url(value)
        case str():
            return without_queries(value)
        case None | bool() | int() | float():
            return value
        case dict():
            return {str(key): redacted(item) for key, item in value.items()}
        case list() | tuple():
            return [redacted(item) for item in value]
        case _:
            return f"<{type(value).__name__}>"
