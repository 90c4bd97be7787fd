"""The hook class of each connection type. A hook class registers itself when its module is imported."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.get_provider_info import get_provider_info
from airflow_provider_faceswap.hooks import form

if TYPE_CHECKING:
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


def hook_for(vendor: str, conn_id: str) -> JobHook:
    """
    Make the hook of a vendor.

    :param vendor: The vendor's name, which is the connection type.
    :raises InvalidRequestError: There is no such vendor.
    """
    if vendor in _hook_classes:
        return _hook_classes[vendor](conn_id)
    provided = {
        entry["connection-type"]: entry["hook-class-name"]
        for entry in get_provider_info()["connection-types"]
    }
    if vendor in provided:  # and its module is not imported yet
        module, _, name = provided[vendor].rpartition(".")
        hook: JobHook = getattr(import_module(module), name)(conn_id)
        return hook
    known = ", ".join(dict.fromkeys([*provided, *_hook_classes]))
    raise InvalidRequestError(
        f"connection {conn_id!r} is of type {vendor!r}, which this package does not support",
        advice=f"Nothing was bought. Use a connection of one of these types: {known}.",
    )


def hook_for_connection(conn_id: str) -> JobHook:
    """
    Make the hook of a connection's type.

    :raises AirflowNotFoundException: There is no such connection.
    :raises InvalidRequestError: The type does not belong to this package.
    """
    return hook_for(BaseHook.get_connection(conn_id).conn_type or "", conn_id)
