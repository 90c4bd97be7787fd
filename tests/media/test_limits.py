"""The tables of limits in the documentation have the figures of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_faceswap.archive import inputs
from airflow_provider_faceswap.batch import item_files
from airflow_provider_faceswap.gallery import app, batches
from airflow_provider_faceswap.get_provider_info import get_provider_info
from airflow_provider_faceswap.http import limits as http_limits
from airflow_provider_faceswap.media import limits, thumbnails
from airflow_provider_faceswap.vendors.gptunnel import GPTunnel
from airflow_provider_faceswap.vendors.piapi import PiAPI
from airflow_provider_faceswap.vendors.tengrai import Tengrai

PAGE = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## Limits")[2].partition("\n## ")[0]
#: How pictures may be sent: vendor and job, link, inside the request.
WAYS = {
    row[0]: row[1:]
    for row in re.findall(r"^\| ([^|`]+) (?:\([^|]*\) )?\| (yes|no) \| ([^|]*) \|", PAGE, re.MULTILINE)
}


def mebibytes(number):
    return f"{number // 1024 // 1024} MiB"


@pytest.mark.parametrize(
    ("what", "figure"),
    [
        ("a picture that is read", mebibytes(limits.MAX_BYTES)),
        ("a picture that is sent", f"{limits.MAX_PIXELS:,}"),
        ("a picture that is decoded", f"{limits.MAX_DECODED_PIXELS:,}"),
        ("one try of a download", f"{http_limits.DOWNLOAD_LIMIT:.0f} s"),
        ("an input that is downloaded", mebibytes(inputs.MAX_BYTES)),
        ("a picture that gets a thumbnail", f"{thumbnails.MAX_PIXELS:,}"),
        ("the answer of an API", mebibytes(http_limits.MAX_ANSWER)),
        ("an API request", f"{http_limits.REQUEST_LIMIT:.0f} s; {http_limits.BODY_LIMIT:.0f} s"),
        ("a line of an item file", f"{item_files.MAX_LINE:,}"),
        ("a file that the gallery sends", mebibytes(app.MAX_SENT)),
        ("the manifest of a batch", mebibytes(batches.MAX_BYTES)),
    ],
)
def test_the_documentation_has_the_figures(what, figure):
    assert re.search(rf"^\| {what}[^|]*\| {figure}", TABLE, re.MULTILINE)


def test_the_declared_defaults_are_those_that_are_used():
    options = get_provider_info()["config"]["faceswap"]["options"]
    assert int(options["max_decoded_pixels"]["default"]) == limits.max_decoded_pixels()
    assert int(options["max_picture_bytes"]["default"]) == limits.max_picture_bytes()
    assert int(options["max_transfer_seconds"]["default"]) == limits.max_transfer_seconds()


@pytest.mark.parametrize(
    ("row", "vendor", "kind", "argument"),
    [
        ("GPTunneL face swap", GPTunnel, "face_swap", "face_image"),
        ("GPTunneL image", GPTunnel, "image", "images"),
        ("GPTunneL inpaint", GPTunnel, "inpaint", "mask"),
        ("Tengrai, all", Tengrai, "face_swap", "face_image"),
        ("PiAPI face swap, multi-face swap", PiAPI, "face_swap", "face_image"),
        ("PiAPI face swap, multi-face swap", PiAPI, "multi_face_swap", "target_image"),
        ("PiAPI video", PiAPI, "video_face_swap", "target_video"),
    ],
)
def test_the_documentation_says_how_a_picture_reaches_a_vendor(row, vendor, kind, argument):
    accepts = vendor.kinds[kind].media[argument]
    link, inline = WAYS[row]
    assert (link == "yes") == accepts.link
    assert inline.startswith(f"up to {accepts.inline // 1_000_000} MB") if accepts.inline else inline == "no"


def test_the_documentation_has_the_limits_of_the_vendors():
    text = " ".join(PAGE.split())
    face = PiAPI.kinds["face_swap"].media["face_image"]
    assert f"at most {face.max_side} x {face.max_side} pixels and {face.max_bytes // 1_000_000} MB" in text
    assert GPTunnel.kinds["inpaint"].media["mask"].formats == {"image/png"}
    assert GPTunnel.kinds["face_swap"].media["face_image"].formats == {"image/png", "image/jpeg"}
    assert "PNG and JPEG for GPTunneL's face swap" in text
