"""Sphinx settings. ``make docs`` builds the documentation, with warnings as errors."""

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
# Autodoc imports the code, and so Airflow, which writes into its home folder: use a temporary one.
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

# Headings of levels one to three get anchors; a link to a missing anchor is a warning.
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90

copybutton_exclude = ".linenos, .gp, .go"

# Names of other projects are not linked: that would need their inventories, and a build uses no network.
_OTHERS = ("Callable", "ObjectStoragePath", "Path", "Starlette", "datetime", "dict", "timedelta")
nitpick_ignore_regex = [
    ("py:class", r"(airflow|collections|datetime|httpx|pathlib)\..*"),
    ("py:exc", r"Airflow\w+"),
    ("py:class", rf"({'|'.join(_OTHERS)})\b.*"),
    # Internal names that public signatures mention.
    ("py:class", r"Decimal|Per|Preflight|ServiceMode|Overwrite|\w+Arguments"),
    ("py:class", r"airflow_provider_faceswap\.sandbox\.(\w+\.)*Sandbox"),
]


def _link_out(app: Sphinx, page: str, source: list[str]) -> None:
    """Turn links to Markdown files outside this folder, which are not pages, into downloads."""
    folder = (Path(app.srcdir) / page).parent

    def outside(link: re.Match[str]) -> str:
        inside = (folder / link[1]).resolve().is_relative_to(app.srcdir)
        return link[0] if inside else f"](path:{link[1]})"

    source[0] = re.sub(r"\]\(((?:\.\./)+[^):#]+\.md)\)", outside, source[0])


def setup(app: Sphinx) -> None:
    """Entry point that Sphinx calls at the start of a build."""
    app.connect("source-read", _link_out)
