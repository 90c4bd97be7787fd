"""Redaction: text without keys and signed queries."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_faceswap.foundation.signed_links import SIGNED_PART
from airflow_provider_faceswap.foundation.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Characters. Longer text is replaced by its hash. A longer prompt than this is not known.
LONGEST_TEXT = 32_768
#: Characters of a longer text that is kept where all texts together would be too much.
SHORTER_TEXT = 4096
#: How base64 of a JPEG, a PNG, a WebP and a GIF begins.
BASE64 = ("/9j/", "iVBORw0KGgo", "UklGR", "R0lGOD")
#: Characters of the text of another library's error.
LONGEST_SHOWN = 2000
#: Characters. No vendor's key is shorter, but a user may choose a short webhook secret.
SHORT = 8
#: Characters of a secret at the end of a text that was cut. Fewer say nothing about it.
SHORTEST_PART = 4

#: Characters of a text that are searched for what must not be shown. What follows is cut off first.
LONGEST_SEARCHED = 32_768
#: The mark of a text that was cut.
CUT = "…"

#: A character as it is, or percent-encoded once or more often.
_CODED = "(?:{0}|%(?:25){{0,3}}(?:{1}))"
_EQUALS, _SEPARATOR, _QUERY = (
    _CODED.format(*pair) for pair in (("=", "3D"), ("[?&;]", "3F|26|3B"), ("[?#]", "3F|23"))
)
#: What follows the scheme of a link.
_MARK = r"(?::\\?/\\?/|%(?:25){0,3}3A(?:%(?:25){0,3}2F){2})"
#: The rest of a link: a quote or a backslash ends it, except within a word.
_REST = r"(?:[^\s\"'<>\\]|['\\](?=[\w\\]))*"
#: A whole link, also without a query: a search that fails at the end of each link would be repeated for each of them.
_URL = re.compile(
    rf"(?P<place>https?{_MARK}(?:(?!{_QUERY})(?:[^\s\"'<>\\]|\\/|'(?=\w)))+)(?:{_QUERY}{_REST})?",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s")
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:]*)(?::\d*)?", re.DOTALL)
#: User name and password of a link. Without a colon it is the id of an Airflow connection, except in a link of the web.
#: A raw slash in a password is looked for only after a colon that no port follows.
_CREDENTIALS = re.compile(
    rf"(?P<mark>https?{_MARK}|{_MARK}(?=[^\s/@\"'<>]{{0,80}}?{_CODED.format(':', '3A')}))"
    rf"(?:(?:(?!%(?:25){{0,3}}2F)[^\s/\"'<>])*"
    rf"|[^\s/@:\"'<>]{{0,80}}:(?!\d{{0,5}}(?:[/?#\s]|$))[^\s@\"'<>]{{1,80}}){_CODED.format('@', '40')}",
    re.IGNORECASE,
)
#: A signing parameter anywhere in a text. Needed for a link with an unencoded space, of which ``_URL``
#: matches only a part.
_SIGNED = re.compile(
    rf"{_SEPARATOR}(?:x-[\w-]{{1,40}}|[\w-]{{0,40}}(?:sig|token|secret|credential|policy|key|passw|pwd|auth|jwt)"
    rf"[\w-]{{0,40}}){_EQUALS}{_REST}",
    re.IGNORECASE,
)
#: A password or a token outside of a link, as in ``password=...`` and ``"token": "..."``.
_NAMED = re.compile(
    r"(?P<name>(?<![\w-])[\w-]{0,40}(?:passw(?:or)?d|passphrase|pwd|secret|token|jwt|(?<![a-z])o?auth|authorization"
    r"|credentials?|signature|(?<![a-z])sig|(?:api|access|account|private|secret)[_-]?key)"
    r"(?: ?= ?|[\"']\s{0,4}[:=]\s{0,4}(?=[\"'])))(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>&;,]+)",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?P<name>(?<![\w-])(?:proxy-)?authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?)(?:(?:bearer|basic|digest) )?[^\s\"'<>]+",
    re.IGNORECASE,
)


def cut(text: str, longest: int) -> str:
    """A text of at most this many characters; a mark at its end shows that it was cut."""
    return text if len(text) <= longest else text[: longest - len(CUT)] + CUT


def without_queries(text: str) -> str:
    """
    Remove query, fragment and user info from every URL in a text, and passwords and signing parameters from the rest.

    The text that is returned is safe to store and to show. The time is linear, because a very long text is cut first.

    :param text: Any text, such as a vendor's error message that repeats a signed link.
    """
    text = safe_text(cut(text, LONGEST_SEARCHED), lines=True)
    text = SIGNED_PART.sub("/***", _URL.sub(r"\g<place>", _CREDENTIALS.sub(r"\g<mark>", text)))
    return _NAMED.sub(r"\g<name>***", _HEADER.sub(r"\g<name>***", _SIGNED.sub("", text)))


def error_line(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """
    An error of another library in one line: its class, and its text without what must not be shown.

    Our errors take this line in place of the error itself: a traceback would show the text as it is.

    :param secrets: Texts to hide.
    """
    text = without_secrets(without_queries(cut(str(error), LONGEST_SHOWN)), secrets)
    text = " ".join(text.split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def bare_url(url: str) -> str:
    """
    A URL without user info, query and fragment, safe to show.

    :param url: One URL and nothing else, of any scheme. What is removed may contain any characters.
    """
    place = safe_text(url.partition("#")[0].partition("?")[0])
    scheme, mark, rest = place.partition("://")
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host):  # the beginning of a password with a slash or a question mark
        return f"{scheme}{mark}***"
    return f"{scheme}{mark}{host}{SIGNED_PART.sub('/***', slash + path)}"


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """
    Replace every secret that occurs in a text by ``***``, also one of which only the beginning is left by :func:`cut`.

    A short secret may be part of another word, or the name of a field in a reply. So it is replaced only as a whole
    word that is not such a name.

    :param text: Any text that is shown, such as a message that echoes the key.
    :param secrets: The values to hide; empty ones are ignored.
    """
    for secret in secrets:
        for form in _forms(secret):
            if len(secret) < SHORT:
                text = re.sub(rf"(?<![\w-]){re.escape(form)}(?![\w-])(?!\"\s*:)", "***", text)
            else:
                text = text.replace(form, "***")
                if CUT in text:
                    for end in range(len(form) - 1, SHORTEST_PART - 1, -1):
                        text = text.replace(form[:end] + CUT, f"***{CUT}")
    return text


def _forms(secret: str) -> list[str]:
    """
    The forms of a secret, the longest first: as it is, cleaned, as JSON writes it, percent-encoded.

    Empty for an empty secret.
    """
    if not secret:
        return []
    plain = {secret, safe_text(secret), " ".join(secret.split())}
    plain.add(quote(secret, safe="", errors="replace"))
    plain |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    plain -= {""}
    return sorted(plain | {form.replace("/", "\\/") for form in plain}, key=len, reverse=True)


def redacted(value: Any, longest: int = LONGEST_TEXT) -> Any:
    """
    A JSON-safe copy of an argument that can be stored and shown.

    URLs lose their query. Pictures in base64 and overlong text become ``sha256:<hex>``.

    :param value: Any combination of dicts, lists and plain values; other objects become their type's name.
    :param longest: Characters of a text that is kept.
    """
    match value:
        case str() if len(value) > longest or value.startswith(("data:", *BASE64)):
            return f"sha256:{hashlib.sha256(value.encode(errors='surrogatepass')).hexdigest()}"
        case str() if value[:8].lower().startswith(("http://", "https://")) and not _SPACE.search(value):
            return bare_url(value)
        case str():
            return without_queries(value)
        case None | bool() | int() | float():
            return value
        case dict():
            return {safe_text(str(key)): redacted(item, longest) for key, item in value.items()}
        case list() | tuple():
            return [redacted(item, longest) for item in value]
        case _:
            return f"<{type(value).__name__}>"
