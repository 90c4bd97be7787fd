"""A period of a budget, as ``airflow faceswap budget`` shows and settles it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.hooks.base import hook_for
from airflow_provider_faceswap.spending.account import Account
from airflow_provider_faceswap.spending.amounts import as_amount, plain
from airflow_provider_faceswap.spending.blocks import JOBS, MARK, Block, parts_of
from airflow_provider_faceswap.spending.book import Entry, Stage
from airflow_provider_faceswap.spending.costs import some_of
from airflow_provider_faceswap.spending.periods import Period
from airflow_provider_faceswap.spending.room import Cap
from airflow_provider_faceswap.storage.listing import folders_in, last_written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow.sdk import ObjectStoragePath

#: What is shown of an entry besides its key, stage and amount.
_FIELDS = ("dag_id", "run_id", "task_id", "map_index", "vendor", "conn_id", "kind", "job_id")

#: The names of days and months. Those of one length are in the order of time.
_DATE = r"\d{4}-\d\d(?:-\d\d)?"
#: The names that the folder of a period may have.
_PERIOD = re.compile(rf"{_DATE}|ever|run-[0-9a-f]{{24}}", re.ASCII)


def shown_period(folder: ObjectStoragePath, period: str | None, *, as_text: bool) -> dict[str, Any]:
    """
    What is spent, bought and reserved in a period.

    :param period: The name of its folder; ``None`` for the last one.
    :param as_text: Whether entries are one line each.
    :raises InvalidRequestError: There is no such period.
    """
    account = _account(folder, period)
    standing = account.book.standing()
    entries = sorted(standing.entries.values(), key=lambda entry: (entry.stage, entry.key))
    abouts = account.book.read_all(entries)
    rows = [row for entry, about in zip(entries, abouts, strict=True) for row in _rows(entry, about)]
    known = next((about for about in abouts if about.get("unit")), {})
    caps = [about["cap"] for about in abouts if about.get("cap")]
    return {
        "uri": str(folder),
        "period": account.period.name,
        "unit": known.get("unit"),
        "amount": caps[-1] if caps else None,
        **{
            stage.name.lower(): plain(_sum_of(rows, stage, standing.totals.amount))
            for stage in (Stage.SPENT, Stage.BOUGHT, Stage.RESERVED)
        },
        "entries": [_line(row) if as_text else _fields(row) for row in rows],
        "spent_before": [f"{dag} {plain(amount)}" for dag, amount in standing.totals.by_dag.items()]
        if as_text
        else {dag: plain(amount) for dag, amount in standing.totals.by_dag.items()},
    }


def settle(
    folder: ObjectStoragePath,
    period: str | None,
    amounts: Sequence[str],
    *,
    poll: bool,
    say: Callable[[str], None],
) -> None:
    """
    Settle what is left of a period.

    :param amounts: ``KEY=AMOUNT`` each.
    :param poll: Whether to poll the jobs that are bought.
    :param say: Called with one line for each entry.
    :raises InvalidRequestError: An amount is wrong, or there is no such entry.
    """
    account = _account(folder, period)
    given = dict(_pair(text) for text in amounts)
    for key, amount in given.items():
        _set(account, key, amount)
        say(f"{key}: settled with {plain(amount)}")
    for entry in account.book.standing().entries.values() if poll else ():
        if entry.stage is not Stage.SPENT and entry.key not in given:
            _poll(account, entry, say)


def _set(account: Account, key: str, amount: Decimal) -> None:
    """Settle a reservation, a job of a block, or what no job of a block has."""
    name, _, job = key.partition(MARK)
    entry = account.book.standing().entries.get(name)
    block = Block.found(account, entry) if entry is not None and entry.stage is not Stage.SPENT else None
    if block is None or (job and job not in block.open_jobs):
        raise InvalidRequestError(f"--set: {key} is neither reserved nor bought in {account.period.name}")
    if job:
        block.ended(job, amount, {})
        block.write()
    elif block.is_whole:
        block.close(amount)
    else:
        account.settle(key, amount, block.about)


def _poll(account: Account, entry: Entry, say: Callable[[str], None]) -> None:
    """Settle what is bought and has ended."""
    block = Block.found(account, entry)
    for row in _rows(entry, block.content() if block.is_whole else block.about):
        if row.stage is not Stage.BOUGHT or (amount := _polled(row, say)) is None:
            continue
        if block.is_whole:
            block.ended(row.key.partition(MARK)[2], amount, {})
        else:
            account.settle(entry.key, amount, block.about)
    if block.is_changed:
        block.write()


def _polled(row: _Row, say: Callable[[str], None]) -> Decimal | None:
    """What a job was charged; ``None`` if that is not known, or the job has not ended."""
    place = [str(row.about.get(name) or "") for name in ("vendor", "conn_id", "job_id", "kind")]
    if not all(place):
        say(f"{row.key}: no job is known; settle it with --set")
        return None
    vendor, conn_id, job_id, kind = place
    try:
        job = hook_for(vendor, conn_id).fetch(job_id, kind)
    except FaceSwapError as error:
        say(f"{row.key}: {error.message}")
        return None
    if not job.state.terminal:
        say(f"{row.key}: {vendor} job {job_id} is {job.state}")
        return None
    same_unit = job.cost is not None and job.cost.unit == row.about.get("unit")
    amount = as_amount("cost", max(job.cost.amount, 0)) if job.cost and same_unit else row.amount
    if amount is None:
        say(
            f"{row.key}: {vendor} job {job_id} is {job.state}, and its cost is not known; settle it with --set"
        )
    else:
        say(f"{row.key}: {vendor} job {job_id} is {job.state}; settled with {plain(amount)}")
    return amount


def _not_open(account: Account, key: str) -> InvalidRequestError:
    return InvalidRequestError(f"--set: {key} is neither reserved nor bought in {account.period.name}")


def _account(folder: ObjectStoragePath, period: str | None) -> Account:
    if period is None:
        period = _last_period(folder)
    if not _PERIOD.fullmatch(period):
        raise InvalidRequestError(f"--period: {period!r} is not the name of a period")
    if not (folder / period).is_dir():
        raise InvalidRequestError(f"--period: there is no {period!r} in {folder}")
    return Account(folder, Period(period), Cap(Decimal(0), "", f"budget {folder}"))


def _last_period(folder: ObjectStoragePath) -> str:
    """The period that began last; of runs, the one that was written last."""
    periods = sorted(name for name in folders_in(folder) if _PERIOD.fullmatch(name))
    if not periods:
        raise InvalidRequestError(
            f"{folder} is not the folder of a budget, or nothing was bought from it yet"
        )
    are_dates = all(re.fullmatch(_DATE, name) and len(name) == len(periods[0]) for name in periods)
    if are_dates or len(periods) == 1:
        return periods[-1]
    # The name of a run does not say when it was. And a budget whose `per` was changed has names of several kinds.
    moments = last_written(folder)
    if not any(moments.get(name) for name in periods):
        raise InvalidRequestError(
            f"--period: must name one of {some_of(periods)}, because this storage does not say which was written last"
        )
    return max(periods, key=lambda name: moments.get(name) or 0)


def _pair(text: str) -> tuple[str, Decimal]:
    key, _, amount = text.rpartition("=")
    return key, as_amount("--set", amount)


@dataclass(frozen=True)
class _Row:
    """The money of one job, or what no job of a block has yet."""

    key: str
    stage: Stage
    amount: Decimal | None
    about: Mapping[str, Any]


def _rows(entry: Entry, about: Mapping[str, Any]) -> Iterator[_Row]:
    """An entry, by its jobs."""
    left, own = entry.amount, {name: value for name, value in about.items() if name != JOBS}
    parts = parts_of(about)
    for job, part in parts.items():
        yield _Row(f"{entry.key}{MARK}{job}", part.stage, part.amount, {**own, **part.about})
        left = None if left is None else left - (part.amount or 0)
    if not parts or (left and entry.stage is not Stage.SPENT):
        yield _Row(entry.key, Stage.RESERVED if parts else entry.stage, left, own)


def _sum_of(rows: list[_Row], stage: Stage, folded: Decimal) -> Decimal:
    known = (row.amount for row in rows if row.stage is stage and row.amount is not None)
    return sum(known, folded if stage is Stage.SPENT else Decimal(0))


def _fields(row: _Row) -> dict[str, Any]:
    amount = None if row.amount is None else plain(row.amount)
    shown = {name: row.about.get(name) for name in _FIELDS}
    return {"key": row.key, "stage": row.stage.name.lower(), "amount": amount, **shown}


def _line(row: _Row) -> str:
    amount = "unknown" if row.amount is None else plain(row.amount)
    place = "/".join(str(row.about.get(name) or "?") for name in ("dag_id", "run_id", "task_id"))
    job = f" {row.about['vendor']} job {row.about['job_id']}" if row.about.get("job_id") else ""
    return f"{row.stage.name.lower()} {amount} {place}{job} [{row.key}]"
