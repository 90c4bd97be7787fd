"""
K1: text from outside has a single door.

Whatever a vendor, a template, a file or a person sends: what the package stores, logs and shows can be stored in
PostgreSQL and written as UTF-8, and a terminal obeys nothing in it.
"""

from __future__ import annotations

import ast
import asyncio
import hashlib
import json
import logging
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import airflow_provider_faceswap
from airflow_provider_faceswap.batch.items import BatchItem, Items
from airflow_provider_faceswap.exceptions import (
    ArchiveError,
    FaceSwapError,
    InvalidRequestError,
    SubmissionUncertainError,
)
from airflow_provider_faceswap.foundation.redaction import error_line, redacted, without_queries
from airflow_provider_faceswap.foundation.text import MAX_DEPTH, safe_json, safe_text, stored_form
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from airflow_provider_faceswap.http.download import Downloaded
from airflow_provider_faceswap.jobs import Balance, GivenResult, Job, Submission
from airflow_provider_faceswap.lifecycle.outcomes import Outcome, ReadFailure, WaitResult, read_event
from airflow_provider_faceswap.operators.archive import ArchiveOperator
from airflow_provider_faceswap.operators.batch import FaceSwapBatchOperator
from airflow_provider_faceswap.operators.faceswap import FaceSwapOperator
from airflow_provider_faceswap.operators.gptunnel import GPTunnelFaceSwapOperator, GPTunnelImageOperator
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator, PiAPITaskOperator
from airflow_provider_faceswap.operators.tengrai import TengraiArtworkOperator
from airflow_provider_faceswap.sensors.job import JobSensor
from airflow_provider_faceswap.triggers.job import JobTrigger
from airflow_provider_faceswap.vendors.history import Listing
from airflow_provider_faceswap.vendors.messages import Reply, Request

QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HOOKS = {"gptunnel": GPTunnelHook, "tengrai": TengraiHook, "piapi": PiAPIHook}

HALF_EMOJI, NUL, ESCAPE, C1, BIDI, LINE = "\ud83d", "\x00", "\x1b[2J", "\x9b31m", "\u202e", "\u2028"
NASTY = (HALF_EMOJI, "\ude00\ud83d", NUL, ESCAPE, C1, BIDI, LINE, "\x7f", "\r", "\u2066", "\u061c")
#: What no stored or shown text may hold; a tab and a line break only where a text may have lines.
FORBIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)

TEXTS = st.one_of(
    st.text(
        st.one_of(st.sampled_from("".join(NASTY) + "a/:?&=@ \n\t"), st.characters(exclude_categories=())),
        max_size=12,
    ),
    st.sampled_from(
        [
            f"half {HALF_EMOJI}",
            f"a{NUL}b",
            f"{ESCAPE}gone",
            "job-1",
            "done",
            "completed",
            "failed",
            "succeeded",
        ]
    ),
    st.sampled_from(
        ["https://a.test/x.png", f"https://a.test/{BIDI}x{NUL}.png?sig=topsecret", "1", "-1", ""]
    ),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        *(
            "id",
            "task_id",
            "status",
            "error",
            "message",
            "code",
            "data",
            "output",
            "result",
            "results",
            "url",
        ),
        *("urls", "image_url", "percent", "usage", "cost", "meta", "detail", "fail_reason", "failureReason"),
        *("artworkType", "created_at", "createdAt", "issues", "path", "name", "plan", "balance", "orgId"),
    ]
)
ANSWERS = st.recursive(
    st.dictionaries(FIELDS | TEXTS, VALUES, max_size=6) | st.lists(VALUES, max_size=3),
    lambda inner: st.dictionaries(FIELDS, inner, min_size=1, max_size=3),
    max_leaves=4,
)
STATUSES = st.sampled_from([200, 201, 302, 400, 401, 402, 403, 404, 422, 429, 451, 500, 503])


