"""
The connection form, for an Airflow below 3.2, which asks the hook for it.

Newer versions read the same fields from the provider info and call nothing here.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_faceswap.get_provider_info import get_provider_info


def _declared(conn_type: str, section: str) -> dict[str, Any]:
    types = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}
    found: dict[str, Any] = types.get(conn_type, {}).get(section, {})
    return found


def fields(conn_type: str) -> dict[str, Any]:
    """
    The extra fields as WTForms fields, by name. If WTForms is not installed, Airflow provides stand-in classes.

    :param conn_type: A connection type; the result is empty if the provider info does not list it.
    """
    from wtforms import BooleanField, PasswordField, StringField
    from wtforms.validators import Optional, any_of

    made = {}
    for name, declared in _declared(conn_type, "conn-fields").items():
        schema = declared["schema"]
        if schema.get("format") == "password":
            field = PasswordField
        elif "boolean" in schema["type"]:
            field = BooleanField
        else:  # also for a decimal number, for which Airflow has no field; the hook reads a text, too
            field = StringField
        made[name] = field(
            declared["label"],
            validators=[Optional(), *([any_of(schema["enum"])] if "enum" in schema else [])],
            description=declared["description"],
        )
    return made


def behaviour(conn_type: str) -> dict[str, Any]:
    """
    Labels and placeholders of the standard fields, and which of them are hidden.

    :param conn_type: A connection type; one that the provider info does not have changes nothing.
    """
    return {key.replace("-", "_"): value for key, value in _declared(conn_type, "ui-field-behaviour").items()}
