"""Batches: by their manifest, in the order of their items, and only the lines of a page are parsed."""

from __future__ import annotations

import json
import re
import time

import pytest

from airflow_provider_faceswap.gallery import batches
from airflow_provider_faceswap.gallery.batches import batch_lines


def cards(page):
    return re.findall(r"<h2>([^<]+)</h2>", page.text)


def test_items_are_in_their_own_order_and_a_failed_one_has_its_reason(gallery, archived, batch, line):
    lines = [line(2, archived("two")), line(0, archived("zero")), line(1)]
    gallery.push(batch(lines), task_id="batch")
    page = gallery.get("")
    assert cards(page) == ["zero.png", "Item 1: failed", "two.png"]
    assert "<strong>NoFaceError</strong>: no face" in page.text
    assert "2 pictures<" in page.text
    assert "1 failed" in page.text
    assert cards(gallery.get("?failed=1")) == ["Item 1: failed"]


def test_the_pictures_of_an_item_have_their_addresses(gallery, archived, batch, line):
    files = [archived("a"), archived("b", size=(100, 90))]
    both = {**line(0, files[0]), "files": [{"uri": one["uri"]} for one in files]}
    gallery.push(batch([line(1, archived("c")), both]), task_id="batch")
    page = gallery.get("")
    assert cards(page) == ["a.png", "b.png", "c.png"]
    assert gallery.get("results/batch/-1/0.2/").status_code == 200
    assert "b.png" in gallery.get("results/batch/-1/0.2/").text
    sources = re.findall(r'<img src="([^"]+)"', page.text)
    assert {gallery.get(source).status_code for source in sources} == {200}


def test_a_chain_is_shown_with_the_pictures_of_all_its_steps(gallery, archived, batch, line):
    def step(name, file=None, **more):
        return {"step": name, "job_id": f"of-{name}", "files": [{"uri": file["uri"]}] if file else [], **more}

    grid, swap, kept = archived("grid"), archived("swap"), archived("kept")
    whole = {**line(0, swap), "steps": [step("picture", grid), step("swap", swap)]}
    half = {**line(1), "steps": [step("picture", kept), step("swap", status="failed")]}
    gallery.push(batch([whole, half], task_id="chains"), task_id="chains")
    assert cards(gallery.get("")) == ["grid.png", "swap.png", "kept.png", "Item 1: failed"]
    assert "swap.png" in gallery.get("results/chains/-1/0.2/").text
    assert "kept.png" in gallery.get("results/chains/-1/1.1/").text


def test_a_batch_that_failed_is_shown_by_what_it_left(gallery, archived, batch, line):
    summary = batch([line(0, archived("zero")), line(1)], task_id="swaps")
    gallery.fail({"error": "BatchFailedError", "message": "1 of 2 failed", "batch": summary}, task_id="swaps")
    assert cards(gallery.get("")) == ["swaps: failed", "zero.png", "Item 1: failed"]


def test_a_batch_can_be_filtered_by_its_vendor(gallery, archived, batch, line):
    gallery.push(batch([line(0), line(1, archived("one", vendor="piapi"))]), task_id="batch")
    assert cards(gallery.get("?vendor=piapi")) == ["Item 0: failed", "one.png"]
    assert cards(gallery.get("?vendor=gptunnel")) == []


def test_a_manifest_that_is_gone_is_said_and_the_counts_stay(gallery, batch, line, folder):
    gallery.push(batch([line(0), line(1)], archived=1, failed=1), task_id="batch")
    for path in folder.glob("*.jsonl"):
        path.unlink()
    page = gallery.get("").text
    assert "not there any more" in page
    assert "1 picture<" in page


def test_a_damaged_line_is_a_card(gallery, batch, line, folder):
    gallery.push(batch([line(0)]), task_id="batch")
    [path] = folder.glob("*.jsonl")
    path.write_text(path.read_text() + '{"position": 1, "sta\n\n[]\n')
    assert cards(gallery.get("")) == ["Item 0: failed", "batch: a damaged line", "batch: a damaged line"]


def test_the_index_is_made_once_for_each_version_of_the_file(gallery, batch, line, monkeypatch):
    made = []
    really = batches._indexed
    monkeypatch.setattr(batches, "_indexed", lambda path: made.append(path) or really(path))
    summary = batch([line(0)])
    gallery.push(summary, task_id="batch")
    for _ in range(3):
        gallery.get("")
    assert len(made) == 1
    batch([line(0), line(1)])
    assert len(cards(gallery.get(""))) == 2
    assert len(made) == 2


@pytest.mark.slow
def test_a_hundred_thousand_lines_stay_fast(gallery, batch, line, folder):
    uri = batch([])["manifest_uri"]
    text = json.dumps(line(7, message="x" * 300)).removeprefix('{"position": 7')
    with (folder / uri.rpartition("/")[2]).open("w") as file:
        file.writelines(f'{{"position": {99_999 - number}{text}\n' for number in range(100_000))
    gallery.push({"total": 100_000, "archived": 0, "errors": {}, "manifest_uri": uri}, task_id="batch")
    begun = time.process_time()
    assert "100,000 failed" in gallery.get("").text
    assert time.process_time() - begun < 5
    begun = time.process_time()
    page = gallery.get("?page=2000")
    assert time.process_time() - begun < 1
    assert cards(page)[-1] == "Item 99999: failed"
    assert len(page.content) < 100 * 1024


@pytest.mark.parametrize("text", ["", "\n", "{}\n", "null\n"])
def test_a_manifest_with_nothing_in_it_is_shown(gallery, batch, folder, text):
    summary = batch([])
    gallery.push(summary, task_id="batch")
    (folder / summary["manifest_uri"].rpartition("/")[2]).write_text(text)
    assert gallery.get("").status_code == 200
    assert len(batch_lines(summary["manifest_uri"], summary["manifest_uri"].rpartition("/")[2])) <= 1
