"""The warning that a budget is nearly spent: once a period, in the log, in metrics, and to a callback."""

from __future__ import annotations

import io
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.storage.files import create
from airflow_provider_faceswap.storage.places import place_of
from airflow_provider_faceswap.telemetry.metrics import budget_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_faceswap.spending.account import Account, Reservation
    from airflow_provider_faceswap.spending.budget import Budget

_log = logging.getLogger(__name__)


def warn(
    budget: Budget, account: Account, made: Reservation, about: Mapping[str, Any], log: Any = _log
) -> None:
    """
    Report the share of the budget that is spent or reserved, and warn if it has just passed ``warn_at``.

    It never raises: the reservation is made.

    :param about: The reservation, as the callback gets it.
    :param log: The logger.
    """
    budget_share(place_of(budget.uri), budget.unit, made.share)
    if budget.warn_at is None or made.share < budget.warn_at:
        return
    try:
        create(account.book.folder / "warned", io.BytesIO(b"{}"))
    except FileExistsError:
        return
    except Exception:  # noqa: BLE001 - a storage that cannot create exclusively: warn as the share is passed
        if made.before >= budget.warn_at:
            return
    log.warning("%s: %.0f %% is spent or reserved", budget.shown, made.share * 100)
    if budget.on_warning is None:
        return
    try:
        callback = budget.on_warning
        if isinstance(callback, str):
            module, _, name = callback.rpartition(".")
            callback = getattr(import_module(module), name)
        callback({**about, "budget": budget.shown, "period": account.period.name, "share": made.share})
    except Exception as error:  # noqa: BLE001 - a callback is the user's
        log.warning("on_warning of %s failed (%s)", budget.shown, error_line(error))