def check_storable(value):
    """It is JSON that PostgreSQL's jsonb takes, that is UTF-8, and that no terminal obeys."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    text.encode("utf-8")
    check_shown(json.loads(text))


def check_shown(value):
    if isinstance(value, str):
        assert not FORBIDDEN.search(value), ascii(value)
    elif isinstance(value, dict):
        check_shown([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for part in value:
            check_shown(part)


def check_error(error):
    check_shown([str(error), error.message, error.job_id, getattr(error, "code", None)])
    check_storable([ReadFailure.of(error).model_dump(mode="json")])


def reply_of(value, status=200):
    """An answer as it comes from the wire: escapes become halves of surrogate pairs only when JSON is parsed."""
    return Reply(status, json.dumps(value))


def response_of(value, status=200):
    return httpx.Response(status, content=json.dumps(value).encode())


def submission_of(vendor="gptunnel", job_id="job-1"):
    start = datetime(2027, 1, 15, 8, tzinfo=UTC)
    return Submission(
        vendor=vendor,
        kind="face_swap",
        job_id=job_id,
        conn_id=f"{vendor}_default",
        submitted_at=start,
        deadline=start + timedelta(seconds=100),
    )


# -- the door ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@QUICK
@given(text=st.text(st.characters(exclude_categories=()), max_size=40))
def test_a_safe_text_can_be_stored_and_shown_and_is_not_changed_again(text):
    for lines in (False, True):
        safe = safe_text(text, lines=lines)
        check_storable(safe)
        assert safe_text(safe, lines=lines) == safe
        assert lines or not set("\t\n") & set(safe)


@pytest.mark.parametrize("text", ["", "plain", "кот 🐱", "👩\u200d🚀", "a\u00a0b", "שלום", "naïve"])
def test_what_people_write_stays_as_it_is(text):
    assert safe_text(text) == text
    assert safe_json([text, {text: text}]) == [text, {text: text}]


def test_lines_are_kept_only_where_a_text_may_have_them():
    assert safe_text("a\r\nb\tc\rd", lines=True) == "a\nb\tc\nd"
    assert safe_text("a\r\nb\tc") == "a b c"
    assert safe_text(f"a{NUL}{HALF_EMOJI}b") == "a\ufffdb"


@pytest.mark.slow
@QUICK
@given(value=VALUES)
def test_a_safe_value_has_safe_names_too(value):
    check_shown(safe_json(value))


def test_a_value_that_is_nested_too_deep_is_an_error_and_no_crash():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested deeper"):
        safe_json(deep)
    assert Reply(200, "[" * 100_000 + "]" * 100_000).body is None
    assert Reply(200, "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)).body is None
    assert Reply(200, "[" * 50 + "]" * 50).body is not None


@pytest.mark.parametrize("value", [NUL, HALF_EMOJI, {HALF_EMOJI: 1}, [f"\\{NUL}"], float("nan")], ids=ascii)
def test_what_a_database_cannot_store_is_not_called_storable(value):
    with pytest.raises(ValueError, match=r"."):
        stored_form(value)


def test_a_text_that_only_looks_like_nul_is_storable():
    assert json.loads(stored_form(["\\u0000", "\\\\u0000"])) == ["\\u0000", "\\\\u0000"]


# -- every public reading function of every vendor ---------------------------------------------------------------


def check_read(read):
    """Run a reading function; what it returns and what it raises can be stored and shown."""
    try:
        found = read()
    except FaceSwapError as error:
        check_error(error)
        return
    match found:
        case Job():
            assert re.fullmatch(r"[!-~]{1,200}", found.job_id)
            check_storable(found.model_dump(mode="json"))
            for outcome in (Outcome.FAILED, Outcome.NO_OUTPUT, Outcome.TIMED_OUT, Outcome.SUCCEEDED):
                waited = WaitResult(outcome=outcome, vendor=found.vendor, job_id=found.job_id, job=found)
                check_storable(waited.to_event(submission_of(found.vendor, found.job_id)))
                if outcome is not Outcome.SUCCEEDED:
                    check_shown(str(waited.to_error()))
            result = submission_of(found.vendor, found.job_id).result(
                found, seen_at=datetime.now(UTC), retention=timedelta(days=1)
            )
            check_storable(result.to_xcom())
        case Listing():
            check_storable(list(found.job_ids))
        case tuple():
            assert all(isinstance(one, Balance) for one in found)
        case _:
            check_storable(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", HOOKS)
@QUICK
@given(answer=ANSWERS, status=STATUSES)
def test_whatever_a_vendor_answers_can_be_stored_and_shown(name, answer, status):
    vendor = HOOKS[name].vendor
    reply = reply_of(answer, status)
    now = datetime.now(UTC)
    for kind in vendor.kinds:
        check_read(lambda kind=kind: vendor.read_submitted(kind, reply))
        check_read(lambda kind=kind: vendor.read_job(kind, reply, job_id="job-1"))
    check_read(lambda: vendor.read_account(reply))
    if vendor.balances:
        check_read(lambda: vendor.balances.read(reply))
    if vendor.uploads:
        check_read(lambda: vendor.uploads.read(reply))
    if vendor.cancellation:
        check_read(lambda: vendor.cancellation.read("job-1", reply))
    if vendor.concurrency_limit:
        check_read(lambda: vendor.concurrency_limit.read(reply))
    if vendor.history:
        sent = Request("POST", "/", body={"task_type": "face-swap"})
        check_read(lambda: vendor.history.read("face_swap", sent, reply, now, now))


@pytest.mark.slow
@pytest.mark.parametrize("name", HOOKS)
@QUICK
@given(text=TEXTS, status=STATUSES)
def test_an_answer_that_is_no_json_is_shown_safely(name, text, status):
    vendor = HOOKS[name].vendor
    reply = Reply(status, f"<html>{text}</html>")
    check_read(lambda: vendor.read_submitted("face_swap", reply))
    check_read(lambda: vendor.read_job("face_swap", reply, job_id="job-1"))
    check_read(lambda: vendor.read_account(reply))


#: One answer to a submission for each vendor, with this id.
ACCEPTED = {
    "gptunnel": lambda job_id: {"id": job_id, "status": "idle"},
    "tengrai": lambda job_id: {"id": job_id, "status": "starting"},
    "piapi": lambda job_id: {"code": 200, "data": {"task_id": job_id, "status": "pending"}},
}


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize(
    "job_id",
    [f"job{HALF_EMOJI}", f"job{NUL}", "job 1", "job\n", f"{BIDI}job", "é", "x" * 201, ".."],
    ids=ascii,
)
def test_an_id_that_cannot_be_used_is_shown_and_never_polled(name, job_id, vendor, context, clock, pictures):
    vendor.will(response_of(ACCEPTED[name](job_id)))
    with pytest.raises(SubmissionUncertainError) as caught:
        HOOKS[name]().submit("face_swap", **pictures)
    assert ascii(job_id) in str(caught.value)
    check_error(caught.value)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize("job_id", [HALF_EMOJI, "a\nb", f"a{NUL}", "a b", "", "..", None], ids=ascii)
def test_an_id_of_a_person_that_cannot_be_one_is_a_plain_error_in_every_call(name, job_id, vendor):
    hook = HOOKS[name]()
    with pytest.raises(InvalidRequestError) as caught:
        hook.fetch(job_id, "face_swap")
    check_shown(str(caught.value))
    with pytest.raises(InvalidRequestError):
        asyncio.run(hook.afetch(job_id, "face_swap"))
    assert not vendor.requests


# -- events: the whole triggerer once died of one ------------------------------------------------------------------


FAILED = {
    "gptunnel": lambda text: {"id": "job-1", "status": "failed", "error": text},
    "tengrai": lambda text: {"id": "job-1", "status": "failed", "error": text},
    "piapi": lambda text: {
        "data": {
            "task_id": "job-1",
            "status": "failed",
            "error": {"message": text, "detail": [text, {text: 1}]},
        }
    },
}


def events_of(trigger):
    async def collect():
        return [event.payload async for event in trigger.run()]

    return asyncio.run(collect())


@pytest.mark.parametrize("name", FAILED)
@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_a_failed_job_with_any_text_gives_an_event_that_can_be_stored(name, text, vendor, clock, caplog):
    caplog.set_level(logging.INFO)
    vendor.will(response_of(FAILED[name](f"no face {text}")))
    submission = submission_of(name)
    trigger = JobTrigger(submission=submission.model_dump(mode="json"))
    check_storable(trigger.serialize())
    [payload] = events_of(trigger)
    check_storable(payload)
    _, waited = read_event(payload)
    check_error(waited.to_error())
    assert "no face" in str(waited.to_error())
    check_shown(caplog.text)


def test_an_event_that_is_read_back_is_cleaned(clock):
    [job] = [Job(vendor="gptunnel", kind="face_swap", job_id="job-1", state="failed", status="failed")]
    event = WaitResult(outcome=Outcome.FAILED, vendor="gptunnel", job_id="job-1", job=job).to_event(
        submission_of()
    )
    event["ending"]["job"]["failure"] = f"{HALF_EMOJI}{NUL}"
    check_error(read_event(event)[1].to_error())


# -- arguments of operators ----------------------------------------------------------------------------------------


def operators_of(text):
    """Every operator, with one string argument that is this text."""
    links = {"target_image": "https://a.test/t.png", "face_image": "https://a.test/f.png"}
    more = {"task_id": "task", "deferrable": True}
    for cls in (GPTunnelFaceSwapOperator, PiAPIFaceSwapOperator):
        for name in ("target_image", "face_image", "conn_id", "webhook", "resume_job_id"):
            yield lambda cls=cls, name=name: cls(**{**more, **links, name: text})
    yield lambda: GPTunnelImageOperator(**more, model="gpt-image-1-low", prompt=text)
    yield lambda: GPTunnelImageOperator(**more, model=text, prompt="a cat")
    yield lambda: PiAPITaskOperator(
        **more, model="m", task_type="t", input={"prompt": text, "x": [{text: text}]}
    )
    yield lambda: TengraiArtworkOperator(
        **more, artwork="selena", parameters={"visualPrompt": text, "n": [text]}
    )
    yield lambda: TengraiArtworkOperator(**more, artwork=text, parameters={})
    yield lambda: FaceSwapOperator(**more, **links, conn_ids=["gptunnel_default", text])
    yield lambda: FaceSwapOperator(**more, **{**links, "face_image": text}, conn_ids=["gptunnel_default"])
    for name in ("conn_id", "job_id", "kind"):
        known = {"conn_id": "gptunnel_default", "job_id": "job-1", "kind": "face_swap"}
        yield lambda name=name, known=known: JobSensor(**more, **{**known, name: text})


def check_task(operator, context, store, vendor, caplog):
    """Run a task up to its deferral; what Airflow stores and logs of it can be stored and shown."""
    caplog.clear()
    store.values.clear()
    vendor.answers.clear()
    vendor.requests.clear()
    vendor.will(
        *[httpx.Response(200, json={**ACCEPTED["gptunnel"]("job-1"), **ACCEPTED["piapi"]("job-1")})] * 9
    )
    with pytest.raises((Exception, TaskDeferred)) as caught:
        operator.execute(context)
    ended = caught.value
    if isinstance(ended, TaskDeferred):
        check_storable(ended.trigger.serialize())
        check_storable(ended.kwargs)
    elif isinstance(ended, FaceSwapError):
        check_error(ended)
        if isinstance(ended, InvalidRequestError):
            assert re.search("Nothing was (bought|sent)", str(ended))
            assert not vendor.creates
    else:
        assert type(ended).__module__.startswith("airflow."), repr(ended)
        assert not vendor.creates
    check_storable(store.values)
    check_shown(caplog.text)


@pytest.fixture
def one_more_record(monkeypatch):
    """As on Airflow 3.4, where an attempt that is refused leaves a record, too."""
    monkeypatch.setattr("airflow_provider_faceswap.operators._clears.clear_deletes_records", lambda: True)


@pytest.mark.slow
@pytest.mark.usefixtures("one_more_record")
@settings(QUICK, max_examples=25)
@given(text=TEXTS)
def test_whatever_an_argument_is_the_task_refuses_it_or_can_be_stored(
    text, vendor, context, store, clock, caplog
):
    caplog.set_level(logging.INFO)
    for make in operators_of(text):
        try:
            operator = make()
        except (FaceSwapError, TypeError, ValueError) as error:
            check_shown(str(error))
            continue
        check_task(operator, context, store, vendor, caplog)


@pytest.mark.parametrize("text", [f"a cat {HALF_EMOJI}", f"a{NUL}cat"], ids=ascii)
def test_a_prompt_that_cannot_be_stored_is_refused_before_anything_is_bought(text, vendor, context, clock):
    operator = GPTunnelImageOperator(task_id="t", model="gpt-image-1-low", prompt=text, deferrable=False)
    with pytest.raises(InvalidRequestError, match=r"prompt: character \d+ is U\+.*Nothing was bought"):
        operator.execute(context)
    assert not vendor.requests


@pytest.mark.parametrize("text", ["two\nlines\tand more", f"so{ESCAPE} {C1}{BIDI}{LINE} it is"], ids=ascii)
def test_another_prompt_is_sent_as_it_is_and_stored_safely(text, vendor, answer, context, store, clock):
    """A changed request would not find the job that an earlier attempt paid for."""
    vendor.will(
        httpx.Response(200, json={"id": "job-1", "status": "processing", "code": 0}),
        httpx.Response(200, json={"id": "job-1", "status": "done", "code": 0, "url": "https://a.test/x.png"}),
    )
    operator = GPTunnelImageOperator(task_id="t", model="gpt-image-1-low", prompt=text, deferrable=False)
    result = operator.execute(context)
    assert vendor.creates[0]["prompt"] == text
    check_storable(result)
    check_storable(store.values)
    assert result["provenance"]["arguments"]["prompt"] == safe_text(text, lines=True)


def test_an_argument_that_is_nested_without_end_is_refused(vendor, context, clock):
    deep = {}
    for _ in range(300):
        deep = {"x": deep}
    operator = PiAPITaskOperator(task_id="t", model="m", task_type="t", input=deep, deferrable=False)
    with pytest.raises(InvalidRequestError, match="nested"):
        operator.execute(context)
    for _ in range(100_000):
        deep = {"x": deep}
    with pytest.raises(InvalidRequestError, match="nested"):
        PiAPIHook().submit("task", model="m", task_type="t", input=deep)
    assert not vendor.requests


@pytest.mark.parametrize("name", ["source", "destination", "filename", "destination_conn_id"])
@pytest.mark.parametrize("text", [HALF_EMOJI, NUL, ESCAPE, BIDI, "a\nb"], ids=ascii)
def test_the_archive_refuses_a_name_with_control_characters(name, text, context, tmp_path):
    arguments = {"source": "https://a.test/x.png", "destination": f"file://{tmp_path}", "filename": "x"}
    given_text = f"https://a.test/x{text}.png" if name == "source" else f"file://{tmp_path}/x{text}"
    given_text = f"x{text}" if name in {"filename", "destination_conn_id"} else given_text
    with pytest.raises(FaceSwapError) as caught:
        ArchiveOperator(task_id="t", **{**arguments, name: given_text}).execute(context)
    check_error(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_a_result_that_is_read_back_is_cleaned(text):
    given_result = {
        "vendor": f"v{text}",
        "job_id": f"j{text}",
        "url": f"https://a.test/{text}",
        "provenance": {"arguments": {f"p{text}": [text]}, "parents": [{"job_id": text}]},
    }
    check_storable(GivenResult.parse(given_result).model_dump(mode="json"))
    with pytest.raises(InvalidRequestError) as caught:
        GivenResult.parse({**given_result, "urls": 5})
    check_error(caught.value)


@pytest.mark.slow
@QUICK
@given(value=VALUES)
def test_whatever_an_argument_is_its_copy_in_a_manifest_can_be_stored(value):
    check_shown(redacted(value))


def test_a_manifest_that_is_read_back_is_cleaned(tmp_path, context, monkeypatch, picture):
    data = picture()
    (tmp_path / "x.png").write_bytes(data)
    of_file = Downloaded(len(data), hashlib.sha256(data).hexdigest())
    made = {
        "media_type": "image/png",
        "bytes": of_file.size,
        "sha256": of_file.sha256,
        "width": 1,
        "height": 1,
    }

    def downloaded(url, into, **_):
        into.write(data)
        into.seek(0)
        return of_file

    monkeypatch.setattr("airflow_provider_faceswap.archive.store.download", downloaded)
    for text in NASTY:
        kept = {
            "file": {"uri": f"file://{text}", "manifest_uri": text, **made},
            "source": {"url": text},
            "job": {"vendor": text, "job_id": text, text: 1},
        }
        (tmp_path / "x.png.json").write_text(json.dumps(kept))
        source, folder = "https://a.test/x.png", f"file://{tmp_path}"
        operator = ArchiveOperator(
            task_id="t", source=source, destination=folder, filename="x.png", overwrite="skip"
        )
        check_storable(operator.execute(context))


# -- batches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_a_refused_item_with_any_text_does_not_end_the_batch(
    text, vendor, context, store, tmp_path, monkeypatch
):
    refusal = {"error": {"message": f"bad picture {text}", "type": "invalid_request_error"}}
    vendor.will(*[response_of(refusal, 400)] * 2)
    items = [
        {"target_image": f"https://a.test/{number}.png", "face_image": "https://a.test/f.png"}
        for number in "12"
    ]
    operator = FaceSwapBatchOperator(
        task_id="t", conn_id="gptunnel_default", items=items, destination=f"file://{tmp_path}", fail_on=1.0
    )
    with pytest.raises(FaceSwapError, match="2 of 2 items failed") as caught:
        operator.execute(context)
    check_error(caught.value)
    check_storable(store.values)
    [manifest] = tmp_path.iterdir()
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    check_storable(lines)
    assert ["bad picture" in line["message"] for line in lines] == [True, True]


@pytest.mark.parametrize("text", [HALF_EMOJI, NUL, ESCAPE, BIDI], ids=ascii)
def test_an_item_file_with_any_text_is_refused_with_a_text_that_can_be_shown(text, vendor, context, tmp_path):
    row = {"target_image": "https://a.test/1.png", "face_image": f"https://a.test/{text}"}
    file = tmp_path / "items.jsonl"
    file.write_text(json.dumps(row) + "\n")
    out = tmp_path / "out"
    operator = FaceSwapBatchOperator(
        task_id="t", conn_id="gptunnel_default", items=f"file://{file}", destination=f"file://{out}"
    )
    with pytest.raises(InvalidRequestError, match=r"items\[0\].*Nothing was bought") as caught:
        operator.execute(context)
    check_error(caught.value)
    assert not vendor.creates


@pytest.mark.parametrize("text", [HALF_EMOJI, NUL, ESCAPE, BIDI], ids=ascii)
def test_a_column_with_any_name_can_be_stored(text):
    item = BatchItem.parse(0, {f"x{text}": f"y{text}", "face_image": "https://a.test/f.png"})
    check_storable([name for name in item.columns if name != "face_image"])


@pytest.mark.parametrize(
    "line", ["[" * 100_000, f'{{"a": "{ESCAPE}"', "\x00", '{"https://u:SECRET@h/x?sig=SECRET']
)
def test_a_line_of_an_item_file_that_is_no_json_is_named(line, tmp_path):
    file = tmp_path / "items.jsonl"
    file.write_text(line + "\n")
    [item] = Items(f"file://{file}")
    assert "line 1" in item.problem
    check_shown(item.problem)
    assert "SECRET" not in item.problem


# -- secrets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret", ["completed", "faceswap", "task_id", "https", "data", "theapi", "200", "id"]
)
def test_a_webhook_secret_that_is_a_word_of_the_vendor_changes_no_status_and_no_link(
    secret, vendor, connections, context, store, clock
):
    connections("https://vendor.test", webhook="https://hook.test/x", webhook_secret=secret)
    link = "https://img.theapi.app/faceswap/completed-data.png"
    task = {"task_id": "job-200-id", "status": "completed", "output": {"image_url": link}}
    vendor.will(
        {"code": 200, "data": {**task, "status": "pending", "output": None}}, {"code": 200, "data": task}
    )
    pictures = {"target_image": "https://a.test/t.png", "face_image": "https://a.test/f.png"}
    result = PiAPIFaceSwapOperator(task_id="t", deferrable=False, **pictures).execute(context)
    assert (result["url"], result["job_id"]) == (link, "job-200-id")


@pytest.mark.parametrize(
    "secret", ["completed", "a much longer secret", "hunter22", "pass/word+", "пароль-пароль"]
)
def test_a_webhook_secret_that_the_vendor_repeats_is_not_shown(secret, vendor, connections, pictures):
    connections("https://vendor.test", webhook="https://hook.test/x", webhook_secret=secret)
    echoes = (f"bad hook {secret}", f"x{'y' * 480} {secret}", json.dumps({"secret": secret}), {"s": secret})
    for echo in echoes:
        body = {"code": 400, "data": {"error": {"message": echo}}, "message": echo}
        vendor.will(response_of(body, 400))
        with pytest.raises(InvalidRequestError) as caught:
            PiAPIHook().submit("face_swap", **pictures)
        assert secret not in str(caught.value)
        assert secret[:8] not in str(caught.value), "also where the text was cut"


SECRET = "topsecret"


@pytest.mark.parametrize(
    "text",
    [
        f"https%3A%2F%2Fb.test%2Fa.png%3FX-Amz-Signature%3D{SECRET}%26e%3D1",
        f"https%253A%252F%252Fb.test%252Fa.png%253Fsig%253D{SECRET}",
        f"see postgresql://user:{SECRET}@h/db",
        f"redis://:{SECRET}@h:1/0",
        f"amqps://user:{SECRET}@h",
        f"http://user:top/{SECRET}@h/x",
        f"x%3A%2F%2Fu%3A{SECRET}%40h",
        f"a.png;sig={SECRET}",
        f"a.png%3Bsig%3D{SECRET}",
        f"password={SECRET}",
        f"login failed: password={SECRET} for me",
        f"auth={SECRET}",
        f"no, jwt={SECRET}; x",
        f"token={SECRET}",
        f"access_token = {SECRET}",
        f"password='{SECRET} {SECRET}'",
        f'{{"api_key": "{SECRET}", "b": 1}}',
        f"Authorization: Bearer {SECRET}",
        f"{{'authorization': 'Basic {SECRET}'}}",
    ],
)
def test_a_text_that_is_shown_has_no_password(text):
    for before, after in (("", ""), ("failed: ", " at the vendor"), ("(", ")")):
        assert SECRET not in without_queries(f"{before}{text}{after}")
        assert SECRET not in str(redacted(f"{before}{text}{after}"))
        assert SECRET not in error_line(OSError(f"{before}{text}{after}"))


@pytest.mark.parametrize(
    "text",
    [
        "author=John, tokens=5, keyboard=us",
        "Missing token: sign in",
        "http://h.test:8080/@2x.png",
        "s3://conn@bucket/key@2x.png",
        "a?b or c&d; e=f",
        "Key=path/to/file.png",
    ],
)
def test_a_text_without_a_password_stays_as_it_is(text):
    assert without_queries(text) == text


# -- tracebacks ----------------------------------------------------------------------------------------------------


def chain_of(error):
    """The errors that a traceback shows."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def leaking(*_args, **_options):
    raise OSError(f"cannot reach https://bucket.test/x.png?X-Amz-Signature={SECRET} with password={SECRET}")


