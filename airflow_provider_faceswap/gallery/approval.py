"""
The text of a request for approval: a run's pictures in the body of Airflow's *human in the loop* operators.

A Dag file imports this module, so the rest of the gallery is imported when a body is rendered.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_faceswap.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from airflow_provider_faceswap.gallery.cards import Card, Tile
    from airflow_provider_faceswap.gallery.views import Served

#: Results that a body shows; the page of the gallery shows all of them.
MOST = 12
#: Types that every browser shows as a picture.
_SHOWN = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
#: A text in which Markdown has nothing to find. A dot could make a link of it.
_PLAIN = re.compile(r"[A-Za-z0-9 ,-]*(\.[0-9]+)?[A-Za-z0-9 ,-]*")

_log = logging.getLogger(__name__)


def approval_body(task: Any, *, text: str | None = None) -> Any:
    """
    The body of an ``ApprovalOperator`` or another *human in the loop* operator: pictures, prompt, cost and vendor.

    It is made when the task starts, from what an archive task of the same run has returned. The pictures are the
    gallery's thumbnails, behind Airflow's own permission; there is no link of a vendor and nothing signed in it. A mapped
    task shows the results of its own map index.

    :param task: The archive task, or its id: ``approval_body(stage)``.
    :param text: Markdown above the pictures, as a template. Escape what others wrote.
    :returns: What Airflow resolves to a text when the task starts; ``Any``, because the operators declare a text.
    """
    return ApprovalBody(str(getattr(task, "task_id", task)), text)


@dataclass(frozen=True)
class ApprovalBody:
    """
    A value that Airflow resolves where it renders other template fields, as it does with what another task returns.

    :param task_id: The task whose results are shown.
    :param text: As for :func:`approval_body`.
    """

    task_id: str
    text: str | None = None

    def resolve(self, context: Any) -> str:
        """
        Markdown.

        :raises InvalidRequestError: The task has returned nothing that was archived.
        """
        from airflow_provider_faceswap.gallery import GALLERY
        from airflow_provider_faceswap.gallery.views import Served

        instance = context["ti"]
        ids = (quote(str(part), safe="") for part in (instance.dag_id, instance.run_id))
        run = "{}/dags/{}/runs/{}/".format(GALLERY, *ids)
        parts = [str(context["task"].render_template(self.text, context))] if self.text else []
        places = self._places(instance)
        for place in places[:MOST]:
            parts += self._shown(place, instance, Served(run))
        if len(places) > MOST:
            parts.append(f"{len(places) - MOST} more are in the gallery.")
        parts.append(f"[All pictures of the run]({run})")
        return "\n\n".join(parts)

    def _places(self, instance: Any) -> list[tuple[int, int, str]]:
        """Map index, number and URI of the manifest of each result."""
        own = getattr(instance, "map_index", None)
        found: list[tuple[int, int, str]] = []
        for index in dict.fromkeys((-1 if own is None else own, -1)):
            value = instance.xcom_pull(task_ids=self.task_id, map_indexes=index)
            if value is not None:
                found = [(index, number, uri) for number, uri in enumerate(_manifests(value))]
                break
        else:
            # One task asks about all instances of a mapped one; if there is one only, its value is no list.
            values = instance.xcom_pull(task_ids=self.task_id)
            each = values if isinstance(values, Sequence) and not isinstance(values, str) else [values]
            found = [
                (place, number, uri)
                for place, one in enumerate(each)
                for number, uri in enumerate(_manifests(one))
            ]
        if not found:
            raise InvalidRequestError(
                f"approval_body: the task {self.task_id!r} has returned no archived file in this run",
                advice="Name an ArchiveOperator that runs before this task.",
            )
        return found

    def _shown(self, place: tuple[int, int, str], instance: Any, addresses: Served) -> list[str]:
        """One result: a table of its pictures, and what is known of it."""
        from airflow_provider_faceswap.archive.manifest import Manifest
        from airflow_provider_faceswap.foundation.redaction import error_line
        from airflow_provider_faceswap.gallery.cards import Card, facts_of, tiles_of
        from airflow_provider_faceswap.storage.files import path_of, read

        index, number, uri = place
        try:
            path = path_of(uri)
            manifest = Manifest.parse(read(path))
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            # The same text is made again after the answer, where an error would lose the answer.
            _log.warning("The manifest %s could not be read (%s)", uri, error_line(error))
            return [f"A picture could not be read ({type(error).__name__}). Look at it in the gallery."]
        run = manifest.airflow
        if (run.run_id, run.task_id) == (instance.run_id, self.task_id) and run.map_index is not None:
            index = run.map_index
        card = Card(instance.run_id, self.task_id, index, str(number), manifest_uri=uri, manifest=manifest)
        # The output first: a narrow window does not show the end of a table.
        *inputs, output = tiles_of(card)
        tiles = [output, *inputs]
        facts = [(name, value) for name, value in facts_of(card) if name not in {"task", "archived"}]
        facts[-1:-1] = _costs_before(manifest.parents)
        pictures = [self._picture(card, tile, addresses) for tile in tiles]
        table = (_row(_alt(tile.label) for tile in tiles), _row("---" for _ in tiles), _row(pictures))
        return [
            # Alone, a picture is larger than in a table.
            "\n".join(table) if len(pictures) > 1 else pictures[0],
            "\n".join(f"- **{name}:** {_text(value)}" for name, value in facts),
            f"[Compare at full size]({addresses.page(card)})",
        ]

    def _picture(self, card: Card, tile: Tile, addresses: Served) -> str:
        thumbnail = addresses.source(card, tile)
        media = card.manifest.file.media_type if card.manifest else ""
        if tile.role == "output" and media in _SHOWN and thumbnail is None:
            thumbnail = f"{addresses.page(card)}file"
        return f"![{_alt(tile.alt)}]({thumbnail})" if thumbnail else _text(tile.note)


def _manifests(value: Any) -> list[str]:
    """The URIs of the manifests that a task's return value names, in its order."""
    if isinstance(value, Mapping):
        named = {"uri", "manifest_uri", "sha256"} <= value.keys()
        return [str(value["manifest_uri"])] if named else []
    if isinstance(value, str) or not isinstance(value, Iterable):
        return []
    return [uri for one in value for uri in _manifests(one)]


def _costs_before(parents: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What the jobs before it cost."""
    from airflow_provider_faceswap.gallery.cards import cost_of

    return [
        ("earlier job", f"{parent.get('vendor')} {str(parent.get('kind') or '').replace('_', ' ')}, {cost}")
        for parent in parents
        if (cost := cost_of(parent.get("cost"))) is not None
    ]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _alt(text: str) -> str:
    """A text without the marks of Markdown, and without the queries of links."""
    from airflow_provider_faceswap.foundation.redaction import without_queries

    text = without_queries(text)
    kept = "".join(c if c.isalnum() or c in " ,.-" else " " for c in text)
    return " ".join(kept.split())


def _text(text: str) -> str:
    """
    A text that others wrote, so that nothing in it is read as Markdown: no link, no picture, no HTML.

    Only code is safe from links that Markdown finds by itself.
    """
    from airflow_provider_faceswap.foundation.redaction import without_queries
    from airflow_provider_faceswap.foundation.text import safe_text

    text = " ".join(safe_text(without_queries(text)).split())
    if _PLAIN.fullmatch(text):
        return text or "none"
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    # In a cell of a table, even code ends at a bar.
    return f"{fence} {text.replace('|', '¦')} {fence}"
