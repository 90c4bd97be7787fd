"""
The connection form, as an Airflow below 3.2 asks a hook for it.

Newer ones read the same metadata themselves, and call nothing of this.
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
    The extra fields, as WTForms fields: Airflow puts its own in their place where WTForms is not installed.

    :param conn_type: One that the provider info knows; another has none.
    :returns: By name.
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
        else:  # there is none for a number with a fraction, and the hook reads a text as well
            field = StringField
        made[name] = field(
            declared["label"],
            validators=[Optional(), *([any_of(schema["enum"])] if "enum" in schema else [])],
            description=declared["description"],
        )
    return made


def behaviour(conn_type: str) -> dict[str, Any]:
    """
    What the standard fields are called, hint at, and which are hidden.

    :param conn_type: One that the provider info knows; another has nothing special.
    """
    return {key.replace("-", "_"): told for key, told in _declared(conn_type, "ui-field-behaviour").items()}