def check_traceback(caught):
    assert SECRET not in "".join(str(error) + repr(error) for error in chain_of(caught.value))
    assert "OSError" in str(caught.value), "the class of the other error is named"


def test_a_traceback_of_the_archive_shows_nothing_that_the_message_hides(
    tmp_path, monkeypatch, picture, context
):
    monkeypatch.setattr("airflow_provider_faceswap.archive.store.download", leaking)
    operator = ArchiveOperator(task_id="t", source="https://a.test/x.png", destination=f"file://{tmp_path}")
    with pytest.raises(ArchiveError) as caught:
        operator.execute(context)
    check_traceback(caught)


def test_a_traceback_of_the_items_shows_nothing_that_the_message_hides(monkeypatch, tmp_path):
    monkeypatch.setattr("airflow_provider_faceswap.batch.items.file_of", leaking)
    with pytest.raises(FaceSwapError) as caught:
        list(Items(f"file://{tmp_path}/x.jsonl"))
    check_traceback(caught)


@pytest.mark.parametrize("broken", ["get", "set"])
def test_a_traceback_of_the_ledger_shows_nothing_that_the_message_hides(
    broken, vendor, context, store, clock, pictures, monkeypatch
):
    monkeypatch.setattr(store, broken, leaking)
    operator = GPTunnelFaceSwapOperator(task_id="t", deferrable=False, **pictures)
    with pytest.raises(FaceSwapError) as caught:
        operator.execute(context)
    check_traceback(caught)


