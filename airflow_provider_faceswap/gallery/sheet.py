"""The gallery as one HTML file, for people without Airflow's UI: the thumbnails are inside it."""

from __future__ import annotations

import base64
import io
import json
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_faceswap.archive.manifest import Manifest
from airflow_provider_faceswap.archive.thumbnails import OUTPUT, thumbnail_name
from airflow_provider_faceswap.foundation.text import safe_json
from airflow_provider_faceswap.gallery.cards import ARCHIVED, Card, Tile, cost_of
from airflow_provider_faceswap.gallery.files import SUFFIX
from airflow_provider_faceswap.gallery.page import rendered
from airflow_provider_faceswap.gallery.views import chips_of, view_of
from airflow_provider_faceswap.storage.files import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.sdk import ObjectStoragePath

#: Cards of one sheet. Each has about 40 KiB.
MAX_CARDS = 2000
#: Files that are read at a time.
_CHUNK = 250


@dataclass
class Sheet:
    """
    A sheet of archived results.

    :param folder: The folder below which the results are. The links are relative to it.
    :param left_out: Results that are not shown, because there are too many.
    """

    folder: ObjectStoragePath
    cards: list[Card] = field(default_factory=list)
    left_out: int = 0
    _images: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_folder(cls, folder: ObjectStoragePath) -> Sheet:
        """
        The sheet of everything that is archived in a folder and below it, and of the failed items of its batches.

        :raises Exception: The storage's own error.
        """
        sheet = cls(folder)
        found = sorted(folder.fs.find(folder.path))
        manifests = [
            path for path in found if path.endswith(SUFFIX) and path.removesuffix(SUFFIX) in set(found)
        ]
        sheet._read(manifests[:MAX_CARDS])
        sheet.left_out = max(0, len(manifests) - MAX_CARDS)
        for path in found:
            if path.endswith(".jsonl") and posixpath.basename(path).startswith("batch-"):
                sheet._add_failed(path)
        return sheet

    @classmethod
    def of_manifests(cls, folder: ObjectStoragePath, manifests: Sequence[ObjectStoragePath]) -> Sheet:
        """The sheet of some results, in their order."""
        sheet = cls(folder)
        sheet._read([path.path for path in manifests[:MAX_CARDS]])
        sheet.left_out = max(0, len(manifests) - MAX_CARDS)
        return sheet

    def _read(self, paths: Sequence[str]) -> None:
        for path, data in self._contents(paths):
            try:
                manifest = Manifest.parse(data)
            except ValueError:
                continue
            run = manifest.airflow
            card = Card(
                run.run_id or "",
                run.task_id or "",
                -1 if run.map_index is None else run.map_index,
                str(len(self.cards)),
                manifest_uri=path,
                manifest=manifest,
            )
            self.cards.append(card)
        thumbnails = {
            f"{posixpath.dirname(card.manifest_uri or '')}/{thumbnail_name(kept.sha256)}": kept.sha256
            for card in self.cards
            for kept in (card.manifest.thumbnails.values() if card.manifest else ())
            if kept.sha256
        }
        for path, data in self._contents(sorted(thumbnails)):
            self._images[thumbnails[path]] = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"

    def _contents(self, paths: Sequence[str]) -> Iterable[tuple[str, bytes]]:
        """The files that can be read."""
        for start in range(0, len(paths), _CHUNK):
            chunk = list(paths[start : start + _CHUNK])
            read = self.folder.fs.cat_ranges(chunk, [0] * len(chunk), [None] * len(chunk), on_error="return")
            yield from (
                (path, data) for path, data in zip(chunk, read, strict=True) if isinstance(data, bytes)
            )

    def _add_failed(self, path: str) -> None:
        with self.folder.fs.open(path, "rb") as file:
            for line in file:
                try:
                    parsed = safe_json(json.loads(line))
                except ValueError:
                    continue
                if not isinstance(parsed, dict) or parsed.get("status") == ARCHIVED:
                    continue
                if len(self.cards) >= MAX_CARDS:
                    self.left_out += 1
                    continue
                self.cards.append(_failed_card(path, parsed))

    def source(self, card: Card, tile: Tile) -> str | None:
        """The thumbnail itself."""
        del card
        return self._images.get(tile.kept.sha256 or "") if tile.kept else None

    def target(self, card: Card, tile: Tile) -> str | None:
        """The file, if it is below the folder."""
        return self._relative(card) if tile.role == OUTPUT else None

    def links(self, card: Card) -> list[tuple[str, str]]:
        """The file and the manifest, if they are below the folder."""
        href = self._relative(card)
        return [("Open", href), ("Manifest", f"{href}{SUFFIX}")] if href else []

    def _relative(self, card: Card) -> str | None:
        root = self.folder.path.rstrip("/")
        path = (card.manifest_uri or "").removesuffix(SUFFIX)
        return quote(path.removeprefix(f"{root}/")) if path.startswith(f"{root}/") else None

    def html(self, title: str) -> str:
        """The page."""
        failed = sum(card.failed for card in self.cards)
        problems = [f"{self.left_out:,} more are not shown here."] if self.left_out else []
        return rendered(
            "cards",
            title=title,
            where=str(self.folder),
            chips=chips_of(len(self.cards) - failed, failed, self._costs()),
            filters=[],
            pages={"number": 1, "last": 1, "earlier": None, "later": None},
            problems=problems,
            cards=[view_of(card, self) for card in self.cards],
            empty="Nothing is archived here.",
            run_href=None,
        )

    def write(self, path: ObjectStoragePath, title: str) -> None:
        """
        Write the page.

        :raises Exception: The storage's own error.
        """
        write(path, io.BytesIO(self.html(title).encode()), "text/html; charset=utf-8")

    def _costs(self) -> dict[str, float]:
        costs: dict[str, float] = {}
        jobs = {
            (card.vendor, card.job.get("job_id") or card.number): card.job.get("cost") for card in self.cards
        }
        for value in jobs.values():
            if (cost := cost_of(value)) is not None:
                costs[cost.unit] = costs.get(cost.unit, 0.0) + cost.amount
        return costs


def _failed_card(path: str, line: dict[str, Any]) -> Card:
    position = line.get("position")
    return Card(
        "",
        posixpath.basename(path),
        -1,
        f"{path} {position}",
        status=str(line.get("status") or "failed"),
        error=str(line.get("error") or "") or None,
        message=str(line.get("message") or "") or None,
        position=position if isinstance(position, int) else None,
        known={"job_id": line.get("job_id"), "cost": line.get("cost"), "arguments": line.get("item")},
    )
