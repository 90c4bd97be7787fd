"""
The objects of one period of a budget: one for each reservation, which only moves forward.

The stages are *reserved → bought → spent*, and each is a folder. An object's name has its amount, so a sum takes lists and
no reads. To move an entry, the object of the next stage is written first, and then that of the stage before is deleted.
Lists are made in the order of the stages. So an entry that is missing from the list of one stage, because it was moved
just then, is in the list of a later one. An entry that is in two stages is in the later one.

Many spent entries are folded into one object of totals, so that lists stay short. Totals are numbered and created
exclusively; the highest number counts. Where a storage cannot do that, nothing is folded.
"""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.foundation.text import safe_json
from airflow_provider_faceswap.spending.amounts import plain
from airflow_provider_faceswap.storage.files import create, read, write
from airflow_provider_faceswap.storage.listing import listed, listed_below, removed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.sdk import ObjectStoragePath

#: Spent entries at which they are folded into a total.
FOLD_AT = 200
#: Totals that are kept besides the last one. A list that began before the last one may lead to one of them.
KEPT_TOTALS = 10
#: What a name says if the amount is not known.
_UNKNOWN = "unknown"
#: Objects that are read at a time.
_READERS = 16
#: Times that totals are looked for again, because others folded meanwhile.
_TRIES = 5


class Stage(StrEnum):
    """The stage of an entry, and the name of its folder. The order is that of the lists."""

    RESERVED = "1-reserved"
    BOUGHT = "2-bought"
    SPENT = "3-spent"


#: The folder of the totals.
_TOTALS = "4-totals"


@dataclass(frozen=True)
class Entry:
    """
    One reservation, and what became of it.

    :param key: What tells it from all others, in letters, digits and hyphens.
    :param amount: ``None`` if it is not known.
    :param written: When the storage wrote it, by the storage's clock; ``None`` if it does not say.
    """

    key: str
    stage: Stage
    amount: Decimal | None
    written: float | None = None

    @property
    def name(self) -> str:
        """The name of its object."""
        return f"{self.key}~{_UNKNOWN if self.amount is None else plain(self.amount)}"

    @classmethod
    def parse(cls, stage: Stage, name: str, written: float | None) -> Entry | None:
        """The entry that a name means; ``None`` for another file."""
        key, mark, text = name.rpartition("~")
        if not mark or not key or key.startswith("."):
            return None
        if text == _UNKNOWN:
            return cls(key, stage, None, written)
        try:
            amount = Decimal(text)
        except ArithmeticError:
            return None
        return cls(key, stage, amount, written) if amount.is_finite() and amount >= 0 else None


@dataclass(frozen=True)
class Totals:
    """
    Spent entries that were folded.

    :param number: Its place among the totals, from 1; 0 for none.
    :param covered: Keys whose objects may still be there.
    :param by_dag: The sum for each Dag.
    """

    number: int = 0
    amount: Decimal = Decimal(0)
    covered: frozenset[str] = frozenset()
    by_dag: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """
    All of a period at one time.

    :param entries: By key; those that are folded are left out.
    :param behind: Objects of earlier stages that somebody did not delete.
    """

    entries: Mapping[str, Entry]
    totals: Totals
    behind: tuple[Entry, ...] = ()

    def sum_of(self, *stages: Stage, without: str | None = None) -> Decimal:
        """The sum of the known amounts in these stages; that of the folded entries is in ``SPENT``."""
        known = (
            entry.amount
            for entry in self.entries.values()
            if entry.stage in stages and entry.key != without and entry.amount is not None
        )
        return sum(known, self.totals.amount if Stage.SPENT in stages else Decimal(0))

    def unknown(self, without: str) -> list[Entry]:
        """The entries of others whose amount is not known."""
        return [entry for entry in self.entries.values() if entry.amount is None and entry.key != without]


