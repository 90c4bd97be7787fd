"""
The output of PiAPI's tasks: links, or the bytes themselves.

A face swap has its links under known keys. Any other task may have them anywhere, and the vendor adds shapes each month, so
every link is found and they are sorted: without a watermark first, then 3D models, videos and sound, then pictures.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_faceswap.vendors.messages import links_in
from airflow_provider_faceswap.vendors.piapi_tables import FIRST_OUTPUTS, LESSER_WORDS, OTHER_OUTPUTS, OUTPUTS
from airflow_provider_faceswap.vendors.words import folded

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINK = re.compile(r"https?://[^\s\"<>\\]+")
#: Characters of a key that are read.
_LONGEST_KEY = 80
#: In a key: the file has no watermark, or it has one.
_CLEAN = re.compile(
    r" (?:without|no|non|removed?) ?watermarks?| watermark (?:free|less|removed)| unwatermarked| clean"
)
_MARKED = re.compile(r" (?:with )?(?:watermark(?:ed|s)?|marked)(?= )")
_MODEL = re.compile(r"\.(?:glb|gltf|obj|fbx|stl|ply|usdz|3mf)$", re.IGNORECASE)
_PLAYED = re.compile(r"\.(?:mp4|mov|webm|mkv|m4v|mp3|wav|flac|m4a|ogg|opus|aac)$", re.IGNORECASE)
_PLAYED_KEY = re.compile(r" (?:video|audio|song|music|speech|voice)")
_PICTURE_KEY = re.compile(r" (?:image|picture|photo)")


class _Link(NamedTuple):
    """A link and its place in the order; the smallest is first."""

    lesser: bool
    mark: int
    medium: int
    key: int
    position: int
    url: str


def read_output(kind: str, output: object) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    """The links in an output, else its inline files."""
    links = _any_links(output) if kind == "task" else _known_links(output)
    return (links, ()) if links else ((), tuple(_inline(kind, output)))


def _known_links(output: object) -> tuple[str, ...]:
    if not isinstance(output, dict):
        return links_in(output)
    return links_in(*(output.get(key) for key in OUTPUTS)) or links_in(
        *(output.get(key) for key in OTHER_OUTPUTS)
    )


def _any_links(output: object) -> tuple[str, ...]:
    """Every link, sorted; lesser ones only if there is no other."""
    links = sorted(_found(output))
    first = [link.url for link in links if not link.lesser]
    return tuple(dict.fromkeys(first or [link.url for link in links]))


def _found(output: object) -> Iterator[_Link]:
    """Every link of an output with its keys, without those that have a twin without a watermark."""
    left: list[tuple[Any, tuple[str, ...]]] = [(output, ())]
    position = 0
    while left:
        value, keys = left.pop()
        if isinstance(value, dict):
            left += [(part, (*keys[-3:], name)) for name, part in reversed(_without_marked(value))]
        elif isinstance(value, list):
            left += [(part, keys) for part in reversed(value)]
        elif isinstance(value, str) and _LINK.fullmatch(link := value.strip()):
            position += 1
            yield _placed(link, keys, position)


def _placed(link: str, keys: tuple[str, ...], position: int) -> _Link:
    names = " ".join(keys)
    path = re.split(r"[?#]", link, maxsplit=1)[0]
    if _MODEL.search(path) or " model file " in names or " mesh " in names:
        medium = 0
    elif _PLAYED.search(path) or (_PLAYED_KEY.search(names) and not _PICTURE_KEY.search(names)):
        medium = 1
    else:
        medium = 2
    known = [key.strip().replace(" ", "_") for key in keys]
    return _Link(
        lesser=not LESSER_WORDS.isdisjoint(names.split()),
        mark=0 if _CLEAN.search(names) else 2 if _MARKED.search(names) else 1,
        medium=medium,
        key=min(
            (FIRST_OUTPUTS.index(key) for key in known if key in FIRST_OUTPUTS), default=len(FIRST_OUTPUTS)
        ),
        position=position,
        url=link,
    )


def _without_marked(value: dict[str, Any]) -> list[tuple[str, Any]]:
    """The folded keys and the values of an object, without each one that has a watermark and a twin without."""
    # A longer key is no name, and would be read again for each link below it.
    named = [(folded(key[:_LONGEST_KEY]), part) for key, part in value.items()]
    linked = {name for name, part in named if _has_link(part)}
    clean = {name for name in linked if _CLEAN.search(name)}
    twins = {_CLEAN.sub("", name) for name in clean}

    def has_twin(name: str) -> bool:
        marked = _MARKED.search(name) and not _CLEAN.search(name)
        return name in twins or bool(marked and (clean or _MARKED.sub("", name) in linked))

    return [(name, part) for name, part in named if name in clean or not has_twin(name)]


def _has_link(value: object) -> bool:
    """Whether there is a link in a value, or in what it directly holds."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
    return any(isinstance(part, str) and _LINK.fullmatch(part.strip()) for part in parts)


def _inline(kind: str, output: object) -> Iterator[bytes]:
    """The decoded files of an output."""
    fields = output if isinstance(output, dict) else {}
    data = fields.get("data")
    encoded = [fields.get("image_base64")]
    encoded += (
        [item.get("b64_json") for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    )
    if kind == "task":
        encoded += [
            part for key, part in fields.items() if key != "image_base64" and key.endswith(("base64", "b64"))
        ]
    for text in encoded:
        if decoded := _decoded(text):
            yield decoded


def _decoded(text: object) -> bytes:
    """The bytes of a base64 text or data URI; empty if it is neither."""
    if not isinstance(text, str) or not text:
        return b""
    try:
        return base64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except ValueError:
        return b""
