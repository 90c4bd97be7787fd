"""How the documentation is built: ``make docs``, with every warning an error."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# The reference is read from the code, which needs Airflow, which wants a home: not the user's.
_HOME = tempfile.TemporaryDirectory(prefix="faceswap-docs-")
os.environ["AIRFLOW_HOME"] = _HOME.name

from airflow_provider_faceswap import __version__  # noqa: E402 - not before the path above

project = "airflow-provider-faceswap"
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns: list[str] = []

html_theme = "furo"
html_title = f"{project} {release}"
html_logo = "integration-logos/faceswap.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}

# Headings down to the third level can be linked to, and a link to a heading that is not there is a warning.
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90

copybutton_exclude = ".linenos, .gp, .go"

# Names of other projects stay plain text: their inventories would have to be fetched, and a build wants no network.
_OTHERS = ("Callable", "ObjectStoragePath", "Path", "Starlette", "datetime", "dict", "timedelta")
nitpick_ignore_regex = [
    ("py:class", r"(airflow|collections|datetime|httpx|pathlib)\..*"),
    ("py:exc", r"Airflow\w+"),
    ("py:class", rf"({'|'.join(_OTHERS)})\b.*"),
    # Mentioned in passing, and no promise.
    ("py:class", "Preflight"),
    ("py:data", "UNITS"),
    ("py:class", r"airflow_provider_faceswap\.sandbox\.state\.Sandbox"),
]


def _link_out(app: Sphinx, page: str, source: list[str]) -> None:
    """Let a link to a Markdown file outside of this folder, which is no page, download it."""
    folder = (Path(app.srcdir) / page).parent

    def outside(link: re.Match[str]) -> str:
        inside = (folder / link[1]).resolve().is_relative_to(app.srcdir)
        return link[0] if inside else f"](path:{link[1]})"

    source[0] = re.sub(r"\]\(((?:\.\./)+[^):#]+\.md)\)", outside, source[0])


def setup(app: Sphinx) -> None:
    """Sphinx calls this when it starts."""
    app.connect("source-read", _link_out)
