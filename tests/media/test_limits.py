"""The table of limits in the documentation has the figures of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_faceswap.get_provider_info import get_provider_info
from airflow_provider_faceswap.http import limits as http_limits
from airflow_provider_faceswap.media import limits

PAGE = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## Limits")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    "figure",
    [
        f"{limits.MAX_BYTES // 1024 // 1024} MiB",
        f"{limits.MAX_PIXELS:,}",
        f"{limits.MAX_DECODED_PIXELS:,}",
        f"{http_limits.DOWNLOAD_LIMIT:.0f} s",
        f"{http_limits.MAX_ANSWER // 1024 // 1024} MiB",
        f"{http_limits.REQUEST_LIMIT:.0f} s; {http_limits.BODY_LIMIT:.0f} s",
    ],
)
def test_the_documentation_has_the_figures(figure):
    assert f"| {figure}" in TABLE


def test_the_declared_defaults_are_those_that_are_used():
    options = get_provider_info()["config"]["faceswap"]["options"]
    assert int(options["max_decoded_pixels"]["default"]) == limits.max_decoded_pixels()
    assert int(options["max_transfer_seconds"]["default"]) == limits.max_transfer_seconds()