class Book:
    """
    The objects of one period.

    :param folder: The period's folder. It need not exist.
    """

    def __init__(self, folder: ObjectStoragePath) -> None:
        self.folder = folder

    def put(self, entry: Entry, about: Mapping[str, Any]) -> None:
        """
        Write an entry.

        :param about: What a person wants to know about it.
        :raises Exception: The storage's own error.
        """
        write(self._path(entry), io.BytesIO(json.dumps(dict(about)).encode()))

    def remove(self, entry: Entry) -> None:
        """
        Delete an entry, if it is there.

        :raises Exception: The storage's own error.
        """
        removed(self._path(entry))

    def read(self, entry: Entry) -> dict[str, Any]:
        """What is known about an entry; empty if its object is gone or damaged."""
        path = self._path(entry)
        try:
            found = safe_json(json.loads(read(path)))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def read_all(self, entries: Iterable[Entry]) -> list[dict[str, Any]]:
        """What is known about several entries, in their order."""
        with ThreadPoolExecutor(_READERS, thread_name_prefix="faceswap-budget") as threads:
            return list(threads.map(self.read, entries))

    def standing(self) -> Standing:
        """
        Everything that was written before this call, and maybe more.

        :raises Exception: The storage's own error.
        """
        latest: dict[str, Entry] = {}
        behind: list[Entry] = []
        files = listed_below(self.folder, (*(stage.value for stage in Stage), _TOTALS))
        for stage in Stage:
            for name, written in files[stage.value]:
                if (entry := Entry.parse(stage, name, written)) is None:
                    continue
                other = latest.get(entry.key)
                if other is not None and other.stage is stage and _is_more(other, entry):
                    entry, other = other, entry
                if other is not None:
                    behind.append(other)
                latest[entry.key] = entry
        totals = self._totals(_numbers_in(files[_TOTALS]))
        return Standing(
            {
                key: entry
                for key, entry in latest.items()
                if entry.stage is not Stage.SPENT or key not in totals.covered
            },
            totals,
            tuple(behind),
        )

    def fold(self, standing: Standing) -> bool:
        """
        Fold the spent entries into a total.

        :param standing: The period, read just before.
        :returns: False if somebody else does it, or this storage cannot.
        :raises Exception: The storage's own error.
        """
        spent = [entry for entry in standing.entries.values() if entry.stage is Stage.SPENT]
        spent = [entry for entry in spent if entry.amount is not None]
        for entry in standing.behind:
            self.remove(entry)
        last = standing.totals
        by_dag = dict(last.by_dag)
        for entry, about in zip(spent, self.read_all(spent), strict=True):
            dag = str(about.get("dag_id") or "")
            by_dag[dag] = by_dag.get(dag, Decimal(0)) + (entry.amount or 0)
        folded = {entry.key for entry in spent}
        left = [entry for entry in self._spent_objects() if entry.key in last.covered]
        new = Totals(
            last.number + 1,
            last.amount + sum((entry.amount or Decimal(0) for entry in spent), Decimal(0)),
            frozenset({*folded, *(entry.key for entry in left)}),
            by_dag,
        )
        path = self.folder / _TOTALS / f"{new.number:08d}"
        content = {
            "amount": plain(new.amount),
            "covered": sorted(new.covered),
            "by_dag": {dag: plain(amount) for dag, amount in by_dag.items()},
        }
        try:
            create(path, io.BytesIO(json.dumps(content).encode()))
        except (FileExistsError, NotImplementedError):
            return False
        numbers = self._total_numbers()
        if not numbers or numbers[-1] != new.number:
            # This process stood still for so long that the number had become free again.
            removed(path)
            return False
        for entry in (*spent, *left):
            self.remove(entry)
        for number in numbers[: -KEPT_TOTALS - 1]:
            removed(self.folder / _TOTALS / f"{number:08d}")
        return True

    def _spent_objects(self) -> list[Entry]:
        parsed = [Entry.parse(Stage.SPENT, name, None) for name, _ in listed(self.folder / Stage.SPENT.value)]
        return [entry for entry in parsed if entry is not None]

    def _total_numbers(self) -> list[int]:
        return _numbers_in(listed(self.folder / _TOTALS))

    def _totals(self, numbers: list[int]) -> Totals:
        for _ in range(_TRIES):
            if not numbers:
                return Totals()
            path = self.folder / _TOTALS / f"{numbers[-1]:08d}"
            with suppress(FileNotFoundError):
                found = json.loads(read(path))
                return Totals(
                    numbers[-1],
                    Decimal(found["amount"]),
                    frozenset(found["covered"]),
                    {dag: Decimal(amount) for dag, amount in found["by_dag"].items()},
                )
            numbers = self._total_numbers()
        raise FileNotFoundError(str(self.folder / _TOTALS))

    def _path(self, entry: Entry) -> ObjectStoragePath:
        return self.folder / entry.stage.value / entry.name


def _numbers_in(files: Iterable[tuple[str, float | None]]) -> list[int]:
    return sorted(int(name) for name, _ in files if name.isdecimal())


def _is_more(one: Entry, other: Entry) -> bool:
    """True if the first of two entries with one key counts: an unknown amount, or the larger one."""
    return one.amount is None or (other.amount is not None and one.amount >= other.amount)
