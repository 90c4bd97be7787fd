"""Stop a Dag before it starts something that its account cannot pay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_provider_faceswap.exceptions import InsufficientBalanceError, InvalidRequestError
from airflow_provider_faceswap.foundation.validation import as_choice
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.vendors.messages import as_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.jobs import Balance


class BalanceCheckOperator(BaseOperator):
    """
    Read an account's balance, which is free, and go on only where it suffices.

    Put it before the tasks that buy. Returns a dict: ``vendor``, ``conn_id``, ``amount``, ``credit``,
    ``available`` (the sum of both) and ``unit``.

    GPTunneL tells roubles and a credit limit; PiAPI tells dollars, points and credits; Tengrai tells nothing. The
    check reserves nothing: other tasks may spend in between.

    :param conn_id: A connection of one of this package's types.
    :param at_least: What must be available, credit included.
    :param unit: In which unit; default: roubles at GPTunneL, dollars at PiAPI.
    :param on_short: Where it is less: ``fail`` at once, whatever ``retries``, or ``skip`` this task, which skips
        those after it.
    :raises InsufficientBalanceError: Less is available, and ``on_short`` is ``fail``.
    :raises InvalidRequestError: An argument is wrong, or the vendor tells no balance, or none in this unit.
    """

    template_fields: Sequence[str] = ("conn_id", "at_least", "unit")
    ui_color = "#e8e0f7"

    def __init__(
        self,
        *,
        conn_id: str,
        at_least: Any,
        unit: str | None = None,
        on_short: Literal["fail", "skip"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.at_least = at_least
        self.unit = unit
        self.on_short = as_choice("on_short", on_short, ("fail", "skip"))

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask once, and compare."""
        del context
        needed = as_number(self.at_least)
        if needed is None:
            raise InvalidRequestError(f"at_least: must be a number, got {self.at_least!r}")
        with hook_for_connection(self.conn_id) as hook:
            vendor = hook.vendor.name
            balance = self._of_unit(vendor, hook.balances())
        if balance.available < needed:
            short = f"the account has {balance}, and {needed:.12g} {balance.unit} are wanted"
            if self.on_short == "skip":
                raise AirflowSkipException(f"{vendor}: {short}")
            raise InsufficientBalanceError(short, vendor=vendor)
        self.log.info("%s: the account has %s", vendor, balance)
        return {
            "vendor": vendor,
            "conn_id": self.conn_id,
            **balance.model_dump(),
            "available": balance.available,
        }

    def _of_unit(self, vendor: str, balances: Sequence[Balance]) -> Balance:
        if self.unit is None:
            return balances[0]
        for balance in balances:
            if balance.unit == self.unit:
                return balance
        told = ", ".join(balance.unit for balance in balances)
        raise InvalidRequestError(f"unit: {self.unit!r} is not told; told: {told}", vendor=vendor)
