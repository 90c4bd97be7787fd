"""The publish operator: what it copies, deletes and writes down after a person's answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import DAG
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_faceswap.archive import publish as archive_publish
from airflow_provider_faceswap.exceptions import ArchiveError, InvalidRequestError
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.publish import PublishOperator

pytestmark = pytest.mark.usefixtures("alone", "one_after_the_other")

FIELDS = {"uri", "manifest_uri", "media_type", "bytes", "sha256", "width", "height"}
APPROVED = {
    "chosen_options": ["Approve"],
    "params_input": {},
    "responded_at": datetime(2026, 11, 27, 8, 0, tzinfo=UTC),
    "responded_by_user": {"id": "7", "name": "Ada"},
}
REJECTED = {**APPROVED, "chosen_options": ["Reject"]}


@pytest.fixture
def stage(web, picture, tmp_path, context):
    """Archive pictures to a staging folder; returns what the operator returns."""

    def run(source, *colours, thumbnails=False):
        web.will(*[picture(colour=colour) for colour in colours or ("red",)])
        return ArchiveOperator(
            task_id="stage",
            source=source,
            destination=f"file://{tmp_path}/staging",
            thumbnails=thumbnails,
        ).execute(context)

    return run


@pytest.fixture
def publish(tmp_path, context):
    def run(source, approval=APPROVED, **more):
        options = {"destination": f"file://{tmp_path}/public", "approval": approval, **more}
        return PublishOperator(task_id="publish", source=source, **options).execute(context)

    return run


@pytest.fixture
def files(tmp_path):
    """Names of the files in a folder."""
    return lambda folder: sorted(path.name for path in (tmp_path / folder).glob("*"))


def manifest_of(file):
    return json.loads(Path(file["manifest_uri"].removeprefix("file://")).read_text())


NAME = "gptunnel-face_swap-65819c48.png"


def test_it_copies_the_file_and_says_in_the_manifest_who_approved_it_and_when(made, stage, publish, files):
    staged = stage(made())
    published = publish(staged)
    assert set(published) == FIELDS
    assert files("public") == files("staging") == [NAME, f"{NAME}.json"]
    before, after = manifest_of(staged), manifest_of(published)
    assert after["approval"] == {
        "option": "Approve",
        "by": {"id": "7", "name": "Ada"},
        "at": "2026-11-27T08:00:00+00:00",
    }
    assert after["file"] == published
    assert "approval" not in before
    assert {name: after[name] for name in ("job", "parents", "source", "archived_at")} == {
        name: before[name] for name in ("job", "parents", "source", "archived_at")
    }


def test_a_list_stays_a_list_and_a_skipped_result_is_left_out(made, stage, publish, files):
    staged = stage([made(job_id="one"), made(job_id="two")], "red", "blue")
    assert [Path(one["uri"]).name for one in publish([staged[0], None, staged[1]])] == [
        "gptunnel-face_swap-one.png",
        "gptunnel-face_swap-two.png",
    ]


def test_the_thumbnails_go_with_their_file(made, stage, publish, tmp_path):
    published = publish(stage(made(), thumbnails=True))
    [kept] = {one["sha256"] for one in manifest_of(published)["thumbnails"].values() if one["sha256"]}
    assert (tmp_path / "public" / f".thumbnail-{kept}.jpg").is_file()


def test_a_move_leaves_nothing_behind(made, stage, publish, files):
    publish(stage(made(), thumbnails=True), move=True)
    assert files("staging") == []


def test_a_move_keeps_a_thumbnail_that_another_file_still_needs(made, stage, publish, files):
    first, _ = stage([made(job_id="one"), made(job_id="two")], "red", "red", thumbnails=True)
    publish(first, move=True)
    assert [name for name in files("staging") if name.startswith(".thumbnail-")]
    assert "gptunnel-face_swap-one.png" not in files("staging")


def test_a_move_reads_no_more_manifests_once_every_thumbnail_is_known_to_be_needed(
    made, stage, publish, monkeypatch
):
    monkeypatch.setattr(archive_publish, "_READ_AT_ONCE", 1)
    read = []
    real = LocalFileSystem.cat
    monkeypatch.setattr(
        LocalFileSystem, "cat", lambda self, names, **more: read.extend(names) or real(self, names, **more)
    )
    jobs = ["one", "two", "three", "four"]
    first, *_ = stage([made(job_id=job) for job in jobs], *["red"] * 4, thumbnails=True)
    publish(first, move=True)
    assert len(read) == 1


def test_a_retry_after_a_whole_move_returns_what_the_first_attempt_published(made, stage, publish, context):
    staged = stage(made())
    first = publish(staged, move=True)
    context["ti"].try_number = 2
    assert publish(staged, move=True) == first


def test_a_retry_publishes_the_same_names(made, stage, publish, files, context):
    staged = stage(made())
    first = publish(staged)
    context["ti"].try_number = 2
    assert publish(staged, overwrite="error") == first
    assert files("public") == [NAME, f"{NAME}.json"]


def test_a_file_that_was_replaced_after_the_approval_is_not_published(made, stage, publish, files, tmp_path):
    staged = stage(made())
    (tmp_path / "staging" / NAME).write_bytes(b"something else")
    with pytest.raises(ArchiveError, match="is not the file that was archived"):
        publish(staged)
    assert files("public") == []


def test_another_picture_with_its_own_manifest_under_that_name_is_not_published(made, stage, publish, files):
    staged = stage(made())
    stage(made(), "blue")
    with pytest.raises(ArchiveError, match="is not the file that was archived"):
        publish(staged)
    assert files("public") == []


def test_a_staged_file_that_is_gone_says_so(made, stage, publish, tmp_path):
    staged = stage(made())
    for path in (tmp_path / "staging").iterdir():
        path.unlink()
    with pytest.raises(ArchiveError, match="is not there any more"):
        publish(staged)


def test_it_does_not_publish_into_the_staging_folder(made, stage, publish, tmp_path):
    staged = stage(made())
    with pytest.raises(InvalidRequestError, match="is the folder"):
        publish(staged, destination=f"file://{tmp_path}/staging", move=True)


@pytest.mark.parametrize(("on_reject", "left"), [("keep", [NAME, f"{NAME}.json"]), ("delete", [])])
def test_a_rejection_publishes_nothing_and_keeps_or_deletes_by_choice(
    made, stage, publish, files, on_reject, left
):
    with pytest.raises(AirflowSkipException, match="Not published, 'Reject' by Ada"):
        publish(stage(made(), thumbnails=on_reject == "delete"), REJECTED, on_reject=on_reject)
    assert files("staging") == left
    assert files("public") == []


def test_a_deletion_takes_only_the_file_that_was_archived(made, stage, publish, files, tmp_path):
    staged = stage(made())
    (tmp_path / "staging" / "other.png").write_bytes(b"other")
    (tmp_path / "staging" / f"{NAME}.json").write_text("{}")
    with pytest.raises(ArchiveError, match="is not the file that was archived"):
        publish(staged, REJECTED, on_reject="delete")
    assert len(files("staging")) == 3


@pytest.mark.parametrize("answer", ["Reject", "None of them", "approve"])
def test_only_the_option_that_approves_publishes(made, stage, publish, files, answer):
    with pytest.raises(AirflowSkipException):
        publish(stage(made()), {**APPROVED, "chosen_options": [answer]})
    assert files("public") == []


def test_an_option_of_another_name_can_approve(made, stage, publish):
    answer = {**APPROVED, "chosen_options": ["Publish"]}
    assert (
        manifest_of(publish(stage(made()), answer, approve_option="Publish"))["approval"]["option"]
        == "Publish"
    )


def test_an_answer_by_default_names_nobody(made, stage, publish):
    answer = {**APPROVED, "responded_by_user": None, "responded_at": "2026-11-27T08:00:00+00:00"}
    assert manifest_of(publish(stage(made()), answer))["approval"]["by"] is None


def test_without_an_approval_it_publishes_and_records_none(made, stage, publish):
    assert "approval" not in manifest_of(publish(stage(made()), None))


@pytest.mark.parametrize(
    "answer", [None, "Approve", "", {}, {"chosen_options": []}, {"chosen_options": ["1", "2"]}]
)
def test_an_approval_that_rendered_to_no_answer_publishes_nothing(
    made, stage, context, tmp_path, files, answer
):
    task = PublishOperator(
        task_id="publish",
        source=stage(made()),
        destination=f"file://{tmp_path}/public",
        approval="{{ ti.xcom_pull('approve') }}",
    )
    task.approval = answer
    with pytest.raises(InvalidRequestError, match="approval: must be one answer of a person"):
        task.execute(context)
    assert files("public") == []


@pytest.mark.parametrize(
    "source", ["file:///a.png", None, 7, {"url": "https://x.test/a.png"}, [{"uri": "s3://a/b"}]]
)
def test_a_source_that_no_archive_returned_is_refused(publish, source):
    with pytest.raises(InvalidRequestError, match="source: must be what an archive task returned"):
        publish(source)


def test_deleting_after_airflows_own_approval_is_refused_when_the_dag_is_parsed():
    with DAG("a_dag", schedule=None):
        approve = ApprovalOperator(task_id="approve", subject="?")
        ask = HITLOperator(task_id="ask", subject="?", options=["Approve", "Reject"])
        options = {"source": {}, "destination": "/public", "on_reject": "delete"}
        with pytest.raises(InvalidRequestError, match="on_reject: must be 'keep'"):
            PublishOperator(task_id="wrong", approval=approve.output, **options)
        assert PublishOperator(task_id="right", approval=ask.output, **options).on_reject == "delete"
