"""The pages' HTML, from templates that the served gallery and the sheet share."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("airflow_provider_faceswap.gallery"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def style() -> str:
    """The style sheet of every page."""
    return (files(__package__) / "templates" / "style.css").read_text(encoding="utf-8")


@cache
def style_hash() -> str:
    """The hash by which a Content-Security-Policy allows the style sheet."""
    return base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()


def rendered(template: str, **values: Any) -> str:
    """
    A page.

    :param template: ``cards``, ``costs``, ``runs``, ``result``, ``manifest`` or ``message``.
    :param values: What the template shows.
    """
    return _environment().get_template(f"{template}.html").render(style=style(), **values)
