"""A batch takes what its archive has, and buys the rest."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from airflow_provider_faceswap.archive.index import Index
from airflow_provider_faceswap.archive.turns import ClaimWait
from airflow_provider_faceswap.batch.step_run import StepRun
from airflow_provider_faceswap.exceptions import AuthenticationError, FaceSwapError
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator, MediaBatchOperator, Step
from tests.conftest import FakeStore, FakeTaskInstance

pytestmark = pytest.mark.sandbox


@pytest.fixture
def rows(sandbox):
    """So many different items."""

    def make(number):
        face = f"{sandbox.url}/samples/anna.jpg"
        return [
            {"target_image": f"{sandbox.url}/samples/emil.png", "face_image": f"{face}?n={n}", "id": n}
            for n in range(number)
        ]

    return make


@pytest.fixture
def another(context):
    """The context of another run."""

    def of(run_id="another", **more):
        instance = FakeTaskInstance()
        vars(instance).update(run_id=run_id, **more)
        return {"ti": instance, "task_state_store": FakeStore()}

    return of


@pytest.fixture
def batch(tmp_path):
    def run(items, context, **more):
        given = {"conn_id": "gptunnel_default", "concurrency": 8, "timeout": 86_400, "reuse": "archive"}
        return FaceSwapBatchOperator(
            **{"task_id": "batch", "items": items, "destination": f"file://{tmp_path}/out", **given, **more}
        ).execute(context)

    return run


@pytest.fixture
def chain(sandbox, tmp_path):
    def run(faces, context, **more):
        steps = [
            Step(
                "picture",
                conn_id="gptunnel_default",
                kind="image",
                model="gpt-image-1-low",
                prompt="portrait of {role}",
            ),
            Step(
                "swap",
                conn_id="piapi_default",
                kind="face_swap",
                target_image="{picture}",
                face_image="{face}",
            ),
        ]
        items = [{"role": "captain", "face": f"{sandbox.url}/samples/anna.jpg?n={n}"} for n in faces]
        given = {"steps": steps, "timeout": 86_400, "reuse": "archive", "concurrency": 1}
        return MediaBatchOperator(
            **{"task_id": "chains", "items": items, "destination": f"file://{tmp_path}/out", **given, **more}
        ).execute(context)

    return run


def bought(ledger, vendor="gptunnel"):
    return ledger()["requests"].get(vendor, {}).get("create", 0)


def asked(ledger):
    """The requests about jobs; PiAPI is asked once a batch how many jobs the account may have."""
    return [(requests.get("create"), requests.get("fetch")) for requests in ledger()["requests"].values()]


def lines(summary):
    text = Path(summary["manifest_uri"].removeprefix("file://")).read_text(encoding="utf-8")
    return sorted(map(json.loads, text.splitlines()), key=lambda line: line["position"])


@pytest.mark.parametrize("names", [False, True])
def test_the_next_run_buys_the_new_rows_only(batch, rows, context, another, ledger, names):
    def named(number):
        return [{**row, **({"filename": f"row{row['id']}"} if names else {})} for row in rows(number)]

    batch(named(3), context)
    for night in range(2, 4):  # the files of the first night stay what the index says
        summary = batch(named(3 + night), another(f"night {night}"))
        assert bought(ledger) == 3 + night
    assert (summary["archived"], summary["reused"]) == (6, 5)
    old, new = lines(summary)[0], lines(summary)[-1]
    assert (old["cost"]["amount"], old["status"]) == (0, "archived")
    assert old["reused_from"] == old["files"][0]["uri"] + ".json"
    assert new["cost"]["amount"] > 0
    assert "reused_from" not in new


def test_without_reuse_each_run_buys(batch, rows, context, another, ledger):
    batch(rows(2), context)
    batch(rows(2), another(), reuse="run")
    assert bought(ledger) == 4


def test_a_picture_that_is_damaged_is_bought_again_and_the_index_repaired(
    batch, rows, context, another, ledger
):
    [line] = lines(batch(rows(1), context))
    path = Path(line["files"][0]["uri"].removeprefix("file://"))
    path.write_bytes(path.read_bytes() + b"more")
    batch(rows(1), another("second"))
    assert bought(ledger) == 2
    batch(rows(1), another("third"))
    assert bought(ledger) == 2


def test_equal_items_of_one_batch_are_bought_once(batch, rows, context, ledger):
    summary = batch(rows(1) * 3, context)
    assert (summary["archived"], summary["reused"]) == (3, 2)
    assert bought(ledger) == 1


def test_a_failed_job_gives_its_claim_back(batch, rows, context, another, ledger, fault):
    fault("gptunnel", "create", type="fail_job", message="something broke")
    assert batch(rows(1) * 2, context, fail_on="all")["archived"] == 1
    assert bought(ledger) == 2


def test_two_runs_at_the_same_time_buy_once(batch, rows, context, another, ledger):
    summaries = []
    runs = [
        threading.Thread(target=lambda one=one: summaries.append(batch(rows(4), one)))
        for one in (context, another())
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [summary["archived"] for summary in summaries] == [4, 4]
    assert sum(summary["reused"] for summary in summaries) == 4
    assert bought(ledger) == 4


def test_a_chain_whose_last_picture_is_there_buys_nothing(chain, context, another, ledger):
    chain([1, 2], context)
    before = asked(ledger)
    summary = chain([1, 2], another())
    assert asked(ledger) == before
    assert (summary["archived"], summary["reused"], summary["cost"]) == (2, 2, {})
    assert summary["steps"]["swap"]["reused"] == 2


def test_a_kept_picture_of_an_earlier_step_is_not_bought_again(chain, context, another, ledger):
    chain([1], context, keep="all")
    summary = chain([2, 3], another(), keep="all")
    assert (bought(ledger), bought(ledger, "piapi")) == (1, 3)
    assert summary["archived"] == 2
    [picture, swap] = lines(summary)[0]["steps"]
    assert picture["reused_from"].endswith(".json")
    assert picture["cost"]["amount"] == 0
    assert swap["cost"]["amount"] > 0


def test_a_cleared_task_that_resubmits_buys_again(batch, rows, context, ledger):
    batch(rows(1), context)
    context["ti"].max_tries, context["ti"].try_number = 1, 2
    batch(rows(1), context, on_clear="resubmit")
    assert bought(ledger) == 2


def test_a_retry_of_the_same_run_resumes_its_own_job(batch, rows, context, ledger, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("airflow_provider_faceswap.batch.step_run.StepRun.wait", kill)
        with pytest.raises(Killed):
            batch(rows(1), context)
    assert batch(rows(1), context)["archived"] == 1
    assert bought(ledger) == 1


def test_equal_items_with_names_of_their_own_have_a_file_each(
    batch, rows, context, another, ledger, tmp_path
):
    [row] = rows(1)
    named = [{**row, "filename": name} for name in ("one", "two")]
    batch(named, context)
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.*")}
    summary = batch(named, another())
    assert (summary["archived"], summary["reused"]) == (2, 2)
    assert bought(ledger) == 1
    pictures = {Path(line["files"][0]["uri"]).stem for line in lines(summary)}
    assert pictures == {"one", "two"}
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.*")}
    changed = {name for name in again if again[name] != written.get(name)}
    assert {Path(name).suffix for name in changed} == {".jsonl"}, (
        "a copy of the first night is not written again"
    )


def test_who_wants_a_picture_that_another_run_is_making_waits_for_it(
    batch, rows, context, another, ledger, monkeypatch
):
    refused = threading.Event()
    claim, wait = Index.claim, StepRun.wait

    def seen(self, *arguments):
        if (holder := claim(self, *arguments)) is not None:
            refused.set()
        return holder

    async def until_another_wants_it(self, *arguments):
        await asyncio.to_thread(refused.wait, 60)
        return await wait(self, *arguments)

    monkeypatch.setattr(Index, "claim", seen)
    monkeypatch.setattr(StepRun, "wait", until_another_wants_it)
    with ThreadPoolExecutor() as runs:
        summaries = list(runs.map(lambda one: batch(rows(1), one), (context, another())))
    assert refused.is_set()
    assert sorted(summary["reused"] for summary in summaries) == [0, 1]
    assert bought(ledger) == 1


def test_links_count_by_content_if_that_is_asked(batch, rows, context, another, ledger):
    [first, _, same] = rows(3)
    batch([first], context, reuse_links="content")
    assert batch([same], another(), reuse_links="content")["reused"] == 1
    changed = {**same, "face_image": same["face_image"].replace("anna", "boris")}
    assert batch([changed], another("third"), reuse_links="content")["reused"] == 0
    assert bought(ledger) == 2


def test_the_links_of_a_chain_count_by_content_too(chain, context, another, ledger):
    chain([1], context, reuse_links="content", keep="all")
    before = asked(ledger)
    summary = chain([2], another(), reuse_links="content", keep="all")
    assert (summary["archived"], summary["reused"], summary["cost"]) == (1, 1, {})
    assert asked(ledger) == before


def test_equal_items_are_bought_once_if_an_earlier_picture_is_known_too(chain, context, another, ledger):
    chain([1], context, keep="all")
    summary = chain([2] * 4, another(), keep="all", concurrency=4)
    assert (summary["archived"], summary["reused"]) == (4, 3)
    assert (bought(ledger), bought(ledger, "piapi")) == (1, 2)


def test_equal_items_whose_next_step_is_not_looked_for_are_bought_once(
    sandbox, context, another, ledger, monkeypatch, tmp_path
):
    """A later step needs the job of the grid. So only the claim on the last step says who makes the grid."""

    def run(context, scene, items):
        return MediaBatchOperator(
            task_id="scenes",
            items=[{"face": f"{sandbox.url}/samples/anna.jpg", "scene": scene}] * items,
            steps=[
                Step("person", "piapi_default", "face_swap", target_image="{face}", face_image="{face}"),
                Step("grid", "gptunnel_default", "imagine", prompt="{scene}"),
                Step("pick", "gptunnel_default", "upsample", parent_job_id="{grid}", image=1),
                Step("swap", "piapi_default", "face_swap", target_image="{pick}", face_image="{person}"),
            ],
            destination=f"file://{tmp_path}/out",
            reuse="archive",
            keep="all",
            timeout=86_400,
            concurrency=2,
        ).execute(context)

    monkeypatch.setattr("airflow_provider_faceswap.archive.turns._PAUSE", 0.1)
    run(context, "a harbour", 1)
    before = bought(ledger), bought(ledger, "piapi")
    summary = run(another(), "a forest", 2)
    assert (summary["archived"], summary["reused"]) == (2, 1)
    assert before == (2, 2)
    assert (bought(ledger), bought(ledger, "piapi")) == (4, 3)


def test_chains_of_several_runs_at_the_same_time_are_bought_once(chain, context, another, ledger):
    runs = context, another(), another("third")
    with ThreadPoolExecutor(3) as threads:
        summaries = list(threads.map(lambda run: chain(range(4), run, keep="all", concurrency=4), runs))
    assert [summary["archived"] for summary in summaries] == [4, 4, 4]
    assert (bought(ledger), bought(ledger, "piapi")) == (1, 4)


def test_a_chain_that_goes_on_at_its_first_step_looks_for_its_last_one_there(
    chain, context, another, ledger, monkeypatch, tmp_path
):
    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("airflow_provider_faceswap.batch.step_run.StepRun.wait", kill)
        with pytest.raises(Killed):
            chain([1], context)
    for claim in (tmp_path / "out").rglob("claim-*"):  # as if its time was over
        claim.unlink()
    chain([1], another())
    assert chain([1], context)["reused"] == 1
    assert (bought(ledger), bought(ledger, "piapi")) == (2, 1)


def test_a_claim_ends_when_another_connection_has_made_the_picture(rows, context, fault, tmp_path):
    fault("gptunnel", "create", times=None, type="refuse", reason="no_credits", status=402)
    items = [{"t": row["target_image"], "f": row["face_image"]} for row in rows(2)]

    step = Step(
        "swap",
        conn_ids=["gptunnel_default", "piapi_default"],
        kind="face_swap",
        target_image="{t}",
        face_image="{f}",
    )
    operator = MediaBatchOperator(
        task_id="swaps", items=items, steps=[step], destination=f"file://{tmp_path}/out", reuse="archive"
    )
    assert operator.execute(context)["archived"] == 2
    assert not list((tmp_path / "out").rglob("claim-*"))


def test_a_retry_after_a_failed_job_takes_what_another_run_has_archived_since(
    batch, rows, context, another, ledger, fault
):
    fault("gptunnel", "create", type="fail_job", message="something broke")
    with pytest.raises(FaceSwapError):
        batch(rows(1), context)
    batch(rows(1), another())
    assert batch(rows(1), context)["reused"] == 1
    assert bought(ledger) == 2


def test_retries_of_failed_jobs_at_the_same_time_buy_once(batch, rows, context, another, ledger, fault):
    fault("gptunnel", "create", times=2, type="fail_job", message="something broke")
    runs = context, another()
    for run in runs:
        with pytest.raises(FaceSwapError):
            batch(rows(1), run)
    with ThreadPoolExecutor() as threads:
        summaries = list(threads.map(lambda run: batch(rows(1), run), runs))
    assert sorted(summary["reused"] for summary in summaries) == [0, 1]
    assert bought(ledger) == 3


def test_a_retry_uses_the_picture_that_was_taken_from_the_archive(chain, context, another, ledger, fault):
    chain([1], another(), keep="all")
    fault("piapi", "create", type="fail_job", message="something broke")
    with pytest.raises(FaceSwapError):
        chain([2], context, keep="all")
    summary = chain([2], context, keep="all")
    assert (summary["archived"], bought(ledger), bought(ledger, "piapi")) == (1, 1, 3)
    [picture, _] = lines(summary)[0]["steps"]
    assert picture["reused_from"].endswith(".json")


def test_a_job_that_goes_on_names_the_picture_that_was_taken_from_the_archive(
    sandbox, chain, context, another, ledger, fault
):
    chain([1], another(), keep="all")
    fault("piapi", "fetch", times=None, type="unknown_status", word="thinking")
    with pytest.raises(FaceSwapError):
        chain([2], context, keep="all", timeout=60)
    httpx.delete(f"{sandbox.url}/sandbox/faults").raise_for_status()
    summary = chain([2], context, keep="all")
    [picture, swap] = lines(summary)[0]["steps"]
    [file] = swap["files"]
    manifest = json.loads(Path(f"{file['uri'].removeprefix('file://')}.json").read_text(encoding="utf-8"))
    assert [parent["job_id"] for parent in manifest["parents"]] == [picture["job_id"]]
    assert (bought(ledger), bought(ledger, "piapi")) == (1, 2)


@pytest.fixture
def three(sandbox, tmp_path):
    """A chain whose last step takes both results before it."""

    def run(context, target="{picture}", face="{one}", **more):
        def swap(name, target, face):
            return Step(name, conn_id="piapi_default", kind="face_swap", target_image=target, face_image=face)

        arguments = {"model": "gpt-image-1-low", "prompt": "portrait of {role}"}
        picture = Step("picture", conn_id="gptunnel_default", kind="image", **arguments)
        return MediaBatchOperator(
            task_id="three",
            items=[{"role": "captain", "face": f"{sandbox.url}/samples/anna.jpg"}],
            steps=[picture, swap("one", "{picture}", "{face}"), swap("two", target, face)],
            destination=f"file://{tmp_path}/out",
            reuse="archive",
            keep="all",
            timeout=86_400,
            **more,
        ).execute(context)

    return run


def test_all_earlier_pictures_that_a_new_step_takes_are_taken_from_the_archive(
    three, context, another, ledger
):
    three(context)
    estimate = three(another(), "{one}", "{picture}", dry_run=True)
    assert [(step["jobs"], step["reused"]) for step in estimate["steps"]] == [(0, 1), (0, 1), (1, 0)]
    summary = three(another(), "{one}", "{picture}")
    assert [step["reused"] for step in summary["steps"].values()] == [1, 1, 0]
    assert (bought(ledger), bought(ledger, "piapi")) == (1, 3)


def test_an_earlier_picture_that_is_not_there_any_more_is_bought_again(three, context, another, ledger):
    summary = three(context)
    [picture] = lines(summary)[0]["steps"][0]["files"]
    Path(picture["uri"].removeprefix("file://")).unlink()
    estimate = three(another(), "{one}", "{picture}", dry_run=True)
    assert [(step["jobs"], step["reused"]) for step in estimate["steps"]] == [(1, 0), (0, 1), (1, 0)]
    assert three(another(), "{one}", "{picture}")["archived"] == 1
    assert (bought(ledger), bought(ledger, "piapi")) == (2, 3)


def test_a_retry_buys_the_picture_that_the_archive_has_no_more(chain, context, another, ledger, fault):
    summary = chain([1], another(), keep="all")
    fault("piapi", "create", type="fail_job", message="something broke")
    with pytest.raises(FaceSwapError):
        chain([2], context, keep="all")
    [picture] = lines(summary)[0]["steps"][0]["files"]
    Path(picture["uri"].removeprefix("file://")).unlink()
    assert chain([2], context, keep="all")["archived"] == 1
    assert (bought(ledger), bought(ledger, "piapi")) == (2, 3)


def test_a_retry_that_cannot_ask_for_its_job_keeps_the_claim(batch, rows, context, monkeypatch, tmp_path):
    class Killed(BaseException):
        pass

    def fails_with(error):
        def fail(*_, **__):
            raise error

        return fail

    with monkeypatch.context() as patched:
        patched.setattr("airflow_provider_faceswap.batch.step_run.StepRun.wait", fails_with(Killed()))
        with pytest.raises(Killed):
            batch(rows(1), context)
    seen = "airflow_provider_faceswap.lifecycle.purchase.Purchase._last_seen"
    monkeypatch.setattr(seen, fails_with(AuthenticationError("the key was changed")))
    with pytest.raises(AuthenticationError):
        batch(rows(1), context)
    assert list((tmp_path / "out").rglob("claim-*"))


def test_who_waits_for_the_last_picture_waits_for_all_steps_before_it(chain, context, monkeypatch):
    waits = []

    class Wait(ClaimWait):
        def __init__(self, seconds, *arguments, **more):
            waits.append(seconds)
            super().__init__(seconds, *arguments, **more)

    monkeypatch.setattr("airflow_provider_faceswap.batch.reuse.ClaimWait", Wait)
    chain([1], context, keep="all", timeout=600)
    assert waits == [1200, 600]
