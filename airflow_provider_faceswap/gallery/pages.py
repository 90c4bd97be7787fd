"""The gallery's pages: what each shows, from the database and from the storage."""

from __future__ import annotations

import json
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_faceswap.archive.thumbnails import OUTPUT
from airflow_provider_faceswap.gallery import _airflow_database as database
from airflow_provider_faceswap.gallery.cards import Card, argument_of, cost_of, facts_of, tiles_of
from airflow_provider_faceswap.gallery.files import (
    MAX_MANIFEST,
    NO_ANSWER,
    NotShownError,
    checked,
    file_of,
    manifest_of,
    media_file,
    read,
    roots,
    thumbnail_of,
)
from airflow_provider_faceswap.gallery.page import rendered
from airflow_provider_faceswap.gallery.results import Filter, Place, Results, Scope
from airflow_provider_faceswap.gallery.views import Served, chips_of, filters_of, pages_of, view_of

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_faceswap.foundation.file_types import MediaType

#: Runs on the page of a Dag, and cards of each.
RUNS, RUN_CARDS = 10, 4
#: From the page of a result to that of its run.
_BACK = "../../../../"
#: Results of a run that are searched for the one that was an input.
MAX_SEARCHED = 200

#: Rendering takes the interpreter and waits for nothing: several at a time would only slow the api-server's other answers.
_RENDERING = Lock()

_NOTHING = "Nothing has been archived here yet. An archive task or a batch adds pictures when it ends."
_NO_ROOTS = (
    "The api-server may not open the pictures. Set [faceswap] gallery_roots to the folders or buckets that archive "
    "tasks write to, then restart the api-server."
)


def run(scope: Scope, wanted: Filter) -> str:
    """
    The page of a run, or of one of its tasks.

    :raises TimeoutError: The storage of all its results does not answer: there is nothing to show, and many may ask for it.
    """
    results = results_of(scope)
    cards, total = results.page(wanted)
    if cards and all(card.problem == NO_ANSWER for card in cards):
        raise TimeoutError
    whole_run = scope.task_id is None
    vendors = results.vendors | {card.vendor for card in cards if card.vendor}
    if whole_run and total > len(cards):
        # Not every manifest has been read.
        pushed = database.single_values(scope.dag_id, scope.run_id, "vendor")
        vendors |= {vendor for vendor in pushed if isinstance(vendor, str)}
    costs = _costs_of_run(results) if whole_run else _costs_of_cards(cards, total)
    with _RENDERING:
        return rendered(
            "cards",
            title="Pictures of the run" if whole_run else "Pictures of the task",
            where=" · ".join(filter(None, (scope.dag_id, scope.run_id, scope.task_id))),
            chips=chips_of(results.archived, results.failed, costs),
            filters=filters_of(results, wanted, sorted(vendors)),
            pages=pages_of(wanted, total),
            problems=problems_of(results),
            cards=[view_of(card, Served("" if whole_run else "../../../")) for card in cards],
            empty=_NOTHING if results.archived + results.failed == 0 else "No result matches.",
            run_href=None if whole_run else "../../../",
        )


def dag(dag_id: str) -> str:
    """The page of a Dag: its last runs with results."""
    shown = []
    for run_id, moment in database.last_runs(dag_id, RUNS):
        results = results_of(Scope(dag_id, run_id))
        cards, _ = results.page(Filter(), RUN_CARDS)
        chips = ", ".join(text for text, _ in chips_of(results.archived, results.failed, {}))
        shown.append(
            {
                "run_id": run_id,
                "href": f"runs/{quoted(run_id)}/",
                "about": f"{moment:%Y-%m-%d %H:%M} UTC · {chips}" if moment else chips,
                "problems": results.problems,
                "cards": [view_of(card, Served(f"runs/{quoted(run_id)}/")) for card in cards],
            }
        )
    with _RENDERING:
        return rendered("runs", title="Pictures of the last runs", where=dag_id, runs=shown)


def result(where: Place) -> str:
    """The page of one result."""
    card = card_at(where)
    here = Served()
    tiles = []
    # The output is next to what it was made from, also where two pictures fill a row.
    for tile in sorted(tiles_of(card), key=lambda tile: (tile.label == "face", tile.role == OUTPUT)):
        full = "file" if tile.role == OUTPUT else _full_input_address(card, tile.role, where)
        source = here.source(card, tile)
        kept = f"thumbnail/{source.rpartition('/')[2]}" if source else None
        tiles.append(
            {
                "label": tile.label,
                "alt": tile.alt,
                "note": tile.note,
                "src": full or kept,
                "full": bool(full),
                "video": tile.role == OUTPUT and card.is_video,
            }
        )
    return rendered(
        "result",
        title=card.name,
        back=_BACK,
        tiles=tiles,
        facts=facts_of(card),
        links={"label": "Links", "links": [("Download", "file?download=1"), ("Manifest", "manifest")]},
    )


