"""What the templates show: cards with addresses, which differ between the served gallery and the sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

from airflow_provider_faceswap.archive.thumbnails import OUTPUT
from airflow_provider_faceswap.foundation.text import safe_text
from airflow_provider_faceswap.gallery.cards import Card, Tile, facts_of, shortened, tiles_of
from airflow_provider_faceswap.gallery.results import PAGE, Filter, Results
from airflow_provider_faceswap.jobs import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Tasks or vendors that a filter offers.
MAX_CHOICES = 20


class Addresses(Protocol):
    """Where the pictures and pages of a card are."""

    def source(self, card: Card, tile: Tile) -> str | None:
        """The address of a thumbnail; ``None`` if there is none."""

    def target(self, card: Card, tile: Tile) -> str | None:
        """Where a click on a picture leads."""

    def links(self, card: Card) -> list[tuple[str, str]]:
        """The links of a card: texts and addresses."""


@dataclass(frozen=True)
class Served:
    """
    Addresses in the served gallery, relative to the page, so that they do not depend on ``[api] base_url``.

    :param prefix: From the page to that of the run.
    """

    prefix: str = ""

    def page(self, card: Card) -> str:
        """The page of a card."""
        return f"{self.prefix}results/{quote(card.task_id, safe='')}/{card.map_index}/{card.number}/"

    def source(self, card: Card, tile: Tile) -> str | None:
        """The address of a thumbnail. Another thumbnail has another address, so that it can be cached."""
        if tile.kept is None or tile.kept.sha256 is None:
            return None
        return f"{self.page(card)}thumbnail/{quote(tile.role, safe='')}?v={tile.kept.sha256[:12]}"

    def target(self, card: Card, tile: Tile) -> str | None:
        """The page of the card, which compares its pictures."""
        return self.page(card) if tile.kept is not None or tile.role == OUTPUT else None

    def links(self, card: Card) -> list[tuple[str, str]]:
        """The file, and the manifest."""
        page = self.page(card)
        return [("Open", page), ("Download", f"{page}file?download=1"), ("Manifest", f"{page}manifest")]


def view_of(card: Card, addresses: Addresses) -> dict[str, Any]:
    """A card for the template."""
    shown = card.manifest is not None
    mapped = f" [{card.map_index}]" if card.map_index >= 0 else ""
    heading = card.name or (
        f"Item {card.position}" if card.position is not None else f"{card.task_id}{mapped}"
    )
    if card.failed:
        heading = f"{heading}: {card.status}"
    return {
        "heading": safe_text(heading),
        "failed": card.failed,
        "problem": card.problem,
        "error": card.error if card.failed else None,
        "message": shortened(card.message or "") if card.failed else None,
        "tiles": [
            {
                "label": tile.label,
                "alt": tile.alt,
                "src": addresses.source(card, tile),
                "width": tile.kept.width if tile.kept else None,
                "height": tile.kept.height if tile.kept else None,
                "href": addresses.target(card, tile),
                "note": tile.note,
            }
            for tile in tiles_of(card)
        ],
        "facts": facts_of(card),
        "links": {"label": f"Links of {heading}", "links": addresses.links(card)} if shown else None,
    }


def chips_of(archived: int, failed: int, costs: Mapping[str, float]) -> list[tuple[str, bool]]:
    """The summary above the cards: texts, and whether each is bad news."""
    chips = [(f"{archived:,} {'picture' if archived == 1 else 'pictures'}", False)]
    if failed:
        chips.append((f"{failed:,} failed", True))
    chips += [(str(Cost(amount=costs[unit], unit=unit)), False) for unit in sorted(costs)]
    return chips


def filters_of(results: Results, wanted: Filter, vendors: Sequence[str]) -> list[dict[str, Any]]:
    """The filters above the cards, as links."""
    choices = []
    if len(results.tasks) > 1 or wanted.task:
        items = [("all", query_of(wanted, task=None), not wanted.task)]
        items += [
            (task, query_of(wanted, task=task), wanted.task == task) for task in results.tasks[:MAX_CHOICES]
        ]
        choices.append({"label": "Task", "choices": items})
    if len(vendors) > 1 or wanted.vendor:
        items = [("all", query_of(wanted, vendor=None), not wanted.vendor)]
        items += [
            (vendor, query_of(wanted, vendor=vendor), wanted.vendor == vendor)
            for vendor in vendors[:MAX_CHOICES]
        ]
        choices.append({"label": "Vendor", "choices": items})
    if results.failed or wanted.failed:
        items = [
            ("all", query_of(wanted, failed=False), not wanted.failed),
            ("failed only", query_of(wanted, failed=True), wanted.failed),
        ]
        choices.append({"label": "Outcome", "choices": items})
    return choices


def pages_of(wanted: Filter, total: int) -> dict[str, Any]:
    """The pager."""
    number, last = wanted.page, max(1, -(-total // PAGE))
    return {
        "number": number,
        "last": last,
        "earlier": query_of(wanted, page=number - 1) if number > 1 else None,
        "later": query_of(wanted, page=number + 1) if number < last else None,
    }


def query_of(wanted: Filter, page: int = 1, **changes: Any) -> str:
    """The address of the same page with another filter."""
    known = {"task": wanted.task, "vendor": wanted.vendor, "failed": wanted.failed, **changes}
    pairs = {name: "1" if value is True else value for name, value in known.items() if value}
    if page > 1:
        pairs["page"] = str(page)
    return f"?{urlencode(pairs)}"