@pytest.mark.parametrize(
    "place",
    [
        "airflow_provider_faceswap.batch.step_run.StepRun.wait",
        "airflow_provider_faceswap.batch.step_run.StepRun.obtain",
        "airflow_provider_faceswap.batch.item_records.ItemRecords.earlier_end",
        "airflow_provider_faceswap.batch.options.JobOptions.request",
    ],
)
def test_a_traceback_of_a_batch_shows_nothing_that_the_message_hides(
    place, vendor, context, store, tmp_path, monkeypatch, caplog
):
    vendor.will({"id": "job-1", "status": "idle"})
    monkeypatch.setattr(place, leaking)
    items = [{"target_image": "https://a.test/1.png", "face_image": "https://a.test/f.png"}]
    operator = FaceSwapBatchOperator(
        task_id="t", conn_id="gptunnel_default", items=items, destination=f"file://{tmp_path}"
    )
    with pytest.raises(FaceSwapError) as caught:
        operator.execute(context)
    check_traceback(caught)
    assert SECRET not in caplog.text
    assert all(SECRET not in file.read_text() for file in tmp_path.iterdir())


def test_no_error_of_the_package_has_another_error_as_its_cause():
    """Such a cause would be in every traceback, as its library wrote it."""
    package = Path(airflow_provider_faceswap.__file__).parent
    causes = [
        f"{path.name}:{node.lineno}"
        for path in package.rglob("*.py")
        if "sandbox" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and not (node.cause is None or ast.unparse(node.cause) == "None")
    ]
    assert not causes


