"""The page of what the pictures of a Dag cost."""

from __future__ import annotations

import json
import re

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_faceswap.cli.costs_report import costs_of
from airflow_provider_faceswap.gallery import costs

PAGE = "/gallery/dags/a_dag/costs/"


def rows(answer):
    """The cells of the table, line by line."""
    lines = re.findall(r"<tr>(.*?)</tr>", answer.text)
    return [tuple(re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", line)) for line in lines]


@pytest.fixture
def bought(archived):
    """Archive a picture of a job; returns what the operator returns."""
    count = iter(range(1000))

    def buy(amount, vendor="gptunnel", unit="RUB", day=1, **more):
        number = next(count)
        return archived(
            f"{more.pop('name', number)}",
            vendor=vendor,
            job_id=more.pop("job_id", f"job{number}"),
            cost=None if amount is None else {"amount": amount, "unit": unit},
            finished_at=f"2026-11-{day:02}T10:00:00Z",
            inputs={},
            thumbnails=False,
            **more,
        )

    return buy


def test_costs_are_added_up_by_day_the_newest_first(gallery, bought):
    gallery.push([bought(15), bought(5.5), bought(3, "piapi", "point", day=2)])
    page = gallery.get(PAGE)
    assert rows(page) == [
        ("day", "jobs", "amount", "unit"),
        ("2026-11-02", "1", "3", "point"),
        ("2026-11-01", "2", "20.5", "RUB"),
    ]
    assert re.findall(r"<li>(.*?)</li>", page.text) == ["3 jobs", "20.5 RUB", "3 point"]


@pytest.mark.parametrize(
    ("by", "first"),
    [
        ("vendor", ("piapi", "1", "3", "point")),
        ("day,vendor", ("2026-11-02", "piapi", "1", "3", "point")),
        ("month", ("2026-11", "1", "3", "point")),
        ("../../etc", ("2026-11-02", "1", "3", "point")),
    ],
)
def test_they_are_added_up_by_what_is_asked_for(gallery, bought, by, first):
    gallery.push([bought(15), bought(3, "piapi", "point", day=2)])
    assert rows(gallery.get(f"{PAGE}?by={by}"))[1] == first


def test_the_page_and_the_command_say_the_same(gallery, bought, folder):
    parent = {"vendor": "gptunnel", "kind": "image", "job_id": "before", "cost": {"amount": 7, "unit": "RUB"}}
    gallery.push(
        [bought(15, parents=[parent]), bought(15, job_id="two"), bought(15, job_id="two"), bought(None)]
    )
    told = costs_of(ObjectStoragePath(f"file://{folder}"), "vendor")
    assert rows(gallery.get(f"{PAGE}?by=vendor"))[1:] == [
        tuple("" if value is None else str(value) for value in row.values()) for row in reversed(told)
    ]
    assert {(row["jobs"], row["amount"]) for row in told} == {(3, "37"), (1, None)}


def test_the_items_of_a_batch_count(gallery, bought, batch, line):
    gallery.push(batch([line(0, bought(15)), line(1), line(2, bought(15))]), task_id="batch")
    assert rows(gallery.get(PAGE))[1:] == [("2026-11-01", "2", "30", "RUB")]


def test_the_pictures_of_another_dag_do_not_count(gallery, bought):
    gallery.push([bought(15), bought(100, run={"dag_id": "another_dag"})])
    page = gallery.get(PAGE)
    assert rows(page)[1:] == [("2026-11-01", "1", "15", "RUB")]
    assert "It was archived by another Dag." in page.text


def test_only_so_many_pictures_are_read_and_the_page_says_so(gallery, bought, monkeypatch):
    monkeypatch.setattr(costs, "MOST_MANIFESTS", 3)
    gallery.push([bought(15) for _ in range(5)])
    page = gallery.get(PAGE)
    assert rows(page)[1:] == [("2026-11-01", "3", "45", "RUB")]
    assert "Only the newest 3 pictures are counted here." in page.text


def test_the_page_of_the_dag_leads_there_and_back(gallery, bought):
    gallery.push(bought(15))
    assert '<a href="costs/">Costs</a>' in gallery.get("/gallery/dags/a_dag/").text
    assert '<a href="../">' in gallery.get(PAGE).text


def test_a_dag_without_pictures_says_so(gallery):
    assert "No run of this Dag has archived a picture." in gallery.get(PAGE).text


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), True, -5])
def test_a_damaged_cost_counts_as_not_known_and_the_page_says_so(gallery, bought, amount):
    good, damaged = bought(15), bought(7, job_id="damaged")
    path = ObjectStoragePath(damaged["manifest_uri"])
    manifest = json.loads(path.read_text())
    manifest["job"]["cost"]["amount"] = amount
    path.write_text(json.dumps(manifest))
    gallery.push([good, damaged])
    page = gallery.get(PAGE)
    assert rows(page)[1:] == [("2026-11-01", "1", "15", "RUB"), ("2026-11-01", "1", "", "")]
    assert "gptunnel job damaged" in page.text
