"""What the pages show: cards with inputs and output, sums, failures, filters, pages; and how they are sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import time
from contextlib import ExitStack
from threading import Event
from urllib.parse import urljoin

import pytest

from airflow_provider_faceswap.gallery import files, results, threads
from airflow_provider_faceswap.gallery.threads import Threads

RESULT = "results/archive/-1/0/"


def cards(page):
    """The headings of the cards, in their order."""
    return re.findall(r"<h2>([^<]+)</h2>", page.text)


def test_a_card_has_input_face_and_output_side_by_side_and_what_is_known(gallery, archived):
    gallery.push(
        archived("knight.png", arguments={"prompt": "a knight", "face_image": "https://x.test/anna.jpg"})
    )
    page = gallery.get("").text
    assert re.findall(r"<figcaption>([^<]+)<", page) == ["input", "face", "output"]
    assert 'alt="face: anna.jpg"' in page
    assert 'alt="output: a knight"' in page
    facts = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", page))
    assert facts["vendor"] == "gptunnel face swap"
    assert (facts["job"], facts["cost"], facts["duration"]) == ("65819c48", "15 RUB", "60 s")
    assert facts["size"].startswith("640 x 480, ")
    assert "1 picture<" in page


def test_every_picture_of_a_page_can_be_had(gallery, archived):
    gallery.push(archived())
    sources = re.findall(r'<img src="([^"]+)"', gallery.get("").text)
    assert len(sources) == 3
    for source in sources:
        answer = gallery.get(source)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert answer.headers["cache-control"].startswith("private, max-age=")


def test_every_link_of_a_page_leads_somewhere(gallery, archived):
    gallery.push(archived())
    for place in ("", "tasks/archive/-1/", RESULT, f"{RESULT}manifest", "/gallery/dags/a_dag/"):
        base = place if place.startswith("/") else f"/gallery/dags/a_dag/runs/a_run/{place}"
        links = re.findall(r'href="([^"]+)"', gallery.get(place).text)
        assert links or place == f"{RESULT}nothing"
        for link in links:
            assert gallery.get(urljoin(base, link)).status_code == 200, (place, link)


def test_a_page_allows_no_script_no_frame_of_others_and_nothing_from_elsewhere(gallery, archived):
    gallery.push(archived())
    for place in ("", RESULT, f"{RESULT}manifest"):
        answer = gallery.get(place)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["cache-control"] == "private, no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "<script" not in answer.text
        assert " style=" not in answer.text, "the policy would not allow it"


def test_the_policy_names_the_style_sheet_as_it_is_sent(gallery, archived):
    answer = gallery.get("")
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]


def test_a_run_without_pictures_says_so(gallery):
    assert "Nothing has been archived here yet" in gallery.get("").text
    assert "No run of this Dag has archived a picture" in gallery.get("/gallery/dags/a_dag/").text


def test_a_failure_has_its_class_and_its_text(gallery, archived):
    gallery.push(archived())
    gallery.fail(
        {"error": "NoFaceError", "message": "gptunnel: no face", "vendor": "gptunnel", "kind": "face_swap"},
        task_id="swap",
        map_index=3,
    )
    page = gallery.get("")
    assert "1 failed" in page.text
    assert "<strong>NoFaceError</strong>: gptunnel: no face" in page.text
    assert cards(gallery.get("?failed=1")) == ["swap [3]: failed"]


def test_the_costs_of_a_run_are_those_of_all_its_jobs_by_unit(gallery, archived, batch):
    gallery.push(archived())
    for number, value in enumerate(
        ({"amount": 15, "unit": "RUB"}, {"amount": 5.5, "unit": "RUB"}, {"amount": 3, "unit": "point"}, None)
    ):
        gallery.push(value, key="cost", task_id="swap", map_index=number)
    gallery.push(batch([], cost_in_all={"point": 4}), task_id="batch")
    gallery.push({"point": 4}, key="cost", task_id="batch")
    page = gallery.get("").text
    assert "<li>20.5 RUB</li>" in page
    assert "<li>7 point</li>" in page


def test_filters_are_links_and_keep_each_other(gallery, archived):
    gallery.push(archived("one"), task_id="first")
    gallery.push(archived("two", vendor="piapi", job_id="p"), task_id="second")
    gallery.push(archived("three"), task_id="second", map_index=1)
    assert cards(gallery.get("")) == ["one.png", "two.png", "three.png"]
    assert cards(gallery.get("?task=second")) == ["two.png", "three.png"]
    assert cards(gallery.get("?vendor=piapi")) == ["two.png"]
    page = gallery.get("?task=second&vendor=gptunnel")
    assert cards(page) == ["three.png"]
    assert 'href="?task=second&amp;vendor=piapi"' in page.text
    assert "No result matches" in gallery.get("?task=first&vendor=piapi").text


def test_a_task_shows_its_own_results_and_leads_to_those_of_the_run(gallery, archived):
    gallery.push(archived("one"), task_id="each", map_index=0)
    gallery.push(archived("two"), task_id="each", map_index=1)
    gallery.push(archived("three"))
    assert cards(gallery.get("tasks/each/1/")) == ["two.png"]
    assert cards(gallery.get("tasks/archive/%7BMAP_INDEX%7D/")) == ["three.png"], "the UI leaves it as it is"
    assert cards(gallery.get("tasks/each/%7BMAP_INDEX%7D/")) == ["one.png", "two.png"]


def test_a_dag_shows_some_pictures_of_its_last_runs(gallery, archived):
    gallery.push([archived(f"file{number}") for number in range(6)])
    page = gallery.get("/gallery/dags/a_dag/")
    assert '<a href="runs/a_run/">a_run</a>' in page.text
    assert page.text.count("<article") == 4
    assert "6 pictures" in page.text


def test_a_thousand_results_have_pages_of_fifty_that_come_fast_and_are_small(gallery, archived):
    run_id = "manual__2026-01-01T00:00:00.000000+00:00"
    kept = archived("picture", arguments={"prompt": "a portrait of a knight in the evening sun, " * 5})
    for number in range(1000):
        gallery.push(kept, task_id="archive_every_picture", map_index=number)
    first = gallery.get("")
    assert first.text.count("<article") == 50
    assert "page 1 of 20" in first.text
    assert len(first.content) < 100 * 1024
    begun = time.process_time()
    last = gallery.get("?page=20")
    assert time.process_time() - begun < 1.5
    assert "archive_every_picture [999]" in last.text
    assert run_id not in last.text
    assert gallery.get("?page=21").status_code == 200
    assert gallery.get("?page=-3").status_code == 200


def test_results_without_thumbnails_are_shown_with_their_links(gallery, archived):
    gallery.push(archived("old", thumbnails=False))
    page = gallery.get("").text
    assert "no thumbnail" in page
    assert 'href="results/archive/-1/0/"' in page
    assert '<img src="file"' in gallery.get(RESULT).text


def test_the_reason_why_an_input_has_no_thumbnail_is_on_its_tile(gallery, archived):
    gallery.push(archived(inputs={"target_image": "nothing"}))
    assert "neither a link nor the URI of a file" in gallery.get("").text


def test_the_output_is_compared_with_an_input_at_full_size_if_that_is_a_file(gallery, archived, folder):
    (folder.parent / "inputs").mkdir(parents=True)
    given = archived("given", where=folder.parent / "inputs", size=(900, 700), inputs={})
    gallery.push(archived(arguments={"target_image": given["uri"]}, inputs={"target_image": given["uri"]}))
    page = gallery.get(RESULT).text
    assert '<img src="input/target_image"' in page
    assert '<img src="file"' in page
    assert (
        gallery.get(f"{RESULT}input/target_image").content
        == (folder.parent / "inputs" / "given.png").read_bytes()
    )


def test_the_output_is_compared_with_an_earlier_output_of_the_same_run(gallery, archived, made):
    parent = made(kind="image", job_id="parent")
    gallery.push(archived("first", kind="image", job_id="parent"), task_id="archive_first")
    gallery.push(
        archived(
            "second",
            arguments={"target_image": "job parent"},
            parents=[{**parent, "arguments": {}}],
        )
    )
    assert '<img src="../../../../results/archive_first/-1/0/file"' in gallery.get(RESULT).text


def test_a_file_is_sent_as_what_it_is_and_downloaded_if_asked(gallery, archived, folder):
    gallery.push(archived('bräut "1".png'))
    shown, saved = gallery.get(f"{RESULT}file"), gallery.get(f"{RESULT}file?download=1")
    assert shown.content == saved.content == next(folder.glob("*.png")).read_bytes()
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["content-disposition"].startswith("inline; filename*=UTF-8''br%C3%A4ut")
    assert saved.headers["content-disposition"].startswith("attachment; ")


def test_a_video_has_a_player_and_a_plain_tile(gallery, archived):
    data = b"\x00\x00\x00\x18ftypmp42" + bytes(64)
    gallery.push(archived("clip", data=data))
    assert ">video</a>" in gallery.get("").text
    page = gallery.get(RESULT)
    assert '<video controls preload="metadata" src="file"' in page.text
    assert "media-src 'self'" in page.headers["content-security-policy"]
    assert gallery.get(f"{RESULT}file").headers["content-type"] == "video/mp4"


def test_the_manifest_is_shown_with_a_way_back(gallery, archived):
    gallery.push(archived("knight"))
    page = gallery.get(f"{RESULT}manifest").text
    assert '<a href="./">' in page
    assert "&#34;job_id&#34;: &#34;65819c48&#34;" in page


def test_a_result_that_is_not_there_is_said_in_a_sentence(gallery, archived):
    gallery.push(archived())
    for place in (
        "results/archive/-1/1/",
        "results/archive/0/0/",
        "results/x/-1/0/",
        "results/archive/-1/x/",
    ):
        answer = gallery.get(place)
        assert answer.status_code == 404
        assert "There is no such picture" in answer.text


def test_a_storage_that_is_silent_gives_a_page_that_says_so(gallery, archived, monkeypatch):
    silence = Event()
    monkeypatch.setattr(threads, "SECONDS", 0.1)
    monkeypatch.setattr(results, "read_all", lambda *_: silence.wait(20))
    gallery.push(archived())
    for _ in range(threads.THREADS + 2):
        answer = gallery.get("")
        assert answer.status_code == 503
        assert "does not answer" in answer.text
    silence.set()


def test_results_in_a_storage_that_has_been_silent_give_the_same_page_without_a_card(
    gallery, archived, clock
):
    kept = archived()
    gallery.push(kept)
    storage = files.opened(kept["uri"]).fs
    with ExitStack() as silent:
        for _ in range(files.MAX_SILENT):
            silent.enter_context(files.asking(storage))
        clock.time += files.SILENT + 1
        answer = gallery.get("")
        assert answer.status_code == 503
        assert "does not answer" in answer.text
        assert "<article" not in answer.text
    assert gallery.get("").status_code == 200


def test_no_more_threads_are_started_than_there_are_calls():
    few = Threads(3)
    assert [asyncio.run(few.run(lambda number=number: number)) for number in range(10)] == list(range(10))
    assert few._alive == 3


def test_threads_that_a_silent_storage_keeps_are_replaced_and_end_when_it_answers(monkeypatch):
    monkeypatch.setattr(threads, "SECONDS", 0.1)
    silence, few = Event(), Threads(2)

    async def ask():
        waiting = [few.run(lambda: silence.wait(20)) for _ in range(2)]
        assert all(
            isinstance(one, TimeoutError) for one in await asyncio.gather(*waiting, return_exceptions=True)
        )
        assert await few.run(lambda: "answered") == "answered"
        assert few._alive == 3
        silence.set()
        for _ in range(500):
            if few._alive > 2:
                await asyncio.sleep(0.01)
        assert few._alive == 2
        assert await few.run(lambda: "answered") == "answered"

    asyncio.run(ask())


def test_there_are_never_more_threads_than_the_limit(monkeypatch):
    monkeypatch.setattr(threads, "SECONDS", 0.05)
    silence, few = Event(), Threads(6)

    async def ask():
        for _ in range(6):
            await asyncio.gather(
                *(few.run(lambda: silence.wait(20)) for _ in range(6)), return_exceptions=True
            )

    asyncio.run(ask())
    assert few._alive == threads.MAX_THREADS
    silence.set()


def test_a_storage_that_has_been_silent_is_not_asked_again_until_it_answers(clock):
    storage = object()
    with ExitStack() as silent:
        for _ in range(files.MAX_SILENT):
            silent.enter_context(files.asking(storage))
        with files.asking(storage):
            pass
        clock.time += files.SILENT + 1
        with pytest.raises(files.NotShownError, match="does not answer"), files.asking(storage):
            pass
        with files.asking(object()):
            pass
    with files.asking(storage):
        pass
