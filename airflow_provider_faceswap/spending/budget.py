"""A cap on what jobs may cost, which holds across tasks, runs, Dags and machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

from airflow.providers.common.compat.sdk import conf

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.spending.account import Account
from airflow_provider_faceswap.spending.amounts import as_amount, plain
from airflow_provider_faceswap.spending.periods import PERS, Per, Period
from airflow_provider_faceswap.spending.prices import Prices
from airflow_provider_faceswap.spending.room import Cap
from airflow_provider_faceswap.storage.files import usable_path
from airflow_provider_faceswap.storage.places import place_of

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from airflow.sdk import ObjectStoragePath

#: The folder, beside those of the periods, with the highest cost of each kind.
PRICES = "prices"
#: The setting for all tasks and commands that name none.
_SETTING = "[faceswap] budget"


@dataclass(frozen=True)
class Budget:
    """
    A cap on what jobs may cost in a period.

    Before each purchase, the price of the job is reserved: an object in the budget's folder, written before the sum of all
    is read. If the sum is over the cap, it is withdrawn, and nothing is bought. When the job has ended, the reservation
    becomes what the vendor charged.

    A job is expected to cost the most that a job of its kind and model has cost in this budget, else the task's ``price``.
    Without either, jobs are bought one at a time until the first cost is known.

    :param uri: A folder in object storage, or on a disk that all workers share. Each budget has its own.
    :param amount: The cap, at least 0.
    :param unit: The unit in which the vendor charges: ``RUB``, ``point``.
    :param per: ``run``, ``day``, ``month`` or ``ever``.
    :param timezone: Where days and months begin, such as ``Europe/Moscow``.
    :param warn_at: The share of the amount at which there is a warning; ``None`` for none.
    :param on_warning: Called once a period with a dict: ``budget``, ``period``, ``share``, and the ids of the task. A
        callable, or the dotted path of one.
    :raises InvalidRequestError: An argument is wrong.
    """

    uri: str
    amount: float | Decimal
    unit: str
    per: Per = "day"
    timezone: str = "UTC"
    warn_at: float | None = 0.8
    # Not in the repr, which Airflow stores of a mapped task: that of a function differs in each process.
    on_warning: str | Callable[[dict[str, Any]], object] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the arguments when the Dag is parsed."""
        uri = str(self.uri).strip()
        _, mark, rest = uri.partition("://")
        is_template = "{{" in uri or "{%" in uri
        if not (is_template or (rest if mark else uri.startswith("/"))) or "::" in uri:
            raise InvalidRequestError(f"budget: uri must be a full URI or an absolute path, got {self.uri!r}")
        as_amount("budget: amount", self.amount)
        if not isinstance(self.unit, str) or not self.unit.strip():
            raise InvalidRequestError(f"budget: unit must be a text such as RUB, got {self.unit!r}")
        if self.per not in PERS:
            raise InvalidRequestError(f"budget: per must be one of {', '.join(PERS)}, got {self.per!r}")
        try:
            ZoneInfo(self.timezone)
        except Exception:  # noqa: BLE001 - it raises many
            raise InvalidRequestError(f"budget: there is no timezone {self.timezone!r}") from None
        if self.warn_at is not None:
            share = as_amount("budget: warn_at", self.warn_at)
            if share > 1:
                raise InvalidRequestError(f"budget: warn_at must be at most 1, got {self.warn_at!r}")
            object.__setattr__(self, "warn_at", float(share))
        object.__setattr__(self, "uri", uri)
        object.__setattr__(self, "unit", self.unit.strip())

    # -- as plain JSON --------------------------------------------------------------------------------------

    def serialize(self) -> dict[str, Any]:
        """
        The budget as plain JSON.

        :raises InvalidRequestError: ``on_warning`` is not a dotted path, nor a function of a module.
        """
        callback = self.on_warning
        if callback is not None and not isinstance(callback, str):
            if "<" in (name := f"{callback.__module__}.{getattr(callback, '__qualname__', '<')}"):
                raise InvalidRequestError("budget: on_warning must be a function of a module, to be stored")
            callback = name
        return {
            "uri": self.uri,
            "amount": float(self.amount),
            "unit": self.unit,
            "per": self.per,
            "timezone": self.timezone,
            "warn_at": self.warn_at,
            "on_warning": callback,
        }

    @classmethod
    def deserialize(cls, data: Mapping[str, Any], version: int = 1) -> Self:
        """
        The budget from its plain JSON.

        :raises InvalidRequestError: It is not one.
        """
        del version
        try:
            return cls(**data)
        except TypeError:
            raise InvalidRequestError(
                "budget: needs uri, amount and unit, and may have per, timezone, warn_at and on_warning"
            ) from None

    # -- its storage ------------------------------------------------------------------------------------------

    @property
    def shown(self) -> str:
        """The budget as messages name it."""
        ends = {"run": "a run", "day": "a day", "month": "a month", "ever": "in all"}
        return f"budget {place_of(self.uri)} ({plain(as_amount('amount', self.amount))} {self.unit} {ends[self.per]})"

    @property
    def folder(self) -> ObjectStoragePath:
        """
        Its folder.

        :raises FaceSwapError: There is no storage for it, or it cannot be used.
        """
        try:
            return usable_path(self.uri)
        except Exception as error:  # noqa: BLE001 - every storage has its own errors
            raise self.unreadable(error) from None

    def unreadable(self, error: Exception) -> FaceSwapError:
        """The error of a budget that cannot be read."""
        if isinstance(error, FaceSwapError):
            return error
        return FaceSwapError(
            f"{self.shown} could not be read ({error_line(error)})",
            advice="Nothing was bought. Correct the budget's uri, or retry when its storage works again.",
        )

    def account(self, moment: datetime, task: Mapping[str, Any]) -> Account:
        """
        The period of a moment.

        :param task: ``dag_id`` and ``run_id`` of the task that buys.
        """
        return self._account(self.period(moment, task))

    def period(self, moment: datetime, task: Mapping[str, Any]) -> Period:
        """The period of a moment, as for :meth:`account`; the storage is not needed."""
        run = (str(task.get("dag_id")), str(task.get("run_id")))
        return Period.of(self.per, moment, ZoneInfo(self.timezone), run)

    def account_of(self, period: str) -> Account:
        """The period with this name."""
        return self._account(Period(period))

    def _account(self, period: Period) -> Account:
        cap = Cap(as_amount("budget: amount", self.amount), self.unit, self.shown)
        return Account(self.folder, period, cap)

    def prices(self) -> Prices:
        """The highest cost of each kind of job that this budget has seen."""
        return Prices(self.folder / PRICES)

    def at(self, uri: str) -> Self:
        """The same budget in another folder: that of a rendered template."""
        return replace(self, uri=uri)


