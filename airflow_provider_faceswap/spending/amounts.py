"""Amounts of money: exact decimals, and their text in names and messages."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal, InvalidOperation
from numbers import Real
from typing import Any

from airflow_provider_faceswap.exceptions import InvalidRequestError

#: Digits after the point, at most: less is noise of a float.
_EXACT = Decimal("0.00000001")
#: No budget has so much.
_TOO_MUCH = Decimal("1e15")


def as_amount(name: str, value: Any) -> Decimal:
    """
    An amount of money, as an exact decimal.

    :param value: A number, or the text of one.
    :raises InvalidRequestError: It is none, or below zero.
    """
    amount = Decimal("NaN")
    if isinstance(value, Real | Decimal | str) and not isinstance(value, bool):
        with suppress(InvalidOperation):
            amount = Decimal(str(value).strip())
    if not amount.is_finite() or not 0 <= amount < _TOO_MUCH:
        raise InvalidRequestError(f"{name}: must be a number from 0 to {_TOO_MUCH:f}, got {value!r}")
    return amount.quantize(_EXACT).normalize()


def as_price(value: Any, name: str = "price") -> Decimal | None:
    """
    The price of a job, as an exact decimal; ``None`` if none is given.

    :raises InvalidRequestError: It is no amount above 0.
    """
    if value is None:
        return None
    if not (price := as_amount(name, value)):
        raise InvalidRequestError(f"{name}: must be above 0, got {value!r}")
    return price


def plain(amount: Decimal) -> str:
    """The amount as people write it, without an exponent."""
    return f"{amount.normalize():f}" if amount else "0"