# -- the time that a text takes ------------------------------------------------------------------------------------

MEGABYTE = 1_000_000
#: Texts that a careless search reads again from each of their characters.
SLOW = [
    *(
        "http://",
        "https:\\/\\/a",
        "http://a@",
        "a://b:c",
        "https%3A%2F%2F",
        "%252525",
        "&sig",
        "?sig=a",
        "sigsig",
    ),
    *(
        "&" + "sig" * 13,
        "password=",
        "token",
        '\'token": "',
        "authorization: ",
        "a=b ",
        "\\'",
        "-",
        "x-",
        '"',
        "\\",
    ),
    *("\x00", "\x1b", "\n", " ", "\r", "é\u202e", "\ud83d", "\ud83da", "\u2028a", "a"),
]


def milliseconds(work):
    """The CPU time of this thread; the best of a few, because a machine that does other things needs more."""

    def once():
        begun = time.thread_time()
        work()
        return (time.thread_time() - begun) * 1000

    least = once()
    for _ in range(9):
        if least < 25:
            break
        least = min(least, once())
    return least


@pytest.mark.slow
@pytest.mark.parametrize("piece", SLOW, ids=ascii)
def test_a_text_of_a_megabyte_is_searched_and_cleaned_in_less_than_50_ms(piece):
    text = (piece * MEGABYTE)[:MEGABYTE]
    for work in (without_queries, redacted, lambda text: error_line(OSError(text))):
        assert milliseconds(lambda work=work: work(text)) < 50