def budgets_of(value: Any) -> tuple[Budget, ...]:
    """
    The budgets that an argument names.

    :param value: A :class:`Budget`, its plain JSON as a dict or as a text, or a list of these; ``None`` for none.
    :raises InvalidRequestError: It is something else, or two of them have the same unit.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except ValueError:
            raise InvalidRequestError(
                "budget: must be a Budget, or its JSON with uri, amount and unit"
            ) from None
    if value is None:
        return ()
    if isinstance(value, Budget):
        return (value,)
    if isinstance(value, Mapping):
        return (Budget.deserialize(value),)
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise InvalidRequestError(f"budget: must be a Budget, or its JSON, got {type(value).__name__}")
    found = tuple(budget for one in value for budget in budgets_of(one))
    if len({budget.unit for budget in found}) < len(found):
        raise InvalidRequestError("budget: a list must have one budget for each unit")
    return found


def budget_for(value: Any, unit: str | None) -> Budget | None:
    """
    The budget for jobs of a vendor: the task's own, else that of the setting ``[faceswap] budget``.

    :param value: The task's own; see :func:`budgets_of`.
    :param unit: The unit in which the vendor charges, if it is known.
    :returns: Of several, the one with this unit, else the first; ``None`` if there is none.
    :raises InvalidRequestError: The argument or the setting is wrong.
    """
    found = budgets_of(value)
    if not found:
        try:
            found = budgets_of(conf.get("faceswap", "budget", fallback="") or None)
        except InvalidRequestError as error:
            raise error.replaced(
                message=f"{_SETTING}: {error.message.removeprefix('budget: ')}",
                advice=f"Nothing was bought. Correct {_SETTING}.",
            ) from None
    return next((budget for budget in found if budget.unit == unit), found[0] if found else None)
