"""Arguments of a step that name columns of the item and earlier steps, such as ``portrait of {role}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from unicodedata import category, normalize

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import cut
from airflow_provider_faceswap.foundation.rendered import as_text, is_set
from airflow_provider_faceswap.foundation.text import MAX_DEPTH

#: A doubled brace, a name in braces, or a brace that is neither.
_BRACES = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|[{}]")
#: What may be between braces, apart from marks such as vowel signs. A format, an index or an attribute may not.
_NAME = re.compile(r"\w[\w -]*")
#: The beginning of what looks like a template of Jinja, which would become a literal text in braces.
_JINJA = re.compile(
    r"\{%|\{\{\s*(?:ds|ts|ti|run_id|dag|task|params|var|conn|macros|dag_run|logical_date|data_interval_\w+|"
    r"task_instance|ds_nodash|ts_nodash)\s*(?:[.|\[][^{}]*)?\}\}"
)
#: Characters of a text that an error shows.
_SHOWN = 60

_DOUBLE = "Double a brace that belongs to the text: {{ or }}."


@dataclass(frozen=True, slots=True)
class Name:
    """A name in braces: of a column, or of an earlier step."""

    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text with names in it."""

    parts: tuple[str | Name, ...]


def is_name(text: str) -> bool:
    """True for a text that can be between braces."""
    # For the expression, a sign that belongs to the letter before it is no letter.
    plain = "".join(character for character in text if not category(character).startswith("M"))
    return bool(_NAME.fullmatch(plain)) and text[0] == plain[0]


def parsed(place: str, value: Any, depth: int = 0) -> Any:
    """
    An argument, whose texts are parsed, at any depth.

    :param place: The argument, in a message.
    :returns: A :class:`Name` for a text that is one name and nothing else, a :class:`Text` for one with names in it, and any
        other value as it is.
    :raises InvalidRequestError: A brace is not closed, or there is more than a name in it.
    """
    if depth > MAX_DEPTH:
        raise InvalidRequestError(f"{place}: is nested deeper than {MAX_DEPTH} levels")
    if hasattr(value, "resolve"):
        raise InvalidRequestError(
            f"{place}: is another task's output",
            advice="Nothing was bought. Put it into the items, and name its column here.",
        )
    if isinstance(value, str):
        return _parsed_text(place, value)
    if isinstance(value, Mapping):
        return {name: parsed(place, part, depth + 1) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [parsed(place, part, depth + 1) for part in value]
    return value


def _parsed_text(place: str, text: str) -> Any:
    if _JINJA.search(text):
        raise InvalidRequestError(
            f"{place}: {cut(text, _SHOWN)!r} looks like a Jinja template, and the arguments of a step are not rendered by Jinja",
            advice="Nothing was bought. Name a column of the items instead, such as {role}.",
        )
    parts: list[str | Name] = []
    end = 0
    for brace in _BRACES.finditer(text):
        parts.append(text[end : brace.start()])
        end = brace.end()
        if (name := brace["name"]) is not None:
            name = normalize("NFC", name).strip()
            if not is_name(name):
                raise InvalidRequestError(
                    f"{place}: {{{cut(name, _SHOWN)}}} is not a name", advice=f"Nothing was bought. {_DOUBLE}"
                )
            parts.append(Name(name))
        elif len(brace[0]) == 1:
            raise InvalidRequestError(
                f"{place}: {cut(text, _SHOWN)!r} has a single brace", advice=f"Nothing was bought. {_DOUBLE}"
            )
        else:
            parts.append(brace[0][0])
    parts.append(text[end:])
    parts = [part for part in parts if part]
    if not any(isinstance(part, Name) for part in parts):
        return "".join(str(part) for part in parts)
    return parts[0] if len(parts) == 1 else Text(tuple(parts))


def names_in(value: Any, *, in_text: bool | None = None) -> set[str]:
    """
    The names in a parsed argument.

    :param in_text: Only those that are parts of a longer text, or only those that are not.
    """
    if isinstance(value, Name):
        return set() if in_text else {value.name}
    if isinstance(value, Text):
        return set() if in_text is False else {part.name for part in value.parts if isinstance(part, Name)}
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return set().union(*(names_in(part, in_text=in_text) for part in value))
    return set()


def filled(value: Any, look_up: Callable[[str], Any]) -> Any:
    """
    A parsed argument with values in place of its names.

    :param look_up: The value of a name; ``None`` if it is not set.
    :raises InvalidRequestError: A part of a text is not set, or is no text.
    """
    if isinstance(value, Name):
        return look_up(value.name)
    if isinstance(value, Text):
        return "".join(
            part if isinstance(part, str) else _text_of(part.name, look_up(part.name)) for part in value.parts
        )
    if isinstance(value, Mapping):
        pairs = ((name, part, filled(part, look_up)) for name, part in value.items())
        # What an empty cell fills is left out, as an argument of a job would be.
        return {name: new for name, part, new in pairs if new is not None or part is None}
    if isinstance(value, list):
        pairs_of_list = ((part, filled(part, look_up)) for part in value)
        return [new for part, new in pairs_of_list if new is not None or part is None]
    return value


def _text_of(name: str, value: Any) -> str:
    if not is_set(value):
        raise InvalidRequestError(f"{name}: is empty")
    try:
        return as_text(value)
    except ValueError as error:
        raise InvalidRequestError(f"{name}: {error}") from None
