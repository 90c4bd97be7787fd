"""The highest cost of each kind of job that a budget has seen: what the next one is expected to cost."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_faceswap.spending.amounts import plain
from airflow_provider_faceswap.storage.files import write
from airflow_provider_faceswap.storage.listing import listed

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


class Prices:
    """
    The prices that a budget has seen. Their names say all, so reading them takes one list.

    :param folder: Their folder. It need not exist.
    """

    def __init__(self, folder: ObjectStoragePath) -> None:
        self._folder = folder

    def highest(self, vendor: str, kind: str) -> Decimal | None:
        """
        The highest cost of a job of this kind; ``None`` if there is none yet.

        :raises Exception: The storage's own error.
        """
        return self.all().get((quote(vendor, safe=""), quote(kind, safe="")))

    def all(self) -> dict[tuple[str, str], Decimal]:
        """The highest cost, by vendor and kind."""
        found: dict[tuple[str, str], Decimal] = {}
        for name, _ in listed(self._folder):
            vendor, kind, text = (*name.split("~"), "", "")[:3]
            try:
                amount = Decimal(text)
            except ArithmeticError:
                continue
            if amount.is_finite() and amount > 0:
                found[vendor, kind] = max(found.get((vendor, kind), amount), amount)
        return found

    def saw(self, vendor: str, kind: str, amount: Decimal) -> None:
        """
        Note what a job cost.

        :raises Exception: The storage's own error.
        """
        if amount > (self.highest(vendor, kind) or 0):
            name = f"{quote(vendor, safe='')}~{quote(kind, safe='')}~{plain(amount)}"
            write(self._folder / name, io.BytesIO(b"{}"))
