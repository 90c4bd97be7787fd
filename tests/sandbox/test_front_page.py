"""The page at the root of the sandbox, for a person."""

from __future__ import annotations

import re

import pytest


def test_it_shows_people_without_a_key(desk):
    page = desk.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    pictures = re.findall(r'<img src="(samples/[^"]+)"', page.text)
    assert pictures
    assert all(desk.client.get(f"/{one}").status_code == 200 for one in pictures)
    assert "No job yet." in page.text


def test_it_shows_each_job_with_its_picture_and_the_bill(desk):
    job_id = desk.swap_gptunnel().json()["id"]
    assert f"{job_id}</td><td>queued" in desk.client.get("/").text
    desk.wait()
    page = desk.client.get("/").text
    assert "1 job<" in page
    assert "RUB: 15 charged" in page
    [picture] = re.findall(r'<img src="(files/[^"]+)"', page)
    assert desk.client.get(f"/{picture}").headers["content-type"].startswith("image/")


def test_it_says_why_a_job_failed_and_takes_no_markup_from_it(desk):
    desk.order({"type": "fail_job", "message": "<script>alert(1)</script>"})
    desk.swap_gptunnel()
    desk.wait()
    page = desk.client.get("/")
    assert "failed: &lt;script&gt;" in page.text
    assert "<script>" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/index.html", "/files"])
def test_no_other_path_is_that_page(desk, path):
    assert desk.client.get(path).status_code == 404
