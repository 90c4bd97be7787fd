"""What a batch would buy, and at which price: nothing is bought, claimed, reserved or written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from airflow_provider_faceswap.batch.archived_steps import find, left_to_make, requests_of
from airflow_provider_faceswap.batch.item_plan import ItemPlan
from airflow_provider_faceswap.batch.item_records import SUCCEEDED, ItemRecords
from airflow_provider_faceswap.jobs import Cost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_faceswap.archive.index import Index
    from airflow_provider_faceswap.batch.checks import CheckedItems
    from airflow_provider_faceswap.batch.items import BatchItem
    from airflow_provider_faceswap.batch.money import BatchMoney
    from airflow_provider_faceswap.batch.options import JobOptions, PreparedStep
    from airflow_provider_faceswap.batch.sharded_store import ShardedStore
    from airflow_provider_faceswap.batch.steps import PlannedStep
    from airflow_provider_faceswap.hooks.base import JobHook

#: Items that are looked at together, and threads that look.
_CHUNK, _THREADS = 256, 16


class StepEstimate(BaseModel):
    """
    The jobs of one step at one connection, which is the first that takes the item; of one model, if the kind has several.

    :param jobs: Jobs that would be bought.
    :param reused: Jobs of earlier attempts, and pictures of the archive, that are used instead.
    :param price: Of one job; ``None`` if it is not known.
    :param unit: That of the price; ``None`` if the vendor reports no costs, and no budget says it.
    :param cost: Of all that would be bought; ``None`` if the price is not known.
    """

    step: str
    vendor: str
    kind: str
    model: str | None = None
    conn_id: str
    jobs: int = 0
    reused: int = 0
    price: float | None = None
    unit: str | None = None
    cost: float | None = None


class Estimate(BaseModel):
    """
    What a batch would buy.

    :param total: Items.
    :param skipped: Wrong items that would be left out.
    :param reused: Items whose last picture is there: nothing is bought for them.
    :param failed: Items that an earlier attempt could not do, and that would not be tried again.
    :param jobs: Jobs that would be bought.
    :param unpriced: Those of them whose price is not known. They are not in ``cost``.
    :param cost: Unit to amount. The unit is empty for prices without one.
    """

    dry_run: Literal[True] = True
    total: int
    skipped: int
    reused: int = 0
    failed: int = 0
    jobs: int = 0
    unpriced: int = 0
    cost: dict[str, float] = {}
    steps: list[StepEstimate] = []

    def table(self) -> str:
        """A line about all, and the steps as a table."""
        names = ("step", "vendor", "kind", "connection", "jobs", "reused", "price", "cost")
        rows = [names, *(_cells(step) for step in self.steps)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        costs = " and ".join(_shown(self.cost[unit], unit) for unit in sorted(self.cost))
        unpriced = f"{self.unpriced} jobs at an unknown price" if self.unpriced else ""
        total = ", and ".join(filter(None, (costs, unpriced))) or "nothing"
        about = f"{self.total} items, {self.reused} reused, {self.skipped} skipped, {self.jobs} jobs to buy"
        return "\n".join((f"Nothing was bought. The batch: {about}", *lines, f"cost: {total}"))


def _cells(step: StepEstimate) -> tuple[str, ...]:
    money = [
        "unknown" if amount is None else _shown(amount, step.unit or "") for amount in (step.price, step.cost)
    ]
    kind = f"{step.kind} {step.model}" if step.model else step.kind
    return step.step, step.vendor, kind, step.conn_id, str(step.jobs), str(step.reused), *money


def _shown(amount: float, unit: str) -> str:
    return str(Cost(amount=amount, unit=unit)).strip()


@dataclass
class _State:
    """
    Where an item continues.

    :param first: The step to continue with.
    :param end: Its end, if an earlier attempt has reached it.
    :param left: The steps that it is to make.
    :param reused: The steps whose job or picture is there.
    :param keys: The requests of each step that its archive may have.
    """

    plan: ItemPlan
    first: int
    end: dict[str, Any] | None
    left: list[int] = field(default_factory=list)
    reused: set[int] = field(default_factory=set)
    keys: dict[int, set[str]] = field(default_factory=dict)


@dataclass
class Estimator:
    """
    Goes through the items as a batch would, and buys nothing.

    :param records: The store of the records of earlier attempts; ``None`` if there is none.
    :param index: The archive's, if jobs that were archived before are not to be bought again.
    """

    jobs: JobOptions
    records: ShardedStore | None
    index: Index | None
    money: BatchMoney

    def __post_init__(self) -> None:
        self._item_records = ItemRecords(self.records, self.jobs.epoch)
        self._steps: dict[tuple[str, str, str, str], StepEstimate] = {}
        #: Requests that an item before would make for the archive: equal items are bought once.
        self._made: set[str] = set()

    def of(self, items: Iterable[BatchItem], checked: CheckedItems) -> Estimate:
        """
        The estimate.

        :param checked: Of the same items.
        :raises FaceSwapError: An item cannot be read any more, or the archive or a budget could not be read.
        :raises Exception: The records could not be read.
        """
        estimate = Estimate(total=checked.total, skipped=len(checked.wrong))
        right = (item for item in items if item.position not in checked.wrong)
        with self.records or nullcontext(), ThreadPoolExecutor(_THREADS) as threads:
            while chunk := list(islice(right, _CHUNK)):
                plans = [
                    ItemPlan(self.jobs, self._item_records, prepared)
                    for prepared in threads.map(self.jobs.request, chunk)
                ]
                for state in threads.map(self._state, plans):
                    self._count(estimate, state)
        return self._priced(estimate)

    def _state(self, plan: ItemPlan) -> _State:
        first, end = plan.earlier()
        state = _State(plan, first, end)
        if end is not None:
            return state
        known, start = {number for number in range(first) if plan.recorded(number)}, first
        if self.index is not None:
            wanted, _ = plan.wanted(first)
            state.keys = {number: set(requests_of(self.index, plan.prepared, number)) for number in wanted}
            if (found := find(self.index, plan.prepared, wanted)) is not None:
                known.add(found[0])
                start = found[0] + 1
        names = [plan.prepared[number].step.name for number in known]
        state.left, taken = left_to_make(self.index, plan, start, names)
        state.reused = known | taken.keys()
        if plan.is_paid(first):
            state.left, state.reused = [one for one in state.left if one != first], state.reused | {first}
        return state

    def _count(self, estimate: Estimate, state: _State) -> None:
        """Count the jobs of an item."""
        plan, end = state.plan, state.end
        if end is not None:
            is_done = end["status"] in SUCCEEDED
            estimate.reused += is_done
            estimate.failed += not is_done
            for prepared in plan.prepared if is_done else ():
                self._at(prepared).reused += 1
            return
        made = [number for number, keys in state.keys.items() if not self._made.isdisjoint(keys)]
        left, reused = state.left, state.reused
        if made:
            left = [number for number in left if number > max(made)]
            reused = {*reused, max(made)}
        for number in reused:
            self._at(plan.prepared[number]).reused += 1
        estimate.reused += not left
        for number in left:
            self._at(plan.prepared[number]).jobs += 1
            self._made.update(state.keys.get(number, ()))

    def _at(self, prepared: PreparedStep) -> StepEstimate:
        conn_id, (kind, request) = next(iter(prepared.requests.items()))
        hook = next(hook for hook in prepared.step.hooks if hook.conn_id == conn_id)
        model = hook.vendor.model_of(kind, request)
        key = (prepared.step.name, conn_id, kind, model)
        if key not in self._steps:
            self._steps[key] = self._new(prepared.step, hook, kind, model)
        return self._steps[key]

    def _new(self, step: PlannedStep, hook: JobHook, kind: str, model: str) -> StepEstimate:
        price, unit = self.money.price_of(step, hook, kind, model)
        return StepEstimate(
            step=step.name,
            vendor=hook.vendor.name,
            kind=kind,
            model=model or None,
            conn_id=hook.conn_id,
            price=None if price is None else float(price),
            unit=unit,
        )

    def _priced(self, estimate: Estimate) -> Estimate:
        order = [step.name for step in self.jobs.steps]
        estimate.steps = sorted(self._steps.values(), key=lambda step: order.index(step.step))
        for step in estimate.steps:
            estimate.jobs += step.jobs
            if step.price is None:
                estimate.unpriced += step.jobs
                continue
            cost = Decimal(str(step.price)) * step.jobs
            step.cost = float(cost)
            unit = step.unit or ""
            estimate.cost[unit] = float(Decimal(str(estimate.cost.get(unit, 0))) + cost)
        return estimate
