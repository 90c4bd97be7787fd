"""Text from outside: the one place that makes it safe to store, to log and to show."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_faceswap.exceptions import InvalidRequestError

#: Characters of a job id; the longest id of a vendor has 36.
LONGEST_ID = 200
#: Levels of nested lists and objects; no vendor and no argument needs more than a few.
MAX_DEPTH = 100

#: Control characters that separate lines or words.
_BLANKS = re.compile("[\t-\r\x85\u2028\u2029]+")
#: C0 and C1 controls, controls of the writing direction, and halves of surrogate pairs. A database, UTF-8 or a terminal
#: cannot take them, or shows something else than what is there.
_UNSAFE = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_NOT_IN_LINES = re.compile(f"[{_UNSAFE}]+")
_NOT_IN_A_NAME = re.compile(rf"[{_UNSAFE}\t\n]")
#: What neither UTF-8 nor PostgreSQL can store.
_NOT_STORABLE = re.compile(r"[\x00\ud800-\udfff]")
_JOB_ID = re.compile(rf"[!-~]{{1,{LONGEST_ID}}}")
#: Values of JSON that contain no text.
_PLAIN = frozenset({int, float, bool, type(None)})


def safe_text(text: str, *, lines: bool = False) -> str:
    """
    A text without control characters, controls of the writing direction, and half emojis.

    They become U+FFFD; what separates lines or words becomes a blank. The time is linear.

    :param lines: Keep tabs and line breaks.
    """
    if text.isprintable():
        return text
    # The runs of a regular expression take longer than these two for a text of nothing but line breaks.
    text = text.replace("\r\n", "\n").replace("\r", "\n") if lines else _BLANKS.sub(" ", text)
    return _NOT_IN_LINES.sub("\ufffd", text)


def safe_json(value: Any) -> Any:
    """
    A copy of a JSON value in which every text, also a name, is safe; a text may have lines, a name may not.

    Objects of other classes are kept.

    :raises ValueError: It is nested deeper than :data:`MAX_DEPTH`.
    """
    return _safe(value, MAX_DEPTH)


def _safe(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if value.isprintable() else safe_text(value, lines=True)
    if not isinstance(value, dict | list | tuple):
        return value
    if not depth:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {
            safe_text(name) if isinstance(name, str) else name: (
                item if type(item) in _PLAIN else _safe(item, depth - 1)
            )
            for name, item in value.items()
        }
    return [item if type(item) in _PLAIN else _safe(item, depth - 1) for item in value]


def stored_form(value: Any) -> str:
    """
    The JSON of a value that Airflow stores.

    :raises ValueError: A database could not store it: it contains NUL, half an emoji, NaN or infinity.
    :raises TypeError: It is not JSON.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    if _NOT_STORABLE.search(text) or re.search(r"(?<!\\)(?:\\\\)*\\u0000", text):
        raise ValueError("a text contains NUL or half an emoji")
    return text


def is_job_id(text: str) -> bool:
    """Whether a text can be a job id: printable ASCII without blanks, which is safe in a URL, a log and a shell."""
    return _JOB_ID.fullmatch(text) is not None and text not in {".", ".."}


def as_name(name: str, value: str) -> str:
    """
    Check an argument that names something, such as a connection or a file.

    :raises InvalidRequestError: It contains a control character, or half an emoji.
    """
    if isinstance(value, str) and not value.isprintable() and (found := _NOT_IN_A_NAME.search(value)):
        raise _refused(name, value, found.start())
    return value


def check_sendable(name: str, value: Any) -> None:
    """
    Check an argument of a job before anything is bought, at any depth.

    Control characters other than NUL are sent as they are. They are replaced only in what is stored or shown, because a
    changed request would not find the job that an earlier attempt paid for.

    :raises InvalidRequestError: A text cannot be sent and stored, or the value is nested too deep.
    """
    waiting = [(name, value, 0)]
    while waiting:
        where, part, depth = waiting.pop()
        if isinstance(part, str):
            if not part.isprintable() and (found := _NOT_STORABLE.search(part)):
                raise _refused(where, part, found.start())
        elif isinstance(part, Mapping | list | tuple):
            if depth == MAX_DEPTH:
                raise InvalidRequestError(f"{name}: is nested deeper than {MAX_DEPTH} levels")
            if isinstance(part, Mapping):
                for key in part:
                    if isinstance(key, str) and (found := _NOT_STORABLE.search(key)):
                        raise _refused(f"{where}: the name {key[:80]!r}", key, found.start())
                items = [(f"{where}.{safe_text(str(key)[:80])}", item) for key, item in part.items()]
            else:
                items = [(f"{where}[{index}]", item) for index, item in enumerate(part)]
            waiting.extend((place[:200], item, depth + 1) for place, item in items)


def _refused(where: str, text: str, position: int) -> InvalidRequestError:
    code = ord(text[position])
    what = "half an emoji" if 0xD800 <= code <= 0xDFFF else "a control character"
    return InvalidRequestError(
        f"{where}: character {position + 1} is U+{code:04X}, {what}, which cannot be sent and stored"
    )