def manifest(where: Place) -> str:
    """The page of a manifest."""
    card = card_at(where)
    text = read(card.manifest_uri or "", MAX_MANIFEST)
    shown = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return rendered("manifest", title=f"Manifest of {card.name}", back="./", text=shown)


def card_at(where: Place) -> Card:
    """
    One archived result, with its manifest.

    :raises NotShownError: There is none, or it may not be shown.
    """
    return results_of(where.scope).card(where)


def thumbnail(where: Place, role: str) -> bytes:
    """
    A thumbnail of a result.

    :raises NotShownError: There is none.
    """
    card = card_at(where)
    kept = card.manifest.thumbnails.get(role) if card.manifest else None
    return thumbnail_of(card.manifest_uri or "", (kept.sha256 if kept else None) or "")


def output(where: Place) -> tuple[ObjectStoragePath, MediaType, int]:
    """
    The archived file of a result.

    :raises NotShownError: It may not be shown, or is gone.
    """
    card = card_at(where)
    return media_file(file_of(card.manifest_uri or ""))


def full_input(where: Place, role: str) -> tuple[ObjectStoragePath, MediaType, int]:
    """
    The file that was an input.

    :raises NotShownError: It is not a file, or may not be shown.
    """
    card = card_at(where)
    uri = argument_of(card, role)
    if card.manifest is None or role not in card.manifest.thumbnails or not isinstance(uri, str):
        raise NotShownError("There is no such input.")
    found = media_file(checked(uri))
    try:
        own = read(f"{uri}.json", MAX_MANIFEST)
    except NotShownError:
        return found
    # It is an archived result itself. Whose, its manifest says.
    manifest_of(own, where.dag_id)
    return found


def _full_input_address(card: Card, role: str, where: Place) -> str | None:
    """The address of an input at its full size: a file below the roots, or a result of the same run."""
    value = argument_of(card, role)
    try:
        full_input(where, role)
    except NotShownError:
        pass
    else:
        return f"input/{quoted(role)}"
    parents = card.manifest.parents if card.manifest else []
    jobs = {(parent.get("vendor"), parent.get("job_id")) for parent in parents}
    if not jobs:
        return None
    results = results_of(Scope(where.dag_id, where.run_id))
    others = [one for one in results.singles if not one.failed][:MAX_SEARCHED]
    results.read(others)
    for other in others:
        if other.manifest is None or (other.vendor, other.job.get("job_id")) not in jobs:
            continue
        if value in {other.manifest.source.url, other.job.get("job_id"), f"job {other.job.get('job_id')}"}:
            return f"{_BACK}{Served().page(other)}file"
    return None


def quoted(text: str) -> str:
    """A text as a part of a path."""
    return quote(text, safe="")


def results_of(scope: Scope) -> Results:
    """The results of a run, or of a part of it, as its tasks pushed them."""
    results = Results(scope.dag_id, scope.run_id)
    for row in database.results_of(scope):
        results.add(row.task_id, row.map_index, row.key, row.value)
    return results


def problems_of(results: Results) -> list[str]:
    """Why something of a run is not shown."""
    hint = [_NO_ROOTS] if not roots() and results.archived else []
    return [*hint, *results.problems]


def _costs_of_run(results: Results) -> dict[str, float]:
    """The cost of all jobs of a run: what job operators pushed, and the sums of batches."""
    costs = dict(results.costs)
    for value in database.single_values(results.dag_id, results.run_id, "cost"):
        if (cost := cost_of(value)) is not None:
            costs[cost.unit] = costs.get(cost.unit, 0.0) + cost.amount
    return costs


def _costs_of_cards(cards: list[Card], total: int) -> dict[str, float]:
    """The cost of the jobs that made the results of a task, each counted once, if all are on this page."""
    costs: dict[str, float] = {}
    known = cards if len(cards) == total else []
    jobs = {(card.vendor, card.job.get("job_id")): card.job.get("cost") for card in known}
    for value in jobs.values():
        if (cost := cost_of(value)) is not None:
            costs[cost.unit] = costs.get(cost.unit, 0.0) + cost.amount
    return costs
