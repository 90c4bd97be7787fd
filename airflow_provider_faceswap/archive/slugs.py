"""A few words for a file name: from the prompt of a picture, or from the name of the file that it was made from."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from airflow_provider_faceswap.jobs import GivenResult

#: Characters of the words.
LONGEST = 40
#: Arguments with the picture that a job works on, in the order in which they are looked for.
_INPUTS = ("target_image", "target_video", "image", "images", "artwork")
#: Levels of nested arguments and of earlier jobs in which a prompt is looked for.
_DEPTH = 4
#: A link in a prompt, and what follows the text of a prompt for Midjourney.
_LINK = re.compile(r"\S+://\S*")
_OPTIONS = re.compile(r"\s--\w.*", re.DOTALL)


def slug_of(result: GivenResult) -> str:
    """
    Words for the file name of a result, joined by ``_``; empty if nothing is known.

    They are those of the job's prompt, else of the prompt of a job before it, else of the name of its input. The same result
    always has the same words.
    """
    origin = result.provenance or {}
    for prompt in _prompts(origin, _DEPTH):
        if words := _words(_OPTIONS.sub("", _LINK.sub(" ", prompt))):
            return words
    given = origin.get("arguments")
    arguments = given if isinstance(given, Mapping) else {}
    for name in _INPUTS:
        value = arguments.get(name)
        value = value[0] if isinstance(value, list) and value else value
        # A job that made the input is named by its id, and bytes by their hash.
        if isinstance(value, str) and "://" in value:
            return _words(PurePosixPath(unquote(urlsplit(value).path)).stem)
    return ""


def _prompts(origin: Any, depth: int) -> Iterator[str]:
    """The prompts of a job and of the jobs before it, the nearest first."""
    if not isinstance(origin, Mapping) or depth == 0:
        return
    yield from _prompts_in(origin.get("arguments"), _DEPTH)
    parents = origin.get("parents")
    for parent in parents if isinstance(parents, Sequence) and not isinstance(parents, str) else ():
        yield from _prompts(parent, depth - 1)


def _prompts_in(arguments: Any, depth: int) -> Iterator[str]:
    if not isinstance(arguments, Mapping) or depth == 0:
        return
    if isinstance(prompt := arguments.get("prompt"), str):
        yield prompt
    for value in arguments.values():
        yield from _prompts_in(value, depth - 1)


def _words(text: str) -> str:
    """The whole words at the beginning of a text; a first word that is too long is cut."""
    plain = unicodedata.normalize("NFC", text[: 10 * LONGEST]).lower()
    words = re.findall(r"[^\W_]+", plain)
    joined = "_".join(words)
    if len(joined) <= LONGEST:
        return joined
    return joined[: LONGEST + 1].rpartition("_")[0] or joined[:LONGEST]
