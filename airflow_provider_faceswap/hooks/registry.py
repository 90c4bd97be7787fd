"""The hook class of each connection type. A hook class registers itself when its module is imported."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.validation import as_conn_id
from airflow_provider_faceswap.get_provider_info import get_provider_info
from airflow_provider_faceswap.hooks import form
from airflow_provider_faceswap.hooks.connection import same_type, type_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_faceswap.hooks.base import JobHook

_hook_classes: dict[str, type[JobHook]] = {}


def register(hook_class: type[JobHook]) -> None:
    """
    Register a hook class under its connection type, and give it the connection form of Airflow below 3.2.

    The first class of a type stays registered, so a user's subclass does not replace it.
    """
    if conn_type := getattr(hook_class, "conn_type", ""):
        _hook_classes.setdefault(conn_type, hook_class)
        # Airflow looks for these methods in the class itself, not in its bases.
        hook_class.get_connection_form_widgets = staticmethod(partial(form.fields, conn_type))  # type: ignore[method-assign]
        hook_class.get_ui_field_behaviour = staticmethod(partial(form.behaviour, conn_type))  # type: ignore[method-assign]


def types_of(hook_class: type[JobHook]) -> set[str]:
    """
    The connection types that hold the keys of a hook's vendor.

    These are the types of the class and of its bases, and those of the vendor's other registered hooks: a user's hook
    may have a type of its own, and the trigger makes the vendor's hook.
    """
    own = {getattr(base, "conn_type", None) for base in hook_class.__mro__}
    return {conn_type for conn_type in own if conn_type} | registered_types(hook_class.vendor.name)


def registered_types(vendor: str) -> set[str]:
    """The connection types of a vendor's hooks whose modules are imported."""
    return {conn_type for conn_type, known in _hook_classes.items() if known.vendor.name == vendor}


def hook_for(vendor: str, conn_id: str, conn_types: Collection[str] = ()) -> JobHook:
    """
    Make the hook of a vendor.

    :param vendor: The vendor's name, which is the connection type.
    :param conn_types: More connection types that hold the vendor's keys.
    :raises InvalidRequestError: There is no such vendor.
    """
    hook_class = _hook_class(vendor)
    if hook_class is None:
        raise _unsupported(conn_id, vendor)
    hook = hook_class(conn_id)
    hook.conn_types.update(conn_types)
    return hook


def hook_for_connection(conn_id: str) -> JobHook:
    """
    Make the hook of a connection's type.

    :raises ConnectionNotFoundError: There is no such connection.
    :raises VendorUnavailableError: The connection cannot be read now.
    :raises InvalidRequestError: The type does not belong to this package.
    """
    conn_id = as_conn_id(conn_id)
    conn_type = type_of(conn_id, _known_types())
    hook_class = _hook_class(conn_type)
    if hook_class is None:
        raise _unsupported(conn_id, conn_type)
    return hook_class(conn_id)


def _unsupported(conn_id: str, conn_type: str) -> InvalidRequestError:
    what = f"is of type {conn_type!r}, which this package does not support" if conn_type else "has no type"
    return InvalidRequestError(
        f"connection {conn_id!r} {what}",
        advice=f"Nothing was bought. Use a connection of one of these types: {', '.join(_known_types())}; or set the "
        "connection's conn_type.",
    )


def _hook_class(conn_type: str) -> type[JobHook] | None:
    """The hook class of a connection type; ``None`` if the type does not belong to this package."""
    for known, hook_class in _hook_classes.items():
        if same_type(known, conn_type):
            return hook_class
    if conn_type not in (provided := _provided()):
        return None
    module, _, name = provided[conn_type].rpartition(".")  # which is not imported yet
    provided_class: type[JobHook] = getattr(import_module(module), name)
    return provided_class


def _provided() -> dict[str, str]:
    return {
        entry["connection-type"]: entry["hook-class-name"]
        for entry in get_provider_info()["connection-types"]
    }


def _known_types() -> list[str]:
    return list(dict.fromkeys([*_provided(), *_hook_classes]))
