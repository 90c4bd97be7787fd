"""Operator that stops a Dag run whose account cannot pay for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_provider_faceswap.exceptions import InsufficientBalanceError, InvalidRequestError
from airflow_provider_faceswap.foundation.validation import as_choice
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.jobs import Cost
from airflow_provider_faceswap.links import GalleryLink
from airflow_provider_faceswap.operators._failure import failure_shown
from airflow_provider_faceswap.vendors.messages import as_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.jobs import Balance
    from airflow_provider_faceswap.operators._keywords import TaskArguments
    from airflow_provider_faceswap.vendors.base import Vendor


class BalanceCheckOperator(BaseOperator):
    """
    Check that an account has enough money left. The check is free.

    Put it before the tasks that submit jobs. Returns a dict: ``vendor``, ``conn_id``, ``amount``, ``credit``,
    ``available`` (the sum of both) and ``unit``.

    Not every vendor reports a balance. The check reserves nothing: other tasks may spend in between.

    :param conn_id: A connection of one of this package's types.
    :param at_least: What must be available, credit included.
    :param unit: The unit of ``at_least``; default: the vendor's usual one (roubles, dollars). No other takes its place.
    :param on_short: If less is available: ``fail`` at once, without retries, or ``skip`` this task and those after it.
    :param multiple_outputs: Store each key of the result as an XCom of its own too, for ``task.output["available"]``.
    :raises InsufficientBalanceError: Less is available, and ``on_short`` is ``fail``.
    :raises InvalidRequestError: An argument is wrong, or the vendor reports no balance, or none in this unit.
    """

    template_fields: Sequence[str] = ("conn_id", "at_least", "unit")
    operator_extra_links = (GalleryLink(),)
    ui_color = "#e8e0f7"

    def __init__(
        self,
        *,
        conn_id: str,
        at_least: Any,
        unit: str | None = None,
        on_short: Literal["fail", "skip"] = "fail",
        multiple_outputs: bool = True,
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        super().__init__(multiple_outputs=multiple_outputs, **kwargs)
        self.conn_id = conn_id
        self.at_least = at_least
        self.unit = unit
        self.on_short = as_choice("on_short", on_short, ("fail", "skip"))

    @failure_shown
    def execute(self, context: Context) -> dict[str, Any]:
        """Read the balance once, and compare."""
        del context
        needed = as_number(self.at_least)
        if needed is None:
            raise InvalidRequestError(f"at_least: must be a number, got {self.at_least!r}")
        with hook_for_connection(self.conn_id) as hook:
            vendor = hook.vendor.name
            balance = self._of_unit(hook.vendor, hook.balances())
        if balance.available < needed:
            short = f"the account has {balance}, but {Cost(amount=needed, unit=balance.unit)} are needed"
            if self.on_short == "skip":
                raise AirflowSkipException(f"{vendor}: {short}")
            raise InsufficientBalanceError(short, vendor=vendor)
        self.log.info("%s: the account has %s", vendor, balance)
        return {
            "vendor": vendor,
            "conn_id": hook.conn_id,
            **balance.model_dump(),
            "available": balance.available,
        }

    def _of_unit(self, vendor: Vendor, balances: Sequence[Balance]) -> Balance:
        """
        The balance in the unit of ``at_least``.

        :raises InvalidRequestError: The vendor does not report it now. Another unit would be another amount.
        """
        usual = vendor.balances.unit if vendor.balances else ""
        unit = self.unit or usual or balances[0].unit
        for balance in balances:
            if balance.unit == unit:
                return balance
        found = ", ".join(map(str, balances))
        if self.unit:
            units = ", ".join(balance.unit for balance in balances)
            raise InvalidRequestError(
                f"unit: {unit!r} is not available; available: {units}", vendor=vendor.name
            )
        raise InvalidRequestError(
            f"the account's balance in {unit} is not in the reply, which has {found}",
            vendor=vendor.name,
            advice="Nothing was bought. at_least was not compared with another unit: set unit to the one that it is in.",
        )