def answers_of(piece):
    text = (piece * MEGABYTE)[: MEGABYTE // len(json.dumps(piece)[1:-1]) * len(piece)]
    yield text
    yield json.dumps({"id": "job-1", "status": "failed", "error": text, "message": text[:9]})
    yield json.dumps({"data": {"task_id": "job-1", "status": "failed", "error": {"message": text}}})


STRUCTURES = [
    "[",
    '{"a":',
    "[],",
    '{"a":1},',
    '","',
    '\\"[',
    '"\\",',
    '["',
    '"[',
    "1,",
    '"a",',
    "[[",
    "[1],",
    '"\\u0000",',
    "1",
    "0.1",
    '{"id":"a"},',
]


@pytest.mark.slow
@pytest.mark.parametrize("name", HOOKS)
def test_an_answer_of_a_megabyte_costs_less_than_50_ms(name):
    vendor = HOOKS[name].vendor
    texts = [answer for piece in SLOW for answer in answers_of(piece)]
    texts += [
        f"{start}{(piece * MEGABYTE)[:MEGABYTE]}{end}" for piece in STRUCTURES for start, end in ("[]", "  ")
    ]
    for text in texts:
        for status in (200, 502):

            def read(text=text, status=status):
                try:
                    vendor.read_job("face_swap", Reply(status, text), job_id="job-1")
                except FaceSwapError as error:
                    assert len(str(error)) < 1000  # noqa: PT017 - a job is fine, too

            assert milliseconds(read) < 50, text[:40]


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["http://", "\x00", "a\ud83d", "a\u202e", "key-of-the-account", "a, "], ids=ascii
)
def test_an_answer_of_a_megabyte_holds_an_event_loop_for_less_than_50_ms(piece, vendor, connections):
    connections("https://vendor.test", key="key-of-the-account", webhook_secret="completed")
    text = piece * (MEGABYTE // len(json.dumps(piece)[1:-1]))
    content = json.dumps({"id": "job-1", "status": "failed", "error": text}).encode()

    async def poll():
        hook = GPTunnelHook()
        async with hook.session():
            vendor.will(*[httpx.Response(200, content=content) for _ in range(4)])
            await hook.afetch("job-1", "face_swap")
            times = []
            for _ in range(3):
                begun = time.thread_time()
                job = await hook.afetch("job-1", "face_swap")
                times.append((time.thread_time() - begun) * 1000)
            return job, min(times)

    job, taken = asyncio.run(poll())
    check_storable(job.model_dump(mode="json"))
    assert "key-of-the-account" not in job.failure
    assert taken < 50


def test_a_picture_inside_a_large_answer_is_still_read():
    text = json.dumps(
        {"data": {"task_id": "job-1", "status": "completed", "output": {"image_base64": "AAAA" * 1_000_000}}}
    )
    job = PiAPIHook.vendor.read_job("face_swap", Reply(200, text), job_id="job-1")
    assert len(job.inline[0]) == 3_000_000


# -- PostgreSQL ----------------------------------------------------------------------------------------------------


@pytest.mark.program
@pytest.mark.parametrize("name", FAILED)
def test_postgresql_stores_the_events_of_failed_jobs(name, postgresql, vendor, clock):
    for text in NASTY:
        vendor.will(response_of(FAILED[name](f"no face {text}")))
        trigger = JobTrigger(submission=submission_of(name).model_dump(mode="json"))
        [payload] = events_of(trigger)
        for value in (payload, trigger.serialize(), safe_json({text: [text]})):
            [[stored]] = postgresql.rows("select %s::jsonb", json.dumps(value))
            assert stored == json.loads(json.dumps(value))


@pytest.fixture(scope="module")
def postgresql():
    from postgres import PostgreSQL, programs

    if programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with PostgreSQL() as server:
        yield server
