"""A card: one result of a task, as a person looks at it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_provider_faceswap.archive.thumbnails import OUTPUT
from airflow_provider_faceswap.foundation.redaction import without_queries
from airflow_provider_faceswap.foundation.text import safe_text
from airflow_provider_faceswap.gallery.files import NotShownError, file_of
from airflow_provider_faceswap.jobs import Cost

if TYPE_CHECKING:
    from airflow_provider_faceswap.archive.manifest import KeptThumbnail, Manifest

#: The status of a result that is archived.
ARCHIVED = "archived"
#: Characters of a prompt, an error or another text on a card.
MAX_TEXT = 400
#: Arguments that are shown first, and what they are called; the face is shown beside the output.
_LABELS = {
    "target_image": "input",
    "target_video": "input",
    "image": "input",
    "images.1": "input",
    "parent_job_id": "input",
    "face_image": "face",
    "input.target_image": "input",
    "input.image": "input",
    "input.swap_image": "face",
}
#: Arguments with the text that a picture was made from.
_PROMPTS = ("prompt", "text")


@dataclass
class Card:
    """
    One result of a task.

    :param number: Its place among the results of its task instance; after a dot, the output of a batch's item.
    :param status: ``archived``, or what became of it.
    :param manifest_uri: Where its manifest should be; ``None`` for a result without a file.
    :param manifest: What the manifest says, once it has been read.
    :param problem: Why the file is not shown.
    :param error: The class of the error it failed with.
    :param position: The item's place in its batch, from 0.
    :param known: What is known of the job without a manifest.
    """

    run_id: str
    task_id: str
    map_index: int
    number: str
    status: str = ARCHIVED
    manifest_uri: str | None = None
    manifest: Manifest | None = None
    problem: str | None = None
    error: str | None = None
    message: str | None = None
    position: int | None = None
    known: Mapping[str, Any] = field(default_factory=dict)

    @property
    def instance(self) -> tuple[str, int]:
        """Its task instance."""
        return self.task_id, self.map_index

    @property
    def job(self) -> Mapping[str, Any]:
        """The job that made it; empty for a bare link."""
        return (self.manifest.job or {}) if self.manifest else self.known

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of its job, or the item's columns."""
        arguments = self.job.get("arguments")
        return arguments if isinstance(arguments, Mapping) else {}

    @property
    def vendor(self) -> str:
        """The vendor; empty if it is not known."""
        return str(self.job.get("vendor") or "")

    @property
    def failed(self) -> bool:
        """True for a result without a file."""
        return self.status != ARCHIVED

    @property
    def name(self) -> str:
        """The name of the file; empty if there is none."""
        try:
            return posixpath.basename(file_of(self.manifest_uri or ""))
        except NotShownError:
            return ""

    @property
    def is_video(self) -> bool:
        """True if the output is a video."""
        return self.manifest is not None and self.manifest.file.media_type.startswith("video/")

    @property
    def prompt(self) -> str:
        """The text that the picture was made from, here or in the job before."""
        parents = self.manifest.parents if self.manifest else []
        for arguments in (self.arguments, *(parent.get("arguments") or {} for parent in parents)):
            for name in _PROMPTS:
                if isinstance(arguments, Mapping) and isinstance(text := arguments.get(name), str):
                    return text
        return ""


@dataclass(frozen=True, slots=True)
class Tile:
    """
    A picture of a card.

    :param role: ``output``, or the name of the argument that was the input.
    :param kept: Its thumbnail.
    :param note: What is shown if there is no thumbnail.
    """

    role: str
    label: str
    alt: str
    kept: KeptThumbnail | None
    note: str


def tiles_of(card: Card) -> list[Tile]:
    """The pictures of a card: inputs, faces, and the output at the end."""
    if card.manifest is None:
        return []
    kept = card.manifest.thumbnails
    inputs = [role for role in kept if role != OUTPUT]
    inputs.sort(key=lambda role: label_of(role) == "face")
    about = shortened(card.prompt, 120) or card.name
    tiles = [
        Tile(
            role,
            label_of(role),
            f"{label_of(role)}: {_input_name(card, role)}",
            kept[role] if kept[role].sha256 else None,
            shortened(kept[role].missing or "no thumbnail", 120),
        )
        for role in inputs
    ]
    own = kept.get(OUTPUT)
    note = "video" if card.is_video else shortened((own.missing if own else None) or "no thumbnail", 120)
    return [*tiles, Tile(OUTPUT, OUTPUT, f"output: {about}", own if own and own.sha256 else None, note)]


def label_of(role: str) -> str:
    """What a person calls the picture of an argument."""
    return _LABELS.get(role, role.replace("_", " "))


def _input_name(card: Card, role: str) -> str:
    """The name of an input: that of its file, or of the job that made it."""
    value = argument_of(card, role)
    if isinstance(value, str) and "://" in value:
        name = posixpath.basename(unquote(urlsplit(value).path))
        return safe_text(name) if name else role
    return f"job {value}" if role == "parent_job_id" else role.replace("_", " ")


def argument_of(card: Card, role: str) -> Any:
    """The argument that a role names: a number after a dot is a place in a list, from 1."""
    value: Any = card.arguments
    for part in role.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and 0 < int(part) <= len(value):
            value = value[int(part) - 1]
        else:
            return None
    return value


def facts_of(card: Card) -> list[tuple[str, str]]:
    """What is known of a result, as names and texts."""
    mapped = f" [{card.map_index}]" if card.map_index >= 0 else ""
    job = card.job
    facts = [("task", f"{card.task_id}{mapped}")]
    if card.position is not None:
        facts.append(("item", str(card.position)))
    if card.vendor:
        facts.append(("vendor", f"{card.vendor} {str(job.get('kind') or '').replace('_', ' ')}".strip()))
    if job.get("job_id"):
        facts.append(("job", str(job["job_id"])))
    if (cost := cost_of(job.get("cost"))) is not None:
        reused = ", paid by an earlier attempt" if job.get("attempt_reused") else ""
        facts.append(("cost", f"{cost}{reused}"))
    if (seconds := _seconds(job.get("submitted_at"), job.get("finished_at"))) is not None:
        facts.append(("duration", f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"))
    if card.manifest is not None:
        file = card.manifest.file
        size = f"{file.width} x {file.height}, " if file.width else ""
        facts.append(("size", f"{size}{_bytes(file.bytes)}"))
        facts.append(("archived", _moment(card.manifest.archived_at)))
    if card.prompt:
        facts.append(("prompt", shortened(card.prompt)))
    if card.manifest is None:
        facts += [(name, shortened(without_queries(str(value)))) for name, value in card.arguments.items()][
            :8
        ]
    return facts


def cost_of(value: Any) -> Cost | None:
    """A cost; ``None`` if the value is none."""
    if isinstance(value, Mapping) and isinstance(value.get("amount"), int | float) and value.get("unit"):
        return Cost(amount=value["amount"], unit=safe_text(str(value["unit"])))
    return None


def shortened(text: str, most: int = MAX_TEXT) -> str:
    """A text without what is too long for a card."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _seconds(start: Any, end: Any) -> float | None:
    try:
        seconds = (datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start))).total_seconds()
    except (ValueError, TypeError):
        return None
    return seconds if seconds >= 0 else None


def _moment(text: str) -> str:
    """A moment of a manifest, in UTC; as it is if it is none."""
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError):
        return shortened(text, 40)


def _bytes(number: int) -> str:
    return f"{number / 1024:.0f} KiB" if number < 1024**2 else f"{number / 1024**2:.1f} MiB"
