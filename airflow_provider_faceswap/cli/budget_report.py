"""A period of a budget, as ``airflow faceswap budget`` shows and settles it."""

from __future__ import annotations

import posixpath
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.hooks.base import hook_for
from airflow_provider_faceswap.spending.account import Account
from airflow_provider_faceswap.spending.amounts import as_amount, plain
from airflow_provider_faceswap.spending.book import Entry, Stage
from airflow_provider_faceswap.spending.budget import PRICES
from airflow_provider_faceswap.spending.periods import Period
from airflow_provider_faceswap.spending.room import Cap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import ObjectStoragePath

#: What is shown of an entry besides its key, stage and amount.
_FIELDS = ("dag_id", "run_id", "task_id", "map_index", "vendor", "conn_id", "kind", "job_id")


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
    known = next((about for about in abouts if about.get("unit")), {})
    caps = [about["cap"] for about in abouts if about.get("cap")]
    return {
        "uri": str(folder),
        "period": account.period.name,
        "unit": known.get("unit"),
        "amount": caps[-1] if caps else None,
        **{
            stage.name.lower(): plain(standing.sum_of(stage))
            for stage in (Stage.SPENT, Stage.BOUGHT, Stage.RESERVED)
        },
        "entries": [
            _line(entry, about) if as_text else _fields(entry, about)
            for entry, about in zip(entries, abouts, strict=True)
        ],
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
    standing = account.book.standing()
    for key, amount in given.items():
        entry = standing.entries.get(key)
        if entry is None or entry.stage is Stage.SPENT:
            raise InvalidRequestError(f"--set: {key} is neither reserved nor bought in {account.period.name}")
        account.settle(key, amount, account.book.read(entry))
        say(f"{key}: settled with {plain(amount)}")
    bought = [entry for entry in standing.entries.values() if entry.stage is Stage.BOUGHT]
    for entry in bought if poll else ():
        if entry.key not in given:
            _poll(account, entry, say)


def _poll(account: Account, entry: Entry, say: Callable[[str], None]) -> None:
    about = account.book.read(entry)
    place = [str(about.get(name) or "") for name in ("vendor", "conn_id", "job_id", "kind")]
    if not all(place):
        say(f"{entry.key}: no job is known; settle it with --set")
        return
    vendor, conn_id, job_id, kind = place
    try:
        job = hook_for(vendor, conn_id).fetch(job_id, kind)
    except FaceSwapError as error:
        say(f"{entry.key}: {error.message}")
        return
    if not job.state.terminal:
        say(f"{entry.key}: {vendor} job {job_id} is {job.state}")
        return
    same_unit = job.cost is not None and job.cost.unit == about.get("unit")
    amount = as_amount("cost", max(job.cost.amount, 0)) if job.cost and same_unit else entry.amount
    if amount is None:
        say(
            f"{entry.key}: {vendor} job {job_id} is {job.state}, and its cost is not known; settle it with --set"
        )
        return
    account.settle(entry.key, amount, about)
    say(f"{entry.key}: {vendor} job {job_id} is {job.state}; settled with {plain(amount)}")


def _account(folder: ObjectStoragePath, period: str | None) -> Account:
    if period is None:
        period = _last_period(folder)
    if not period or "/" in period or period.startswith("."):
        raise InvalidRequestError(f"--period: {period!r} is not the name of a period")
    if not (folder / period).exists():
        raise InvalidRequestError(f"--period: there is no {period!r} in {folder}")
    return Account(folder, Period(period), Cap(Decimal(0), "", f"budget {folder}"))


def _last_period(folder: ObjectStoragePath) -> str:
    """The period that began last: that of the highest name, whichever run that is."""
    found = [
        posixpath.basename(str(path).rstrip("/")) for path in (folder.iterdir() if folder.exists() else ())
    ]
    periods = sorted(name for name in found if name != PRICES and not name.startswith("."))
    if not periods:
        raise InvalidRequestError(
            f"{folder} is not the folder of a budget, or nothing was bought from it yet"
        )
    return periods[-1]


def _pair(text: str) -> tuple[str, Decimal]:
    key, _, amount = text.rpartition("=")
    return key, as_amount("--set", amount)


def _fields(entry: Entry, about: dict[str, Any]) -> dict[str, Any]:
    amount = None if entry.amount is None else plain(entry.amount)
    shown = {name: about.get(name) for name in _FIELDS}
    return {"key": entry.key, "stage": entry.stage.name.lower(), "amount": amount, **shown}


def _line(entry: Entry, about: dict[str, Any]) -> str:
    amount = "unknown" if entry.amount is None else plain(entry.amount)
    place = "/".join(str(about.get(name) or "?") for name in ("dag_id", "run_id", "task_id"))
    job = f" {about['vendor']} job {about['job_id']}" if about.get("job_id") else ""
    return f"{entry.stage.name.lower()} {amount} {place}{job} [{entry.key}]"
