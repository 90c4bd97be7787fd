"""What XCom, addresses and stored files may claim, and the gallery does not believe."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from airflow_provider_faceswap.gallery import files
from airflow_provider_faceswap.gallery.files import NotShownError, checked

RESULT = "results/archive/-1/0/"


def claims(manifest_uri, **more):
    """What a task could have returned."""
    uri = manifest_uri.removesuffix(".json")
    return {"uri": uri, "manifest_uri": manifest_uri, "sha256": "0" * 64, "bytes": 1, **more}


def places_of(gallery):
    """What the gallery answers for the one result."""
    return {place: gallery.get(f"{RESULT}{place}") for place in ("", "manifest", "file", "thumbnail/output")}


def assert_nothing_is_shown(gallery, reason=""):
    answers = places_of(gallery)
    assert {answer.status_code for answer in answers.values()} == {404}
    page = gallery.get("")
    assert page.status_code == 200
    assert "Not shown." in page.text
    assert reason in page.text
    assert "thumbnail/" not in page.text


@pytest.fixture
def outside(archived, tmp_path):
    """A result that is archived outside of the roots."""
    return archived(where=tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "root_and_rest",
    [
        "{outside}",
        "{roots}/kept/../../elsewhere/{name}",
        "{roots}/kept/%2e%2e/%2e%2e/elsewhere/{name}",
        "{roots}/kept/..%2f..%2felsewhere/{name}",
        "{roots}x/{name}",
        "simplecache::{roots}/kept/{name}",
        "{roots}/kept//{name}",
        "{roots}/kept/./{name}",
        "{roots}/kept/\\..\\{name}",
        "/etc/airflow.cfg.json",
        "airflow.cfg.json",
        "http://127.0.0.1/{name}",
        "s3://other_connection@bucket/{name}",
        "s3://bucket/{name}",
        "s3://no_connection@bucket2/{name}",
        "S3://no_connection@bucket/../{name}",
        "",
    ],
)
def test_a_planted_uri_is_not_opened(gallery, outside, tmp_path, root_and_rest, monkeypatch):
    monkeypatch.setattr(files, "path_of", lambda uri: pytest.fail(f"{uri} was opened"))
    name = outside["manifest_uri"].rpartition("/")[2]
    uri = root_and_rest.format(outside=outside["manifest_uri"], roots=f"file://{tmp_path}/roots", name=name)
    gallery.push(claims(uri))
    assert_nothing_is_shown(gallery)


def test_without_roots_nothing_is_opened_and_the_page_says_what_to_set(gallery, archived, monkeypatch):
    gallery.push(archived())
    monkeypatch.setenv("AIRFLOW__FACESWAP__GALLERY_ROOTS", "")
    assert_nothing_is_shown(gallery, "Set [faceswap] gallery_roots")


def test_a_root_holds_for_its_own_connection_only(monkeypatch):
    monkeypatch.setenv("AIRFLOW__FACESWAP__GALLERY_ROOTS", "s3://mine@bucket/swaps")
    assert checked("s3://mine@bucket/swaps/a.png") == "s3://mine@bucket/swaps/a.png"
    for uri in ("s3://yours@bucket/swaps/a.png", "s3://bucket/swaps/a.png", "s3://mine@bucket/swaps2/a.png"):
        with pytest.raises(NotShownError):
            checked(uri)


@pytest.mark.parametrize(
    "name", ["a\x00b", "a\nb", "a\u202eb", "a%00b", "%2e%2e/b", "..%2fb", "a//b", "a/../b", "a\\b", "a::b"]
)
def test_a_name_that_is_not_plain_is_not_taken(monkeypatch, name):
    monkeypatch.setenv("AIRFLOW__FACESWAP__GALLERY_ROOTS", "file:///data")
    with pytest.raises(NotShownError, match="not a plain URI"):
        checked(f"file:///data/{name}")


def test_a_link_on_the_disk_leads_nowhere_else(gallery, outside, folder):
    folder.mkdir(parents=True)
    for name in (outside["uri"], outside["manifest_uri"]):
        (folder / name.rpartition("/")[2]).symlink_to(name.removeprefix("file://"))
    gallery.push(claims(f"file://{folder}/{outside['manifest_uri'].rpartition('/')[2]}"))
    assert_nothing_is_shown(gallery, "a link that leads elsewhere")


def test_the_result_of_another_dag_is_not_shown_though_it_is_below_the_roots(gallery, archived):
    gallery.push(archived(run={"dag_id": "another_dag"}))
    assert_nothing_is_shown(gallery, "archived by another Dag")


def test_the_batch_of_another_task_is_not_shown(gallery, batch, line):
    gallery.push(batch([line(0, message="planted secret")], dag_id="another_dag"), task_id="batch")
    page = gallery.get("").text
    assert "not the manifest of this task instance" in page
    assert "planted secret" not in page


def test_a_file_that_is_not_a_manifest_is_not_sent_as_one(gallery, archived, folder):
    kept = archived()
    (folder / "secrets.json").write_text(json.dumps({"password": "planted"}))
    gallery.push(claims(f"file://{folder}/secrets.json"))
    gallery.push(claims(kept["uri"]), task_id="no_suffix")
    assert_nothing_is_shown(gallery, "not a manifest")
    assert "planted" not in gallery.get("").text


def test_a_file_that_is_not_a_picture_is_not_sent(gallery, archived, folder):
    kept = archived("page.png")
    (folder / "page.png").write_text("<script>alert(document.cookie)</script>")
    gallery.push(kept)
    answer = gallery.get(f"{RESULT}file")
    assert answer.status_code == 404
    assert "neither a picture nor a video" in answer.text


def test_html_that_begins_like_a_picture_is_sent_as_a_picture_in_a_sandbox(gallery, archived, folder):
    kept = archived("page.png")
    (folder / "page.png").write_bytes(b"\x89PNG\r\n\x1a\n<script>alert(1)</script>")
    gallery.push(kept)
    answer = gallery.get(f"{RESULT}file")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_hash_of_anothers_thumbnail_gives_nothing(gallery, archived, folder, tmp_path):
    other = archived(where=tmp_path / "roots" / "another", size=(500, 400), run={"dag_id": "another_dag"})
    theirs = json.loads(
        (tmp_path / "roots" / "another" / other["manifest_uri"].rpartition("/")[2]).read_text()
    )
    sha256 = theirs["thumbnails"]["output"]["sha256"]
    # In XCom it is not read at all.
    gallery.push({**archived(size=(100, 100)), "sha256": sha256, "thumbnails": theirs["thumbnails"]})
    got = gallery.get(f"{RESULT}thumbnail/output").content
    assert hashlib.sha256(got).hexdigest() != sha256
    assert gallery.get(f"{RESULT}thumbnail/{sha256}").status_code == 404


@pytest.mark.parametrize(
    "sha256", ["../../another/thumbnails/x", "0" * 63, "0" * 63 + "/", "A" * 64, "", None]
)
def test_a_thumbnail_is_named_by_a_hash_or_not_at_all(gallery, archived, folder, sha256):
    kept = archived("own.png")
    path = folder / "own.png.json"
    manifest = json.loads(path.read_text())
    manifest["thumbnails"]["output"]["sha256"] = sha256
    path.write_text(json.dumps(manifest))
    gallery.push(kept)
    assert gallery.get(f"{RESULT}thumbnail/output").status_code == 404


def test_a_thumbnail_with_another_content_than_its_name_is_not_sent(gallery, archived, folder):
    gallery.push(archived())
    for path in folder.glob(".thumbnail-*"):
        path.write_bytes(b"\xff\xd8\xff planted")
    assert gallery.get(f"{RESULT}thumbnail/output").status_code == 404


def test_an_input_is_sent_only_if_the_gallery_may_open_it(gallery, archived, outside):
    gallery.push(
        archived(arguments={"target_image": outside["uri"]}, inputs={"target_image": outside["uri"]})
    )
    assert gallery.get(f"{RESULT}input/target_image").status_code == 404
    assert "only the thumbnail was kept" in gallery.get(RESULT).text


def test_an_input_that_another_dag_archived_is_not_sent(gallery, archived, tmp_path):
    other = archived(where=tmp_path / "roots" / "another", run={"dag_id": "another_dag"})
    gallery.push(
        archived("own", arguments={"target_image": other["uri"]}, inputs={"target_image": other["uri"]})
    )
    answer = gallery.get(f"{RESULT}input/target_image")
    assert answer.status_code == 404
    assert "another Dag" in answer.text


@pytest.mark.parametrize("role", ["prompt", "output", "face_image", "target_image.1", "..", "a/b"])
def test_only_the_pictures_of_a_manifest_have_an_address(gallery, archived, role):
    gallery.push(archived(arguments={"prompt": "file:///etc/passwd"}, inputs={}))
    assert gallery.get(f"{RESULT}input/{role}").status_code == 404


def test_text_from_outside_stays_text(gallery, archived):
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 1111 * 1111 }}"
    gallery.push(archived("own", arguments={"prompt": attack, attack: "https://x.test/a.png"}))
    gallery.fail({"error": attack, "message": attack, "vendor": attack}, task_id="swap")
    for place in ("", RESULT, f"{RESULT}manifest", "/gallery/dags/a_dag/"):
        page = gallery.get(place).text
        assert "<script" not in page
        assert "<img src=x" not in page
        assert "1234321" not in page


@pytest.mark.parametrize(
    "value", [{"uri": 1, "manifest_uri": {}, "sha256": []}, [[[]]], "x", 7, None, {"a": "\ud800"}]
)
def test_a_return_value_of_any_shape_breaks_no_page(gallery, archived, value):
    gallery.push(value, task_id="odd")
    gallery.push([value, archived()])
    gallery.fail(value, task_id="odd_failure")
    page = gallery.get("")
    assert page.status_code == 200
    assert "thumbnail/output" in page.text


def test_a_file_that_is_gone_is_said(gallery, archived, folder):
    gallery.push(archived())
    shutil.rmtree(folder)
    assert_nothing_is_shown(gallery, "not there any more")
