"""The results of a run, of which only those of a page are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.batch.manifest import manifest_name
from airflow_provider_faceswap.foundation.text import safe_json
from airflow_provider_faceswap.gallery import FAILURE_KEY
from airflow_provider_faceswap.gallery.batches import BatchLines, batch_lines
from airflow_provider_faceswap.gallery.cards import ARCHIVED, Card
from airflow_provider_faceswap.gallery.files import MAX_MANIFEST, NotShownError, manifest_of, read_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: Cards on one page.
PAGE = 50
#: Manifests that are read at a time to find a vendor.
_CHUNK = 250


@dataclass(frozen=True, slots=True)
class Filter:
    """Which results are shown: of one task, of one vendor, only those that failed; and which page of them, from 1."""

    task: str | None = None
    vendor: str | None = None
    failed: bool = False
    page: int = 1


@dataclass(frozen=True, slots=True)
class Scope:
    """A run, or a part of it: a task, or one mapped instance of it."""

    dag_id: str
    run_id: str
    task_id: str | None = None
    map_index: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a result is.

    :param number: Its place among the results of its task instance; after a dot, the output of a batch's item.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    number: str

    @property
    def scope(self) -> Scope:
        """Its task instance."""
        return Scope(self.dag_id, self.run_id, self.task_id, self.map_index)


@dataclass(frozen=True)
class _Batch:
    """A batch of one task instance, by the summary that its task returned, or left when it failed."""

    task_id: str
    map_index: int
    uri: str
    lines: BatchLines | None
    archived: int
    failed: int


@dataclass
class Results:
    """
    The results of one run.

    :param singles: Cards of archived files and of failed tasks, in the order of the tasks.
    :param problems: Why something is not shown.
    """

    dag_id: str
    run_id: str
    singles: list[Card] = field(default_factory=list)
    batches: list[_Batch] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)

    def add(self, task_id: str, map_index: int, key: str, value: Any) -> None:
        """Add what a task instance has pushed; anything else than a result or a failure is left out."""
        try:
            value = safe_json(value)
        except ValueError:
            return
        if key == FAILURE_KEY:
            self._add_failure(task_id, map_index, value)
        elif _is_batch(value):
            self._add_batch(task_id, map_index, value)
        else:
            for number, one in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(one, Mapping) and {"uri", "manifest_uri", "sha256"} <= one.keys():
                    self.singles.append(
                        Card(
                            self.run_id,
                            task_id,
                            map_index,
                            str(number),
                            manifest_uri=str(one["manifest_uri"]),
                        )
                    )

    def _add_failure(self, task_id: str, map_index: int, value: Any) -> None:
        if not isinstance(value, Mapping):
            return
        batch = value.get("batch")
        if isinstance(batch, Mapping) and _is_batch(batch):
            self._add_batch(task_id, map_index, batch)
        known = {name: value[name] for name in ("vendor", "kind", "job_id") if value.get(name)}
        self.singles.append(
            Card(
                self.run_id,
                task_id,
                map_index,
                "failure",
                status="failed",
                error=str(value.get("error") or "") or None,
                message=str(value.get("message") or "") or None,
                known=known,
            )
        )

    def _add_batch(self, task_id: str, map_index: int, summary: Mapping[str, Any]) -> None:
        uri, lines = str(summary["manifest_uri"]), None
        try:
            run = RunInfo(dag_id=self.dag_id, run_id=self.run_id, task_id=task_id, map_index=map_index)
            lines = batch_lines(uri, manifest_name(run))
        except NotShownError as error:
            self.problems.append(f"The manifest of {task_id} is not shown. {error}")
        failed = len(lines.failed) if lines else _count(summary, "total") - _count(summary, "archived")
        archived = len(lines) - failed if lines else _count(summary, "archived")
        self.batches.append(_Batch(task_id, map_index, uri, lines, archived, failed))
        for unit, amount in _amounts(summary.get("cost_in_all") or summary.get("cost")):
            self.costs[unit] = self.costs.get(unit, 0.0) + amount

    @property
    def archived(self) -> int:
        """The number of archived results."""
        return sum(not card.failed for card in self.singles) + sum(batch.archived for batch in self.batches)

    @property
    def failed(self) -> int:
        """The number of failed tasks and of failed items of batches."""
        return sum(card.failed for card in self.singles) + sum(batch.failed for batch in self.batches)

    @property
    def tasks(self) -> list[str]:
        """The tasks with results."""
        return sorted({*(card.task_id for card in self.singles), *(batch.task_id for batch in self.batches)})

    @property
    def vendors(self) -> set[str]:
        """The vendors of the results, as far as their manifests have been read."""
        return {card.vendor for card in self.singles if card.vendor}

    def page(self, wanted: Filter, size: int = PAGE) -> tuple[list[Card], int]:
        """
        The cards of one page, with their manifests, and how many there are on all pages.

        :param size: Cards on a page.
        """
        begin, end = (wanted.page - 1) * size, wanted.page * size
        singles = [card for card in self.singles if _matches(card, wanted)]
        if wanted.vendor:
            self.read(card for card in singles if not card.failed)
            singles = [card for card in singles if card.vendor == wanted.vendor]
        cards, total = singles[begin:end], len(singles)
        for batch in self.batches:
            lines = batch.lines
            if lines is None or (wanted.task and batch.task_id != wanted.task):
                continue
            if wanted.vendor and self._vendor_of(batch) != wanted.vendor:
                continue
            count = len(lines.failed) if wanted.failed else len(lines)
            places = range(max(begin - total, 0), min(end - total, count))
            cards += self._of_batch(
                batch, lines.failed[places.start : places.stop] if wanted.failed else places
            )
            total += count
        self.read(card for card in cards if card.manifest is None)
        return cards, total

    def card(self, where: Place) -> Card:
        """
        One archived result, with its manifest.

        :raises NotShownError: There is none, or it may not be shown.
        """
        found = [card for card in self.singles if card.instance == (where.task_id, where.map_index)]
        line = where.number.partition(".")[0]
        for batch in self.batches:
            if (batch.task_id, batch.map_index) == (where.task_id, where.map_index):
                found += self._of_batch(batch, [int(line)] if line.isdecimal() else [])
        card = next((card for card in found if card.number == where.number and card.manifest_uri), None)
        if card is None:
            raise NotShownError("There is no such picture.")
        self.read([card])
        if card.manifest is None:
            raise NotShownError(card.problem or "It is not shown.")
        return card

    def read(self, cards: Iterable[Card]) -> None:
        """Read the manifests of some cards."""
        wanted = [
            (card, card.manifest_uri)
            for card in cards
            if card.manifest_uri is not None and card.manifest is None
        ]
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            for (card, _), data in zip(chunk, read_all([uri for _, uri in chunk], MAX_MANIFEST), strict=True):
                try:
                    card.manifest = manifest_of(data, self.dag_id)
                except NotShownError as error:
                    card.problem = str(error)

    def _vendor_of(self, batch: _Batch) -> str:
        """The vendor of a batch: all of its items are of one."""
        archived = next((card for card in self._of_batch(batch, range(PAGE)) if not card.failed), None)
        if archived is None:
            return ""
        self.read([archived])
        return archived.vendor

    def _of_batch(self, batch: _Batch, places: Sequence[int]) -> list[Card]:
        if batch.lines is None:
            return []
        places = [place for place in places if place < len(batch.lines)]
        read = zip(places, batch.lines.lines(places), strict=True)
        return [card for place, line in read for card in self._of_line(batch, place, line)]

    def _of_line(self, batch: _Batch, place: int, line: Mapping[str, Any]) -> Iterator[Card]:
        archived = line.get("status") == ARCHIVED
        files = _files_of(line, archived=archived)
        if not archived or not files:
            # The item itself, besides the pictures of its steps that were kept.
            files = [*files, (None, line)]
        for number, (file, job) in enumerate(files, 1):
            uri = file.get("uri") if file else None
            position = line.get("position")
            yield Card(
                self.run_id,
                batch.task_id,
                batch.map_index,
                f"{place}.{number}" if len(files) > 1 else str(place),
                status=ARCHIVED if uri else str(line.get("status") or "failed"),
                manifest_uri=f"{uri}.json" if uri else None,
                error=None if uri else str(line.get("error") or "") or None,
                message=None if uri else str(line.get("message") or "") or None,
                position=position if isinstance(position, int) else None,
                known={"job_id": job.get("job_id"), "cost": job.get("cost"), "arguments": line.get("item")},
            )


def _files_of(
    line: Mapping[str, Any], *, archived: bool
) -> list[tuple[Mapping[str, Any] | None, Mapping[str, Any]]]:
    """The files of an item, each with the job that made it; those of the steps of a chain in their order."""
    steps = line.get("steps")
    jobs: list[Any] = steps if isinstance(steps, list) else [line] if archived else []
    return [
        (file if isinstance(file, Mapping) else None, job)
        for job in jobs
        if isinstance(job, Mapping) and isinstance(listed := job.get("files"), list)
        for file in listed
    ]


def _matches(card: Card, wanted: Filter) -> bool:
    return (not wanted.task or card.task_id == wanted.task) and (card.failed or not wanted.failed)


def _is_batch(value: Any) -> bool:
    return isinstance(value, Mapping) and {"total", "archived", "manifest_uri", "errors"} <= value.keys()


def _count(summary: Mapping[str, Any], name: str) -> int:
    value = summary.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _amounts(costs: Any) -> list[tuple[str, float]]:
    if not isinstance(costs, Mapping):
        return []
    return [(str(unit), float(amount)) for unit, amount in costs.items() if isinstance(amount, int | float)]
