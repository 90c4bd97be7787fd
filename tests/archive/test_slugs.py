"""Default file names that a person can read: the words of a prompt or of a file, which never make two jobs one."""

from __future__ import annotations

import json
from itertools import product

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_faceswap.archive.manifest import RunInfo
from airflow_provider_faceswap.archive.names import LONGEST, names_of
from airflow_provider_faceswap.archive.slugs import slug_of
from airflow_provider_faceswap.archive.sources import ArchiveSource
from airflow_provider_faceswap.archive.store import Archive
from airflow_provider_faceswap.jobs import GivenResult


def result(arguments=None, parents=(), **more):
    fields = {"vendor": "gptunnel", "kind": "face_swap", "job_id": "65819c48", "url": "https://x.test/a.png"}
    origin = {"arguments": arguments or {}, "parents": list(parents)}
    return GivenResult.parse({**fields, "provenance": origin, **more})


def name_of(given, **more):
    return names_of(ArchiveSource(url=None, result=given, **more), None, sha256="0" * 64, suffix=".png").name


@pytest.mark.parametrize(
    ("arguments", "slug"),
    [
        ({"prompt": "A king in a red coat"}, "a_king_in_a_red_coat"),
        ({"prompt": "портрет капитана, синий плащ"}, "портрет_капитана_синий_плащ"),
        ({"prompt": "a botanist --ar 1:1 --v 6"}, "a_botanist"),
        ({"prompt": "https://x.test/s.png?sig=SECRET a king"}, "a_king"),
        ({"prompt": "../../etc/passwd\0\n"}, "etc_passwd"),
        ({"prompt": "word " * 50}, "word_word_word_word_word_word_word_word"),
        ({"prompt": "x" * 500}, "x" * 40),
        ({"prompt": "🙂 !!"}, ""),
        ({"prompt": "  ", "target_image": "https://x.test/pictures/Anna%20M.jpg?sig=SECRET"}, "anna_m"),
        ({"target_image": "s3://conn@bucket/in/boris.png"}, "boris"),
        ({"images": ["https://x.test/one.png", "https://x.test/two.png"]}, "one"),
        ({"input": {"prompt": "a diver"}}, "a_diver"),
        ({"target_image": "sha256:abc"}, ""),
        ({"target_image": "job 123"}, ""),
        ({"prompt": 7, "target_image": ["https://x.test/"]}, ""),
        ({}, ""),
    ],
)
def test_the_words_come_from_the_prompt_or_from_the_input(arguments, slug):
    assert slug_of(result(arguments)) == slug


def test_the_prompt_of_a_job_before_is_better_than_the_name_of_its_output():
    parents = [{"arguments": {"parent_job_id": "x"}}, {"arguments": {"prompt": "a captain"}}]
    assert slug_of(result({"target_image": "https://x.test/8f3a.png"}, parents)) == "a_captain"


def test_a_name_has_kind_words_vendor_and_job():
    assert name_of(result({"prompt": "A king"})) == "face_swap-a_king-gptunnel-65819c48.png"
    assert (
        name_of(result({"prompt": "A king"}), position=1, of=4) == "face_swap-a_king-gptunnel-65819c48-2.png"
    )


def test_without_words_it_is_the_name_that_it_was_before():
    assert name_of(result()) == "gptunnel-face_swap-65819c48.png"


def test_two_jobs_never_share_a_name():
    prompts = ["", "a", "a-b", "a_b", "gptunnel", "face_swap", "x-1"]
    ids = ["1", "a", "a-b", "b", "x-1", "gptunnel-1", "a_b", "a b", "-2", "1-2"]
    # No kind has the name of a vendor.
    jobs = product(("gptunnel", "piapi", "tengrai"), ("face_swap", "image", "a", "x"), ids)
    names = {}
    for vendor, kind, job_id in jobs:
        for prompt, (position, of) in product(prompts, ((0, 1), (1, 3))):
            given = result({"prompt": prompt}, vendor=vendor, kind=kind, job_id=job_id)
            name = name_of(given, position=position, of=of)
            assert names.setdefault(name, (vendor, kind, job_id, position)) == (
                vendor,
                kind,
                job_id,
                position,
            )


@pytest.mark.parametrize("prompt", ["x" * 900, "щ" * 900, "国" * 900])
def test_a_name_has_at_most_two_hundred_bytes(prompt):
    name = name_of(result({"prompt": prompt}, job_id="j" * 200), position=1, of=4)
    assert len(name.encode()) <= LONGEST
    assert name.endswith("-2.png")


@pytest.mark.parametrize("overwrite", ["replace", "skip", "error"])
def test_a_retry_over_the_upgrade_finds_the_file_under_its_old_name(
    tmp_path, picture, monkeypatch, overwrite
):
    def keep(try_number):
        run = RunInfo(dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=try_number)
        archive = Archive(ObjectStoragePath(f"file://{tmp_path}"), None, overwrite, 10_000_000, (), run)
        return archive.keep(ArchiveSource(url=None, data=picture(), result=result({"prompt": "A king"})))

    with monkeypatch.context() as before:
        before.setattr("airflow_provider_faceswap.archive.names.slug_of", lambda _: "")
        first = keep(1)
    assert keep(2) == first
    assert len(list(tmp_path.iterdir())) == 2
    manifest = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert manifest["file"]["uri"] == first.uri
