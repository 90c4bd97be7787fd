"""
Values as templates, YAML and tables make them, turned into the values that were written.

Native rendering makes the number 1980 of the text "1980"; plain rendering makes the text "3" of a number; a table has
NaN in an empty cell; YAML and templates add blanks and line ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from numbers import Real
from typing import Any
from uuid import UUID

#: Classes whose text is what was written. ``bool`` is not one of them: "yes" and "True" both become ``True``.
_WRITTEN = (Real, Decimal, date, UUID)
#: Types of pandas that mean an empty cell. This package does not import pandas.
_EMPTY_CELLS = {"NAType", "NaTType"}

#: What to do if a template has turned a result or a list into text.
OUTPUT_ADVICE = "pass task.output itself, or set render_template_as_native_obj=True on the Dag"


def is_set(value: Any) -> bool:
    """False for what means "not set": ``None``, a blank text, NaN, an empty cell of pandas."""
    if value is None or type(value).__name__ in _EMPTY_CELLS:
        return False
    if isinstance(value, str):
        return bool(value.strip())
    return not is_nan(value)


def is_nan(value: Any) -> bool:
    """True for NaN, as a float, a decimal or a number of numpy."""
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, Real) and not isinstance(value, int) and math.isnan(value)


def as_text(value: Any) -> str:
    """
    A text argument as it was written.

    :param value: A text; or a number, a date or a UUID that native rendering, YAML or a table has made of one.
    :raises ValueError: It is something else.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, _WRITTEN) and not isinstance(value, bool):
        text = str(value)
        if text.lower().strip("+-") not in {"inf", "infinity", "nan"}:
            return text
    raise ValueError(f"must be a text, and is a {_described(value)}")


def without_blanks(value: Any) -> Any:
    """A copy of an argument whose text, or texts in a list, have no blanks around them."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list | tuple):
        return [without_blanks(part) for part in value]
    # A single value of numpy.
    return value.item() if hasattr(value, "dtype") and getattr(value, "shape", None) == () else value


def set_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are set, without blanks around texts. A blank text stays, so that its check can name it."""
    return {
        name: without_blanks(value)
        for name, value in arguments.items()
        if is_set(value) or isinstance(value, str)
    }


def is_rendered_to_nothing(value: Any) -> bool:
    """True for what a template without native rendering makes of ``None`` or of nothing."""
    return not is_set(value) or (isinstance(value, str) and value.strip() == "None")


def is_text_of_result(text: str) -> bool:
    """True for a text that begins like a dict or a list: a template has made it of a task's whole result."""
    return text.lstrip()[:1] in {"{", "["}


def _described(value: Any) -> str:
    """The type of a value, in the words of a user."""
    if isinstance(value, bool):
        return f"boolean ({value}): put quotes around it"
    if isinstance(value, list | tuple | set):
        return "list"
    if isinstance(value, Mapping):
        return "mapping"
    if isinstance(value, Real | Decimal):
        return "number that is not finite"
    return f"{type(value).__name__}"
