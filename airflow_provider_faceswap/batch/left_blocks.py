"""The blocks that earlier attempts of a batch have left in a budget: which job has money of them, and what is free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_faceswap.lifecycle.ledger import REFUSED
from airflow_provider_faceswap.lifecycle.ledger import Stage as RecordStage
from airflow_provider_faceswap.spending.amounts import as_amount
from airflow_provider_faceswap.spending.blocks import MARK, Block
from airflow_provider_faceswap.spending.book import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from airflow_provider_faceswap.batch.item_records import ItemRecords
    from airflow_provider_faceswap.lifecycle.ledger import Record
    from airflow_provider_faceswap.spending.account import Account
    from airflow_provider_faceswap.spending.budget import Budget

#: Between the key of a job and what is held for it.
AT = "@"
#: What a block says of a job whose submission got no answer: it may be charged, also once its record is another one's.
UNCERTAIN = "uncertain"


def split(name: str) -> tuple[str, str]:
    """The name of a block, and the key of the job in it. The price in that key may have a point, too."""
    period, slash, key = name.partition("/")
    block, _, job = key.partition(MARK)
    return f"{period}{slash}{block}", job


def left_blocks(
    budget: Budget, account: Account, mark: str, earlier: Iterable[str], records: ItemRecords
) -> Iterable[Block]:
    """
    The blocks of earlier attempts, with what the records say about their jobs.

    What no record of a job names was not bought, and is free. A job that a block of an attempt before a clear names keeps its
    money, and so does a submission without an answer: the record may have been replaced by that of another job.

    :param mark: The buyer's.
    :param earlier: The buyer's before the task was cleared.
    :returns: None without all records: then every block stays as it is.
    :raises FaceSwapError: The budget could not be read.
    :raises Exception: The error of the records' store.
    """
    blocks = _found(budget, account, (mark, *earlier))
    if not blocks or records.is_incomplete:
        return ()
    named: set[tuple[str, str]] = set()
    for record, is_over in records.reserved():
        name, job = split(record.reservation or "")
        if (block := blocks.get(name)) is None:
            continue
        if record.outcome == REFUSED:
            block.give_back(job)
            continue
        named.add((name, job))
        if job not in block.parts:
            price = _price_in(budget, block, job, record)
            block.hold(job, price, {"vendor": record.vendor, "kind": record.kind})
        is_uncertain = record.stage is RecordStage.INTENT
        about = {"conn_id": record.conn_id, "job_id": record.job_id, UNCERTAIN: is_uncertain}
        note = block.ended if is_over else block.bought
        note(job, None, {key: value for key, value in about.items() if value})
    for name, block in blocks.items():
        for job in block.open_jobs if is_of(block, mark) else ():
            about = block.parts[job].about
            if (name, job) not in named and not (about.get("job_id") or about.get(UNCERTAIN)):
                block.give_back(job)
    return blocks.values()


def is_of(block: Block, mark: str) -> bool:
    """Whether a block is of a buyer."""
    return block.entry.key.startswith(f"{mark}-")


def has_uncertain(block: Block) -> bool:
    """Whether a job of a block may have been bought, and is not known."""
    return any(block.parts[job].about.get(UNCERTAIN) for job in block.open_jobs)


def _found(budget: Budget, account: Account, marks: Iterable[str]) -> dict[str, Block]:
    starts = tuple(f"{mark}-" for mark in marks)
    try:
        found = [
            Block.found(account, entry)
            for entry in account.book.standing().entries.values()
            if entry.stage is not Stage.SPENT and entry.key.startswith(starts)
        ]
    except Exception as error:  # noqa: BLE001 - every storage has its own errors
        raise budget.unreadable(error) from None
    # One without its content may be of any jobs, and stays as it is.
    return {f"{account.period.name}/{block.entry.key}": block for block in found if block.is_whole}


def _price_in(budget: Budget, block: Block, job: str, record: Record) -> Decimal | None:
    if block.amount is None:
        return None
    if record.cost is not None and record.cost.unit == budget.unit:
        return as_amount("cost", max(record.cost.amount, 0))
    if held := job.partition(AT)[2]:
        return as_amount("price", held)
    # An earlier version bought it.
    seen = budget.prices().highest(record.vendor, record.kind)
    return seen if seen is not None else as_amount("price", block.about.get("price"))
