"""What a vendor says about the account of a connection; every request is free."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import without_secrets
from airflow_provider_faceswap.vendors.refusals import unless_blocked

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Balance
    from airflow_provider_faceswap.vendors.messages import Reply

T = TypeVar("T")


def described(hook: JobHook) -> str:
    """The account in one line."""
    return without_secrets(_read(hook, hook.vendor.read_account), hook.secrets)


def balances_of(hook: JobHook) -> tuple[Balance, ...]:
    """
    The account's balances, the usual unit first.

    :raises InvalidRequestError: This vendor does not report a balance.
    """
    if hook.vendor.balances is None:
        raise InvalidRequestError(
            "this vendor does not report a balance",
            vendor=hook.vendor.name,
            advice="Look at the account on the vendor's site.",
        )
    return _read(hook, hook.vendor.balances.read)


def concurrency_limit_of(hook: JobHook) -> int | None:
    """How many jobs the account may run at once; ``None`` if the vendor does not report it, or it cannot be read now."""
    if hook.vendor.concurrency_limit is None:
        return None
    try:
        return _read(hook, hook.vendor.concurrency_limit.read)
    except FaceSwapError as error:
        hook.log.warning("The account's concurrency limit could not be read: %s", error)
        return None


def _read(hook: JobHook, parse: Callable[[Reply], T]) -> T:
    return hook.read(hook.vendor.account(hook.endpoint().options), unless_blocked(hook.vendor.name, parse))
